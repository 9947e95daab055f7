//! Processes that run tasks end with what started them: a command, a node, a devnet, a place that has lapsed.

#![cfg(target_os = "linux")]

#[path = "../../vm/tests/processes/mod.rs"]
mod processes;
mod support;

use frith::devnet::{PASSPHRASE, environment};
use frith_ledger::parameters::Parameters;
use processes::{children, ends_within, is_zombie, ticks};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Outcome, World, answer, frith, planned, program};

/// Never ends by itself.
/// Each store crosses a page, which takes as long for its fuel as anything does.
const ENDLESS: &str = r#"(module (memory 1) (func (export "run") (loop (i64.store (i32.const 4093) (i64.const 1)) (br 0))))"#;
/// Fuel for minutes, and as much as a devnet takes.
const FUEL: &str = "100000000000";
/// Hundredths of a second of CPU time after which a process isn't one that compiles [`ENDLESS`].
const BUSY_TICKS: u64 = 50;
/// Hundredths of a second of CPU time that no process has left which is to end: what ends it may be slow, but not so slow.
const GOES_ON_TICKS: u64 = 6_000;
/// What a node says when it ends a run that has lost its place.
const LAPSED: &str = "its run is ended";

fn endless(directory: &Path) -> Outcome<PathBuf> {
    let path = directory.join("endless.wasm");
    std::fs::write(&path, wat::parse_str(ENDLESS)?)?;
    Ok(path)
}

fn signal(process: u32, signal: Signal) -> Outcome {
    let process = Pid::from_raw(process.cast_signed()).ok_or("a process")?;
    Ok(kill_process(process, signal)?)
}

/// Looks again and again until something is there, or what would bring it has ended.
fn await_some<T>(what: &str, bringers: &[u32], mut look: impl FnMut() -> Option<T>) -> Outcome<T> {
    loop {
        // Asked for first: its last act counts.
        let ended = bringers.iter().all(|bringer| is_zombie(*bringer));
        if let Some(found) = look() {
            return Ok(found);
        }
        if ended {
            return Err(format!("{what} never came: {bringers:?} ended").into());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The process that runs [`ENDLESS`] for one of these, once it is there.
fn busy_runner(parents: &[u32]) -> Option<u32> {
    let mut all = parents.iter().copied().flat_map(children);
    all.find(|child| ticks(*child) >= BUSY_TICKS)
}

/// Waits for the process that runs [`ENDLESS`] for one of these.
fn await_runner(parents: &[u32]) -> Outcome<u32> {
    await_some("a run", parents, || busy_runner(parents))
}

/// Waits for a process's end; one that goes on is killed and the test fails.
fn check_ends(process: u32) -> Outcome {
    if ends_within(process, GOES_ON_TICKS) {
        return Ok(());
    }
    let _gone = signal(process, Signal::KILL);
    Err("the process goes on".into())
}

/// Long enough for [`FUEL`].
fn patient(parameters: &mut Parameters) {
    parameters.commit_epochs = 500;
}

#[test]
fn a_local_run_leaves_no_process_behind_however_it_is_ended() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = endless(directory.path())?;
    for ended_by in [Signal::TERM, Signal::HUP, Signal::INT, Signal::KILL] {
        let mut command = Command::new(program())
            .args(["task", "run", "--local", "--fuel", FUEL])
            .arg(&path)
            .env_clear()
            .envs(environment())
            .env("FRITH_HOME", directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let runner = await_runner(&[command.id()])?;
        signal(command.id(), ended_by)?;
        assert!(!command.wait()?.success());
        check_ends(runner)?;
    }
    Ok(())
}

#[test]
fn a_killed_node_takes_its_runs_with_it() -> Outcome {
    let mut world = World::start_by(1, BTreeMap::new(), "", patient)?;
    world.submit(ENDLESS, &["--fuel", FUEL, "--replicas", "1"])?;
    let node = world.devnet.process(0).ok_or("a process")?;
    let runner = await_runner(&[node])?;
    world.devnet.kill(0)?;
    check_ends(runner)
}

#[test]
fn a_node_says_that_it_has_stopped_when_its_runs_have_ended() -> Outcome {
    let world = World::start_by(1, BTreeMap::new(), "", patient)?;
    world.submit(ENDLESS, &["--fuel", FUEL, "--replicas", "1"])?;
    let node = world.devnet.process(0).ok_or("a process")?;
    let runner = await_runner(&[node])?;
    signal(node, Signal::TERM)?;
    let log = world.devnet.log(0);
    await_some("the node's last words", &[node], || {
        let text = std::fs::read_to_string(&log).ok()?;
        text.contains("node stopped").then_some(())
    })?;
    let goes_on = !is_zombie(runner);
    check_ends(runner)?;
    assert!(!goes_on, "it said so while a task ran");
    Ok(())
}

/// `frith devnet` on planned directories; killed when the test fails.
struct DevnetCommand(Child);

impl DevnetCommand {
    /// Starts it and waits until it says that it is ready.
    fn start(dir: &Path) -> Outcome<(Self, Value)> {
        let mut child = Command::new(program())
            .args(["devnet", "--nodes", "4", "--json", "--dir"])
            .arg(dir)
            .env_clear()
            .envs(environment())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let told = child.stdout.take().ok_or("a pipe")?;
        let started = Self(child);
        let mut line = String::new();
        BufReader::new(told).read_line(&mut line)?;
        Ok((started, serde_json::from_str(&line)?))
    }
}

impl Drop for DevnetCommand {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

#[test]
fn a_devnet_ends_in_order_in_the_middle_of_a_long_run() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = endless(directory.path())?;
    let dir = directory.path().join("devnet");
    let home = planned(&dir, 4, "", patient)?.home;
    let (mut devnet, ready) = DevnetCommand::start(&dir)?;
    let nodes = ready["nodes"].as_array().ok_or("nodes")?;
    let api = nodes[0]["api"].as_str().ok_or("an address")?;
    let path = path.to_str().ok_or("a path")?;
    let line = [
        "--key", "alice", "task", "submit", path, "--fuel", FUEL, "--yes",
    ];
    answer(&frith(&home, api, PASSPHRASE, &line)?)?;
    let ids = nodes
        .iter()
        .filter_map(|node| node["process"].as_u64()?.try_into().ok());
    let ids: Vec<u32> = ids.collect();
    let runner = await_runner(&ids)?;
    signal(devnet.0.id(), Signal::INT)?;
    let status = devnet.0.wait()?;
    assert!(status.success(), "{status}");
    assert!(is_zombie(runner), "its run went on");
    Ok(())
}

#[test]
fn a_run_whose_place_has_lapsed_is_killed() -> Outcome {
    let change = |parameters: &mut Parameters| parameters.commit_epochs = 10;
    let world = World::start_by(1, BTreeMap::new(), "runner_nice = 0", change)?;
    let node = world.devnet.process(0).ok_or("a process")?;
    let log = world.devnet.log(0);
    let lapsed = || std::fs::read_to_string(&log).map_or(0, |text| text.matches(LAPSED).count());
    // On a busy machine a place may lapse before its run has computed much: then another task's run is looked for.
    let runner = loop {
        let before = lapsed();
        world.submit(ENDLESS, &["--fuel", FUEL, "--replicas", "1"])?;
        let found = await_some("a run", &[node], || {
            let runner = busy_runner(&[node]);
            (runner.is_some() || lapsed() > before).then_some(runner)
        })?;
        if let Some(runner) = found {
            break runner;
        }
    };
    check_ends(runner)?;
    let status = world.devnet.node(0)?.status()?.worker.ok_or("a seat")?;
    assert_eq!(status.runs, 0, "it had no result");
    assert!(lapsed() > 0, "{}", std::fs::read_to_string(&log)?);
    world.devnet.stop()?;
    Ok(())
}
