//! `frith wallet rotate-worker`: another key for a worker.

use super::Report;
use super::args::RotateWorkerArgs;
use super::session::Session;
use super::wallet::{Consented, confirm_cost, consented, how_sure, network, own_seat, submit};
use crate::failure::Result;
use crate::views::OperationView;
use frith_ledger::address::Address;
use frith_ledger::operation::Action;
use serde::Serialize;

/// A rotation as scripts see it.
#[derive(Debug, Serialize)]
struct Ordered {
    seat: Address,
    key: String,
    /// First epoch in which the key is in force; absent while the operation is in no block.
    since: Option<u64>,
    #[serde(flatten)]
    fate: OperationView,
}

/// Orders that the key of another data directory replaces the worker's key.
pub(super) fn worker(session: &Session, options: &RotateWorkerArgs) -> Result<Report> {
    let (genesis, node) = network(session)?;
    let account = session.address()?;
    let seat = own_seat(&node, &account, options.seat)?;
    let (dir, file) = (options.worker_dir.as_deref(), options.consent.as_deref());
    let Consented { key, vrf, consent } = consented(&genesis, &node, account, dir, file)?;
    let action = Action::RotateWorker {
        seat,
        key,
        consent,
        vrf,
    };
    let lag = genesis.parameters.activation_lag;
    let question = format!(
        "Put the key {key} in force for the worker at {seat}, {lag} epochs after now (epoch {})",
        node.status()?.epoch
    );
    confirm_cost(session, (&genesis, &node), &action, &question, options.yes)?;
    let wallet = session.wallet(&genesis, &node)?;
    let fate = submit(session, &wallet, action, options.wait)?;
    // Pending ones have no epoch yet.
    let since = fate.epoch.map(|epoch| epoch.saturating_add(lag));
    let from = since.map_or_else(
        || format!("{lag} epochs after its block"),
        |since| format!("from epoch {since} on"),
    );
    let text = format!(
        "seat       {seat}\nkey        {key} is in force {from}, and votes two epochs later\n\
         operation  {}\n{}\n\n\
         Keep both nodes running. `frith node status` of the old one says when it can be stopped.",
        fate.id,
        how_sure(&fate)
    );
    let ordered = Ordered {
        seat,
        key: key.to_string(),
        since,
        fate,
    };
    Report::new(text, &ordered)
}
