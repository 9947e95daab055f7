//! `frith demo` (hidden; `make demo`): everything once, on a devnet of real processes, and checked.
//!
//! Every step of a user is a real `frith` process with `--json`, as a user's script would call it; what it
//! prints is checked here. Any check that fails ends the demo with an error.

mod cast;
mod ledger;
mod script;
mod tasks;

use super::Report;
use super::args::DemoArgs;
use super::devnet;
use super::session::Session;
use crate::config::Fault;
use crate::devnet::plan;
use crate::failure::{Failure, Result};
use cast::Cast;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Nodes of the demo.
const NODES: u16 = 5;
/// The one with the fault.
const FAULTY: usize = 2;
/// The one that is killed.
const VICTIM: usize = 1;
/// Longest that the nodes may take to find each other.
const READY_MAX: Duration = Duration::from_secs(30);
/// Longest that the whole demo may take.
const DEMO_MAX: Duration = Duration::from_secs(60);

pub(super) fn run(_session: &Session, args: &DemoArgs) -> Result<Report> {
    let started = Instant::now();
    std::fs::create_dir_all(&args.out)
        .map_err(|error| Failure::file("create", &args.out, error))?;
    let directory = tempfile::Builder::new()
        .prefix("frith-demo-")
        .tempdir()
        .map_err(Failure::other)?;
    let planned = plan(&devnet::options(NODES, directory.path().to_owned(), 1000))?;
    script::title("Five workers on this machine");
    let faults = BTreeMap::from([(FAULTY, Fault::WrongResult)]);
    let mut running = devnet::start(planned, faults, "info,frith=debug")?;
    let outcome = play(args, &mut running, started);
    // Logs are kept whatever came out: they are what explains a failure.
    for index in 0..running.nodes() {
        let kept = args.out.join(format!("node{index}.log"));
        if let Err(error) = std::fs::copy(running.log(index), &kept) {
            script::say(&format!(
                "(the log of node {index} could not be kept: {error})"
            ));
        }
    }
    outcome?;
    script::title("Clean shutdown");
    running.stop()?;
    script::say("all five nodes ended in order");
    let took = started.elapsed();
    if took > DEMO_MAX {
        return Err(Failure::other(format!(
            "the demo took {} s, more than {}",
            took.as_secs(),
            DEMO_MAX.as_secs()
        )));
    }
    Report::new(
        format!(
            "\nDone in {}.{} s: everything above was checked. Pictures and logs are in {}.",
            took.as_secs(),
            took.subsec_millis() / 100,
            args.out.display()
        ),
        &json!({"done": true, "ms": took.as_millis()}),
    )
}

fn play(args: &DemoArgs, devnet: &mut crate::devnet::Devnet, started: Instant) -> Result<()> {
    devnet.await_ready(READY_MAX)?;
    let cast = Cast::of(devnet, args)?;
    cast.introduce(devnet, started)?;
    script::title("Tasks: 12 programs, 3 replicas each, paid by two wallets");
    let submitted = tasks::submit(&cast, tasks::PROGRAMS)?;
    let ended = tasks::await_ends(&cast, &submitted)?;
    tasks::show(&cast, &submitted, &ended)?;
    script::title("The worker that lies");
    tasks::show_liar(&cast, &ended)?;
    script::title("A node is killed with SIGKILL while it works");
    tasks::kill_and_rejoin(&cast, devnet)?;
    script::title("A transfer");
    ledger::transfer(&cast)?;
    script::title("Every balance by its proof, and the sum of all credits");
    ledger::check_all(&cast)
}
