//! The one way by which an operation leaves this machine: signed once, remembered, sent, sent again, followed to its end.
//!
//! 1. A command takes the account's [`Journal`], so that no other one chooses a nonce meanwhile.
//! 2. An equal command whose operation's fate nobody was told comes first: it is asked for, and as long as nobody knows, the
//!    *same* operation is sent again instead of another. Its signature is another where the account has another key by
//!    now: signatures aren't part of an operation's id, so it is executed once whatever the number of its signatures.
//! 3. Otherwise it signs with the first nonce that nothing uses, writes the operation down, tells its id, and sends it.
//! 4. When a node has taken it, the next command may go on. The wait asks nodes in turn, and sends the operation to one
//!    that doesn't have it.
//! 5. The operation is forgotten when somebody was told what became of it, which the caller says.
//!
//! # What a node's word is worth
//!
//! No answer makes this sign another operation while the first may still be executed, or may have been: that costs money
//! twice. "It was never executed" is believed when a proof from the genesis shows that the operation had expired before
//! its nonce was used; or when another operation of this journal with the same nonce is said to have been executed, since of
//! both one can be at most. Without either, the user decides (`--again`).

mod before;
mod follow;
#[cfg(test)]
mod tests;

use self::before::Before;
use self::follow::Answer;
use super::http::NodeClient;
use super::journal::{Entry, Journal, Sent};
use super::wallet::Wallet;
use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::views::{Entity, EntityView, Finality, OperationView};
use frith_ledger::hash::Hash;
use frith_ledger::key::Signature;
use frith_ledger::operation::{Action, OperationId};
use frith_ledger::units::{Epoch, Nonce};
use parity_scale_codec::Encode as _;
use std::path::Path;
use std::time::Duration;

/// What a command wants done.
pub struct Order<'a> {
    /// Makes the action of an operation with this nonce. Actions of equal commands differ in nothing but what depends on
    /// the nonce and on `base`.
    pub make: &'a dyn Fn(Nonce) -> Result<Action>,
    /// The only nonce that the action can have, when something else was signed for it.
    pub nonce: Option<Nonce>,
    /// The epoch from which deadlines in the action count.
    pub base: Epoch,
    /// What a node has to hold before it takes the operation.
    pub contents: &'a [&'a [u8]],
}

/// What happens on the way, for people.
#[derive(Debug)]
pub enum Word<'a> {
    /// Another command of the account is signing.
    Busy,
    /// The operation is signed and written down, and is sent now.
    Signed(&'a Entry),
    /// The operation of an equal command is sent again.
    Repeated(&'a Entry),
    /// An equal command had done it, and its end wasn't told.
    Earlier(&'a Entry),
    /// Nothing was heard of an operation, and another has its nonce now.
    Replaces {
        /// The one.
        lost: OperationId,
        /// The other.
        by: OperationId,
    },
    /// A node doesn't answer, or doesn't take it.
    Silent(&'a NodeClient, &'a Failure),
    /// How far it is couldn't be written down.
    Unwritten(&'a Failure),
}

/// What became of an order.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The fate of its operation.
    pub fate: OperationView,
    /// Whether this fate is the last word: told, the operation can be forgotten.
    pub known: bool,
}

/// An account's orders.
pub struct Orders<'a> {
    /// Signs, and names the node that is asked first.
    pub wallet: &'a Wallet<'a>,
    /// Nodes that stand in for it.
    pub others: &'a [NodeClient],
    /// The user's directory.
    pub home: &'a Path,
    /// The account's nonce by its proof under the root of this epoch or a later one.
    pub prove: &'a dyn Fn(u64) -> Result<Nonce>,
    /// Told what happens.
    pub tell: &'a dyn Fn(Word<'_>),
}

impl Orders<'_> {
    /// Carries out an order: at most one operation of equal orders is under way, unless `again` is said.
    ///
    /// # Errors
    /// A refusal; [`Exit::Sent`] when nothing is known of what was sent; that nothing could be signed.
    pub fn place(
        &self,
        order: &Order<'_>,
        wait: (Finality, Duration),
        again: bool,
    ) -> Result<Placed> {
        let mut journal = self.journal()?;
        let intent = intent(&(order.make)(Nonce::ZERO)?, order.base);
        if again {
            self.forget_ended(&mut journal, |entry| entry.intent == intent)?;
        }
        let equal = |entry: &&Entry| entry.intent == intent && !again;
        let mut repeated = false;
        let entry = match journal.entries().iter().find(equal).cloned() {
            Some(entry) => match self.before(&entry)? {
                Before::Ended(placed) => {
                    drop(journal);
                    return self.until_sure(placed, &entry, wait);
                }
                Before::Open => {
                    let entry = self.sign_again(&mut journal, entry)?;
                    (self.tell)(Word::Repeated(&entry));
                    repeated = true;
                    entry
                }
                Before::Never(_) => {
                    let over = entry.id();
                    journal.forget(|entry| entry.id() == over)?;
                    self.sign(&mut journal, order, intent)?
                }
            },
            None => self.sign(&mut journal, order, intent)?,
        };
        let signed_before = entry.since;
        self.send_and_follow(journal, &entry, order.contents, wait)
            .map_err(|failure| {
                if !repeated {
                    return failure;
                }
                let failure = self.if_used(&entry, failure);
                if failure.exit != Exit::Refused {
                    return failure;
                }
                failure.advise(format!(
                    "it was signed in epoch {signed_before} for an equal command; --again signs another, with the same nonce \
                     if that is free, so that one of both is executed at most"
                ))
            })
    }

    /// Sends a remembered operation again and follows it.
    ///
    /// # Errors
    /// As [`Self::place`]; it isn't remembered.
    pub fn repeat(&self, id: &OperationId, wait: (Finality, Duration)) -> Result<Placed> {
        let journal = self.journal()?;
        let Some(entry) = journal.get(id).cloned() else {
            return Err(Failure::usage(format!(
                "operation {id} of {} isn't remembered here",
                self.wallet.account
            ))
            .advise("`frith wallet operation` lists those that are; without --repeat any one is asked for"));
        };
        match self.before(&entry)? {
            Before::Ended(placed) => {
                drop(journal);
                self.until_sure(placed, &entry, wait)
            }
            Before::Never(fate) => Ok(Placed { fate, known: true }),
            Before::Open => {
                (self.tell)(Word::Repeated(&entry));
                self.send_and_follow(journal, &entry, &[], wait)
                    .map_err(|failure| self.if_used(&entry, failure))
            }
        }
    }

    /// Waits until what was done before is as sure as it is wanted.
    fn until_sure(
        &self,
        placed: Placed,
        entry: &Entry,
        wait: (Finality, Duration),
    ) -> Result<Placed> {
        if placed.fate.done == Some(true) && placed.fate.finality < wait.0 {
            return self.follow(None, entry, &[], wait);
        }
        Ok(placed)
    }

    /// What became of a remembered operation, without sending anything.
    ///
    /// # Errors
    /// No node answers, or what they say can't be believed without more.
    pub fn look(&self, entry: &Entry) -> Result<Placed> {
        match self.before(entry)? {
            Before::Ended(placed) => Ok(placed),
            Before::Never(fate) => Ok(Placed { fate, known: true }),
            Before::Open => Ok(Placed {
                fate: self.ask(entry)?,
                known: false,
            }),
        }
    }

    fn journal(&self) -> Result<Journal> {
        let busy = || (self.tell)(Word::Busy);
        let genesis = self.wallet.genesis.hash();
        Journal::open(self.home, &genesis, &self.wallet.account, busy)
    }

    /// The node that is asked first, and those that stand in for it.
    fn nodes(&self) -> Vec<&NodeClient> {
        std::iter::once(self.wallet.node)
            .chain(self.others)
            .collect()
    }

    /// Signs with the next nonce and writes it down.
    fn sign(&self, journal: &mut Journal, order: &Order<'_>, intent: Hash) -> Result<Entry> {
        if journal.is_full() {
            // Whoever asked for no more than that they were taken was told so.
            self.forget_ended(journal, |entry| entry.sent == Sent::Taken)?;
        }
        let view = self.in_order(journal)?;
        let nonce = self.next(&view, journal.entries())?;
        if let Some(only) = order.nonce.filter(|only| *only != nonce) {
            return Err(Failure::refused(
                Code::Nonce,
                format!("the consent is good for the account's operation with nonce {only}, and the next is {nonce}"),
            )
            .advise("let the worker sign its consent again, for that nonce (`frith node consent`)"));
        }
        let since = Epoch::new(view.now);
        let operation = self.wallet.sign((order.make)(nonce)?, nonce, since)?;
        let entry = Entry {
            operation,
            intent,
            since,
            sent: Sent::Signed,
            rival: None,
        };
        let id = entry.id();
        for replaced in journal.add(entry.clone())? {
            (self.tell)(Word::Replaces {
                lost: replaced,
                by: id,
            });
        }
        (self.tell)(Word::Signed(&entry));
        Ok(entry)
    }

    /// The remembered operation with the signature of whoever signs for the account now.
    fn sign_again(&self, journal: &mut Journal, mut entry: Entry) -> Result<Entry> {
        entry.operation = self.wallet.sign_body(entry.operation.body.clone())?;
        journal.change(&entry.id(), |kept| kept.operation = entry.operation.clone())?;
        Ok(entry)
    }

    /// Sends what a node has taken before and this one doesn't have: what is signed next comes after it.
    fn in_order(&self, journal: &mut Journal) -> Result<EntityView> {
        let view = self.wallet.local()?;
        let free = free_nonce(&view).unwrap_or_default();
        let now = Epoch::new(view.now);
        let missing = |entry: &&Entry| is_on_its_way(entry, now) && entry.slot().nonce >= free;
        let missing: Vec<Entry> = journal.entries().iter().filter(missing).cloned().collect();
        if missing.is_empty() {
            return Ok(view);
        }
        for entry in missing {
            let answer = self.send(self.wallet.node, &entry, &[]);
            // One that is busy says nothing of the operation, nor does one that lacks its contents, which aren't here.
            let is_refused = |failure: &Failure| {
                failure.exit == Exit::Refused && failure.code != Code::MissingContent.name()
            };
            if matches!(answer, Answer::Refused(failure) if is_refused(&failure)) {
                journal.change(&entry.id(), |entry| entry.sent = Sent::Refused)?;
            }
        }
        self.wallet.local()
    }

    /// The first nonce that nothing uses, by what the node holds and what was taken from here.
    fn next(&self, view: &EntityView, entries: &[Entry]) -> Result<Nonce> {
        let mut nonce = free_nonce(view).ok_or_else(|| {
            Failure::refused(
                Code::NoAccount,
                format!(
                    "the account {} doesn't exist: nothing was ever sent to it",
                    self.wallet.account
                ),
            )
        })?;
        let now = Epoch::new(view.now);
        let used = |nonce| {
            let mut on_their_way = entries.iter().filter(|entry| is_on_its_way(entry, now));
            on_their_way.any(|entry| entry.slot().nonce == nonce)
        };
        while used(nonce) {
            nonce = nonce.next();
        }
        Ok(nonce)
    }
}

fn is_on_its_way(entry: &Entry, now: Epoch) -> bool {
    entry.sent == Sent::Taken && entry.slot().expires >= now
}

fn nonce_of(view: &EntityView) -> Option<Nonce> {
    match &view.local {
        Some(Entity::Account(account)) => Some(Nonce::new(account.nonce)),
        _ => None,
    }
}

fn free_nonce(view: &EntityView) -> Option<Nonce> {
    let next = nonce_of(view)?;
    Some(view.free_nonce.map_or(next, Nonce::new).max(next))
}

/// What a command wants, whatever its nonce and whenever it is typed.
fn intent(action: &Action, base: Epoch) -> Hash {
    let mut action = action.clone();
    match &mut action {
        Action::SubmitTask(task) => {
            task.deadline = Epoch::new(task.deadline.get().saturating_sub(base.get()));
        }
        Action::RegisterWorker { consent, .. } | Action::RotateWorker { consent, .. } => {
            *consent = Signature([0; 64]);
        }
        _ => {}
    }
    Hash(*blake3::hash(&action.encode()).as_bytes())
}
