//! What all commands that sign an operation do alike, and `frith wallet operation`: which are under way, and what became
//! of one.

use super::Report;
use super::args::{OperationArgs, WaitArgs};
use super::balance::proven;
use super::interrupts;
use super::output::{self, spinner};
use super::session::Session;
use super::wallet::network;
use crate::client::{Entry, Journal, Order, Orders, Placed, Sent, Wallet, Word};
use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::present;
use crate::views::{Finality, HappeningView, OperationView};
use frith_ledger::address::Address;
use frith_ledger::entity::Entity;
use frith_ledger::hash::Hash;
use frith_ledger::operation::{Action, OperationId};
use frith_ledger::units::{Epoch, Nonce};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// Signs, submits and waits; says how sure it is.
pub(super) fn carry_out(
    session: &Session,
    wallet: &Wallet<'_>,
    action: Action,
    wait: WaitArgs,
    done: &str,
) -> Result<Report> {
    let make = |_| Ok(action.clone());
    let fate = submit(session, wallet, &plain(&make), wait)?;
    Report::new(
        format!("{done}\noperation {}\n{}", fate.id, how_sure(&fate)),
        &fate,
    )
}

/// An order without contents, deadlines or a nonce of its own.
pub(super) fn plain<'a>(make: &'a dyn Fn(Nonce) -> Result<Action>) -> Order<'a> {
    Order {
        make,
        nonce: None,
        base: Epoch::ZERO,
        contents: &[],
    }
}

/// Signs an action, submits it and waits; or follows the operation of an equal command whose end wasn't told.
pub(super) fn submit(
    session: &Session,
    wallet: &Wallet<'_>,
    order: &Order<'_>,
    wait: WaitArgs,
) -> Result<OperationView> {
    let time = Duration::from_secs(wait.timeout);
    let placed = by_orders(session, wallet, |orders| {
        orders.place(order, (wait.wait, time), wait.again)
    })?;
    ended(session, wallet, placed, wait)
}

/// Lets an account's orders do something, telling on standard error what happens.
fn by_orders<T>(
    session: &Session,
    wallet: &Wallet<'_>,
    work: impl FnOnce(&Orders<'_>) -> Result<T>,
) -> Result<T> {
    let others = session.others()?;
    let waiting = spinner("waits for the neighbourhood", session.json);
    let prove = |since| {
        let address = &wallet.account;
        let answer = proven(session, wallet.genesis, wallet.node, address, Some(since))?;
        match answer.proven.entity {
            Some(Entity::Account(account)) => Ok(account.nonce),
            _ => Ok(Nonce::ZERO),
        }
    };
    let tell = |word: Word<'_>| waiting.suspend(|| tell(session.json, &word));
    let done = work(&Orders {
        wallet,
        others: &others,
        home: session.home.dir(),
        prove: &prove,
        tell: &tell,
    });
    waiting.finish_and_clear();
    done
}

/// A fate that is known is forgotten when it was printed. A refusal, or less than what was waited for, is a failure.
fn ended(
    session: &Session,
    wallet: &Wallet<'_>,
    placed: Placed,
    wait: WaitArgs,
) -> Result<OperationView> {
    let Placed { fate, known } = placed;
    if known {
        session.will_tell(wallet.genesis.hash(), wallet.account, parse_id(&fate.id)?);
    }
    if let Some(refusal) = &fate.refusal {
        return Err(Failure::answered(Exit::Refused, refusal.clone()));
    }
    let words = format!("operation {}: {}", fate.id, how_sure(&fate));
    if fate.finality < wait.wait {
        let seconds = wait.timeout;
        return Err(Failure::unreachable(format!(
            "{words}; it was not under a committed root within {seconds} s"
        ))
        .advise("see `frith node status`: does the node see a quorum?"));
    }
    if known {
        let failure = Failure::new(Exit::Sent, Code::Sent, format!("interrupted. {words}"));
        let advice = format!("`frith wallet operation {}` says how sure it is", fate.id);
        interrupts::leave(failure.advise(advice), session.json);
    }
    Ok(fate)
}

/// The task that an operation submits.
fn task_of(entry: &Entry) -> Option<Address> {
    let submits = matches!(entry.operation.body.action, Action::SubmitTask(_));
    submits.then(|| Address(entry.id().0))
}

fn tell(json: bool, word: &Word<'_>) {
    if let Word::Signed(entry) | Word::Repeated(entry) = word {
        let id = entry.id();
        let failure = Failure::new(
            Exit::Sent,
            Code::Sent,
            format!("interrupted: operation {id} was sent, may have been taken"),
        );
        let advice = format!(
            "`frith wallet operation {id}` asks what became of it; the same command typed again asks first, and sends the \
             same operation as long as nobody knows"
        );
        interrupts::leave(failure.advise(advice), json);
    }
    output::tell(json, &in_words(word), &in_json(word));
}

fn in_words(word: &Word<'_>) -> String {
    let named = |entry: &Entry| {
        let task = task_of(entry);
        let task = task.map_or_else(String::new, |task| format!("\ntask      {task}"));
        format!("operation {}{task}", entry.id())
    };
    match word {
        Word::Busy => "another command signs for this account; this one waits for it".to_owned(),
        Word::Signed(entry) => format!(
            "{}\nsigned with nonce {}; it is sent now",
            named(entry),
            entry.slot().nonce
        ),
        Word::Repeated(entry) => format!(
            "{}\nan equal command signed it, and it isn't known what became of it: the same operation is sent again \
             (--again sends another)",
            named(entry)
        ),
        Word::Earlier(entry) => format!(
            "{}\nan equal command signed it, and its end was never told; here it is. Nothing more is sent (--again sends \
             another)",
            named(entry)
        ),
        Word::Replaces { lost, by } => format!(
            "nothing is known of operation {lost}, and {by} gets its nonce: of both one is executed at most"
        ),
        Word::Silent(node, failure) => format!(
            "at {}: {failure}; it is tried again, until the wait is over",
            node.base()
        ),
        Word::Unwritten(failure) => format!("{failure}; it was sent all the same"),
    }
}

fn in_json(word: &Word<'_>) -> serde_json::Value {
    let named = |what: &str, entry: &Entry| {
        let mut named = json!({
            "operation": entry.id().to_hex(), "account": entry.slot().account, "nonce": entry.slot().nonce,
        });
        if let Some(task) = task_of(entry) {
            named["task"] = json!(task);
        }
        json!({ what: named })
    };
    match word {
        Word::Busy => json!({"waits": "another command signs for this account"}),
        Word::Signed(entry) => named("signed", entry),
        Word::Repeated(entry) => named("repeated", entry),
        Word::Earlier(entry) => named("earlier", entry),
        Word::Replaces { lost, by } => {
            json!({"replaced": {"lost": lost.to_hex(), "by": by.to_hex()}})
        }
        Word::Silent(node, failure) => {
            json!({"silent": {"node": node.base(), "message": failure.message}})
        }
        Word::Unwritten(failure) => json!({"unwritten": failure.message}),
    }
}

/// How sure it is, in words.
pub(super) fn how_sure(fate: &OperationView) -> String {
    match (fate.finality, fate.height, fate.epoch) {
        _ if fate.never_executed => "never executed, and it can't be any more".to_owned(),
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

fn parse_id(text: &str) -> Result<OperationId> {
    Hash::from_hex(text)
        .map_err(|error| Failure::usage(format!("{text:?} is no operation's id: {error}")))
}

/// An operation whose fate nobody was told.
#[derive(Debug, Serialize)]
struct Remembered {
    id: String,
    nonce: u64,
    expires: u64,
    sent: &'static str,
    #[serde(flatten)]
    order: HappeningView,
}

/// `frith wallet operation`
pub(super) fn operation(session: &Session, args: &OperationArgs) -> Result<Report> {
    let Some(id) = &args.id else {
        return list(session);
    };
    let id = parse_id(id)?;
    let account = session.address()?;
    if args.forget {
        journal(session, account)?.forget(|entry| entry.id() == id)?;
        let text = format!("operation {id} is forgotten here");
        return Report::new(text, &json!({"forgotten": id.to_hex()}));
    }
    let remembered = journal(session, account)?.get(&id).cloned();
    let (genesis, node) = network(session)?;
    let wallet = Wallet::watching(&genesis, &node, account);
    if args.repeat {
        let wait = (args.wait.wait, Duration::from_secs(args.wait.timeout));
        let placed = by_orders(session, &wallet, |orders| orders.repeat(&id, wait))?;
        return shown(&ended(session, &wallet, placed, args.wait)?);
    }
    let Some(entry) = remembered else {
        return shown(&node.operation(&id.to_hex(), Finality::Pending, Duration::ZERO)?);
    };
    let placed = by_orders(session, &wallet, |orders| orders.look(&entry))?;
    if placed.known {
        session.will_tell(genesis.hash(), account, id);
    }
    shown(&placed.fate)
}

/// The journal of an account, when no other command of it signs.
fn journal(session: &Session, account: Address) -> Result<Journal> {
    let genesis = session.genesis()?.hash();
    let busy = || tell(session.json, &Word::Busy);
    Journal::open(session.home.dir(), &genesis, &account, busy)
}

fn shown(fate: &OperationView) -> Result<Report> {
    let place = if fate.finality == Finality::Pending && !fate.waits {
        "pending: it isn't at this node, and may be executed until it expires".to_owned()
    } else {
        how_sure(fate)
    };
    let refused = fate.refusal.as_ref().map_or_else(String::new, |refusal| {
        format!("\nrefused   {}", refusal.message)
    });
    Report::new(format!("operation {}\n{place}{refused}", fate.id), fate)
}

fn list(session: &Session) -> Result<Report> {
    let account = session.address()?;
    let journal = journal(session, account)?;
    let remembered: Vec<Remembered> = journal.entries().iter().map(remembered).collect();
    let mut text = String::new();
    for entry in &remembered {
        text.push_str(&format!(
            "{}  nonce {}  good until epoch {}  {}\n{}\n",
            entry.id,
            entry.nonce,
            entry.expires,
            entry.sent,
            super::history::order_line(&entry.order)
        ));
    }
    if remembered.is_empty() {
        "no operation of this account is under way as far as this machine knows"
            .clone_into(&mut text);
    }
    Report::new(text, &json!({"account": account, "operations": remembered}))
}

fn remembered(entry: &Entry) -> Remembered {
    let slot = entry.slot();
    Remembered {
        id: entry.id().to_hex(),
        nonce: slot.nonce.get(),
        expires: slot.expires.get(),
        sent: match entry.sent {
            Sent::Signed => "sent, no answer",
            Sent::Taken => "taken",
            Sent::Refused => "refused, its nonce not used",
        },
        order: present::order(&entry.operation),
    }
}
