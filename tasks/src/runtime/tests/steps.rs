//! What workers of the tests do by hand, and how a task ended.

use super::world::World;
use crate::refusal::Refusal;
use crate::worker::salt;
use frith_ledger::address::Address;
use frith_ledger::entity::{FailReason, TaskOutcome, TaskState};
use frith_ledger::operation::{
    Operation, WorkerAction, WorkerBody, WorkerOperation, result_commitment,
};
use frith_ledger::parameters::Parameters;

/// Engines of five workers: three run the first, two the second.
pub(super) const MIXED: [u8; 5] = [1, 1, 1, 2, 2];

pub(super) fn settled(world: &World, task: &Address) -> TaskOutcome {
    match world.task(task).state {
        TaskState::Settled { outcome, .. } => outcome,
        other => panic!("not settled but {other:?}"),
    }
}

pub(super) fn failed(world: &World, task: &Address) -> FailReason {
    match world.task(task).state {
        TaskState::Failed { reason, .. } => reason,
        other => panic!("not failed but {other:?}"),
    }
}

pub(super) fn worker_operation(
    world: &World,
    worker: usize,
    task: Address,
    action: WorkerAction,
) -> Operation {
    let body = WorkerBody {
        genesis: world.rules.hash,
        seat: world.seat(worker),
        task,
        action,
    };
    Operation::Worker(WorkerOperation::sign(body, &world.workers[worker].0))
}

/// The world's workers that hold places of the task, in order of the places.
pub(super) fn drawn(world: &World, task: &Address) -> Vec<usize> {
    let seat_of =
        |seat: &Address| (0..world.workers.len()).find(|worker| world.seat(*worker) == *seat);
    world
        .task(task)
        .places
        .iter()
        .filter_map(|place| seat_of(&place.seat))
        .collect()
}

pub(super) fn commit(world: &mut World, worker: usize, task: Address, outcome: &TaskOutcome) {
    let key = world.workers[worker].0.clone();
    let commitment = result_commitment(&task, &key.public(), outcome, &salt(&key, &task));
    let bond = Parameters::test().bond_min;
    let operation = worker_operation(
        world,
        worker,
        task,
        WorkerAction::Commit { commitment, bond },
    );
    assert_eq!(world.one(operation), Ok(()));
}

pub(super) fn reveal(
    world: &mut World,
    worker: usize,
    task: Address,
    outcome: &TaskOutcome,
) -> Result<(), Refusal> {
    let salt = salt(&world.workers[worker].0, &task);
    let outcome = outcome.clone();
    let operation = worker_operation(world, worker, task, WorkerAction::Reveal { outcome, salt });
    world.one(operation)
}
