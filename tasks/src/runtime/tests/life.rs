//! The life of a task, from submission to each of its ends, as its workers take it there.

use super::steps::{MIXED, commit, drawn, failed, reveal, settled, worker_operation};
use super::world::{COLLATERAL, FUNDS, Manner, World, right, spec, wrong};
use crate::event::{Loss, TaskEvent};
use crate::quote::{pay, quote};
use crate::refusal::Refusal;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{FailReason, PlaceState, TaskState};
use frith_ledger::operation::WorkerAction;
use frith_ledger::parameters::Parameters;
use frith_ledger::units::Epoch;

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
