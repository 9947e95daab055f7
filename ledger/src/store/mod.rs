//! Where bytes are kept: one trait, an in-memory store, RocksDB.
//!
//! A store is ordered key-value tables. [`Store::write`] is atomic and makes a batch visible at
//! once, but not durable; [`Store::sync`] makes all that was written before it durable. After a
//! power loss a prefix of the written batches is there, and it holds at least all that was synced.

#[cfg(test)]
mod check;
#[cfg(all(test, feature = "rocks"))]
mod damage;
#[cfg(feature = "rocks")]
mod mark;
mod memory;
mod read_only;
#[cfg(feature = "rocks")]
mod rocks;

#[cfg(feature = "rocks")]
pub use mark::mark_tells_of_use;
pub use memory::{Faults, MemoryStore, SharedMemoryStore};
pub use read_only::ReadOnly;
#[cfg(feature = "rocks")]
pub use rocks::{FORMAT, Loss, RocksOptions, RocksStore};

use std::sync::Arc;

/// A table of a store. The discriminant is part of the storage format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// Singletons: format version, genesis hash, heads.
    Meta = 0,
    /// Consensus safety records, one a chain instance.
    Safety = 1,
    /// Nodes of the state tree.
    Nodes = 2,
    /// When a node of the tree became stale, for pruning.
    Stale = 3,
    /// Blocks by id.
    Blocks = 4,
    /// Ids of committed blocks by height, and their commit proofs.
    Chain = 5,
    /// Batches of operations by digest.
    Batches = 6,
    /// Root records and their proofs by epoch.
    Roots = 7,
    /// Content by content id: programs, inputs, results.
    Content = 8,
    /// Where each executed operation ended, by operation id.
    Receipts = 9,
    /// The worker's own record of the tasks that it runs: salts, results not yet revealed.
    Work = 10,
    /// Which blocks touched which account, and what happened in each block.
    History = 11,
}

impl Table {
    /// All tables, in order of their discriminants.
    pub const ALL: [Self; 12] = [
        Self::Meta,
        Self::Safety,
        Self::Nodes,
        Self::Stale,
        Self::Blocks,
        Self::Chain,
        Self::Batches,
        Self::Roots,
        Self::Content,
        Self::Receipts,
        Self::Work,
        Self::History,
    ];
}

/// One change of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets `key` to `value`.
    Put {
        /// Which table.
        table: Table,
        /// Key bytes.
        key: Vec<u8>,
        /// Value bytes.
        value: Vec<u8>,
    },
    /// Removes `key`; nothing happens when it isn't there.
    Delete {
        /// Which table.
        table: Table,
        /// Key bytes.
        key: Vec<u8>,
    },
}

/// The store failed: disk full, read error, corruption. Never a peer's or a user's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store failed to {action}: {reason}")]
pub struct StoreError {
    /// What was tried: `read`, `write`, `sync`, `open`.
    pub action: &'static str,
    /// The environment's own words, with the path where there is one.
    pub reason: String,
}

/// Reads values of a store from other threads, while its owner writes. It doesn't keep the store open: reads fail once
/// the owner has closed it.
pub trait ReadStore: Send + Sync {
    /// The value of `key`, as the owner would see it now.
    ///
    /// # Errors
    /// [`StoreError`] when the environment fails or the store is closed.
    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` entries with key ≥ `from`, in order of their keys, as the owner would see them now.
    ///
    /// # Errors
    /// [`StoreError`] when the environment fails or the store is closed.
    fn read_range(&self, table: Table, from: &[u8], limit: usize)
    -> Result<Vec<Entry>, StoreError>;
}

/// Adds large values to a store from other threads, while its owner reads and writes. As [`ReadStore`] it doesn't keep the
/// store open.
pub trait AddStore: Send + Sync {
    /// Adds an entry, unless its key is there already. It is durable when this returns, alone: no batch of the owner's is
    /// before or after it.
    ///
    /// # Errors
    /// [`StoreError`] when the environment fails or the store is closed; nothing was added then, and the owner goes on.
    fn add(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError>;
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Ordered key-value tables with atomic batches.
pub trait Store: Send {
    /// The value of `key`.
    ///
    /// # Errors
    /// [`StoreError`] when the environment fails.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// A way to read from other threads; `None` when this store is its owner's alone.
    fn reader(&self) -> Option<Arc<dyn ReadStore>> {
        None
    }

    /// A way to add large values from other threads; `None` when this store is its owner's alone.
    fn adder(&self) -> Option<Arc<dyn AddStore>> {
        None
    }

    /// At most `limit` entries with key ≥ `from`, in order of their keys.
    ///
    /// # Errors
    /// [`StoreError`] when the environment fails.
    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Applies all of `batch` or nothing. Visible at once, durable after the next [`Store::sync`].
    ///
    /// # Errors
    /// [`StoreError`] when the environment fails; nothing was applied then.
    fn write(&mut self, batch: Vec<Write>) -> Result<(), StoreError>;

    /// Adds many entries to one table: in rising order of their keys, each key once. Everything written
    /// before and they are durable when it returns. Cheaper than [`Store::write`] for megabytes, which
    /// need not be in memory at once.
    ///
    /// # Errors
    /// [`StoreError`] when the environment fails; none of the entries was added then.
    fn load(
        &mut self,
        table: Table,
        entries: &mut dyn Iterator<Item = Entry>,
    ) -> Result<(), StoreError> {
        let put = |(key, value)| Write::Put { table, key, value };
        self.write(entries.map(put).collect())?;
        self.sync()
    }

    /// Makes every write so far durable. About a millisecond on a disk.
    ///
    /// # Errors
    /// [`StoreError`] when the environment fails; nothing may be assumed durable then.
    fn sync(&mut self) -> Result<(), StoreError>;
}
