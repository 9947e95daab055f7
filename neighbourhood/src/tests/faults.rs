//! Silent members, partitions, two-faced members, twins, garbage.

use super::world::World;
use crate::wire::PeerMessage;
use crate::{Input, NodeEvent};
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{ChainKind, Instance};
use frith_ledger::certificate::Vote;
use frith_ledger::codec::BoundedVec;
use frith_ledger::entity::{Entity, WorkerStatus};
use frith_ledger::hash::Hash;
use frith_ledger::units::Generation;
use parity_scale_codec::Encode as _;

const TO: Address = Address([0x42; 32]);

#[test]
fn a_silent_member_is_tolerated() {
    let mut world = World::new(4);
    world.hosts[2].silent = true;
    world.transfer(0, 1, 0, TO);
    assert!(world.run_until(10_000, |w| [0, 1, 3].iter().all(|n| w.nonce(*n, 1).get() == 1)));
    assert!(world.run_until(20_000, |w| w.epoch(0) >= 3), "epochs go on: {}", world.epoch(0));
    world.check();
}

#[test]
fn a_neighbourhood_cut_in_halves_waits_and_goes_on_when_healed() {
    let mut world = World::new(4);
    world.run(700);
    world.cut = [(0, 2), (0, 3), (1, 2), (1, 3)].into();
    world.transfer(0, 1, 0, TO);
    world.transfer(2, 3, 0, TO);
    world.run(4_000);
    assert_eq!((world.nonce(0, 1).get(), world.nonce(2, 3).get()), (0, 0));
    world.cut.clear();
    assert!(world.run_until(20_000, |w| (0..4).all(|n| w.nonce(n, 1).get() == 1 && w.nonce(n, 3).get() == 1)));
    world.check();
}

#[test]
fn a_member_that_votes_twice_in_a_view_is_slashed() {
    let mut world = World::new(4);
    world.run(200);
    let node = world.node(0);
    let instance = Instance {
        kind: ChainKind::Leaf,
        prefix: Prefix::ROOT,
        generation: Generation::ZERO,
        epoch: node.epoch(),
        committee: node.committee().hash(),
    };
    let (view, epoch) = (node.status().view, node.epoch());
    let member = node.committee().index_of(&world.key(3)).expect("it is a member");
    let seat = node.committee().get(member).expect("it is a member").seat;
    for block in [Hash([1; 32]), Hash([2; 32])] {
        let key = &world.hosts[3].key;
        let vote = Vote::sign(instance, view, block, member, BoundedVec::new(), &world.rules.hash, key);
        let message = Box::new(crate::consensus::ConsensusMessage::Vote(Box::new(vote)));
        let bytes = PeerMessage::Consensus { kind: ChainKind::Leaf, epoch, message }.encode();
        world.input(0, Input::Message { from: world.key(3), bytes });
    }
    assert!(world.hosts[0].events.iter().any(|event| matches!(event, NodeEvent::Offence { .. })));
    let slashed = |w: &World| match w.node(1).state().entity(&seat) {
        Some(Entity::Worker(worker)) => matches!(worker.status, WorkerStatus::Slashed { .. }),
        _ => false,
    };
    assert!(world.run_until(10_000, slashed), "the evidence is accepted");
    let key = world.key(3);
    assert!(world.run_until(10_000, |w| w.node(1).committee().index_of(&key).is_none()), "it is no member any more");
    world.check();
}

#[test]
fn a_second_process_with_the_same_key_stops() {
    let mut world = World::new(4);
    world.run(300);
    // A copy of node 3 on a host of its own: peers know both by one key.
    let twin = world.add(3);
    world.hosts[twin].store = world.hosts[3].store.clone();
    world.start(twin, false);
    let first = crate::twin::Twin::new(&[1; 32], world.rules.hash, &world.hosts[3].key);
    // A peer relays the other process's hello and its answer; each is delivered to the twin.
    let answered = world.hosts[3].node.as_ref().map(|node| node.twin_hello());
    let hello = world.hosts[twin].node.as_ref().map(|node| node.twin_hello()).expect("it runs");
    assert_ne!(answered.map(|h| h.process), Some(hello.process));
    let crate::twin::TwinFinding::Suspicion(answer) = first.relayed(&hello, &world.hosts[3].key) else {
        panic!("another process answers");
    };
    let bytes = PeerMessage::Answer(answer).encode();
    world.input(twin, Input::Message { from: world.key(0), bytes });
    assert!(world.hosts[twin].halted.as_ref().is_some_and(|why| why.contains("another node runs with this key")));
}

#[test]
fn garbage_is_reported_and_changes_nothing() {
    let mut world = World::new(4);
    world.run(200);
    for length in 0..200 {
        let bytes: Vec<u8> = (0..length).map(|_| world.draw().to_le_bytes()[0]).collect();
        world.input(0, Input::Message { from: world.key(1), bytes });
    }
    assert!(world.hosts[0].misbehaviour.len() > 100);
    world.input(0, Input::Submit { token: 1, operation: vec![0xff; 70_000] });
    assert!(world.hosts[0].results.pop().is_some_and(|result| result.is_err()));
    world.transfer(0, 1, 0, TO);
    assert!(world.run_until(5_000, |w| w.nonce(2, 1).get() == 1));
    world.check();
}
