//! Transfers finalise, epochs and records go on, a light client believes them.

use super::genesis::{FUNDS, transfer, worker_key};
use super::world::World;
use crate::{Input, Limits, OperationStatus, SubmitError, persist};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Entity;
use frith_ledger::hash::Hash;
use frith_ledger::light::LightClient;
use frith_ledger::operation::{Operation, WorkerAction, WorkerBody, WorkerOperation};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::{Epoch, Height};
use parity_scale_codec::Encode as _;

const TO: Address = Address([0x42; 32]);

/// Transfers by every node reach every node, over some epochs.
fn transfers_finalise(nodes: usize, epochs: u64) {
    let mut world = World::new(nodes);
    for round in 0..3 {
        for user in 0..4 {
            world.transfer(
                (user + round) % nodes,
                user,
                u64::try_from(round).unwrap_or(0),
                TO,
            );
        }
        assert!(
            world.run_until(5_000, |w| (0..nodes)
                .all(|n| w.nonce(n, 3).get() > u64::try_from(round).unwrap_or(0)
                    && w.nonce(n, 0).get() > u64::try_from(round).unwrap_or(0))),
            "round {round} finalises; node 0 is at {} in epoch {}",
            world.node(0).head(),
            world.epoch(0),
        );
    }
    world.run(epochs * 1_200);
    world.check();
    for node in 0..nodes {
        assert!(
            world.epoch(node) >= epochs,
            "node {node} is in epoch {}",
            world.epoch(node)
        );
        assert!(
            world.node(node).roots().get() + 1 >= epochs,
            "node {node} has {} records",
            world.node(node).roots()
        );
        assert_eq!(world.balance(node, &TO), Credits::whole(12));
    }
}

#[test]
fn a_full_queue_still_takes_what_workers_must_say_in_time() {
    let limits = Limits {
        queue_operations_max: 16,
        ..Limits::default()
    };
    let mut world = World::with(4, Parameters::test(), limits);
    // The first goes into a batch, and the others wait for it.
    let mut answers = Vec::new();
    for nonce in 0..=20 {
        let operation = transfer(&world.rules, 0, nonce).encode();
        world.input(
            0,
            Input::Submit {
                token: 0,
                operation,
            },
        );
        answers.extend(world.hosts[0].results.pop());
    }
    assert!(answers[..15].iter().all(Result::is_ok));
    let refused =
        |answer: &Result<_, SubmitError>| matches!(answer, Err(SubmitError::Overloaded { .. }));
    assert!(answers[15..].iter().all(refused), "{answers:?}");
    let body = WorkerBody {
        genesis: world.rules.hash,
        seat: Address([1; 32]),
        task: Address([2; 32]),
        action: WorkerAction::Commit {
            commitment: Hash([3; 32]),
            bond: Credits::ZERO,
        },
    };
    let operation = Operation::Worker(WorkerOperation::sign(body, &worker_key(0))).encode();
    world.input(
        0,
        Input::Submit {
            token: 0,
            operation,
        },
    );
    let answer = world.hosts[0].results.pop();
    assert!(answer.is_some_and(|answer| !refused(&answer)));
}

#[test]
fn one_node_finalises_transfers_over_epochs() {
    transfers_finalise(1, 6);
}

#[test]
fn four_nodes_finalise_transfers_over_epochs() {
    transfers_finalise(4, 10);
}

#[test]
fn seven_nodes_finalise_transfers_over_epochs() {
    transfers_finalise(7, 4);
}

#[test]
fn thirty_two_nodes_finalise_transfers_over_epochs() {
    transfers_finalise(32, 2);
}

#[test]
fn a_light_client_verifies_a_balance_from_the_genesis_over_periods() {
    let mut world = World::new(4);
    world.transfer(0, 1, 0, TO);
    assert!(world.run_until(20_000, |w| w.epoch(2) >= 10));
    world.run(100);
    let mut light = LightClient::new(&world.rules.genesis).expect("the genesis is usable");
    let node = world.hosts[2].node.as_mut().expect("it runs");
    let proof = node.entity_proof(&TO).expect("a record is certified");
    let verified = light.verify(&TO, &proof).expect("the proof holds");
    assert!(matches!(&verified.entity, Some(Entity::Account(a)) if a.balance == Credits::whole(1)));
    assert!(verified.epoch >= Epoch::new(7) && light.period() >= 1);
    let absent = Address([0x99; 32]);
    let node = world.hosts[2].node.as_mut().expect("it runs");
    let proof = node
        .entity_proof_from(&absent, light.period())
        .expect("a record is certified");
    assert_eq!(
        light
            .verify(&absent, &proof)
            .expect("the proof holds")
            .entity,
        None
    );
}

#[test]
fn an_idle_neighbourhood_makes_no_blocks_between_epoch_boundaries() {
    let mut world = World::new(4);
    world.run(4_500);
    let (blocks, epochs) = (world.node(0).head().get(), world.epoch(0));
    assert!(epochs >= 3, "epochs go on: {epochs}");
    assert!(
        blocks <= epochs * 2,
        "{blocks} blocks in {epochs} idle epochs"
    );
    world.check();
}

#[test]
fn an_operation_is_pending_then_local_then_final() {
    let mut world = World::new(4);
    let id = world.transfer(1, 2, 0, TO);
    let status = |world: &mut World| {
        world.hosts[1]
            .node
            .as_mut()
            .and_then(|node| node.operation(&id, None))
    };
    assert_eq!(status(&mut world), Some(OperationStatus::Pending));
    assert!(world.run_until(3_000, |w| w.nonce(1, 2).get() == 1));
    let Some(OperationStatus::Executed(local)) = status(&mut world) else {
        panic!("it is executed")
    };
    assert_eq!(local.result, Ok(()));
    let proof = local.proof.as_ref().expect("it is committed");
    assert_eq!(local.headers.last(), Some(&proof.header));
    proof
        .verify(world.node(1).committee(), &world.rules.hash)
        .expect("the proof holds");
    world.run(3_000);
    assert!(matches!(status(&mut world), Some(OperationStatus::Executed(done)) if done.is_final));
}

#[test]
fn operations_of_one_account_sent_at_once_all_execute_in_order() {
    let mut world = World::new(4);
    for nonce in 0..200 {
        world.transfer(0, 0, nonce, TO);
    }
    assert!(world.run_until(10_000, |w| w.nonce(3, 0).get() == 200));
    assert_eq!(world.balance(3, &TO), Credits::whole(200));
    assert!(world.balance(3, &world.users[0].public().address()) < FUNDS);
    world.check();
}

/// Verifies what stands at an address by what node `index` proves, from the genesis.
fn verified_balance(world: &mut World, index: usize, address: &Address) -> (u64, Credits) {
    let mut light = LightClient::new(&world.rules.genesis).expect("the genesis is usable");
    let node = world.hosts[index].node.as_mut().expect("it runs");
    let proof = node.entity_proof(address).expect("a record is certified");
    let verified = light.verify(address, &proof).expect("the proof holds");
    match verified.entity {
        Some(Entity::Account(account)) => (light.period(), account.balance),
        _ => (light.period(), Credits::ZERO),
    }
}

#[test]
fn a_root_committee_smaller_than_the_leafs_decides_records() {
    let parameters = Parameters {
        committee: 3,
        ..Parameters::test()
    };
    let mut world = World::with(6, parameters, Limits::default());
    world.transfer(0, 1, 0, TO);
    assert!(
        world.run_until(40_000, |w| (0..6).all(|n| w.epoch(n) >= 13)),
        "epoch {}",
        world.epoch(0)
    );
    world.check();
    let (period, balance) = verified_balance(&mut world, 5, &TO);
    assert_eq!(balance, Credits::whole(1));
    assert!(period >= 2, "committees were drawn and followed");
}

#[test]
fn what_is_older_than_the_retained_epochs_is_forgotten_but_not_the_way_from_the_genesis() {
    let mut world = World::new(4);
    for round in 0..30_u64 {
        let user = usize::try_from(round % 8).unwrap_or(0);
        world.transfer(0, user, round / 8, TO);
        world.run(1_000);
    }
    let retained = world.rules.parameters().retained_epochs;
    let epoch = world.epoch(0);
    assert!(epoch > retained + 8, "epoch {epoch}");
    let store = world.hosts[0].store.contents();
    let versions = frith_ledger::tree::kept_versions(&store).expect("the store reads");
    assert!(
        versions.len() as u64 <= retained + 2,
        "{} versions are kept",
        versions.len()
    );
    let first = persist::entries(&store, Height::ZERO, 1).expect("the store reads");
    assert!(
        first.first().is_some_and(|(height, _)| height.get() > 8),
        "old blocks are gone"
    );
    world.crash(2, 0);
    world.start(2, false);
    world.run(2_000);
    world.check();
    let (period, balance) = verified_balance(&mut world, 2, &TO);
    assert_eq!(balance, Credits::whole(30));
    assert_eq!(period, (epoch - 1) / world.rules.parameters().period);
}
