//! Operations that this user signed, and of which nobody was told yet what became of them.
//!
//! `operations/<genesis hash>/<account>.txt` in the user's directory, and beside it `<account>.lock`. The first line is
//! `frith operations 1` and BLAKE3 of what follows; then each line is SCALE of an [`Entry`] in hexadecimal, oldest first. The
//! file is replaced in one step, before an operation is sent and after every answer.
//!
//! Invariants: who holds a [`Journal`] holds its lock, so of one account's commands one at a time chooses a nonce; an
//! operation that was sent stands in the file until somebody was told its fate. A file that isn't whole stops everything:
//! nobody knows what may be under way then. At most `ENTRIES_MAX` entries.
//!
//! Limits: two home directories with one key have two journals. The nodes keep their nonces apart then: one that has taken
//! an operation refuses another with its nonce.

use crate::checked_file::{self, Kind, Unusable};
use crate::failure::{Failure, Result};
use frith_ledger::address::Address;
use frith_ledger::codec::decode;
use frith_ledger::hash::Hash;
use frith_ledger::operation::{Operation, OperationId, SignedOperation};
use frith_ledger::parameters::OPERATION_BYTES_MAX;
use frith_ledger::units::Epoch;
use frith_neighbourhood::Slot;
use parity_scale_codec::{Decode, Encode};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Entries of an account at one time.
const ENTRIES_MAX: usize = 256;
/// Bytes of an entry: the operation and what is known of it.
const ENTRY_BYTES_MAX: usize = OPERATION_BYTES_MAX + 128;

const KIND: Kind = Kind {
    head: "frith operations 1 ",
    bytes_max: (ENTRIES_MAX * (2 * ENTRY_BYTES_MAX + 1) + 256) as u64,
};

/// What is known of the way of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Sent {
    /// Signed, and sent or about to be: no answer came.
    Signed,
    /// A node has taken it.
    Taken,
    /// It was refused before it used its nonce. Whoever has it could send it again.
    Refused,
}

/// An operation whose fate nobody was told.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// The operation.
    pub operation: SignedOperation,
    /// What its command wanted: equal for equal commands.
    pub intent: Hash,
    /// The epoch in which it was signed.
    pub since: Epoch,
    /// Its way so far.
    pub sent: Sent,
    /// The other operation with the same nonce that was signed last: of both one is executed at most.
    pub rival: Option<OperationId>,
}

impl Entry {
    /// Its operation's id.
    #[must_use]
    pub fn id(&self) -> OperationId {
        Operation::Signed(self.operation.clone()).id()
    }

    /// When it can be executed.
    #[must_use]
    pub fn slot(&self) -> Slot {
        let body = &self.operation.body;
        Slot {
            account: body.account,
            nonce: body.nonce,
            since: self.since,
            expires: body.expires,
        }
    }
}

/// The entries of an account, locked.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// Oldest first.
    entries: Vec<Entry>,
    /// Locked until it is dropped.
    _lock: File,
}

impl Journal {
    /// Waits for other commands of the account, after `waiting` was told so, and reads the entries.
    ///
    /// # Errors
    /// The system refuses, or the file isn't whole.
    pub fn open(
        home: &Path,
        genesis: &Hash,
        account: &Address,
        waiting: impl FnOnce(),
    ) -> Result<Self> {
        let folder = home.join("operations").join(genesis.to_hex());
        let failed = |path: &Path, error: std::io::Error| {
            Failure::file("keep a record of what is signed in", path, error)
                .advise("make room, or name a directory that can be written to with --home; nothing was signed")
        };
        std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        let place = folder.join(format!("{account}.lock"));
        let mut options = OpenOptions::new();
        let opened = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(&place);
        let lock = opened.map_err(|error| failed(&place, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                lock.lock().map_err(|error| failed(&place, error))?;
            }
            Err(TryLockError::Error(error)) => return Err(failed(&place, error)),
        }
        let path = folder.join(format!("{account}.txt"));
        let entries = read(&path, genesis, account)?;
        Ok(Self {
            path,
            entries,
            _lock: lock,
        })
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of an operation.
    #[must_use]
    pub fn get(&self, id: &OperationId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id() == *id)
    }

    /// Whether there is no room for another.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.entries.len() >= ENTRIES_MAX
    }

    /// Adds an entry. Gives those whose nonce it has: it is their rival from now on, and the last of them its own.
    ///
    /// # Errors
    /// It is full, or the system refuses.
    pub fn add(&mut self, mut entry: Entry) -> Result<Vec<OperationId>> {
        if self.is_full() {
            return Err(Failure::usage(format!(
                "of {ENTRIES_MAX} operations it isn't known what became of them"
            ))
            .advise("ask for them with `frith wallet operation`, and for each with its id; nothing was signed"));
        }
        let (id, nonce) = (entry.id(), entry.slot().nonce);
        let mut replaced = Vec::new();
        for earlier in &mut self.entries {
            if earlier.slot().nonce == nonce {
                earlier.rival = Some(id);
                replaced.push(earlier.id());
            }
        }
        entry.rival = replaced.last().copied();
        self.entries.push(entry);
        self.save()?;
        Ok(replaced)
    }

    /// Changes what is known of an operation.
    ///
    /// # Errors
    /// The system refuses.
    pub fn change(&mut self, id: &OperationId, change: impl FnOnce(&mut Entry)) -> Result<()> {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.id() == *id) else {
            return Ok(());
        };
        let before = entry.clone();
        change(entry);
        if *entry == before {
            return Ok(());
        }
        self.save()
    }

    /// Forgets operations: somebody was told their fate.
    ///
    /// # Errors
    /// The system refuses.
    pub fn forget(&mut self, told: impl Fn(&Entry) -> bool) -> Result<()> {
        let before = self.entries.len();
        self.entries.retain(|entry| !told(entry));
        if self.entries.len() == before {
            return Ok(());
        }
        self.save()
    }

    fn save(&self) -> Result<()> {
        checked_file::replace(&self.path, &KIND.text(&body(&self.entries)))
            .map_err(|error| Failure::file("write", &self.path, error))
    }
}

fn body(entries: &[Entry]) -> String {
    entries
        .iter()
        .map(|entry| format!("{}\n", hex::encode(entry.encode())))
        .collect()
}

fn read(path: &Path, genesis: &Hash, account: &Address) -> Result<Vec<Entry>> {
    let is_ours = |entry: &Entry| {
        let body = &entry.operation.body;
        body.genesis == *genesis && body.account == *account
    };
    let found = KIND.read(path).and_then(|text| parse(&text));
    match found {
        Ok(entries) if entries.iter().all(is_ours) => Ok(entries),
        Ok(_) => Err(Failure::file("use", path, "it is of another account or network")
            .advise("move it to where it was: its folder names the network, and its name the account")),
        Err(Unusable::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(reason) => Err(Failure::file("use", path, reason).advise(
            "it says which operations may be under way: look with `frith wallet history` what was executed, wait until what \
             may be under way has expired, and move the file away",
        )),
    }
}

fn parse(text: &str) -> std::result::Result<Vec<Entry>, Unusable> {
    // The checksum holds: another version wrote what isn't understood.
    let other = || Unusable::NoHead(KIND.head);
    let entry = |line: &str| {
        let bytes = hex::decode(line).ok()?;
        decode(&bytes, ENTRY_BYTES_MAX).ok()
    };
    let lines = KIND.body(text)?.lines();
    lines.map(|line| entry(line).ok_or_else(other)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::credits::Credits;
    use frith_ledger::key::SecretKey;
    use frith_ledger::operation::{Action, OperationBody};
    use frith_ledger::units::Nonce;
    use std::sync::mpsc::channel;

    const GENESIS: Hash = Hash([7; 32]);

    fn account() -> Address {
        SecretKey::from_bytes(&[1; 32]).public().address()
    }

    fn entry_of(nonce: u64) -> Entry {
        let body = OperationBody {
            genesis: GENESIS,
            account: account(),
            nonce: Nonce::new(nonce),
            expires: Epoch::new(60),
            fee: Credits::new(1),
            action: Action::CancelTask { task: account() },
        };
        Entry {
            operation: SignedOperation::sign(body, &SecretKey::from_bytes(&[1; 32])),
            intent: Hash([9; 32]),
            since: Epoch::new(3),
            sent: Sent::Signed,
            rival: None,
        }
    }

    fn open(home: &Path) -> Result<Journal> {
        Journal::open(home, &GENESIS, &account(), || {})
    }

    #[test]
    fn what_was_signed_is_there_until_it_is_forgotten() -> Result<()> {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (first, second) = (entry_of(1), entry_of(2));
        let mut journal = open(home.path())?;
        assert!(journal.add(first.clone())?.is_empty());
        journal.add(second.clone())?;
        let mut rival = entry_of(2);
        rival.operation.body.expires = Epoch::new(70);
        assert_eq!(journal.add(rival.clone())?, [second.id()]);
        assert_eq!(
            journal.get(&second.id()).and_then(|entry| entry.rival),
            Some(rival.id())
        );
        journal.forget(|entry| entry.id() == rival.id())?;
        journal.change(&first.id(), |entry| entry.sent = Sent::Taken)?;
        drop(journal);
        let mut journal = open(home.path())?;
        let sent: Vec<Sent> = journal.entries().iter().map(|entry| entry.sent).collect();
        assert_eq!(sent, [Sent::Taken, Sent::Signed]);
        journal.forget(|entry| entry.id() == first.id())?;
        drop(journal);
        let left: Vec<OperationId> = open(home.path())?.entries().iter().map(Entry::id).collect();
        assert_eq!(left, [second.id()]);
        let other = Journal::open(home.path(), &Hash([8; 32]), &account(), || {})?;
        assert!(other.entries().is_empty(), "another network's are others");
        Ok(())
    }

    #[test]
    fn of_one_account_one_command_at_a_time_has_the_journal() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let journal = open(home.path()).expect("opens");
        let (told, waits) = channel();
        let (done, ended) = channel();
        let path = home.path().to_owned();
        let other = std::thread::spawn(move || {
            let waiting = || told.send(()).expect("is heard");
            let journal = Journal::open(&path, &GENESIS, &account(), waiting).expect("opens");
            done.send(journal.entries().len()).expect("is heard");
        });
        waits.recv().expect("it waits");
        assert!(ended.try_recv().is_err(), "it has it although it is held");
        let mut journal = journal;
        journal.add(entry_of(1)).expect("writes");
        drop(journal);
        assert_eq!(ended.recv(), Ok(1), "it sees what was written meanwhile");
        other.join().expect("ends");
    }

    #[test]
    fn a_journal_that_is_not_whole_stops_everything_and_says_what_to_do() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut journal = open(home.path()).expect("opens");
        journal.add(entry_of(1)).expect("writes");
        let path = journal.path.clone();
        drop(journal);
        let text = std::fs::read_to_string(&path).expect("is there");
        let of_another_version = KIND.text("00ff\n");
        for spoilt in [&text[..text.len() - 2], "", "else", &of_another_version] {
            std::fs::write(&path, spoilt).expect("writes");
            let failure = open(home.path()).expect_err("isn't whole");
            let named = failure.message.contains(&path.display().to_string());
            assert!(named && failure.advice.is_some(), "{failure:?}");
        }
        std::fs::write(&path, text).expect("writes");
        assert_eq!(open(home.path()).expect("is whole").entries().len(), 1);
    }

    #[test]
    fn a_journal_of_another_account_or_network_stops_everything_too() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut journal = open(home.path()).expect("opens");
        journal.add(entry_of(1)).expect("writes");
        let text = std::fs::read_to_string(&journal.path).expect("is there");
        for (genesis, account) in [(GENESIS, Address([4; 32])), (Hash([8; 32]), account())] {
            let of = || Journal::open(home.path(), &genesis, &account, || {});
            let path = of().expect("is empty").path;
            std::fs::write(&path, &text).expect("writes");
            let failure = of().expect_err("is another's");
            assert!(failure.message.contains("another account"), "{failure}");
        }
    }

    #[test]
    fn a_full_journal_takes_nothing_more_and_a_home_that_cannot_be_written_nothing_at_all() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut journal = open(home.path()).expect("opens");
        journal.entries = (0..ENTRIES_MAX as u64).map(entry_of).collect();
        let failure = journal.add(entry_of(9_999)).expect_err("is full");
        assert!(failure.message.contains("256"), "{failure}");
        journal
            .forget(|entry| entry.slot().nonce == Nonce::ZERO)
            .expect("writes");
        journal.add(entry_of(9_999)).expect("there is room");
        let longest = 2 * ENTRY_BYTES_MAX + 1;
        assert!(KIND.bytes_max as usize > ENTRIES_MAX * longest + KIND.text("").len());

        let file = home.path().join("file");
        std::fs::write(&file, "").expect("writes");
        let failure = open(&file).expect_err("no folder");
        assert!(failure.message.contains("file/operations"), "{failure}");
    }

    #[test]
    fn fuzz_journals_of_operations() {
        let two = [entry_of(1), entry_of(2)];
        let example = KIND.text(&body(&two));
        frith_fuzz::harness!(|input: &[u8]| {
            let noise = String::from_utf8_lossy(input).into_owned();
            for text in [noise, frith_fuzz::damage_text(&example, input)] {
                if let Ok(entries) = parse(&text) {
                    assert_eq!(entries, two, "it was changed unnoticed");
                }
            }
            let read = |bytes: &[u8]| decode::<Entry>(bytes, ENTRY_BYTES_MAX);
            frith_fuzz::codec(input, ENTRY_BYTES_MAX, read);
        });
    }
}
