//! The times of root records: near the right one, never falling, whatever a few clocks show.

use super::genesis::{GENESIS_MS, rules_with, worker_key};
use super::world::World;
use crate::consensus::ConsensusMessage;
use crate::wire::PeerMessage;
use crate::{Limits, NodeEvent};
use frith_ledger::block::{ChainKind, Payload, Proposal, RootRecord};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::UnixMillis;

const HOUR_MS: i64 = 3_600_000;

fn tolerance() -> u64 {
    Parameters::test().clock_tolerance_ms()
}

/// The records of a node, none of which is before the one before it, or before the genesis.
fn records(world: &World, index: usize) -> &[RootRecord] {
    let records = &world.hosts[index].records;
    assert!(
        records
            .first()
            .is_none_or(|first| first.time.get() >= GENESIS_MS)
    );
    for pair in records.windows(2) {
        assert!(pair[0].time <= pair[1].time, "the time fell: {pair:?}");
    }
    records
}

/// What a right clock shows.
fn right_time(world: &World) -> u64 {
    GENESIS_MS + world.now.get()
}

fn newest(world: &World, index: usize) -> UnixMillis {
    records(world, index)
        .last()
        .map_or(UnixMillis::ZERO, |record| record.time)
}

/// Whether a node said that clocks differ.
fn told(world: &World, index: usize) -> bool {
    let differ = |event: &NodeEvent| matches!(event, NodeEvent::ClocksDiffer(_));
    world.hosts[index].events.iter().any(differ)
}

#[test]
fn records_carry_the_time_and_a_wrong_clock_of_one_changes_nothing() {
    for off in [0, HOUR_MS, -HOUR_MS] {
        let mut world = World::new(4);
        world.hosts[1].clock_off_ms = off;
        for epoch in 1..8 {
            let done = |world: &World| (0..4).all(|index| records(world, index).len() >= epoch);
            assert!(world.run_until(30_000, done), "{off}, record {epoch}");
            let age = right_time(&world).abs_diff(newest(&world, 0).get());
            assert!(age <= tolerance(), "{off}: {age} ms");
        }
        let counted = records(&world, 1).len();
        assert_eq!(records(&world, 1), &records(&world, 0)[..counted]);
        // One whose clock is ahead votes for nobody, and nobody for it. One whose clock is behind proposes the time of the
        // record before, which is near enough.
        let expected = [off > 0, off != 0, off > 0, off > 0];
        let as_expected = |world: &World| (0..4).all(|index| told(world, index) == expected[index]);
        assert!(world.run_until(60_000, as_expected), "{off}");
        world.check();
    }
}

#[test]
fn clocks_that_are_half_wrong_make_no_record_until_they_are_set_right() {
    let mut world = World::new(4);
    assert!(world.run_until(10_000, |w| records(w, 0).len() >= 2));
    for index in [0, 1] {
        world.hosts[index].clock_off_ms = HOUR_MS;
    }
    // What was under way may still be certified.
    world.run(5_000);
    let made = records(&world, 0).len();
    world.run(30_000);
    assert_eq!(records(&world, 0).len(), made);
    for index in [0, 1] {
        world.hosts[index].clock_off_ms = 0;
    }
    assert!(world.run_until(60_000, |w| records(w, 0).len() > made + 1));
    world.check();
}

#[test]
fn after_a_stand_still_of_days_records_go_on_with_the_time_of_then() {
    let mut world = World::new(4);
    assert!(world.run_until(10_000, |w| records(w, 0).len() >= 2));
    for index in 0..4 {
        world.crash(index, usize::MAX);
    }
    for index in 0..4 {
        world.hosts[index].clock_off_ms = 72 * HOUR_MS;
        world.start(index, false);
    }
    let made = records(&world, 0).len();
    assert!(world.run_until(60_000, |w| records(w, 0).len() > made + 1));
    let later = right_time(&world).saturating_add_signed(72 * HOUR_MS);
    assert!(newest(&world, 0).get().abs_diff(later) <= tolerance());
    world.check();
}

#[test]
fn clocks_that_are_all_set_back_a_little_hold_the_time_and_no_record_up() {
    let mut world = World::new(4);
    assert!(world.run_until(10_000, |w| records(w, 0).len() >= 2));
    let reached = newest(&world, 0);
    let back = i64::try_from(tolerance() - 1_000).expect("seconds");
    for index in 0..4 {
        world.hosts[index].clock_off_ms = -back;
    }
    let made = records(&world, 0).len();
    assert!(world.run_until(60_000, |w| records(w, 0).len() > made));
    // No clock is there again where the records are.
    assert!(right_time(&world).saturating_add_signed(-back) < reached.get());
    assert_eq!(newest(&world, 0), reached, "it stands until then");
    // Nobody who proposes the time of the record before is blamed.
    assert!((0..4).all(|index| !told(&world, index)));
    world.check();
}

#[test]
fn a_record_that_a_quorum_certified_is_committed_however_late() {
    let mut world = World::new(4);
    assert!(world.run_until(10_000, |w| records(w, 0).len() >= 2));
    // What would commit the record never comes: it is certified, and carried again and again.
    world.drops = Some(Box::new(|_, message| {
        matches!(message, PeerMessage::Consensus { kind: ChainKind::Root, message, .. }
            if matches!(&**message, ConsensusMessage::Proposal(proposal)
                if proposal.block.payload == Payload::Empty))
    }));
    world.run(5_000);
    let made = records(&world, 0).len();
    let stopped = right_time(&world);
    for index in 0..4 {
        world.hosts[index].clock_off_ms = HOUR_MS;
    }
    world.run(5_000);
    assert_eq!(records(&world, 0).len(), made);
    world.drops = None;
    assert!(world.run_until(60_000, |w| records(w, 0).len() > made + 2));
    let late = &records(&world, 0)[made];
    assert!(
        late.time.get() <= stopped,
        "it has the time of its proposal"
    );
    world.check();
}

#[test]
fn a_node_that_copies_history_compares_no_time_with_its_clock() {
    let mut world = World::with(4, Parameters::test(), Limits::default());
    world.crash(3, 0);
    assert!(world.run_until(30_000, |w| records(w, 0).len() >= 5));
    for index in 0..4 {
        world.hosts[index].clock_off_ms = 72 * HOUR_MS;
    }
    world.start(3, false);
    let up = |world: &World| world.epoch(3) >= world.epoch(0) && !records(world, 3).is_empty();
    assert!(world.run_until(60_000, up));
    assert!(
        records(&world, 3)
            .iter()
            .all(|record| records(&world, 0).contains(record))
    );
    world.check();
}

/// A record of member 0 whose time is before that of the record before, and near the clocks of all.
fn falling(message: PeerMessage) -> Option<PeerMessage> {
    let PeerMessage::Consensus {
        kind: ChainKind::Root,
        epoch,
        message,
    } = message
    else {
        return Some(message);
    };
    let proposal = match *message {
        ConsensusMessage::Proposal(proposal)
            if proposal.block.header.proposer == index_of_zero() =>
        {
            *proposal
        }
        other => {
            return Some(PeerMessage::Consensus {
                kind: ChainKind::Root,
                epoch,
                message: Box::new(other),
            });
        }
    };
    let Proposal {
        mut block,
        justify,
        timeout,
        signature,
    } = proposal;
    let proposal = if let Payload::Root(root) = &mut block.payload {
        root.record.time = root.record.time.minus(3_000);
        block.header.payload = block.payload.hash();
        let genesis = rules_with(4, Parameters::test()).hash;
        Proposal::sign(block, justify, timeout, &genesis, &worker_key(0))
    } else {
        Proposal {
            block,
            justify,
            timeout,
            signature,
        }
    };
    Some(PeerMessage::Consensus {
        kind: ChainKind::Root,
        epoch,
        message: Box::new(ConsensusMessage::Proposal(Box::new(proposal))),
    })
}

/// The index of member 0 in the genesis's committee.
fn index_of_zero() -> u16 {
    let committee = rules_with(4, Parameters::test()).genesis.committee();
    let committee = committee.expect("a usable genesis");
    committee
        .index_of(&worker_key(0).public())
        .expect("a member")
}

#[test]
fn a_record_whose_time_falls_is_refused() {
    let mut world = World::new(4);
    world.hosts[0].forges = Some(falling);
    assert!(world.run_until(60_000, |w| records(w, 1).len() >= 8));
    assert!(world.hosts[0].forged > 0, "it led a view");
    let blamed = |host: &super::world::Host| {
        let mut said = host.misbehaviour.iter();
        said.any(|what| what.contains("its time is before that of the record before"))
    };
    assert!(world.hosts.iter().skip(1).any(blamed));
}
