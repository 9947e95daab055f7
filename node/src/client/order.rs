//! The one way by which an operation leaves this machine: signed once, remembered, sent, sent again, followed to its end.
//!
//! 1. A command takes the account's [`Journal`], so that no other one chooses a nonce meanwhile.
//! 2. An equal command whose operation's fate nobody was told comes first: it is asked for, and as long as nobody knows, the
//!    *same* signed operation is sent again instead of another.
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

use super::http::NodeClient;
use super::journal::{Entry, Journal, Sent};
use super::wallet::Wallet;
use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::views::{Entity, EntityView, Finality, OperationView};
use frith_ledger::hash::Hash;
use frith_ledger::key::Signature;
use frith_ledger::operation::{Action, Operation, OperationId};
use frith_ledger::units::{Epoch, Nonce};
use parity_scale_codec::Encode as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest that one node is waited for before it is seen whether it still has the operation.
const SLICE: Duration = Duration::from_secs(5);
/// Between two rounds in which no node answered.
const PAUSE: Duration = Duration::from_millis(200);

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

/// How a sending ended.
enum Answer {
    Taken,
    /// No answer, or one that doesn't say.
    Lost(Failure),
    /// It was refused, and isn't at that node.
    Refused(Failure),
}

/// What is known of an operation that was signed before.
enum Before {
    /// Done, or refused for good: that was it.
    Ended(Placed),
    /// It may be executed, or may have been on its way: it is sent again.
    Open,
    /// It wasn't executed and never will be.
    Never(OperationView),
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
            .map_err(|failure| match failure.exit {
                Exit::Refused if repeated => failure.advise(format!(
                    "it was signed in epoch {signed_before} for an equal command; --again signs another, with the same nonce \
                     if that is free, so that one of both is executed at most"
                )),
                _ => failure,
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

    /// What becomes of an operation by the word of the nodes: one that has executed it outweighs others.
    fn ask(&self, entry: &Entry) -> Result<OperationView> {
        let (id, slot) = (entry.id().to_hex(), entry.slot());
        let ask = |node: &NodeClient| node.fate(&id, &slot, Finality::Pending, Duration::ZERO);
        let first = ask(self.wallet.node)?;
        if !first.never_executed {
            return Ok(first);
        }
        // Nodes that stand in and don't answer say nothing.
        let others = self.others.iter().filter_map(|node| ask(node).ok());
        let executed = |view: &OperationView| view.done.is_some() && !view.never_executed;
        Ok(others.into_iter().find(executed).unwrap_or(first))
    }

    fn before(&self, entry: &Entry) -> Result<Before> {
        let fate = self.ask(entry)?;
        if fate.never_executed {
            return self.believe(entry, fate);
        }
        if fate.done.is_none() || !self.is_known(self.wallet.node, entry, &fate)? {
            return Ok(Before::Open);
        }
        (self.tell)(Word::Earlier(entry));
        Ok(Before::Ended(Placed { fate, known: true }))
    }

    /// Whether an executed operation's fate can't change any more: it was done, or its nonce was used.
    fn is_known(&self, node: &NodeClient, entry: &Entry, fate: &OperationView) -> Result<bool> {
        if fate.done == Some(true) {
            return Ok(true);
        }
        let view = node.local(&self.wallet.account.to_string())?;
        Ok(nonce_of(&view).is_some_and(|nonce| nonce > entry.slot().nonce))
    }

    /// A node says that an operation was never executed: what else shows it.
    fn believe(&self, entry: &Entry, fate: OperationView) -> Result<Before> {
        let slot = entry.slot();
        let code = fate.refusal.as_ref().map(|refusal| refusal.code.as_str());
        if code == Some(Code::Expired.name()) && (self.prove)(slot.expires.get())? <= slot.nonce {
            return Ok(Before::Never(fate));
        }
        if let Some(rival) = entry.rival {
            let of_rival =
                self.wallet
                    .node
                    .operation(&rival.to_hex(), Finality::Pending, Duration::ZERO)?;
            if of_rival.done.is_some() && !of_rival.never_executed {
                return Ok(Before::Never(fate));
            }
        }
        Err(Failure::new(
            Exit::Sent,
            Code::Sent,
            format!(
                "operation {} was signed before for an equal command. The node at {} says that it was never executed \
                 and that its nonce, {}, was used or its time is over, and nothing here shows that: it may have been executed",
                entry.id(),
                self.wallet.node.base(),
                slot.nonce
            ),
        )
        .advise("see `frith wallet history`, and ask another node with --api; --again sends another all the same"))
    }

    /// Forgets those of some operations that a node says to be over.
    fn forget_ended(&self, journal: &mut Journal, which: impl Fn(&Entry) -> bool) -> Result<()> {
        let mut over = Vec::new();
        for entry in journal.entries().iter().filter(|entry| which(entry)) {
            if self.ask(entry)?.done.is_some() {
                over.push(entry.id());
            }
        }
        journal.forget(|entry| over.contains(&entry.id()))
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
            // One that is busy says nothing of the operation.
            if matches!(answer, Answer::Refused(failure) if failure.exit == Exit::Refused) {
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

    fn send(&self, node: &NodeClient, entry: &Entry, contents: &[&[u8]]) -> Answer {
        let bytes = Operation::Signed(entry.operation.clone()).encode();
        match node.submit_with(&bytes, contents) {
            Ok(_) => Answer::Taken,
            Err(failure) if says_no(&failure) => Answer::Refused(failure),
            Err(failure) => Answer::Lost(failure),
        }
    }

    /// Sends an operation to the first node. Until one has taken it nobody else signs for the account.
    fn send_and_follow(
        &self,
        mut journal: Journal,
        entry: &Entry,
        contents: &[&[u8]],
        wait: (Finality, Duration),
    ) -> Result<Placed> {
        match self.send(self.wallet.node, entry, contents) {
            Answer::Taken => {
                self.note(&mut journal, entry, Sent::Taken);
                drop(journal);
                self.follow(None, entry, contents, wait)
            }
            // Another node has taken it before, and its answer counts.
            Answer::Refused(_) if entry.sent == Sent::Taken => {
                self.follow(Some(journal), entry, contents, wait)
            }
            Answer::Refused(failure) => {
                self.note(&mut journal, entry, Sent::Refused);
                Err(failure)
            }
            Answer::Lost(failure) => {
                (self.tell)(Word::Silent(self.wallet.node, &failure));
                self.follow(Some(journal), entry, contents, wait)
            }
        }
    }

    /// Writes down how far an operation is. It was sent, so this failing stops nothing.
    fn note(&self, journal: &mut Journal, entry: &Entry, sent: Sent) {
        if let Err(failure) = journal.change(&entry.id(), |entry| entry.sent = sent) {
            (self.tell)(Word::Unwritten(&failure));
        }
    }

    /// Follows an operation until it is `sure`, asking nodes in turn, each of which gets it that doesn't have it.
    fn follow(
        &self,
        mut journal: Option<Journal>,
        entry: &Entry,
        contents: &[&[u8]],
        (sure, time): (Finality, Duration),
    ) -> Result<Placed> {
        let (id, slot, deadline) = (entry.id().to_hex(), entry.slot(), Instant::now() + time);
        let nodes = self.nodes();
        let (mut at, mut has, mut why) = (0, journal.is_none(), None);
        let mut silent: Vec<usize> = Vec::new();
        loop {
            let node = nodes[at % nodes.len()];
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = if has { SLICE.min(left) } else { Duration::ZERO };
            let looked = self
                .is_ours(node)
                .and_then(|()| node.fate(&id, &slot, sure, patience));
            let failure = match looked {
                Ok(fate) => {
                    let ended =
                        fate.done.is_some() && (fate.finality >= sure || fate.done == Some(false));
                    if ended || (sure == Finality::Pending && (has || fate.waits)) {
                        return self.placed(journal, node, entry, fate);
                    }
                    if fate.done.is_some() && left.is_zero() {
                        return Ok(Placed { fate, known: true });
                    }
                    let failure = self.hand_over(node, entry, contents, &fate, &mut journal);
                    if failure.is_none() && sure == Finality::Pending {
                        return self.placed(journal, node, entry, fate);
                    }
                    failure
                }
                Err(failure) => Some(failure),
            };
            let Some(failure) = failure else {
                if left.is_zero() {
                    return Err(late(entry, None, journal.is_none(), time));
                }
                (has, why) = (true, None);
                silent.clear();
                continue;
            };
            if left.is_zero() {
                return Err(late(entry, why.or(Some(failure)), journal.is_none(), time));
            }
            let number = at % nodes.len();
            if !silent.contains(&number) {
                (self.tell)(Word::Silent(node, &failure));
                silent.push(number);
            }
            (why, has, at) = (Some(failure), false, at + 1);
            std::thread::sleep(PAUSE.min(left));
        }
    }

    /// Sends an operation to a node that doesn't have it; why it still hasn't.
    fn hand_over(
        &self,
        node: &NodeClient,
        entry: &Entry,
        contents: &[&[u8]],
        fate: &OperationView,
        journal: &mut Option<Journal>,
    ) -> Option<Failure> {
        let answer = if fate.waits || fate.done.is_some() {
            Answer::Taken
        } else {
            self.send(node, entry, contents)
        };
        match answer {
            Answer::Taken => {
                if let Some(mut journal) = journal.take() {
                    self.note(&mut journal, entry, Sent::Taken);
                }
                None
            }
            Answer::Refused(failure) | Answer::Lost(failure) => Some(failure),
        }
    }

    fn placed(
        &self,
        journal: Option<Journal>,
        node: &NodeClient,
        entry: &Entry,
        fate: OperationView,
    ) -> Result<Placed> {
        let known =
            fate.done.is_some() && !fate.never_executed && self.is_known(node, entry, &fate)?;
        if fate.done == Some(false) && !known {
            let mut journal = journal.map_or_else(|| self.journal(), Ok)?;
            self.note(&mut journal, entry, Sent::Refused);
        }
        Ok(Placed { fate, known })
    }

    /// A node that stands in must be of the same network.
    fn is_ours(&self, node: &NodeClient) -> Result<()> {
        if node.base() == self.wallet.node.base() {
            return Ok(());
        }
        let genesis = node.status()?.genesis;
        if genesis == self.wallet.genesis.hash().to_hex() {
            return Ok(());
        }
        let message = format!(
            "the node at {} is of another network ({genesis})",
            node.base()
        );
        Err(Failure::refused(Code::WrongNetwork, message))
    }
}

/// Whether a node said that it didn't take an operation. Any other failure leaves it open.
fn says_no(failure: &Failure) -> bool {
    let busy = [
        Code::Overloaded,
        Code::Halted,
        Code::Busy,
        Code::NotReady,
        Code::Store,
    ];
    // The words of a node that can't take it now.
    failure.exit == Exit::Refused || busy.iter().any(|code| code.name() == failure.code)
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

/// The time is over, and nobody knows what becomes of an operation that was sent.
fn late(entry: &Entry, why: Option<Failure>, taken: bool, time: Duration) -> Failure {
    let id = entry.id();
    let seconds = time.as_secs();
    let message = match (why, taken) {
        (Some(why), _) => format!("operation {id} was sent, may have been taken: {why}"),
        (None, true) => format!(
            "operation {id} was sent and taken, and wasn't committed within {seconds} s; it may still be"
        ),
        (None, false) => {
            format!("operation {id} was sent, may have been taken: no answer within {seconds} s")
        }
    };
    Failure::new(Exit::Sent, Code::Sent, message).advise(format!(
        "`frith wallet operation {id}` asks what became of it; the same command typed again asks first, and sends the same \
         operation as long as nobody knows. See `frith node status`: does the node see a quorum?"
    ))
}

#[cfg(test)]
mod tests;
