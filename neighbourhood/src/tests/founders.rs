//! First starts of members of the genesis, and what only looks like one.

use super::world::World;
use crate::consensus::ConsensusMessage;
use crate::wire::PeerMessage;
use crate::{Limits, NodeEvent, Unready};
use frith_ledger::address::Address;
use frith_ledger::block::{BlockId, Instance};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::View;
use std::collections::BTreeMap;

const TO: Address = Address([0x42; 32]);
/// The member whose directory is lost.
const LOST: usize = 3;

fn traffic(world: &mut World, node: usize) {
    for user in 0..4 {
        let nonce = world.nonce(node, user).get();
        world.transfer(node, user, nonce, TO);
    }
}

/// Makes a member's directory anew, as if its node had never run.
fn remake(world: &mut World, index: usize) {
    world.crash(index, 0);
    world.hosts[index].store.wipe();
    world.start(index, true);
}

fn signs(world: &World, index: usize) -> bool {
    !world.node(index).unready().contains(&Unready::Recovering)
}

/// No frame that was recorded shows a second vote or proposal of this member in one view.
fn signed_nothing_twice(world: &World, index: usize) {
    let mut said: BTreeMap<(bool, Instance, View), BlockId> = BTreeMap::new();
    for (from, _, bytes) in &world.frames {
        let Ok(PeerMessage::Consensus { message, .. }) = PeerMessage::from_bytes(bytes) else {
            continue;
        };
        if *from != index {
            continue;
        }
        let (statement, block) = match *message {
            ConsensusMessage::Vote(vote) => ((false, vote.instance, vote.view), vote.block),
            ConsensusMessage::Proposal(proposal) => {
                let header = &proposal.block.header;
                ((true, header.instance, header.view), proposal.id())
            }
            _ => continue,
        };
        let first = *said.entry(statement).or_insert(block);
        assert_eq!(first, block, "two blocks of one view: {statement:?}");
    }
    assert!(!said.is_empty(), "it signed something");
}

#[test]
fn a_founder_whose_directory_was_made_anew_asks_before_it_votes_and_never_signs_twice() {
    let mut world = World::new(4);
    world.recording = true;
    assert!(world.run_until(10_000, |w| w.epoch(0) >= 2));
    for round in 0..10 {
        let run = 100 + world.draw() % 900;
        world.run(run);
        traffic(&mut world, 0);
        // While it votes on them.
        world.run(10 + 7 * round);
        remake(&mut world, LOST);
        assert!(!signs(&world, LOST), "round {round}");
        assert!(
            world.run_until(20_000, |w| w.node(LOST).may_vote()),
            "round {round}: it votes again"
        );
    }
    signed_nothing_twice(&world, LOST);
    world.check();
    // With another member gone, its vote is needed.
    world.crash(2, 0);
    let epoch = world.epoch(LOST);
    assert!(world.run_until(20_000, |w| w.epoch(LOST) > epoch + 1));
}

#[test]
fn a_founder_that_is_made_anew_in_the_first_epoch_asks_too() {
    let parameters = Parameters {
        epoch_ms: 20_000,
        ..Parameters::test()
    };
    let mut world = World::with(4, parameters, Limits::default());
    world.recording = true;
    for round in 0..10 {
        traffic(&mut world, 0);
        world.run(60 + 11 * round);
        assert_eq!(world.epoch(0), 0);
        remake(&mut world, LOST);
        assert!(!signs(&world, LOST), "round {round}");
        world.run(700);
        assert!(!world.node(LOST).may_vote(), "this is no first start");
        assert!(
            world.run_until(4_000, |w| signs(w, LOST)
                || !w.node(LOST).unready().is_empty()),
            "round {round}"
        );
    }
    signed_nothing_twice(&world, LOST);
    world.check();
}

#[test]
fn founders_vote_when_a_quorum_of_them_is_there_and_a_late_one_follows() {
    let mut world = World::switched_off(4, Parameters::test(), Limits::default());
    world.recording = true;
    for founder in [0, 1] {
        world.start(founder, true);
    }
    world.run(5_000);
    let spoke = |world: &World| {
        let consensus = |bytes: &[u8]| {
            matches!(
                PeerMessage::from_bytes(bytes),
                Ok(PeerMessage::Consensus { .. })
            )
        };
        world.frames.iter().any(|(_, _, bytes)| consensus(bytes))
    };
    assert!(
        !spoke(&world),
        "half of the weight decides nothing, and signs nothing"
    );
    world.start(2, true);
    assert!(world.run_until(500, |w| (0..3).all(|n| w.node(n).may_vote())));
    assert!(world.run_until(10_000, |w| w.epoch(0) >= 3));
    world.start(LOST, true);
    assert!(!signs(&world, LOST), "it may be a lost one");
    assert!(world.run_until(20_000, |w| w.node(LOST).may_vote()));
    world.crash(0, 0);
    let epoch = world.epoch(LOST);
    assert!(
        world.run_until(20_000, |w| w.epoch(LOST) > epoch + 1),
        "its vote is needed now, and there"
    );
    world.check();
}

#[test]
fn founders_whose_power_fails_while_they_ask_go_on() {
    for keep in [0, usize::MAX] {
        let mut world = World::switched_off(4, Parameters::test(), Limits::default());
        for founder in [0, 1] {
            world.start(founder, true);
        }
        world.run(200);
        for founder in [0, 1] {
            world.crash(founder, keep);
            // Their directories say by now that they have started.
            world.start(founder, false);
        }
        world.run(200);
        for founder in [2, 3] {
            world.start(founder, true);
        }
        assert!(world.run_until(10_000, |w| (0..4).all(|n| w.epoch(n) > 1)));
        assert!((0..4).all(|n| world.node(n).may_vote()));
        world.check();
    }
}

#[test]
fn founders_that_lose_power_at_any_write_of_their_first_second_go_on() {
    let mut reached = 0;
    for write in 0..12 {
        let mut world = World::switched_off(4, Parameters::test(), Limits::default());
        for founder in 0..4 {
            world.start(founder, true);
        }
        for user in 0..4 {
            world.transfer(0, user, 0, TO);
        }
        let written = |w: &World| (0..4).all(|n| w.hosts[n].store.writes() > write);
        reached += usize::from(world.run_until(1_000, written));
        for founder in 0..4 {
            world.crash(founder, 0);
        }
        for founder in 0..4 {
            world.start(founder, false);
        }
        let stopped = world.epoch(0);
        assert!(
            world.run_until(20_000, |w| (0..4).all(|n| w.epoch(n) > stopped + 1)),
            "write {write}"
        );
        world.check();
    }
    assert!(
        reached > 4,
        "the power failed at {reached} different writes"
    );
}

#[test]
fn a_founder_that_is_shown_an_own_vote_has_lost_its_record() {
    let parameters = Parameters {
        epoch_ms: 20_000,
        ..Parameters::test()
    };
    let mut world = World::with(4, parameters, Limits::default());
    traffic(&mut world, 0);
    world.run(1_000);
    remake(&mut world, LOST);
    let told = |event: &NodeEvent| matches!(event, NodeEvent::RecordLost { .. });
    assert!(world.run_until(5_000, |w| w.hosts[LOST].events.iter().any(told)));
    assert!(!world.node(LOST).may_vote());
}

#[test]
fn a_late_founder_joins_when_a_member_that_is_needed_for_its_recovery_is_silent() {
    let mut world = World::switched_off(4, Parameters::test(), Limits::default());
    world.recording = true;
    for founder in 0..3 {
        world.start(founder, true);
    }
    assert!(world.run_until(10_000, |w| w.epoch(0) >= 2));
    world.crash(0, 0);
    traffic(&mut world, 1);
    world.start(LOST, true);
    world.run(Limits::default().founder_patience.get() / 2);
    assert!(!signs(&world, LOST), "it waits for the others first");
    let epoch = world.epoch(1);
    assert!(world.run_until(20_000, |w| w.epoch(LOST) > epoch + 1));
    assert!(world.node(LOST).may_vote());
    signed_nothing_twice(&world, LOST);
    world.check();
}

#[test]
fn a_founder_on_a_false_word_signs_nothing_twice_beside_correct_leaders() {
    let mut joined = 0;
    for round in 0..16 {
        // Another genesis every time, and so other leaders.
        let parameters = Parameters {
            expiry_max: 600 + round,
            ..Parameters::test()
        };
        let mut world = World::switched_off(4, parameters, Limits::default());
        world.recording = true;
        for founder in 0..4 {
            world.start(founder, true);
        }
        assert!(world.run_until(10_000, |w| w.epoch(0) >= 1));
        if round % 2 == 1 {
            // Nobody hears what it signs in the next epoch: in the view of the others, and in one that it alone enters.
            world.drops = Some(Box::new(|from, _| from == LOST));
            let next = world.epoch(1) + 1;
            assert!(world.run_until(10_000, |w| w.epoch(1) == next));
        }
        traffic(&mut world, 1);
        world.run(10 + 7 * round);
        world.crash(0, 0);
        world.run(40 * round);
        remake(&mut world, LOST);
        world.drops = None;
        let epoch = world.epoch(1);
        let goes_on = |w: &World| w.epoch(LOST) > epoch + 1;
        // Those who have a signature of its show it, and it waits for a quorum of others.
        // Three of four are left: views of the one that is gone, and longer and longer ones, take their time.
        joined += usize::from(world.run_until(40_000, goes_on));
        world.start(0, false);
        assert!(world.run_until(30_000, goes_on), "round {round}");
        signed_nothing_twice(&world, LOST);
        world.check();
    }
    assert!((1..16).contains(&joined), "it joined in {joined} rounds");
}
