//! Why an operation is refused: what is wrong, where, and what to do.

use frith_ledger::address::Address;
use frith_ledger::credits::{Credits, CreditsError};
use frith_ledger::hash::Hash;
use frith_ledger::key::PublicKey;
use frith_ledger::units::{Epoch, Fuel, Nonce};
use parity_scale_codec::{Decode, Encode};

/// Where a task is in its life, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[expect(missing_docs, reason = "named after the states of a task")]
pub enum Phase {
    Submitted,
    Assigned,
    Revealing,
    Disputed,
    Arbitrating,
    Settled,
    Failed,
    Cancelled,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Submitted => "waiting for its draw",
            Self::Assigned => "drawn and being run",
            Self::Revealing => "being revealed",
            Self::Disputed => "disputed",
            Self::Arbitrating => "under arbitration",
            Self::Settled => "settled",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        })
    }
}

/// What is wrong with a task's description.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
pub enum SpecFault {
    /// Replicas out of range.
    #[error("{found} replicas; ask for 1 to {max}")]
    Replicas { found: u8, max: u8 },
    /// Fuel out of range.
    #[error("a fuel limit of {found}; ask for 1 to {max}")]
    Fuel { found: Fuel, max: Fuel },
    /// Memory out of range.
    #[error("{found} pages of memory; ask for 1 to {max} pages of 64 KiB")]
    Memory { found: u32, max: u32 },
    /// Program size out of range.
    #[error("a program of {found} bytes; it may have 1 to {max}")]
    Program { found: u32, max: u32 },
    /// Input too large.
    #[error("an input of {found} bytes; at most {max} are allowed")]
    Input { found: u32, max: u32 },
    /// Result too large.
    #[error("a result limit of {found} bytes; at most {max} are allowed")]
    Result { found: u32, max: u32 },
    /// The deadline is too near or too far.
    #[error("the deadline is epoch {found}; it must lie between epochs {first} and {last}")]
    Deadline {
        found: Epoch,
        first: Epoch,
        last: Epoch,
    },
    /// An argument is no text.
    #[error("argument {index} is not UTF-8 text without zero bytes")]
    Argument { index: u32 },
    /// An environment entry isn't NAME=value.
    #[error("environment entry {index} is not UTF-8 text of the form NAME=value")]
    Environment { index: u32 },
    /// The description is too long.
    #[error(
        "the description has {found} bytes, at most {max} are allowed; put large input into content"
    )]
    Bytes { found: u32, max: u32 },
}

/// Why an operation was refused. Nothing changed, but for the fee and the nonce when a signed
/// operation was in order and only its action couldn't be done.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
pub enum Refusal {
    /// Signed for another network.
    #[error(
        "signed for network {found}, this is {expected}; sign it again with this network's genesis"
    )]
    WrongNetwork { expected: Hash, found: Hash },
    /// No such account.
    #[error("there is no account {account} yet; it begins when credits are sent to it")]
    NoAccount { account: Address },
    /// Another key than the account's.
    #[error("the key is not the one in force for {account}; sign with the account's present key")]
    WrongKey { account: Address },
    /// Another nonce than the next.
    #[error(
        "nonce {found}, but the account's next is {expected}: another operation came first; fetch the nonce and sign again"
    )]
    Nonce { expected: Nonce, found: Nonce },
    /// A nonce too far ahead to wait for.
    #[error(
        "nonce {found} is more than {ahead_max} ahead of the account's next, {expected}; send the operations between first"
    )]
    NonceAhead {
        expected: Nonce,
        found: Nonce,
        ahead_max: u64,
    },
    /// Past its expiry.
    #[error("it expired after epoch {expires}, now is {epoch}; sign it again with a later expiry")]
    Expired { expires: Epoch, epoch: Epoch },
    /// Expiry too late.
    #[error(
        "its expiry, epoch {expires}, lies past the latest allowed, {latest}; sign it again with an earlier one"
    )]
    ExpiryFar { expires: Epoch, latest: Epoch },
    /// Fee below the least.
    #[error("a fee of {fee} for {bytes} bytes; at least {needed} is needed")]
    Fee {
        fee: Credits,
        needed: Credits,
        bytes: u32,
    },
    /// More than the balance.
    #[error("the account holds {held}, {needed} is needed; send credits to it first")]
    Underfunded { held: Credits, needed: Credits },
    /// Amounts that no account can hold.
    #[error("the amounts are too large to add up; use smaller ones")]
    Amounts,
    /// A transfer of nothing.
    #[error("nothing to move: the amount is zero")]
    Nothing,
    /// The address isn't an account's.
    #[error("{address} is not an account; send credits to accounts only")]
    NotAnAccount { address: Address },
    /// Something stands there.
    #[error("something stands at {address} already")]
    Occupied { address: Address },
    /// The worker key is taken.
    #[error(
        "worker key {key} is taken: a worker at {at} has it, will have it, or had it not long ago; use another key"
    )]
    KeyInUse { key: PublicKey, at: Address },
    /// A list is full.
    #[error("{address} holds all the {max} entries it may; wait until some are done")]
    Full { address: Address, max: u32 },
    /// Stake below the least.
    #[error("a stake of {stake}; at least {least} is needed")]
    StakeTooSmall { stake: Credits, least: Credits },
    /// Terms out of range.
    #[error(
        "terms name engines {engines:#010b} and {slots} slots; at least one engine and 1 to {slots_max} slots are needed"
    )]
    Terms {
        engines: u8,
        slots: u8,
        slots_max: u8,
    },
    /// A VRF key that proves nothing.
    #[error("the VRF key is not a valid point; derive it from the worker's seed")]
    VrfKey,
    /// No worker at this seat.
    #[error("no worker has the seat {seat}; look up the seat, it may have left")]
    NoWorker { seat: Address },
    /// Somebody else's.
    #[error("{address} does not belong to {account}")]
    NotYours { address: Address, account: Address },
    /// The worker left or was slashed.
    #[error("the worker at {seat} is no longer active; its stake returns in epoch {until}")]
    NotActive { seat: Address, until: Epoch },
    /// Collateral that is promised.
    #[error(
        "only {free} of the collateral is free, {asked} was asked; wait until open tasks are settled"
    )]
    CollateralBound { free: Credits, asked: Credits },
    /// The description of a task can't be accepted.
    #[error("the task asks for {0}")]
    Spec(SpecFault),
    /// No such task.
    #[error("there is no task {task}; the operation that submits it may not be executed yet")]
    NoTask { task: Address },
    /// Too late, or too early, for this task.
    #[error("task {task} is {phase}; this can no longer be done, or not yet")]
    TaskPhase { task: Address, phase: Phase },
    /// The worker wasn't drawn.
    #[error("the worker at {seat} has no open place in task {task}")]
    NotDrawn { task: Address, seat: Address },
    /// Another bond than the task asks for.
    #[error("a bond of {found}; task {task} asks for exactly {needed}")]
    Bond {
        task: Address,
        found: Credits,
        needed: Credits,
    },
    /// A commitment stands already.
    #[error("the worker has committed to task {task} already; a commitment cannot be changed")]
    AlreadyCommitted { task: Address },
    /// Nothing to open.
    #[error("the worker has no open commitment to task {task}")]
    NotCommitted { task: Address },
    /// Others have not committed yet.
    #[error("reveals of task {task} are not open yet; wait until all have committed")]
    RevealsClosed { task: Address },
    /// The window is over.
    #[error("the time for this in task {task} ended with epoch {until}, now is {epoch}")]
    TooLate {
        task: Address,
        until: Epoch,
        epoch: Epoch,
    },
    /// Another result than was committed to.
    #[error("result and salt are not what the worker committed to in task {task}")]
    Commitment { task: Address },
    /// No run can end so.
    #[error(
        "no run of task {task} can have this outcome: more fuel or output than it allows, or output not in its one form"
    )]
    Impossible { task: Address },
    /// The arbitrator has spoken.
    #[error("the worker at {seat} has given its verdict on task {task} already")]
    AlreadyDecided { task: Address, seat: Address },
    /// The statements don't exclude each other, or aren't the worker's.
    #[error(
        "the evidence shows nothing: the statements exclude each other only if both are the worker's, of one view, for different blocks"
    )]
    Evidence,
    /// The offence is past.
    #[error("the evidence is of epoch {epoch}; only epochs {oldest} to {newest} count")]
    EvidenceAge {
        epoch: Epoch,
        oldest: Epoch,
        newest: Epoch,
    },
    /// The stake is gone already.
    #[error("the worker at {seat} was slashed already")]
    AlreadySlashed { seat: Address },
    /// A key that replaced another, or was replaced, and isn't the one that was drawn.
    #[error(
        "the place of the worker at {seat} in task {task} belongs to another key of that worker; only the node with that key can serve it"
    )]
    OtherKey { task: Address, seat: Address },
    /// One rotation waits already.
    #[error(
        "the worker at {seat} gets another key in epoch {since} already; rotate again from then on"
    )]
    RotationPending { seat: Address, since: Epoch },
    /// Too many keys that were replaced.
    #[error(
        "the worker at {seat} has {max} replaced keys that still answer for what they signed; the first is forgotten after epoch {until}"
    )]
    RetiredKeys {
        seat: Address,
        max: u32,
        until: Epoch,
    },
}

impl From<CreditsError> for Refusal {
    fn from(_: CreditsError) -> Self {
        Self::Amounts
    }
}
