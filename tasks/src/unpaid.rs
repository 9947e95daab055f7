//! Why a place in a task brought no pay.

use frith_ledger::entity::{OutcomeId, Place, PlaceState, Task, TaskState};

/// Why a place brought no pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unpaid {
    /// The task ended while the place was drawn.
    #[error("the task ended before it committed")]
    Ended,
    /// Others found another result, and theirs was found right.
    #[error("its result is not the one that was found right")]
    Wrong,
    /// The task failed.
    #[error("the task ended without a result")]
    NoResult,
    /// It never committed.
    #[error("it did not commit in time, so the place was drawn again")]
    NoShow,
    /// It never revealed.
    #[error("it committed and did not reveal in time")]
    Unrevealed,
}

/// What of a task decides whether its places are paid. Made once for all of them.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    over: bool,
    failed: bool,
    settled: Option<OutcomeId>,
}

impl Verdict {
    /// Of a task as it is now. Hashes the outcome of a settled one.
    #[must_use]
    pub fn of(task: &Task) -> Self {
        let settled = match &task.state {
            TaskState::Settled { outcome, .. } => Some(outcome.id()),
            _ => None,
        };
        Self {
            over: is_over(task),
            failed: matches!(task.state, TaskState::Failed { .. }),
            settled,
        }
    }

    /// Whether the task has ended.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Why a place of the task brought no pay; `None` when it did, or still may.
    #[must_use]
    pub fn unpaid(&self, place: &Place) -> Option<Unpaid> {
        match &place.state {
            PlaceState::Drawn => self.over.then_some(Unpaid::Ended),
            PlaceState::Committed => None,
            PlaceState::Revealed(outcome) => match self.settled {
                Some(settled) => (settled != *outcome).then_some(Unpaid::Wrong),
                None => self.failed.then_some(Unpaid::NoResult),
            },
            PlaceState::NoShow => Some(Unpaid::NoShow),
            PlaceState::Unrevealed => Some(Unpaid::Unrevealed),
        }
    }
}

/// Whether a task has ended.
#[must_use]
pub const fn is_over(task: &Task) -> bool {
    matches!(
        task.state,
        TaskState::Settled { .. } | TaskState::Failed { .. } | TaskState::Cancelled { .. }
    )
}
