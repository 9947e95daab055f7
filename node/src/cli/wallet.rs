//! `frith wallet`: payments and stakes; balances, see [`super::balance`].

use super::Report;
use super::args::{StakeArgs, WaitArgs, WalletCommand};
use super::output::{confirm, is_terminal, note, spinner};
use super::session::Session;
use crate::client::{NodeClient, Wallet, fee_of};
use crate::codes::Code;
use crate::failure::{Failure, Result};
use crate::views::{Entity as EntityJson, OperationView};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::genesis::Genesis;
use frith_ledger::key::{PublicKey, Signature};
use frith_ledger::operation::{Action, consent_hash};
use frith_ledger::units::Nonce;
use frith_ledger::vrf::{VrfPublic, VrfSecret};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

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

/// Signs, submits and waits; says how sure it is.
pub(super) fn carry_out(
    session: &Session,
    wallet: &Wallet<'_>,
    action: Action,
    wait: WaitArgs,
    done: &str,
) -> Result<Report> {
    let fate = submit(session, wallet, action, wait)?;
    Report::new(
        format!("{done}\noperation {}\n{}", fate.id, how_sure(&fate)),
        &fate,
    )
}

/// Signs an action, submits it and waits.
pub(super) fn submit(
    session: &Session,
    wallet: &Wallet<'_>,
    action: Action,
    wait: WaitArgs,
) -> Result<OperationView> {
    let operation = wallet.sign(action)?;
    let waiting = spinner("waits for the neighbourhood", session.json);
    let fate = wallet.submit(operation, wait.wait, Duration::from_secs(wait.timeout));
    waiting.finish_and_clear();
    fate
}

/// How sure it is, in words.
pub(super) fn how_sure(fate: &OperationView) -> String {
    use crate::views::Finality;
    match (fate.finality, fate.height, fate.epoch) {
        (Finality::Pending, ..) => "pending: taken into the pool, not committed yet".to_owned(),
        (Finality::Local, Some(height), Some(epoch)) => {
            format!("local: committed by the neighbourhood in block {height}, epoch {epoch}")
        }
        (Finality::Final, Some(height), Some(epoch)) => {
            format!("final: block {height} of epoch {epoch} stands under a committed root")
        }
        (finality, ..) => format!("{finality:?}"),
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

/// A worker's word that an account may register it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consent {
    /// The worker's key.
    pub(super) key: String,
    /// Its VRF key.
    pub(super) vrf: String,
    /// The account that may register it.
    pub(super) account: Address,
    /// With its operation of this nonce.
    pub(super) nonce: u64,
    /// The worker's signature.
    pub(super) signature: String,
}

/// Signs the consent of the worker of a data directory.
pub(super) fn consent(
    genesis: &Genesis,
    dir: &Path,
    account: Address,
    nonce: Nonce,
) -> Result<Consent> {
    let seed = super::session::worker_seed(dir)?;
    let key = seed.worker();
    Ok(Consent {
        key: key.public().to_string(),
        vrf: hex::encode(VrfSecret::from_seed(&seed.vrf()).public().0),
        account,
        nonce: nonce.get(),
        signature: key
            .sign(&consent_hash(&genesis.hash(), &account, nonce))
            .to_string(),
    })
}

fn stake(session: &Session, options: &StakeArgs) -> Result<Report> {
    let (genesis, node) = network(session)?;
    let account = session.address()?;
    let (stake, collateral) = (options.stake, options.collateral);
    let registers = options.worker_dir.is_some() || options.consent.is_some();
    let (what, action) = if registers {
        let action = registration(session, (&genesis, &node), account, options)?;
        ("Register the worker with", action)
    } else {
        let seat = own_seat(&node, &account, options.seat)?;
        let action = Action::AddStake {
            seat,
            stake,
            collateral,
        };
        ("Add to the worker", action)
    };
    let question = format!("{what} {stake} credits of stake and {collateral} of collateral");
    confirm_cost(session, (&genesis, &node), &action, &question, options.yes)?;
    let wallet = session.wallet(&genesis, &node)?;
    let lag = genesis.parameters.activation_lag;
    let done = format!(
        "staked {stake} credits and {collateral} of collateral; the stake counts {lag} epochs later"
    );
    carry_out(session, &wallet, action, options.wait, &done)
}

/// The registration of a worker, with its consent.
fn registration(
    session: &Session,
    (genesis, node): (&Genesis, &NodeClient),
    account: Address,
    options: &StakeArgs,
) -> Result<Action> {
    let (dir, file) = (options.worker_dir.as_deref(), options.consent.as_deref());
    let Consented { key, vrf, consent } = consented(session, (genesis, node), account, dir, file)?;
    Ok(Action::RegisterWorker {
        key,
        consent,
        vrf,
        stake: options.stake,
        collateral: options.collateral,
        terms: super::terms::offered(&options.offer, options.worker_dir.as_deref())?,
    })
}

/// A worker's keys and its consent, as operations carry them.
pub(super) struct Consented {
    /// The worker's key.
    pub(super) key: PublicKey,
    /// Its VRF key.
    pub(super) vrf: VrfPublic,
    /// Its signature.
    pub(super) consent: Signature,
}

/// The consent that the worker of `dir` signs now, or that `file` holds.
pub(super) fn consented(
    session: &Session,
    (genesis, node): (&Genesis, &NodeClient),
    account: Address,
    dir: Option<&Path>,
    file: Option<&Path>,
) -> Result<Consented> {
    let given = match (dir, file) {
        (Some(dir), _) => {
            let nonce = match node.local(&account.to_string())?.local {
                Some(EntityJson::Account(account)) => Nonce::new(account.nonce),
                _ => Nonce::ZERO,
            };
            if is_terminal() && !session.json {
                note("The worker's passphrase is needed to sign its consent.");
            }
            consent(genesis, dir, account, nonce)?
        }
        (None, Some(file)) => read_consent(file, &account)?,
        (None, None) => return Err(Failure::usage("no worker is named")),
    };
    Ok(Consented {
        key: PublicKey(fixed(&given.key)?),
        vrf: VrfPublic(fixed(&given.vrf)?),
        consent: Signature(fixed(&given.signature)?),
    })
}

fn read_consent(path: &Path, account: &Address) -> Result<Consent> {
    let text = crate::text::read(path).map_err(|error| Failure::file("read", path, error))?;
    let consent: Consent = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{} is no consent: {error}", path.display())))?;
    if consent.account != *account {
        return Err(Failure::usage(format!(
            "the consent is for the account {}, yours is {account}",
            consent.account
        )));
    }
    Ok(consent)
}

fn fixed<const N: usize>(text: &str) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|error| Failure::usage(format!("in the consent: {error}")))?;
    Ok(bytes)
}

/// The consent as `node consent` prints it.
pub(super) fn consent_report(consent: &Consent) -> Result<Report> {
    let text = serde_json::to_string_pretty(consent).map_err(Failure::other)?;
    Report::new(text, &json!(consent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_consents() {
        let example = format!(
            "{{\"key\":\"{0}\",\"vrf\":\"{0}\",\"account\":\"{1}\",\"nonce\":1,\"signature\":\"{0}{0}\"}}",
            hex::encode([5; 32]),
            Address([7; 32])
        );
        frith_fuzz::harness!(|input: &[u8]| {
            let read = |text: &str| serde_json::from_str::<Consent>(text);
            for consent in frith_fuzz::json(input, std::slice::from_ref(&example), read) {
                let _ = (fixed::<32>(&consent.key), fixed::<64>(&consent.signature));
            }
        });
    }
}
