//! A file beside a store that shows when the store has lost what was durable.
//!
//! A log that ends early looks like one whose end a power loss took, and so does the list of a database's tables
//! (its MANIFEST): both are read up to where they end, and what is missing is missing silently. So after every sync
//! the mark notes how many batches had been written by then, and what the list of tables was. A store with fewer
//! batches has lost some, by damage or because an older copy of it was put back; a list that doesn't begin with
//! what was noted is damaged.
//!
//! The mark is written after the sync and isn't synced itself, which would double the cost of every sync. So it never
//! claims more than is durable, and the death of the process takes nothing from it. A power loss may leave it as old
//! as the system lets written pages wait, half a minute as a rule: a store that is damaged in the same moment may
//! pass for whole.
//!
//! Two slots are written in turn, each in a sector of its own, so that one of them is always whole.

use super::StoreError;
use crate::hash::{Domain, Hash, Hasher};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Distance of the slots: the sector that a disk writes at once.
const SLOT_BYTES: u64 = 512;
const SLOTS: u64 = 2;
/// Turn, batches, the list's number and length, its hash, and the beginning of the hash over all these.
const NOTE_BYTES: usize = 4 * 8 + 32 + 8;
/// Names the current list of tables.
const CURRENT_FILE: &str = "CURRENT";
/// How the lists' names begin; their number follows.
const LIST_PREFIX: &str = "MANIFEST-";

/// What was durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Note {
    /// Counts the notes.
    turn: u64,
    /// Batches written so far.
    batches: u64,
    /// The list of tables: its number, how many bytes it had, and their hash.
    list: (u64, u64, Hash),
}

impl Note {
    fn encode(&self) -> [u8; NOTE_BYTES] {
        let (number, bytes, hash) = self.list;
        let mut encoded = [0; NOTE_BYTES];
        let numbers = [self.turn, self.batches, number, bytes].map(u64::to_le_bytes);
        encoded[..32].copy_from_slice(numbers.as_flattened());
        encoded[32..64].copy_from_slice(&hash.0);
        let sum = Self::sum(&encoded[..64]);
        encoded[64..].copy_from_slice(&sum);
        encoded
    }

    fn sum(bytes: &[u8]) -> [u8; 8] {
        let hash = Domain::StoreMark.hasher().update(bytes).finish();
        let mut sum = [0; 8];
        sum.copy_from_slice(&hash.0[..8]);
        sum
    }

    /// `None` when it isn't what was written.
    fn decode(encoded: &[u8; NOTE_BYTES]) -> Option<Self> {
        let (body, sum) = encoded.split_at(64);
        let (numbers, hash) = body.split_at(32);
        let (numbers, _) = numbers.as_chunks::<8>();
        let number = |at: usize| numbers.get(at).copied().map(u64::from_le_bytes);
        let hash = Hash(hash.try_into().ok()?);
        let note = Self {
            turn: number(0)?,
            batches: number(1)?,
            list: (number(2)?, number(3)?, hash),
        };
        (Self::sum(body) == *sum).then_some(note)
    }
}

/// What a mark says when a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// There is no mark.
    Nothing,
    /// There is one that can't be believed.
    Damaged,
    /// At least so many batches were durable.
    Batches(u64),
}

/// The mark of an open store.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    file: File,
    note: Note,
    store: PathBuf,
    /// Hashes the list of tables as far as it was noted.
    hasher: Hasher,
}

/// Why a store doesn't fit its mark, or can't be compared with it.
#[derive(Debug, thiserror::Error)]
pub(super) enum MarkError {
    /// The system failed.
    #[error("{}: {error}", path.display())]
    Io {
        /// On which file.
        path: PathBuf,
        /// Its words.
        error: io::Error,
    },
    /// The list of tables isn't what it was.
    #[error("{} is damaged: it doesn't begin with what was durable in it", path.display())]
    List {
        /// The list.
        path: PathBuf,
    },
}

impl MarkError {
    /// As the failure of what was tried.
    pub(super) fn failed(action: &'static str) -> impl Fn(Self) -> StoreError {
        move |error| StoreError {
            action,
            reason: error.to_string(),
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> MarkError {
    move |error| MarkError::Io {
        path: path.to_owned(),
        error,
    }
}

impl Mark {
    /// Reads the mark at `path`, and compares the list of tables of the store in `store`, which nobody has open,
    /// with it. O(bytes of the list).
    ///
    /// # Errors
    /// [`MarkError`].
    pub(super) fn check(path: &Path, store: &Path) -> Result<Said, MarkError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Said::Nothing),
            Err(error) => return Err(at(path)(error)),
        };
        let Some(note) = newest(&file).map_err(at(path))? else {
            return Ok(Said::Damaged);
        };
        let (number, bytes, hash) = note.list;
        let Some(current) = current_list(store)? else {
            return Ok(Said::Batches(note.batches));
        };
        // Each opening begins a new list. One that was cut off before its first sync left no note of it.
        if current > number {
            return Ok(Said::Batches(note.batches));
        }
        let list = list_path(store, current);
        let mut hasher = Domain::StoreMark.hasher();
        let read = hash_list(&list, 0, Some(bytes), &mut hasher)?;
        if current < number || read < bytes || hasher.finish() != hash {
            return Err(MarkError::List { path: list });
        }
        Ok(Said::Batches(note.batches))
    }

    /// Opens the mark at `path` to be written, or makes one that claims nothing. A new one is durable, with its name,
    /// when this returns.
    ///
    /// # Errors
    /// [`MarkError`].
    pub(super) fn open(path: &Path, store: &Path) -> Result<Self, MarkError> {
        let mut found = None;
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => found = newest(&file).map_err(at(path))?.map(|note| (file, note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(path)(error)),
        }
        let (file, note) = match found {
            // The list that was noted is an older one's.
            Some((file, note)) => (
                file,
                Note {
                    list: Note::default().list,
                    ..note
                },
            ),
            None => (make(path).map_err(at(path))?, Note::default()),
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            note,
            store: store.to_owned(),
            hasher: Domain::StoreMark.hasher(),
        })
    }

    /// Notes that so many batches are durable, and the list of tables as it is now. Microseconds, but for a list that
    /// has changed: that is synced first.
    ///
    /// # Errors
    /// [`MarkError`].
    pub(super) fn note(&mut self, batches: u64) -> Result<(), MarkError> {
        self.note_list()?;
        self.note.batches = batches;
        self.note.turn = self.note.turn.wrapping_add(1);
        let slot = self.note.turn % SLOTS * SLOT_BYTES;
        let written = self.file.write_all_at(&self.note.encode(), slot);
        written.map_err(at(&self.path))
    }

    /// Takes in what was added to the list of tables since the last note.
    fn note_list(&mut self) -> Result<(), MarkError> {
        let Some(current) = current_list(&self.store)? else {
            return Ok(());
        };
        if current != self.note.list.0 {
            self.note.list = (current, 0, Hash::ZERO);
            self.hasher = Domain::StoreMark.hasher();
        }
        let path = list_path(&self.store, current);
        let known = self.note.list.1;
        let length = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            // A newer list has just taken its place; the next note has it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(at(&path)(error)),
        };
        if length > known {
            let added = hash_list(&path, known, Some(length - known), &mut self.hasher)?;
            self.note.list = (current, known + added, self.hasher.finish());
        }
        Ok(())
    }
}

/// Makes a mark that claims nothing, durable with its name. A power loss leaves either nothing there or all of it.
fn make(path: &Path) -> io::Result<File> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    let file = options.open(&new)?;
    file.set_len(SLOT_BYTES * SLOTS)?;
    file.write_all_at(&Note::default().encode(), 0)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(file)
}

/// Whether the mark at `path` says that something was durable in its store, or can't be believed: the store was used then,
/// though it be gone. Not when there is no mark, or one of a store that nothing was synced in.
///
/// # Errors
/// [`StoreError`] when it can't be read.
pub fn mark_tells_of_use(path: &Path) -> Result<bool, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(MarkError::failed("open")(at(path)(error))),
    };
    let note = newest(&file).map_err(|error| MarkError::failed("open")(at(path)(error)))?;
    Ok(note.is_none_or(|note| note.batches > 0))
}

/// The newest note that holds; `None` when neither does.
fn newest(file: &File) -> io::Result<Option<Note>> {
    let mut newest: Option<Note> = None;
    for slot in 0..SLOTS {
        let mut encoded = [0; NOTE_BYTES];
        match file.read_exact_at(&mut encoded, slot * SLOT_BYTES) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            Err(error) => return Err(error),
        }
        let note = Note::decode(&encoded);
        if note.is_some_and(|note| newest.is_none_or(|newest| newest.turn < note.turn)) {
            newest = note;
        }
    }
    Ok(newest)
}

/// The number of the current list of tables; `None` when the store has none that can be read, which it says itself.
fn current_list(store: &Path) -> Result<Option<u64>, MarkError> {
    let path = store.join(CURRENT_FILE);
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(&path)(error)),
    };
    Ok(text
        .trim_end()
        .strip_prefix(LIST_PREFIX)
        .and_then(|number| number.parse().ok()))
}

fn list_path(store: &Path, number: u64) -> PathBuf {
    store.join(format!("{LIST_PREFIX}{number:06}"))
}

/// Hashes at most `max` bytes of a list, from `from` on, and makes them durable. How many there were.
fn hash_list(
    path: &Path,
    from: u64,
    max: Option<u64>,
    hasher: &mut Hasher,
) -> Result<u64, MarkError> {
    let mut read = || -> io::Result<u64> {
        let mut file = File::open(path)?;
        file.sync_data()?;
        file.seek(SeekFrom::Start(from))?;
        let mut rest = file.take(max.unwrap_or(u64::MAX));
        let (mut buffer, mut read) = (vec![0; 64 << 10], 0_u64);
        loop {
            let count = rest.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return Ok(read);
            };
            hasher.update(bytes);
            read += u64::try_from(count).unwrap_or(u64::MAX);
        }
    };
    read().map_err(at(path))
}
