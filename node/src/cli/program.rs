//! `frith task run --local`: a program as a worker would run it, without any network.

use super::Report;
use super::args::SpecArgs;
use super::output::{note, spinner};
use super::result::{is_for_no_terminal, program_failure};
use super::session::Session;
use super::spec::prepare;
use crate::amounts::grouped;
use crate::codes::Code;
use crate::config::Engine;
use crate::failure::{Failure, Result};
use crate::present;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Bytes, RunStatus};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::{Epoch, Fuel};
use frith_tasks::outcome::task_outcome;
use frith_tasks::quote::pay;
use frith_vm::runner::Runner;
use frith_vm::{HostError, Job};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Bytes of standard error that are shown.
const STDERR_SHOWN_MAX: usize = 4096;
/// Most memory of the process that runs the program, in MiB; as a node's default.
const RUNNER_MEMORY_MIB: u64 = 2048;

/// A runner like a worker's. Compiled programs are kept in the user's directory; when it can't be written to, they aren't
/// kept, and this says why.
fn runner(session: &Session) -> std::result::Result<(Runner, Option<String>), HostError> {
    let cache = session.home.dir().join("compiled");
    let mut config = crate::worker::runner_config(&cache, RUNNER_MEMORY_MIB, 0)?;
    match Runner::new(config.clone()) {
        Ok(runner) => Ok((runner, None)),
        Err(error) => {
            config.cache_directory = None;
            Ok((Runner::new(config)?, Some(error.to_string())))
        }
    }
}

pub(super) fn run_local(
    session: &Session,
    args: &SpecArgs,
    engine: Engine,
    output: Option<PathBuf>,
) -> Result<Report> {
    // Prices and limits of the network, when its genesis is known; of any devnet else.
    let parameters = session
        .genesis()
        .map_or_else(|_| Parameters::devnet(), |genesis| genesis.parameters);
    let prepared = prepare(args, &parameters, Epoch::ZERO)?;
    let job = local_job(args, prepared.input.clone(), prepared.spec.memory_pages)?;
    let kind = engine.native()?;
    let waiting = spinner("runs", session.json);
    let started = Instant::now();
    let failed = |error: HostError| {
        Failure::other(format!("this machine could not run the program: {error}"))
            .advise("a worker would try again; this says nothing about the program")
    };
    let (runner, unkept) = runner(session).map_err(failed)?;
    let run = runner.run(kind, &prepared.program, &job).map_err(failed)?;
    let unkept = unkept.or_else(|| runner.unkept());
    let wall_ms = started.elapsed().as_millis();
    waiting.finish_and_clear();
    let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
    let outcome = task_outcome(&run);
    let pay = pay(&parameters, &prepared.spec, Fuel::new(run.fuel)).unwrap_or(Credits::ZERO);
    let cost = pay.scaled(u128::from(args.replicas), 1).unwrap_or(pay);
    let shown = present::outcome(&outcome);
    let json = json!({
        "outcome": shown, "engine": kind.to_string(), "wall_ms": wall_ms, "peak_memory_pages": run.peak_pages,
        "stderr": stderr, "output": hex::encode(&run.output), "pay_of_each_worker": pay, "cost": cost,
        "replicas": args.replicas, "price": args.price, "compiled_not_kept": unkept,
    });
    let mut text = format!(
        "status    {}\nfuel      {} ({wall_ms} ms on {kind}, {} pages of memory)\nresult    {} bytes{}\n\
         as task   {cost} credits: {} replicas × {pay} at {} for 10⁶ fuel",
        shown.status,
        grouped(run.fuel),
        run.peak_pages,
        run.output.len(),
        if matches!(outcome.output, Bytes::Content { .. }) {
            ", which a task keeps as content"
        } else {
            ""
        },
        args.replicas,
        args.price,
    );
    if let Some(reason) = &unkept {
        let home = session.home.dir().display();
        text.push_str(&format!(
            "\ncompiled  and not kept for the next run in {home}: {reason}"
        ));
    }
    if !stderr.is_empty() {
        text.push_str(&format!("\nstderr    {}", beginning(&stderr)));
    }
    let report = match output {
        Some(path) => {
            std::fs::write(&path, &run.output)
                .map_err(|error| Failure::file("write", &path, error))?;
            Report::new(format!("{text}\nwritten   {}", path.display()), &json)?
        }
        None if session.json => Report::new("", &json)?,
        None if is_for_no_terminal(session, &run.output) => {
            text.push_str("\noutput    is no plain text: -o FILE writes it");
            Report::new(text, &json)?
        }
        None => {
            note(&text);
            Report::new("", &json)?.with_bytes(run.output)
        }
    };
    Ok(match outcome.status {
        RunStatus::Refused { .. } => report.with_failure(Failure::refused(
            Code::ModuleRefused,
            format!("workers refuse this module: {}", shown.status),
        )),
        _ => report.failing(program_failure(&shown)),
    })
}

/// What the machine is asked to run. Clock and randomness are stand-ins: a task's come from the ledger.
fn local_job(args: &SpecArgs, input: Vec<u8>, memory_pages: u32) -> Result<Job> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(Failure::other)?;
    let mut arguments = vec![frith_tasks::worker::PROGRAM_NAME.to_owned()];
    arguments.extend(args.args.iter().cloned());
    let environment = args.env.iter().filter_map(|entry| entry.split_once('='));
    Ok(Job {
        input,
        args: arguments,
        env: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        clock: u64::try_from(now).unwrap_or_default(),
        seed,
        fuel_limit: args.fuel,
        memory_limit_pages: memory_pages,
        output_limit_bytes: args.result_max,
    })
}

/// As much of standard error as is shown, its lines under each other.
fn beginning(stderr: &str) -> String {
    let cut = stderr.floor_char_boundary(STDERR_SHOWN_MAX);
    stderr[..cut].trim_end().replace('\n', "\n          ")
}
