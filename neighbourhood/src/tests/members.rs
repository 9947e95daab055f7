//! Who registers becomes a member, who leaves is gone.

use super::genesis::{vrf_seed, worker_key};
use super::world::World;
use crate::NodeEvent;
use crate::wire::PeerMessage;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, Terms};
use frith_ledger::operation::{Action, consent_hash};
use frith_ledger::units::Nonce;
use frith_ledger::vrf::VrfSecret;

/// Registers the worker of host `index` by a user whose nonce is 0.
fn register(world: &mut World, index: usize, user: usize) {
    let account = world.users[user].public().address();
    let key = worker_key(index);
    let action = Action::RegisterWorker {
        key: key.public(),
        consent: key.sign(&consent_hash(&world.rules.hash, &account, Nonce::ZERO)),
        vrf: VrfSecret::from_seed(&vrf_seed(index)).public(),
        stake: Credits::whole(1_000),
        collateral: Credits::whole(100),
        terms: Terms {
            engines: 1,
            price: Credits::ZERO,
            slots: 1,
        },
    };
    let expires = world.epoch(0) + 50;
    let operation = world.operation(user, 0, expires, action);
    world.submit(0, &operation);
}

/// Adds a machine that follows until its node may vote in what begins.
pub(super) fn newcomer(world: &mut World, index: usize) -> usize {
    let new = world.add(index);
    world.start(new, false);
    assert!(
        world.run_until(6_000, |w| w.node(new).may_vote()),
        "two epochs with a quorum are enough"
    );
    new
}

pub(super) fn is_member(world: &World, of: usize) -> bool {
    let key = world.key(of);
    world.node(0).committee().index_of(&key).is_some()
}

#[test]
fn who_registers_becomes_a_member_after_the_lag_and_who_leaves_is_gone() {
    let mut world = World::new(4);
    world.run(300);
    let new = newcomer(&mut world, 4);
    register(&mut world, 4, 6);
    let key = world.key(new);
    assert!(!is_member(&world, new));
    assert!(
        world.run_until(15_000, |w| is_member(w, new)),
        "it is seated in epoch {}: {:?}",
        world.epoch(0),
        world.node(0).state().place_of(&key),
    );
    assert!(world.run_until(2_000, |w| w.node(new).status().member.is_some()));
    assert!(
        !world.hosts[new]
            .events
            .iter()
            .any(|event| matches!(event, NodeEvent::Recovering { .. })),
        "it votes from its first view on"
    );
    // Five members: with one gone and one silent there is no quorum, so its vote is needed when one is gone.
    world.run(1_500);
    world.crash(1, 0);
    world.transfer(new, 2, 0, frith_ledger::address::Address([0x42; 32]));
    assert!(world.run_until(15_000, |w| w.nonce(new, 2).get() == 1
        && w.nonce(0, 2).get() == 1));
    world.start(1, false);
    let seat = world.node(0).state().place_of(&key).expect("it has a seat");
    let leave = world.operation(6, 1, world.epoch(0) + 50, Action::Leave { seat });
    world.submit(0, &leave);
    assert!(
        world.run_until(15_000, |w| !is_member(w, new)),
        "it is gone"
    );
    world.run(2_000);
    world.check();
    assert!(world.node(new).status().member.is_none());
    assert!(
        world.node(new).epoch().get() + 1 >= world.epoch(0),
        "it follows as an observer"
    );
}

#[test]
fn a_third_of_newcomers_at_once_does_not_stop_the_neighbourhood() {
    let mut world = World::new(4);
    let new = [4, 5].map(|index| newcomer(&mut world, index));
    register(&mut world, 4, 5);
    register(&mut world, 5, 6);
    assert!(world.run_until(15_000, |w| new.iter().all(|new| is_member(w, *new))));
    let epoch = world.epoch(0);
    assert!(
        world.run_until(10_000, |w| w.epoch(0) >= epoch + 3),
        "it stands in epoch {epoch}: the four that know what they signed are no quorum of six"
    );
    world.check();
}

#[test]
fn a_member_that_hears_of_its_epoch_only_by_consensus_catches_up() {
    let mut world = World::new(1);
    let new = newcomer(&mut world, 1);
    register(&mut world, 1, 6);
    let key = world.key(new);
    let seated = |w: &World| {
        let at = w.node(new).state().place_of(&key)?;
        w.node(new).state().entity(&at)
    };
    assert!(world.run_until(15_000, |w| matches!(seated(w), Some(Entity::Worker(_)))));
    // Nobody says how far it is any more, and the first member can't go on without the second.
    world.drops = Some(Box::new(|_, message| {
        matches!(message, PeerMessage::Status(_))
    }));
    assert!(world.run_until(10_000, |w| is_member(w, new)));
    let epoch = world.epoch(0);
    assert!(
        world.run_until(20_000, |w| w.epoch(0) > epoch + 1),
        "the second member stands in epoch {} of {epoch}",
        world.epoch(new)
    );
    world.check();
}

#[test]
fn a_newcomer_that_starts_as_a_member_asks_first() {
    let mut world = World::new(4);
    let new = world.add(4);
    register(&mut world, 4, 6);
    assert!(world.run_until(15_000, |w| is_member(w, new)));
    world.start(new, false);
    assert!(
        world.run_until(10_000, |w| w.hosts[new]
            .events
            .contains(&NodeEvent::Recovered)),
        "{:?}",
        world.hosts[new].events
    );
    assert!(world.run_until(6_000, |w| w.node(new).may_vote()));
    world.check();
}

#[test]
fn an_observer_follows_and_its_operations_reach_a_member() {
    let mut world = World::new(4);
    world.run(1_200);
    let observer = world.add(9);
    world.start(observer, false);
    assert!(world.run_until(3_000, |w| w.node(observer).epoch() == w.node(0).epoch()));
    world.transfer(observer, 1, 0, frith_ledger::address::Address([0x42; 32]));
    assert!(world.run_until(4_000, |w| w.nonce(observer, 1).get() == 1));
    world.check();
}
