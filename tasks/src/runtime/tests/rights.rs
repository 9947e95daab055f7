//! Who may do what with a task, until when, and what a description may ask for.

use super::steps::{MIXED, commit, drawn, failed, reveal, settled, worker_operation};
use super::world::{FUNDS, World, inline, right, spec, wrong};
use crate::refusal::{Phase, Refusal};
use crate::runtime::agenda::DUE_MAX;
use crate::worker::salt;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Bytes, FailReason, PlaceState, TaskOutcome, TaskState};
use frith_ledger::hash::Hash;
use frith_ledger::operation::{
    Action, Operation, SignedOperation, WorkerAction, WorkerBody, WorkerOperation,
    result_commitment,
};
use frith_ledger::parameters::{MODULE_BYTES_MAX, Parameters};
use frith_ledger::units::{Epoch, Fuel};

#[test]
fn a_reveal_must_open_the_commitment_in_its_window_and_be_possible() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(2, Epoch::new(8)));
    world.close();
    world.close();
    let places = drawn(&world, &task);
    let too_much = TaskOutcome {
        fuel: Fuel::new(10_000_001),
        ..right(&task)
    };
    commit(&mut world, places[0], task, &too_much);
    assert_eq!(
        reveal(&mut world, places[0], task, &too_much),
        Err(Refusal::RevealsClosed { task })
    );
    commit(&mut world, places[1], task, &right(&task));
    assert_eq!(
        reveal(&mut world, places[0], task, &too_much),
        Err(Refusal::Impossible { task })
    );
    assert_eq!(
        reveal(&mut world, places[1], task, &wrong(&task, 1)),
        Err(Refusal::Commitment { task })
    );
    assert_eq!(reveal(&mut world, places[1], task, &right(&task)), Ok(()));
    assert_eq!(
        reveal(&mut world, places[1], task, &right(&task)),
        Err(Refusal::NotCommitted { task })
    );
    let outsider = (0..5)
        .find(|worker| !places.contains(worker))
        .expect("five workers, two places");
    assert_eq!(
        reveal(&mut world, outsider, task, &right(&task)),
        Err(Refusal::NotCommitted { task })
    );
    for _ in 0..5 {
        world.close();
    }
    assert_eq!(world.task(&task).places[0].state, PlaceState::Unrevealed);
}

#[test]
fn commits_reveals_and_verdicts_count_until_the_end_of_their_last_epoch() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(2, Epoch::new(8)));
    world.close();
    world.close();
    let places = drawn(&world, &task);
    let commit_until = world.task(&task).places[0].commit_until;
    assert_eq!(commit_until, Epoch::new(4));
    let until = |world: &mut World, epoch: Epoch| {
        while world.epoch < epoch {
            world.close();
        }
    };
    until(&mut world, commit_until);
    let outcomes = [right(&task), wrong(&task, 1)];
    commit(&mut world, places[0], task, &outcomes[0]);
    commit(&mut world, places[1], task, &outcomes[1]);
    let TaskState::Revealing { reveal_until, .. } = world.task(&task).state else {
        panic!("not revealing")
    };
    assert_eq!(reveal_until, Epoch::new(8));
    until(&mut world, reveal_until);
    assert_eq!(reveal(&mut world, places[0], task, &outcomes[0]), Ok(()));
    assert_eq!(reveal(&mut world, places[1], task, &outcomes[1]), Ok(()));
    until(&mut world, Epoch::new(10));
    let TaskState::Arbitrating { until: last, .. } = world.task(&task).state else {
        panic!("no arbitration")
    };
    assert_eq!(last, Epoch::new(18));
    until(&mut world, last);
    world.work();
    assert_eq!(settled(&world, &task), right(&task));
}

#[test]
fn a_late_commit_is_refused_also_before_its_place_is_given_up() {
    let mut world = World::new(&MIXED);
    let tasks: Vec<Address> = (0..5)
        .map(|_| world.submit(1, spec(1, Epoch::new(8))))
        .collect();
    // More deadlines in one epoch than a block works off, so that some places still stand after it.
    let mut body = world.body(2, Action::CancelTask { task: tasks[0] });
    let mut cheap = spec(1, Epoch::new(4));
    cheap.price = Credits::new(9);
    body.action = Action::SubmitTask(Box::new(cheap));
    let many: Vec<Operation> = (0..2 * DUE_MAX)
        .map(|_| {
            let operation = SignedOperation::sign(body.clone(), &world.users[2]);
            body.nonce = body.nonce.next();
            Operation::Signed(operation)
        })
        .collect();
    assert!(world.block(&many).iter().all(Result::is_ok));
    while world.epoch < Epoch::new(4) {
        world.close();
    }
    let until = Epoch::new(4);
    let commits: Vec<(Address, Operation)> = tasks
        .iter()
        .map(|task| {
            assert_eq!(world.task(task).places[0].commit_until, until);
            let action = WorkerAction::Commit {
                commitment: Hash([1; 32]),
                bond: Parameters::test().bond_min,
            };
            let worker = drawn(&world, task)[0];
            (*task, worker_operation(&world, worker, *task, action))
        })
        .collect();
    world.end_epoch();
    let operations: Vec<Operation> = commits.iter().map(|(_, commit)| commit.clone()).collect();
    let results = world.accept_with(&operations);
    let epoch = world.epoch;
    let late = |(task, result): (&Address, &Result<(), Refusal>)| match result {
        Err(Refusal::TooLate { .. }) => {
            let task = *task;
            assert_eq!(*result, Err(Refusal::TooLate { task, until, epoch }));
            true
        }
        Err(Refusal::NotDrawn { .. }) => false,
        other => panic!("a commit after its window: {other:?}"),
    };
    let late = tasks
        .iter()
        .zip(&results)
        .filter(|pair| late(*pair))
        .count();
    assert!(late > 0, "no place was left for a later block: {results:?}");
}

#[test]
fn small_output_by_content_id_is_no_outcome() {
    let mut outcome = right(&Address([1; 32]));
    outcome.output = Bytes::Content {
        id: Hash([1; 32]),
        len: 4_096,
    };
    let mut spec = spec(1, Epoch::new(9));
    spec.result_max = 10_000;
    assert!(!crate::runtime::task::is_possible(&spec, &outcome));
    outcome.output = Bytes::Content {
        id: Hash([1; 32]),
        len: 4_097,
    };
    assert!(crate::runtime::task::is_possible(&spec, &outcome));
    outcome.output = inline(&[0; 4_096]);
    assert!(crate::runtime::task::is_possible(&spec, &outcome));
}

#[test]
fn a_commitment_cannot_be_copied_repeated_or_underbid() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.close();
    world.close();
    let places = drawn(&world, &task);
    let bond = Parameters::test().bond_min;
    let less = WorkerAction::Commit {
        commitment: Hash([1; 32]),
        bond: Credits::new(1),
    };
    let operation = worker_operation(&world, places[0], task, less);
    let found = Credits::new(1);
    assert_eq!(
        world.one(operation),
        Err(Refusal::Bond {
            task,
            found,
            needed: bond
        })
    );
    commit(&mut world, places[0], task, &right(&task));
    let again = WorkerAction::Commit {
        commitment: Hash([2; 32]),
        bond,
    };
    let operation = worker_operation(&world, places[0], task, again.clone());
    assert_eq!(
        world.one(operation),
        Err(Refusal::AlreadyCommitted { task })
    );
    let outsider = (0..5)
        .find(|worker| !places.contains(worker))
        .expect("five workers, three places");
    let operation = worker_operation(&world, outsider, task, again);
    let seat = world.seat(outsider);
    assert_eq!(world.one(operation), Err(Refusal::NotDrawn { task, seat }));
    // Who copies a commitment can't open it: it binds the worker.
    let key = world.workers[places[0]].0.clone();
    let copied = result_commitment(&task, &key.public(), &right(&task), &salt(&key, &task));
    let operation = worker_operation(
        &world,
        places[1],
        task,
        WorkerAction::Commit {
            commitment: copied,
            bond,
        },
    );
    assert_eq!(world.one(operation), Ok(()));
    commit(&mut world, places[2], task, &right(&task));
    let action = WorkerAction::Reveal {
        outcome: right(&task),
        salt: salt(&key, &task),
    };
    let operation = worker_operation(&world, places[1], task, action);
    assert_eq!(world.one(operation), Err(Refusal::Commitment { task }));
}

#[test]
fn only_the_key_at_the_seat_works_there() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.close();
    world.close();
    let places = drawn(&world, &task);
    let seat = world.seat(places[0]);
    let action = WorkerAction::Commit {
        commitment: Hash([1; 32]),
        bond: Parameters::test().bond_min,
    };
    let body = WorkerBody {
        genesis: world.rules.hash,
        seat,
        task,
        action,
    };
    let operation = Operation::Worker(WorkerOperation::sign(body, &world.workers[places[1]].0));
    let admitted = world
        .state
        .admit(&world.rules, world.epoch, &operation, 200);
    assert_eq!(admitted, Err(Refusal::NoWorker { seat }));
    assert_eq!(world.one(operation), Err(Refusal::NoWorker { seat }));
}

#[test]
fn a_task_can_be_cancelled_by_its_owner_until_it_is_drawn() {
    let mut world = World::new(&MIXED);
    let (task, other) = (
        world.submit(1, spec(3, Epoch::new(8))),
        world.submit(1, spec(3, Epoch::new(9))),
    );
    let account = world.address(2);
    assert_eq!(
        world.act(2, Action::CancelTask { task }),
        Err(Refusal::NotYours {
            address: task,
            account
        })
    );
    assert_eq!(world.act(1, Action::CancelTask { task }), Ok(()));
    assert!(matches!(
        world.task(&task).state,
        TaskState::Cancelled { .. }
    ));
    assert_eq!(world.held(&task), Credits::ZERO);
    let again = world.act(1, Action::CancelTask { task });
    assert_eq!(
        again,
        Err(Refusal::TaskPhase {
            task,
            phase: Phase::Cancelled
        })
    );
    world.close();
    world.close();
    let late = world.act(1, Action::CancelTask { task: other });
    assert_eq!(
        late,
        Err(Refusal::TaskPhase {
            task: other,
            phase: Phase::Assigned
        })
    );
    world.epochs(3);
    assert!(
        matches!(world.task(&task).state, TaskState::Cancelled { .. }),
        "a cancelled task is never drawn"
    );
}

#[test]
fn a_task_that_nobody_runs_for_its_price_fails_at_its_deadline() {
    let mut world = World::new(&MIXED);
    let mut cheap = spec(3, Epoch::new(4));
    cheap.price = Credits::new(9);
    let task = world.submit(1, cheap);
    world.epochs(4);
    assert_eq!(world.task(&task).state, TaskState::Submitted);
    world.epochs(1);
    assert_eq!(failed(&world, &task), FailReason::NoWorkers);
    assert_eq!(
        world.account(&world.address(1)).balance,
        FUNDS.sub(Credits::new(20_000)).expect("fee")
    );
}

#[test]
fn a_description_out_of_range_is_refused_and_says_what_is_in_range() {
    let mut world = World::new(&MIXED);
    let refused = |change: &dyn Fn(&mut frith_ledger::entity::TaskSpec), world: &mut World| {
        let mut spec = spec(3, Epoch::new(8));
        change(&mut spec);
        match world.act(1, Action::SubmitTask(Box::new(spec))) {
            Err(Refusal::Spec(fault)) => fault.to_string(),
            other => panic!("accepted: {other:?}"),
        }
    };
    let text = refused(&|spec| spec.replicas = 17, &mut world);
    assert_eq!(text, "17 replicas; ask for 1 to 16");
    refused(&|spec| spec.replicas = 0, &mut world);
    refused(&|spec| spec.fuel_max = Fuel::new(u64::MAX), &mut world);
    refused(&|spec| spec.memory_pages = 4_097, &mut world);
    refused(&|spec| spec.program_len = MODULE_BYTES_MAX + 1, &mut world);
    refused(
        &|spec| {
            spec.input = Bytes::Content {
                id: Hash([1; 32]),
                len: u32::MAX,
            }
        },
        &mut world,
    );
    refused(&|spec| spec.result_max = u32::MAX, &mut world);
    refused(&|spec| spec.deadline = Epoch::new(1), &mut world);
    refused(&|spec| spec.deadline = Epoch::new(u64::MAX), &mut world);
    let list = |entry: &[u8], count: usize| {
        let entry = frith_ledger::codec::BoundedVec::try_from(entry.to_vec()).expect("short");
        frith_ledger::codec::BoundedVec::try_from(vec![entry; count]).expect("few")
    };
    refused(&|spec| spec.arguments = list(&[0xff], 1), &mut world);
    refused(&|spec| spec.environment = list(b"=x", 1), &mut world);
    refused(&|spec| spec.arguments = list(&[b'a'; 1024], 32), &mut world);
    let dear = {
        let mut spec = spec(3, Epoch::new(8));
        spec.price = Credits::new(u128::MAX);
        spec
    };
    assert_eq!(
        world.act(1, Action::SubmitTask(Box::new(dear))),
        Err(Refusal::Amounts)
    );
}

#[test]
fn the_longest_program_of_a_task_is_the_longest_that_the_machine_takes() {
    let machine = frith_vm::Limits::default().module_bytes;
    assert_eq!(MODULE_BYTES_MAX, machine);
}
