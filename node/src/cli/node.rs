//! `frith node`: make a data directory, run on it, ask how it does, leave.

use super::Report;
use super::args::{InitArgs, NodeCommand, WaitArgs};
use super::consent::{consent, consent_report};
use super::key::{ask_passphrase, ask_phrase, show_phrase};
use super::orders::carry_out;
use super::session::Session;
use super::wallet::{confirm_cost, network, own_seat};
use crate::amounts::{bytes, grouped, short, span};
use crate::config::Partial;
use crate::failure::{Context as _, Failure, Result};
use crate::keystore::{Cost, Phrase, WORKER_UNLOCK};
use crate::node_dir::{self, KeyHistory, NewNode};
use crate::views::{ChangeView, Finality, KeyState, OwnKeyView, StatusView, TermsView};
use frith_ledger::genesis::Genesis;
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
        NodeCommand::Leave { seat, yes, again } => {
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
                again,
            };
            let done = format!(
                "the worker at {seat} leaves; its stake returns {unbonding} epochs later. Keep the node running until its tasks are settled"
            );
            carry_out(session, &wallet, action, wait, &done)
        }
        NodeCommand::Backup { dir, out } => super::backup::take(&dir, &out),
        NodeCommand::Restore { file, dir } => super::backup::restore(&file, &dir),
        NodeCommand::Safety(command) => super::backup::safety(session.json, command),
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
    if node_dir::is_founders(&options.dir) {
        return found(&genesis, options);
    }
    let key = make_worker(session.json, Some(&genesis), options)?
        .worker()
        .public();
    let history = key_history(options);
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

/// Makes a directory with a worker's key, shows its words once if they are new, and gives its seed.
///
/// # Errors
/// There is one already, or the words or the passphrase aren't to be had.
pub(super) fn make_worker(
    json: bool,
    genesis: Option<&Genesis>,
    options: &InitArgs,
) -> Result<Seed> {
    node_dir::refuse_existing(&options.dir)?;
    let phrase = if options.import {
        ask_phrase(options.weak_passphrase)?
    } else {
        Phrase::generate().doing("cannot make a key")?
    };
    let passphrase = ask_passphrase(WORKER_UNLOCK)?;
    let level = SecurityLevel::DEFAULT;
    let seed = Seed::from_passphrase(phrase.as_str(), level);
    let new = NewNode {
        genesis,
        config: &settings(options).to_toml()?,
        seed: &seed,
        security_level: level.get(),
        passphrase: &passphrase,
        cost: Cost::DEFAULT,
        // Before there is a genesis, no key can have run in its network.
        history: genesis.map_or(KeyHistory::New, |_| key_history(options)),
    };
    node_dir::create(&options.dir, &new)?;
    if !options.import {
        show_phrase(json, &phrase);
    }
    Ok(seed)
}

/// Whether the key of a directory to be made may have signed in its network before.
fn key_history(options: &InitArgs) -> KeyHistory {
    if options.import && !options.new_network {
        KeyHistory::MayHaveRun
    } else {
        KeyHistory::New
    }
}

/// The settings that a new directory begins with.
fn settings(options: &InitArgs) -> Partial {
    Partial {
        bootstrap: (!options.bootstrap.is_empty()).then(|| options.bootstrap.clone()),
        ..Partial::default()
    }
}

/// A founder's directory gets the genesis that names its worker.
fn found(genesis: &Genesis, options: &InitArgs) -> Result<Report> {
    let dir = &options.dir;
    if options.import || !options.bootstrap.is_empty() {
        return Err(Failure::usage(format!(
            "{} has a founder's key and settings already",
            dir.display()
        ))
        .advise("leave out --import, and name the peers as bootstrap in its config.toml or with `node run --bootstrap`"));
    }
    let worker = node_dir::found(dir, genesis)?;
    let (name, hash) = (&genesis.name, genesis.hash());
    let text = format!(
        "directory  {}\nnetwork    {name} ({hash})\nworker     {worker}, a founder\n\n\
         Compare the network's hash with the other founders, then: `frith node run --dir {}`",
        dir.display(),
        dir.display(),
    );
    Report::new(
        text,
        &json!({"dir": dir, "network": name, "genesis": hash.to_hex(), "founder": worker}),
    )
}

fn status(session: &Session) -> Result<Report> {
    let node = session.node()?;
    let view = node.status()?;
    let report = Report::new(describe(node.base(), &view), &view)?;
    Ok(match node.unready(&view) {
        None => report,
        Some(failure) => report.with_failure(failure),
    })
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
    line(
        "record",
        format!("the newest root record is {} old", span(view.record_age_ms)),
    );
    if let Some(warning) = &view.record_warning {
        line("WARNING", warning.clone());
    }
    describe_worker(view, &mut line);
    for address in &view.listening {
        line("listens", address.clone());
    }
    text
}

/// What a worker offers, in words.
pub(super) fn describe_terms(terms: &TermsView) -> String {
    format!(
        "engines {}, {} slots, at least {} credits for 10⁶ fuel",
        terms.engines.join(" and "),
        terms.slots,
        terms.price
    )
}

/// A change that waits for its epoch, in words.
fn describe_change(change: &ChangeView) -> String {
    let stake = change
        .stake
        .iter()
        .map(|stake| format!("{stake} credits more of stake"));
    let what: Vec<String> = stake
        .chain(change.terms.iter().map(describe_terms))
        .collect();
    format!("epoch {}: {}", change.since, what.join(", "))
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
    line(
        "worker",
        format!(
            "seat {}, {}, {}",
            short(&work.seat),
            worker.status,
            describe_terms(&worker.terms),
        ),
    );
    for change in &worker.changes {
        line("from", describe_change(change));
    }
    if let Some(standing) = describe_key(&work.own_key) {
        line("key", format!("{} {standing}", short(&view.key)));
    }
    line(
        "stake",
        format!("{} credits, collateral {}", worker.stake, worker.collateral),
    );
    line(
        "tasks",
        format!(
            "{} drawn, {} run since the start, {} paid, {} lost; {} open, {} running now",
            work.tasks_seen,
            work.runs,
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

/// How the node's key stands, when there is something to say of it.
fn describe_key(own: &OwnKeyView) -> Option<String> {
    let other = short(own.other.as_deref().unwrap_or_default());
    let since = own.since.unwrap_or_default();
    match own.state {
        KeyState::InForce if own.other.is_none() => None,
        KeyState::InForce => Some(format!(
            "is replaced by {other} from epoch {since} on; keep this node running until it says that it can be stopped"
        )),
        KeyState::Next => Some(format!(
            "replaces {other} from epoch {since} on; keep both nodes running"
        )),
        KeyState::Retired if own.may_stop => Some(format!(
            "was replaced by {other} and has nothing open: this node can be stopped"
        )),
        KeyState::Retired => {
            let votes = match own.last {
                Some(last) if own.votes => format!(", votes until epoch {last} at the latest"),
                _ => String::new(),
            };
            Some(format!(
                "was replaced by {other}{votes}, has {} places open: keep this node running",
                own.open
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_says_whether_its_key_was_replaced_and_when_it_can_be_stopped() {
        let own = OwnKeyView {
            state: KeyState::InForce,
            other: None,
            since: None,
            last: None,
            votes: true,
            open: 0,
            may_stop: false,
        };
        let check = |own: OwnKeyView, expected: &[&str]| {
            let said = describe_key(&own).unwrap_or_default();
            assert!(!expected.is_empty() || said.is_empty(), "{said}");
            for words in expected {
                assert!(said.contains(words), "{words}: {said}");
            }
        };
        check(own.clone(), &[]);
        let other = Some("abcdefabcdef".to_owned());
        let waits = OwnKeyView {
            other: other.clone(),
            since: Some(12),
            ..own.clone()
        };
        check(waits.clone(), &["is replaced by", "epoch 12"]);
        let next = OwnKeyView {
            state: KeyState::Next,
            votes: false,
            ..waits
        };
        check(next, &["replaces", "epoch 12", "keep both"]);
        let retired = OwnKeyView {
            state: KeyState::Retired,
            other,
            last: Some(59),
            open: 2,
            ..own
        };
        check(
            retired.clone(),
            &[
                "was replaced",
                "votes until epoch 59",
                "2 places open",
                "keep this node",
            ],
        );
        let done = OwnKeyView {
            votes: false,
            open: 0,
            may_stop: true,
            ..retired
        };
        check(done, &["was replaced", "can be stopped"]);
    }
}
