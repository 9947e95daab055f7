//! Copies of the state: with liars, silent peers, crashes at every write, targets that move.

use super::world::{Forge, World};
use crate::wire::{PeerMessage, Response};
use crate::{Limits, NodeEvent};
use frith_ledger::address::Address;
use frith_ledger::codec::{BoundedVec, decode};
use frith_ledger::parameters::Parameters;
use frith_ledger::tree::{FrontierItem, RangeProof};
use frith_ledger::units::Millis;
use parity_scale_codec::Encode as _;

const TO: Address = Address([0x42; 32]);
/// The member that copies.
const COPIER: usize = 3;

/// Many small pieces of a small state.
fn limits() -> Limits {
    Limits {
        block_sync_epochs: 2,
        range_bytes: 200,
        slot_entities: 2,
        slots_at_once: 2,
        pull_patience: Millis::new(300),
        ..Limits::default()
    }
}

/// A neighbourhood of four in epoch 7 or later, with some entities.
fn world() -> World {
    world_with(limits())
}

fn world_with(limits: Limits) -> World {
    let mut world = World::with(4, Parameters::test(), limits);
    for user in 0..8 {
        let mut to = TO;
        to.0[0] = u8::try_from(user).unwrap_or(0) << 5;
        world.transfer(user % 4, user, 0, to);
    }
    assert!(world.run_until(20_000, |w| w.epoch(0) >= 7));
    world
}

fn wipe(world: &mut World) {
    world.crash(COPIER, 0);
    world.hosts[COPIER].store.wipe();
    world.hosts[COPIER].events.clear();
}

fn copies(world: &World) -> usize {
    let copied = |event: &&NodeEvent| matches!(event, NodeEvent::StateCopied { .. });
    world.hosts[COPIER].events.iter().filter(copied).count()
}

fn is_up_to_date(world: &World) -> bool {
    copies(world) > 0 && world.node(COPIER).head() >= world.node(0).head()
}

/// Entities that were there when a copy said first how far it was.
fn first_progress(world: &World) -> Option<u64> {
    world.hosts[COPIER]
        .events
        .iter()
        .find_map(|event| match event {
            NodeEvent::CopyingState { entities, .. } => Some(*entities),
            _ => None,
        })
}

/// A range proof with other items.
fn altered(proof: &RangeProof, alter: fn(&mut Vec<FrontierItem>)) -> RangeProof {
    let encoded = proof.encode();
    let (next, mut items): (Option<Address>, BoundedVec<FrontierItem, 1000>) =
        decode(&encoded, encoded.len()).expect("a proof is its end and its items");
    let mut all = std::mem::take(&mut items).into_inner();
    alter(&mut all);
    let encoded = (next, all).encode();
    decode(&encoded, encoded.len()).expect("still a proof's encoding")
}

fn in_response(
    message: PeerMessage,
    change: impl FnOnce(Response) -> Option<Response>,
) -> Option<PeerMessage> {
    match message {
        PeerMessage::Response(response) => {
            change(*response).map(|response| PeerMessage::Response(Box::new(response)))
        }
        other => Some(other),
    }
}

fn with_ranges(message: PeerMessage, alter: fn(&mut Vec<FrontierItem>)) -> Option<PeerMessage> {
    in_response(message, |response| match response {
        Response::Range {
            epoch,
            prefix,
            from,
            proof,
        } => Some(Response::Range {
            epoch,
            prefix,
            from,
            proof: altered(&proof, alter),
        }),
        other => Some(other),
    })
}

fn is_entry(item: &FrontierItem) -> bool {
    matches!(item, FrontierItem::Entry { .. })
}

/// One credit more for somebody.
fn forger(message: PeerMessage) -> Option<PeerMessage> {
    with_ranges(message, |items| {
        for item in items {
            if let FrontierItem::Entry { credits, .. } = item {
                *credits = frith_ledger::credits::Credits::new(credits.get() + 1);
                return;
            }
        }
    })
}

/// An entity less.
fn truncater(message: PeerMessage) -> Option<PeerMessage> {
    with_ranges(message, |items| {
        if let Some(at) = items.iter().rposition(is_entry) {
            items.remove(at);
        }
    })
}

/// No ranges at all.
fn staller(message: PeerMessage) -> Option<PeerMessage> {
    in_response(message, |response| {
        (!matches!(response, Response::Range { .. })).then_some(response)
    })
}

/// Summaries in other slots than theirs.
fn shuffler(message: PeerMessage) -> Option<PeerMessage> {
    in_response(message, |response| match response {
        Response::Summaries {
            epoch,
            bits,
            summaries,
        } => {
            let mut all = summaries.into_inner();
            all.reverse();
            Some(Response::Summaries {
                epoch,
                bits,
                summaries: all.try_into().expect("as many"),
            })
        }
        other => Some(other),
    })
}

/// A node that copies from one liar and two honest peers, each piece with so much patience; and how long it took.
fn copy_beside(forge: Forge, patience: Millis) -> (World, u64) {
    let mut world = world_with(Limits {
        pull_patience: patience,
        ..limits()
    });
    wipe(&mut world);
    world.hosts[0].forges = Some(forge);
    world.start(COPIER, false);
    let began = world.now;
    assert!(
        world.run_until(30_000, |w| copies(w) > 0),
        "{:?}",
        world.hosts[COPIER].events
    );
    let took = world.now.minus(began.get()).get();
    assert!(world.hosts[0].forged > 0, "the liar was asked");
    assert!(world.run_until(30_000, is_up_to_date));
    world.check();
    assert_eq!(
        world.node(COPIER).state().summary().credits,
        world.node(1).state().summary().credits
    );
    (world, took)
}

#[test]
fn a_peer_that_forges_or_truncates_a_range_is_found_out_and_its_pieces_are_asked_of_others_at_once()
{
    for forge in [forger as Forge, truncater] {
        let (world, took) = copy_beside(forge, Millis::new(20_000));
        let told = &world.hosts[COPIER].misbehaviour;
        assert!(
            told.iter().any(|what| what.contains("a copy of the state")),
            "{told:?}"
        );
        // What it owed when it was found out was answered falsely too, and nothing after that.
        assert!(world.hosts[0].forged <= limits().pulls_per_peer);
        assert!(took < 2_000, "{took} ms");
    }
}

#[test]
fn a_peer_that_keeps_its_ranges_to_itself_costs_the_patience_for_its_own() {
    let (world, took) = copy_beside(staller, Millis::new(300));
    assert_eq!(world.hosts[COPIER].misbehaviour, Vec::<String>::new());
    assert!((300..3_000).contains(&took), "{took} ms");
}

#[test]
fn a_copy_goes_on_after_a_loss_of_power_at_any_write() {
    let mut world = world();
    let mut resumed = 0;
    for keep in [0, usize::MAX] {
        for write in 0.. {
            wipe(&mut world);
            let began = world.hosts[COPIER].store.writes();
            world.start(COPIER, false);
            assert!(world.run_until(30_000, |w| {
                w.hosts[COPIER].store.writes() > began + write || is_up_to_date(w)
            }));
            if copies(&world) > 0 {
                break;
            }
            world.crash(COPIER, keep);
            world.hosts[COPIER].events.clear();
            world.run(50);
            world.start(COPIER, false);
            assert!(
                world.run_until(30_000, is_up_to_date),
                "write {write}, keep {keep}: {:?}",
                world.hosts[COPIER].events
            );
            resumed += usize::from(first_progress(&world).is_some_and(|entities| entities > 0));
            world.check();
        }
    }
    assert!(
        resumed > 4,
        "later runs began with what earlier ones had saved: {resumed}"
    );
}

#[test]
fn a_copy_whose_target_nobody_keeps_any_more_keeps_what_did_not_change() {
    let mut world = world();
    for shuffles in [false, true] {
        wipe(&mut world);
        let began = world.hosts[COPIER].store.writes();
        world.start(COPIER, false);
        // Links, the aim, and the first groups.
        assert!(world.run_until(30_000, |w| w.hosts[COPIER].store.writes() > began + 12));
        world.crash(COPIER, usize::MAX);
        world.hosts[COPIER].events.clear();
        // Of several peers the one with the smallest key is asked first.
        let first = (0..COPIER).min_by_key(|host| world.key(*host)).unwrap_or(0);
        world.hosts[first].forges = shuffles.then_some(shuffler as Forge);
        let kept = u64::try_from(limits().versions_kept).unwrap_or(0);
        let past = world.epoch(0) + kept + 2;
        assert!(world.run_until(60_000, |w| w.epoch(0) >= past));
        let nonce = world.nonce(0, 1).get();
        world.transfer(0, 1, nonce, TO);
        world.run(3_000);
        world.start(COPIER, false);
        assert!(
            world.run_until(30_000, is_up_to_date),
            "{:?}",
            world.hosts[COPIER].events
        );
        assert!(first_progress(&world).is_some_and(|entities| entities > 0));
        let told = &world.hosts[COPIER].misbehaviour;
        assert_eq!(!told.is_empty(), shuffles, "{told:?}");
        world.check();
    }
}

#[test]
fn a_node_that_was_away_copies_only_what_changed() {
    let mut world = world();
    world.crash(COPIER, 0);
    world.hosts[COPIER].events.clear();
    let past = world.epoch(0) + 6;
    let nonce = world.nonce(0, 1).get();
    world.transfer(0, 1, nonce, TO);
    assert!(world.run_until(60_000, |w| w.epoch(0) >= past));
    world.start(COPIER, false);
    assert!(world.run_until(30_000, is_up_to_date));
    let all = world.node(0).state().summary().entities;
    assert!(first_progress(&world).is_some_and(|entities| entities * 2 > all));
    // It restarts from what it saved, and old blocks and states are forgotten in time.
    world.crash(COPIER, usize::MAX);
    world.start(COPIER, false);
    let epoch = world.epoch(0) + Parameters::test().retained_epochs + 2;
    assert!(world.run_until(120_000, |w| w.epoch(COPIER) >= epoch));
    world.check();
}
