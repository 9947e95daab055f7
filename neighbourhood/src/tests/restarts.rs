//! Crashes with loss of unsynced writes, wiped stores, copies of the state.

use super::world::World;
use crate::{Limits, NodeEvent};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::parameters::Parameters;
use frith_ledger::store::{Store as _, Table, Write};

const TO: Address = Address([0x42; 32]);

/// Sends one transfer of each of the first users whose turn it is.
fn traffic(world: &mut World, node: usize) {
    for user in 0..4 {
        let nonce = world.nonce(node, user).get();
        world.transfer(node, user, nonce, TO);
    }
}

/// The chain is as long as the longest that any node has said is committed.
fn nothing_acknowledged_is_lost(world: &World) {
    let said = world
        .hosts
        .iter()
        .flat_map(|host| host.committed.iter().map(|block| block.height))
        .max();
    let held = (0..world.hosts.len())
        .filter(|n| world.hosts[*n].node.is_some())
        .map(|n| world.node(n).head())
        .max();
    assert!(held >= said, "{held:?} is below {said:?}");
}

#[test]
fn a_node_that_crashes_at_any_point_comes_back_and_all_agree() {
    let mut world = World::new(4);
    for round in 0..24 {
        let run = 20 + world.draw() % 250;
        world.run(run);
        let victim = usize::try_from(world.draw() % 4).unwrap_or(0);
        traffic(&mut world, (victim + 1) % 4);
        let run = world.draw() % 40;
        world.run(run);
        let unsynced = u64::try_from(world.hosts[victim].store.unsynced()).unwrap_or(0);
        let keep = usize::try_from(world.draw() % (unsynced + 1)).unwrap_or(0);
        world.crash(victim, keep);
        let run = world.draw() % 400;
        world.run(run);
        world.start(victim, false);
        assert!(world.hosts[victim].node.is_some(), "round {round}");
    }
    world.run(4_000);
    world.check();
    nothing_acknowledged_is_lost(&world);
    let epochs: Vec<u64> = (0..4).map(|n| world.epoch(n)).collect();
    assert!(
        epochs.iter().all(|e| e.abs_diff(epochs[0]) <= 1) && epochs[0] >= 6,
        "{epochs:?}"
    );
    let before = world.nonce(0, 7).get();
    world.transfer(2, 7, before, TO);
    assert!(
        world.run_until(5_000, |w| (0..4).all(|n| w.nonce(n, 7).get() > before)),
        "there is progress after it"
    );
}

#[test]
fn a_neighbourhood_whose_power_fails_goes_on_where_it_said_it_was() {
    for nodes in [1, 4] {
        let mut world = World::new(nodes);
        for _ in 0..12 {
            let run = 50 + world.draw() % 900;
            world.run(run);
            traffic(&mut world, 0);
            let run = world.draw() % 60;
            world.run(run);
            let heads: Vec<_> = world
                .hosts
                .iter()
                .map(|host| host.committed.last().map_or(0, |b| b.height.get()))
                .collect();
            for node in 0..nodes {
                world.crash(node, 0);
            }
            for node in 0..nodes {
                world.start(node, false);
            }
            for (node, head) in heads.iter().enumerate() {
                assert!(
                    world.node(node).head().get() >= *head,
                    "node {node} of {nodes} lost a committed block"
                );
            }
        }
        let epoch = world.epoch(0);
        world.run(3_000);
        world.check();
        assert!(world.epoch(0) > epoch, "epochs go on with {nodes} nodes");
        let before = world.nonce(0, 6).get();
        world.transfer(0, 6, before, TO);
        assert!(
            world.run_until(5_000, |w| w.nonce(0, 6).get() > before),
            "there is progress with {nodes} nodes"
        );
    }
}

#[test]
fn a_wiped_node_copies_the_state_asks_what_it_signed_and_votes_again() {
    let limits = Limits {
        block_sync_epochs: 2,
        range_bytes: 300,
        ..Limits::default()
    };
    let mut world = World::with(4, Parameters::test(), limits);
    traffic(&mut world, 0);
    assert!(world.run_until(20_000, |w| w.epoch(0) >= 7));
    world.crash(3, 0);
    world.hosts[3].store.wipe();
    world.run(300);
    world.start(3, false);
    assert!(
        world
            .node(3)
            .unready()
            .iter()
            .any(|why| matches!(why, crate::Unready::Recovering))
    );
    assert!(
        world.run_until(8_000, |w| w.hosts[3].events.contains(&NodeEvent::Recovered)
            && w.epoch(3) >= 7),
        "it is in epoch {} after {:?}",
        world.epoch(3),
        world.hosts[3].events
    );
    assert!(
        world.hosts[3]
            .events
            .iter()
            .any(|event| matches!(event, NodeEvent::StateCopied { .. }))
    );
    // With another member gone, its vote is needed.
    assert!(world.run_until(6_000, |w| w.node(3).may_vote()));
    world.crash(2, 0);
    let nonce = world.nonce(3, 5).get();
    world.transfer(0, 5, nonce, TO);
    assert!(
        world.run_until(20_000, |w| w.nonce(3, 5).get() > nonce
            && w.nonce(0, 5).get() > nonce),
        "it votes again"
    );
    world.check();
    assert_eq!(world.balance(3, &TO), Credits::whole(5));
}

#[test]
fn a_node_that_was_away_catches_up_by_blocks() {
    let mut world = World::new(4);
    world.crash(1, 0);
    for _ in 0..5 {
        traffic(&mut world, 0);
        world.run(900);
    }
    world.start(1, false);
    assert!(
        world.run_until(4_000, |w| w.node(1).head() >= w.node(0).head()
            && w.epoch(1) == w.epoch(0))
    );
    assert!(
        !world.hosts[1]
            .events
            .iter()
            .any(|event| matches!(event, NodeEvent::StateCopied { .. }))
    );
    world.check();
    assert_eq!(world.balance(1, &TO), world.balance(0, &TO));
}

#[test]
fn members_that_all_lose_power_at_the_same_write_go_on() {
    for keep in 0..12 {
        let mut world = World::new(4);
        // Just past the end of an epoch, where records of new instances are written.
        let epoch = 1 + keep as u64 % 3;
        assert!(world.run_until(10_000, |w| (0..4).any(|n| w.epoch(n) > epoch)));
        for node in 0..4 {
            world.crash(node, keep);
        }
        for node in 0..4 {
            world.start(node, false);
        }
        let stopped = world.epoch(0);
        assert!(
            world.run_until(20_000, |w| (0..4).all(|n| w.epoch(n) > stopped + 1)),
            "keep {keep}"
        );
        world.check();
    }
}

#[test]
fn founders_that_all_lose_power_during_their_first_start_go_on() {
    let opened = |keep: Option<usize>| {
        let mut world = World::switched_off(4, Parameters::test(), Limits::default());
        for member in 0..4 {
            drop(world.open(member, true));
            let unsynced = world.hosts[member].store.unsynced();
            world.hosts[member].store.crash(keep.unwrap_or(unsynced));
        }
        world
    };
    let mut probe = World::switched_off(1, Parameters::test(), Limits::default());
    drop(probe.open(0, true));
    let writes = probe.hosts[0].store.unsynced();
    assert!(writes > 1, "there is something in between");
    for keep in 0..=writes {
        let mut world = opened(Some(keep));
        for member in 0..4 {
            world.start(member, true);
        }
        assert!(
            world.run_until(10_000, |w| (0..4).all(|n| w.epoch(n) > 1)),
            "after {keep} of {writes} writes all wait for each other"
        );
        world.check();
    }
}

#[test]
fn blocks_without_the_proof_that_commits_them_are_decided_again() {
    let parameters = Parameters {
        epoch_ms: 20_000,
        ..Parameters::test()
    };
    let mut world = World::with(4, parameters, Limits::default());
    // Votes for the block before its turn are lost with it, so that two blocks are committed after it.
    world.hosts[3].silent = true;
    // Until one proof has committed several blocks of the running epoch, as the last thing that happened.
    let several = |world: &World, n: usize| {
        let host = &world.hosts[n];
        let [.., before, last] = &host.committed[..] else {
            return false;
        };
        before.proof.is_none()
            && before.epoch == last.epoch
            && last.proof.is_some()
            && last.epoch.get() == world.epoch(n)
            && last.height == world.node(n).head()
    };
    let mut found = None;
    for _ in 0..600 {
        traffic(&mut world, 0);
        if world.run_until(20, |w| (0..3).any(|n| several(w, n))) {
            found = (0..3).find(|n| several(&world, *n));
        }
        if found.is_some() {
            break;
        }
        world.run(20);
    }
    let victim = found.expect("views without certificates come often enough");
    let last = world.node(victim).head();
    world.crash(victim, 0);
    // The power failed between the two writes: the second one, with the proof, is lost.
    let entry = Write::Delete {
        table: Table::Chain,
        key: last.get().to_be_bytes().to_vec(),
    };
    let mut store = world.hosts[victim].store.clone();
    store.write(vec![entry]).expect("the store works");
    store.sync().expect("the store works");
    world.start(victim, false);
    world.hosts[3].silent = false;
    let epoch = world.epoch((victim + 1) % 3);
    assert!(
        world.run_until(60_000, |w| w.epoch(victim) > epoch + 1),
        "{:?}",
        world.hosts[victim].halted
    );
    world.check();
}
