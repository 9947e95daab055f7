//! `frith task`: price, submit, follow, fetch.

use super::Report;
use super::args::{SpecArgs, TaskCommand, WaitArgs};
use super::offers::{doubts, doubts_by_node};
use super::orders::{carry_out, how_sure, submit};
use super::output::{confirm, is_terminal, note, spinner};
use super::result::{preview, proven_outcome, task_failure};
use super::session::Session;
use super::spec::{Prepared, prepare};
use super::wallet::{held, network};
use crate::amounts::{grouped, short};
use crate::api::refusal_body;
use crate::client::{NodeClient, Order, fee_of};
use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::present;
use crate::views::{Finality, OperationView, PlaceView, TaskView};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::hash::Hash;
use frith_ledger::operation::Action;
use frith_ledger::parameters::Parameters;
use frith_ledger::units::Epoch;
use frith_tasks::Refusal;
use frith_tasks::quote::quote;
use frith_tasks::runtime::check_action;
use serde::Serialize;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Longest that one node is waited for at a time.
const TASK_SLICE: Duration = Duration::from_secs(20);
/// Before another node is asked.
const TASK_PAUSE: Duration = Duration::from_millis(200);

pub(super) fn run(session: &Session, command: TaskCommand) -> Result<Report> {
    match command {
        TaskCommand::Quote { spec, unchecked } => price(session, &spec, unchecked),
        TaskCommand::Submit {
            spec,
            yes,
            unchecked,
            wait,
        } => send(session, &spec, yes, unchecked, wait),
        TaskCommand::Status { task, wait } => status(session, &task, wait),
        TaskCommand::Result {
            task,
            output,
            timeout,
        } => super::result::run(session, &task, output, timeout),
        TaskCommand::List { all, limit, cursor } => {
            super::task_list::run(session, all, limit, cursor)
        }
        TaskCommand::Cancel { task, wait } => {
            let (genesis, node) = network(session)?;
            let wallet = session.wallet(&genesis, &node)?;
            carry_out(
                session,
                &wallet,
                Action::CancelTask { task },
                wait,
                &format!("task {task} is cancelled; its escrow is back"),
            )
        }
        TaskCommand::Logs { task, seat } => logs(session, &task, seat.as_ref()),
        TaskCommand::Run {
            as_task,
            spec,
            engine,
            output,
            ..
        } => match as_task {
            Some(task) => super::program::run_as(session, &task, engine, output),
            None => super::program::run_local(session, &spec, engine, output),
        },
    }
}

/// What a task can cost.
#[derive(Debug, Clone, Serialize)]
struct Cost {
    most: Credits,
    escrow: Credits,
    fee: Credits,
    most_per_worker: Credits,
    bond_of_each_worker: Credits,
    replicas: u8,
    fuel_max: u64,
    /// Fuel of compiling and starting the program, which every run takes; none for a module that wasn't looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_fuel: Option<u64>,
    price: Credits,
    /// What speaks against the task, by the word of a node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// What a task costs that is prepared in the epoch `now`; the network's refusal for one that it wouldn't take.
fn cost(parameters: &Parameters, prepared: &Prepared, now: Epoch, unchecked: bool) -> Result<Cost> {
    let refused = |refusal: Refusal| Failure::answered(Exit::Refused, refusal_body(&refusal));
    let action = Action::SubmitTask(Box::new(prepared.spec.clone()));
    check_action(parameters, now, &action).map_err(refused)?;
    let start_fuel = if unchecked {
        None
    } else {
        Some(check_module(prepared)?)
    };
    let quoted = quote(parameters, &prepared.spec).map_err(|error| refused(error.into()))?;
    let fee = fee_of(&action, parameters);
    let most = quoted.escrow.add(fee);
    Ok(Cost {
        most: most.map_err(|error| refused(error.into()))?,
        escrow: quoted.escrow,
        fee,
        most_per_worker: quoted.place,
        bond_of_each_worker: quoted.bond,
        replicas: prepared.spec.replicas,
        fuel_max: prepared.spec.fuel_max.get(),
        start_fuel,
        price: prepared.spec.price,
        warnings: Vec::new(),
    })
}

impl Cost {
    /// What its workers are asked by.
    fn terms(&self) -> (Credits, Credits, u8) {
        (self.price, self.bond_of_each_worker, self.replicas)
    }

    fn text(&self) -> String {
        let mut text = format!(
            "at most   {} credits: {} replicas × {} (all {} fuel at {} for 10⁶, and the task fee), and {} operation fee\n\
             back      what is not used of {} credits in escrow\nbond      {} credits of each worker",
            self.most,
            self.replicas,
            self.most_per_worker,
            grouped(self.fuel_max),
            self.price,
            self.fee,
            self.escrow,
            self.bond_of_each_worker,
        );
        if let Some(start) = self.start_fuel {
            text.push_str(&format!(
                "\nstart     {} fuel for compiling and starting the program, in every run",
                grouped(start)
            ));
        }
        for warning in &self.warnings {
            text.push_str(&format!("\nWARNING   {warning}"));
        }
        text
    }
}

fn price(session: &Session, args: &SpecArgs, unchecked: bool) -> Result<Report> {
    let parameters = session.genesis()?.parameters;
    // Deadlines count from now: which epoch that is makes no difference.
    let prepared = prepare(args, &parameters, Epoch::ZERO)?;
    let mut cost = cost(&parameters, &prepared, Epoch::ZERO, unchecked)?;
    cost.warnings = doubts_by_node(session, cost.terms());
    Report::new(cost.text(), &cost)
}

/// What a submission answers.
#[derive(Debug, Serialize)]
struct Submitted {
    task: Address,
    cost: Cost,
    operation: OperationView,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<TaskView>,
}

fn send(
    session: &Session,
    args: &SpecArgs,
    yes: bool,
    unchecked: bool,
    wait: WaitArgs,
) -> Result<Report> {
    let (genesis, node) = network(session)?;
    let now = Epoch::new(node.status()?.epoch);
    let prepared = prepare(args, &genesis.parameters, now)?;
    let mut cost = cost(&genesis.parameters, &prepared, now, unchecked)?;
    cost.warnings = doubts(&node, cost.terms());
    if !yes {
        let held = held(&node, &session.address()?)?;
        if is_terminal() && !session.json {
            note(&format!(
                "{}\nyou hold  {held} credits\nProgram, input, arguments and result are public: every node may read them.",
                cost.text()
            ));
        }
        let most = cost.most;
        let question = format!("Submit it for at most {most} of your {held} credits?");
        confirm(session.json, &question, yes)?;
    }
    let wallet = session.wallet(&genesis, &node)?;
    let mut contents = vec![&prepared.program[..]];
    contents.extend(prepared.input_content());
    // `final` is about the result: the submission itself need only be committed first.
    let first = WaitArgs {
        wait: wait.wait.min(Finality::Local),
        ..wait
    };
    let make = |_| Ok(Action::SubmitTask(Box::new(prepared.spec.clone())));
    let order = Order {
        make: &make,
        nonce: None,
        base: now,
        contents: &contents,
    };
    let operation = submit(session, &wallet, &order, first)?;
    let task = Address(Hash::from_hex(&operation.id).map_err(Failure::other)?.0);
    let mut text = format!(
        "task      {task}\noperation {}\nat most   {} credits",
        how_sure(&operation),
        cost.most
    );
    for warning in cost.warnings.iter().filter(|_| yes) {
        text.push_str(&format!("\nWARNING   {warning}"));
    }
    let mut failure = None;
    let outcome = if wait.wait == Finality::Final {
        let time = Duration::from_secs(wait.timeout);
        let (view, node) = ended(session, &node, &task.to_string(), time)?;
        text.push('\n');
        text.push_str(&describe(&view));
        match proven_outcome(session, &genesis, &node, &task, time) {
            Ok((outcome, ..)) => text.push_str(&preview(&task, &outcome)),
            Err(none) if none.exit == Exit::ProgramFailed => {}
            Err(error) => return Err(error),
        }
        failure = task_failure(&view);
        Some(view)
    } else {
        text.push_str(&format!("\nfollow it with `frith task status {task}`"));
        None
    };
    let submitted = Submitted {
        task,
        cost,
        operation,
        outcome,
    };
    Ok(Report::new(text, &submitted)?.failing(failure))
}

/// Applies the workers' own static rules, so that nobody pays for a refusal by accident, or for a run that can't begin.
/// Says what fuel starting takes.
fn check_module(prepared: &Prepared) -> Result<u64> {
    let fuel_max = prepared.spec.fuel_max.get();
    match &prepared.metadata {
        Ok(known) if known.start_fuel >= fuel_max => Err(Failure::usage(format!(
            "the program needs {} fuel to start, {} of it for compiling, and the task allows {}",
            grouped(known.start_fuel),
            grouped(known.compile_fuel),
            grouped(fuel_max)
        ))
        .advise("leave --fuel away for enough, or say more: `frith task run --local` shows what starting and running take together")),
        Ok(known) => Ok(known.start_fuel),
        Err(refusal) => Err(Failure::refused(
            Code::ModuleRefused,
            format!("workers would refuse this module: {refusal}"),
        )
        .advise("docs/tasks.md lists what a module may have; --unchecked takes it all the same; who submits it pays for the refusal")),
    }
}

/// Waits for a task's end, asking nodes in turn when one goes away. Gives the node that knew it too.
fn ended(
    session: &Session,
    node: &NodeClient,
    task: &str,
    time: Duration,
) -> Result<(TaskView, NodeClient)> {
    let mut nodes = vec![node.clone()];
    nodes.extend(session.others()?);
    let deadline = Instant::now() + time;
    let waiting = spinner("waits for the task's end", session.json);
    let mut at = 0;
    let view = loop {
        let node = &nodes[at % nodes.len()];
        let left = deadline.saturating_duration_since(Instant::now());
        match node.task(task, Some(left.min(TASK_SLICE))) {
            Ok(view) if view.ended => {
                waiting.finish_and_clear();
                return Ok((view, node.clone()));
            }
            Ok(view) if left.is_zero() => break view,
            Ok(_) => {}
            // What one doesn't know yet another may.
            Err(failure) if left.is_zero() || failure.exit == Exit::Usage => return Err(failure),
            Err(failure) if at == 0 && failure.exit == Exit::Refused => return Err(failure),
            Err(_) => {
                at += 1;
                std::thread::sleep(TASK_PAUSE.min(left));
            }
        }
    };
    waiting.finish_and_clear();
    Err(Failure::unreachable(format!(
        "task {task} has not ended within {} s: {}",
        time.as_secs(),
        view.explanation
    ))
    .advise(format!(
        "it goes on; ask later with `frith task status {task}`"
    )))
}

fn status(session: &Session, task: &str, wait: Option<u64>) -> Result<Report> {
    let node = session.node()?;
    let Some(seconds) = wait else {
        let view = node.task(task, None)?;
        return Report::new(describe(&view), &view);
    };
    let (view, _) = ended(session, &node, task, Duration::from_secs(seconds))?;
    Ok(Report::new(describe(&view), &view)?.failing(task_failure(&view)))
}

/// A task on one screen.
pub(super) fn describe(view: &TaskView) -> String {
    let mut text = format!(
        "task      {}\nstate     {}: {}\naccount   {}\nprogram   {} ({} bytes), {} replicas, {} fuel at most, {} credits for 10⁶\nescrow    {} credits held, {} paid\n",
        view.address,
        view.state,
        view.explanation,
        view.account,
        short(&view.spec.program),
        view.spec.program_len,
        view.spec.replicas,
        grouped(view.spec.fuel_max),
        view.spec.price,
        view.escrow,
        view.paid,
    );
    if let Some(outcome) = &view.outcome {
        let _infallible = writeln!(
            text,
            "result    {}, {} fuel, {} bytes{}",
            outcome.status,
            grouped(outcome.fuel),
            outcome.output_len,
            outcome
                .content
                .as_ref()
                .map_or_else(String::new, |id| format!(", content {id}"))
        );
    }
    for place in &view.places {
        let line = format!(
            "worker    {} {:<9} {:<10} {}",
            short(&place.seat),
            place.engine,
            place.state,
            fate(place)
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What a place brought, in words.
pub(super) fn fate(place: &PlaceView) -> String {
    let mut parts = Vec::new();
    if let Some(found) = &place.found {
        parts.push(format!("{} fuel", grouped(found.fuel)));
    }
    if place.paid != "0" {
        parts.push(format!("paid {}", place.paid));
    }
    if place.lost != "0" {
        parts.push(format!("LOST {}", place.lost));
    }
    parts.extend(place.unpaid.clone());
    parts.join(", ")
}

fn logs(session: &Session, task: &Address, seat: Option<&Address>) -> Result<Report> {
    let view = session.node()?.logs(task, seat)?;
    if session.json {
        return Report::new("", &view);
    }
    note(&format!(
        "the word of one worker, which nothing proves: seat {}, on {}, {}, {} fuel, {} s ago",
        view.seat,
        view.engine,
        view.status,
        grouped(view.fuel),
        view.age_s,
    ));
    let text = present::excerpt_text(&view.stderr);
    if text.is_empty() {
        note("it wrote nothing to standard error");
    }
    Ok(Report::new("", &view)?.with_bytes(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::entity::TaskSpec;
    use frith_ledger::parameters::{CONTENT_BYTES_MAX, REPLICAS_MAX};
    use frith_tasks::SpecFault;
    use std::path::Path;

    /// What makes a task one that nobody takes.
    type Spoil = Box<dyn FnOnce(&mut SpecArgs)>;

    fn args(program: &Path) -> SpecArgs {
        SpecArgs {
            program: program.to_owned(),
            input: None,
            args: Vec::new(),
            env: Vec::new(),
            fuel: Some(1_000_000),
            price: Credits::new(1_000),
            replicas: 3,
            memory_pages: None,
            result_max: 1 << 10,
            deadline: 20,
        }
    }

    /// The quote of a program with these arguments in epoch 7, and the description that a submission would have.
    fn quoted(
        program: &[u8],
        unchecked: bool,
        change: impl FnOnce(&mut SpecArgs),
    ) -> (Result<Cost>, TaskSpec) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), program).expect("writes");
        let mut args = args(file.path());
        change(&mut args);
        let parameters = Parameters::devnet();
        let now = Epoch::new(7);
        let prepared = prepare(&args, &parameters, now).expect("the files are there");
        let spec = prepared.spec.clone();
        (cost(&parameters, &prepared, now, unchecked), spec)
    }

    fn program() -> Vec<u8> {
        let text = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
        wat::parse_str(text).expect("a module")
    }

    #[test]
    fn what_the_network_would_refuse_is_refused_by_a_quote_with_the_same_words() {
        let most = Parameters::devnet();
        let cases: [(&str, Spoil); 9] = [
            ("no replica", Box::new(|a| a.replicas = 0)),
            (
                "too many replicas",
                Box::new(|a| a.replicas = u8::try_from(REPLICAS_MAX + 1).expect("few")),
            ),
            ("no fuel", Box::new(|a| a.fuel = Some(0))),
            (
                "too much fuel",
                Box::new(move |a| a.fuel = Some(most.task_fuel_max + 1)),
            ),
            ("no memory", Box::new(|a| a.memory_pages = Some(0))),
            (
                "too much memory",
                Box::new(|a| a.memory_pages = Some(Parameters::devnet().memory_pages_max + 1)),
            ),
            (
                "too long a result",
                Box::new(|a| a.result_max = CONTENT_BYTES_MAX + 1),
            ),
            ("too soon", Box::new(|a| a.deadline = 1)),
            (
                "too late",
                Box::new(|a| a.deadline = Parameters::devnet().expiry_max + 1),
            ),
        ];
        for (what, change) in cases {
            let (quoted, spec) = quoted(&program(), false, change);
            let failure = quoted.expect_err(what);
            let action = Action::SubmitTask(Box::new(spec));
            let refusal = check_action(&Parameters::devnet(), Epoch::new(7), &action);
            let network = refusal_body(&refusal.expect_err("the network refuses it too"));
            assert_eq!(failure, Failure::answered(Exit::Refused, network), "{what}");
            assert_eq!(
                (failure.exit, failure.code.as_str()),
                (Exit::Refused, "spec")
            );
        }
        let (empty, _) = quoted(&[], true, |_| {});
        let fault = SpecFault::Program {
            found: 0,
            max: frith_ledger::parameters::MODULE_BYTES_MAX,
        };
        let expected = Refusal::Spec(fault).to_string();
        assert_eq!(empty.expect_err("no program").message, expected);
        let (dear, _) = quoted(&program(), false, |args| {
            args.price = Credits::new(u128::MAX);
        });
        assert_eq!(dear.expect_err("no account holds it").code, "amounts");
    }

    #[test]
    fn a_run_may_use_more_than_starting_takes_unless_less_is_said_which_is_refused() {
        let metered = frith_vm::prepare(&program(), &frith_vm::Limits::default());
        let start = metered.expect("is valid").metadata.start_fuel;
        let (usual, spec) = quoted(&program(), false, |args| args.fuel = None);
        let usual = usual.expect("is priced");
        assert_eq!(usual.start_fuel, Some(start));
        assert_eq!(usual.fuel_max, start + 1_000_000_000);
        assert_eq!(spec.fuel_max.get(), usual.fuel_max);
        let (least, _) = quoted(&program(), false, |args| args.fuel = Some(start + 1));
        assert_eq!(least.expect("is priced").fuel_max, start + 1);
        let (little, _) = quoted(&program(), false, |args| args.fuel = Some(start));
        let little = little.expect_err("nothing would run");
        assert_eq!(little.exit, Exit::Usage);
        assert!(little.message.contains("to start"), "{}", little.message);
    }

    #[test]
    fn a_module_that_workers_refuse_is_priced_only_when_it_is_asked_for() {
        let (refused, _) = quoted(b"no module", false, |_| {});
        assert_eq!(refused.expect_err("is refused").code, "module_refused");
        let (priced, _) = quoted(b"no module", true, |_| {});
        assert_eq!(priced.expect("is priced").replicas, 3);
        let (priced, _) = quoted(&program(), false, |_| {});
        assert_eq!(priced.expect("is priced").fuel_max, 1_000_000);
    }
}
