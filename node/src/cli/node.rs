//! `frith node`: make a data directory, run on it, ask how it does, leave.

use super::Report;
use super::args::{InitArgs, NodeCommand, WaitArgs};
use super::key::{ask_passphrase, ask_phrase, show_phrase};
use super::session::Session;
use super::wallet::{carry_out, confirm_cost, consent, consent_report, network, own_seat};
use crate::amounts::{bytes, grouped, short};
use crate::config::Partial;
use crate::failure::{Context as _, Exit, Failure, Result};
use crate::keystore::{Cost, Phrase};
use crate::node_dir::{self, KeyHistory, NewNode};
use crate::views::{Finality, StatusView};
use frith_ledger::key::{SecurityLevel, Seed};
use frith_ledger::operation::Action;
use frith_ledger::units::Nonce;
use serde_json::json;
use std::fmt::Write as _;

pub(super) fn run(session: &Session, command: NodeCommand) -> Result<Report> {
    match command {
        NodeCommand::Init(options) => init(session, &options),
        NodeCommand::Run(options) => super::run::run(session, *options),
        NodeCommand::Status => status(session),
        NodeCommand::Leave { seat, yes } => {
            let (genesis, node) = network(session)?;
            let seat = own_seat(&node, &session.address()?, seat)?;
            let unbonding = genesis.parameters.unbonding;
            let action = Action::Leave { seat };
            let question =
                format!("End the worker at {seat}: its stake returns {unbonding} epochs later");
            confirm_cost(session, (&genesis, &node), &action, &question, yes)?;
            let wallet = session.wallet(&genesis, &node)?;
            let wait = WaitArgs {
                wait: Finality::Local,
                timeout: 60,
            };
            let done = format!(
                "the worker at {seat} leaves; its stake returns {unbonding} epochs later. Keep the node running until its tasks are settled"
            );
            carry_out(session, &wallet, action, wait, &done)
        }
        NodeCommand::Backup { dir, out } => super::backup::take(&dir, &out),
        NodeCommand::Restore { file, dir } => super::backup::restore(&file, &dir),
        NodeCommand::Safety(command) => super::backup::safety(command),
        NodeCommand::Consent {
            dir,
            account,
            nonce,
        } => {
            let genesis = crate::client::read_genesis(&dir.join(node_dir::GENESIS_FILE))?;
            consent_report(&consent(&genesis, &dir, account, Nonce::new(nonce))?)
        }
    }
}

fn init(session: &Session, options: &InitArgs) -> Result<Report> {
    let genesis = session.genesis()?;
    // Before the user writes down words that would be for nothing.
    frith_tasks::Rules::new(genesis.clone())
        .map_err(|error| Failure::usage(format!("this genesis can't be used: {error}")))?;
    let phrase = if options.import {
        ask_phrase(options.weak_passphrase)?
    } else {
        Phrase::generate().doing("cannot make a key")?
    };
    let passphrase = ask_passphrase()?;
    let level = SecurityLevel::DEFAULT;
    let seed = Seed::from_passphrase(phrase.as_str(), level);
    let config = Partial {
        bootstrap: (!options.bootstrap.is_empty()).then(|| options.bootstrap.clone()),
        ..Partial::default()
    };
    let history = if options.import && !options.new_network {
        KeyHistory::MayHaveRun
    } else {
        KeyHistory::New
    };
    let new = NewNode {
        genesis: &genesis,
        config: &config.to_toml()?,
        seed: &seed,
        security_level: level.get(),
        passphrase: &passphrase,
        cost: Cost::DEFAULT,
        history,
    };
    node_dir::create(&options.dir, &new)?;
    if !options.import {
        show_phrase(&phrase);
    }
    let key = seed.worker().public();
    let founder = genesis.workers.iter().any(|worker| worker.key == key.0);
    let asks = match history {
        KeyHistory::MayHaveRun if founder => {
            "votes      after asking the others what this key has signed: it is one of the genesis. If the network begins \
             only now, make the directory again with --new-network\n"
        }
        _ => "",
    };
    let text = format!(
        "directory  {}\nnetwork    {} ({})\nworker     {key}\n{asks}\nNext: `frith node run --dir {}`, and from the account that pays for it:\n\
         `frith wallet stake --worker-dir {} --stake {} --collateral 100`",
        options.dir.display(),
        genesis.name,
        genesis.hash(),
        options.dir.display(),
        options.dir.display(),
        genesis.parameters.stake_min,
    );
    Report::new(
        text,
        &json!({"dir": options.dir, "network": genesis.name, "genesis": genesis.hash().to_hex(), "worker": key.to_string(), "first_start": history == KeyHistory::New}),
    )
}

fn status(session: &Session) -> Result<Report> {
    let node = session.node()?;
    let view = node.status()?;
    let report = Report::new(describe(node.base(), &view), &view)?;
    if view.readiness.ready {
        return Ok(report);
    }
    Ok(report.with_failure(Failure::new(
        Exit::Unreachable,
        "not_ready",
        format!(
            "the node is not ready: {}",
            view.readiness.reasons.join("; ")
        ),
    )))
}

/// A node on one screen.
fn describe(base: &str, view: &StatusView) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(text, "{name:<10} {value}");
    };
    line(
        "node",
        format!(
            "{base}, frith {}, up {} s, {} resident",
            view.version,
            view.uptime_s,
            bytes(view.resident_bytes)
        ),
    );
    line(
        "network",
        format!("{} ({})", view.network, short(&view.genesis)),
    );
    line(
        "ready",
        if view.readiness.ready {
            "yes".to_owned()
        } else {
            format!("NO: {}", view.readiness.reasons.join("; "))
        },
    );
    if let Some(reason) = &view.halted {
        line("halted", reason.clone());
    }
    if let Some(fault) = &view.fault {
        line("fault", format!("misbehaves on purpose: {fault}"));
    }
    for alert in &view.alerts {
        line(
            "ALERT",
            format!("{} ({}): {}", alert.code, alert.severity, alert.message),
        );
    }
    line(
        "members",
        format!(
            "{} of {} seen, {} peers",
            view.members_seen, view.members, view.peers
        ),
    );
    line(
        "chain",
        format!(
            "epoch {}, height {}, {} roots, {} operations wait",
            view.epoch,
            grouped(view.height),
            view.roots,
            view.pool
        ),
    );
    describe_worker(view, &mut line);
    for address in &view.listening {
        line("listens", address.clone());
    }
    text
}

/// The worker's part of the screen.
fn describe_worker(view: &StatusView, line: &mut impl FnMut(&str, String)) {
    let Some(work) = &view.worker else {
        let key = short(&view.key);
        return line(
            "worker",
            format!("key {key} has no seat: register it with `frith wallet stake`"),
        );
    };
    let worker = &work.worker;
    let engines = worker.terms.engines.join(" and ");
    line(
        "worker",
        format!(
            "seat {}, {}, engines {engines}",
            short(&work.seat),
            worker.status
        ),
    );
    line(
        "stake",
        format!("{} credits, collateral {}", worker.stake, worker.collateral),
    );
    line(
        "tasks",
        format!(
            "{} paid, {} lost; {} open, {} running now",
            worker.tasks_paid,
            worker.tasks_lost,
            worker.open.len(),
            work.running
        ),
    );
    line(
        "earned",
        format!("{} credits, at most {} pending", work.earned, work.pending),
    );
    for unpaid in &work.unpaid {
        let lost = match unpaid.lost.as_str() {
            "0" => String::new(),
            lost => format!(", lost {lost}"),
        };
        line(
            "not paid",
            format!("{}: {}{lost}", short(&unpaid.task), unpaid.reason),
        );
    }
}
