//! `frith task list`.

use super::Report;
use super::session::Session;
use crate::amounts::grouped;
use crate::failure::Result;
use std::fmt::Write as _;

/// Tasks that are asked for at once: the most that one answer has.
const PAGE: usize = 1_000;

pub(super) fn run(
    session: &Session,
    all: bool,
    limit: Option<usize>,
    cursor: Option<String>,
) -> Result<Report> {
    let node = session.node()?;
    let account = if all {
        None
    } else {
        Some(session.address()?.to_string())
    };
    let limit = limit.unwrap_or(usize::MAX).max(1);
    let tasks = node.all_tasks(account.as_deref(), cursor, limit, PAGE)?;
    let mut text = String::new();
    for task in &tasks.tasks {
        let outcome = task.outcome.as_ref().map_or_else(
            || task.explanation.clone(),
            |outcome| {
                format!(
                    "{}, {} fuel, paid {}",
                    outcome.status,
                    grouped(outcome.fuel),
                    task.paid
                )
            },
        );
        let _infallible = writeln!(text, "{}  {:<11} {outcome}", task.address, task.state);
    }
    if tasks.tasks.is_empty() {
        "no tasks".clone_into(&mut text);
    }
    if let Some(next) = &tasks.next {
        let _infallible = write!(text, "older: --cursor {next}");
    }
    Report::new(text, &tasks)
}
