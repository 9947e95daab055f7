//! What goes into a log and what comes out.

use crate::node::Priority;
use frith_ledger::block::BatchDigest;
use frith_ledger::certificate::Committee;
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, SecretKey};
use frith_ledger::store::StoreError;
use frith_ledger::units::{Height, Millis, View};
use std::sync::Arc;

/// What a member loses with the power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: its record and its batches are on disk before it votes.
    Disk,
    /// What the operating system had not written yet. A killed process loses nothing. After every start the
    /// member asks the others before it votes again, so one member may lose its power at a time.
    Process,
}

/// What a member of a log is started with.
pub struct LogConfig {
    /// What everything signed for this log binds: another for every log.
    pub group: Hash,
    /// Who orders the commands.
    pub committee: Arc<Committee>,
    /// This member's key.
    pub key: SecretKey,
    /// The first start: an empty store has never voted. Otherwise an empty store means that the record was
    /// lost, and the member asks others before it votes.
    pub founding: bool,
    /// Random for every start of the process.
    pub entropy: [u8; 32],
    /// What is synced.
    pub durability: Durability,
    /// Local bounds.
    pub limits: LogLimits,
}

/// Every bound that is a choice. Nothing here is agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes of commands that wait for a batch; more are refused.
    pub queue_bytes_max: usize,
    /// Bytes of commands in a batch, as far as a single one allows.
    pub batch_bytes: usize,
    /// Commands in a batch.
    pub batch_commands: usize,
    /// How long a command waits for company while an own batch is under way, in ms.
    pub batch_delay: Millis,
    /// How long the news that a batch is kept wait for more of them, while a quorum is known to keep more than the
    /// next blocks take, in ms.
    pub held_delay: Millis,
    /// Own batches under way at one time.
    pub own_batches_max: usize,
    /// Batches of one other member kept at one time before they are committed, and as many of others' that it passed on.
    /// What a block needs is kept beside them.
    pub author_batches_max: usize,
    /// Batches in a block that this member proposes.
    pub block_batches: usize,
    /// First view timeout.
    pub view_timeout: Millis,
    /// Where its back-off ends.
    pub view_timeout_max: Millis,
    /// First pause before something is asked for again; doubles up to `retry_max`.
    pub retry_min: Millis,
    /// Longest pause before something is asked for again.
    pub retry_max: Millis,
    /// Bytes that are served to one peer in a second, twice as many at once.
    pub served_bytes_per_s: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            queue_bytes_max: 16 * 1024 * 1024,
            batch_bytes: 256 * 1024,
            batch_commands: 4096,
            batch_delay: Millis::new(20),
            held_delay: Millis::new(20),
            own_batches_max: 16,
            author_batches_max: 64,
            block_batches: 64,
            view_timeout: Millis::new(1_000),
            view_timeout_max: Millis::new(30_000),
            retry_min: Millis::new(200),
            retry_max: Millis::new(5_000),
            served_bytes_per_s: 32 * 1024 * 1024,
        }
    }
}

/// Who submitted commands: what its token is unique for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The host of this member.
    Host,
    /// A connected peer.
    Peer(PublicKey),
}

/// What happens to a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A connection to this key stands.
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
    /// Commands to order, all or none of them.
    Submit {
        /// Comes back when they are refused, and when all of them are final.
        token: u64,
        /// The commands, each of 1 byte to 64 KiB.
        commands: Vec<Vec<u8>>,
    },
    /// Time passed: at the latest when [`super::Log::next_deadline`] says.
    Tick,
    /// A write or sync failed: nothing that was not synced may be assumed durable.
    StorageFailed {
        /// The environment's words.
        reason: String,
    },
}

impl Input {
    /// Whether it is of consensus, or sets its clock: others wait for what comes of it. What is urgent may be given to the log
    /// before what isn't and came earlier; among its like it keeps its place.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        match self {
            // The index of `Consensus`, as a test checks.
            Self::Message { bytes, .. } => bytes.first() == Some(&0),
            Self::Submit { .. } => false,
            Self::Connected { .. }
            | Self::Disconnected { .. }
            | Self::Tick
            | Self::StorageFailed { .. } => true,
        }
    }
}

/// What the host does, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Make all writes durable ([`super::Log::sync_store`]) before any later output.
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
    /// Commands of the host were not taken.
    Refused {
        /// As given.
        token: u64,
        /// Why.
        error: LogError,
    },
    /// Commands of the host are final, all of each token.
    Finalised {
        /// As given, in the order in which they became final.
        tokens: Vec<u64>,
    },
    /// A block is committed. [`super::Log::batch`] has its commands.
    Committed {
        /// Its height.
        height: Height,
        /// The commands before it in the log.
        first: u64,
        /// Its batches, in order.
        batches: Vec<BatchDigest>,
    },
    /// A peer did what no correct one does.
    Misbehaviour {
        /// Who.
        peer: PublicKey,
        /// What.
        reason: String,
    },
    /// The member takes no further part.
    Halted {
        /// Why, and what to do.
        reason: String,
    },
}

/// Why commands are not taken. The log is unchanged.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    thiserror::Error,
    parity_scale_codec::Encode,
    parity_scale_codec::Decode,
)]
pub enum LogError {
    /// No commands, or an empty one.
    #[error("a command has at least one byte, and a submission at least one command")]
    Empty,
    /// A command is too long.
    #[error("command {index} has {bytes} bytes, at most {max} are allowed")]
    TooLong {
        /// Its position in the submission.
        index: u32,
        /// Its bytes.
        bytes: u32,
        /// Bytes allowed.
        max: u32,
    },
    /// Too much waits already.
    #[error("too many commands wait; try again in {retry_ms} ms")]
    Overloaded {
        /// When to come back, in ms.
        retry_ms: u64,
    },
    /// The member halted.
    #[error("this member has halted: {reason}")]
    Halted {
        /// Why.
        reason: String,
    },
}

/// Why a log can't be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenLogError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store belongs to another log.
    #[error("the store belongs to log {found}, not to {expected}; use another directory")]
    Group {
        /// This log.
        expected: Hash,
        /// The store's.
        found: Hash,
    },
    /// Only members keep the log.
    #[error("this key is no member of the log")]
    NoMember,
    /// What is stored doesn't fit together.
    #[error(
        "the stored log is damaged: {what}; start with an empty directory, and it is copied from the others"
    )]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
}

/// How a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStatus {
    /// The last committed block.
    pub height: Height,
    /// Commands committed.
    pub commands: u64,
    /// The running hash over them.
    pub state: Hash,
    /// The view that consensus is in.
    pub view: View,
    /// Batches kept that aren't committed.
    pub waiting: usize,
    /// Bytes of commands that wait for a batch.
    pub queue_bytes: usize,
    /// Whether the member signs: it is one, and knows what it signed before.
    pub signs: bool,
}
