//! `frith wallet rotate-worker` and `frith key rotate`: another key for a worker, and for an account.

use super::Report;
use super::args::{RotateWorkerArgs, WaitArgs};
use super::consent::{Consented, Consenting};
use super::key::{free_path, keep, show_phrase};
use super::orders::{how_sure, plain, submit};
use super::output::{note, tell};
use super::session::Session;
use super::wallet::{confirm_cost, network, own_seat};
use crate::client::{Order, fee_of};
use crate::failure::{Context as _, Result};
use crate::keystore::Phrase;
use crate::views::OperationView;
use frith_ledger::address::Address;
use frith_ledger::key::PublicKey;
use frith_ledger::operation::Action;
use frith_ledger::units::Nonce;
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;

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
    let consenting = Consenting::open(session, &genesis, account, dir, file)?;
    let key = consenting.at(Nonce::ZERO)?.key;
    let make = |nonce| {
        let Consented { key, vrf, consent } = consenting.at(nonce)?;
        Ok(Action::RotateWorker {
            seat,
            key,
            consent,
            vrf,
        })
    };
    let action = make(Nonce::ZERO)?;
    let lag = genesis.parameters.activation_lag;
    let question = format!(
        "Put the key {key} in force for the worker at {seat}, {lag} epochs after now (epoch {})",
        node.status()?.epoch
    );
    confirm_cost(session, (&genesis, &node), &action, &question, options.yes)?;
    let fee = fee_of(&action, &genesis.parameters);
    let wallet = session.wallet(&genesis, &node)?;
    let order = Order {
        nonce: consenting.nonce(),
        ..plain(&make)
    };
    let fate = submit(session, &wallet, &order, options.wait)?;
    // Pending ones have no epoch yet.
    let since = fate.epoch.map(|epoch| epoch.saturating_add(lag));
    let from = since.map_or_else(
        || format!("{lag} epochs after its block"),
        |since| format!("from epoch {since} on"),
    );
    let text = format!(
        "seat       {seat}\nkey        {key} is in force {from}, and votes two epochs later\n\
         fee        {fee} credits\noperation  {}\n{}\n\n\
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

/// A new key of an account as scripts see it.
#[derive(Debug, Serialize)]
struct NewKey {
    name: String,
    address: Address,
    key: String,
    file: PathBuf,
    #[serde(flatten)]
    fate: OperationView,
}

/// Makes a key and puts it in force for the account of the present one.
pub(super) fn account(session: &Session, name: &str, yes: bool, wait: WaitArgs) -> Result<Report> {
    let (genesis, node) = network(session)?;
    let (before, account) = (session.key_name()?, session.address()?);
    free_path(session, name)?;
    // The fee depends on the size alone.
    let any = Action::RotateKey {
        key: PublicKey([0; 32]),
    };
    let question = format!("Put a new key in force for {account}; {before} can't sign for it then");
    confirm_cost(session, (&genesis, &node), &any, &question, yes)?;
    let wallet = session.wallet(&genesis, &node)?;
    let phrase = Phrase::generate().doing("cannot make a key")?;
    if !session.json {
        note(&format!(
            "The new key's file, {name}, gets a passphrase of its own."
        ));
    }
    // On the disk and on paper before it is in force: it alone will open the account.
    let kept = keep(session, name, &phrase, Some(account))?;
    show_phrase(session.json, &phrase);
    let back = format!("To bring the key back: `frith key import NAME --account {account}`");
    tell(session.json, &format!("{back}\n"), &json!({"note": back}));
    let make = |_| Ok(Action::RotateKey { key: kept.key });
    let fate = submit(session, &wallet, &plain(&make), wait).map_err(|failure| {
        failure.advise(format!(
            "{name} signs for the account if the operation was or still is executed, else {before}; see `frith wallet \
             operation`, which can repeat it"
        ))
    })?;
    session.follow_default(&before, name)?;
    let text = format!(
        "account    {account}\nkey        {name} signs for it from now on, {before} no more\n\
         file       {}\noperation  {}\n{}",
        kept.file.display(),
        fate.id,
        how_sure(&fate)
    );
    let new = NewKey {
        name: name.to_owned(),
        address: account,
        key: kept.key.to_string(),
        file: kept.file,
        fate,
    };
    Report::new(text, &new)
}
