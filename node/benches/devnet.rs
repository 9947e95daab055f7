//! A devnet of five real processes: how many epochs a task takes from its submission to its payment, how many
//! tasks settle a second at saturation and what the ledger spends on one, what an idle node holds in memory and
//! takes of a core, and how long it takes from its start to being ready.
//!
//! Run with `cargo bench --profile dev -p frith --bench devnet`, after `make guests`; prints, and writes
//! `bench-devnet.json` into the target folder.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

use frith::client::fee_of;
use frith::devnet::{Devnet, DevnetOptions, PASSPHRASE, PlanOptions, WALLETS, plan};
use frith_ledger::codec::BoundedVec;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{ContentId, TaskSpec};
use frith_ledger::genesis::Genesis;
use frith_ledger::key::{SecurityLevel, Seed};
use frith_ledger::operation::{Action, Operation, OperationBody, SignedOperation};
use frith_ledger::units::{Epoch, Fuel, Nonce};
use frith_tasks::content::{content_id, name_bytes};
use parity_scale_codec::Encode as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const NODES: u16 = 5;
const EPOCH: Duration = Duration::from_secs(1);
const TASKS: usize = 15;
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a node is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(5);
const STARTS: usize = 5;
/// How long a node is watched doing nothing.
const WATCHED: Duration = Duration::from_secs(15);
/// Tasks under way at saturation: more than the workers have slots for.
const WINDOW: u64 = 160;
const WARM_UP: Duration = Duration::from_secs(6);
const SATURATED: Duration = Duration::from_secs(20);

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
            "100000000",
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

/// Signs submissions of one program, each with an input of its own.
struct Submitter<'a> {
    genesis: &'a Genesis,
    seed: Seed,
    nonce: u64,
    program: ContentId,
    program_len: u32,
}

impl Submitter<'_> {
    fn next(&mut self, now: u64) -> Outcome<Vec<u8>> {
        let parameters = &self.genesis.parameters;
        let spec = TaskSpec {
            program: self.program,
            program_len: self.program_len,
            input: name_bytes(self.nonce.to_string().as_bytes()),
            arguments: BoundedVec::new(),
            environment: BoundedVec::new(),
            fuel_max: Fuel::new(100_000_000),
            price: Credits::new(1_000),
            replicas: 3,
            memory_pages: 64,
            result_max: 4096,
            deadline: Epoch::new(now + 200),
        };
        let action = Action::SubmitTask(Box::new(spec));
        let key = self.seed.account();
        let body = OperationBody {
            genesis: self.genesis.hash(),
            account: key.public().address(),
            nonce: Nonce::new(self.nonce),
            expires: Epoch::new(now + 30),
            fee: fee_of(&action, parameters),
            action,
        };
        self.nonce += 1;
        Ok(Operation::Signed(SignedOperation::sign(body, &key)).encode())
    }
}

/// Counts settled tasks as a node tells of them, until the node ends.
fn count_settled(base: &str) -> Outcome<Arc<AtomicU64>> {
    let settled = Arc::new(AtomicU64::new(0));
    let counter = settled.clone();
    let response = ureq::get(format!("{base}/v1/events")).call()?;
    let lines = BufReader::new(response.into_body().into_reader()).lines();
    std::thread::spawn(move || {
        // A line that can't be read is the end of the stream.
        for line in lines.map_while(Result::ok) {
            let event = line
                .strip_prefix("data:")
                .map(serde_json::from_str::<Value>);
            if let Some(Ok(event)) = event
                && event["what"] == "settled"
            {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    Ok(settled)
}

/// Settled tasks a second, and the seconds of a core that all node processes spend on one.
fn saturate(devnet: &Devnet, genesis: &Genesis) -> Outcome<(f64, f64)> {
    let module = std::fs::read(target().join("wasm32-wasip1/guest/examples/hello.wasm"))?;
    let node = devnet.node(0)?;
    node.put_content(&module)?;
    let mut submitters = Vec::new();
    for wallet in WALLETS {
        let seed = Seed::from_passphrase(&format!("frith devnet {wallet}"), SecurityLevel::TEST);
        let account = seed.account().public().address();
        let view = serde_json::to_value(node.entity(&account.to_string())?.local)?;
        submitters.push(Submitter {
            genesis,
            seed,
            nonce: view["nonce"].as_u64().ok_or("the account has no nonce")?,
            program: content_id(&module),
            program_len: u32::try_from(module.len())?,
        });
    }
    let settled = count_settled(node.base())?;
    let done = || settled.load(Ordering::Relaxed);
    let began = Instant::now();
    let (mut sent, mut from) = (0_u64, None);
    let mut now = node.status()?.epoch;
    while began.elapsed() < WARM_UP + SATURATED {
        if sent < done() + WINDOW {
            let turn = usize::try_from(sent)? % submitters.len();
            let operation = submitters[turn].next(now)?;
            // Each wallet has a node of its own, which gets its operations in order.
            devnet.node(turn)?.submit(&operation)?;
            sent += 1;
        } else {
            std::thread::sleep(Duration::from_millis(20));
            now = node.status()?.epoch;
        }
        if from.is_none() && began.elapsed() > WARM_UP {
            from = Some((Instant::now(), done(), cpu_seconds(devnet)?));
        }
    }
    let (since, before, cpu) = from.ok_or("the warm-up did not end")?;
    let count = (done() - before) as f64;
    if count == 0.0 {
        return Err("nothing settled".into());
    }
    let cpu = cpu_seconds(devnet)? - cpu;
    Ok((count / since.elapsed().as_secs_f64(), cpu / count))
}

/// Time of a core that all nodes used so far, without the processes that run tasks.
fn cpu_seconds(devnet: &Devnet) -> Outcome<f64> {
    (0..usize::from(NODES))
        .map(|index| cpu_of(devnet.process(index).ok_or("a node isn't running")?))
        .sum()
}

/// User and system time of a process, from the 14th and 15th field of its stat; the kernel counts in hundredths
/// of a second.
fn cpu_of(process: u32) -> Outcome<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| -> Outcome<f64> { Ok(fields.get(at).ok_or("a short stat")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / 100.0)
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
    let genesis = planned.genesis.clone();
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
    let before = cpu_of(process)?;
    std::thread::sleep(WATCHED);
    let idle_percent = (cpu_of(process)? - before) / WATCHED.as_secs_f64() * 100.0;
    let epochs = median(
        (0..TASKS)
            .map(|number| task(&home, &devnet, number))
            .collect::<Outcome<_>>()?,
    )?;
    let (settled_per_s, cpu_per_task) = saturate(&devnet, &genesis)?;
    let ready_ms = median(
        (0..STARTS)
            .map(|_| ready(&mut devnet, 3))
            .collect::<Outcome<_>>()?,
    )?;
    devnet.stop()?;

    println!("submitted to paid    {epochs:8.2} epochs of 1 s (median of {TASKS})");
    println!(
        "settled at saturation {settled_per_s:7.1} tasks/s; {:.1} ms of a core each, on all nodes together",
        cpu_per_task * 1e3
    );
    println!("idle node            {idle_percent:8.2} % of a core");
    println!(
        "idle node, resident  {:8.1} MiB",
        resident as f64 / f64::from(1 << 20)
    );
    println!("start to ready       {ready_ms:8.0} ms (median of {STARTS})");
    let result = serde_json::json!({
        "tasks.submit_to_paid_epochs": (epochs * 100.0).round() / 100.0,
        "tasks.settled_per_s": (settled_per_s * 10.0).round() / 10.0,
        "tasks.ledger_core_ms": (cpu_per_task * 1e4).round() / 10.0,
        "node.idle_rss_bytes": resident,
        "node.idle_cpu_percent": (idle_percent * 100.0).round() / 100.0,
        "node.ready_ms": ready_ms.round(),
    });
    std::fs::write(
        target().join("bench-devnet.json"),
        serde_json::to_vec_pretty(&result)?,
    )?;
    Ok(())
}
