//! `frith genesis`: founding a network: the founders' workers, and the file that names it.
//!
//! A genesis is a word that its founders agree on: nothing in it is signed. Each compares the hash of what was made
//! with the others before starting, and everybody who joins later gets the file from somebody they trust.

use super::Report;
use super::args::{FoundArgs, FounderArgs, GenesisCommand, InitArgs};
use super::node::make_worker;
use super::session::{Session, worker_seed};
use super::terms::offered;
use crate::failure::{Context as _, Failure, Result};
use crate::node_dir;
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker};
use frith_ledger::parameters::Parameters;
use frith_ledger::vrf::VrfSecret;
use frith_tasks::Rules;
use serde_json::json;
use std::io::Read as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a founder's entry that are read.
const ENTRY_BYTES_MAX: u64 = 4096;

pub(super) fn run(session: &Session, command: GenesisCommand) -> Result<Report> {
    match command {
        GenesisCommand::Worker(options) => worker(session, &options),
        GenesisCommand::New(options) => new(&options),
    }
}

/// The entry of a founder's worker; its key is made if there is none.
fn worker(session: &Session, options: &FounderArgs) -> Result<Report> {
    let dir = &options.dir;
    let seed = if node_dir::is_founders(dir) {
        worker_seed(dir)?
    } else {
        let init = InitArgs {
            dir: dir.clone(),
            bootstrap: Vec::new(),
            import: options.import,
            weak_passphrase: options.weak_passphrase,
            new_network: true,
        };
        make_worker(session.json, None, &init)?
    };
    let entry = GenesisWorker {
        key: seed.worker().public().0,
        vrf: VrfSecret::from_seed(&seed.vrf()).public().0,
        account: options.account,
        stake: options.stake,
        collateral: options.collateral,
        terms: offered(&options.offer, Some(dir))?,
    };
    let text = serde_json::to_string_pretty(&entry).map_err(Failure::other)?;
    Report::new(text, &entry)
}

/// A genesis of founders and accounts.
fn new(options: &FoundArgs) -> Result<Report> {
    let parameters = Parameters {
        epoch_ms: options
            .epoch_ms
            .unwrap_or(options.preset.parameters().epoch_ms),
        ..options.preset.parameters()
    };
    let workers = options.workers.iter().map(|file| entry(file, &parameters));
    let workers = workers.collect::<Result<Vec<_>>>()?;
    let mut accounts: Vec<GenesisAccount> = options
        .accounts
        .iter()
        .map(|funded| GenesisAccount {
            address: funded.address,
            balance: funded.balance,
        })
        .collect();
    accounts.sort_by_key(|account| account.address);
    let genesis = Genesis {
        name: options.name.clone(),
        time_ms: now_ms(),
        beacon: match options.beacon {
            Some(beacon) => beacon.0,
            None => random()?,
        },
        parameters,
        accounts,
        workers,
    };
    let rules = Rules::new(genesis)
        .map_err(|error| Failure::usage(format!("no network can run by this: {error}")))?;
    write(&options.out, &rules.genesis)?;
    let (hash, supply) = (rules.hash, rules.supply);
    let (workers, accounts) = (rules.genesis.workers.len(), rules.genesis.accounts.len());
    Report::new(
        format!(
            "network    {} ({hash})\nworkers    {workers}\naccounts   {accounts}\ncredits    {supply}\nfile       {}\n\n\
             Next: every founder compares the hash, and makes its directory whole with `frith node init --dir DIR --genesis {}`",
            options.name,
            options.out.display(),
            options.out.display(),
        ),
        &json!({"network": options.name, "genesis": hash.to_hex(), "workers": workers, "accounts": accounts, "credits": supply, "file": options.out}),
    )
}

/// A founder's entry from a file; its stake must be enough for the network.
fn entry(file: &Path, parameters: &Parameters) -> Result<GenesisWorker> {
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(ENTRY_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| Failure::file("read", file, error))?;
    let entry: GenesisWorker =
        serde_json::from_str(crate::text::unmarked(&text)).map_err(|error| {
            Failure::usage(format!("{} is no founder's entry: {error}", file.display()))
                .advise("`frith genesis worker --dir DIR --account ADDRESS --json` makes one")
        })?;
    if entry.stake < parameters.stake_min {
        return Err(Failure::usage(format!(
            "in {}: a stake of {}; the preset asks for at least {}",
            file.display(),
            entry.stake,
            parameters.stake_min
        ))
        .advise("let the founder make the entry again, with a larger --stake"));
    }
    Ok(entry)
}

fn write(path: &Path, genesis: &Genesis) -> Result<()> {
    let text = serde_json::to_string_pretty(genesis).map_err(Failure::other)?;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).open(path);
    file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        .map_err(|error| Failure::file("write the new file", path, error))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).doing("the system gives no randomness")?;
    Ok(bytes)
}
