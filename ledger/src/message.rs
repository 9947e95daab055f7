//! Messages between entities, and the records of what became of them.
//!
//! Within a leaf a message is delivered in the block that made it. Between leaves it goes through
//! the outbox of an epoch record and is delivered exactly once or refunded; the types here are the
//! ones that cross.

use crate::address::Address;
use crate::credits::Credits;
use crate::entity::{TaskOutcome, TaskSpec, Terms, Worker, WorkerKeys};
use crate::hash::{Domain, Hash};
use crate::key::PublicKey;
use crate::units::Epoch;
use parity_scale_codec::{Decode, Encode};

/// The id of a message.
pub type MessageId = Hash;

/// From one entity to another, with value.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Message {
    /// The sender.
    pub from: Address,
    /// The receiver.
    pub to: Address,
    /// Credits that travel with it.
    pub value: Credits,
    /// What it says.
    pub body: MessageBody,
    /// Epoch of the sending block.
    pub epoch: Epoch,
    /// Number in its epoch's outbox or, when delivered at once, in its block.
    pub index: u32,
    /// Last epoch of the destination in which it may be delivered.
    pub expires: Epoch,
}

impl Message {
    /// The message's id.
    #[must_use]
    pub fn id(&self) -> MessageId {
        Hash::of(Domain::Message, self)
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum MessageBody {
    /// Only value: a transfer, pay, a refund. Creates an account where nothing is.
    Value,
    /// Account → seat: the worker that lives there from now on. The value is its stake and collateral.
    Seat(Box<Worker>),
    /// Account → seat: more stake (after A epochs) and collateral.
    AddStake {
        /// How much of the value becomes stake.
        stake: Credits,
        /// First epoch in which it counts.
        since: Epoch,
    },
    /// Account → seat: send collateral back.
    Unstake {
        /// How much.
        collateral: Credits,
    },
    /// Account → seat: new terms.
    SetTerms {
        /// What it offers then.
        terms: Terms,
        /// First epoch in which they count.
        since: Epoch,
    },
    /// Account → seat: leave.
    Leave,
    /// Seat → account: the worker is gone; the value is what was left.
    Left {
        /// The worker's key.
        key: PublicKey,
    },
    /// Account → task: run this; the value is the escrow.
    Submit(Box<TaskSpec>),
    /// Account → task: don't run it, if it isn't drawn yet.
    Cancel,
    /// Seat → task: a commitment; the value is the bond.
    Commit {
        /// The worker's key that commits.
        key: PublicKey,
        /// The salted commitment.
        commitment: Hash,
    },
    /// Task → seat: open your commitment.
    RevealsOpen {
        /// Last epoch for it.
        until: Epoch,
    },
    /// Seat → task: the opened commitment.
    Reveal {
        /// What the worker found.
        outcome: TaskOutcome,
    },
    /// Seat → task: the time for the reveal is over.
    Unrevealed,
    /// Seat → task: an arbitrator's finding.
    Verdict {
        /// The worker's key that says so.
        key: PublicKey,
        /// What it found.
        outcome: TaskOutcome,
    },
    /// Task → seat: settled; the value is the bond that returns.
    Closed {
        /// Whether the worker was paid; `None`: neither paid nor at fault.
        paid: Option<bool>,
    },
    /// Task → seat: never committed; send this much of the collateral, to be burned.
    NoShow {
        /// How much.
        penalty: Credits,
    },
    /// Account → seat: other keys.
    RotateWorker {
        /// The new keys.
        keys: WorkerKeys,
        /// First epoch in which they are in force.
        since: Epoch,
    },
    /// Seat → account: one of its workers has another key now.
    Rotated {
        /// The key before.
        old: PublicKey,
        /// The key in force.
        new: PublicKey,
    },
}

/// What became of a message from another leaf: written once, at its destination.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Outcome {
    /// Which message.
    pub message: MessageId,
    /// What became of it.
    pub kind: OutcomeKind,
    /// The destination's epoch in which it was written.
    pub epoch: Epoch,
}

/// Delivered or expired; never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum OutcomeKind {
    /// Delivered in time.
    Delivered,
    /// Not delivered until it expired: the sender gets its value back.
    Expired,
}
