//! Rules of the tree, against an oracle written from the definition alone.

mod forging;
mod oracle;
mod persist;
mod proofs;
mod rules;

use super::{Change, Leaf, RangePart, Version};
use crate::address::Address;
use crate::credits::Credits;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The entities of a tree, as a test knows them.
type Entities = BTreeMap<Address, Leaf>;

pub(super) fn leaf(content: u8, credits: u32, stake: u32) -> Leaf {
    let credits_held = u128::from(credits.max(stake));
    Leaf {
        bytes: vec![content; usize::from(content % 7)].into(),
        credits: Credits::new(credits_held),
        stake: Credits::new(u128::from(stake)),
    }
}

/// Addresses that share long prefixes, beside ones that don't: two choices for most bytes.
fn address() -> impl Strategy<Value = Address> {
    let close = (0_u8..4, 0_u8..4, 0_u8..4, any::<u8>()).prop_map(|(head, middle, tail, last)| {
        let mut bytes = [0; 32];
        (bytes[0], bytes[16], bytes[30]) = (head << 6, middle, tail);
        bytes[31] = last & 0b1000_0011;
        Address(bytes)
    });
    prop_oneof![3 => close, 1 => any::<[u8; 32]>().prop_map(Address)]
}

fn leaves() -> impl Strategy<Value = Leaf> {
    (
        any::<u8>(),
        any::<u32>(),
        prop_oneof![Just(0_u32), any::<u32>()],
    )
        .prop_map(|(content, credits, stake)| leaf(content, credits, stake))
}

fn entities(max: usize) -> impl Strategy<Value = Entities> {
    prop::collection::btree_map(address(), leaves(), 0..max)
}

fn puts(entities: &Entities) -> Vec<Change> {
    entities
        .iter()
        .map(|(address, leaf)| Change {
            address: *address,
            leaf: Some(leaf.clone()),
        })
        .collect()
}

fn version_of(entities: &Entities) -> Version {
    Version::empty().apply(puts(entities)).expect("small sums")
}

/// The entities of a verified range, in order.
fn entries(part: &RangePart) -> Vec<(Address, Leaf)> {
    let entry = |(address, leaf): (Address, &Leaf)| (address, leaf.clone());
    part.tree.iter().map(entry).collect()
}
