//! The invariants, checked after every event.

mod certificates;
mod commits;
mod roots;
mod speech;
mod tasks;

use frith_ledger::store::SharedMemoryStore;
use frith_ledger::units::{Epoch, Height, UnixMillis, View};
use frith_neighbourhood::CommittedBlock;
use frith_neighbourhood::wire::PeerMessage;
use std::sync::{Arc, Weak};

/// An invariant that doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two blocks are committed at one height, or a node's block differs from the one acknowledged.
    #[error("node {node} committed another block at height {height} than {other}")]
    Fork {
        /// Who.
        node: usize,
        /// Where.
        height: Height,
        /// Who committed the first.
        other: usize,
    },
    /// A node committed a block whose predecessor it hasn't committed.
    #[error("node {node} committed height {height} after {before}")]
    Gap {
        /// Who.
        node: usize,
        /// Where.
        height: Height,
        /// Its last height.
        before: Height,
    },
    /// Two blocks were certified in one view of one instance.
    #[error("two blocks are certified in one view: {instance}")]
    TwoCertificates {
        /// Which.
        instance: String,
    },
    /// Two root records of one epoch.
    #[error("node {node} has another root record of epoch {epoch}")]
    RootFork {
        /// Who.
        node: usize,
        /// Which.
        epoch: Epoch,
    },
    /// Credits appeared or vanished.
    #[error("the root record of epoch {epoch} holds {found} microcredits, not {expected}")]
    Credits {
        /// Which record.
        epoch: Epoch,
        /// Its sum with what was burned.
        found: u128,
        /// What genesis and issue give.
        expected: u128,
    },
    /// A root record's time is before that of the record before, or far from the right time.
    #[error("the time of the root record of epoch {epoch} is {time}, which is {what}")]
    Time {
        /// Which record.
        epoch: Epoch,
        /// Its time.
        time: UnixMillis,
        /// Why it can't be.
        what: String,
    },
    /// A task ended twice.
    #[error("a task ended at height {first} and again at {second}")]
    EndedTwice {
        /// First time.
        first: Height,
        /// Second time.
        second: Height,
    },
    /// Something that was acknowledged as committed is gone.
    #[error("node {node} has no block at height {height}, which was acknowledged as committed")]
    Lost {
        /// Who.
        node: usize,
        /// Where.
        height: Height,
    },
    /// A node signed something and doesn't know of it, though its disk lost nothing that was synced.
    #[error(
        "node {node} was shown a signature of its own that its record doesn't hold: it spoke before it synced"
    )]
    Forgot {
        /// Who.
        node: usize,
    },
    /// A node voted twice in a view, or in one that it had left.
    #[error("node {node} votes in view {view} of epoch {epoch}, where it has voted or given up")]
    SaidTwice {
        /// Who.
        node: usize,
        /// Which epoch.
        epoch: Epoch,
        /// Which view.
        view: View,
    },
    /// A node that follows the protocol signed two blocks of one view, perhaps before and after it lost its disk.
    #[error("node {node} signed two blocks of view {view} of epoch {epoch}")]
    SignedTwo {
        /// Who.
        node: usize,
        /// Which epoch.
        epoch: Epoch,
        /// Which view.
        view: View,
    },
    /// A correct node says of a correct one that it broke the protocol.
    #[error("node {node} says that node {peer} misbehaved: {what}")]
    Blamed {
        /// Who.
        node: usize,
        /// Of whom.
        peer: usize,
        /// Its words.
        what: String,
    },
    /// A correct node stopped, and no fault of its machine explains it.
    #[error("node {node} stopped: {reason}")]
    Halted {
        /// Who.
        node: usize,
        /// Its words.
        reason: String,
    },
    /// A node could not start from what its disk held.
    #[error("node {node} cannot start: {reason}")]
    NoStart {
        /// Who.
        node: usize,
        /// Its words.
        reason: String,
    },
    /// After everything healed, something did not happen in time.
    #[error("no progress: {what}")]
    NoProgress {
        /// What.
        what: String,
    },
}

/// All checkers of a run.
#[derive(Debug, Default)]
pub struct Checkers {
    commits: commits::Commits,
    certificates: certificates::Certificates,
    roots: roots::Roots,
    tasks: tasks::Tasks,
    speech: speech::Speech,
    /// A broadcast is one allocation sent several times: it is looked at once.
    last: Option<Weak<[u8]>>,
}

impl Checkers {
    /// A node committed a block, at `now`.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn committed(
        &mut self,
        node: usize,
        block: &CommittedBlock,
        now: u64,
    ) -> Result<(), Violation> {
        self.roots.closed(block, now);
        self.commits.committed(node, block)?;
        self.tasks.committed(block)
    }

    /// A node committed a root record, at `now`.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn root(
        &mut self,
        node: usize,
        record: &frith_ledger::block::RootRecord,
        supply: u128,
        now: u64,
    ) -> Result<(), Violation> {
        self.roots.committed(node, record, supply)?;
        self.roots.timely(record, now)
    }

    /// A machine sent a frame. `correct`: it follows the protocol; `excused`: it doesn't, or loses its disk in
    /// this run.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn sent(
        &mut self,
        host: usize,
        (correct, excused): (bool, bool),
        bytes: &Arc<[u8]>,
    ) -> Result<(), Violation> {
        let last = self.last.as_ref().and_then(Weak::upgrade);
        if last.is_some_and(|last| Arc::ptr_eq(&last, bytes)) {
            return Ok(());
        }
        self.last = Some(Arc::downgrade(bytes));
        let Ok(PeerMessage::Consensus {
            kind,
            epoch,
            message,
        }) = PeerMessage::from_bytes(bytes)
        else {
            return Ok(());
        };
        if correct {
            self.speech.signed(host, kind, epoch, &message)?;
        }
        if !excused {
            self.speech.said(host, kind, epoch, &message)?;
        }
        self.certificates.said(&message)
    }

    /// The power of a machine failed; `disk` is what it will find.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn power_lost(&self, host: usize, disk: &SharedMemoryStore) -> Result<(), Violation> {
        self.speech.remembers(host, disk)
    }

    /// A machine got an empty disk, whose directory says that a node has started there before, or not.
    pub fn disk_lost(&mut self, host: usize, marked: bool) {
        self.speech.forget(host, marked);
    }

    /// A node started again at this height.
    pub fn restarted(&mut self, node: usize, height: Height) {
        self.commits.restarted(node, height);
    }

    /// The highest block that any correct node committed.
    #[must_use]
    pub fn head(&self) -> Height {
        self.commits.head()
    }

    /// The block acknowledged at a height.
    #[must_use]
    pub fn block(&self, height: Height) -> Option<frith_ledger::block::BlockId> {
        self.commits.block(height)
    }

    /// Tasks that came in and whose end was not announced.
    pub fn open_tasks(&self) -> impl Iterator<Item = &frith_ledger::address::Address> {
        self.tasks.open()
    }

    /// Tasks that ended.
    #[must_use]
    pub fn ended_tasks(&self) -> usize {
        self.tasks.ended()
    }
}
