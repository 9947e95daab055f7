//! `frith checkpoint`: how far this directory has verified a network.

use super::Report;
use super::args::CheckpointCommand;
use super::balance::proven;
use super::output::tell;
use super::session::Session;
use crate::amounts::span;
use crate::client::{CheckpointId, age_of, kept, take, too_old_ms};
use crate::failure::{Failure, Result};
use crate::service::wall;
use frith_ledger::address::Address;
use frith_ledger::genesis::Genesis;
use frith_ledger::light::LightClient;
use serde_json::json;

pub(super) fn run(session: &Session, command: CheckpointCommand) -> Result<Report> {
    let genesis = session.genesis()?;
    let directory = session.home.verified_path();
    match command {
        CheckpointCommand::Show { kept: true } => {
            let (client, notice) = kept(&directory, &genesis)?;
            if let Some(notice) = notice {
                tell(session.json, &notice, &json!({"note": notice}));
            }
            let client = client.ok_or_else(|| {
                Failure::usage("nothing of this network was verified here yet")
                    .advise("`frith checkpoint show` follows it; `frith checkpoint take ID` goes by what somebody else verified")
            })?;
            report(session.json, &genesis, &client, "")
        }
        CheckpointCommand::Show { kept: false } => {
            let node = session.node()?;
            // Any address will do: its proof leads to the newest record.
            let answer = proven(session, &genesis, &node, &Address::default(), None)?;
            report(session.json, &genesis, &answer.client, "")
        }
        CheckpointCommand::Take { id } => {
            let node = session.node()?;
            let (client, _) = take(&directory, &genesis, &node, id)?;
            report(
                session.json,
                &genesis,
                &client,
                "taken: answers are checked from here now\n",
            )
        }
    }
}

fn report(json: bool, genesis: &Genesis, client: &LightClient, done: &str) -> Result<Report> {
    let id = CheckpointId::of(client);
    let age = age_of(client, wall(), &genesis.parameters);
    let mut text = format!(
        "{done}checkpoint  {id}\nnetwork     {} ({})",
        genesis.name,
        genesis.hash()
    );
    if let (Some(newest), Some(age)) = (client.newest(), age) {
        text.push_str(&format!(
            "\nverified    up to epoch {}, record {}, {age}",
            newest.epoch, newest.root
        ));
    }
    let bound = too_old_ms(&genesis.parameters);
    let old = age.is_some_and(|age| age.ms() > bound);
    text.push_str(&if old {
        format!(
            "\nTOO OLD     to go on from: no stake answers for it after {}",
            span(bound)
        )
    } else {
        format!(
            "\ngood for    {} after the newest record: use it, or renew it, within that time",
            span(bound)
        )
    });
    if let Some(warning) = age.and_then(|age| age.warning()) {
        tell(json, &warning, &json!({"warning": warning}));
    }
    Report::new(
        text,
        &json!({
            "checkpoint": id.to_string(), "period": client.period(), "genesis": genesis.hash().to_hex(),
            "epoch": client.newest().map(|newest| newest.epoch.get()),
            "root": client.newest().map(|newest| newest.root.to_hex()),
            "record_time_ms": age.map(|age| age.time().get()), "record_age_ms": age.map(|age| age.ms()),
            "too_old": old,
        }),
    )
}
