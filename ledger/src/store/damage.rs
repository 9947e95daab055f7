//! Every file of a database, damaged in every way: an error, a loss that is told, or nothing that matters. Never a
//! wrong value, and never silence about what is gone.

use super::check::put;
use super::rocks::{Loss, RocksOptions, RocksStore};
use super::{Store as _, StoreError, Table, mark_tells_of_use};
use std::fs;
use std::path::{Path, PathBuf};

const BATCHES: u32 = 60;
const STORE: &str = "store";
const MARK: &str = "store.mark";

fn value(batch: u32) -> Vec<u8> {
    batch.to_le_bytes().repeat(40)
}

fn open(dir: &Path) -> Result<(RocksStore, Option<Loss>), StoreError> {
    let options = RocksOptions::default();
    let mut lost = None;
    let store = RocksStore::open_marked(&dir.join(STORE), &dir.join(MARK), &options, |_, loss| {
        lost = Some(loss);
        Ok(())
    })?;
    Ok((store, lost))
}

fn write(store: &mut RocksStore, batch: u32) {
    let writes = vec![
        put(Table::Safety, b"vote", &batch.to_be_bytes()),
        put(Table::Nodes, &batch.to_be_bytes(), &value(batch)),
        put(Table::Blocks, &batch.to_be_bytes(), &value(batch)),
    ];
    assert_eq!(store.write(writes).and_then(|()| store.sync()), Ok(()));
}

/// A store with tables of several families, a log that isn't the last, and a last log.
fn filled(dir: &Path) {
    let (mut store, lost) = open(dir).expect("an empty directory");
    assert_eq!(lost, None);
    for batch in 1..=BATCHES {
        write(&mut store, batch);
        match batch {
            15 => store.flush(&Table::ALL),
            30 => store.flush(&[Table::Nodes, Table::Safety]),
            45 => store.flush(&[Table::Nodes]),
            _ => {}
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("makes");
    for entry in fs::read_dir(from).expect("is there").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copies");
        }
    }
}

/// The files of the store and its mark, by their paths in `dir`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join(STORE)).expect("is there").flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| Path::new(STORE).join(entry.file_name()))
        .collect();
    files.sort();
    files.push(MARK.into());
    files
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Emptied,
    Cut { eighths: usize },
    Bit { at: usize, of: usize },
    Deleted,
    Unreadable,
}

impl Damage {
    fn all() -> Vec<Self> {
        let cuts = [1, 4, 7].map(|eighths| Self::Cut { eighths });
        let bits = (0..8).map(|at| Self::Bit { at, of: 8 });
        let others = [Self::Emptied, Self::Deleted, Self::Unreadable];
        others.into_iter().chain(cuts).chain(bits).collect()
    }

    fn apply(self, file: &Path) {
        let mut bytes = fs::read(file).expect("is there");
        match self {
            Self::Emptied => bytes.clear(),
            Self::Cut { eighths } => bytes.truncate(bytes.len() * eighths / 8),
            Self::Bit { at, of } => {
                let at_byte = bytes.len() * at / of;
                if let Some(byte) = bytes.get_mut(at_byte) {
                    *byte ^= 1 << (at % 8);
                }
            }
            Self::Deleted | Self::Unreadable => {
                fs::remove_file(file).expect("removes");
                if matches!(self, Self::Unreadable) {
                    // Nobody reads a directory as a file, whoever runs this.
                    fs::create_dir(file).expect("makes");
                }
                return;
            }
        }
        fs::write(file, bytes).expect("writes");
    }
}

/// The batches up to `last` are all there as they were, or can't be read. How many can't.
fn check_values(store: &RocksStore, last: u32, what: &str) -> usize {
    let mut errors = 0;
    for table in [Table::Nodes, Table::Blocks] {
        for batch in 1..=BATCHES {
            let expected = (batch <= last).then(|| value(batch));
            match store.get(table, &batch.to_be_bytes()) {
                Ok(found) => assert_eq!(found, expected, "{what}: {table:?} {batch} of {last}"),
                Err(_) => errors += 1,
            }
        }
    }
    errors
}

/// What became of one damage.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Became {
    Refused,
    Told,
    ReadErrors,
    Nothing,
}

fn check(original: &Path, file: &Path, damage: Damage) -> Became {
    let what = format!("{} {damage:?}", file.display());
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let dir = scratch.path();
    copy(original, dir);
    damage.apply(&dir.join(file));
    let (store, lost) = match open(dir) {
        Ok(opened) => opened,
        Err(error) => {
            let names = error.reason.contains(&dir.display().to_string());
            assert!(names, "{what}: {error}");
            return Became::Refused;
        }
    };
    let vote = match store.get(Table::Safety, b"vote") {
        Ok(vote) => vote.map_or(0, |vote| u32::from_be_bytes(vote.try_into().expect("four"))),
        Err(_) => return Became::ReadErrors,
    };
    if lost.is_none() {
        assert_eq!(vote, BATCHES, "{what}: votes are gone, and nothing says so");
    }
    let errors = check_values(&store, vote, &what);
    match (lost, errors) {
        (Some(_), _) => Became::Told,
        (None, 0) => Became::Nothing,
        (None, _) => Became::ReadErrors,
    }
}

#[test]
fn a_damaged_file_is_an_error_or_a_loss_that_is_told_and_never_a_wrong_value() {
    let original = tempfile::tempdir().expect("a temporary directory");
    filled(original.path());
    let files = files(original.path());
    let mut seen = Vec::new();
    for file in &files {
        let became: Vec<Became> = Damage::all()
            .into_iter()
            .map(|damage| check(original.path(), file, damage))
            .collect();
        seen.push((file.clone(), became));
    }
    let of = |part: &str| {
        let mine = seen
            .iter()
            .filter(move |(file, _)| file.to_string_lossy().contains(part));
        mine.flat_map(|(_, became)| became.iter().copied())
            .collect::<Vec<_>>()
    };
    // Each kind was there, and its damage showed.
    for (part, shows) in [
        (".log", Became::Told),
        (".sst", Became::ReadErrors),
        (".sst", Became::Refused),
        ("MANIFEST", Became::Refused),
        ("CURRENT", Became::Refused),
        (MARK, Became::Told),
    ] {
        assert!(of(part).contains(&shows), "{part}: {:?}", of(part));
    }
    let logs = files
        .iter()
        .filter(|file| file.to_string_lossy().contains(".log"));
    assert!(logs.count() >= 2, "{files:?}");
}

#[test]
fn an_older_copy_of_a_store_is_noticed_once() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let (dir, older) = (scratch.path().join("dir"), scratch.path().join("older"));
    fs::create_dir(&dir).expect("makes");
    let (mut store, _) = open(&dir).expect("an empty directory");
    write(&mut store, 1);
    drop(store);
    copy(&dir.join(STORE), &older);
    let (mut store, lost) = open(&dir).expect("as it was left");
    assert_eq!(lost, None);
    write(&mut store, 2);
    write(&mut store, 3);
    drop(store);
    fs::remove_dir_all(dir.join(STORE)).expect("removes");
    copy(&older, &dir.join(STORE));
    // The copy's list of tables has another number than the one that was noted, or a smaller one.
    match open(&dir) {
        Ok((_, lost)) => {
            let expected = Loss::Batches {
                held: 1,
                durable: 3,
            };
            assert_eq!(lost, Some(expected));
            let (_, again) = open(&dir).expect("as it was left");
            assert_eq!(again, None, "it was told once and has been dealt with");
        }
        Err(error) => assert!(error.reason.contains("MANIFEST"), "{error}"),
    }
}

#[test]
fn a_wiped_store_is_a_loss_and_one_that_was_never_there_is_none() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let tells = || mark_tells_of_use(&scratch.path().join(MARK));
    assert_eq!(tells(), Ok(false), "there is none");
    let (mut store, lost) = open(scratch.path()).expect("an empty directory");
    assert_eq!(lost, None);
    assert_eq!(tells(), Ok(false), "nothing is durable yet");
    write(&mut store, 1);
    drop(store);
    fs::remove_dir_all(scratch.path().join(STORE)).expect("removes");
    assert_eq!(tells(), Ok(true), "the mark knows of a store that is gone");
    let (_, lost) = open(scratch.path()).expect("an empty directory");
    let expected = Loss::Batches {
        held: 0,
        durable: 1,
    };
    assert_eq!(lost, Some(expected));
}

#[test]
fn a_loss_that_could_not_be_dealt_with_is_told_again() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    filled(scratch.path());
    fs::remove_file(scratch.path().join(MARK)).expect("removes");
    let error = StoreError {
        action: "write",
        reason: "full".to_owned(),
    };
    let (store, mark) = (scratch.path().join(STORE), scratch.path().join(MARK));
    let refused = RocksStore::open_marked(&store, &mark, &RocksOptions::default(), |_, _| {
        Err(error.clone())
    });
    assert_eq!(refused.err(), Some(error));
    let (_, lost) = open(scratch.path()).expect("as it was left");
    assert_eq!(lost, Some(Loss::Mark));
}

#[test]
fn a_log_whose_unsynced_end_is_torn_is_no_loss() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let dir = scratch.path();
    let (mut store, _) = open(dir).expect("an empty directory");
    write(&mut store, 1);
    let durable = log_bytes(dir);
    let more = vec![put(Table::Safety, b"vote", &2_u32.to_be_bytes())];
    assert_eq!(store.write(more), Ok(()));
    drop(store);
    let (log, whole) = (last_log(dir), log_bytes(dir));
    assert!(durable < whole);
    let bytes = fs::read(&log).expect("reads");
    for cut in durable..whole {
        fs::write(&log, &bytes[..cut]).expect("writes");
        let again = tempfile::tempdir().expect("a temporary directory");
        copy(dir, again.path());
        let (store, lost) = open(again.path()).expect("a torn end");
        assert_eq!(lost, None, "cut at {cut} of {durable} to {whole}");
        let vote = store.get(Table::Safety, b"vote");
        assert_eq!(vote, Ok(Some(1_u32.to_be_bytes().to_vec())));
    }
}

fn last_log(dir: &Path) -> PathBuf {
    let files = files(dir).into_iter();
    let logs = files.filter(|file| file.extension().is_some_and(|e| e == "log"));
    dir.join(logs.max().expect("a log"))
}

fn log_bytes(dir: &Path) -> usize {
    fs::read(last_log(dir)).expect("reads").len()
}
