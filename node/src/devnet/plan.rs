//! Keys and genesis of a devnet.

use crate::client::{Home, HomeConfig};
use crate::config::{Engine, Partial};
use crate::failure::{Failure, Result};
use crate::keystore::{Cost, KeyFile, Keystore, Kind, Label, Overwrite, Passphrase};
use crate::node_dir::{self, KeyHistory, NewNode};
use frith_ledger::credits::Credits;
use frith_ledger::entity::Terms;
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker, seat};
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, SecurityLevel, Seed};
use frith_ledger::parameters::Parameters;
use frith_ledger::vrf::VrfSecret;
use std::path::{Path, PathBuf};

/// The funded wallets of a devnet.
pub const WALLETS: [&str; 2] = ["alice", "bob"];
/// Most nodes of a devnet: what one machine carries.
const NODES_MAX: u16 = 64;
/// Beacons tried until the seats are spread over both halves of the address space.
const BEACONS_MAX: u32 = 10_000;
/// What each wallet begins with.
const WALLET_CREDITS: u64 = 1_000_000;
/// Stake of each worker.
const STAKE_CREDITS: u64 = 10_000;
/// Collateral of each worker.
const COLLATERAL_CREDITS: u64 = 10_000;

/// What a devnet should be like.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// Number of nodes.
    pub nodes: u16,
    /// Where everything goes.
    pub dir: PathBuf,
    /// Length of an epoch.
    pub epoch_ms: u64,
    /// ms since the Unix epoch at which it begins.
    pub time_ms: u64,
}

/// A devnet's directories.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its genesis.
    pub genesis: Genesis,
    /// The nodes' data directories.
    pub nodes: Vec<PathBuf>,
    /// The users' directory: keys `alice` and `bob`, the genesis.
    pub home: PathBuf,
}

fn seed(name: &str) -> Seed {
    Seed::from_passphrase(&format!("frith devnet {name}"), SecurityLevel::TEST)
}

/// The engines of node `index`: most offer both, so that tasks always find different ones.
fn engines(index: u16) -> Vec<Engine> {
    match index % 5 {
        3 => vec![Engine::Wasmtime],
        4 => vec![Engine::Wasmi],
        _ => vec![Engine::Wasmtime, Engine::Wasmi],
    }
}

/// Makes keys, genesis and data directories. Nothing is overwritten.
///
/// # Errors
/// The directory isn't empty, or the system refuses.
pub fn plan(options: &PlanOptions) -> Result<Plan> {
    if options.nodes == 0 || options.nodes > NODES_MAX {
        return Err(Failure::usage(format!(
            "a devnet has 1 to {NODES_MAX} nodes, not {}",
            options.nodes
        )));
    }
    if options.dir.join("home").exists() {
        return Err(
            Failure::usage(format!("{} has a devnet already", options.dir.display()))
                .advise("name another directory with --dir, or remove that one"),
        );
    }
    refuse_what_is_there(&options.dir)?;
    let passphrase =
        Passphrase::new(super::PASSPHRASE.to_owned().into()).map_err(Failure::other)?;
    let genesis = genesis(options)?;
    let mut nodes = Vec::new();
    for index in 0..options.nodes {
        let path = options.dir.join(format!("node{index}"));
        let config = Partial {
            engines: Some(engines(index)),
            ..Partial::default()
        };
        let new = NewNode {
            genesis: Some(&genesis),
            config: &config.to_toml()?,
            seed: &seed(&format!("worker {index}")),
            security_level: SecurityLevel::TEST.get(),
            passphrase: &passphrase,
            cost: Cost::CHEAP,
            history: KeyHistory::New,
        };
        node_dir::create(&path, &new)?;
        nodes.push(path);
    }
    let home = options.dir.join("home");
    write_home(&home, &genesis, &passphrase)?;
    Ok(Plan {
        genesis,
        nodes,
        home,
    })
}

/// Refuses a folder that has something in it: what a devnet leaves among it would not be told from the rest.
fn refuse_what_is_there(dir: &Path) -> Result<()> {
    let mut entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file("list", dir, error)),
    };
    let Some(first) = entries.next() else {
        return Ok(());
    };
    let first = first.map_err(|error| Failure::file("list", dir, error))?;
    Err(Failure::usage(format!(
        "{} is no devnet's and has other things in it: {}",
        dir.display(),
        first.file_name().display()
    ))
    .advise(
        "name a new or an empty directory with --dir, or one that `frith devnet --dir` has made",
    ))
}

/// The devnet that an earlier run made in `dir`; `None` when there is none.
///
/// # Errors
/// It is damaged.
pub fn load(dir: &Path) -> Result<Option<Plan>> {
    let home = dir.join("home");
    if !home.exists() {
        return Ok(None);
    }
    let genesis = crate::client::read_genesis(&home.join(node_dir::GENESIS_FILE))?;
    let nodes = (0..genesis.workers.len())
        .map(|index| dir.join(format!("node{index}")))
        .collect();
    Ok(Some(Plan {
        genesis,
        nodes,
        home,
    }))
}

fn genesis(options: &PlanOptions) -> Result<Genesis> {
    let mut accounts: Vec<GenesisAccount> = WALLETS
        .iter()
        .map(|name| GenesisAccount {
            address: seed(name).account().public().address(),
            balance: Credits::whole(WALLET_CREDITS),
        })
        .collect();
    accounts.sort_by_key(|account| account.address);
    let workers: Vec<GenesisWorker> = (0..options.nodes)
        .map(|index| {
            let worker = seed(&format!("worker {index}"));
            GenesisWorker {
                key: worker.worker().public().0,
                vrf: VrfSecret::from_seed(&worker.vrf()).public().0,
                // Another phrase than the worker's: the node never holds the key that can withdraw.
                account: seed(&format!("account {index}"))
                    .account()
                    .public()
                    .address(),
                stake: Credits::whole(STAKE_CREDITS),
                collateral: Credits::whole(COLLATERAL_CREDITS),
                terms: Terms {
                    engines: Engine::bits(&engines(index)),
                    price: Credits::new(100),
                    slots: 32,
                },
            }
        })
        .collect();
    // An epoch is so short that compiling a program on a busy machine may outlast two of them.
    let parameters = Parameters {
        epoch_ms: options.epoch_ms,
        commit_epochs: 4,
        ..Parameters::devnet()
    };
    let name = "devnet (keys are public: worth nothing)".to_owned();
    let mut genesis = Genesis {
        name,
        time_ms: options.time_ms,
        beacon: [0; 32],
        parameters,
        accounts,
        workers,
    };
    genesis.beacon = spread_beacon(&genesis.workers);
    Ok(genesis)
}

/// A beacon that puts the workers' seats evenly into both halves of the address space, so that this leaf
/// could split.
fn spread_beacon(workers: &[GenesisWorker]) -> [u8; 32] {
    let mut beacon = [0; 32];
    for attempt in 0..BEACONS_MAX {
        beacon = *blake3::hash(&attempt.to_le_bytes()).as_bytes();
        let left = workers
            .iter()
            .filter(|worker| !seat(&PublicKey(worker.key), &Hash(beacon)).bit(0))
            .count();
        if left.abs_diff(workers.len() - left) <= 1 {
            break;
        }
    }
    beacon
}

fn write_home(dir: &Path, genesis: &Genesis, passphrase: &Passphrase) -> Result<()> {
    let home = Home::locate(Some(dir.to_owned()))?;
    home.create()?;
    let text = serde_json::to_string_pretty(genesis).map_err(Failure::other)?;
    let path = home.genesis_path();
    std::fs::write(&path, text).map_err(|error| Failure::file("write", &path, error))?;
    home.write_config(&HomeConfig {
        key: Some(WALLETS[0].to_owned()),
        ..HomeConfig::default()
    })?;
    for name in WALLETS {
        let seed = seed(name);
        let label = Label {
            kind: Kind::Seed,
            security_level: SecurityLevel::TEST.get(),
            address: seed.account().public().address().to_string(),
            account: None,
        };
        let keystore = Keystore::seal(
            seed.as_bytes(),
            passphrase,
            label,
            "devnet: worth nothing",
            Cost::CHEAP,
        )
        .map_err(Failure::other)?;
        KeyFile::write(&home.key_path(name)?, keystore, Overwrite::No).map_err(Failure::other)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devnet_has_a_usable_genesis_with_spread_seats_and_every_engine() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options = PlanOptions {
            nodes: 5,
            dir: dir.path().to_owned(),
            epoch_ms: 500,
            time_ms: 7,
        };
        let made = plan(&options).expect("is made");
        let rules = frith_tasks::Rules::new(made.genesis.clone()).expect("is usable");
        assert_eq!(
            rules.supply,
            Credits::whole(2 * WALLET_CREDITS + 5 * (STAKE_CREDITS + COLLATERAL_CREDITS))
        );
        let beacon = Hash(made.genesis.beacon);
        let left = made
            .genesis
            .workers
            .iter()
            .filter(|w| !seat(&PublicKey(w.key), &beacon).bit(0))
            .count();
        assert!((2..=3).contains(&left), "{left} of 5 in one half");
        assert!(
            made.nodes
                .iter()
                .all(|node| node.join(node_dir::WORKER_FILE).is_file())
        );
        assert!(plan(&options).is_err(), "nothing is overwritten");
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_refused_and_stays_as_it_is() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options = |dir: &Path| PlanOptions {
            nodes: 1,
            dir: dir.to_owned(),
            epoch_ms: 500,
            time_ms: 7,
        };
        let notes = dir.path().join("notes.txt");
        std::fs::write(&notes, "keep").expect("writes");
        let refused = plan(&options(dir.path())).expect_err("is somebody's");
        assert_eq!(refused.exit, crate::failure::Exit::Usage);
        assert!(refused.message.contains("notes.txt"), "{refused}");
        let entries = std::fs::read_dir(dir.path()).expect("is there");
        assert_eq!(entries.count(), 1, "nothing was made");
        let refused = plan(&options(&notes)).expect_err("is no folder");
        assert!(refused.message.contains("notes.txt"), "{refused}");
        let below = dir.path().join("new");
        assert!(plan(&options(&below)).is_ok(), "what isn't there is made");
        assert!(
            load(&below).is_ok_and(|plan| plan.is_some()),
            "and found again"
        );
    }
}
