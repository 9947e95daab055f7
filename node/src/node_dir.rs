//! A node's data directory: what stands in it, and the lock that keeps a second node out.
//!
//! | file | what |
//! | --- | --- |
//! | `genesis.json` | the network |
//! | `config.toml` | settings, see [`crate::config`] |
//! | `worker.json` | the worker's seed, encrypted; its worker and VRF keys come from it, and no account's |
//! | `store/` | RocksDB: chain, state, content |
//! | `store.mark` | what was durable in the store: shows when it lost some |
//! | `compiled/` | compiled programs; may be deleted while no node runs |
//! | `fetching/` | contents that aren't whole yet; may be deleted while no node runs |
//! | `peers.txt` | where peers were reached last; may be deleted while no node runs |
//! | `started` | a node has started here: an empty store is a lost one |
//! | `node.lock` | locked while a node runs; holds its process id |
//! | `api.txt` | where the running node's API listens |

use crate::failure::{Context as _, Failure, Result};
use crate::keystore::{Cost, KeyFile, Keystore, Kind, Label, Overwrite, Passphrase};
use frith_ledger::address::Address;
use frith_ledger::genesis::{Genesis, GenesisWorker};
use frith_ledger::key::{PublicKey, Seed};
use frith_ledger::store::mark_tells_of_use;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The worker's key file.
pub(crate) const WORKER_FILE: &str = "worker.json";
/// The settings' file.
pub(crate) const CONFIG_FILE: &str = "config.toml";
/// The network's file.
pub(crate) const GENESIS_FILE: &str = "genesis.json";
/// The store's directory.
pub(crate) const STORE_DIR: &str = "store";
/// Shows when the store has lost what was durable.
pub(crate) const MARK_FILE: &str = "store.mark";
/// Compiled programs.
pub(crate) const COMPILED_DIR: &str = "compiled";
/// Contents that aren't whole yet.
pub(crate) const PARTIALS_DIR: &str = "fetching";
/// Where peers were reached last.
pub(crate) const PEERS_FILE: &str = "peers.txt";
/// Marks that a node has started here.
pub(crate) const STARTED_FILE: &str = "started";
const LOCK_FILE: &str = "node.lock";
const API_FILE: &str = "api.txt";

/// A data directory that this process alone uses; others get in when it is dropped.
#[derive(Debug)]
pub struct NodeDir {
    path: PathBuf,
    _lock: OwnedFd,
}

impl NodeDir {
    /// Locks the data directory.
    ///
    /// # Errors
    /// It isn't one, or a node runs on it.
    pub fn lock(path: &Path) -> Result<Self> {
        let genesis = path.join(GENESIS_FILE);
        let there = genesis
            .try_exists()
            .map_err(|error| Failure::file("examine", &genesis, error))?;
        if !there {
            return Err(Failure::usage(format!(
                "{} is no data directory: it has no {GENESIS_FILE}",
                path.display()
            ))
            .advise("make one with `frith node init --dir DIR --genesis FILE`; or copy the network's genesis file there, when only that is missing"));
        }
        let lock = path.join(LOCK_FILE);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let file = open(&lock, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| Failure::file("open", &lock, error))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let holder = std::fs::read_to_string(&lock).unwrap_or_default();
            let holder = match holder.trim() {
                "" => String::new(),
                id => format!(" (process {id})"),
            };
            return Err(Failure::new(
                crate::failure::Exit::Other,
                crate::codes::Code::InUse,
                format!("another node{holder} runs on {}", path.display()),
            ));
        }
        // The id is for people; the lock itself is what counts.
        let mut file_for_id = std::fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&lock)
            .map_err(|error| Failure::file("write", &lock, error))?;
        write!(file_for_id, "{}", std::process::id())
            .map_err(|error| Failure::file("write", &lock, error))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: file,
        })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes free on its disk.
    ///
    /// # Errors
    /// The system doesn't tell.
    pub fn free_bytes(&self) -> Result<u64> {
        let stat = rustix::fs::statvfs(&self.path)
            .map_err(|error| Failure::file("examine the disk of", &self.path, error))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Whether no node ever started here, as far as the directory tells.
    ///
    /// A worker of the genesis may then found the network: vote when the others know of nothing yet.
    ///
    /// # Errors
    /// The mark can't be looked for.
    pub fn first_start(&self) -> Result<bool> {
        let mark = self.path.join(STARTED_FILE);
        // What can't be examined may be there.
        let marked = mark.try_exists();
        let marked = marked.map_err(|error| Failure::file("examine", &mark, error))?;
        // What is lost beside the store's mark was there: it says so once a first start is durable in the store.
        let used = || mark_tells_of_use(&self.path.join(MARK_FILE));
        Ok(!marked && !used().map_err(|error| store_failure(&self.path, error))?)
    }

    /// Marks that a node has started here. The mark stands outside the store, so that a wiped store isn't taken for
    /// a new one; durable when this returns. It comes after what a first start leaves in the store: were it there
    /// alone, founders that lose their power in between would all take their stores for lost ones.
    ///
    /// # Errors
    /// The system refuses.
    pub fn mark_started(&self) -> Result<()> {
        mark_started(&self.path)
    }

    /// Tells where the API listens, for `devnet` and scripts.
    ///
    /// # Errors
    /// The system refuses.
    pub fn announce_api(&self, address: std::net::SocketAddr) -> Result<()> {
        let path = self.path.join(API_FILE);
        let temporary = self.path.join("api.tmp");
        std::fs::write(&temporary, format!("http://{address}\n"))
            .and_then(|()| std::fs::rename(&temporary, &path))
            .map_err(|error| Failure::file("write", &path, error))
    }

    /// Removes what [`Self::announce_api`] wrote.
    pub fn withdraw_api(&self) {
        // It may not be there; a stale one only misleads people.
        let _missing = std::fs::remove_file(self.path.join(API_FILE));
    }
}

/// The store of a data directory can't be opened, or what it holds can't be used.
pub(crate) fn store_failure(dir: &Path, error: impl std::fmt::Display) -> Failure {
    let store = dir.join(STORE_DIR);
    Failure::new(crate::failure::Exit::Other, crate::codes::Code::Store, error).advise(format!(
        "is the disk full or failing? When it is sound, move {} away, and nothing else, and start again: the node copies \
         chain and state from the others, and asks them what it signed before it votes. Never put an older copy in its place",
        store.display()
    ))
}

/// Marks a data directory as one on which a node with its key may have run: its node asks the others before it votes.
/// Durable when this returns.
///
/// # Errors
/// The system refuses.
pub(crate) fn mark_started(path: &Path) -> Result<()> {
    let mark = path.join(STARTED_FILE);
    if mark.exists() {
        return Ok(());
    }
    let written = std::fs::File::create(&mark)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::File::open(path))
        .and_then(|dir| dir.sync_all());
    written.map_err(|error| Failure::file("write", &mark, error))
}

/// Where the API of the node on this directory listens, if one runs.
#[must_use]
pub fn announced_api(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path.join(API_FILE)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// What a new data directory gets.
pub struct NewNode<'a> {
    /// The network; `None` for a founder, whose worker's key goes into a genesis that doesn't exist yet.
    pub genesis: Option<&'a Genesis>,
    /// The text of `config.toml`.
    pub config: &'a str,
    /// The worker's seed.
    pub seed: &'a Seed,
    /// log₂ of scrypt's N in the derivation of the seed.
    pub security_level: u8,
    /// Unlocks the worker's key file.
    pub passphrase: &'a Passphrase,
    /// What trying a passphrase costs.
    pub cost: Cost,
    /// What the key has done.
    pub history: KeyHistory,
}

/// What a worker's key has done before it comes into a new data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHistory {
    /// It has never run: it was made now, or its network begins now.
    New,
    /// It may have run on a directory that is gone: the node asks the others before it votes.
    MayHaveRun,
}

/// Makes a data directory. Nothing is overwritten.
///
/// # Errors
/// It exists already with a worker or a genesis, or the system refuses.
pub fn create(path: &Path, new: &NewNode<'_>) -> Result<()> {
    refuse_existing(path)?;
    create_in(path, new)
}

/// Refuses a directory that is a node's already, in part or whole.
pub(crate) fn refuse_existing(path: &Path) -> Result<()> {
    for name in [GENESIS_FILE, WORKER_FILE, STORE_DIR, CONFIG_FILE] {
        refuse_existing_file(path, name)?;
    }
    Ok(())
}

fn refuse_existing_file(path: &Path, name: &str) -> Result<()> {
    if path.join(name).exists() {
        return Err(
            Failure::usage(format!("{} exists already", path.join(name).display()))
                .advise("choose another directory; a worker's key, votes and settings are never overwritten"),
        );
    }
    Ok(())
}

fn create_in(path: &Path, new: &NewNode<'_>) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| Failure::file("create", path, error))?;
    if new.history == KeyHistory::MayHaveRun {
        // Before the key: a directory with this key and without the mark would be taken for a founder's first.
        mark_started(path)?;
    }
    let label = Label {
        kind: Kind::Worker,
        security_level: new.security_level,
        address: new.seed.worker().public().address().to_string(),
        account: None,
    };
    let keystore = Keystore::seal(
        new.seed.as_bytes(),
        new.passphrase,
        label,
        "worker of a Frith node",
        new.cost,
    )
    .map_err(Failure::other)?;
    KeyFile::write(&path.join(WORKER_FILE), keystore, Overwrite::No).map_err(Failure::other)?;
    write_new(&path.join(CONFIG_FILE), new.config)?;
    // Last, since it is what makes the directory a data directory.
    new.genesis
        .map_or(Ok(()), |genesis| write_genesis(path, genesis))
}

fn write_genesis(path: &Path, genesis: &Genesis) -> Result<()> {
    let text = serde_json::to_string_pretty(genesis).map_err(Failure::other)?;
    write_new(&path.join(GENESIS_FILE), &text)
}

/// Whether a directory has a founder's key, and no genesis yet.
#[must_use]
pub fn is_founders(path: &Path) -> bool {
    path.join(WORKER_FILE).exists() && !path.join(GENESIS_FILE).exists()
}

/// Makes a founder's directory the data directory of the network that its worker founds. Needs no passphrase.
///
/// # Errors
/// The genesis doesn't name the worker, or it isn't a founder's directory.
pub fn found(path: &Path, genesis: &Genesis) -> Result<Address> {
    for name in [GENESIS_FILE, STORE_DIR] {
        refuse_existing_file(path, name)?;
    }
    let key = KeyFile::read(&path.join(WORKER_FILE)).map_err(Failure::other)?;
    let label = key.keystore().label().map(|label| label.address.clone());
    let label = label.unwrap_or_default();
    let worker = label
        .parse()
        .doing(format!("in {}", key.path().display()))?;
    let is_it = |named: &GenesisWorker| PublicKey(named.key).address() == worker;
    if !genesis.workers.iter().any(is_it) {
        return Err(Failure::usage(format!(
            "the genesis {} doesn't name the worker of {}",
            genesis.name,
            path.display()
        ))
        .advise("give its entry (`frith genesis worker`) to who makes the genesis; a worker that joins later begins with a directory of its own"));
    }
    write_genesis(path, genesis)?;
    Ok(worker)
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| Failure::file("write", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_for_a_key_that_may_have_run_has_no_first_start() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let options = crate::devnet::PlanOptions {
            nodes: 1,
            dir: parent.path().join("plan"),
            epoch_ms: 1000,
            time_ms: 0,
        };
        let planned = crate::devnet::plan(&options).expect("is planned");
        let passphrase = Passphrase::new("open".to_owned().into()).expect("is one");
        for (history, first) in [(KeyHistory::New, true), (KeyHistory::MayHaveRun, false)] {
            let dir = parent.path().join(format!("{history:?}"));
            let new = NewNode {
                genesis: Some(&planned.genesis),
                config: "",
                seed: &Seed::from_bytes([7; 32]),
                security_level: 17,
                passphrase: &passphrase,
                cost: Cost::CHEAP,
                history,
            };
            create(&dir, &new).expect("is made");
            let locked = NodeDir::lock(&dir).expect("is a data directory");
            assert_eq!(locked.first_start().expect("reads"), first, "{history:?}");
        }
        let founder = NodeDir::lock(&planned.nodes[0]).expect("is a data directory");
        let first = founder.first_start().expect("reads");
        assert!(first, "a devnet's nodes found it");
    }

    #[test]
    fn a_second_node_is_kept_out_until_the_first_is_gone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(
            NodeDir::lock(dir.path())
                .expect_err("no genesis")
                .message
                .contains("no data directory")
        );
        std::fs::write(dir.path().join(GENESIS_FILE), "{}").expect("writes");
        let first = NodeDir::lock(dir.path()).expect("is free");
        let second = NodeDir::lock(dir.path()).expect_err("is taken");
        assert_eq!(second.code, "in_use");
        assert!(
            second.message.contains(&std::process::id().to_string()),
            "{}",
            second.message
        );
        assert!(first.first_start().expect("reads"));
        first.mark_started().expect("writes");
        assert!(
            !first.first_start().expect("reads"),
            "a start is the first once"
        );
        drop(first);
        assert!(NodeDir::lock(dir.path()).is_ok());
    }
}
