//! What a program brought, how it is shown, and how a command ends that waited for it.
//!
//! A result is a stranger's bytes as far as a terminal is concerned: what isn't plain text never reaches one.

use super::Report;
use super::balance::{Answer, proven};
use super::output::note;
use super::session::Session;
use crate::amounts::grouped;
use crate::client::NodeClient;
use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::present;
use crate::views::{OutcomeView, TaskView};
use frith_ledger::address::Address;
use frith_ledger::entity::{Bytes, Entity, TaskOutcome, TaskState};
use frith_ledger::genesis::Genesis;
use serde_json::json;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Lines of a result that are shown beside other things.
const LINES_SHOWN_MAX: usize = 40;

/// How a command ends whose program ended so; `None` for exit status 0.
pub(super) fn program_failure(outcome: &OutcomeView) -> Option<Failure> {
    let status = &outcome.status;
    (!outcome.success).then(|| {
        Failure::new(
            Exit::ProgramFailed,
            Code::ProgramFailed,
            format!("the program ended otherwise than with exit status 0: {status}"),
        )
    })
}

/// How a command ends that waited for this task; `None` while it goes on and when its program ended with exit status 0.
pub(super) fn task_failure(view: &TaskView) -> Option<Failure> {
    match &view.outcome {
        Some(outcome) => program_failure(outcome),
        None => view.ended.then(|| no_result(view)),
    }
}

fn no_result(view: &TaskView) -> Failure {
    Failure::new(
        Exit::ProgramFailed,
        Code::NoResult,
        format!("task {} has no result: {}", view.address, view.explanation),
    )
}

/// Bytes that a terminal may get: text without anything that would command it.
pub(super) fn plain(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let commands = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    (!text.contains(commands)).then_some(text)
}

/// Whether these bytes would go to a terminal that they may not go to.
pub(super) fn is_for_no_terminal(session: &Session, bytes: &[u8]) -> bool {
    std::io::stdout().is_terminal() && !session.json && plain(bytes).is_none()
}

/// A task's result beside its status: small text as it is; of everything else, where it is.
pub(super) fn preview(task: &Address, outcome: &TaskOutcome) -> String {
    let whole = format!("`frith task result {task}");
    let elsewhere = |what: &str| format!("output    {what}: {whole} -o FILE` writes it");
    let bytes = match &outcome.output {
        Bytes::Content { len, .. } => {
            return elsewhere(&format!("{} bytes", grouped(u64::from(*len))));
        }
        Bytes::Inline(bytes) if bytes.is_empty() => return "output    nothing".to_owned(),
        Bytes::Inline(bytes) => bytes,
    };
    let Some(text) = plain(bytes) else {
        return elsewhere(&format!("{} bytes that are no text", bytes.len()));
    };
    let lines = text.lines().count();
    let shown: Vec<&str> = text.lines().take(LINES_SHOWN_MAX).collect();
    let mut shown = format!("output    {}", shown.join("\n          "));
    if lines > LINES_SHOWN_MAX {
        let more = lines - LINES_SHOWN_MAX;
        shown.push_str(&format!(
            "\n          … and {more} lines more: {whole}` prints it whole"
        ));
    }
    shown
}

/// A task's outcome, proven from the genesis. Waits until the root that holds it is committed.
pub(super) fn proven_outcome(
    session: &Session,
    genesis: &Genesis,
    node: &NodeClient,
    task: &Address,
    time: Duration,
) -> Result<(TaskOutcome, Answer)> {
    let deadline = Instant::now() + time;
    let mut since = None;
    loop {
        let answer = proven(session, genesis, node, task, since)?;
        let shown = &answer.proven;
        match &shown.entity {
            Some(Entity::Task(found)) => match &found.state {
                TaskState::Settled { outcome, .. } => {
                    return Ok((outcome.clone(), answer));
                }
                TaskState::Failed { .. } | TaskState::Cancelled { .. } => {
                    return Err(no_result(&present::task(task, found)));
                }
                _ => {}
            },
            Some(_) => return Err(Failure::usage(format!("{task} is no task's address"))),
            None => {}
        }
        if Instant::now() >= deadline {
            let state = shown.entity.as_ref().map_or_else(
                || "nothing stands there yet".to_owned(),
                |entity| match entity {
                    Entity::Task(found) => present::task(task, found).explanation,
                    _ => String::new(),
                },
            );
            return Err(Failure::unreachable(format!(
                "task {task} has no proven result yet: {state}"
            ))
            .advise(format!("see `frith task status {task}`")));
        }
        since = Some(shown.epoch + 1);
    }
}

/// `frith task result`
pub(super) fn run(
    session: &Session,
    task: &Address,
    output: Option<PathBuf>,
    timeout: u64,
) -> Result<Report> {
    let (genesis, node) = (session.genesis()?, session.node()?);
    let (outcome, answer) =
        proven_outcome(session, &genesis, &node, task, Duration::from_secs(timeout))?;
    answer.warn(session);
    let Answer { proven, age, .. } = answer;
    let (epoch, root) = (proven.epoch, proven.root);
    let bytes = match &outcome.output {
        Bytes::Inline(inline) => inline.to_vec(),
        // The client checks the bytes against the id, and the proof shows the id.
        Bytes::Content { id, .. } => node.content(&id.to_hex())?,
    };
    let shown = present::outcome(&outcome);
    let json = json!({
        "task": task, "outcome": shown, "verified": true, "epoch": epoch, "root": root,
        "record_time_ms": age.time().get(), "record_age_ms": age.ms(), "output": hex::encode(&bytes),
    });
    let report = match output {
        Some(path) => {
            std::fs::write(&path, &bytes).map_err(|error| Failure::file("write", &path, error))?;
            let text = format!(
                "result    {}, {} fuel, {} bytes in {}\nverified  by its proof under the root of epoch {epoch} ({root}), {age}",
                shown.status,
                grouped(shown.fuel),
                bytes.len(),
                path.display(),
            );
            Report::new(text, &json)?
        }
        None if is_for_no_terminal(session, &bytes) => {
            return Err(Failure::usage(format!(
                "the result is {} bytes that are no plain text",
                bytes.len()
            ))
            .advise("write them to a file with --output FILE"));
        }
        None => {
            if !session.json {
                note(&format!(
                    "{}; verified by its proof under the root of epoch {epoch}, {age}",
                    shown.status
                ));
            }
            Report::new("", &json)?.with_bytes(bytes)
        }
    };
    Ok(report.failing(program_failure(&shown)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::codec::BoundedBytes;
    use frith_ledger::entity::RunStatus;
    use frith_ledger::hash::Hash;
    use frith_ledger::units::Fuel;

    const TASK: Address = Address([7; 32]);

    fn inline(bytes: &[u8]) -> Bytes {
        Bytes::Inline(BoundedBytes::try_from(bytes.to_vec()).expect("is short"))
    }

    fn outcome(status: RunStatus, output: Bytes) -> TaskOutcome {
        TaskOutcome {
            status,
            fuel: Fuel::new(1),
            output,
        }
    }

    #[test]
    fn only_exit_status_0_ends_a_command_in_order() {
        let check = |status: RunStatus, expected: Option<&str>| {
            let view = present::outcome(&outcome(status, inline(b"")));
            let failure = program_failure(&view);
            assert_eq!(failure.is_some(), expected.is_some(), "{status:?}");
            let Some((failure, words)) = failure.zip(expected) else {
                return;
            };
            assert_eq!(
                (failure.exit as u8, failure.code.as_str()),
                (7, "program_failed")
            );
            assert!(failure.message.contains(words), "{failure}");
        };
        check(RunStatus::Exit(0), None);
        check(RunStatus::Exit(3), Some("exit 3"));
        check(RunStatus::Trap(0), Some("trap"));
        check(RunStatus::OutOfFuel, Some("fuel"));
        check(RunStatus::StackOverflow, Some("stack"));
        check(RunStatus::OutputLimit, Some("output"));
        check(RunStatus::MemoryLimit, Some("memory"));
        check(RunStatus::Refused { code: 1, offset: 2 }, Some("refused"));
    }

    #[test]
    fn text_is_shown_and_of_anything_else_only_where_it_is() {
        let check = |output: Bytes, expected: &str| {
            let shown = preview(&TASK, &outcome(RunStatus::Exit(0), output));
            assert!(shown.contains(expected), "{shown}");
            assert!(plain(shown.as_bytes()).is_some(), "{shown:?}");
            shown
        };
        let shown = check(
            inline("größer\tals\n1\n".as_bytes()),
            "größer\tals\n          1",
        );
        assert!(!shown.contains("task result"), "it is all there: {shown}");
        check(inline(b""), "nothing");
        let whole = format!("frith task result {TASK} -o FILE");
        for binary in [b"\xff\x00".as_slice(), b"\x1b[2Jgone", b"a\x07"] {
            check(inline(binary), &whole);
        }
        let long = Bytes::Content {
            id: Hash::ZERO,
            len: 1_234_567,
        };
        check(long.clone(), "1 234 567 bytes");
        check(long, &whole);
        let shown = check(inline("x\n".repeat(100).as_bytes()), "… and 60 lines more");
        assert_eq!(shown.lines().count(), LINES_SHOWN_MAX + 1);
    }
}
