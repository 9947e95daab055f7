//! What goes past the owner and its log: reads and additions of other threads, and table files that the database takes over.

use super::{RocksStore, family_of};
use crate::store::{AddStore, Entry, ReadStore, StoreError, Table};
use rocksdb::{DB, Direction, IngestExternalFileOptions, IteratorMode, Options, SstFileWriter};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Table files that are being made: `load-<number>.sst`.
const LOADED_PREFIX: &str = "load-";

/// Reads beside the owner. The database is closed when the owner drops it and the last read under way has ended.
pub(super) struct RocksReader {
    pub(super) db: Weak<DB>,
    pub(super) path: PathBuf,
}

impl ReadStore for RocksReader {
    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let db = self.open()?;
        db.get_cf(family_of(&db, table), key)
            .map_err(|error| self.failed(&error))
    }

    fn read_range(
        &self,
        table: Table,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let db = self.open()?;
        range(&db, table, from, limit).map_err(|error| self.failed(&error))
    }
}

impl RocksReader {
    fn open(&self) -> Result<Arc<DB>, StoreError> {
        let open = self.db.upgrade();
        open.ok_or_else(|| self.failed(&"it is closed"))
    }

    fn failed(&self, reason: &dyn std::fmt::Display) -> StoreError {
        StoreError {
            action: "read",
            reason: format!("{}: {reason}", self.path.display()),
        }
    }
}

/// At most `limit` entries with key ≥ `from`.
pub(super) fn range(
    db: &DB,
    table: Table,
    from: &[u8],
    limit: usize,
) -> Result<Vec<Entry>, rocksdb::Error> {
    let entries = db.iterator_cf(
        family_of(db, table),
        IteratorMode::From(from, Direction::Forward),
    );
    let owned = entries
        .take(limit)
        .map(|entry| entry.map(|(key, value)| (key.into_vec(), value.into_vec())));
    owned.collect()
}

/// Adds beside the owner, as [`RocksReader`] reads.
pub(super) struct RocksAdder {
    pub(super) db: Weak<DB>,
    pub(super) path: PathBuf,
    pub(super) loaded: Arc<AtomicU64>,
}

impl AddStore for RocksAdder {
    fn add(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let failed = |reason: &dyn std::fmt::Display| StoreError {
            action: "write",
            reason: format!("{}: {reason}", self.path.display()),
        };
        let db = self.db.upgrade().ok_or_else(|| failed(&"it is closed"))?;
        let held = db.get_pinned_cf(family_of(&db, table), key);
        if held.map_err(|error| failed(&error))?.is_some() {
            return Ok(());
        }
        let number = self.loaded.fetch_add(1, Ordering::Relaxed);
        let entry = std::iter::once((key, value));
        ingest(&db, &self.path, number, table, entry).map_err(|error| failed(&error))
    }
}

/// Removes the table files that a crash left half made.
pub(super) fn remove_loaded(path: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|name| name.starts_with(LOADED_PREFIX))
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes a table file number `number` of `entries`, and a part of the database of it. Durable when it returns.
pub(super) fn ingest<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    db: &DB,
    path: &Path,
    number: u64,
    table: Table,
    entries: impl Iterator<Item = (K, V)>,
) -> Result<(), rocksdb::Error> {
    let mut options = Options::default();
    options.set_block_based_table_factory(&RocksStore::blocks());
    options.set_compression_type(RocksStore::compression(table));
    let file = path.join(format!("{LOADED_PREFIX}{number}.sst"));
    let make = || {
        let mut writer = SstFileWriter::create(&options);
        writer.open(&file)?;
        for (key, value) in entries {
            writer.put(key, value)?;
        }
        writer.finish()?;
        let mut moved = IngestExternalFileOptions::default();
        moved.set_move_files(true);
        db.ingest_external_file_cf_opts(family_of(db, table), &moved, vec![&file])
    };
    let made = make();
    // What was taken over has another name by now; what failed must not keep its room.
    let _gone = std::fs::remove_file(&file);
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::check::put;
    use crate::store::{RocksOptions, Store as _};

    fn open(path: &Path) -> Result<RocksStore, StoreError> {
        RocksStore::open(path, &RocksOptions::default())
    }

    #[test]
    fn a_reader_sees_what_its_owner_writes_and_does_not_keep_the_store_open() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut store = open(dir.path()).expect("an empty directory");
        let reader = store.reader().expect("it can be read beside its owner");
        assert_eq!(reader.read(Table::Content, b"id"), Ok(None));
        assert_eq!(
            store.write(vec![put(Table::Content, b"id", b"bytes")]),
            Ok(())
        );
        let read = std::thread::scope(|scope| {
            let elsewhere = scope.spawn(|| reader.read(Table::Content, b"id"));
            elsewhere.join().expect("reads")
        });
        assert_eq!(read, Ok(Some(b"bytes".to_vec())));
        let all = reader.read_range(Table::Content, b"", 9);
        assert_eq!(all, store.range(Table::Content, b"", 9));
        assert_eq!(all.map(|all| all.len()), Ok(1));
        assert_eq!(reader.read_range(Table::Content, b"j", 9), Ok(Vec::new()));
        drop(store);
        let error = reader
            .read(Table::Content, b"id")
            .expect_err("its owner has closed it");
        assert!(error.reason.ends_with("it is closed"), "{error}");
        let _again = open(dir.path()).expect("nobody holds it");
    }

    #[test]
    fn what_another_thread_adds_is_durable_and_stays_out_of_the_log() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut store = open(dir.path()).expect("an empty directory");
        let adder = store.adder().expect("it can be added to beside its owner");
        let large: Vec<u8> = (0..4_u32 << 20).map(|i| (i % 251) as u8).collect();
        let logged = || {
            let logs = std::fs::read_dir(dir.path()).expect("is there");
            let of_log = |entry: std::io::Result<std::fs::DirEntry>| {
                let entry = entry.expect("is there");
                let is_log = entry.path().extension().is_some_and(|end| end == "log");
                is_log.then(|| entry.metadata().expect("is there").len())
            };
            logs.filter_map(of_log).sum::<u64>()
        };
        assert_eq!(
            store.write(vec![put(Table::Chain, b"height", b"1")]),
            Ok(())
        );
        let before = logged();
        std::thread::scope(|scope| {
            for id in [b"one", b"two"] {
                let (adder, large) = (&adder, &large);
                scope.spawn(move || assert_eq!(adder.add(Table::Content, id, large), Ok(())));
            }
        });
        assert!(logged() < before + (1 << 16), "the log didn't grow");
        assert_eq!(store.get(Table::Content, b"two"), Ok(Some(large.clone())));
        // What is there stays: content is named by its hash.
        assert_eq!(adder.add(Table::Content, b"two", b"other"), Ok(()));
        assert_eq!(store.get(Table::Content, b"two"), Ok(Some(large.clone())));
        // A half made file of a crash takes no room after the next opening.
        let half = dir.path().join("load-7.sst");
        std::fs::write(&half, [1; 100]).expect("writes");
        drop(store);
        let error = adder
            .add(Table::Content, b"three", &large)
            .expect_err("its owner has closed it");
        assert!(error.reason.ends_with("it is closed"), "{error}");
        let store = open(dir.path()).expect("as it was left");
        assert!(!half.exists());
        assert_eq!(store.get(Table::Content, b"one"), Ok(Some(large)));
        assert_eq!(store.get(Table::Chain, b"height"), Ok(Some(b"1".to_vec())));
    }
}
