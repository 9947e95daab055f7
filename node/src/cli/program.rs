//! `frith task run --local`: a program as a worker would run it, without any network, or with what the ledger says of a
//! task.

use super::Report;
use super::args::SpecArgs;
use super::balance::proven;
use super::output::{note, spinner};
use super::result::{is_for_no_terminal, program_failure};
use super::session::Session;
use super::spec::prepare;
use crate::amounts::grouped;
use crate::codes::Code;
use crate::config::Engine;
use crate::failure::{Failure, Result};
use crate::present;
use crate::worker::vm_job;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Bytes, Entity, RunStatus, TaskOutcome, TaskSpec, TaskState};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::{Epoch, Fuel};
use frith_tasks::outcome::{describe, task_outcome};
use frith_tasks::quote::pay;
use frith_tasks::worker::TaskJob;
use frith_vm::runner::Runner;
use frith_vm::{EngineKind, HostError, Job, Outcome};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Most memory of the process that runs the program, in MiB; as a node's default.
const RUNNER_MEMORY_MIB: u64 = 2048;

/// A runner like a worker's, for this job. Compiled programs are kept in the user's directory; when it can't be written to,
/// they aren't kept, and this says why.
fn runner(
    session: &Session,
    job: &Job,
) -> std::result::Result<(Runner, Option<String>), HostError> {
    let cache = session.home.dir().join("compiled");
    let mut config = crate::worker::runner_config(&cache, RUNNER_MEMORY_MIB, 0)?;
    // Nobody waits for a result here but the user: the fuel alone says how long it may take.
    let needed = config.cpu.of_job(job);
    config.resources.cpu_seconds = config.resources.cpu_seconds.max(needed);
    match Runner::new(config.clone()) {
        Ok(runner) => Ok((runner, None)),
        Err(error) => {
            config.cache_directory = None;
            Ok((Runner::new(config)?, Some(error.to_string())))
        }
    }
}

/// What a run on this machine gave.
struct LocalRun {
    run: Outcome,
    outcome: TaskOutcome,
    engine: EngineKind,
    wall_ms: u128,
    /// Why the compiled program is not kept.
    unkept: Option<String>,
}

fn execute(session: &Session, engine: Engine, program: &[u8], job: &Job) -> Result<LocalRun> {
    let engine = engine.native()?;
    let waiting = spinner("runs", session.json);
    let started = Instant::now();
    let failed = |error: HostError| {
        Failure::other(format!("this machine could not run the program: {error}"))
            .advise("a worker would try again; this says nothing about the program")
    };
    let (runner, unkept) = runner(session, job).map_err(failed)?;
    let run = runner.run(engine, program, job).map_err(failed)?;
    let unkept = unkept.or_else(|| runner.unkept());
    let wall_ms = started.elapsed().as_millis();
    waiting.finish_and_clear();
    Ok(LocalRun {
        outcome: task_outcome(&run),
        run,
        engine,
        wall_ms,
        unkept,
    })
}

impl LocalRun {
    /// What the program said of itself, and how it ended.
    fn text(&self, session: &Session) -> String {
        let Self {
            run,
            outcome,
            engine,
            wall_ms,
            unkept,
        } = self;
        let home = session.home.dir().display();
        let unkept = unkept.as_ref().map_or_else(String::new, |reason| {
            format!("\ncompiled  and not kept for the next run in {home}: {reason}")
        });
        let stderr = present::excerpt_text(&present::excerpt(&run.stderr));
        let stderr = match stderr.trim_end() {
            "" => String::new(),
            said => format!("stderr    {}\n", said.replace('\n', "\n          ")),
        };
        format!(
            "{stderr}status    {}\nfuel      {} ({wall_ms} ms on {engine}, {} pages of memory)\nresult    {} bytes{}{unkept}",
            describe(outcome.status),
            grouped(run.fuel),
            run.peak_pages,
            run.output.len(),
            if matches!(outcome.output, Bytes::Content { .. }) {
                ", which a task keeps as content"
            } else {
                ""
            },
        )
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "outcome": present::outcome(&self.outcome), "engine": self.engine.to_string(), "wall_ms": self.wall_ms,
            "peak_memory_pages": self.run.peak_pages, "stderr": present::excerpt(&self.run.stderr),
            "output": hex::encode(&self.run.output), "compiled_not_kept": self.unkept,
        })
    }

    /// Writes the result where the user wants it, and the text beside it.
    fn report(
        self,
        session: &Session,
        output: Option<PathBuf>,
        (mut text, json): (String, serde_json::Value),
    ) -> Result<Report> {
        let failure = program_failure(&present::outcome(&self.outcome));
        let report = match output {
            Some(path) => {
                std::fs::write(&path, &self.run.output)
                    .map_err(|error| Failure::file("write", &path, error))?;
                Report::new(format!("{text}\nwritten   {}", path.display()), &json)?
            }
            None if session.json => Report::new("", &json)?,
            None if is_for_no_terminal(session, &self.run.output) => {
                text.push_str("\noutput    is no plain text: -o FILE writes it");
                Report::new(text, &json)?
            }
            None => {
                note(&text);
                Report::new("", &json)?.with_bytes(self.run.output)
            }
        };
        Ok(match self.outcome.status {
            status @ RunStatus::Refused { .. } => report.with_failure(Failure::refused(
                Code::ModuleRefused,
                format!("workers refuse this module: {}", describe(status)),
            )),
            _ => report.failing(failure),
        })
    }
}

/// Adds fields to an object.
fn with(mut json: serde_json::Value, more: serde_json::Value) -> serde_json::Value {
    if let (Some(json), serde_json::Value::Object(more)) = (json.as_object_mut(), more) {
        json.extend(more);
    }
    json
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
    let job = local_job(args, prepared.input.clone(), &prepared.spec)?;
    let ran = execute(session, engine, &prepared.program, &job)?;
    let fuel = Fuel::new(ran.run.fuel);
    let pay = pay(&parameters, &prepared.spec, fuel).unwrap_or(Credits::ZERO);
    let cost = pay.scaled(u128::from(args.replicas), 1).unwrap_or(pay);
    let text = format!(
        "{}\nas task   {cost} credits: {} replicas × {pay} at {} for 10⁶ fuel",
        ran.text(session),
        args.replicas,
        args.price,
    );
    let price = json!({"pay_of_each_worker": pay, "cost": cost, "replicas": args.replicas, "price": args.price});
    let json = with(ran.json(), price);
    ran.report(session, output, (text, json))
}

/// Runs what a task runs, as the ledger proves it: program, input, arguments, environment, clock, seed and limits.
pub(super) fn run_as(
    session: &Session,
    address: &Address,
    engine: Engine,
    output: Option<PathBuf>,
) -> Result<Report> {
    let (genesis, node) = (session.genesis()?, session.node()?);
    let answer = proven(session, &genesis, &node, address, None)?;
    answer.warn(session);
    let shown = answer.proven;
    let task = match shown.entity {
        Some(Entity::Task(task)) => task,
        Some(_) => return Err(Failure::usage(format!("{address} is no task's address"))),
        None => {
            return Err(Failure::refused(
                Code::NotFound,
                format!("no task is proven at {address}"),
            )
            .advise("check the address; a task is proven once a root records its submission"));
        }
    };
    if task.drawn.is_none() {
        return Err(Failure::refused(
            Code::TaskPhase,
            format!("task {address} is not drawn, so its clock and seed don't stand yet"),
        )
        .advise("run it again when it has workers: see `frith task status`"));
    }
    // The client checks the bytes against their ids, which the proof shows.
    let program = node.content(&task.spec.program.to_hex())?;
    let input = match &task.spec.input {
        Bytes::Inline(inline) => inline.to_vec(),
        Bytes::Content { id, .. } => node.content(&id.to_hex())?,
    };
    // The machine's job doesn't depend on the engine.
    let job = vm_job(&TaskJob::new(&task, 0), input);
    let ran = execute(session, engine, &program, &job)?;
    let (ledger, agrees) = match &task.state {
        TaskState::Settled { outcome, .. } => {
            let agrees = *outcome == ran.outcome;
            let word = if agrees { "the same" } else { "NOT THE SAME" };
            let fuel = grouped(outcome.fuel.get());
            let text = format!("{word}: {}, {fuel} fuel", describe(outcome.status));
            (text, Some(agrees))
        }
        _ => (present::task(address, &task).explanation, None),
    };
    let text = format!("{}\nledger    {ledger}", ran.text(session));
    let about =
        json!({"task": address, "epoch": shown.epoch, "root": shown.root, "agrees": agrees});
    let json = with(ran.json(), about);
    ran.report(session, output, (text, json))
}

/// What the machine is asked to run. Clock and randomness are stand-ins: a task's come from the ledger.
fn local_job(args: &SpecArgs, input: Vec<u8>, spec: &TaskSpec) -> Result<Job> {
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
        fuel_limit: spec.fuel_max.get(),
        memory_limit_pages: spec.memory_pages,
        output_limit_bytes: spec.result_max,
    })
}
