//! A store of another owner, to be read like one's own.

use super::{Entry, ReadStore, Store, StoreError, Table, Write};
use std::sync::Arc;

/// Reads a store beside its owner, and writes nothing. Cheap to clone.
#[derive(Clone)]
pub struct ReadOnly(Option<Arc<dyn ReadStore>>);

impl ReadOnly {
    /// What the owner lets others read ([`Store::reader`]); without, every read fails.
    #[must_use]
    pub const fn new(reader: Option<Arc<dyn ReadStore>>) -> Self {
        Self(reader)
    }

    fn reader(&self) -> Result<&dyn ReadStore, StoreError> {
        self.0.as_deref().ok_or_else(|| StoreError {
            action: "read",
            reason: "this store is read by its owner alone".to_owned(),
        })
    }
}

fn not_its_owner(action: &'static str) -> StoreError {
    StoreError {
        action,
        reason: "this store is written by its owner alone".to_owned(),
    }
}

impl Store for ReadOnly {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reader()?.read(table, key)
    }

    fn reader(&self) -> Option<Arc<dyn ReadStore>> {
        self.0.clone()
    }

    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.reader()?.read_range(table, from, limit)
    }

    fn write(&mut self, _batch: Vec<Write>) -> Result<(), StoreError> {
        Err(not_its_owner("write"))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        Err(not_its_owner("sync"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SharedMemoryStore;
    use crate::store::check::put;

    #[test]
    fn it_reads_what_its_owner_writes_and_writes_nothing() {
        let mut owner = SharedMemoryStore::new();
        let mut read = ReadOnly::new(Store::reader(&owner));
        let written = owner.write(vec![
            put(Table::Chain, b"1", b"a"),
            put(Table::Chain, b"2", b"b"),
        ]);
        assert_eq!(written, Ok(()));
        assert_eq!(read.get(Table::Chain, b"1"), Ok(Some(b"a".to_vec())));
        let after = vec![(b"2".to_vec(), b"b".to_vec())];
        assert_eq!(read.range(Table::Chain, b"2", 9), Ok(after));
        assert!(read.write(vec![put(Table::Chain, b"3", b"c")]).is_err());
        assert!(read.sync().is_err());
        assert_eq!(owner.get(Table::Chain, b"3"), Ok(None));
        assert!(ReadOnly::new(None).get(Table::Chain, b"1").is_err());
    }
}
