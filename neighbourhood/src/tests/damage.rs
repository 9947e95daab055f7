//! Damaged records: what a node can't believe it says, and goes on or stops; it never gives a wrong answer.
//! Reads that fail: what a node can't read it doesn't take for absent.

use super::world::World;
use crate::{Input, NodeEvent};
use frith_ledger::address::Address;
use frith_ledger::store::{Faults, Store as _, Table, Write};

const TO: Address = Address([0x42; 32]);

/// Tables that the core writes.
const TABLES: [Table; 9] = [
    Table::Meta,
    Table::Safety,
    Table::Nodes,
    Table::Stale,
    Table::Blocks,
    Table::Chain,
    Table::Batches,
    Table::Roots,
    Table::Receipts,
];

#[derive(Debug, Clone, Copy)]
enum Damage {
    Bit,
    Truncated,
    Removed,
}

fn damage(world: &World, node: usize, table: Table, nth: usize, damage: Damage) -> bool {
    let mut store = world.hosts[node].store.clone();
    let rows = store.range(table, &[], 4_096).expect("the store works");
    let count = rows.len();
    let Some((key, mut value)) = rows.into_iter().nth(count * nth / 4) else {
        return false;
    };
    let write = match damage {
        Damage::Bit if value.is_empty() => return false,
        Damage::Bit => {
            let at = value.len() * (nth + 1) / 6;
            value[at] ^= 1 << nth;
            Write::Put { table, key, value }
        }
        Damage::Truncated => {
            value.truncate(value.len() / 2);
            Write::Put { table, key, value }
        }
        Damage::Removed => Write::Delete { table, key },
    };
    store.write(vec![write]).expect("the store works");
    store.sync().expect("the store works");
    true
}

/// Whatever the node still answers is what the others have.
fn answers_rightly(world: &mut World, node: usize) {
    let Some(mut head) = world.hosts[node].node.as_ref().map(|node| node.head()) else {
        return;
    };
    while head.get() > 0 {
        let answer = |world: &mut World, node: usize| {
            let node = world.hosts[node].node.as_mut()?;
            node.block(head).map(|(block, ..)| block)
        };
        if let (Some(mine), Some(theirs)) = (answer(world, node), answer(world, 0)) {
            assert_eq!(mine, theirs, "block {head}");
        }
        head = head.minus(1);
    }
}

fn check(table: Table, nth: usize, how: Damage) {
    let mut world = World::new(4);
    for round in 0..3 {
        for user in 0..3 {
            let nonce = world.nonce(0, user).get();
            world.transfer((user + round) % 4, user, nonce, TO);
        }
        world.run(1_200);
    }
    world.crash(2, 0);
    if !damage(&world, 2, table, nth, how) {
        return;
    }
    let what = format!("{table:?} record {nth} of 4 {how:?}");
    match world.try_start(2) {
        Err(error) => {
            let error = error.to_string();
            let says = ["damaged", "missing", "stored block", "restored", "record"];
            assert!(
                says.iter().any(|word| error.contains(word)),
                "{what}: {error}"
            );
        }
        Ok(()) => {
            world.run(2_500);
            answers_rightly(&mut world, 2);
            if let Some(reason) = &world.hosts[2].halted {
                assert!(!reason.contains("a quorum"), "{what}: {reason}");
            }
        }
    }
    // Nobody saw it sign two things, and the others go on.
    let epoch = world.epoch(0);
    assert!(
        world.run_until(12_000, |w| w.epoch(0) > epoch + 1),
        "{what}"
    );
    for other in [0, 1, 3] {
        let offence = |event: &NodeEvent| matches!(event, NodeEvent::Offence { .. });
        assert!(!world.hosts[other].events.iter().any(offence), "{what}");
        assert_eq!(world.hosts[other].halted, None, "{what}");
        assert!(world.hosts[other].misbehaviour.is_empty(), "{what}");
    }
    // An empty directory is always the way back.
    world.crash(2, 0);
    world.hosts[2].store.wipe();
    world.start(2, false);
    let epoch = world.epoch(0);
    assert!(
        world.run_until(15_000, |w| w.epoch(2) > epoch + 1),
        "{what}: it doesn't come back"
    );
}

#[test]
fn a_bit_of_any_kind_of_record_is_found_or_does_no_harm() {
    for table in TABLES {
        for nth in 0..4 {
            check(table, nth, Damage::Bit);
        }
    }
}

#[test]
fn a_truncated_record_of_any_kind_is_found_or_does_no_harm() {
    for table in TABLES {
        for nth in [1, 3] {
            check(table, nth, Damage::Truncated);
        }
    }
}

#[test]
fn a_missing_record_of_any_kind_is_found_or_does_no_harm() {
    for table in TABLES {
        for nth in [0, 3] {
            check(table, nth, Damage::Removed);
        }
    }
}

#[test]
fn what_cannot_be_read_is_not_absent_and_nothing_is_said_after_it() {
    let mut world = World::new(4);
    let id = world.transfer(0, 0, 0, TO);
    world.run(1_500);
    let head = world.node(1).head();
    world.hosts[1].store.set_faults(Faults {
        fail_reads: true,
        ..Faults::default()
    });
    let now = world.moment(1);
    let node = world.hosts[1].node.as_mut().expect("it runs");
    assert!(node.operation(&id, None).is_none() && node.store_failure().is_some());
    let failure = node.take_store_failure().expect("it was noted");
    assert!(node.store_failure().is_none());
    assert!(node.block(head).is_none() && node.store_failure().is_some());
    // Whatever comes next: no frame leaves, and nothing is written.
    let writes = world.hosts[1].store.writes();
    let mut out = Vec::new();
    let node = world.hosts[1].node.as_mut().expect("it runs");
    node.handle(now, Input::Tick, &mut out);
    let sends = |output: &crate::Output| matches!(output, crate::Output::Send { .. });
    assert!(!out.iter().any(sends), "{out:?}");
    assert_eq!(world.hosts[1].store.writes(), writes);
    let halted = out.iter().find_map(|output| match output {
        crate::Output::Halted { reason } => Some(reason),
        _ => None,
    });
    assert_eq!(halted, Some(&failure.to_string()));
}
