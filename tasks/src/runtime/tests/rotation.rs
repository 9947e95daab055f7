//! Another key for a worker: when it counts, what stays the old key's, and for how long that answers.

use super::steps::{commit, reveal, settled, worker_operation};
use super::workers::{evidence, registration, vote};
use super::world::{COLLATERAL, Manner, STAKE, World, right, spec, worker_key};
use crate::event::TaskEvent;
use crate::refusal::Refusal;
use crate::worker::salt;
use frith_ledger::address::Address;
use frith_ledger::entity::{Entity, FailReason, PlaceState, RetiredKey, TaskState, WorkerStatus};
use frith_ledger::genesis::committee_of;
use frith_ledger::key::SecretKey;
use frith_ledger::operation::{
    Action, Offence, Operation, WorkerAction, consent_hash, result_commitment,
};
use frith_ledger::units::Epoch;
use frith_ledger::vrf::{VrfPublic, VrfSecret};
use parity_scale_codec::Encode as _;

/// The VRF key that comes with a new worker key.
fn new_vrf() -> VrfPublic {
    VrfSecret::from_seed(&[77; 32]).public()
}

/// User 0's order to put a key in force at a seat.
pub(super) fn rotation(world: &World, seat: Address, key: &SecretKey) -> Action {
    let (account, nonce) = (world.address(0), world.nonce(0));
    Action::RotateWorker {
        seat,
        key: key.public(),
        consent: key.sign(&consent_hash(&world.rules.hash, &account, nonce)),
        vrf: new_vrf(),
    }
}

/// Orders another key for a worker; the new key's place among the world's workers.
fn rotate(world: &mut World, worker: usize, key: u8) -> usize {
    let key = worker_key(key);
    let action = rotation(world, world.seat(worker), &key);
    assert_eq!(world.act(0, action), Ok(()));
    world.workers.push((key, Manner::Honest));
    world.workers.len() - 1
}

/// Closes epochs until the running one has this number.
fn go_to(world: &mut World, epoch: u64) {
    while world.epoch.get() < epoch {
        world.close();
    }
}

/// A world in this epoch whose worker 2 was ordered another key, number 3, in epoch 0: in force from epoch 3 on.
fn rotated(epoch: u64) -> World {
    let mut world = World::new(&[1, 2, 1]);
    assert_eq!(rotate(&mut world, 2, 50), 3);
    go_to(&mut world, epoch);
    world
}

#[test]
fn a_new_worker_key_counts_after_the_lag_and_the_seat_stays() {
    let mut world = World::new(&[1, 2, 1]);
    let (seat, old) = (world.seat(2), world.workers[2].0.public());
    rotate(&mut world, 2, 50);
    let new = world.workers[3].0.public();
    let member_at_the_seat = |world: &World| {
        let committee = committee_of(world.state.tree(), world.rules.parameters());
        let members: Vec<_> = committee.members().iter().collect();
        assert_eq!(members.len(), 3, "a worker with two keys is one member");
        let at_the_seat = members.into_iter().find(|member| member.seat == seat);
        at_the_seat.map(|member| (member.key, member.vrf))
    };
    let before = world.worker(2);
    for epoch in 0..3 {
        assert_eq!(world.epoch, Epoch::new(epoch));
        assert_eq!(member_at_the_seat(&world), Some((old, before.vrf)));
        world.close();
    }
    let after = world.worker(3);
    assert_eq!(member_at_the_seat(&world), Some((new, new_vrf())));
    assert_eq!(world.state.place_of(&new), Some(seat));
    assert_eq!((after.stake, after.collateral), (STAKE, COLLATERAL));
    assert!(after.pending.is_empty());
    // Periods have four epochs. The committee of epoch 4 comes from the state at the end of epoch 2, and sits
    // for the root in epochs 4 to 7.
    let retired = RetiredKey {
        key: old,
        last: Epoch::new(7),
        until: Epoch::new(15),
    };
    assert_eq!(after.retired.to_vec(), vec![retired]);
    let listed = world.account(&world.address(0)).workers;
    let listed: Vec<_> = listed.iter().map(|worker| worker.key).collect();
    assert!(listed.contains(&new) && !listed.contains(&old));
    let claim = world.state.claim(world.epoch);
    assert_eq!(claim.workers.0 + claim.workers.1, 3, "and one worker");
    let since = Epoch::new(3);
    let events = [
        TaskEvent::Rotating {
            seat,
            key: new,
            since,
        },
        TaskEvent::Rotated { seat, old, new },
    ];
    let told = |event: &&TaskEvent| {
        matches!(
            event,
            TaskEvent::Rotating { .. } | TaskEvent::Rotated { .. }
        )
    };
    let told: Vec<&TaskEvent> = world.events.iter().filter(told).collect();
    assert_eq!(told, events.iter().collect::<Vec<_>>());
}

#[test]
fn what_a_key_was_drawn_for_and_committed_to_stays_that_keys() {
    let mut world = World::new(&[1, 2]);
    let new = rotate(&mut world, 1, 50);
    let seat = world.seat(1);
    let first = world.submit(1, spec(2, Epoch::new(8)));
    world.close();
    let second = world.submit(1, spec(2, Epoch::new(8)));
    world.close();
    let outcome = right(&first);
    commit(&mut world, 0, first, &outcome);
    world.close();
    assert_eq!(world.epoch, Epoch::new(3), "the new key is in force");
    let place = |world: &World, task: &Address| {
        let task = world.task(task);
        let place = task.places.iter().find(|place| place.seat == seat);
        place.expect("both workers are drawn").clone()
    };
    assert_eq!(place(&world, &first).key, world.workers[1].0.public());
    assert_eq!(place(&world, &second).key, world.workers[new].0.public());

    // A place that was drawn: the other key is refused, at the door and in the block.
    let refused = Err(Refusal::OtherKey { task: first, seat });
    let bond = world.rules.parameters().bond_min;
    let key = world.workers[new].0.clone();
    let commitment = result_commitment(&first, &key.public(), &outcome, &salt(&key, &first));
    let action = WorkerAction::Commit { commitment, bond };
    let stranger = worker_operation(&world, new, first, action);
    let bytes = stranger.encoded_size();
    let admitted = world
        .state
        .admit(&world.rules, world.epoch, &stranger, bytes);
    assert_eq!(admitted, refused);
    assert_eq!(world.one(stranger), refused);
    commit(&mut world, 1, first, &outcome);
    assert!(matches!(
        world.task(&first).state,
        TaskState::Revealing { .. }
    ));

    // A commitment.
    assert_eq!(reveal(&mut world, new, first, &outcome), refused);
    assert_eq!(reveal(&mut world, 1, first, &outcome), Ok(()));
    assert_eq!(reveal(&mut world, 0, first, &outcome), Ok(()));
    assert_eq!(settled(&world, &first), outcome);
    assert_eq!(world.worker(new).tasks_paid, 1, "it is one worker's record");

    // The new key's own place, which the old one can't serve.
    let refused = Err(Refusal::OtherKey { task: second, seat });
    let key = world.workers[1].0.clone();
    let outcome = right(&second);
    let commitment = result_commitment(&second, &key.public(), &outcome, &salt(&key, &second));
    let action = WorkerAction::Commit { commitment, bond };
    let stranger = worker_operation(&world, 1, second, action);
    assert_eq!(world.one(stranger), refused);
    world.work();
    assert_eq!(settled(&world, &second), outcome);
    assert_eq!(world.worker(new).tasks_paid, 2);
    assert_eq!(world.worker(new).tasks_lost, 0);
}

#[test]
fn an_arbitration_stays_with_the_key_that_was_drawn() {
    let mut world = World::new(&[1, 2, 1]).manner(1, Manner::Wrong);
    let task = world.submit(1, spec(3, Epoch::new(8)));
    world.epochs(2);
    assert!(matches!(
        world.task(&task).state,
        TaskState::Disputed { .. }
    ));
    let new = rotate(&mut world, 2, 50);
    let seat = world.seat(2);
    world.close();
    world.close();
    assert!(matches!(
        world.task(&task).state,
        TaskState::Arbitrating { .. }
    ));
    go_to(&mut world, 5);
    assert_eq!(world.worker(new).key, world.workers[new].0.public());
    let verdict = |worker: usize, world: &World| {
        let outcome = right(&task);
        worker_operation(world, worker, task, WorkerAction::Verdict { outcome })
    };
    let refused = Err(Refusal::OtherKey { task, seat });
    let stranger = verdict(new, &world);
    let bytes = stranger.encoded_size();
    let admitted = world
        .state
        .admit(&world.rules, world.epoch, &stranger, bytes);
    assert_eq!(admitted, refused);
    assert_eq!(world.one(stranger), refused);
    let own = verdict(2, &world);
    assert_eq!(world.one(own), Ok(()));
}

/// Two votes in one view of an instance of `instance`, signed by a worker's key, shown in the running epoch.
fn show(world: &mut World, worker: usize, instance: u64) -> Result<(), Refusal> {
    let votes = [1, 2].map(|block| vote(world, worker, Epoch::new(instance), 3, block));
    let [first, second] = votes;
    let operation = evidence(
        world,
        worker,
        world.address(1),
        Offence::Votes(first, second),
    );
    let bytes = operation.encoded_size();
    let admitted = world
        .state
        .admit(&world.rules, world.epoch, &operation, bytes);
    let executed = world.one(operation);
    // Admission doesn't know the age of evidence; it is never stricter.
    assert!(admitted.is_ok() || admitted == executed);
    executed
}

#[test]
fn a_retired_key_answers_for_its_epochs_until_the_unbonding_time_is_over() {
    let age = |epoch, oldest, newest| {
        let [epoch, oldest, newest] = [epoch, oldest, newest].map(Epoch::new);
        Err(Refusal::EvidenceAge {
            epoch,
            oldest,
            newest,
        })
    };
    let seat = World::new(&[1, 2, 1]).seat(2);
    let (old, new) = (2, 3);
    // Now, the key, the epoch it signed twice in. The old key's last epoch is 7, unbonding takes 4.
    let check = |now, worker, instance, expected: Result<(), Refusal>| {
        let mut world = rotated(now);
        let found = show(&mut world, worker, instance);
        assert_eq!(
            found, expected,
            "key {worker} in {instance}, shown in {now}"
        );
        let Some(Entity::Worker(worker)) = world.state.entity(&seat) else {
            panic!("the worker stays for the unbonding time")
        };
        let slashed = matches!(worker.status, WorkerStatus::Slashed { .. });
        assert_eq!(slashed, expected.is_ok());
        assert_eq!(worker.stake.is_zero(), expected.is_ok());
    };
    check(2, old, 2, Ok(()));
    check(5, old, 2, Ok(()));
    check(5, old, 5, Ok(()));
    check(7, old, 7, Ok(()));
    check(11, old, 7, Ok(()));
    check(12, old, 7, age(7, 8, 7));
    // What it signs when it is no member any more says nothing.
    check(8, old, 8, age(8, 4, 7));
    check(7, old, 8, age(8, 3, 7));
    check(15, old, 7, age(7, 11, 7));
    check(16, old, 7, Err(Refusal::NoWorker { seat }));
    check(2, new, 2, Err(Refusal::NoWorker { seat }));
    check(4, new, 4, Ok(()));
}

#[test]
fn a_key_that_a_worker_has_will_have_or_had_cannot_be_taken() {
    let mut world = World::new(&[1, 2, 1]);
    let (here, there) = (world.seat(2), world.seat(1));
    let in_use = |key: u8, at| {
        let key = worker_key(key).public();
        Err(Refusal::KeyInUse { key, at })
    };
    let take = |world: &mut World, key: u8| {
        let action = rotation(world, there, &worker_key(key));
        let operation = world.sign(0, action);
        let bytes = operation.encoded_size();
        let admitted = world
            .state
            .admit(&world.rules, world.epoch, &operation, bytes);
        let executed = world.one(operation);
        assert_eq!(admitted, executed);
        executed
    };
    let action = registration(&world, 1, &worker_key(60));
    assert_eq!(world.act(1, action), Ok(()));
    let waits = world.state.place_of(&worker_key(60).public());
    assert_eq!(take(&mut world, 60), in_use(60, waits.expect("it waits")));
    assert_eq!(take(&mut world, 1), in_use(1, there), "its own");
    assert_eq!(take(&mut world, 2), in_use(2, here), "another's");
    rotate(&mut world, 2, 50);
    assert_eq!(take(&mut world, 50), in_use(50, here), "another's next");
    let action = registration(&world, 1, &worker_key(50));
    assert_eq!(world.act(1, action), in_use(50, here));
    go_to(&mut world, 3);
    assert_eq!(take(&mut world, 2), in_use(2, here), "another's before");
    let action = registration(&world, 1, &worker_key(2));
    assert_eq!(world.act(1, action), in_use(2, here));
    go_to(&mut world, 15);
    assert_eq!(take(&mut world, 2), in_use(2, here));
    go_to(&mut world, 16);
    assert!(world.worker(3).retired.is_empty());
    assert_eq!(take(&mut world, 2), Ok(()), "nothing is left to answer for");
}

#[test]
fn one_rotation_waits_at_a_time_and_so_many_replaced_keys_are_kept() {
    let mut world = World::new(&[1, 2]);
    let seat = world.seat(1);
    let order = |world: &mut World, key: u8| {
        let action = rotation(world, seat, &worker_key(key));
        world.act(0, action)
    };
    for (number, epoch) in [0, 3, 6, 9].into_iter().enumerate() {
        go_to(&mut world, epoch);
        let key = 50 + u8::try_from(number).expect("few");
        assert_eq!(order(&mut world, key), Ok(()));
        let since = Epoch::new(epoch + 3);
        let pending = Err(Refusal::RotationPending { seat, since });
        assert_eq!(order(&mut world, 90), pending);
    }
    go_to(&mut world, 12);
    let (max, until) = (4, Epoch::new(15));
    let full = Err(Refusal::RetiredKeys { seat, max, until });
    assert_eq!(order(&mut world, 90), full);
    go_to(&mut world, 16);
    assert_eq!(order(&mut world, 90), Ok(()));
}

#[test]
fn only_the_owner_of_an_active_worker_gives_it_a_key_that_consents() {
    let mut world = World::new(&[1, 2]);
    let (seat, key) = (world.seat(1), worker_key(50));
    let action = rotation(&world, seat, &key);
    let Operation::Signed(stolen) = world.sign(2, action.clone()) else {
        panic!("signed")
    };
    let stolen = Operation::Signed(stolen);
    assert!(
        stolen.verify(&world.rules.hash).is_err(),
        "consent is for one account and nonce"
    );
    let account = world.address(1);
    let consent = key.sign(&consent_hash(&world.rules.hash, &account, world.nonce(1)));
    let mut others = action;
    if let Action::RotateWorker { consent: given, .. } = &mut others {
        *given = consent;
    }
    let address = seat;
    let not_yours = Err(Refusal::NotYours { address, account });
    assert_eq!(world.act(1, others), not_yours);
    let nowhere = Address([9; 32]);
    let action = rotation(&world, nowhere, &key);
    assert_eq!(
        world.act(0, action),
        Err(Refusal::NoWorker { seat: nowhere })
    );
    let mut action = rotation(&world, seat, &key);
    if let Action::RotateWorker { vrf, .. } = &mut action {
        *vrf = VrfPublic([0xff; 32]);
    }
    assert_eq!(world.act(0, action), Err(Refusal::VrfKey));

    // Who leaves needs no new key, and its next one is free again.
    rotate(&mut world, 1, 50);
    assert_eq!(world.act(0, Action::Leave { seat }), Ok(()));
    assert_eq!(world.state.place_of(&key.public()), None);
    let until = Epoch::new(4);
    let action = rotation(&world, seat, &key);
    let gone = Err(Refusal::NotActive { seat, until });
    assert_eq!(world.act(0, action), gone);
    world.epochs(5);
    assert_eq!(world.state.entity(&seat), None);
    let workers = world.account(&world.address(0)).workers;
    assert_eq!(workers.len(), 1, "the account's list follows the keys");
}

#[test]
fn a_worker_whose_key_was_replaced_leaves_with_everything() {
    let mut world = rotated(3);
    let seat = world.seat(3);
    assert_eq!(world.act(0, Action::Leave { seat }), Ok(()));
    let before = world.account(&world.address(0)).balance;
    go_to(&mut world, 7);
    assert_eq!(world.state.entity(&seat), None);
    let account = world.account(&world.address(0));
    let back = STAKE.add(COLLATERAL).expect("small");
    assert_eq!(account.balance, before.add(back).expect("small"));
    assert_eq!(account.workers.len(), 2);
    for key in [2, 50] {
        assert_eq!(world.state.place_of(&worker_key(key).public()), None);
    }
}

#[test]
fn a_retired_key_is_kept_while_what_it_committed_to_is_open() {
    let mut world = World::new(&[1, 2]).manner(0, Manner::Silent);
    let task = world.submit(1, spec(2, Epoch::new(30)));
    let new = rotate(&mut world, 1, 50);
    world.close();
    world.close();
    commit(&mut world, 1, task, &right(&task));
    go_to(&mut world, 29);
    let worker = world.worker(new);
    assert_eq!(worker.open.len(), 1, "the other place is drawn in vain");
    assert_eq!(worker.retired.len(), 1, "kept until epoch 15 else");
    go_to(&mut world, 30);
    assert_eq!(
        world.task(&task).state,
        TaskState::Failed {
            reason: FailReason::NoWorkers,
            epoch: Epoch::new(30)
        }
    );
    go_to(&mut world, 31);
    let worker = world.worker(new);
    assert!(worker.open.is_empty() && worker.retired.is_empty());
    assert_eq!(worker.collateral, COLLATERAL);
    let task = world.task(&task);
    let mut places = task.places.iter();
    let bonds = places.all(|place| place.bond.is_zero() && place.state != PlaceState::Unrevealed);
    assert!(bonds, "its bond came back to the seat");
}
