//! What a worker has to do in time.

use frith_ledger::address::Address;
use frith_ledger::entity::{Entity, PlaceState, Worker};
use frith_ledger::key::PublicKey;
use frith_ledger::units::Epoch;
use frith_tasks::LeafState;
use frith_tasks::runtime::Role;
use frith_tasks::worker::jobs_of_key;

/// A task of this worker with a deadline ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The task.
    pub task: String,
    /// The last epoch in which it can be done.
    pub until: Epoch,
    /// Whether the result is committed already, and must be revealed.
    pub committed: bool,
}

/// What must be committed and revealed with this key, and until when.
pub(super) fn due(state: &LeafState, seat: &Address, worker: &Worker, key: &PublicKey) -> Vec<Due> {
    let until = |task: &Address, role: Role| match role {
        Role::Drawn { .. } => {
            let Some(Entity::Task(task)) = state.entity(task) else {
                return None;
            };
            let mut places = task.places.iter().filter(|place| place.seat == *seat);
            let drawn = places.find(|place| place.state == PlaceState::Drawn);
            drawn.map(|place| (place.commit_until, false))
        }
        Role::Committed => {
            let mut open = worker.open.iter().filter(|open| open.task == *task);
            let until = open.find_map(|open| open.reveal_until);
            until.map(|until| (until, true))
        }
        Role::Arbitrator => None,
    };
    let jobs = jobs_of_key(state, seat, key).into_iter();
    let due = jobs.filter_map(|(task, role)| {
        let (until, committed) = until(&task, role)?;
        Some(Due {
            task: task.to_string(),
            until,
            committed,
        })
    });
    due.collect()
}
