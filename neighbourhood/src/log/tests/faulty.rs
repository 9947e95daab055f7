//! Members that leave in the middle of something, and members that lie.

use super::World;
use crate::log::messages::HELD_MAX;
use crate::log::{LogLimits, LogMessage};
use frith_ledger::block::Batch;
use frith_ledger::codec::BoundedVec;
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::key::PublicKey;

/// Commands that the others of [`returned`] committed.
const COMMITTED: u64 = 60;

/// Member 3 is back after the others committed without it.
fn returned() -> World {
    let mut world = World::new(4, 9);
    world.submit(0, 0, 3);
    world.until(3);
    world.power_loss(3);
    for token in 1..20 {
        world.submit(1, token, 3);
        world.until(3 + token * 3);
    }
    world.restart(3);
    world
}

#[test]
fn copied_blocks_get_their_batches_from_others_when_who_sent_them_is_gone() {
    let mut world = returned();
    let sender = loop {
        assert!(world.step(), "it copies nothing");
        let log = world.members[3].as_ref().expect("it runs");
        if let Some((from, _)) = &log.copied {
            break world.keys.iter().position(|key| key == from);
        }
    };
    let sender = sender.expect("a member");
    world.power_loss(sender);
    world.frames.retain(|frame| frame.from != sender);
    world.until(COMMITTED);
}

#[test]
fn blocks_are_taken_only_from_the_member_that_was_asked() {
    let mut world = returned();
    let (asked, height) = loop {
        let request = world.frames.iter().find_map(|frame| {
            let message = LogMessage::from_bytes(&frame.bytes).expect("it decodes");
            match message {
                LogMessage::WantBlocks(height) => Some((frame.to, height)),
                _ => None,
            }
        });
        if let Some(request) = request {
            break request;
        }
        assert!(world.step(), "it copies nothing");
    };
    world.frames.clear();
    let takes_from = |world: &mut World, member: usize| {
        world.say(3, member, &LogMessage::WantBlocks(height));
        let answer = world.frames.drain(..).find_map(|frame| {
            let message = LogMessage::from_bytes(&frame.bytes).expect("it decodes");
            matches!(message, LogMessage::Blocks(_)).then_some(message)
        });
        world.say(member, 3, &answer.expect("it has the blocks"));
        let log = world.members[3].as_ref().expect("it runs");
        log.copied.is_some()
    };
    let other = (0..3).find(|member| *member != asked).expect("three");
    assert!(!takes_from(&mut world, other));
    assert!(takes_from(&mut world, asked));
    world.until(COMMITTED);
}

#[test]
fn who_names_batches_that_never_come_keeps_nobody_from_getting_others() {
    let mut world = World::new(4, 10);
    for frame in 0..16_u64 {
        let digests = (0_u64..).take(HELD_MAX);
        let digests = digests.map(|number| Hash::of(Domain::Batch, &(frame, number)));
        let held = BoundedVec::try_from(digests.collect::<Vec<Hash>>()).expect("a full frame");
        world.say(3, 0, &LogMessage::Held(held));
    }
    world.submit(1, 1, 3);
    for _ in 0..20_000 {
        // What the author pushes or gives is lost on the way; the others have it.
        world.frames.retain(|frame| {
            (frame.from, frame.to) != (1, 0)
                || !matches!(
                    LogMessage::from_bytes(&frame.bytes),
                    Ok(LogMessage::Batch(_))
                )
        });
        let log = world.members[0].as_ref().expect("it runs");
        if log.status().commands == 3 {
            return;
        }
        assert!(world.step(), "nothing happens any more");
    }
    panic!("a batch that others keep doesn't come");
}

#[test]
fn a_member_fills_no_more_than_its_shares_whomever_it_names_as_author() {
    let limits = LogLimits {
        author_batches_max: 4,
        ..LogLimits::default()
    };
    let mut world = World::with(4, 11, limits);
    for number in 0..60_u8 {
        // Itself, someone who is no member, and the one that it sends them to.
        let author = match number % 3 {
            0 => world.keys[3],
            1 => PublicKey([number; 32]),
            _ => world.keys[0],
        };
        let command = BoundedVec::try_from(vec![number]).expect("short");
        let batch = Batch {
            author,
            number: u64::from(number),
            operations: BoundedVec::try_from(vec![command]).expect("one"),
        };
        let held = BoundedVec::try_from(vec![batch.digest()]).expect("one");
        world.say(3, 0, &LogMessage::Held(held));
        world.say(3, 0, &LogMessage::Batch(batch));
    }
    // Four that it wrote and four that it passed on.
    let log = world.members[0].as_ref().expect("it runs");
    assert_eq!(log.status().waiting, 8);
}

#[test]
fn what_a_block_needs_is_kept_without_room_for_anything_else() {
    let mut world = World::new(4, 12);
    let log = world.members[0].as_mut().expect("it runs");
    log.limits.author_batches_max = 0;
    world.submit(1, 1, 3);
    world.until(3);
}
