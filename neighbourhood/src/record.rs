//! The record of what a node signed, seen from outside: read for a report, or declared lost.
//!
//! A store holds the record of every running instance, and a mark that it may vote without asking others. Both are true
//! of the newest store alone. A *copy* of a store claims the same and has forgotten what was signed since: a node on it
//! could sign twice before a member shows it a later signature. So a copy is declared a copy ([`forget`]) before a node
//! starts on it: the record and the mark go, chain and state stay, and the node asks the others what it signed
//! ([`crate::recovery`]) before it votes. Nothing ever puts a record back: one that comes from elsewhere can't be known to
//! be the newest, and the others know better.

use crate::consensus::SafetyRecord;
use crate::persist;
use frith_ledger::block::ChainKind;
use frith_ledger::hash::Hash;
use frith_ledger::store::{Store, StoreError, Table, Write};
use frith_ledger::units::{Epoch, Height};

/// Rows that are read or removed at one time.
const ROWS_MAX: usize = 1024;
/// Bytes of a key of a record: kind, epoch, 0.
const RECORD_KEY_BYTES: usize = 10;

/// What a store says of its node's signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The network; `None` when no node has ever started on the store.
    pub genesis: Option<Hash>,
    /// Whether a node on it votes without asking others.
    pub may_vote: bool,
    /// The last committed block.
    pub head: Option<Height>,
    /// The records of the running instances.
    pub records: Vec<(ChainKind, Epoch, SafetyRecord)>,
}

/// Reads what a store says.
///
/// # Errors
/// [`StoreError`], also for a damaged record.
pub fn recorded(store: &dyn Store) -> Result<Recorded, StoreError> {
    let mut records = Vec::new();
    for (key, value) in store.range(Table::Safety, &[], ROWS_MAX)? {
        let Some((kind, epoch)) = record_key(&key) else {
            continue;
        };
        let what = format!("safety record of epoch {epoch}");
        let record = persist::unsealed(Table::Safety, &key, &value, &what)?;
        records.push((kind, epoch, record));
    }
    Ok(Recorded {
        genesis: persist::genesis(store)?,
        may_vote: persist::voting(store)?,
        head: crate::history::newest(store)?,
        records,
    })
}

/// The instance whose record has this key; `None` for a proposal's key.
fn record_key(key: &[u8]) -> Option<(ChainKind, Epoch)> {
    let key: &[u8; RECORD_KEY_BYTES] = key.try_into().ok()?;
    let [kind, epoch @ .., 0] = key else {
        return None;
    };
    let kind = match kind {
        0 => ChainKind::Leaf,
        1 => ChainKind::Root,
        _ => return None,
    };
    Some((kind, Epoch::new(u64::from_be_bytes(*epoch))))
}

/// Declares the record lost: a node that starts on this store then asks the others before it votes. Durable when this
/// returns. On the store of a node that has never voted it changes nothing that matters.
///
/// # Errors
/// [`StoreError`]; call it again then, before a node starts.
pub fn forget(store: &mut dyn Store) -> Result<(), StoreError> {
    // The marks first: a store without them trusts no record that begins later.
    store.write(vec![persist::delete_voting(), persist::delete_founding()])?;
    loop {
        let rows = store.range(Table::Safety, &[], ROWS_MAX)?;
        if rows.is_empty() {
            return store.sync();
        }
        let delete = |(key, _)| Write::Delete {
            table: Table::Safety,
            key,
        };
        store.write(rows.into_iter().map(delete).collect())?;
    }
}
