//! Backups of a node: what brings it back on another machine, and nothing that could make it sign twice.
//!
//! A backup is one JSON file: genesis, settings, the worker's key file (encrypted as it is), and a report of what the
//! node had signed. It is right at any moment, also while the node runs, because nothing in it that is used for a
//! restore changes while it runs. Chain and state aren't in it: the others have them, and a restored node copies them.
//!
//! The *record of votes* is in it as a report only, and is never put back. One from a backup is old by nature; a node that
//! trusted it could sign again what it signed since. A restored node has the mark of having started before and an empty
//! store, which is a lost record to the protocol: it asks the others what it signed, and votes when more than two thirds of
//! them have answered. [`forget_votes`] does the same to a copy of a whole data directory.
//!
//! Limits: when all members of a network lose their stores at once, no backup of this kind brings the ledger back.

use crate::failure::{Failure, Result};
use crate::keystore::{KeyFile, Keystore, Overwrite};
use crate::node_dir::{
    self, CONFIG_FILE, GENESIS_FILE, MARK_FILE, NodeDir, STORE_DIR, WORKER_FILE,
};
use frith_ledger::block::ChainKind;
use frith_ledger::genesis::Genesis;
use frith_ledger::store::{RocksOptions, RocksStore, StoreError};
use frith_neighbourhood::record::{self, Recorded};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Names the form of the file.
const FORMAT: &str = "frith backup 1";
/// Bytes of a file that are read: a genesis, and little beside it.
const FILE_BYTES_MAX: u64 = 72 * 1024 * 1024;
/// How often a store that another process uses is tried: its files may change while it is opened.
const TRIES: u32 = 5;

/// A backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    format: String,
    genesis: String,
    config: String,
    worker: String,
    /// What the node had signed when the backup was made; `None` when it had no store, or it couldn't be read.
    pub signed: Option<Signed>,
    sum: String,
}

/// What a node has signed, as its store says. A report: nothing trusts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The network, by its genesis' hash.
    pub network: Option<String>,
    /// Whether a node on that store votes without asking others.
    pub may_vote: bool,
    /// Height of the last committed block.
    pub head: Option<u64>,
    /// One entry for each running instance.
    pub instances: Vec<SignedInstance>,
}

/// What a node has signed in one instance of consensus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedInstance {
    /// `leaf` or `root`.
    pub chain: String,
    /// Its epoch.
    pub epoch: u64,
    /// The highest view voted or timed out in.
    pub voted: u64,
    /// The highest view proposed in.
    pub proposed: u64,
    /// After a recovery: nothing is signed up to and with this view.
    pub floor: u64,
    /// The block of the last vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_vote: Option<String>,
}

impl From<Recorded> for Signed {
    fn from(recorded: Recorded) -> Self {
        let instance = |(kind, epoch, record): (
            ChainKind,
            frith_ledger::units::Epoch,
            frith_neighbourhood::consensus::SafetyRecord,
        )| SignedInstance {
            chain: match kind {
                ChainKind::Leaf => "leaf".to_owned(),
                ChainKind::Root => "root".to_owned(),
            },
            epoch: epoch.get(),
            voted: record.voted.get(),
            proposed: record.proposed.get(),
            floor: record.floor.get(),
            last_vote: record.last_vote.map(|(_, block)| block.to_hex()),
        };
        Self {
            network: recorded.genesis.map(|hash| hash.to_hex()),
            may_vote: recorded.may_vote,
            head: recorded.head.map(frith_ledger::units::Height::get),
            instances: recorded.records.into_iter().map(instance).collect(),
        }
    }
}

/// Length-prefixed, so that no two backups sum alike by accident.
fn sum(parts: [&str; 3]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("frith v1 backup file");
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// What the node on `dir` has signed. Also while it runs; a moment old then.
///
/// # Errors
/// No store there, or it can't be read.
pub fn signed(dir: &Path) -> Result<Signed> {
    let path = dir.join(STORE_DIR);
    let read = || -> std::result::Result<Recorded, StoreError> {
        let store = RocksStore::open_read_only(&path, &RocksOptions::default())?;
        record::recorded(&store)
    };
    let mut last = None;
    for _ in 0..TRIES {
        match read() {
            Ok(recorded) => return Ok(recorded.into()),
            Err(error) => last = Some(error),
        }
    }
    let error = last.map_or_else(String::new, |error| error.to_string());
    Err(Failure::file("read the record of votes in", &path, error)
        .advise("has a node ever started on this directory?"))
}

/// Reads a backup out of the data directory `dir`; a node may run on it.
///
/// # Errors
/// It isn't a data directory, or a file of it is damaged.
pub fn take(dir: &Path) -> Result<Backup> {
    let read = |name: &str| {
        let path = dir.join(name);
        crate::text::read(&path).map_err(|error| Failure::file("read", &path, error))
    };
    let genesis = read(GENESIS_FILE)?;
    let worker = KeyFile::read(&dir.join(WORKER_FILE)).map_err(Failure::other)?;
    let worker = worker.keystore().to_json();
    let config = read(CONFIG_FILE).unwrap_or_default();
    Ok(Backup {
        format: FORMAT.to_owned(),
        sum: sum([&genesis, &config, &worker]),
        genesis,
        config,
        worker,
        signed: signed(dir).ok(),
    })
}

impl Backup {
    /// Writes it to a new file that its owner alone can read, durably.
    ///
    /// # Errors
    /// There is such a file already, or the system refuses.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(Failure::other)?;
        let written = std::fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            });
        written.map_err(|error| Failure::file("write", path, error))
    }

    /// Reads one and checks that it is whole.
    ///
    /// # Errors
    /// It can't be read, isn't a backup, or is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let len = std::fs::metadata(path)
            .map_err(|error| Failure::file("read", path, error))?
            .len();
        if len > FILE_BYTES_MAX {
            return Err(Failure::usage(format!(
                "{} has more than {FILE_BYTES_MAX} bytes",
                path.display()
            )));
        }
        let text = crate::text::read(path).map_err(|error| Failure::file("read", path, error))?;
        let backup: Self = serde_json::from_str(&text)
            .map_err(|error| Failure::usage(format!("{} is no backup: {error}", path.display())))?;
        if backup.format != FORMAT {
            return Err(Failure::usage(format!(
                "{} is a {:?}, this program reads {FORMAT:?}",
                path.display(),
                backup.format
            )));
        }
        if backup.sum != sum([&backup.genesis, &backup.config, &backup.worker]) {
            return Err(Failure::other(format!("{} is damaged: its sum is another", path.display())).advise("take another copy; or bring the key back from its words with `frith node init --import`"));
        }
        Ok(backup)
    }

    /// Makes a data directory of it, on which a node asks the others before it votes. Nothing is overwritten.
    ///
    /// # Errors
    /// There is a data directory already, or the system refuses.
    pub fn restore(&self, dir: &Path) -> Result<()> {
        node_dir::refuse_existing(dir)?;
        let genesis: Genesis = serde_json::from_str(&self.genesis).map_err(Failure::usage)?;
        let worker = Keystore::from_json(&self.worker).map_err(Failure::usage)?;
        std::fs::create_dir_all(dir).map_err(|error| Failure::file("create", dir, error))?;
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).map_err(|error| Failure::file("write", &path, error))
        };
        // Before the key: a directory with this key and without the mark would be taken for a founder's first.
        node_dir::mark_started(dir)?;
        KeyFile::write(&dir.join(WORKER_FILE), worker, Overwrite::No).map_err(Failure::other)?;
        write(CONFIG_FILE, &self.config)?;
        // Last, since it is what makes the directory a data directory.
        write(
            GENESIS_FILE,
            &serde_json::to_string_pretty(&genesis).map_err(Failure::other)?,
        )
    }
}

/// Declares the record of votes in `dir` lost: what must be done to a copy of a data directory before a node starts on it.
///
/// # Errors
/// A node runs on it, or the store fails.
pub fn forget_votes(dir: &Path) -> Result<()> {
    let locked = NodeDir::lock(dir)?;
    // The mark that a node has started here must be there from now on, whatever was copied.
    locked.mark_started()?;
    let (path, mark) = (dir.join(STORE_DIR), dir.join(MARK_FILE));
    if !path.exists() {
        return Ok(());
    }
    let options = RocksOptions::default();
    let lost = |store: &mut RocksStore, _| record::forget(store);
    let mut store = RocksStore::open_marked(&path, &mark, &options, lost)
        .map_err(|error| node_dir::store_failure(dir, error))?;
    record::forget(&mut store).map_err(Failure::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystore::{Cost, Passphrase};
    use crate::node_dir::NewNode;
    use frith_ledger::key::Seed;
    use std::path::PathBuf;
    use zeroize::Zeroizing;

    fn data_directory(parent: &Path) -> PathBuf {
        let dir = parent.join("node");
        let options = crate::devnet::PlanOptions {
            nodes: 1,
            dir: parent.join("plan"),
            epoch_ms: 1000,
            time_ms: 0,
        };
        let planned = crate::devnet::plan(&options).expect("is planned");
        let new = NewNode {
            genesis: Some(&planned.genesis),
            config: "slots = 3\n",
            seed: &Seed::from_bytes([7; 32]),
            security_level: 17,
            passphrase: &Passphrase::new(Zeroizing::new("open".to_owned())).expect("is one"),
            cost: Cost::CHEAP,
            history: node_dir::KeyHistory::New,
        };
        node_dir::create(&dir, &new).expect("is made");
        dir
    }

    #[test]
    fn a_restored_directory_has_all_but_the_right_to_vote_at_once() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let dir = data_directory(parent.path());
        let file = parent.path().join("backup.json");
        take(&dir)
            .expect("is read")
            .write(&file)
            .expect("is written");
        assert!(
            take(&dir).expect("is read").write(&file).is_err(),
            "a backup is never overwritten"
        );
        let to = parent.path().join("other");
        Backup::read(&file)
            .expect("is whole")
            .restore(&to)
            .expect("is restored");
        for name in [GENESIS_FILE, CONFIG_FILE, WORKER_FILE] {
            let read = |dir: &Path| std::fs::read_to_string(dir.join(name)).expect("is there");
            assert_eq!(read(&dir), read(&to), "{name}");
        }
        let locked = NodeDir::lock(&to).expect("is a data directory");
        assert!(
            !locked.first_start().expect("reads"),
            "it doesn't start there for the first time"
        );
        let again = Backup::read(&file).expect("is whole").restore(&to);
        assert!(again.is_err(), "nothing is overwritten");
    }

    #[test]
    fn a_damaged_backup_is_refused() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let dir = data_directory(parent.path());
        let file = parent.path().join("backup.json");
        take(&dir)
            .expect("is read")
            .write(&file)
            .expect("is written");
        let text = std::fs::read_to_string(&file).expect("reads");
        std::fs::write(&file, text.replace("slots = 3", "slots = 4")).expect("writes");
        let error = Backup::read(&file).expect_err("its sum is another");
        assert!(error.message.contains("damaged"), "{error}");
    }
}
