//! Saved versions load as they were, whatever is saved, pruned or damaged around them.

use super::{Entities, address, leaf, leaves, version_of};
use crate::address::{Address, Prefix};
use crate::store::{MemoryStore, SharedMemoryStore, Store, Table, Write};
use crate::tree::{
    Change, LoadError, Version, kept_versions, load, load_part, prune, save, save_above, save_part,
};
use proptest::prelude::*;

/// A history of batches: each change puts one of few leaves or deletes, so that states come back.
fn history() -> impl Strategy<Value = Vec<Vec<(Address, Option<u8>)>>> {
    let change = (0_u8..12, prop::option::of(0_u8..3))
        .prop_map(|(place, content)| (Address([place * 21; 32]), content));
    prop::collection::vec(prop::collection::vec(change, 0..6), 1..12)
}

fn versions_of(history: &[Vec<(Address, Option<u8>)>]) -> Vec<Version> {
    let mut version = Version::empty();
    let mut versions = Vec::new();
    for batch in history {
        let batch: std::collections::BTreeMap<_, _> = batch.iter().copied().collect();
        let change = |(address, content): (Address, Option<u8>)| Change {
            address,
            leaf: content.map(|content| leaf(content, 5, 2)),
        };
        version = version
            .apply(batch.into_iter().map(change).collect())
            .expect("small sums");
        versions.push(version.clone());
    }
    versions
}

fn prune_all(store: &mut dyn Store, keep_from: u64, limit: usize) {
    loop {
        let writes = prune(store, keep_from, limit).expect("memory does not fail");
        if writes.is_empty() {
            return;
        }
        store.write(writes).expect("memory does not fail");
    }
}

fn entities_of(version: &Version) -> Entities {
    version
        .iter()
        .map(|(address, leaf)| (address, leaf.clone()))
        .collect()
}

proptest! {
    #[test]
    fn kept_versions_load_as_they_were_and_pruned_ones_leave_nothing_behind(
        history in history(), keep_from in 0_u64..14, limit in 1_usize..9, gap in 1_u64..3,
    ) {
        let versions = versions_of(&history);
        let numbered: Vec<(u64, Version)> = (0..).step_by(gap as usize).zip(versions).collect();
        let mut store = MemoryStore::new();
        let mut previous: Option<(u64, &Version)> = None;
        for (number, version) in &numbered {
            store.write(save(previous, *number, version)).expect("memory does not fail");
            previous = Some((*number, version));
        }
        prune_all(&mut store, keep_from, limit);
        let kept: Vec<u64> = numbered.iter().map(|(number, _)| *number).filter(|number| *number >= keep_from).collect();
        prop_assert_eq!(kept_versions(&store), Ok(kept));
        for (number, version) in &numbered {
            let loaded = load(&store, *number).expect("nothing is damaged");
            let expected = (*number >= keep_from).then(|| (version.summary(), entities_of(version)));
            prop_assert_eq!(loaded.map(|loaded| (loaded.summary(), entities_of(&loaded))), expected);
        }
        // With the last version alone kept, the store holds exactly its nodes.
        if let Some((number, version)) = numbered.last().filter(|(number, _)| *number >= keep_from) {
            prune_all(&mut store, *number, limit);
            let mut alone = MemoryStore::new();
            alone.write(save(None, *number, version)).expect("memory does not fail");
            let nodes = |store: &MemoryStore| store.range(Table::Nodes, &[], 1000).map(|entries| entries.len());
            prop_assert_eq!(nodes(&store), nodes(&alone));
            prop_assert_eq!(store.range(Table::Stale, &[], 10), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_loaded_version_goes_on_as_the_original(history in history()) {
        let versions = versions_of(&history);
        let mut store = MemoryStore::new();
        let mut last: Option<(u64, Version)> = None;
        for (number, version) in (0..).zip(&versions) {
            let previous = last.as_ref().map(|(number, version)| (*number, version));
            store.write(save(previous, number, version)).expect("memory does not fail");
            let loaded = load(&store, number).expect("nothing is damaged").expect("just saved");
            prop_assert_eq!(loaded.summary(), version.summary());
            last = Some((number, loaded));
        }
    }

    #[test]
    fn a_version_saved_in_parts_is_the_version_and_leaves_nothing_behind(
        old in prop::collection::btree_map(address(), leaves(), 0..12),
        given_up in prop::collection::btree_map(address(), leaves(), 0..12),
        new in prop::collection::btree_map(address(), leaves(), 0..12), bits in 0_u8..4,
    ) {
        let [old, given_up, new] = [version_of(&old), version_of(&given_up), version_of(&new)];
        let mut store = MemoryStore::new();
        store.write(save(None, 3, &old)).expect("memory does not fail");
        let prefixes = (0..1_u64 << bits).map(|slot| Prefix::new(slot << (63 - bits) << 1, bits).expect("short"));
        let mut whole = Version::empty();
        for prefix in prefixes {
            // Parts of a version that is given up, then those of the one that is kept, but what it shares.
            let first = save_part(7, &given_up.under(prefix), None);
            let nodes: Vec<_> = first.nodes.collect();
            prop_assert!(nodes.is_sorted_by(|a, b| a.0 < b.0));
            store.load(Table::Nodes, &mut nodes.into_iter()).expect("memory does not fail");
            let again = load_part(&store, &first.record).expect("nothing is damaged");
            prop_assert_eq!(again.summary(), given_up.summary_under(prefix));
            let part = new.under(prefix);
            if part.summary() != old.summary_under(prefix) {
                let second = save_part(8, &part, Some(&again));
                let nodes: Vec<_> = second.nodes.collect();
                prop_assert!(nodes.is_sorted_by(|a, b| a.0 < b.0));
                store.load(Table::Nodes, &mut nodes.into_iter()).expect("memory does not fail");
                store.write(second.stale).expect("memory does not fail");
                let loaded = load_part(&store, &second.record).expect("nothing is damaged");
                whole = whole.append(&loaded).expect("in order");
            } else {
                let mut writes = save_part(8, &part, Some(&again));
                store.load(Table::Nodes, &mut writes.nodes).expect("memory does not fail");
                store.write(writes.stale).expect("memory does not fail");
                whole = whole.append(&part).expect("in order");
            }
        }
        prop_assert_eq!(whole.summary(), new.summary());
        store.write(save_above(Some((3, &old)), 8, &whole, u16::from(bits))).expect("memory does not fail");
        let loaded = load(&store, 8).expect("nothing is damaged").expect("it is kept");
        prop_assert_eq!((loaded.summary(), entities_of(&loaded)), (new.summary(), entities_of(&new)));
        prune_all(&mut store, 8, 5);
        let mut alone = MemoryStore::new();
        alone.write(save(None, 8, &new)).expect("memory does not fail");
        let nodes = |store: &MemoryStore| store.range(Table::Nodes, &[], 1000).map(|entries| entries.len());
        prop_assert_eq!(nodes(&store), nodes(&alone));
    }

    #[test]
    fn a_damaged_byte_is_an_error_and_never_another_state(
        places in prop::collection::btree_map(address(), leaves(), 1..12),
        entry in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let version = version_of(&places);
        let mut store = MemoryStore::new();
        store.write(save(None, 7, &version)).expect("memory does not fail");
        let entries = store.range(Table::Nodes, &[], 1000).expect("memory does not fail");
        let (key, mut value) = entries[entry.index(entries.len())].clone();
        let at = byte.index(value.len());
        value[at] ^= flip;
        store.write(vec![Write::Put { table: Table::Nodes, key, value }]).expect("memory does not fail");
        let verdict = load(&store, 7).map(|version| version.map(|version| version.summary()));
        prop_assert!(verdict.is_err(), "{:?}", verdict);
    }
}

#[test]
#[should_panic(expected = "above the one before")]
fn a_number_that_does_not_grow_writes_nothing() {
    let version = Version::empty();
    let _writes = save(Some((7, &version)), 7, &version);
}

#[test]
fn a_missing_node_is_named() {
    let version = version_of(
        &[
            (Address([1; 32]), leaf(1, 1, 1)),
            (Address([2; 32]), leaf(1, 1, 1)),
        ]
        .into(),
    );
    let mut store = MemoryStore::new();
    assert_eq!(store.write(save(None, 1, &version)), Ok(()));
    let entries = store
        .range(Table::Nodes, &[1], 10)
        .expect("memory does not fail");
    let (key, _) = entries.last().expect("three nodes").clone();
    assert_eq!(
        store.write(vec![Write::Delete {
            table: Table::Nodes,
            key
        }]),
        Ok(())
    );
    assert!(matches!(
        load(&store, 1),
        Err(LoadError::Missing { prefix, .. }) if prefix.first() == Address([2; 32])
    ));
    assert!(matches!(load(&store, 2), Ok(None)));
}

#[test]
fn a_crash_leaves_whole_versions() {
    let history: Vec<_> = (0..6_u8)
        .map(|i| vec![(Address([i; 32]), Some(i)), (Address([i / 2; 32]), None)])
        .collect();
    let versions = versions_of(&history);
    for lost in 0..=versions.len() {
        let disk = SharedMemoryStore::new();
        let mut store = disk.clone();
        let mut previous = None;
        for (number, version) in (0..).zip(&versions) {
            assert_eq!(store.write(save(previous, number, version)), Ok(()));
            previous = Some((number, version));
        }
        disk.crash(versions.len() - lost);
        let kept = kept_versions(&store).expect("memory does not fail");
        assert_eq!(kept.len(), versions.len() - lost);
        for (number, version) in kept.into_iter().zip(&versions) {
            let loaded = load(&store, number)
                .expect("nothing is damaged")
                .expect("it is listed");
            assert_eq!(loaded.summary(), version.summary());
        }
    }
}
