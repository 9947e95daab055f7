//! The life of a task, from submission to each of its ends.

use super::world::{COLLATERAL, FUNDS, Manner, World, inline, right, spec, wrong};
use crate::event::{Loss, TaskEvent};
use crate::quote::{pay, quote};
use crate::refusal::{Phase, Refusal};
use crate::worker::salt;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Bytes, FailReason, PlaceState, TaskOutcome, TaskState};
use frith_ledger::hash::Hash;
use frith_ledger::operation::{
    Action, Operation, WorkerAction, WorkerBody, WorkerOperation, result_commitment,
};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::{Epoch, Fuel};

const MIXED: [u8; 5] = [1, 1, 1, 2, 2];

fn settled(world: &World, task: &Address) -> TaskOutcome {
    match world.task(task).state {
        TaskState::Settled { outcome, .. } => outcome,
        other => panic!("not settled but {other:?}"),
    }
}

fn failed(world: &World, task: &Address) -> FailReason {
    match world.task(task).state {
        TaskState::Failed { reason, .. } => reason,
        other => panic!("not failed but {other:?}"),
    }
}

fn worker_operation(
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
fn drawn(world: &World, task: &Address) -> Vec<usize> {
    let seat_of =
        |seat: &Address| (0..world.workers.len()).find(|worker| world.seat(*worker) == *seat);
    world
        .task(task)
        .places
        .iter()
        .filter_map(|place| seat_of(&place.seat))
        .collect()
}

#[test]
fn agreeing_workers_on_mixed_engines_are_paid_and_the_rest_comes_back() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    let quote = quote(world.rules.parameters(), &spec(3, Epoch::new(8))).expect("small");
    assert_eq!(world.held(&task), quote.escrow);
    world.epochs(1);
    assert_eq!(
        world.task(&task).state,
        TaskState::Submitted,
        "not drawn before the root after its own"
    );
    world.epochs(1);
    assert_eq!(settled(&world, &task), right(&task));
    let done = world.task(&task);
    let engines: std::collections::BTreeSet<u8> =
        done.places.iter().map(|place| place.engine).collect();
    assert_eq!(engines.len(), 2, "the quota asks for different engines");
    let wage = pay(world.rules.parameters(), &done.spec, right(&task).fuel).expect("small");
    assert_eq!(
        wage,
        Credits::new(10_000 + 30),
        "task fee and floor(1.500001 * 20)"
    );
    assert!(
        done.places
            .iter()
            .all(|place| place.paid == wage && place.bond.is_zero() && place.lost.is_zero())
    );
    assert_eq!(world.held(&task), Credits::ZERO);
    let spent = FUNDS
        .sub(world.account(&world.address(1)).balance)
        .expect("it paid");
    assert_eq!(
        spent,
        Credits::new(3 * wage.get() + 20_000),
        "three wages and the fee"
    );
    assert_eq!(world.state.flows().burned, Credits::ZERO);
    for worker in 0..5 {
        assert!(world.worker(worker).open.is_empty());
        assert!(
            worker == 0 || world.worker(worker).collateral == COLLATERAL,
            "bonds are back"
        );
    }
}

#[test]
fn submit_to_paid_takes_two_epochs() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.epochs(2);
    assert!(
        matches!(world.task(&task).state, TaskState::Settled { epoch, .. } if epoch == Epoch::new(2))
    );
}

#[test]
fn a_wrong_result_goes_to_arbitration_and_loses_its_bond() {
    let mut world = World::new(&MIXED);
    for worker in &mut world.workers {
        worker.1 = Manner::Honest;
    }
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.close();
    world.close();
    let liar = drawn(&world, &task)[0];
    world.workers[liar].1 = Manner::Wrong;
    world.work();
    assert!(matches!(
        world.task(&task).state,
        TaskState::Disputed { .. }
    ));
    world.epochs(2);
    assert_eq!(settled(&world, &task), right(&task));
    let bond = Parameters::test().bond_min;
    let done = world.task(&task);
    let lost: Vec<Credits> = done.places.iter().map(|place| place.lost).collect();
    assert_eq!(lost.iter().filter(|lost| **lost == bond).count(), 1);
    assert_eq!(
        done.places
            .iter()
            .filter(|place| !place.paid.is_zero())
            .count(),
        2
    );
    let reward = bond.get() * 50 / 1000 / 4;
    assert_eq!(
        world.state.flows().burned,
        Credits::new(bond.get() - 4 * reward),
        "four arbitrators share 5%"
    );
    assert_eq!(world.held(&task), Credits::ZERO);
    assert_eq!(world.worker(liar).tasks_lost, 1);
    assert!(world.events.iter().any(|event| matches!(
        event,
        TaskEvent::BondLost { seat, loss: Loss::WrongResult, .. } if *seat == world.seat(liar)
    )));
}

#[test]
fn a_worker_that_never_commits_pays_a_penalty_and_its_place_is_drawn_again() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(3, Epoch::new(12)));
    world.close();
    world.close();
    let sleeper = drawn(&world, &task)[1];
    world.workers[sleeper].1 = Manner::Silent;
    let before = world.worker(sleeper).collateral;
    world.epochs(5);
    assert_eq!(settled(&world, &task), right(&task));
    let done = world.task(&task);
    assert_eq!(done.places.len(), 4);
    assert_eq!(done.places[1].state, PlaceState::NoShow);
    let penalty = Parameters::test().task_fee;
    assert_eq!(before.sub(world.worker(sleeper).collateral), Ok(penalty));
    assert_eq!(world.state.flows().burned, penalty);
    assert_eq!(
        world.count(|event| matches!(event, TaskEvent::Drawn { again: true, .. })),
        1
    );
}

#[test]
fn when_no_replacement_is_found_a_majority_that_committed_still_settles() {
    let mut world = World::new(&[1, 2, 1]);
    let task = world.submit(1, spec(3, Epoch::new(6)));
    world.close();
    world.close();
    world.workers[2].1 = Manner::Silent;
    world.epochs(6);
    assert_eq!(settled(&world, &task), right(&task));
    assert_eq!(
        world
            .task(&task)
            .places
            .iter()
            .filter(|place| !place.paid.is_zero())
            .count(),
        2
    );
    assert_eq!(world.held(&task), Credits::ZERO);
}

#[test]
fn when_nearly_nobody_commits_the_task_fails_and_bonds_and_escrow_come_back() {
    let mut world = World::new(&[1, 2, 1])
        .manner(1, Manner::Silent)
        .manner(2, Manner::Silent);
    let task = world.submit(1, spec(3, Epoch::new(6)));
    world.epochs(8);
    assert_eq!(failed(&world, &task), FailReason::NoWorkers);
    assert_eq!(world.held(&task), Credits::ZERO);
    assert_eq!(
        world.account(&world.address(1)).balance,
        FUNDS.sub(Credits::new(20_000)).expect("fee")
    );
    assert_eq!(world.worker(0).open.len(), 0);
}

#[test]
fn a_withheld_reveal_costs_the_bond_and_the_majority_settles() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.close();
    world.close();
    let hider = drawn(&world, &task)[2];
    world.workers[hider].1 = Manner::Hides;
    world.epochs(4);
    assert!(
        matches!(world.task(&task).state, TaskState::Revealing { .. }),
        "the window of 4 epochs is open"
    );
    world.epochs(1);
    assert_eq!(settled(&world, &task), right(&task));
    assert_eq!(
        world.task(&task).places[2].lost,
        Parameters::test().bond_min
    );
    assert_eq!(
        world.state.flows().burned,
        Parameters::test().bond_min,
        "nobody reported: all of it is burned"
    );
    assert_eq!(world.worker(hider).tasks_lost, 1);
    assert_eq!(world.held(&task), Credits::ZERO);
}

#[test]
fn one_reveal_of_three_is_judged_by_arbitrators() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.close();
    world.close();
    let places = drawn(&world, &task);
    world.workers[places[0]].1 = Manner::Hides;
    world.workers[places[1]].1 = Manner::Hides;
    world.epochs(5);
    assert!(matches!(
        world.task(&task).state,
        TaskState::Disputed { .. }
    ));
    world.epochs(2);
    assert_eq!(settled(&world, &task), right(&task));
    assert_eq!(
        world.count(|event| matches!(event, TaskEvent::Paid { .. })),
        1
    );
    assert_eq!(
        world.count(|event| matches!(event, TaskEvent::BondLost { .. })),
        2
    );
}

#[test]
fn when_nobody_reveals_the_escrow_returns_and_the_bonds_burn() {
    let mut world = World::new(&[1, 2, 1]);
    for worker in &mut world.workers {
        worker.1 = Manner::Hides;
    }
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.epochs(8);
    assert_eq!(failed(&world, &task), FailReason::NoReveals);
    assert_eq!(
        world.account(&world.address(1)).balance,
        FUNDS.sub(Credits::new(20_000)).expect("fee")
    );
    assert_eq!(
        world.state.flows().burned,
        Credits::new(3 * Parameters::test().bond_min.get())
    );
}

#[test]
fn without_a_verdict_escrow_and_bonds_come_back() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.close();
    world.close();
    let liar = drawn(&world, &task)[0];
    world.work_with(liar, Manner::Wrong);
    for worker in &mut world.workers {
        worker.1 = Manner::NoVerdict;
    }
    world.epochs(2);
    let TaskState::Arbitrating { until, .. } = world.task(&task).state else {
        panic!("no arbitration")
    };
    while world.epoch <= until {
        assert!(matches!(
            world.task(&task).state,
            TaskState::Arbitrating { .. }
        ));
        world.close();
    }
    assert_eq!(failed(&world, &task), FailReason::NoVerdict);
    assert_eq!(
        world.account(&world.address(1)).balance,
        FUNDS.sub(Credits::new(20_000)).expect("fee")
    );
    assert_eq!(world.state.flows().burned, Credits::ZERO);
    assert_eq!(
        world.worker(liar).collateral,
        world
            .worker((liar + 1).max(1) % 5)
            .collateral
            .min(COLLATERAL)
    );
}

#[test]
fn arbitrators_who_cannot_agree_end_the_task_at_once() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.close();
    world.close();
    let places = drawn(&world, &task);
    world.workers[places[0]].1 = Manner::Wrong;
    world.work();
    // Two of five stand by another result: neither side has more than two thirds.
    world.workers[places[1]].1 = Manner::Wrong;
    world.epochs(2);
    assert_eq!(failed(&world, &task), FailReason::NoVerdict);
    assert_eq!(world.held(&task), Credits::ZERO);
}

#[test]
fn an_arbitrator_speaks_once() {
    let mut world = World::new(&MIXED);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.close();
    world.close();
    let liar = drawn(&world, &task)[0];
    world.work_with(liar, Manner::Wrong);
    world.close();
    world.close();
    let verdict = |world: &World, outcome| {
        worker_operation(world, 1, task, WorkerAction::Verdict { outcome })
    };
    let first = verdict(&world, right(&task));
    assert_eq!(world.one(first), Ok(()));
    let (second, seat) = (verdict(&world, wrong(&task, 1)), world.seat(1));
    let refused = Err(Refusal::AlreadyDecided { task, seat });
    assert_eq!(
        world.state.admit(&world.rules, world.epoch, &second, 200),
        refused
    );
    assert_eq!(world.one(second), refused);
}

#[test]
fn when_all_reveals_are_wrong_nobody_is_paid() {
    let mut world = World::new(&[1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
    let task = world.submit(1, spec(2, Epoch::new(8)));
    world.close();
    world.close();
    let places = drawn(&world, &task);
    for (salt, worker) in places.iter().enumerate() {
        let outcome = wrong(&task, u8::try_from(salt).expect("few"));
        commit(&mut world, *worker, task, &outcome);
    }
    for (salt, worker) in places.iter().enumerate() {
        let outcome = wrong(&task, u8::try_from(salt).expect("few"));
        assert_eq!(reveal(&mut world, *worker, task, &outcome), Ok(()));
    }
    world.epochs(2);
    assert_eq!(settled(&world, &task), right(&task));
    assert_eq!(
        world.count(|event| matches!(event, TaskEvent::Paid { .. })),
        0
    );
    assert_eq!(
        world.count(|event| matches!(event, TaskEvent::BondLost { .. })),
        2
    );
    assert_eq!(world.held(&task), Credits::ZERO);
}

impl World {
    fn work_with(&mut self, worker: usize, manner: Manner) {
        self.workers[worker].1 = manner;
        self.work();
    }
}

fn commit(world: &mut World, worker: usize, task: Address, outcome: &TaskOutcome) {
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

fn reveal(
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
    refused(&|spec| spec.program_len = 8 * 1024 * 1024 + 1, &mut world);
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
