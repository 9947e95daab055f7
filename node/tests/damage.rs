//! A node's files, damaged one by one, in real processes: each damage is named when the node starts, or mended with the
//! others' help, or does no harm. Nobody votes twice, and what a node answers is what the others answer.
//!
//! Waits are on the API's own waits, on readiness and on the ends of processes, against deadlines.

mod support;

use frith::devnet::{PASSPHRASE, environment};
use frith::node_dir::NodeDir;
use frith::views::{Entity, Finality};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use support::{Outcome, PATIENCE, World, answer, error, program};

/// The node whose files are damaged. Not the one that the others begin with.
const NODE: usize = 3;
/// What the log says of a node that asks the others before it votes.
const ASKS: &str = "asks the others what it may have signed";
/// What it says of a store that isn't what it was.
const LOST: &str = "the store has lost what was durable";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    Half,
    Emptied,
    /// One bit in the middle.
    Bit,
    Deleted,
    /// A directory in its place, which nobody reads as a file, whoever runs this.
    Unreadable,
}

const ALL: [Damage; 5] = [
    Damage::Half,
    Damage::Emptied,
    Damage::Bit,
    Damage::Deleted,
    Damage::Unreadable,
];

impl Damage {
    fn apply(self, path: &Path) -> Outcome {
        let mut bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let middle = bytes.len() / 2;
        match self {
            Self::Half => bytes.truncate(middle),
            Self::Emptied => bytes.clear(),
            Self::Bit => bytes[middle] ^= 1,
            Self::Deleted | Self::Unreadable => {
                fs::remove_file(path)?;
                if self == Self::Unreadable {
                    fs::create_dir(path)?;
                }
                return Ok(());
            }
        }
        Ok(fs::write(path, bytes)?)
    }
}

/// The files of a folder whose names hold `part`, the last name first.
fn named(folder: &Path, part: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains(part) {
            found.push(path);
        }
    }
    found.sort();
    found.reverse();
    Ok(found)
}

fn first(found: Vec<PathBuf>) -> Outcome<PathBuf> {
    Ok(found.into_iter().next().ok_or("no such file")?)
}

fn largest(found: Vec<PathBuf>) -> Outcome<PathBuf> {
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |data| data.len());
    Ok(found.into_iter().max_by_key(size).ok_or("no such file")?)
}

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Runs a node on a directory that it should refuse: its exit code and what it says. One that starts ends at once, with 0.
fn refused(dir: &Path) -> Outcome<(Option<i32>, Value)> {
    let output = Command::new(program())
        .args(["--json", "node", "run", "--until-stdin-closes"])
        .args(["--api-listen", "127.0.0.1:0", "--listen"])
        .args(["/ip4/127.0.0.1/tcp/0", "--log", "off", "--dir"])
        .arg(dir)
        .env_clear()
        .envs(environment())
        .env("FRITH_PASSPHRASE", PASSPHRASE)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok((Some(0), Value::Null));
    }
    let said = error(&output);
    said.map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned().into())
}

/// Which file of a data directory.
type Find = fn(&Path) -> Outcome<PathBuf>;

fn list(dir: &Path) -> Outcome<PathBuf> {
    first(named(&dir.join("store"), "MANIFEST")?)
}

fn table(dir: &Path) -> Outcome<PathBuf> {
    largest(named(&dir.join("store"), ".sst")?)
}

fn log(dir: &Path) -> Outcome<PathBuf> {
    first(named(&dir.join("store"), ".log")?)
}

/// The files without which a node can't run, which damages it says so of, and its exit codes.
fn necessary() -> Vec<(Find, Vec<Damage>, &'static [i32])> {
    use Damage::{Bit, Deleted, Emptied, Half, Unreadable};
    vec![
        (|dir| Ok(dir.join("genesis.json")), ALL.to_vec(), &[1, 2]),
        (|dir| Ok(dir.join("worker.json")), ALL.to_vec(), &[1, 2]),
        (
            |dir| Ok(dir.join("config.toml")),
            vec![Half, Bit, Unreadable],
            &[1, 2],
        ),
        (|dir| Ok(dir.join("node.lock")), vec![Unreadable], &[1]),
        (|dir| Ok(dir.join("store.mark")), vec![Unreadable], &[1]),
        (|dir| Ok(dir.join("compiled/key")), vec![Unreadable], &[1]),
        (|dir| Ok(dir.join("store/CURRENT")), ALL.to_vec(), &[1]),
        (list, ALL.to_vec(), &[1]),
        (table, vec![Half, Emptied, Deleted, Unreadable], &[1]),
    ]
}

impl World {
    fn dir(&self) -> PathBuf {
        self.directory.path().join(format!("node{NODE}"))
    }

    /// Every damage to what a node can't do without ends it with an error that names the place and says what to do.
    fn names_what_is_damaged(&mut self) -> Outcome {
        self.devnet.kill(NODE)?;
        for (find, damages, exits) in necessary() {
            for damage in damages {
                let scratch = tempfile::tempdir()?;
                let dir = scratch.path().join("node");
                copy(&self.dir(), &dir)?;
                let file = find(&dir)?;
                let what = format!("{} {damage:?}", file.display());
                damage.apply(&file)?;
                let (code, said) = refused(&dir).map_err(|error| format!("{what}: {error}"))?;
                assert!(
                    code.is_some_and(|code| exits.contains(&code)),
                    "{what}: {code:?} {said}"
                );
                let error = &said["error"];
                let message = error["message"].as_str().unwrap_or_default();
                assert!(
                    message.contains(&dir.display().to_string()),
                    "{what}: {said}"
                );
                eprintln!("{code:?} {what}: {message}");
            }
        }
        self.devnet.restart(NODE)?;
        Ok(self.devnet.await_ready(PATIENCE)?)
    }

    /// Damages files of the stopped node and starts it again: it becomes ready by itself. What it logged.
    fn comes_back(&mut self, damage: impl FnOnce(&Path) -> Outcome) -> Outcome<String> {
        // Also when it has ended by itself.
        self.devnet.kill(NODE)?;
        damage(&self.dir())?;
        let before = fs::read(self.devnet.log(NODE))?.len();
        self.devnet.restart(NODE)?;
        self.devnet.await_ready(PATIENCE)?;
        let log = fs::read(self.devnet.log(NODE))?;
        Ok(String::from_utf8_lossy(&log[before..]).into_owned())
    }

    /// A node that has lost what it signed notices, asks the others, and is ready again.
    fn asks_for_what_it_lost(&mut self) -> Outcome {
        type Case = (&'static str, &'static str, fn(&Path) -> Outcome);
        let cases: [Case; 8] = [
            ("the log cut to half", LOST, |dir| {
                Damage::Half.apply(&log(dir)?)
            }),
            ("a bit of the log", LOST, |dir| {
                Damage::Bit.apply(&log(dir)?)
            }),
            ("the log deleted", LOST, |dir| {
                Damage::Deleted.apply(&log(dir)?)
            }),
            ("the log unreadable", LOST, |dir| {
                Damage::Unreadable.apply(&log(dir)?)
            }),
            ("the mark deleted", LOST, |dir| {
                Damage::Deleted.apply(&dir.join("store.mark"))
            }),
            ("the mark emptied", LOST, |dir| {
                Damage::Emptied.apply(&dir.join("store.mark"))
            }),
            ("the store deleted", ASKS, |dir| {
                Ok(fs::remove_dir_all(dir.join("store"))?)
            }),
            ("all but the mark deleted", LOST, |dir| {
                fs::remove_dir_all(dir.join("store"))?;
                fs::remove_file(dir.join("started"))?;
                let first = NodeDir::lock(dir)?.first_start()?;
                assert!(!first, "the mark says that a node has started here");
                Ok(())
            }),
        ];
        for (what, says, damage) in cases {
            let log = self
                .comes_back(damage)
                .map_err(|e| format!("{what}: {e}"))?;
            assert!(log.contains(says) && log.contains(ASKS), "{what}: {log}");
        }
        Ok(())
    }

    /// What a node can do without is made again, and nothing is asked.
    fn does_without(&mut self) -> Outcome {
        let log = self.comes_back(|dir| {
            Damage::Deleted.apply(&dir.join("started"))?;
            Damage::Deleted.apply(&dir.join("config.toml"))?;
            Damage::Bit.apply(&dir.join("node.lock"))?;
            fs::write(dir.join("api.txt"), "http://nowhere")?;
            Damage::Half.apply(&dir.join("compiled/key"))?;
            fs::create_dir_all(dir.join("fetching"))?;
            fs::write(dir.join("fetching/rest.bytes"), "no content")?;
            Damage::Half.apply(&first(named(&dir.join("store"), "OPTIONS")?)?)?;
            Damage::Deleted.apply(&dir.join("store/IDENTITY"))?;
            Damage::Emptied.apply(&dir.join("store/LOG"))
        })?;
        assert!(!log.contains(ASKS) && !log.contains(LOST), "{log}");
        Ok(())
    }

    /// A node on a damaged table doesn't start, or ends when it reads it, or never needs it. Without its store it comes back.
    fn never_believes_a_damaged_table(&mut self, bob: &str) -> Outcome {
        self.devnet.kill(NODE)?;
        Damage::Bit.apply(&table(&self.dir())?)?;
        match self.devnet.restart(NODE) {
            Err(error) => assert!(error.message.contains("store"), "{error}"),
            Ok(()) => {
                if self.agrees(bob).is_err() {
                    self.has_halted("store")?;
                }
            }
        }
        let log = self.comes_back(|dir| Ok(fs::rename(dir.join("store"), dir.join("bad"))?))?;
        assert!(log.contains(ASKS), "{log}");
        Ok(())
    }

    /// The node ends by itself, with the code of one that halted, and its last words say why.
    fn has_halted(&mut self, why: &str) -> Outcome {
        let status = self.devnet.await_end(NODE, PATIENCE)?;
        let log = fs::read_to_string(self.devnet.log(NODE))?;
        assert_eq!(status.code(), Some(9), "{log}");
        let said = log.lines().rfind(|line| line.starts_with("error: "));
        let said = said.ok_or("no last words")?;
        assert!(said.contains("the node has halted"), "{said}");
        assert!(said.contains(why), "{said}");
        Ok(())
    }

    fn balance(&self, node: usize, of: &str) -> Outcome<String> {
        match self.devnet.node(node)?.entity(of)?.local {
            Some(Entity::Account(account)) => Ok(account.balance),
            _ => Err(format!("node {node} knows no account {of}").into()),
        }
    }

    /// The node knows the newest transfer, and says what another says.
    fn agrees(&self, bob: &str) -> Outcome {
        let sent = self.send(bob)?;
        let id = sent["id"].as_str().ok_or("an id")?;
        let view = self
            .devnet
            .node(NODE)?
            .operation(id, Finality::Local, PATIENCE)?;
        assert_eq!(view.done, Some(true), "{sent}");
        assert_eq!(self.balance(NODE, bob)?, self.balance(0, bob)?);
        Ok(())
    }

    /// Nobody lost a stake, and nobody panicked.
    fn nobody_signed_twice(&self) -> Outcome {
        let genesis = self.devnet.node(0)?.genesis()?;
        for member in genesis.committee()?.members() {
            let seat = member.seat.to_string();
            let Some(Entity::Worker(worker)) = self.devnet.node(0)?.entity(&seat)?.local else {
                return Err(format!("no worker at seat {seat}").into());
            };
            assert_eq!(worker.status, "active");
        }
        for node in 0..self.devnet.nodes() {
            let log = fs::read_to_string(self.devnet.log(node))?;
            assert!(!log.contains("panicked"), "node {node}: {log}");
        }
        Ok(())
    }
}

#[test]
fn a_damaged_file_is_named_or_mended_and_nobody_votes_twice() -> Outcome {
    let mut world = World::start()?;
    let bob = world.address("bob")?;
    // The state in tables, not in the log alone, as after any start.
    world.comes_back(|_| Ok(()))?;
    world.names_what_is_damaged()?;
    world.does_without()?;
    world.agrees(&bob)?;
    world.never_believes_a_damaged_table(&bob)?;
    world.asks_for_what_it_lost()?;
    world.agrees(&bob)?;
    world.nobody_signed_twice()?;
    Ok(world.devnet.stop()?)
}

#[test]
fn a_node_whose_disk_is_full_says_so_and_ends_and_comes_back() -> Outcome {
    let mut world = World::start()?;
    let bob = world.address("bob")?;
    let process = world.devnet.process(NODE).ok_or("a process")?;
    let pid = Pid::from_raw(process.cast_signed()).ok_or("a process id")?;
    // No file grows beyond what it will have in a moment. To a process that is a full disk.
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |data| data.len());
    let said = bytes(&world.devnet.log(NODE));
    let limit = bytes(&log(&world.dir())?).max(said + 16_384);
    let limit = Rlimit {
        current: Some(limit),
        maximum: None,
    };
    prlimit(Some(pid), Resource::Fsize, limit)?;
    let deadline = Instant::now() + PATIENCE;
    while world.devnet.status(NODE)?.is_none() {
        // Writes at every node, and the others go on without this one.
        world.send(&bob)?;
        assert!(Instant::now() < deadline, "it doesn't notice");
    }
    world.has_halted("the store failed")?;
    let dir = world.dir();
    world.has_halted(dir.to_str().ok_or("a path")?)?;
    world.send(&bob)?;

    world.comes_back(|_| Ok(()))?;
    world.agrees(&bob)?;
    world.nobody_signed_twice()?;
    Ok(world.devnet.stop()?)
}

#[test]
fn a_damaged_file_of_a_user_is_named() -> Outcome {
    let scratch = tempfile::tempdir()?;
    let options = frith::devnet::PlanOptions {
        nodes: 1,
        dir: scratch.path().to_owned(),
        epoch_ms: 1000,
        time_ms: 0,
    };
    let home = frith::devnet::plan(&options)?.home;
    let nowhere = "http://127.0.0.1:9";
    let backup = scratch.path().join("backup");
    let (file, node) = (backup.display().to_string(), scratch.path().join("node0"));
    let node = node.display().to_string();
    let take = ["node", "backup", "--dir", &node, "--out", &file];
    answer(&support::frith(&home, nowhere, "", &take)?)?;
    let restored = scratch.path().join("restored").display().to_string();
    // A bit of the last two may make another network's genesis of it, or name another key.
    let cases: [(PathBuf, &[&str], bool); 4] = [
        (
            home.join("keys/alice.json"),
            &["key", "show", "alice"],
            true,
        ),
        (
            backup,
            &["node", "restore", &file, "--dir", &restored],
            true,
        ),
        (home.join("config.toml"), &["wallet", "balance"], false),
        (home.join("genesis.json"), &["wallet", "balance"], false),
    ];
    for (path, line, finds_a_bit) in cases {
        let intact = fs::read(&path)?;
        for damage in [Damage::Half, Damage::Bit, Damage::Unreadable] {
            if damage == Damage::Bit && !finds_a_bit {
                continue;
            }
            damage.apply(&path)?;
            let (code, said) = error(&support::frith(&home, nowhere, PASSPHRASE, line)?)?;
            let message = said["error"]["message"].as_str().unwrap_or_default();
            let names = message.contains(&path.display().to_string());
            assert!(
                names && matches!(code, Some(1 | 2)),
                "{damage:?}: {code:?} {said}"
            );
            if damage == Damage::Unreadable {
                fs::remove_dir(&path)?;
            }
            fs::write(&path, &intact)?;
        }
    }
    Ok(())
}
