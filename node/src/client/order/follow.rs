//! Sending an operation, and following it to its end over nodes that come and go.

use super::{Orders, Placed, Word};
use crate::client::http::NodeClient;
use crate::client::journal::{Entry, Journal, Sent};
use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::views::{Finality, OperationView};
use frith_ledger::operation::Operation;
use parity_scale_codec::Encode as _;
use std::time::{Duration, Instant};

/// Longest that one node is waited for before it is seen whether it still has the operation.
const SLICE: Duration = Duration::from_secs(5);
/// Between two rounds in which no node answered.
const PAUSE: Duration = Duration::from_millis(200);

/// How a sending ended.
pub(super) enum Answer {
    Taken,
    /// No answer, or one that doesn't say.
    Lost(Failure),
    /// It was refused, and isn't at that node.
    Refused(Failure),
}

impl Orders<'_> {
    pub(super) fn send(&self, node: &NodeClient, entry: &Entry, contents: &[&[u8]]) -> Answer {
        let bytes = Operation::Signed(entry.operation.clone()).encode();
        match node.submit_with(&bytes, contents) {
            Ok(_) => Answer::Taken,
            Err(failure) if says_no(&failure) => Answer::Refused(failure),
            Err(failure) => Answer::Lost(failure),
        }
    }

    /// Sends an operation to the first node. Until one has taken it nobody else signs for the account.
    pub(super) fn send_and_follow(
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
    pub(super) fn note(&self, journal: &mut Journal, entry: &Entry, sent: Sent) {
        if let Err(failure) = journal.change(&entry.id(), |entry| entry.sent = sent) {
            (self.tell)(Word::Unwritten(&failure));
        }
    }

    /// Follows an operation until it is `sure`, asking nodes in turn, each of which gets it that doesn't have it.
    pub(super) fn follow(
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
    pub(super) fn hand_over(
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

    pub(super) fn placed(
        &self,
        journal: Option<Journal>,
        node: &NodeClient,
        entry: &Entry,
        fate: OperationView,
    ) -> Result<Placed> {
        let (id, slot) = (entry.id().to_hex(), entry.slot());
        let ask = |node: &NodeClient| node.fate(&id, &slot, Finality::Pending, Duration::ZERO);
        let fate = self.outweigh(node, fate, ask);
        let known =
            fate.done.is_some() && !fate.never_executed && self.is_known(node, entry, &fate)?;
        if fate.done == Some(false) && !known {
            let mut journal = journal.map_or_else(|| self.journal(), Ok)?;
            self.note(&mut journal, entry, Sent::Refused);
        }
        Ok(Placed { fate, known })
    }

    /// A node that stands in must be of the same network.
    pub(super) fn is_ours(&self, node: &NodeClient) -> Result<()> {
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
