//! `frith wallet balance`, and what all commands do to get a proven answer.

use super::Report;
use super::output::{spinner, tell};
use super::session::Session;
use crate::age::Age;
use crate::client::{Following, NodeClient, Proven, SavedProof, Start};
use crate::failure::{Failure, Result};
use crate::service::wall;
use crate::views::{Entity as EntityJson, EntityView};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Entity;
use frith_ledger::genesis::Genesis;
use frith_ledger::light::LightClient;
use serde::Serialize;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a command waits for the root that it asks for.
const ROOT_PATIENCE: Duration = Duration::from_secs(30);
/// How long it waits for a node that knows less than was verified before: one learns of a record a little after another.
const BEHIND_PATIENCE: Duration = Duration::from_secs(5);

/// What a balance command shows.
#[derive(Debug, Serialize)]
struct Balance {
    address: Address,
    balance: Credits,
    nonce: u64,
    exists: bool,
    verified: bool,
    epoch: u64,
    root: String,
    record_time_ms: u64,
    record_age_ms: u64,
    state: String,
    credits_in_state: Credits,
    issued: Credits,
    burned: Credits,
    node_is_in_epoch: u64,
    local_balance: Option<String>,
    next_nonce: u64,
}

pub(super) fn run(
    session: &Session,
    address: Option<Address>,
    save: Option<&Path>,
    since: Option<u64>,
) -> Result<Report> {
    let address = match address {
        Some(address) => address,
        None => session.address()?,
    };
    let (genesis, node) = (session.genesis()?, session.node()?);
    let start = match (save, session.start()) {
        // Whoever gets the file has the genesis and nothing else.
        (Some(_), Start::Kept) => Start::Whole,
        (_, start) => start,
    };
    let answer = proven_from(session, (&genesis, start), &node, &address, since)?;
    answer.warn(session);
    let Answer {
        view, proven, age, ..
    } = answer;
    if let Some(path) = save {
        let text = serde_json::to_string_pretty(&SavedProof::of(&view)?).map_err(Failure::other)?;
        std::fs::write(path, text).map_err(|error| Failure::file("write", path, error))?;
    }
    let (balance, nonce) = match &proven.entity {
        Some(Entity::Account(account)) => (account.balance, account.nonce.get()),
        Some(other) => (other.credits().map_err(Failure::other)?, 0),
        None => (Credits::ZERO, 0),
    };
    let (local, next_nonce) = match &view.local {
        Some(EntityJson::Account(account)) => (Some(account.balance.clone()), account.nonce),
        _ => (None, 0),
    };
    let mut text = format!(
        "address   {address}\nbalance   {balance} credits{}\nverified  by its proof under the root of epoch {} ({}), {age}",
        if proven.entity.is_none() {
            " (there is no such account, and the proof shows it)"
        } else {
            ""
        },
        proven.epoch,
        proven.root,
    );
    if local
        .as_ref()
        .is_some_and(|local| *local != balance.to_string())
    {
        text.push_str(&format!(
            "\nsince     {} credits, committed by the neighbourhood and not yet under a root",
            local.as_deref().unwrap_or_default()
        ));
    }
    let report = Balance {
        address,
        balance,
        nonce,
        exists: proven.entity.is_some(),
        verified: true,
        epoch: proven.epoch,
        root: proven.root,
        record_time_ms: age.time().get(),
        record_age_ms: age.ms(),
        state: proven.state.hash.to_hex(),
        credits_in_state: proven.state.credits,
        issued: proven.flows.issued,
        burned: proven.flows.burned,
        node_is_in_epoch: view.now,
        local_balance: local,
        next_nonce,
    };
    Report::new(text, &report)
}

/// An answer whose proof was checked.
pub(super) struct Answer {
    /// What the node said.
    pub(super) view: EntityView,
    /// What the proof shows.
    pub(super) proven: Proven,
    /// How old the record is that the proof leads to.
    pub(super) age: Age,
    /// How far the network was followed with it.
    pub(super) client: LightClient,
}

impl Answer {
    /// Says so when the record is far behind.
    pub(super) fn warn(&self, session: &Session) {
        if let Some(warning) = self.age.warning() {
            let text = format!("warning: {warning}");
            tell(session.json, &text, &json!({"warning": warning}));
        }
    }
}

/// An entity with its checked proof. Waits for the first root, or for the one of `since`. The proof begins where an
/// earlier command got to, which this one keeps in turn.
pub(super) fn proven(
    session: &Session,
    genesis: &Genesis,
    node: &NodeClient,
    address: &Address,
    since: Option<u64>,
) -> Result<Answer> {
    proven_from(session, (genesis, session.start()), node, address, since)
}

fn proven_from(
    session: &Session,
    (genesis, start): (&Genesis, Start),
    node: &NodeClient,
    address: &Address,
    since: Option<u64>,
) -> Result<Answer> {
    let mut following = Following::open(&session.home.verified_path(), genesis, start, wall())?;
    let told = |following: &mut Following| {
        if let Some(notice) = following.notice.take() {
            tell(session.json, &notice, &json!({"note": notice}));
        }
    };
    told(&mut following);
    let began = Instant::now();
    let waiting = spinner("waits for a root", session.json);
    loop {
        let view = node.entity_from(&address.to_string(), following.client.period())?;
        let recent = view
            .epoch
            .is_some_and(|epoch| since.is_none_or(|since| epoch >= since));
        let behind = |epoch| following.is_ahead_of(epoch, &genesis.parameters);
        let waits = if !recent {
            ROOT_PATIENCE
        } else if view.epoch.is_some_and(behind) {
            BEHIND_PATIENCE
        } else {
            Duration::ZERO
        };
        if began.elapsed() < waits {
            std::thread::sleep(Duration::from_millis(100));
            continue;
        }
        let proven = following.check(&SavedProof::about(address, &view)?)?;
        told(&mut following);
        if since.is_some_and(|since| proven.epoch < since) {
            return Err(Failure::unreachable(format!(
                "the newest root that the node proves is of epoch {}, epoch {} was asked for",
                proven.epoch,
                since.unwrap_or_default()
            )));
        }
        waiting.finish_and_clear();
        if let Err(failure) = following.keep() {
            let notice = format!("{failure}; the next command follows the network again");
            tell(session.json, &notice, &json!({"note": notice}));
        }
        return Ok(Answer {
            age: Age::of(proven.time, wall(), &genesis.parameters),
            view,
            proven,
            client: following.client,
        });
    }
}
