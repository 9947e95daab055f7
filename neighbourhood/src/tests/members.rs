//! Who registers becomes a member, who leaves is gone.

use super::world::{World, vrf_seed, worker_key};
use crate::NodeEvent;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Terms;
use frith_ledger::operation::{Action, consent_hash};
use frith_ledger::units::Nonce;
use frith_ledger::vrf::VrfSecret;

/// Registers the worker of host `index` by user 6, whose nonce is 0.
fn register(world: &mut World, index: usize) {
    let account = world.users[6].public().address();
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
    let operation = world.operation(6, 0, 100, action);
    world.submit(0, &operation);
}

#[test]
fn who_registers_becomes_a_member_after_the_lag_and_who_leaves_is_gone() {
    let mut world = World::new(4);
    world.run(300);
    let new = world.add(4);
    world.start(new, false);
    register(&mut world, 4);
    let key = world.key(new);
    assert!(
        world.run_until(3_000, |w| w.node(new).head() >= w.node(0).head()
            && w.node(new).head().get() > 0)
    );
    assert!(world.node(0).committee().index_of(&key).is_none());
    assert!(
        world.run_until(15_000, |w| w.node(0).committee().index_of(&key).is_some()),
        "it is seated in epoch {}: {:?}",
        world.epoch(0),
        world.node(0).state().place_of(&key),
    );
    assert!(
        world.run_until(8_000, |w| w.hosts[new]
            .events
            .contains(&NodeEvent::Recovered)),
        "{:?}",
        world.hosts[new].events
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
        world.run_until(15_000, |w| w.node(0).committee().index_of(&key).is_none()),
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
