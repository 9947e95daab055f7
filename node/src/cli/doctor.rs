//! `frith doctor`.

use super::Report;
use super::args::DoctorArgs;
use super::output::spinner;
use super::session::Session;
use crate::client::{NodeClient, read_genesis};
use crate::codes::Code;
use crate::config::Settings;
use crate::doctor::{self, Check, State};
use crate::failure::{Exit, Failure, Result};
use crate::node_dir::{GENESIS_FILE, announced_api};
use serde_json::json;
use std::path::Path;

/// Ends with 1 when a check failed; warnings are no failure.
pub(super) fn run(session: &Session, options: &DoctorArgs) -> Result<Report> {
    let waiting = spinner("looks at this machine", session.json);
    let checks = match &options.dir {
        Some(dir) => of_node(session, dir)?,
        None => of_user(session)?,
    };
    waiting.finish_and_clear();
    let worst = checks
        .iter()
        .map(|check| check.state)
        .max()
        .unwrap_or(State::Ok);
    let report = Report::new(table(&checks), &json!({"state": worst, "checks": checks}))?;
    if worst < State::Fail {
        return Ok(report);
    }
    let failed = checks
        .iter()
        .filter(|check| check.state == State::Fail)
        .count();
    let failure = Failure::new(
        Exit::Other,
        Code::Unhealthy,
        format!("{failed} of {} checks failed", checks.len()),
    );
    Ok(report.with_failure(failure))
}

/// Without a data directory: the user's own things, and the node that is asked.
fn of_user(session: &Session) -> Result<Vec<Check>> {
    let genesis = session.genesis();
    let parameters = genesis.as_ref().ok().map(|genesis| &genesis.parameters);
    let (node, time) = doctor::node(&session.node()?);
    let mut checks = vec![doctor::versions(parameters), doctor::keys(&session.home)];
    checks.extend(node);
    checks.extend(doctor::clock(time));
    Ok(checks)
}

/// What a node on `dir` needs.
fn of_node(session: &Session, dir: &Path) -> Result<Vec<Check>> {
    let settings = Settings::of_dir(dir)?;
    let genesis = read_genesis(&dir.join(GENESIS_FILE)).ok();
    let found = doctor::directory(dir);
    let is_running = |check: &Check| check.figures.get("running") == Some(&json!(true));
    let running = found.iter().any(is_running);
    let (node, time) = match announced_api(dir).filter(|_| running) {
        Some(api) => {
            let (node, time) = doctor::node(&NodeClient::new(&api)?);
            (node, time)
        }
        None => (Vec::new(), None),
    };
    let mut checks = vec![
        doctor::versions(genesis.as_ref().map(|genesis| &genesis.parameters)),
        doctor::processors(&settings),
        doctor::memory(&settings),
    ];
    checks.extend(doctor::clock(time));
    checks.extend(doctor::disk(dir, &settings));
    checks.push(doctor::keys(&session.home));
    checks.extend(found);
    checks.push(doctor::ports(&settings, running));
    if let Some(genesis) = &genesis {
        checks.push(doctor::peers(&settings, genesis));
    }
    checks.extend(node);
    Ok(checks)
}

fn table(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        text.push_str(&format!(
            "{:<5} {:<14} {}\n",
            check.state.name(),
            check.name,
            check.found
        ));
        if !check.advice.is_empty() {
            text.push_str(&format!("{:20} → {}\n", "", check.advice));
        }
    }
    text
}
