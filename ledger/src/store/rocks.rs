//! The store on a disk: RocksDB, one column family a table.
//!
//! A write is one atomic batch that goes to the write-ahead log and reaches the operating system
//! before it returns, so it survives the death of the process. [`Store::sync`] syncs the log, so that
//! it survives the death of the machine too. The log is recovered up to its first damaged record:
//! what is there is always a prefix of the batches, across all tables (RocksDB syncs older logs
//! before it makes a flushed table a part of the database).
//!
//! A log whose end is damaged or gone looks like one that a power loss cut, so what was durable can be missing
//! silently. A store that is opened with a mark beside it ([`RocksStore::open_marked`]) notices.
//!
//! Memory is bounded by [`RocksOptions`]: one block cache that holds index and filter blocks too, and
//! one limit for all write buffers together. Every block is checked against its checksum when read.
//!
//! Many sorted entries at once ([`Store::load`]) become a table file that the database takes over as it is:
//! they pass neither the log nor the write buffers, and are not merged again when nothing overlaps them. So does a large
//! value that another thread adds ([`AddStore::add`]), a table file of its own.
//!
//! One process holds a data directory at a time. The storage format's number stands apart from the
//! tables and is compared on opening.

mod beside;

use self::beside::{RocksAdder, RocksReader, ingest, remove_loaded};
use super::mark::{Mark, MarkError, Said};
use super::{AddStore, Entry, ReadStore, Store, StoreError, Table, Write};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, LogLevel, Options, WriteBatch, WriteOptions,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The storage format that this program reads and writes.
pub const FORMAT: u32 = 1;
/// Where the format stands, in RocksDB's default column family.
const FORMAT_KEY: &[u8] = b"frith storage format";
/// How many batches were written, in the same family; each batch says it.
const WRITTEN_KEY: &[u8] = b"frith batches written";

/// Local limits of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RocksOptions {
    /// Bytes of the cache of read blocks, indexes and filters. Smaller: more reads from the disk.
    pub block_cache_bytes: usize,
    /// Bytes of all writes kept in memory until they are flushed to tables. Smaller: more and smaller
    /// tables, and more merging of them.
    pub write_buffer_bytes: usize,
    /// Files held open at once. Smaller: more opening and closing; larger: more memory and handles.
    pub open_files_max: i32,
}

impl Default for RocksOptions {
    /// For a node that shares its machine: some 16 MiB in all.
    fn default() -> Self {
        Self {
            block_cache_bytes: 8 << 20,
            write_buffer_bytes: 4 << 20,
            open_files_max: 256,
        }
    }
}

/// A store that was opened has lost writes that were durable. What is left is a prefix of what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// It has fewer batches than were durable.
    #[error(
        "it ends with batch {held} of {durable} that were durable: its log is damaged, or it is an older copy"
    )]
    Batches {
        /// How many it has.
        held: u64,
        /// How many were durable at least.
        durable: u64,
    },
    /// The mark that would show it is missing or damaged.
    #[error("the mark beside it is missing or damaged, so nothing shows that it is whole")]
    Mark,
}

/// A store in a directory.
pub struct RocksStore {
    db: Arc<DB>,
    path: PathBuf,
    /// Batches so far; `None` in a store whose batches weren't counted yet.
    written: Option<u64>,
    mark: Option<Mark>,
    /// Table files made since the opening.
    loaded: Arc<AtomicU64>,
}

impl std::fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

const fn name_of(table: Table) -> &'static str {
    match table {
        Table::Meta => "meta",
        Table::Safety => "safety",
        Table::Nodes => "nodes",
        Table::Stale => "stale",
        Table::Blocks => "blocks",
        Table::Chain => "chain",
        Table::Batches => "batches",
        Table::Roots => "roots",
        Table::Content => "content",
        Table::Receipts => "receipts",
        Table::Work => "work",
        Table::History => "history",
    }
}

impl RocksStore {
    /// Opens the store in `path`, or makes an empty one there. Takes some milliseconds, and more after
    /// a crash.
    ///
    /// # Errors
    /// [`StoreError`] when another process holds the directory, when the format is another, and
    /// when the disk fails or its content is damaged; it names the path.
    pub fn open(path: &Path, options: &RocksOptions) -> Result<Self, StoreError> {
        let error = |reason: String| StoreError {
            action: "open",
            reason,
        };
        std::fs::create_dir_all(path).map_err(|e| error(format!("{}: {e}", path.display())))?;
        let families = Self::families(options);
        let db = DB::open_cf_descriptors(&Self::options(options), path, families)
            .map_err(|e| error(reason_of_open(path, &e)))?;
        remove_loaded(path).map_err(|e| error(format!("{}: {e}", path.display())))?;
        Self::of(db, path)
    }

    /// The same with a mark, a file that shows when the store has lost writes that were durable: its log or the list of
    /// its tables was damaged, or an older copy of it was put back. Then `on_loss` gets the store before anybody else,
    /// and makes of it what may be used; the loss is forgotten when that has succeeded. Keep the mark outside of `path`,
    /// so that a copy of the store alone is noticed.
    ///
    /// # Errors
    /// As [`Self::open`]; those of `on_loss`; when the list of tables is damaged, so that what is left may not be a prefix.
    pub fn open_marked(
        path: &Path,
        mark: &Path,
        options: &RocksOptions,
        on_loss: impl FnOnce(&mut Self, Loss) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let said = Mark::check(mark, path).map_err(MarkError::failed("open"))?;
        let mut store = Self::open(path, options)?;
        let loss = match (said, store.written) {
            (Said::Nothing | Said::Damaged, Some(_)) => Some(Loss::Mark),
            (Said::Batches(durable), held) if held.unwrap_or(0) < durable => Some(Loss::Batches {
                held: held.unwrap_or(0),
                durable,
            }),
            _ => None,
        };
        if let Some(loss) = loss {
            on_loss(&mut store, loss)?;
            // Before the mark forgets it.
            store.sync()?;
        }
        store.mark = Some(Mark::open(mark, path).map_err(MarkError::failed("open"))?);
        store.sync()?;
        Ok(store)
    }

    /// Opens a store to be read, also while another process uses it: as it is now, without what is written later.
    /// Writes to it fail.
    ///
    /// # Errors
    /// [`StoreError`] when there is none, when the format is another, or when the files changed meanwhile: try again then.
    pub fn open_read_only(path: &Path, options: &RocksOptions) -> Result<Self, StoreError> {
        let error = |reason: String| StoreError {
            action: "open",
            reason,
        };
        let mut read = Self::options(options);
        read.create_if_missing(false);
        let families = Self::families(options);
        let db = DB::open_cf_descriptors_read_only(&read, path, families, false)
            .map_err(|e| error(reason_of_open(path, &e)))?;
        Self::of(db, path)
    }

    fn of(db: DB, path: &Path) -> Result<Self, StoreError> {
        let mut store = Self {
            db: Arc::new(db),
            path: path.to_path_buf(),
            written: None,
            mark: None,
            loaded: Arc::default(),
        };
        store.check_format()?;
        let written = store.db.get(WRITTEN_KEY).map_err(store.failed("open"))?;
        store.written = match written.as_deref().map(<[u8; 8]>::try_from) {
            None => None,
            Some(Ok(number)) => Some(u64::from_le_bytes(number)),
            Some(Err(_)) => {
                return Err(StoreError {
                    action: "open",
                    reason: format!("{}: the number of batches is damaged", path.display()),
                });
            }
        };
        Ok(store)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn options(options: &RocksOptions) -> Options {
        let mut db = Options::default();
        db.create_if_missing(true);
        db.create_missing_column_families(true);
        db.set_db_write_buffer_size(options.write_buffer_bytes);
        db.set_max_open_files(options.open_files_max);
        db.set_max_background_jobs(2);
        db.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        // A log that isn't the last is noted when it is whole: without, one that is missing would leave a hole.
        db.set_track_and_verify_wals_in_manifest(true);
        // A rarely written table must not keep old logs alive without bound.
        let log_bytes = u64::try_from(options.write_buffer_bytes)
            .unwrap_or(u64::MAX)
            .saturating_mul(4);
        db.set_max_total_wal_size(log_bytes);
        db.set_log_level(LogLevel::Warn);
        db.set_keep_log_file_num(2);
        db.set_max_log_file_size(1 << 20);
        db.set_stats_dump_period_sec(0);
        db
    }

    fn blocks() -> BlockBasedOptions {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_bloom_filter(10.0, false);
        blocks
    }

    const fn compression(table: Table) -> DBCompressionType {
        match table {
            Table::Blocks | Table::Batches | Table::Content => DBCompressionType::Lz4,
            // Hashes and small records don't shrink.
            _ => DBCompressionType::None,
        }
    }

    fn families(options: &RocksOptions) -> Vec<ColumnFamilyDescriptor> {
        let mut blocks = Self::blocks();
        blocks.set_block_cache(&Cache::new_lru_cache(options.block_cache_bytes));
        let family = |name: &str, compression| {
            let mut family = Options::default();
            family.set_block_based_table_factory(&blocks);
            family.set_compression_type(compression);
            // Buffers are allocated in pieces of an eighth of this; the sum has a limit of its own.
            family.set_write_buffer_size((options.write_buffer_bytes / 4).max(64 << 10));
            ColumnFamilyDescriptor::new(name, family)
        };
        let tables = Table::ALL
            .into_iter()
            .map(|table| family(name_of(table), Self::compression(table)));
        tables
            .chain([family(
                rocksdb::DEFAULT_COLUMN_FAMILY_NAME,
                DBCompressionType::None,
            )])
            .collect()
    }

    /// Compares the format, or writes it into a new database before anything else is written.
    fn check_format(&self) -> Result<(), StoreError> {
        let error = |reason: String| StoreError {
            action: "open",
            reason,
        };
        let path = self.path.display();
        match self
            .db
            .get(FORMAT_KEY)
            .map_err(|e| error(format!("{path}: {e}")))?
        {
            Some(found) if found == FORMAT.to_le_bytes() => Ok(()),
            Some(found) => {
                let found = found
                    .first_chunk()
                    .map_or(0, |bytes| u32::from_le_bytes(*bytes));
                Err(error(format!(
                    "the data in {path} has storage format {found}, this program knows format {FORMAT}; \
                     use the program that wrote it, or another data directory"
                )))
            }
            None => {
                let mut durable = WriteOptions::default();
                durable.set_sync(true);
                self.db
                    .put_opt(FORMAT_KEY, FORMAT.to_le_bytes(), &durable)
                    .map_err(|e| error(format!("{path}: {e}")))
            }
        }
    }

    fn family(&self, table: Table) -> &ColumnFamily {
        family_of(&self.db, table)
    }

    /// Makes table files of what is written, and a new log.
    #[cfg(test)]
    pub(super) fn flush(&self, tables: &[Table]) {
        for table in tables {
            assert!(self.db.flush_cf(self.family(*table)).is_ok());
        }
    }

    fn failed(&self, action: &'static str) -> impl Fn(rocksdb::Error) -> StoreError {
        move |error| StoreError {
            action,
            reason: format!("{}: {error}", self.path.display()),
        }
    }
}

/// RocksDB's words for a failed opening, or ours where we know better.
fn reason_of_open(path: &Path, error: &rocksdb::Error) -> String {
    let words = error.to_string();
    let path = path.display();
    // Another process: "While lock file: …/LOCK"; the same one: "lock hold by current process".
    if words.contains("While lock file") || words.contains("lock hold by current process") {
        return format!("another node uses this data directory: {path}");
    }
    format!("{path}: {words}")
}

fn family_of(db: &DB, table: Table) -> &ColumnFamily {
    db.cf_handle(name_of(table))
        .expect("every table was opened")
}

impl Store for RocksStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db
            .get_cf(self.family(table), key)
            .map_err(self.failed("read"))
    }

    fn reader(&self) -> Option<Arc<dyn ReadStore>> {
        Some(Arc::new(RocksReader {
            db: Arc::downgrade(&self.db),
            path: self.path.clone(),
        }))
    }

    fn adder(&self) -> Option<Arc<dyn AddStore>> {
        Some(Arc::new(RocksAdder {
            db: Arc::downgrade(&self.db),
            path: self.path.clone(),
            loaded: self.loaded.clone(),
        }))
    }

    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        beside::range(&self.db, table, from, limit).map_err(self.failed("read"))
    }

    fn write(&mut self, batch: Vec<Write>) -> Result<(), StoreError> {
        let mut writes = WriteBatch::default();
        for write in batch {
            match write {
                Write::Put { table, key, value } => writes.put_cf(self.family(table), key, value),
                Write::Delete { table, key } => writes.delete_cf(self.family(table), key),
            }
        }
        let number = self.written.map_or(1, |written| written.saturating_add(1));
        writes.put(WRITTEN_KEY, number.to_le_bytes());
        self.db.write(writes).map_err(self.failed("write"))?;
        self.written = Some(number);
        Ok(())
    }

    fn load(
        &mut self,
        table: Table,
        entries: &mut dyn Iterator<Item = Entry>,
    ) -> Result<(), StoreError> {
        // What was written before must not be lost when this is kept.
        self.sync()?;
        let Some(first) = entries.next() else {
            return Ok(());
        };
        let number = self.loaded.fetch_add(1, Ordering::Relaxed);
        let entries = std::iter::once(first).chain(entries);
        ingest(&self.db, &self.path, number, table, entries).map_err(self.failed("write"))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.db.flush_wal(true).map_err(self.failed("sync"))?;
        match (&mut self.mark, self.written) {
            (Some(mark), Some(written)) => mark.note(written).map_err(MarkError::failed("sync")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::check::{check_store, put};

    fn open(path: &Path) -> Result<RocksStore, StoreError> {
        RocksStore::open(path, &RocksOptions::default())
    }

    #[test]
    fn it_keeps_the_contract() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        check_store(&mut open(dir.path()).expect("an empty directory"));
    }

    #[test]
    fn what_was_written_is_there_after_reopening() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("made/on/demand");
        let mut store = open(&path).expect("an empty directory");
        assert_eq!(
            store
                .write(vec![put(Table::Safety, b"vote", b"7")])
                .and_then(|()| store.sync()),
            Ok(())
        );
        assert_eq!(
            store.write(vec![put(Table::Chain, b"height", b"1")]),
            Ok(())
        );
        drop(store);
        let store = open(&path).expect("as it was left");
        assert_eq!(store.get(Table::Safety, b"vote"), Ok(Some(b"7".to_vec())));
        assert_eq!(store.get(Table::Chain, b"height"), Ok(Some(b"1".to_vec())));
    }

    #[test]
    fn a_second_opening_of_a_directory_is_refused_with_its_path() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let _first = open(dir.path()).expect("an empty directory");
        let error = open(dir.path()).expect_err("it is held");
        assert_eq!(
            error.reason,
            format!(
                "another node uses this data directory: {}",
                dir.path().display()
            )
        );
    }

    #[test]
    fn another_storage_format_is_refused_by_its_number() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = open(dir.path()).expect("an empty directory");
        assert!(store.db.put(FORMAT_KEY, 77_u32.to_le_bytes()).is_ok());
        drop(store);
        let error = open(dir.path()).expect_err("the format is unknown");
        assert!(error.reason.contains("storage format 77"), "{error}");
    }

    #[test]
    fn a_path_that_is_a_file_is_named_in_the_error() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let error = open(file.path()).expect_err("no directory");
        assert!(
            error.reason.contains(&file.path().display().to_string()),
            "{error}"
        );
    }

    /// The table files of a database.
    fn table_files(path: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path)
            .expect("it is there")
            .flatten()
            .map(|entry| entry.path());
        entries
            .filter(|path| path.extension().is_some_and(|extension| extension == "sst"))
            .collect()
    }

    #[test]
    fn a_damaged_table_gives_an_error_and_never_a_wrong_value() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut store = open(dir.path()).expect("an empty directory");
        let key = |i: u32| i.to_be_bytes();
        let value = |i: u32| [i.to_le_bytes(); 16].concat();
        let writes = (0..512)
            .map(|i| put(Table::Nodes, &key(i), &value(i)))
            .collect();
        assert_eq!(store.write(writes), Ok(()));
        store.flush(&[Table::Nodes]);
        drop(store);
        let files = table_files(dir.path());
        let largest = files
            .iter()
            .max_by_key(|file| std::fs::metadata(file).map_or(0, |data| data.len()));
        let file = largest.expect("a flushed table");
        let intact = std::fs::read(file).expect("readable");
        let mut errors = 0;
        for at in (0..intact.len()).step_by(intact.len() / 40) {
            let mut damaged = intact.clone();
            damaged[at] ^= 0x10;
            std::fs::write(file, &damaged).expect("writable");
            let Ok(store) = open(dir.path()) else {
                errors += 1;
                continue;
            };
            for i in 0..512 {
                match store.get(Table::Nodes, &key(i)) {
                    Ok(found) => assert_eq!(found, Some(value(i)), "byte {at}, key {i}"),
                    Err(error) => {
                        assert_eq!(error.action, "read");
                        errors += 1;
                    }
                }
            }
        }
        assert!(errors > 0, "none of the altered bytes mattered");
    }
}
