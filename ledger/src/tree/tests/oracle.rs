//! The tree by its definition: recursive, over a sorted list, with its own hashing. It shares no
//! code with the tree but the hash function.

use super::Entities;
use crate::address::Address;
use crate::hash::Hash;
use crate::tree::{Leaf, Summary};

fn hash(context: &str, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    parts.iter().for_each(|part| {
        hasher.update(part);
    });
    Hash(*hasher.finalize().as_bytes())
}

/// The summary of all of `entities`, from their definition.
pub(super) fn summary(entities: &Entities) -> Summary {
    let sorted: Vec<_> = entities.iter().collect();
    subtree(&sorted, 0)
}

fn bit(address: &Address, index: u16) -> bool {
    address.0[usize::from(index) / 8] & (0x80 >> (index % 8)) != 0
}

/// A number as its parent hashes it: the count of its bytes, then the bytes, the lowest first.
fn number(mut number: u128) -> Vec<u8> {
    let mut bytes = vec![0];
    while number > 0 {
        bytes[0] += 1;
        bytes.push((number % 256) as u8);
        number /= 256;
    }
    bytes
}

/// The subtree of `sorted`, which agree on the bits before `at`; one bit a call, nothing skipped.
fn subtree(sorted: &[(&Address, &Leaf)], at: u16) -> Summary {
    let [(address, leaf), ..] = sorted else {
        return Summary::EMPTY;
    };
    if sorted.len() == 1 {
        let entity = hash("frith v1 entity", &[&leaf.bytes]);
        let sums = [
            leaf.credits.get().to_le_bytes(),
            leaf.stake.get().to_le_bytes(),
        ]
        .concat();
        let hash = hash("frith v1 tree leaf", &[&address.0, &entity.0, &sums]);
        return Summary {
            hash,
            credits: leaf.credits,
            stake: leaf.stake,
            entities: 1,
        };
    }
    let (zeros, ones): (Vec<_>, Vec<_>) = sorted.iter().partition(|(address, _)| !bit(address, at));
    let (left, right) = (subtree(&zeros, at + 1), subtree(&ones, at + 1));
    if left == Summary::EMPTY {
        return right;
    }
    if right == Summary::EMPTY {
        return left;
    }
    let mut prefix = [0; 32];
    for index in (0..at).filter(|index| bit(address, *index)) {
        prefix[usize::from(index) / 8] |= 0x80 >> (index % 8);
    }
    let children: Vec<u8> = [left, right]
        .iter()
        .flat_map(|child| {
            let mut bytes = child.hash.0.to_vec();
            bytes.extend(number(child.credits.get()));
            bytes.extend(number(child.stake.get()));
            bytes.extend(number(child.entities.into()));
            bytes
        })
        .collect();
    let add = |left: crate::credits::Credits, right| left.add(right).expect("small sums");
    Summary {
        hash: hash(
            "frith v1 tree inner node",
            &[
                &at.to_le_bytes(),
                &prefix[..usize::from(at).div_ceil(8)],
                &children,
            ],
        ),
        credits: add(left.credits, right.credits),
        stake: add(left.stake, right.stake),
        entities: left.entities + right.entities,
    }
}
