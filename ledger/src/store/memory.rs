//! Stores in memory: a plain one, and one that models a disk's failures.

use super::{Entry, ReadStore, Store, StoreError, Table, Write};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tables in memory. Nothing survives it, so every write is as durable as it gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStore {
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryStore {
    /// A store with empty tables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.tables
            .values()
            .flatten()
            .map(|(key, value)| key.len() + value.len())
            .sum()
    }

    fn value(&self, table: Table, key: &[u8]) -> Option<&Vec<u8>> {
        self.tables.get(&table)?.get(key)
    }

    /// Applies one write and returns the one that takes it back.
    fn apply(&mut self, write: Write) -> Write {
        let (table, key, value) = match write {
            Write::Put { table, key, value } => (table, key, Some(value)),
            Write::Delete { table, key } => (table, key, None),
        };
        let entries = self.tables.entry(table).or_default();
        let before = match value {
            Some(value) => entries.insert(key.clone(), value),
            None => entries.remove(&key),
        };
        match before {
            Some(value) => Write::Put { table, key, value },
            None => Write::Delete { table, key },
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.value(table, key).cloned())
    }

    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let Some(entries) = self.tables.get(&table) else {
            return Ok(Vec::new());
        };
        let from = (Bound::Included(from), Bound::Unbounded);
        let entry = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(entries
            .range::<[u8], _>(from)
            .take(limit)
            .map(entry)
            .collect())
    }

    fn write(&mut self, batch: Vec<Write>) -> Result<(), StoreError> {
        for write in batch {
            self.apply(write);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What a modelled disk does wrong, counted from the store's creation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// The write with this number fails, once; the first is 0.
    pub fail_write: Option<u64>,
    /// Every sync fails.
    pub fail_syncs: bool,
    /// Every read fails.
    pub fail_reads: bool,
    /// Writes that would bring keys and values above so many bytes fail: the disk is full.
    pub bytes_max: Option<usize>,
}

/// A disk in memory that its owner may crash: clones are handles of the same disk, so that a
/// simulator keeps one while the node that uses the other dies.
///
/// Writes are visible at once and lost at [`SharedMemoryStore::crash`] unless synced. A crash keeps
/// a prefix of the unsynced batches, as a log-structured store does; never a part of a batch.
#[derive(Debug, Clone, Default)]
pub struct SharedMemoryStore {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    store: MemoryStore,
    /// How to take back each unsynced batch, oldest first; the writes of one in reverse order.
    unsynced: Vec<Vec<Write>>,
    faults: Faults,
    bytes: usize,
    writes: u64,
    syncs: u64,
}

impl SharedMemoryStore {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The power fails: of the batches written since the last sync only the first `keep` survive.
    pub fn crash(&self, keep: usize) {
        let mut disk = self.disk();
        let kept = disk.unsynced.len().min(keep);
        for undo in disk.unsynced.split_off(kept).into_iter().rev() {
            for write in undo {
                disk.apply(write);
            }
        }
        disk.unsynced.clear();
    }

    /// Everything is gone, faults excepted.
    pub fn wipe(&self) {
        let mut disk = self.disk();
        disk.store = MemoryStore::new();
        disk.unsynced.clear();
        disk.bytes = 0;
    }

    /// Replaces the faults that this disk has.
    pub fn set_faults(&self, faults: Faults) {
        self.disk().faults = faults;
    }

    /// Batches that a crash may take.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.disk().unsynced.len()
    }

    /// What the batches that a crash may take have touched, oldest first.
    #[must_use]
    pub fn unsynced_keys(&self) -> Vec<Vec<(Table, Vec<u8>)>> {
        let touched = |write: &Write| match write {
            Write::Put { table, key, .. } | Write::Delete { table, key } => (*table, key.clone()),
        };
        self.disk()
            .unsynced
            .iter()
            .map(|batch| batch.iter().map(touched).collect())
            .collect()
    }

    /// How many writes were tried so far: the number of the next one.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.disk().writes
    }

    /// How many syncs succeeded so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.disk().syncs
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.disk().bytes
    }

    /// What a node that started now would read.
    #[must_use]
    pub fn contents(&self) -> MemoryStore {
        self.disk().store.clone()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // A panic elsewhere can't leave the disk between two states: its methods don't panic.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn apply(&mut self, write: Write) -> Write {
        let added = bytes_of(&write);
        let undo = self.store.apply(write);
        self.bytes = (self.bytes + added).saturating_sub(bytes_of(&undo));
        undo
    }

    fn check_read(&self) -> Result<(), StoreError> {
        if self.faults.fail_reads {
            return Err(StoreError {
                action: "read",
                reason: "injected read error".into(),
            });
        }
        Ok(())
    }

    /// Whether the disk takes the write with this number and so many bytes.
    fn check_write(&self, number: u64, added: usize) -> Result<(), StoreError> {
        let refuse = |reason: &str| {
            Err(StoreError {
                action: "write",
                reason: reason.into(),
            })
        };
        if self.faults.fail_write == Some(number) {
            return refuse("injected write error");
        }
        match self.faults.bytes_max {
            Some(max) if added > 0 && self.bytes.saturating_add(added) > max => {
                refuse("no space left on device")
            }
            _ => Ok(()),
        }
    }
}

fn bytes_of(write: &Write) -> usize {
    match write {
        Write::Put { key, value, .. } => key.len() + value.len(),
        Write::Delete { .. } => 0,
    }
}

impl ReadStore for SharedMemoryStore {
    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(table, key)
    }

    fn read_range(
        &self,
        table: Table,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.range(table, from, limit)
    }
}

impl Store for SharedMemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let disk = self.disk();
        disk.check_read()?;
        disk.store.get(table, key)
    }

    fn reader(&self) -> Option<Arc<dyn ReadStore>> {
        Some(Arc::new(self.clone()))
    }

    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let disk = self.disk();
        disk.check_read()?;
        disk.store.range(table, from, limit)
    }

    fn write(&mut self, batch: Vec<Write>) -> Result<(), StoreError> {
        let mut disk = self.disk();
        let number = disk.writes;
        disk.writes += 1;
        disk.check_write(number, batch.iter().map(bytes_of).sum())?;
        let mut undo: Vec<Write> = batch.into_iter().map(|write| disk.apply(write)).collect();
        undo.reverse();
        disk.unsynced.push(undo);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let mut disk = self.disk();
        if disk.faults.fail_syncs {
            return Err(StoreError {
                action: "sync",
                reason: "injected sync error".into(),
            });
        }
        disk.unsynced.clear();
        disk.syncs += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::check::{check_store, put};

    #[test]
    fn both_stores_keep_the_contract() {
        check_store(&mut MemoryStore::new());
        check_store(&mut SharedMemoryStore::new());
    }

    #[test]
    fn a_crash_keeps_all_that_was_synced_and_a_prefix_of_the_rest() {
        for keep in 0..=4_usize {
            let disk = SharedMemoryStore::new();
            let mut store = disk.clone();
            let mut expected = MemoryStore::new();
            let batch = |i: u8| {
                vec![
                    put(Table::Meta, &[i % 3], &[i]),
                    put(Table::Chain, &[i], &[i]),
                ]
            };
            for i in 0..2 {
                assert_eq!(store.write(batch(i)), Ok(()));
                assert_eq!(expected.write(batch(i)), Ok(()));
            }
            assert_eq!(store.sync(), Ok(()));
            for i in 2..5 {
                assert_eq!(store.write(batch(i)), Ok(()));
                if usize::from(i) < 2 + keep {
                    assert_eq!(expected.write(batch(i)), Ok(()));
                }
            }
            assert_eq!(disk.unsynced(), 3);
            disk.crash(keep);
            assert_eq!(
                (disk.contents(), disk.unsynced()),
                (expected.clone(), 0),
                "keep {keep}"
            );
            assert_eq!(disk.bytes(), expected.bytes());
        }
    }

    #[test]
    fn a_deletion_that_was_not_synced_is_taken_back() {
        let disk = SharedMemoryStore::new();
        let mut store = disk.clone();
        assert_eq!(
            store
                .write(vec![put(Table::Safety, b"vote", b"7")])
                .and_then(|()| store.sync()),
            Ok(())
        );
        assert_eq!(
            store.write(vec![Write::Delete {
                table: Table::Safety,
                key: b"vote".to_vec()
            }]),
            Ok(())
        );
        assert_eq!(store.get(Table::Safety, b"vote"), Ok(None));
        disk.crash(0);
        assert_eq!(store.get(Table::Safety, b"vote"), Ok(Some(b"7".to_vec())));
    }

    #[test]
    fn a_failed_write_changes_nothing() {
        let disk = SharedMemoryStore::new();
        let mut store = disk.clone();
        disk.set_faults(Faults {
            fail_write: Some(1),
            bytes_max: Some(20),
            ..Faults::default()
        });
        assert_eq!(store.write(vec![put(Table::Meta, b"a", b"1")]), Ok(()));
        assert!(
            store.write(vec![put(Table::Meta, b"a", b"2")]).is_err(),
            "the second write"
        );
        assert_eq!(store.get(Table::Meta, b"a"), Ok(Some(b"1".to_vec())));
        assert!(
            store.write(vec![put(Table::Meta, b"b", &[0; 20])]).is_err(),
            "the disk is full"
        );
        assert_eq!((disk.bytes(), disk.writes()), (2, 3));
        let delete = Write::Delete {
            table: Table::Meta,
            key: b"a".to_vec(),
        };
        assert_eq!(
            store.write(vec![delete]),
            Ok(()),
            "a full disk can be emptied"
        );
    }

    #[test]
    fn a_failed_sync_makes_nothing_durable() {
        let disk = SharedMemoryStore::new();
        let mut store = disk.clone();
        disk.set_faults(Faults {
            fail_syncs: true,
            ..Faults::default()
        });
        assert_eq!(store.write(vec![put(Table::Meta, b"a", b"1")]), Ok(()));
        assert!(store.sync().is_err());
        disk.crash(0);
        assert_eq!(store.get(Table::Meta, b"a"), Ok(None));
        disk.set_faults(Faults {
            fail_reads: true,
            ..Faults::default()
        });
        assert!(store.get(Table::Meta, b"a").is_err() && store.range(Table::Meta, b"", 1).is_err());
    }
}
