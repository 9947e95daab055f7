//! `frith devnet`: a network on this machine, until it is interrupted.

use super::Report;
use super::args::DevnetArgs;
use super::output::{note, say};
use super::session::Session;
use crate::client::{Home, HomeConfig};
use crate::config::Fault;
use crate::devnet::{Devnet, DevnetOptions, PASSPHRASE, Plan, PlanOptions, WALLETS, load, plan};
use crate::failure::{Context as _, Failure, Result};
use clap::ValueEnum as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest that the nodes may take to find each other.
const READY_MAX: Duration = Duration::from_secs(60);

pub(super) fn run(session: &Session, args: &DevnetArgs) -> Result<Report> {
    let faults = faults(&args.faults, args.nodes)?;
    let (dir, temporary) = match &args.dir {
        Some(dir) => (dir.clone(), None),
        None => {
            let temporary = tempfile::Builder::new()
                .prefix("frith-devnet-")
                .tempdir()
                .doing("cannot make a directory")?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let planned = match load(&dir)? {
        Some(planned) => planned,
        None => plan(&options(args.nodes, dir, args.epoch_ms))?,
    };
    let stop = stop_flag()?;
    let mut devnet = start(planned, faults, "info")?;
    devnet.await_ready(READY_MAX)?;
    if session.json {
        say(&describe(&devnet)?)?;
    } else {
        note(&how_to_talk(&devnet)?);
    }
    while !stop.load(Ordering::SeqCst) {
        if let Some((index, status)) = devnet.ended()? {
            return Err(
                Failure::other(format!("node {index} has ended by itself, with {status}"))
                    .advise(format!("see {}", devnet.log(index).display())),
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    if !session.json {
        note("ending the nodes …");
    }
    devnet.stop()?;
    drop(temporary);
    Report::new(
        "all nodes have ended in order",
        &json!({"stopped": "asked"}),
    )
}

/// What a devnet is made from.
pub(super) fn options(nodes: u16, dir: PathBuf, epoch_ms: u64) -> PlanOptions {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    PlanOptions {
        nodes,
        dir,
        epoch_ms,
        time_ms: u64::try_from(now).unwrap_or_default(),
    }
}

/// Starts the nodes, and lets the users' directory point to the first.
pub(super) fn start(plan: Plan, faults: BTreeMap<usize, Fault>, log: &str) -> Result<Devnet> {
    let program = std::env::current_exe().doing("cannot find this program")?;
    let devnet = Devnet::start(
        plan,
        DevnetOptions {
            program,
            faults,
            log: log.to_owned(),
        },
    )?;
    let home = Home::locate(Some(devnet.plan().home.clone()))?;
    let bases = (0..devnet.nodes()).map(|index| Ok(devnet.node(index)?.base().to_owned()));
    let mut nodes = bases.collect::<Result<Vec<_>>>()?;
    home.write_config(&HomeConfig {
        api: Some(nodes.remove(0)),
        nodes,
        key: Some(WALLETS[0].to_owned()),
    })?;
    Ok(devnet)
}

/// The running devnet for programs, in one line.
fn describe(devnet: &Devnet) -> Result<serde_json::Value> {
    let nodes = (0..devnet.nodes()).map(|index| {
        let (api, process) = (devnet.node(index)?.base(), devnet.process(index));
        Ok(json!({"api": api, "process": process, "log": devnet.log(index)}))
    });
    let nodes = nodes.collect::<Result<Vec<_>>>()?;
    Ok(json!({"ready": true, "home": devnet.plan().home, "passphrase": PASSPHRASE, "nodes": nodes}))
}

fn how_to_talk(devnet: &Devnet) -> Result<String> {
    let mut text = format!("{} nodes are ready:\n", devnet.nodes());
    for index in 0..devnet.nodes() {
        let process = devnet.process(index).unwrap_or_default();
        text.push_str(&format!(
            "  node {index}  {}  process {process}  log {}\n",
            devnet.node(index)?.base(),
            devnet.log(index).display()
        ));
    }
    text.push_str(&format!(
        "\nIn another terminal:\n  export FRITH_HOME={} FRITH_PASSPHRASE={PASSPHRASE}\n  frith wallet balance\n  frith node status\n  \
         frith task submit program.wasm --yes --wait final\n\nThe keys are public: this network is worth nothing. Interrupt (ctrl-c) ends it.",
        devnet.plan().home.display(),
    ));
    Ok(text)
}

fn faults(texts: &[String], nodes: u16) -> Result<BTreeMap<usize, Fault>> {
    texts
        .iter()
        .map(|text| {
            let wrong = |reason: String| {
                Failure::usage(format!(
                    "--fault {text}: {reason}; it looks like 2=wrong-result"
                ))
            };
            let (index, name) = text
                .split_once('=')
                .ok_or_else(|| wrong("no '='".to_owned()))?;
            let index: usize = index
                .parse()
                .map_err(|error| wrong(format!("{index:?}: {error}")))?;
            if index >= usize::from(nodes) {
                return Err(wrong(format!(
                    "there are nodes 0 to {}",
                    nodes.saturating_sub(1)
                )));
            }
            Ok((index, Fault::from_str(name, true).map_err(wrong)?))
        })
        .collect()
}

/// Becomes true when the user or the system asks this process to end.
fn stop_flag() -> Result<Arc<AtomicBool>> {
    // Kept for the life of the process: its thread listens for the signals.
    static LISTENER: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let flag = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .doing("cannot listen for signals")?;
    let asked = Arc::clone(&flag);
    runtime.spawn(async move {
        super::run::signal().await;
        asked.store(true, Ordering::SeqCst);
    });
    // Set once only: a process runs one devnet.
    let _first = LISTENER.set(runtime);
    Ok(flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(usize, Fault)>) {
        let found = faults(&[text.to_owned()], 4).ok();
        assert_eq!(
            found.and_then(|faults| faults.into_iter().next()),
            expected,
            "{text}"
        );
    }

    #[test]
    fn a_fault_names_a_node_that_there_is_and_a_fault_that_there_is() {
        check("2=wrong-result", Some((2, Fault::WrongResult)));
        check("0=silent", Some((0, Fault::Silent)));
        check("4=silent", None);
        check("x=silent", None);
        check("1=lazy", Some((1, Fault::Lazy)));
        check("1=asleep", None);
        check("silent", None);
    }
}
