//! What goes into the core and what comes out.

use crate::limits::Limits;
use crate::root::ClocksDiffer;
use crate::wire::PeerMessage;
use frith_ledger::address::Address;
use frith_ledger::block::{Block, BlockHeader, BlockId, RootRecord};
use frith_ledger::certificate::CommitProof;
use frith_ledger::codec::DecodeError;
use frith_ledger::entity::ContentId;
use frith_ledger::key::{PublicKey, SecretKey};
use frith_ledger::operation::OperationId;
use frith_ledger::units::{Epoch, Height, Millis, Nonce, UnixMillis, View};
use frith_tasks::{Receipt, Refusal, Rules, TaskEvent};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a node is started with.
pub struct NodeConfig {
    /// What all nodes of the network agree on.
    pub rules: Arc<Rules>,
    /// The worker key: votes, batches, and the identity on the network.
    pub key: SecretKey,
    /// The secret of the verifiable random function.
    pub vrf_seed: [u8; 32],
    /// Gets the reporter's share when evidence found here is accepted.
    pub reporter: Address,
    /// The first start of a member of the genesis, as far as the host knows: with an empty store the node votes as
    /// soon as the others know of nothing that was decided. Otherwise an empty store means that the record was
    /// lost. Matters with an empty store only.
    pub founding: bool,
    /// Random for every start of the process.
    pub entropy: [u8; 32],
    /// Local bounds.
    pub limits: Limits,
}

/// What the host's two clocks show at one moment. The core reads no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The clock that never goes back: deadlines are set by it.
    pub now: Millis,
    /// The world's time, as far as the host knows it; it may jump. Only the times of records depend on it.
    pub wall: UnixMillis,
}

impl Moment {
    /// What the two clocks show.
    #[must_use]
    pub const fn new(now: Millis, wall: UnixMillis) -> Self {
        Self { now, wall }
    }
}

/// What happens to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A connection to this worker key stands.
    Connected {
        /// Who.
        peer: PublicKey,
    },
    /// It is gone.
    Disconnected {
        /// Who.
        peer: PublicKey,
    },
    /// A frame from a connected peer.
    Message {
        /// Who sent it, as the transport proved.
        from: PublicKey,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// An encoded operation of a user, of this node's worker, or found evidence.
    Submit {
        /// Comes back with the answer.
        token: u64,
        /// The encoding.
        operation: Vec<u8>,
    },
    /// Content is in the store now, verified.
    ContentArrived {
        /// Which.
        id: ContentId,
        /// Its length in bytes.
        len: u32,
    },
    /// Time passed: at the latest when [`crate::Node::next_deadline`] says.
    Tick,
    /// A write or sync failed: nothing that was not synced may be assumed durable.
    StorageFailed {
        /// The environment's words.
        reason: String,
    },
}

impl Input {
    /// Whether it takes little time and others wait for what comes of it. What is urgent may be given to the node before
    /// what isn't and came earlier; among its like it keeps its place.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Message { bytes, .. } => PeerMessage::is_urgent(bytes),
            Self::Submit { .. } | Self::ContentArrived { .. } => false,
            Self::Connected { .. }
            | Self::Disconnected { .. }
            | Self::Tick
            | Self::StorageFailed { .. } => true,
        }
    }
}

/// How urgent a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Proposals, votes, timeouts.
    Consensus,
    /// Batches, acknowledgements, status.
    Control,
    /// Sync.
    Bulk,
}

/// What a node wants done, in order.
#[derive(Debug, Clone)]
pub enum Output {
    /// Make all writes durable ([`crate::Node::sync_store`]) before any later output.
    Sync,
    /// Send a frame. Lost when there is no connection.
    Send {
        /// To whom.
        to: PublicKey,
        /// How urgent.
        priority: Priority,
        /// The frame.
        bytes: Arc<[u8]>,
    },
    /// Keep connections to these.
    Members(BTreeSet<PublicKey>),
    /// Answers [`Input::Submit`].
    Submitted {
        /// As given.
        token: u64,
        /// Queued, or why not.
        result: Result<OperationId, SubmitError>,
    },
    /// A block is committed.
    Committed(Box<CommittedBlock>),
    /// The record of an epoch is committed.
    RootCommitted(Box<RootRecord>),
    /// Get this content, verify it, put it into the store, and say [`Input::ContentArrived`].
    NeedContent {
        /// Which.
        id: ContentId,
        /// Its length in bytes.
        len: u32,
        /// Who should have it.
        holders: Vec<PublicKey>,
    },
    /// A peer did what no correct one does.
    Misbehaviour {
        /// Who.
        peer: PublicKey,
        /// What.
        kind: Misbehaviour,
    },
    /// The node became ready, or is no longer.
    Ready(bool),
    /// Something that an operator wants to read.
    Event(NodeEvent),
    /// The node takes no further part: nothing is signed any more. It still answers queries.
    Halted {
        /// Why, and what to do.
        reason: String,
    },
}

/// What no correct peer does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misbehaviour {
    /// A frame doesn't decode.
    #[error("a frame does not decode: {0}")]
    Malformed(DecodeError),
    /// A batch that isn't one.
    #[error("a bad batch: {0}")]
    Batch(crate::pool::BatchFault),
    /// A signature or certificate that doesn't hold.
    #[error("a signature or certificate does not hold: {what}")]
    Certificate {
        /// On what.
        what: &'static str,
    },
    /// Consensus messages that break its rules.
    #[error("consensus: {0}")]
    Consensus(String),
    /// An answer that doesn't hold.
    #[error("a wrong answer: {what}")]
    Answer {
        /// To what.
        what: &'static str,
    },
    /// More requests than are served.
    #[error("too many requests")]
    Flood,
}

/// Something that an operator wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeEvent {
    /// The node entered an epoch.
    Epoch {
        /// Which.
        epoch: Epoch,
        /// Whether it is a member.
        member: bool,
    },
    /// The node asks others what it may have signed, and doesn't vote meanwhile.
    Recovering {
        /// Why.
        reason: String,
    },
    /// A member showed a signature of this key that the record doesn't know: the store is older than it says.
    RecordLost {
        /// The view that was signed.
        view: View,
    },
    /// It doesn't vote for a record, since the record's time is far from its own clock: one of the two clocks is wrong. Said
    /// once an epoch.
    ClocksDiffer(ClocksDiffer),
    /// It may vote again.
    Recovered,
    /// It copies the state.
    CopyingState {
        /// At the end of which epoch.
        epoch: Epoch,
        /// Entities so far.
        entities: u64,
        /// Of how many.
        of: u64,
    },
    /// The state is copied.
    StateCopied {
        /// At the end of which epoch.
        epoch: Epoch,
    },
    /// A member said two things that exclude each other; evidence was submitted.
    Offence {
        /// Who.
        member: PublicKey,
    },
}

/// A committed block and what came of it.
#[derive(Debug, Clone)]
pub struct CommittedBlock {
    /// Its id.
    pub id: BlockId,
    /// Its height.
    pub height: Height,
    /// Its epoch.
    pub epoch: Epoch,
    /// The block.
    pub block: Block,
    /// What came of its operations, in order.
    pub receipts: Vec<Receipt>,
    /// What happened to tasks and workers, in order.
    pub events: Vec<TaskEvent>,
    /// Commits this block; `None` when a later block's proof commits it too.
    pub proof: Option<Box<CommitProof>>,
}

/// Why an operation wasn't queued. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Not an operation.
    #[error("not an operation: {0}")]
    Malformed(#[from] DecodeError),
    /// The signature doesn't hold.
    #[error("the signature does not hold; sign it with the key that it names, for this network")]
    Signature,
    /// The state refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another operation of the account waits with its nonce.
    #[error(
        "nonce {nonce} of {account} is taken: operation {by} waits with it; wait for what becomes of that one, or sign with a later nonce"
    )]
    NonceTaken {
        /// Whose.
        account: Address,
        /// Which.
        nonce: Nonce,
        /// The operation that waits.
        by: OperationId,
    },
    /// The queue is full.
    #[error("too many operations wait; slow down and try again after {retry_ms} ms")]
    Overloaded {
        /// When to try again.
        retry_ms: u64,
    },
    /// Content that it names isn't here.
    #[error("content {id} ({len} bytes) is not here; upload it to this node first")]
    MissingContent {
        /// Which.
        id: ContentId,
        /// Its length.
        len: u32,
    },
    /// Content that it names has another length.
    #[error("content {id} has {held} bytes, not {len}")]
    ContentLength {
        /// Which.
        id: ContentId,
        /// The length that the operation names.
        len: u32,
        /// The content's.
        held: u32,
    },
    /// The node has stopped taking part.
    #[error("the node has stopped: {reason}")]
    Halted {
        /// Why.
        reason: String,
    },
}

/// Where an operation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationStatus {
    /// Waits for a block at this node.
    Pending,
    /// In a committed block.
    Executed(Box<ExecutedOperation>),
    /// In no committed block, and no block can have it any more.
    Never(NeverExecuted),
}

/// Why an operation was never executed, and never will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeverExecuted {
    /// Its nonce was used by another operation, or it expired.
    pub refusal: Refusal,
    /// Whether the newest proven state shows the same.
    pub is_final: bool,
}

/// An operation in a committed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutedOperation {
    /// The block's height.
    pub height: Height,
    /// The block's epoch.
    pub epoch: Epoch,
    /// Executed, or why not.
    pub result: Result<(), Refusal>,
    /// The block's header and those after it, up to the one that `proof` commits.
    pub headers: Vec<BlockHeader>,
    /// Commits the last header; `None` when the blocks are no longer here.
    pub proof: Option<Box<CommitProof>>,
    /// Whether the root record of the block's epoch is known.
    pub is_final: bool,
}

/// Why a node can't start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The store belongs to another network.
    #[error(
        "the data directory belongs to network {found}, not to {expected}; use another directory"
    )]
    Network {
        /// This network.
        expected: frith_ledger::hash::Hash,
        /// The store's.
        found: frith_ledger::hash::Hash,
    },
    /// The store can't be read, or is damaged.
    #[error(transparent)]
    Chain(#[from] crate::chain::ChainError),
    /// A stored block can't be executed.
    #[error(
        "block {height} can't be executed again: {reason}; take the store away and start again, it comes back from the others"
    )]
    Replay {
        /// Which.
        height: Height,
        /// Why.
        reason: String,
    },
}

impl From<frith_ledger::store::StoreError> for OpenError {
    fn from(error: frith_ledger::store::StoreError) -> Self {
        Self::Chain(error.into())
    }
}

/// The earlier of two moments that may not come.
#[must_use]
pub(crate) fn earlier(a: Option<Millis>, b: Option<Millis>) -> Option<Millis> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
