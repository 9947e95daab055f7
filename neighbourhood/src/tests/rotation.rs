//! A member whose key is replaced: another node with the new key takes its seat over, and nobody notices.

use super::genesis::{vrf_seed, worker_key};
use super::members::{is_member, newcomer};
use super::world::World;
use crate::NodeEvent;
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{ChainKind, Instance};
use frith_ledger::certificate::Vote;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, Worker, WorkerStatus};
use frith_ledger::hash::Hash;
use frith_ledger::light::LightClient;
use frith_ledger::operation::{Action, Evidence, Offence, Operation, ProofOperation, consent_hash};
use frith_ledger::units::{Generation, Nonce, View};
use frith_ledger::vrf::VrfSecret;

const TO: Address = Address([0x42; 32]);

/// The account of member `old` orders that the key of host `new` replaces its own.
fn rotate(world: &mut World, old: usize, new: usize) {
    let user = old;
    let (account, key) = (world.users[user].public().address(), worker_key(new));
    let seat = world.node(0).state().place_of(&world.key(old));
    let action = Action::RotateWorker {
        seat: seat.expect("the member has a seat"),
        key: key.public(),
        consent: key.sign(&consent_hash(&world.rules.hash, &account, Nonce::ZERO)),
        vrf: VrfSecret::from_seed(&vrf_seed(new)).public(),
    };
    let expires = world.epoch(0) + 50;
    let operation = world.operation(user, 0, expires, action);
    world.submit(0, &operation);
}

/// The worker that has, had or will have the key of a host.
fn worker(world: &World, of: usize) -> Box<Worker> {
    let state = world.node(0).state();
    let at = state.place_of(&world.key(of)).expect("it has a seat");
    match state.entity(&at) {
        Some(Entity::Worker(worker)) => worker,
        other => panic!("no worker but {other:?}"),
    }
}

#[test]
fn a_member_rotates_its_key_and_the_chain_goes_on_with_the_new_node() {
    let mut world = World::new(4);
    world.run(300);
    let (old, new) = (3, newcomer(&mut world, 4));
    rotate(&mut world, old, new);
    assert!(world.run_until(15_000, |w| is_member(w, new)));
    assert!(!is_member(&world, old), "a seat has one member");
    let seat = |w: &World, of: usize| w.node(0).state().place_of(&w.key(of));
    assert_eq!(seat(&world, old), seat(&world, new));
    assert_eq!(world.node(0).committee().members().len(), 4);
    assert!(world.run_until(2_000, |w| w.node(new).status().member.is_some()));
    assert!(world.run_until(2_000, |w| w.node(old).status().member.is_none()));
    let asked = |event: &NodeEvent| matches!(event, NodeEvent::Recovering { .. });
    assert!(
        !world.hosts[new].events.iter().any(asked),
        "it votes from its first view on"
    );

    // The root committee sits to the end of its period, with the old key.
    let last = worker(&world, old)
        .retired_key(&world.key(old))
        .map(|k| k.last);
    let last = last.expect("the old key is remembered");
    assert!(
        world.run_until(15_000, |w| !w.node(old).status().root_member),
        "in epoch {} it still is, {last} is its last",
        world.epoch(old)
    );
    assert!(world.node(old).roots() <= last.next());
    assert!(world.run_until(15_000, |w| w.node(new).status().root_member));

    // Now the old node can go. With one more gone, nothing is committed without the new node's vote.
    world.crash(old, 0);
    world.crash(1, 0);
    world.transfer(0, 2, 0, TO);
    assert!(world.run_until(15_000, |w| w.nonce(new, 2).get() == 1));
    let roots = world.node(0).roots();
    assert!(
        world.run_until(15_000, |w| w.node(0).roots() > roots.plus(2)),
        "and no record either"
    );
    world.start(1, false);
    world.run(2_000);
    world.check();

    // Whoever trusts the genesis follows the committees over the rotation.
    let mut light = LightClient::new(&world.rules.genesis).expect("the genesis is usable");
    let node = world.hosts[new].node.as_mut().expect("it runs");
    let proof = node.entity_proof(&TO).expect("a record is certified");
    let verified = light.verify(&TO, &proof).expect("the proof holds");
    assert!(verified.epoch > last, "it is signed by the new committee");
    assert!(matches!(&verified.entity, Some(Entity::Account(a)) if a.balance == Credits::whole(1)));
}

#[test]
fn two_votes_with_a_replaced_key_cost_the_stake_all_the_same() {
    let mut world = World::new(4);
    world.run(300);
    let (old, new) = (3, newcomer(&mut world, 4));
    rotate(&mut world, old, new);
    // The last epochs in which the old key is a member.
    let replaced = |w: &World| worker(w, old).key == w.key(new);
    assert!(world.run_until(15_000, replaced));
    assert!(is_member(&world, old));
    let instance = Instance {
        kind: ChainKind::Leaf,
        prefix: Prefix::ROOT,
        generation: Generation::ZERO,
        epoch: world.node(0).epoch(),
        committee: world.node(0).committee().hash(),
    };
    let member = world.node(0).committee().index_of(&world.key(old));
    let key = world.hosts[old].key.clone();
    let vote = |block: u8| {
        let (view, block, known) = (View::new(900), Hash([block; 32]), Default::default());
        let member = member.expect("it is a member");
        Vote::sign(
            instance,
            view,
            block,
            member,
            known,
            &world.rules.hash,
            &key,
        )
    };
    let evidence = Evidence {
        seat: world
            .node(0)
            .state()
            .place_of(&key.public())
            .expect("a seat"),
        key: key.public(),
        reporter: TO,
        offence: Offence::Votes(vote(1), vote(2)),
    };
    let operation = Operation::Proof(ProofOperation::Evidence(Box::new(evidence)));
    world.submit(0, &operation);
    let slashed = |w: &World| matches!(worker(w, new).status, WorkerStatus::Slashed { .. });
    assert!(world.run_until(10_000, slashed), "a new key is no way out");
    assert_eq!(worker(&world, new).stake, Credits::ZERO);
    assert_eq!(world.balance(0, &TO), Credits::whole(50));
    assert!(world.run_until(15_000, |w| !is_member(w, new)));
    world.check();
}
