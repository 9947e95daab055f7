//! Copies of a store that are put back: the record in them is old, and must not be voted by.

use super::world::World;
use crate::{NodeEvent, Unready, record};
use frith_ledger::address::Address;
use frith_ledger::store::{MemoryStore, Store as _, Table, Write};

const TO: Address = Address([0x42; 32]);
/// Copies that are put back; each at another moment of an epoch.
const ROUNDS: u64 = 12;

/// Puts a copy back in place of what node `index` has.
fn put_back(world: &World, index: usize, copy: &MemoryStore) {
    let mut store = world.hosts[index].store.clone();
    store.wipe();
    for table in Table::ALL {
        let rows = copy.range(table, &[], usize::MAX).expect("is in memory");
        let put = |(key, value)| Write::Put { table, key, value };
        store
            .write(rows.into_iter().map(put).collect())
            .expect("takes it");
    }
    store.sync().expect("syncs");
}

/// Runs, copies node 3's store, runs on for `later` ms, stops the node and puts the copy back.
fn age(world: &mut World, later: u64) {
    let run = 200 + world.draw() % 900;
    world.run(run);
    let copy = world.hosts[3].store.contents();
    for user in 0..4 {
        let nonce = world.nonce(0, user).get();
        world.transfer(0, user, nonce, TO);
    }
    world.run(later);
    world.crash(3, 0);
    put_back(world, 3, &copy);
}

/// Lets node 3 start on a copy that is `later` ms old. Whether a member saw it sign twice.
fn round(world: &mut World, later: u64, declared: bool) -> bool {
    age(world, later);
    if declared {
        record::forget(&mut world.hosts[3].store.clone()).expect("is in memory");
    }
    world.start(3, false);
    if declared {
        assert!(
            world.node(3).unready().contains(&Unready::Recovering),
            "it doesn't vote before it has asked"
        );
    }
    world.run(3_000);
    let twice = |event: &NodeEvent| matches!(event, NodeEvent::Offence { member } if *member == world.key(3));
    world.hosts.iter().any(|host| host.events.iter().any(twice))
}

#[test]
fn a_copy_that_is_declared_one_asks_before_it_votes_and_never_signs_twice() {
    let mut world = World::new(4);
    for at in 0..ROUNDS {
        let later = 30 + 97 * at;
        assert!(!round(&mut world, later, true), "round {at}");
        let recovered = |w: &World| !w.node(3).unready().contains(&Unready::Recovering);
        assert!(
            world.run_until(20_000, recovered),
            "round {at}: it votes again"
        );
    }
    world.check();
    // With another member gone, its vote is needed.
    world.crash(2, 0);
    let epoch = world.epoch(3);
    assert!(world.run_until(20_000, |w| w.epoch(3) > epoch + 1));
}

#[test]
fn what_a_store_says_of_its_votes_can_be_read_and_declared_lost() {
    let mut world = World::new(4);
    assert!(world.run_until(10_000, |w| w.epoch(0) >= 2));
    let mut store = world.hosts[1].store.clone();
    let before = record::recorded(&store).expect("is in memory");
    assert!(before.may_vote);
    assert_eq!(before.genesis, Some(world.rules.hash));
    assert_eq!(before.head, Some(world.node(1).head()));
    assert!(
        before
            .records
            .iter()
            .any(|(_, _, record)| record.signed().get() > 0)
    );
    world.crash(1, 0);
    record::forget(&mut store).expect("is in memory");
    let after = record::recorded(&store).expect("is in memory");
    assert!(!after.may_vote && after.records.is_empty());
    assert_eq!(after.genesis, before.genesis);
}

/// The second line of defence: members show a node what it signed as soon as they see it. Who answers first is chance on
/// a real network, so a copy has to be declared all the same.
#[test]
fn a_copy_that_nobody_declared_is_noticed_by_a_later_signature() {
    let mut world = World::new(4);
    for at in 0..ROUNDS {
        assert!(!round(&mut world, 10 + 31 * at, false), "round {at}");
    }
    let noticed = |event: &&NodeEvent| matches!(event, NodeEvent::RecordLost { .. });
    let times = world.hosts[3].events.iter().filter(noticed).count();
    assert!(times > 0, "it was never noticed");
}

#[test]
fn a_copy_that_was_noticed_asks_after_another_start_too() {
    let mut world = World::new(4);
    let count = |world: &World| {
        let events = world.hosts[3].events.iter();
        let lost = |event: &&NodeEvent| matches!(event, NodeEvent::RecordLost { .. });
        events.filter(lost).count()
    };
    let mut noticed = 0;
    for at in 0..ROUNDS {
        age(&mut world, 10 + 31 * at);
        world.start(3, false);
        let before = count(&world);
        if world.run_until(1_000, |world| count(world) > before) {
            noticed += 1;
            world.crash(3, 0);
            world.start(3, false);
            assert!(
                world.node(3).unready().contains(&Unready::Recovering),
                "round {at}: it believes its record again"
            );
        }
        world.run(3_000);
    }
    assert!(noticed > 0, "it was never noticed");
}
