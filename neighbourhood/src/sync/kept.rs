//! What a copy of the state keeps in the store, so that it goes on after a restart.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | Meta | `copy/aim` | [`Aim`]: the checkpoint that is copied |
//! | Meta | `copy/link/` period | the link that led to that period |
//! | Meta | `copy/slot/` prefix | where the nodes of a saved slot begin |
//!
//! Invariant: a slot's mark is written after its nodes are durable, and replaced with the marks of what took
//! its place; so what a mark names is whole. All of it goes in the batch that installs the copied state.
//! Aim and links are verified again when they are read.

use crate::persist::{load, put, under};
use crate::wire::CheckpointTip;
use frith_ledger::address::Prefix;
use frith_ledger::light::RootLink;
use frith_ledger::store::{Store, StoreError, Table, Write};
use parity_scale_codec::{Decode, Encode};

/// Entries of a copy that are read at once: more than there can be slots and links.
const ENTRIES_MAX: usize = 1 << 17;

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Aim {
    /// How finely the address space is cut.
    pub(super) bits: u8,
    /// The checkpoint.
    pub(super) tip: CheckpointTip,
}

fn keyed(name: &str, number: u64) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The aim of a copy that was under way.
///
/// # Errors
/// [`StoreError`].
pub(super) fn aim(store: &dyn Store) -> Result<Option<Aim>, StoreError> {
    load(store, Table::Meta, b"copy/aim", "aim of a copy")
}

/// Keeps the aim.
#[must_use]
pub(super) fn put_aim(aim: &Aim) -> Write {
    put(Table::Meta, b"copy/aim".to_vec(), aim)
}

/// Keeps the link that led to `period`.
#[must_use]
pub(super) fn put_link(period: u64, link: &RootLink) -> Write {
    put(Table::Meta, keyed("copy/link/", period), link)
}

/// The link that led to `period`.
///
/// # Errors
/// [`StoreError`].
pub(super) fn link(store: &dyn Store, period: u64) -> Result<Option<RootLink>, StoreError> {
    load(
        store,
        Table::Meta,
        &keyed("copy/link/", period),
        "link of a copy",
    )
}

/// Marks a slot as saved.
#[must_use]
pub(super) fn put_slot(prefix: Prefix, record: Vec<u8>) -> Write {
    let mut key = b"copy/slot/".to_vec();
    key.extend_from_slice(&prefix.encode());
    Write::Put {
        table: Table::Meta,
        key,
        value: record,
    }
}

/// The saved slots and what finds their nodes.
///
/// # Errors
/// [`StoreError`].
pub(super) fn slots(store: &dyn Store) -> Result<Vec<(Prefix, Vec<u8>)>, StoreError> {
    const NAME: &[u8] = b"copy/slot/";
    let entries = under(store, Table::Meta, NAME, ENTRIES_MAX)?;
    let slot = |(key, record): (Vec<u8>, Vec<u8>)| {
        let prefix = Prefix::decode(&mut key.get(NAME.len()..)?).ok()?;
        Some((prefix, record))
    };
    Ok(entries.into_iter().filter_map(slot).collect())
}

/// Forgets everything of a copy.
///
/// # Errors
/// [`StoreError`].
pub fn forget(store: &dyn Store) -> Result<Vec<Write>, StoreError> {
    let entries = under(store, Table::Meta, b"copy/", ENTRIES_MAX)?;
    let delete = |(key, _)| Write::Delete {
        table: Table::Meta,
        key,
    };
    Ok(entries.into_iter().map(delete).collect())
}
