//! A devnet of five real processes: how many epochs a task takes from its submission to its payment, what an
//! idle node holds in memory, and how long it takes from its start to being ready.
//!
//! Run with `cargo bench --profile dev -p frith --bench devnet`, after `make guests`; prints, and writes
//! `bench-devnet.json` into the target folder.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

use frith::devnet::{Devnet, DevnetOptions, PASSPHRASE, PlanOptions, plan};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const NODES: u16 = 5;
const EPOCH: Duration = Duration::from_secs(1);
const TASKS: usize = 15;
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a node is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(5);
const STARTS: usize = 5;

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_frith"))
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

/// Submits the trivial program and waits until it is paid. Gives the time in epochs.
fn task(home: &Path, devnet: &Devnet, number: usize) -> Outcome<f64> {
    let node = devnet.node(number % usize::from(NODES))?;
    let module = target().join("wasm32-wasip1/guest/examples/hello.wasm");
    let module = module.to_str().ok_or("the target folder is no text")?;
    let wallet = if number.is_multiple_of(2) {
        "alice"
    } else {
        "bob"
    };
    let input = home.join("input.txt");
    std::fs::write(&input, number.to_string())?;
    let input = input.to_str().ok_or("the home folder is no text")?;
    let output = Command::new(program())
        .args(["--json", "--api", node.base(), "--key", wallet])
        .args([
            "task",
            "submit",
            module,
            "--input",
            input,
            "--yes",
            "--replicas",
            "3",
            "--fuel",
            "10000000",
        ])
        .env("FRITH_HOME", home)
        .env("FRITH_PASSPHRASE", PASSPHRASE)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    // From the moment that the submission is committed: unlocking the key isn't the network's work.
    let began = Instant::now();
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let address = answer["task"].as_str().ok_or("no task in the answer")?;
    let view = node.task(address, Some(PATIENCE))?;
    if view.state != "settled" {
        return Err(format!("the task ended as {}: {}", view.state, view.explanation).into());
    }
    Ok(began.elapsed().as_secs_f64() / EPOCH.as_secs_f64())
}

fn resident_bytes(process: u32) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
    Ok(kib * 1024)
}

/// Starts a node of the running network again, and waits until it is ready.
fn ready(devnet: &mut Devnet, index: usize) -> Outcome<f64> {
    devnet.kill(index)?;
    let began = Instant::now();
    devnet.restart(index)?;
    while !devnet.node(index)?.ready()?.ready {
        if began.elapsed() > PATIENCE {
            return Err("the node doesn't become ready".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn median(mut values: Vec<f64>) -> Outcome<f64> {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len() / 2)
        .copied()
        .ok_or_else(|| "nothing was measured".into())
}

fn main() -> Outcome {
    let directory = tempfile::tempdir()?;
    let epoch_ms = u64::try_from(EPOCH.as_millis())?;
    let options = PlanOptions {
        nodes: NODES,
        dir: directory.path().to_owned(),
        epoch_ms,
        time_ms: 0,
    };
    let planned = plan(&options)?;
    let home = planned.home.clone();
    let options = DevnetOptions {
        program: program(),
        faults: BTreeMap::new(),
        log: "warn".to_owned(),
    };
    let mut devnet = Devnet::start(planned, options)?;
    devnet.await_ready(PATIENCE)?;

    std::thread::sleep(IDLE);
    let process = devnet.process(1).ok_or("node 1 isn't running")?;
    let resident = resident_bytes(process)?;
    let epochs = median(
        (0..TASKS)
            .map(|number| task(&home, &devnet, number))
            .collect::<Outcome<_>>()?,
    )?;
    let ready_ms = median(
        (0..STARTS)
            .map(|_| ready(&mut devnet, 3))
            .collect::<Outcome<_>>()?,
    )?;
    devnet.stop()?;

    println!("submitted to paid    {epochs:8.2} epochs of 1 s (median of {TASKS})");
    println!(
        "idle node, resident  {:8.1} MiB",
        resident as f64 / f64::from(1 << 20)
    );
    println!("start to ready       {ready_ms:8.0} ms (median of {STARTS})");
    let result = serde_json::json!({
        "tasks.submit_to_paid_epochs": (epochs * 100.0).round() / 100.0,
        "node.idle_rss_bytes": resident,
        "node.ready_ms": ready_ms.round(),
    });
    std::fs::write(
        target().join("bench-devnet.json"),
        serde_json::to_vec_pretty(&result)?,
    )?;
    Ok(())
}
