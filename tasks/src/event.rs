//! What execution reports beside the state: receipts of operations and events of tasks.

use crate::refusal::Refusal;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{FailReason, OutcomeId};
use frith_ledger::key::PublicKey;
use frith_ledger::operation::OperationId;
use frith_ledger::units::Epoch;
use parity_scale_codec::{Decode, Encode};

/// What came of one operation in one block.
///
/// An operation that a block repeats gets a refusal there; whoever keeps receipts by id must not let
/// it replace an earlier success.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// Which operation.
    pub operation: OperationId,
    /// Executed, or why not. A refused signed operation may still have paid its fee.
    pub result: Result<(), Refusal>,
}

/// Why a worker lost its bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Loss {
    /// Arbitrators found another result.
    WrongResult,
    /// It committed and never opened the commitment.
    NotRevealed,
}

/// Something that happened to a task or a worker, in order of execution.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[expect(missing_docs, reason = "fields repeat the names of the entities' own")]
pub enum TaskEvent {
    /// A task came in; its maximum cost is in escrow.
    Submitted {
        task: Address,
        account: Address,
        escrow: Credits,
    },
    /// A worker was drawn; `again`: for a place that another left empty.
    Drawn {
        task: Address,
        seat: Address,
        engine: u8,
        again: bool,
    },
    /// A worker committed to a result.
    Committed {
        task: Address,
        seat: Address,
        bond: Credits,
    },
    /// A drawn worker never committed; the penalty was burned when its seat could pay it.
    NoShow {
        task: Address,
        seat: Address,
        penalty: Credits,
    },
    /// Commitments may be opened until the end of this epoch.
    RevealsOpen { task: Address, until: Epoch },
    /// A worker opened its commitment.
    Revealed {
        task: Address,
        seat: Address,
        outcome: OutcomeId,
    },
    /// A worker didn't open its commitment in time.
    Unrevealed { task: Address, seat: Address },
    /// Reveals differ, or too few came: arbitrators will be drawn.
    Disputed { task: Address },
    /// Arbitrators were drawn.
    Arbitrating {
        task: Address,
        arbitrators: u32,
        until: Epoch,
    },
    /// An arbitrator said what it found.
    Verdict {
        task: Address,
        seat: Address,
        outcome: OutcomeId,
    },
    /// The task has its result.
    Settled { task: Address, outcome: OutcomeId },
    /// A worker was paid.
    Paid {
        task: Address,
        seat: Address,
        account: Address,
        amount: Credits,
    },
    /// A worker lost its bond.
    BondLost {
        task: Address,
        seat: Address,
        amount: Credits,
        loss: Loss,
    },
    /// An arbitrator got its share of lost bonds.
    Rewarded {
        task: Address,
        seat: Address,
        account: Address,
        amount: Credits,
    },
    /// Unused escrow went back.
    Refunded {
        task: Address,
        account: Address,
        amount: Credits,
    },
    /// The task ended without a result.
    Failed { task: Address, reason: FailReason },
    /// The task was taken back.
    Cancelled { task: Address },
    /// A registered worker took its seat.
    Seated { key: PublicKey, seat: Address },
    /// A worker leaves; its stake returns in this epoch.
    Leaving { seat: Address, until: Epoch },
    /// A worker is gone; what it had left is back at its account.
    Left {
        seat: Address,
        account: Address,
        amount: Credits,
    },
    /// A worker lost its stake to evidence.
    Slashed {
        seat: Address,
        burned: Credits,
        reporter: Address,
        reward: Credits,
    },
    /// A worker gets another key in this epoch.
    Rotating {
        seat: Address,
        key: PublicKey,
        since: Epoch,
    },
    /// A worker has another key now.
    Rotated {
        seat: Address,
        old: PublicKey,
        new: PublicKey,
    },
}
