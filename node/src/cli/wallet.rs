//! `frith wallet`: payments and stakes; balances, see [`super::balance`].

use super::Report;
use super::args::{StakeArgs, WaitArgs, WalletCommand};
use super::consent::{Consented, Consenting};
use super::orders::{carry_out, how_sure, plain, submit};
use super::output::confirm;
use super::session::Session;
use crate::client::{NodeClient, Order, fee_of};
use crate::codes::Code;
use crate::failure::{Failure, Result};
use crate::views::Entity as EntityJson;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Terms;
use frith_ledger::genesis::Genesis;
use frith_ledger::operation::Action;
use frith_ledger::units::Nonce;

pub(super) fn run(session: &Session, command: WalletCommand) -> Result<Report> {
    match command {
        WalletCommand::Balance {
            address,
            save_proof,
            since,
        } => super::balance::run(session, address, save_proof.as_deref(), since),
        WalletCommand::Send {
            to,
            amount,
            yes,
            wait,
        } => send(session, to, amount, yes, wait),
        WalletCommand::History {
            address,
            limit,
            before,
        } => super::history::run(session, address, usize::from(limit), before.as_deref()),
        WalletCommand::Operation(options) => super::orders::operation(session, &options),
        WalletCommand::Stake(options) => stake(session, &options),
        WalletCommand::Terms(options) => super::terms::change(session, &options),
        WalletCommand::RotateWorker(options) => super::rotate::worker(session, &options),
        WalletCommand::Unstake {
            collateral,
            seat,
            yes,
            wait,
        } => {
            let (genesis, node) = network(session)?;
            let seat = own_seat(&node, &session.address()?, seat)?;
            let action = Action::Unstake { seat, collateral };
            let question =
                format!("Take {collateral} credits of collateral from the worker at {seat}");
            confirm_cost(session, (&genesis, &node), &action, &question, yes)?;
            let wallet = session.wallet(&genesis, &node)?;
            carry_out(
                session,
                &wallet,
                action,
                wait,
                &format!("{collateral} credits of collateral come back from {seat}"),
            )
        }
    }
}

/// The trusted genesis and a node that follows it and is ready: what is signed for any other would only wait.
pub(super) fn network(session: &Session) -> Result<(Genesis, NodeClient)> {
    let (genesis, node) = (session.genesis()?, session.node()?);
    let status = node.status()?;
    if status.genesis != genesis.hash().to_hex() {
        return Err(Failure::refused(
            Code::WrongNetwork,
            format!(
                "the node at {} is of network {} ({}), your genesis file is of {} ({})",
                node.base(),
                status.network,
                status.genesis,
                genesis.name,
                genesis.hash()
            ),
        )
        .advise("name the right node with --api, or the right genesis file with --genesis"));
    }
    match node.unready(&status) {
        None => Ok((genesis, node)),
        Some(failure) => Err(failure),
    }
}

fn send(
    session: &Session,
    to: Address,
    amount: Credits,
    yes: bool,
    wait: WaitArgs,
) -> Result<Report> {
    let (genesis, node) = network(session)?;
    let action = Action::Transfer { to, amount };
    let fee = fee_of(&action, &genesis.parameters);
    let question = format!("Send {amount} credits to {to}");
    confirm_cost(session, (&genesis, &node), &action, &question, yes)?;
    let wallet = session.wallet(&genesis, &node)?;
    carry_out(
        session,
        &wallet,
        action,
        wait,
        &format!("sent {amount} credits to {to}; fee {fee}"),
    )
}

/// Asks whether to go on, saying the fee and what the account holds. No passphrase is asked for before.
pub(super) fn confirm_cost(
    session: &Session,
    (genesis, node): (&Genesis, &NodeClient),
    action: &Action,
    question: &str,
    yes: bool,
) -> Result<()> {
    if yes {
        return Ok(());
    }
    let fee = fee_of(action, &genesis.parameters);
    let held = held(node, &session.address()?)?;
    let question = format!("{question} (fee {fee}, you hold {held})?");
    confirm(session.json, &question, yes)
}

/// What an account holds by the node's word, for questions; nothing when there is none.
pub(super) fn held(node: &NodeClient, account: &Address) -> Result<String> {
    match node.local(&account.to_string())?.local {
        Some(EntityJson::Account(account)) => Ok(account.balance),
        _ => Ok("0".to_owned()),
    }
}

/// The one worker of the account, or the one that was named.
pub(super) fn own_seat(
    node: &NodeClient,
    owner: &Address,
    named: Option<Address>,
) -> Result<Address> {
    if let Some(seat) = named {
        return Ok(seat);
    }
    let Some(EntityJson::Account(account)) = node.local(&owner.to_string())?.local else {
        return Err(Failure::refused(
            Code::NoAccount,
            format!("there is no account {owner}"),
        ));
    };
    let seats: Vec<&String> = account
        .workers
        .iter()
        .filter_map(|worker| worker.seat.as_ref())
        .collect();
    match seats.as_slice() {
        [seat] => seat.parse().map_err(Failure::other),
        [] => Err(Failure::refused(
            Code::NoWorker,
            format!("the account {owner} has no worker with a seat"),
        )
        .advise("a registration gets its seat some epochs later; is it the right --key?")),
        several => Err(
            Failure::usage(format!("the account has {} workers", several.len()))
                .advise("say which with --seat"),
        ),
    }
}

fn stake(session: &Session, options: &StakeArgs) -> Result<Report> {
    let (genesis, node) = network(session)?;
    let account = session.address()?;
    let (stake, collateral) = (options.stake, options.collateral);
    let lag = genesis.parameters.activation_lag;
    let done = format!(
        "staked {stake} credits and {collateral} of collateral; the stake counts {lag} epochs later"
    );
    let asked = |what: &str, action: &Action| {
        let question = format!("{what} {stake} credits of stake and {collateral} of collateral");
        confirm_cost(session, (&genesis, &node), action, &question, options.yes)
    };
    let (dir, file) = (options.worker_dir.as_deref(), options.consent.as_deref());
    if dir.is_none() && file.is_none() {
        let seat = own_seat(&node, &account, options.seat)?;
        let action = Action::AddStake {
            seat,
            stake,
            collateral,
        };
        asked("Add to the worker", &action)?;
        let wallet = session.wallet(&genesis, &node)?;
        return carry_out(session, &wallet, action, options.wait, &done);
    }
    let consenting = Consenting::open(session, &genesis, account, dir, file)?;
    let terms = super::terms::offered(&options.offer, dir)?;
    let make = |nonce| registration(&consenting.at(nonce)?, &terms, options);
    asked("Register the worker with", &make(Nonce::ZERO)?)?;
    let wallet = session.wallet(&genesis, &node)?;
    let order = Order {
        nonce: consenting.nonce(),
        ..plain(&make)
    };
    let fate = submit(session, &wallet, &order, options.wait)?;
    let text = format!("{done}\noperation {}\n{}", fate.id, how_sure(&fate));
    Report::new(text, &fate)
}

/// The registration of a worker, with its consent.
fn registration(consented: &Consented, terms: &Terms, options: &StakeArgs) -> Result<Action> {
    Ok(Action::RegisterWorker {
        key: consented.key,
        consent: consented.consent,
        vrf: consented.vrf,
        stake: options.stake,
        collateral: options.collateral,
        terms: terms.clone(),
    })
}
