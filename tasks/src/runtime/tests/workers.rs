//! Registration, stake, terms, leaving, slashing.

use super::world::{COLLATERAL, FUNDS, Manner, STAKE, World, spec, terms, worker_key};
use crate::event::TaskEvent;
use crate::refusal::Refusal;
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{BlockHeader, ChainKind, Instance};
use frith_ledger::certificate::Vote;
use frith_ledger::codec::BoundedVec;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, TaskState, WorkerStatus};
use frith_ledger::genesis::{registration_address, seat};
use frith_ledger::hash::Hash;
use frith_ledger::key::{Role, SecretKey, signing_hash};
use frith_ledger::operation::{Action, Evidence, Offence, Operation, ProofOperation, consent_hash};
use frith_ledger::units::{Epoch, Generation, Height, View};
use frith_ledger::vrf::{VrfPublic, VrfSecret};

pub(super) fn registration(world: &World, user: usize, key: &SecretKey) -> Action {
    Action::RegisterWorker {
        key: key.public(),
        consent: key.sign(&consent_hash(
            &world.rules.hash,
            &world.address(user),
            world.nonce(user),
        )),
        vrf: VrfSecret::from_seed(&[42; 32]).public(),
        stake: STAKE,
        collateral: COLLATERAL,
        terms: terms(1),
    }
}

#[test]
fn a_registered_worker_is_seated_by_the_beacon_of_a_epochs_later() {
    let mut world = World::new(&[1, 2]);
    world.close();
    let key = worker_key(50);
    let action = registration(&world, 1, &key);
    assert_eq!(world.act(1, action), Ok(()));
    let lag = world.rules.parameters().activation_lag;
    assert_eq!(lag, 3);
    let waiting = registration_address(&world.address(1), &key.public());
    assert_eq!(world.state.place_of(&key.public()), Some(waiting));
    let stake = world.state.summary().stake;
    // Recorded in root 1: seated when root 1 + A - 1 = 3 is accepted, which brings beacon(4).
    for _ in 0..2 {
        world.close();
        assert!(matches!(
            world.state.entity(&waiting),
            Some(Entity::Registration(_))
        ));
    }
    assert!(world.state.wants_root(Epoch::new(3)) && !world.state.wants_root(Epoch::new(2)));
    world.close();
    assert!(world.state.entity(&waiting).is_none());
    let place = seat(&key.public(), &world.roots[3].beacon);
    assert_eq!(world.state.place_of(&key.public()), Some(place));
    assert!(
        matches!(world.state.entity(&place), Some(Entity::Worker(worker)) if worker.stake == STAKE)
    );
    assert_eq!(
        world.state.summary().stake,
        stake.add(STAKE).expect("small")
    );
    assert_eq!(
        world.account(&world.address(1)).workers[0].seat,
        Some(place)
    );
    assert_eq!(
        world.state.claim(world.epoch).workers.0 + world.state.claim(world.epoch).workers.1,
        3
    );
}

#[test]
fn a_registration_needs_a_free_key_consent_stake_and_sane_terms() {
    let mut world = World::new(&[1, 2]);
    let key = worker_key(50);
    let without_consent = registration(&world, 1, &key);
    let Operation::Signed(other) = world.sign(2, without_consent) else {
        panic!("signed")
    };
    assert!(
        Operation::Signed(other).verify(&world.rules.hash).is_err(),
        "consent is for one account and nonce"
    );
    let at = world.seat(0);
    let taken = registration(&world, 1, &worker_key(0));
    assert_eq!(
        world.act(1, taken),
        Err(Refusal::KeyInUse {
            key: worker_key(0).public(),
            at
        })
    );
    let change = |change: &dyn Fn(&mut Action), world: &mut World| {
        let mut action = registration(world, 1, &key);
        change(&mut action);
        world.act(1, action)
    };
    let little = |action: &mut Action| {
        if let Action::RegisterWorker { stake, .. } = action {
            *stake = Credits::whole(99);
        }
    };
    let least = STAKE;
    assert_eq!(
        change(&little, &mut world),
        Err(Refusal::StakeTooSmall {
            stake: Credits::whole(99),
            least
        })
    );
    let none = |action: &mut Action| {
        if let Action::RegisterWorker { terms, .. } = action {
            terms.engines = 0;
        }
    };
    assert_eq!(
        change(&none, &mut world),
        Err(Refusal::Terms {
            engines: 0,
            slots: 4,
            slots_max: 64
        })
    );
    let point = |action: &mut Action| {
        if let Action::RegisterWorker { vrf, .. } = action {
            *vrf = VrfPublic([0xff; 32]);
        }
    };
    assert_eq!(change(&point, &mut world), Err(Refusal::VrfKey));
    let all = |action: &mut Action| {
        if let Action::RegisterWorker { stake, .. } = action {
            *stake = Credits::new(u128::MAX);
        }
    };
    assert_eq!(change(&all, &mut world), Err(Refusal::Amounts));
    assert_eq!(change(&|_| (), &mut world), Ok(()));
    let at = registration_address(&world.address(1), &key.public());
    assert_eq!(
        change(&|_| (), &mut world),
        Err(Refusal::KeyInUse {
            key: key.public(),
            at
        })
    );
}

#[test]
fn a_seat_is_taken_even_if_somebody_sent_credits_there_before() {
    let mut world = World::new(&[1, 2]);
    let key = worker_key(50);
    let action = registration(&world, 1, &key);
    assert_eq!(world.act(1, action), Ok(()));
    for _ in 0..2 {
        world.close();
    }
    // The beacon of the next record is what the world will make of the present one.
    let beacon = Hash::of(
        frith_ledger::hash::Domain::Beacon,
        &(world.state.beacon(), world.epoch),
    );
    let place = seat(&key.public(), &beacon);
    assert_eq!(
        world.act(
            2,
            Action::Transfer {
                to: place,
                amount: Credits::whole(1)
            }
        ),
        Ok(())
    );
    world.close();
    let Some(Entity::Worker(worker)) = world.state.entity(&place) else {
        panic!("not seated")
    };
    assert_eq!(
        worker.collateral,
        COLLATERAL.add(Credits::whole(1)).expect("small")
    );
}

#[test]
fn stake_and_terms_count_after_the_lag() {
    let mut world = World::new(&[1, 2]);
    let seat = world.seat(1);
    let more = Credits::whole(30);
    assert_eq!(
        world.act(
            0,
            Action::AddStake {
                seat,
                stake: more,
                collateral: Credits::whole(5)
            }
        ),
        Ok(())
    );
    let mut dear = terms(2);
    dear.price = Credits::whole(1);
    assert_eq!(
        world.act(
            0,
            Action::SetTerms {
                seat,
                terms: dear.clone()
            }
        ),
        Ok(())
    );
    assert_eq!(
        world.worker(1).collateral,
        Credits::whole(85),
        "held as collateral, which"
    );
    let asked = Credits::whole(56);
    let free = Credits::whole(55);
    assert_eq!(
        world.act(
            0,
            Action::Unstake {
                seat,
                collateral: asked
            }
        ),
        Err(Refusal::CollateralBound { free, asked })
    );
    for _ in 0..2 {
        world.close();
        assert_eq!(world.worker(1).stake, STAKE);
    }
    world.close();
    let worker = world.worker(1);
    assert_eq!(
        (worker.stake, worker.collateral),
        (Credits::whole(130), free)
    );
    assert_eq!(worker.terms, dear);
    assert!(worker.pending.is_empty());
    let account = world.address(1);
    assert_eq!(
        world.act(
            1,
            Action::Unstake {
                seat,
                collateral: Credits::whole(1)
            }
        ),
        Err(Refusal::NotYours {
            address: seat,
            account
        })
    );
    assert_eq!(
        world.act(
            0,
            Action::Unstake {
                seat,
                collateral: free
            }
        ),
        Ok(())
    );
    assert_eq!(world.worker(1).collateral, Credits::ZERO);
}

#[test]
fn collateral_that_drawn_places_need_cannot_be_withdrawn() {
    let mut world = World::new(&[1, 2]);
    let task = world.submit(1, spec(2, Epoch::new(8)));
    world.close();
    world.close();
    assert!(matches!(
        world.task(&task).state,
        TaskState::Assigned { .. }
    ));
    let (seat, free) = (world.seat(1), Credits::whole(49));
    let withdraw = |collateral| Action::Unstake { seat, collateral };
    assert_eq!(
        world.act(0, withdraw(COLLATERAL)),
        Err(Refusal::CollateralBound {
            free,
            asked: COLLATERAL
        })
    );
    assert_eq!(world.act(0, withdraw(free)), Ok(()));
    world.work();
    assert!(matches!(world.task(&task).state, TaskState::Settled { .. }));
}

#[test]
fn who_leaves_gets_everything_back_after_unbonding_and_is_not_drawn_meanwhile() {
    let mut world = World::new(&[1, 2, 1]);
    let seat = world.seat(2);
    let before = world.account(&world.address(0)).balance;
    assert_eq!(world.act(0, Action::Leave { seat }), Ok(()));
    assert_eq!(
        world.act(0, Action::Leave { seat }),
        Err(Refusal::NotActive {
            seat,
            until: Epoch::new(4)
        })
    );
    assert_eq!(world.state.summary().stake, Credits::whole(200));
    let task = world.submit(1, spec(3, Epoch::new(5)));
    world.epochs(3);
    assert!(matches!(world.state.entity(&seat), Some(Entity::Worker(_))));
    world.epochs(1);
    assert!(world.state.entity(&seat).is_none());
    assert_eq!(
        world.task(&task).state,
        TaskState::Submitted,
        "two workers are too few for three replicas"
    );
    let account = world.account(&world.address(0));
    let back = STAKE.add(COLLATERAL).expect("small");
    assert_eq!(
        account.balance,
        before
            .add(back)
            .and_then(|sum| sum.sub(Credits::new(40_000)))
            .expect("small")
    );
    assert_eq!(account.workers.len(), 2);
    assert_eq!(
        world.count(|event| matches!(event, TaskEvent::Left { .. })),
        1
    );
    // The key is free again.
    let action = registration(&world, 1, &worker_key(2));
    assert_eq!(world.act(1, action), Ok(()));
}

#[test]
fn a_leaving_worker_first_sees_its_tasks_settled() {
    let mut world = World::new(&[1, 2]);
    let task = world.submit(1, spec(2, Epoch::new(8)));
    world.close();
    world.close();
    world.workers[0].1 = Manner::Hides;
    world.work();
    let seat = world.seat(1);
    assert_eq!(world.act(0, Action::Leave { seat }), Ok(()));
    world.epochs(4);
    assert!(matches!(
        world.task(&task).state,
        TaskState::Revealing { .. }
    ));
    assert!(
        matches!(world.state.entity(&seat), Some(Entity::Worker(_))),
        "due in epoch 6, but a task is open"
    );
    world.workers[0].1 = Manner::Silent;
    for _ in 0..20 {
        world.epochs(1);
    }
    assert!(world.state.entity(&seat).is_none());
    assert_eq!(world.held(&task), Credits::ZERO);
}

#[test]
fn a_missed_reveal_does_not_let_a_worker_leave_while_another_is_open() {
    let mut world = World::new(&[1, 2]).manner(1, Manner::Hides);
    let first = world.submit(1, spec(2, Epoch::new(8)));
    world.close();
    let second = world.submit(1, spec(2, Epoch::new(8)));
    world.epochs(2);
    let seat = world.seat(1);
    assert_eq!(
        world.worker(1).open.len(),
        2,
        "reveals until epochs 6 and 7"
    );
    assert_eq!(world.act(0, Action::Leave { seat }), Ok(()));
    world.epochs(4);
    assert_eq!(
        world.epoch,
        Epoch::new(7),
        "the worker may leave now, and has missed its first reveal"
    );
    assert_eq!(world.worker(1).open.len(), 1);
    world.epochs(1);
    assert!(world.state.entity(&seat).is_none());
    for task in [first, second] {
        assert!(
            matches!(world.task(&task).state, TaskState::Disputed { .. }),
            "one of two is no majority"
        );
    }
}

fn instance(epoch: Epoch) -> Instance {
    let (kind, prefix, generation) = (ChainKind::Leaf, Prefix::ROOT, Generation::ZERO);
    Instance {
        kind,
        prefix,
        generation,
        epoch,
        committee: Hash([4; 32]),
    }
}

pub(super) fn vote(world: &World, worker: usize, epoch: Epoch, view: u64, block: u8) -> Vote {
    let key = &world.workers[worker].0;
    Vote::sign(
        instance(epoch),
        View::new(view),
        Hash([block; 32]),
        0,
        BoundedVec::new(),
        &world.rules.hash,
        key,
    )
}

pub(super) fn evidence(
    world: &World,
    worker: usize,
    reporter: Address,
    offence: Offence,
) -> Operation {
    let (seat, key) = (world.seat(worker), world.workers[worker].0.public());
    Operation::Proof(ProofOperation::Evidence(Box::new(Evidence {
        seat,
        key,
        reporter,
        offence,
    })))
}

#[test]
fn two_votes_in_one_view_burn_the_stake_but_for_the_reporters_share() {
    let mut world = World::new(&[1, 2, 1]);
    let reporter = Address([6; 32]);
    let (first, second) = (
        vote(&world, 2, Epoch::ZERO, 3, 1),
        vote(&world, 2, Epoch::ZERO, 3, 2),
    );
    let operation = evidence(&world, 2, reporter, Offence::Votes(first, second));
    assert_eq!(world.one(operation.clone()), Ok(()));
    assert_eq!(world.account(&reporter).balance, Credits::whole(5));
    assert_eq!(world.state.flows().burned, Credits::whole(95));
    assert_eq!(
        world.worker(2).status,
        WorkerStatus::Slashed {
            until: Epoch::new(4)
        }
    );
    assert_eq!(world.state.summary().stake, Credits::whole(200));
    let seat = world.seat(2);
    assert_eq!(world.one(operation), Err(Refusal::AlreadySlashed { seat }));
    // Not drawn any more, although the opening state of this epoch still had its stake.
    let task = world.submit(1, spec(2, Epoch::new(8)));
    world.epochs(2);
    assert!(
        world
            .task(&task)
            .places
            .iter()
            .all(|place| place.seat != seat)
    );
    let before = world.account(&world.address(0)).balance;
    world.epochs(2);
    assert!(world.state.entity(&seat).is_none());
    assert!(
        world
            .account(&world.address(0))
            .balance
            .sub(before)
            .expect("it grew")
            >= COLLATERAL
    );
}

#[test]
fn two_proposals_in_one_view_are_evidence_too() {
    let mut world = World::new(&[1, 2, 1]);
    let header = |payload: u8| BlockHeader {
        instance: instance(Epoch::ZERO),
        height: Height::new(1),
        view: View::new(1),
        parent: Hash([1; 32]),
        grounds: Hash([2; 32]),
        proposer: 0,
        payload: Hash([payload; 32]),
        state: world.state.summary(),
    };
    let sign = |header: &BlockHeader| {
        world.workers[1].0.sign(&signing_hash(
            Role::Proposal,
            &world.rules.hash,
            &header.id(),
        ))
    };
    let (first, second) = (header(1), header(2));
    let (first_signature, second_signature) = (sign(&first), sign(&second));
    let offence = Offence::Proposals {
        first,
        first_signature,
        second,
        second_signature,
    };
    let operation = evidence(&world, 1, world.address(1), offence);
    assert_eq!(world.one(operation), Ok(()));
    assert!(matches!(
        world.worker(1).status,
        WorkerStatus::Slashed { .. }
    ));
}

#[test]
fn what_does_not_show_two_statements_of_one_worker_is_no_evidence() {
    let mut world = World::new(&[1, 2, 1]);
    let reporter = world.address(1);
    let pairs = [
        (
            vote(&world, 2, Epoch::ZERO, 3, 1),
            vote(&world, 2, Epoch::ZERO, 3, 1),
        ),
        (
            vote(&world, 2, Epoch::ZERO, 3, 1),
            vote(&world, 2, Epoch::ZERO, 4, 2),
        ),
        (
            vote(&world, 2, Epoch::ZERO, 3, 1),
            vote(&world, 2, Epoch::new(1), 3, 2),
        ),
        (
            vote(&world, 2, Epoch::ZERO, 3, 1),
            vote(&world, 1, Epoch::ZERO, 3, 2),
        ),
    ];
    for (first, second) in pairs {
        let operation = evidence(&world, 2, reporter, Offence::Votes(first, second));
        assert!(operation.verify(&world.rules.hash).is_err());
        // Whatever the caller checked, execution finds it too.
        let block = crate::runtime::BlockContext {
            epoch: world.epoch,
            height: world.height,
            proposer: world.seat(0),
            roots: &[],
        };
        let executed = world
            .state
            .execute(&world.rules, &block, &[operation])
            .expect("a block executes");
        assert_eq!(executed.receipts[0].result, Err(Refusal::Evidence));
    }
    for _ in 0..5 {
        world.close();
    }
    let (first, second) = (
        vote(&world, 2, Epoch::ZERO, 3, 1),
        vote(&world, 2, Epoch::ZERO, 3, 2),
    );
    let operation = evidence(&world, 2, reporter, Offence::Votes(first, second));
    let (epoch, oldest, newest) = (Epoch::ZERO, Epoch::new(1), Epoch::new(6));
    assert_eq!(
        world.one(operation),
        Err(Refusal::EvidenceAge {
            epoch,
            oldest,
            newest
        })
    );
    assert_eq!(world.account(&reporter).balance, FUNDS);
}
