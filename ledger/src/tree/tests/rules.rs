//! The root follows from the entities alone.

use super::{Entities, address, entities, leaf, leaves, oracle, puts, version_of};
use crate::address::{Address, Prefix};
use crate::credits::Credits;
use crate::hash::{Domain, Hash};
use crate::tree::node::Link;
use crate::tree::{
    Change, ENTITY_BYTES_MAX, Leaf, NodePrefix, Summary, TreeError, Version, combine,
};
use proptest::prelude::*;
use std::sync::Arc;

/// The summary of the entities under `prefix`, made by dividing wherever `divided` says and building
/// a tree of its own from every undivided part.
fn divided(
    entities: &Entities,
    prefix: NodePrefix,
    divide: &dyn Fn(&NodePrefix) -> bool,
) -> Summary {
    if prefix.len() < 256 && divide(&prefix) {
        let halves = [false, true].map(|bit| divided(entities, prefix.half(bit), divide));
        return combine(prefix, &halves[0], &halves[1]).expect("small sums");
    }
    let part = entities
        .range(prefix.first()..=prefix.last())
        .map(|(address, leaf)| (*address, leaf.clone()));
    version_of(&part.collect()).summary()
}

proptest! {
    #[test]
    fn the_root_is_the_one_that_the_definition_gives(entities in entities(60)) {
        prop_assert_eq!(version_of(&entities).summary(), oracle::summary(&entities));
    }

    #[test]
    fn the_root_does_not_depend_on_the_division(entities in entities(60), at in address(), depth in 0_u16..=256) {
        let whole = version_of(&entities).summary();
        // Divided along one path, at every prefix of an address down to some depth.
        let along = |prefix: &NodePrefix| prefix.len() < depth && prefix.contains(&at);
        prop_assert_eq!(divided(&entities, NodePrefix::ROOT, &along), whole);
        // Divided everywhere down to a small depth.
        let everywhere = |prefix: &NodePrefix| prefix.len() < depth.min(7);
        prop_assert_eq!(divided(&entities, NodePrefix::ROOT, &everywhere), whole);
    }

    #[test]
    fn the_part_under_a_prefix_is_the_tree_of_its_entities(
        entities in entities(60), at in address(), len in 0_u8..=64,
    ) {
        let prefix = Prefix::of(&at, len).expect("at most 64");
        let part: Entities = entities.iter().filter(|(address, _)| prefix.contains(address))
            .map(|(address, leaf)| (*address, leaf.clone())).collect();
        prop_assert_eq!(version_of(&entities).summary_under(prefix), oracle::summary(&part));
    }

    #[test]
    fn the_root_does_not_depend_on_order_or_batches(
        batches in prop::collection::vec(
            prop::collection::btree_map(address(), prop::option::of(leaves()), 0..20), 0..8),
        order in any::<prop::sample::Index>(),
    ) {
        let mut version = Version::empty();
        let mut entities = Entities::new();
        for batch in batches {
            let mut changes: Vec<Change> =
                batch.iter().map(|(address, leaf)| Change { address: *address, leaf: leaf.clone() }).collect();
            if !changes.is_empty() {
                let middle = order.index(changes.len());
                changes.rotate_left(middle);
            }
            let before = version.clone();
            let root_before = before.summary();
            version = version.apply(changes).expect("small sums");
            for (address, leaf) in batch {
                match leaf {
                    Some(leaf) => entities.insert(address, leaf),
                    None => entities.remove(&address),
                };
            }
            prop_assert_eq!(version.summary(), oracle::summary(&entities));
            prop_assert_eq!(before.summary(), root_before);
            let listed: Vec<_> = version.iter().map(|(address, leaf)| (address, leaf.clone())).collect();
            let expected: Vec<_> = entities.iter().map(|(address, leaf)| (*address, leaf.clone())).collect();
            prop_assert_eq!(listed, expected);
        }
    }

    #[test]
    fn an_address_gives_its_own_entity(entities in entities(60), other in address(), from in address()) {
        let version = version_of(&entities);
        for (address, leaf) in &entities {
            prop_assert_eq!(version.get(address), Some(leaf));
        }
        prop_assert_eq!(version.get(&other), entities.get(&other));
        let after: Vec<_> = version.iter_from(from).map(|(address, _)| address).collect();
        let expected: Vec<_> = entities.range(from..).map(|(address, _)| *address).collect();
        prop_assert_eq!(after, expected);
    }

    #[test]
    fn a_version_outlives_those_before_and_after(
        batches in prop::collection::vec(
            prop::collection::btree_map(address(), prop::option::of(leaves()), 1..20), 1..8),
        kept in any::<u8>(),
    ) {
        let (mut version, mut entities) = (Version::empty(), Entities::new());
        let mut held = Vec::new();
        for (number, batch) in batches.into_iter().enumerate() {
            let changes = batch.iter().map(|(address, leaf)| Change { address: *address, leaf: leaf.clone() });
            version = version.apply(changes.collect()).expect("small sums");
            for (address, leaf) in batch {
                match leaf {
                    Some(leaf) => entities.insert(address, leaf),
                    None => entities.remove(&address),
                };
            }
            if kept >> number & 1 == 1 {
                held.push((version.clone(), entities.clone()));
            }
        }
        drop(version);
        for (version, entities) in held {
            let listed: Entities = version.iter().map(|(address, leaf)| (address, leaf.clone())).collect();
            let root = oracle::summary(&entities);
            for address in entities.keys() {
                // A proof holds every hash on its path.
                let claim = version.prove(address).verify(&root, address).expect("a true proof");
                prop_assert!(claim.is_some());
            }
            prop_assert_eq!(listed, entities);
        }
    }

    #[test]
    fn changes_that_change_nothing_make_no_new_node(entities in entities(30), absent in address()) {
        let version = version_of(&entities);
        let mut changes = puts(&entities);
        if !entities.contains_key(&absent) {
            changes.push(Change { address: absent, leaf: None });
        }
        let same = version.apply(changes).expect("small sums");
        prop_assert!(is_shared(&version, &same));
    }
}

fn is_shared(a: &Version, b: &Version) -> bool {
    match (
        a.root.as_ref().map(|root| &root.link),
        b.root.as_ref().map(|root| &root.link),
    ) {
        (None, None) => true,
        (Some(Link::Leaf(a)), Some(Link::Leaf(b))) => Arc::ptr_eq(a, b),
        (Some(Link::Inner(a)), Some(Link::Inner(b))) => {
            std::ptr::eq(&raw const **a, &raw const **b)
        }
        _ => false,
    }
}

#[test]
fn the_empty_tree_has_the_zero_summary() {
    let mut version = Version::empty();
    assert_eq!(version.summary(), Summary::EMPTY);
    let change = |leaf| {
        vec![Change {
            address: Address([1; 32]),
            leaf,
        }]
    };
    version = version
        .apply(change(Some(leaf(3, 2, 1))))
        .expect("small sums");
    assert_ne!(version.summary(), Summary::EMPTY);
    version = version.apply(change(None)).expect("small sums");
    assert_eq!(version.summary(), Summary::EMPTY);
    assert_eq!(
        (version.get(&Address([1; 32])), version.iter().next()),
        (None, None)
    );
}

#[test]
fn a_refused_batch_says_why() {
    let put = |address: u8, leaf| Change {
        address: Address([address; 32]),
        leaf: Some(leaf),
    };
    let apply = |changes| {
        Version::empty()
            .apply(changes)
            .map(|version| version.summary())
    };
    let twice = vec![
        put(1, leaf(1, 1, 1)),
        put(2, leaf(1, 1, 1)),
        put(1, leaf(1, 1, 1)),
    ];
    assert_eq!(
        apply(twice),
        Err(TreeError::Duplicate {
            address: Address([1; 32])
        })
    );
    let staked = Leaf {
        stake: Credits::new(9),
        ..leaf(1, 1, 1)
    };
    assert!(matches!(
        apply(vec![put(1, staked)]),
        Err(TreeError::StakeAboveCredits { .. })
    ));
    let rich = Leaf {
        credits: Credits::new(u128::MAX),
        ..leaf(1, 1, 1)
    };
    let prefix = NodePrefix::of(&Address([1; 32]), 6);
    assert_eq!(
        apply(vec![put(1, rich), put(2, leaf(1, 1, 1))]),
        Err(TreeError::Overflow { prefix })
    );
    let long = Leaf {
        bytes: vec![0; ENTITY_BYTES_MAX + 1].into(),
        ..leaf(1, 1, 1)
    };
    assert!(matches!(
        apply(vec![put(1, long)]),
        Err(TreeError::EntityTooLong { .. })
    ));
}

/// An address and a leaf that follow from a number, spread over the whole tree.
fn spread(number: u32, content: u8) -> (Address, Leaf) {
    let address = Address(Hash::of(Domain::Address, &number).0);
    (address, leaf(content, number, number / 2))
}

#[test]
fn a_large_batch_gives_the_root_of_the_definition() {
    let mut entities: Entities = (0..1000).map(|number| spread(number, 1)).collect();
    let version = version_of(&entities);
    // New, changed and deleted ones, more than are walked together.
    let mut changes = Vec::new();
    for number in (0..2000).step_by(3) {
        let (address, leaf) = spread(number, 2);
        let leaf = (number % 5 != 0).then_some(leaf);
        match &leaf {
            Some(leaf) => entities.insert(address, leaf.clone()),
            None => entities.remove(&address),
        };
        changes.push(Change { address, leaf });
    }
    let version = version.apply(changes).expect("small sums");
    assert_eq!(version.summary(), oracle::summary(&entities));
}

#[test]
fn sums_of_every_width_are_hashed_as_defined() {
    let entities: Entities = (0..126)
        .map(|bits: u32| {
            let (address, leaf) = spread(bits, 1);
            let stake = Credits::new(1 << bits >> (bits % 3));
            let credits = Credits::new(1 << bits);
            let leaf = Leaf {
                credits,
                stake,
                ..leaf
            };
            (address, leaf)
        })
        .collect();
    assert_eq!(version_of(&entities).summary(), oracle::summary(&entities));
}
