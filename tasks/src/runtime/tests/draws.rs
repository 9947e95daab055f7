//! Who is drawn.

use super::world::{COLLATERAL, World, spec};
use crate::runtime::{BlockContext, ExecuteError, Offers};
use frith_ledger::credits::Credits;
use frith_ledger::entity::{PlaceState, TaskState};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::operation::Action;
use frith_ledger::parameters::Parameters;
use frith_ledger::units::Epoch;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn anyone_can_check_a_draw_against_the_root_that_brought_its_beacon() {
    let mut world = World::new(&[1, 1, 1, 1, 2, 2, 2, 2]);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.close();
    let opening = world.state.tree().clone();
    world.close();
    let record = world.roots.last().expect("two roots").clone();
    assert_eq!(
        record.epoch,
        Epoch::new(1),
        "recorded in root 0, drawn with root 1 and the beacon(2) in it"
    );
    assert_eq!(record.state, opening.summary());
    let places = world.task(&task).places.clone();
    let attempts = world.task(&task).draws;
    let drawn: BTreeSet<_> = (0..attempts)
        .filter_map(|i| opening.draw(&Hash::of(Domain::Draw, &(record.beacon, task, i))))
        .collect();
    for place in &places {
        assert!(drawn.contains(&place.seat));
    }
    let seats: BTreeSet<_> = places.iter().map(|place| place.seat).collect();
    assert_eq!(seats.len(), 3, "nobody has two places");
}

#[test]
fn what_happens_between_the_closing_block_and_the_beacon_does_not_change_a_draw() {
    let mut world = World::new(&[3; 12]);
    let tasks: Vec<_> = (0..4)
        .map(|_| world.submit(1, spec(2, Epoch::new(8))))
        .collect();
    world.close();
    world.end_epoch();
    let opening = world.state.tree().clone();
    // The worker with the smallest address: every other draw would move if its stake were gone.
    let leaver = (0..12)
        .map(|worker| world.seat(worker))
        .min()
        .expect("twelve");
    assert_eq!(world.act(0, Action::Leave { seat: leaver }), Ok(()));
    assert!(
        tasks
            .iter()
            .all(|task| world.task(task).state == TaskState::Submitted),
        "the root isn't accepted yet"
    );
    world.accept();
    for task in tasks {
        let mut expected = Vec::new();
        for i in 0u32.. {
            let seat = opening
                .draw(&Hash::of(Domain::Draw, &(world.state.beacon(), task, i)))
                .expect("stake");
            if seat != leaver && !expected.contains(&seat) {
                expected.push(seat);
            }
            if expected.len() == 2 {
                break;
            }
        }
        let drawn: Vec<_> = world
            .task(&task)
            .places
            .iter()
            .map(|place| place.seat)
            .collect();
        assert_eq!(drawn, expected);
    }
}

#[test]
fn a_root_is_accepted_once_in_its_turn_and_only_of_this_leafs_state() {
    let mut world = World::new(&[1]);
    let refused = |world: &World, record: &frith_ledger::block::RootRecord| {
        let block = BlockContext {
            epoch: world.epoch,
            height: world.height,
            proposer: world.seat(0),
            roots: std::slice::from_ref(record),
        };
        matches!(
            world.state.execute(&world.rules, &block, &[]),
            Err(ExecuteError::Root { .. })
        )
    };
    world.end_epoch();
    let record = world.roots[0].clone();
    assert!(!refused(&world, &record));
    let mut other = record.clone();
    other.state.entities += 1;
    assert!(refused(&world, &other), "of another state");
    other = record.clone();
    other.epoch = Epoch::new(1);
    assert!(refused(&world, &other), "of another epoch");
    world.accept();
    assert!(refused(&world, &record), "accepted already");
}

#[test]
fn no_engine_gets_more_than_half_while_others_are_there() {
    for (engines, replicas, expected) in [
        (vec![1, 1, 1, 1, 1, 1, 2], 3, vec![2, 1]),
        (vec![1, 1, 1, 2, 2, 2], 4, vec![2, 2]),
        (vec![1, 1, 1], 3, vec![3]),
        (vec![3, 3, 3, 3], 4, vec![2, 2]),
        (vec![31; 6], 5, vec![1, 1, 1, 1, 1]),
        (vec![28; 5], 3, vec![1, 1, 1]),
    ] {
        let mut world = World::new(&engines);
        for _ in 0..4 {
            let deadline = world.epoch.plus(8);
            let task = world.submit(1, spec(replicas, deadline));
            world.epochs(2);
            let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
            for place in &world.task(&task).places {
                *counts.entry(place.engine).or_default() += 1;
            }
            let mut counts: Vec<usize> = counts.into_values().collect();
            counts.sort_by(|a, b| b.cmp(a));
            assert_eq!(counts, expected, "{engines:?}");
        }
    }
}

#[test]
fn full_slots_and_missing_collateral_keep_a_worker_from_being_drawn() {
    let mut world = World::new(&[1, 2]);
    let tasks: Vec<_> = (0..6)
        .map(|_| world.submit(1, spec(2, Epoch::new(9))))
        .collect();
    world.close();
    world.close();
    let assigned = |world: &World| {
        tasks
            .iter()
            .filter(|task| matches!(world.task(task).state, TaskState::Assigned { .. }))
            .count()
    };
    assert_eq!(assigned(&world), 4, "both workers have 4 slots");
    world.epochs(1);
    world.epochs(1);
    assert!(
        tasks
            .iter()
            .all(|task| matches!(world.task(task).state, TaskState::Settled { .. }))
    );

    let poor = Parameters {
        bond_min: Credits::whole(20),
        ..Parameters::test()
    };
    let mut world = World::with(&[1, 2], poor);
    let tasks: Vec<_> = (0..3)
        .map(|_| world.submit(1, spec(2, Epoch::new(9))))
        .collect();
    world.close();
    world.close();
    let assigned = tasks
        .iter()
        .filter(|task| matches!(world.task(task).state, TaskState::Assigned { .. }))
        .count();
    assert_eq!(assigned, 2, "a collateral of 50 bears two bonds of 20");
}

#[test]
fn of_many_workers_fifteen_arbitrate_and_none_of_them_is_a_party() {
    // Of 18 workers the 15 that are no party; of 24 a draw among 21.
    for workers in [18, 24] {
        let engines: Vec<u8> = (0..workers).map(|index| 1 + index % 2).collect();
        let mut world = World::new(&engines);
        let task = world.submit(1, spec(3, Epoch::new(9)));
        world.close();
        world.close();
        let liar = world.task(&task).places[0].seat;
        let liar = (0..engines.len())
            .find(|worker| world.seat(*worker) == liar)
            .expect("one of them");
        world.workers[liar].1 = super::world::Manner::Wrong;
        world.work();
        world.close();
        world.close();
        let TaskState::Arbitrating { arbitrators, .. } = world.task(&task).state else {
            panic!("no arbitration")
        };
        assert_eq!(arbitrators.len(), 15);
        let parties: BTreeSet<_> = world
            .task(&task)
            .places
            .iter()
            .map(|place| place.seat)
            .collect();
        assert!(
            arbitrators
                .iter()
                .all(|arbitrator| !parties.contains(&arbitrator.seat))
        );
        world.work();
        assert!(matches!(world.task(&task).state, TaskState::Settled { .. }));
    }
}

/// How many run a disputed task on each engine: its places and its arbitrators.
fn spread_of_dispute(engines: &[u8]) -> (usize, Vec<usize>) {
    let mut world = World::new(engines);
    let task = world.submit(1, spec(3, Epoch::new(9)));
    world.close();
    world.close();
    let liar = world.task(&task).places[0].seat;
    let liar = (0..engines.len())
        .find(|worker| world.seat(*worker) == liar)
        .expect("one of them");
    world.workers[liar].1 = super::world::Manner::Wrong;
    world.work();
    world.close();
    world.close();
    let found = world.task(&task);
    let TaskState::Arbitrating { arbitrators, .. } = &found.state else {
        panic!("no arbitration")
    };
    let offered = |seat| {
        let worker = (0..engines.len()).find(|worker| world.seat(*worker) == seat);
        engines[worker.expect("a worker")]
    };
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    for arbitrator in arbitrators {
        assert_eq!(offered(arbitrator.seat) >> arbitrator.engine & 1, 1);
        *counts.entry(arbitrator.engine).or_default() += 1;
    }
    for place in &found.places {
        *counts.entry(place.engine).or_default() += 1;
    }
    (arbitrators.len(), counts.into_values().collect())
}

#[test]
fn arbitrators_are_drawn_for_different_engines() {
    // Whoever can run both makes up for what the places and the others run.
    assert_eq!(spread_of_dispute(&[3; 24]), (15, vec![9, 9]));
    assert_eq!(spread_of_dispute(&[3; 5]), (5, vec![4, 4]));
    assert_eq!(spread_of_dispute(&[1, 1, 1, 3, 3, 3]), (6, vec![5, 4]));
    assert_eq!(spread_of_dispute(&[31; 30]), (15, vec![4, 4, 4, 3, 3]));
    // Where most have one engine, it gets no more than half all the same.
    let mut mostly_compiled = vec![1; 24];
    mostly_compiled.extend([2; 10]);
    assert_eq!(spread_of_dispute(&mostly_compiled), (15, vec![9, 9]));
    // With one engine there is no choice.
    assert_eq!(spread_of_dispute(&[1; 20]), (15, vec![18]));
}

#[test]
fn due_work_beyond_the_quota_waits_for_the_next_block() {
    let parameters = Parameters {
        commit_epochs: 6,
        ..Parameters::test()
    };
    let mut world = World::with(&[1, 2], parameters);
    for _ in 0..300 {
        // Nobody runs it for this price, so that every root has 300 draws to try.
        let mut cheap = spec(1, Epoch::new(50));
        cheap.price = Credits::ZERO;
        world.submit(1, cheap);
    }
    world.close();
    world.close();
    assert!(
        world.state.has_due(world.epoch),
        "256 are done, 44 are left"
    );
    world.block(&[]);
    assert!(!world.state.has_due(world.epoch));
    let waiting = |world: &World| {
        world
            .state
            .index
            .draws
            .iter()
            .filter(|(root, _)| *root == Epoch::new(2))
            .count()
    };
    assert_eq!(waiting(&world), 300);
}

#[test]
fn a_place_left_empty_goes_to_somebody_new() {
    let mut world = World::new(&[1, 2, 1, 2]);
    for worker in &mut world.workers {
        worker.1 = super::world::Manner::Silent;
    }
    let task = world.submit(1, spec(2, Epoch::new(30)));
    world.epochs(2);
    let first: BTreeSet<_> = world
        .task(&task)
        .places
        .iter()
        .map(|place| place.seat)
        .collect();
    world.epochs(4);
    let places = world.task(&task).places.clone();
    assert_eq!(places.len(), 4);
    assert!(
        places
            .iter()
            .skip(2)
            .all(|place| !first.contains(&place.seat) && place.state == PlaceState::Drawn)
    );
}

#[test]
fn a_quote_counts_who_takes_the_price_and_who_has_room_for_the_bond() {
    let mut world = World::new(&[3; 3]);
    let (asked, bond) = (Credits::new(10), Credits::whole(1));
    let least = Credits::new(9);
    let offers = |world: &World, price, bond, replicas| world.state.offers(price, bond, replicas);
    let all = Offers {
        workers: 3,
        at_price: 3,
        free: 3,
        price_of_all: Some(asked),
    };
    assert_eq!(offers(&world, asked, bond, 3), all);
    let none = Offers {
        at_price: 0,
        free: 0,
        ..all
    };
    assert_eq!(offers(&world, least, bond, 3), none);
    assert_eq!(offers(&world, asked, bond, 4).price_of_all, None);
    let too_much = COLLATERAL.add(Credits::new(1)).expect("fits");
    assert_eq!(
        offers(&world, asked, too_much, 3),
        Offers { free: 0, ..all }
    );
    let leaver = world.seat(0);
    assert_eq!(world.act(0, Action::Leave { seat: leaver }), Ok(()));
    let rest = Offers {
        workers: 2,
        at_price: 2,
        free: 2,
        price_of_all: None,
    };
    assert_eq!(offers(&world, asked, bond, 3), rest);
}
