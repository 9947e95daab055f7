//! Many peers without a seat that say where they aren't: nobody copies for their word, and nobody is kept from it.

use super::world::{Forge, World};
use crate::wire::{PeerMessage, Request, Response};
use crate::{Limits, NodeEvent, Unready};
use frith_ledger::address::Address;
use frith_ledger::parameters::Parameters;
use frith_ledger::units::{Epoch, Height};

const TO: Address = Address([0x42; 32]);
const MEMBERS: usize = 4;
/// Twice as many strangers as members.
const STRANGERS: usize = 2 * MEMBERS;
/// The member that is looked at.
const VICTIM: usize = 3;

/// Says to be far ahead, to serve no block that anybody could go on with, and to have a record that proves it, but gives
/// none.
fn boaster(message: PeerMessage) -> Option<PeerMessage> {
    match message {
        PeerMessage::Status(mut status) => {
            status.epoch = status.epoch.plus(1_000);
            status.roots = status.epoch;
            (status.height, status.first) = (Height::new(1 << 40), Height::new(1 << 40));
            Some(PeerMessage::Status(status))
        }
        PeerMessage::Response(response) => match *response {
            Response::NotHeld(Request::Batch(_)) | Response::Batch(_) => {
                Some(PeerMessage::Response(response))
            }
            _ => None,
        },
        other => Some(other),
    }
}

/// Says that it has seen nothing yet.
fn laggard(message: PeerMessage) -> Option<PeerMessage> {
    match message {
        PeerMessage::Status(mut status) => {
            (status.epoch, status.height, status.roots) = (Epoch::ZERO, Height::ZERO, Epoch::ZERO);
            Some(PeerMessage::Status(status))
        }
        PeerMessage::Consensus { .. } => None,
        other => Some(other),
    }
}

fn world(limits: Limits, forge: Forge) -> World {
    let mut world = World::with(MEMBERS, Parameters::test(), limits);
    for stranger in MEMBERS..MEMBERS + STRANGERS {
        world.add(stranger);
        world.hosts[stranger].forges = Some(forge);
        world.start(stranger, false);
    }
    world
}

/// Runs for `ms`, with a transfer now and then; no member says at any moment that it copies.
fn run_without_a_copy(world: &mut World, ms: u64) {
    for round in 0..ms / 100 {
        if round % 5 == 0 {
            let nonce = world.nonce(0, 1).get();
            world.transfer(0, 1, nonce, TO);
        }
        world.run(100);
        for member in 0..MEMBERS {
            let Some(node) = &world.hosts[member].node else {
                continue;
            };
            assert!(
                !node.unready().contains(&Unready::Copying),
                "member {member}"
            );
        }
    }
    for member in 0..MEMBERS {
        let copied = |event: &NodeEvent| {
            matches!(
                event,
                NodeEvent::CopyingState { .. } | NodeEvent::StateCopied { .. }
            )
        };
        assert!(
            !world.hosts[member].events.iter().any(copied),
            "member {member}"
        );
    }
}

#[test]
fn strangers_without_stake_cannot_make_a_member_copy() {
    let mut world = world(Limits::default(), boaster);
    run_without_a_copy(&mut world, 4_000);
    // One that was away comes back by blocks, beside them.
    world.crash(VICTIM, 0);
    run_without_a_copy(&mut world, 3_000);
    world.start(VICTIM, false);
    run_without_a_copy(&mut world, 4_000);
    assert!(world.epoch(0) >= 7, "epoch {}", world.epoch(0));
    assert!(world.epoch(VICTIM).abs_diff(world.epoch(0)) <= 1);
    assert!((0..MEMBERS).all(|n| world.hosts[n].forged == 0));
    assert!((MEMBERS..MEMBERS + STRANGERS).all(|n| world.hosts[n].forged > 0));
    world.check();
}

#[test]
fn a_node_that_knows_too_few_who_are_there_goes_on_by_blocks_when_nobody_proves_to_be_far() {
    let mut world = world(Limits::default(), boaster);
    // One member and the strangers: everybody is heard, and the strangers are more.
    for member in [1, 2] {
        world.cut.insert((member, VICTIM));
        let (a, b) = (world.key(member), world.key(VICTIM));
        world.input(member, crate::Input::Disconnected { peer: b });
        world.input(VICTIM, crate::Input::Disconnected { peer: a });
    }
    run_without_a_copy(&mut world, 8_000);
    // The others wait for it whenever it leads.
    assert!(world.epoch(0) >= 2, "epoch {}", world.epoch(0));
    assert!(
        world.epoch(VICTIM).abs_diff(world.epoch(0)) <= 1,
        "it is in epoch {} of {}",
        world.epoch(VICTIM),
        world.epoch(0)
    );
    world.check();
}

#[test]
fn strangers_that_say_they_are_behind_keep_nobody_from_copying() {
    let limits = Limits {
        block_sync_epochs: 2,
        ..Limits::default()
    };
    let mut world = world(limits, laggard);
    assert!(world.run_until(20_000, |w| w.epoch(0) >= 7));
    world.crash(VICTIM, 0);
    world.hosts[VICTIM].store.wipe();
    world.hosts[VICTIM].events.clear();
    world.start(VICTIM, false);
    let copied = |event: &NodeEvent| matches!(event, NodeEvent::StateCopied { .. });
    assert!(world.run_until(10_000, |w| w.hosts[VICTIM].events.iter().any(copied)));
    assert!(world.run_until(10_000, |w| w.epoch(VICTIM) >= w.epoch(0)));
    world.check();
}
