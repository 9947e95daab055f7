//! What a log keeps in its store, and under which keys.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | Meta | `log head` | [`StoredHead`] |
//! | Batches | arrival | a batch |
//! | Receipts | digest | [`Arrived`] |
//!
//! The group, the mark that this store may vote, blocks, places in the chain, the safety record and proposals
//! are kept as in [`crate::persist`]. Batches are keyed by the order in which they came, so that writing
//! the log is appending to it and never merges.

use crate::persist::{VALUE_BYTES_MAX, load, put};
use frith_ledger::block::{Batch, BatchDigest, BlockId};
use frith_ledger::codec::decode;
use frith_ledger::store::{Store, StoreError, Table, Write};
use frith_ledger::tree::Summary;
use frith_ledger::units::Height;
use parity_scale_codec::{Decode, Encode};

const HEAD: &[u8] = b"log head";

/// The last committed block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct StoredHead {
    pub(super) id: BlockId,
    pub(super) height: Height,
    pub(super) state: Summary,
    /// No batch that came before this one waits for a block.
    pub(super) floor: u64,
}

/// Where a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct Arrived {
    /// Its key.
    pub(super) at: u64,
    /// The block that has it.
    pub(super) committed: Option<Height>,
}

pub(super) fn head(store: &dyn Store) -> Result<Option<StoredHead>, StoreError> {
    load(store, Table::Meta, HEAD, "head of the log")
}

pub(super) fn put_head(head: &StoredHead) -> Write {
    put(Table::Meta, HEAD.to_vec(), head)
}

pub(super) fn arrived(
    store: &dyn Store,
    digest: &BatchDigest,
) -> Result<Option<Arrived>, StoreError> {
    load(store, Table::Receipts, &digest.0, "place of a batch")
}

pub(super) fn put_arrived(digest: &BatchDigest, arrived: &Arrived) -> Write {
    put(Table::Receipts, digest.0.to_vec(), arrived)
}

pub(super) fn put_batch(at: u64, encoded: Vec<u8>) -> Write {
    Write::Put {
        table: Table::Batches,
        key: at.to_be_bytes().to_vec(),
        value: encoded,
    }
}

pub(super) fn batch_bytes(store: &dyn Store, at: u64) -> Result<Option<Vec<u8>>, StoreError> {
    store.get(Table::Batches, &at.to_be_bytes())
}

/// A stored batch, and its key.
pub(super) type Stored = (u64, Batch);

/// Batches by arrival from `from` on, at most `max`.
pub(super) fn batches(store: &dyn Store, from: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
    let entries = store.range(Table::Batches, &from.to_be_bytes(), max)?;
    let stored = |(key, value): (Vec<u8>, Vec<u8>)| {
        let at = <[u8; 8]>::try_from(&key[..]).map(u64::from_be_bytes);
        at.ok()
            .zip(decode(&value, VALUE_BYTES_MAX).ok())
            .ok_or_else(|| crate::persist::corrupt("list of batches"))
    };
    entries.into_iter().map(stored).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_fuzz::{codec, harness};

    #[test]
    fn fuzz_records_of_the_log() {
        harness!(|input: &[u8]| {
            codec::<StoredHead, _>(input, VALUE_BYTES_MAX, |b| decode(b, VALUE_BYTES_MAX));
            codec::<Arrived, _>(input, VALUE_BYTES_MAX, |b| decode(b, VALUE_BYTES_MAX));
        });
    }
}
