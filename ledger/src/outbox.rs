//! The Merkle list of a block's outgoing messages.
//!
//! Built by `rs_merkle` over hashes of this crate's domains: a leaf is
//! `H(OutboxLeaf, message hash)`, an inner node `H(OutboxInner, left ‖ right)`, and a node without a
//! right sibling moves up unchanged. The outbox's root is `H(OutboxRoot, count ‖ Merkle root)`; an
//! empty outbox has count 0 and the zero hash for a Merkle root.
//!
//! # Invariants
//! - A leaf can't pass for an inner node, nor the other way round: their domains differ.
//! - The count is committed to, and a proof's index is below it, so a place in the list means one
//!   thing only: without the count a list of three and one of four with a repeated end would agree.
//! - A proof has exactly the siblings that count and index call for; no other verifies.
//!
//! Limits: [`OUTBOX_MESSAGES_MAX`] messages. Building is O(n) hashes, a proof and its verification
//! O(log n).

use crate::codec::BoundedVec;
use crate::hash::{Domain, Hash};
use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use rs_merkle::{Hasher, MerkleProof, MerkleTree};

/// Most messages in one outbox.
pub const OUTBOX_MESSAGES_MAX: u32 = 1 << 20;

/// Levels above the leaves of the longest list.
const SIBLINGS_MAX: usize = 20;

/// Hashes for `rs_merkle`.
#[derive(Clone)]
struct OutboxHasher;

impl Hasher for OutboxHasher {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        Hash::of_bytes(Domain::OutboxLeaf, data).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        match right {
            Some(right) => {
                Domain::OutboxInner
                    .hasher()
                    .update(left)
                    .update(right)
                    .finish()
                    .0
            }
            None => *left,
        }
    }
}

/// Why a list proof is not accepted or can't be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListProofError {
    /// The place is not in the list.
    #[error("place {index} is not in a list of {count}")]
    Index {
        /// The place asked for, from 0.
        index: u32,
        /// Length of the list.
        count: u32,
    },
    /// The list is longer than [`OUTBOX_MESSAGES_MAX`].
    #[error("a list of {count} is longer than {OUTBOX_MESSAGES_MAX}")]
    TooLong {
        /// Length of the list.
        count: usize,
    },
    /// Not the siblings that the place and the length call for.
    #[error("the proof has {found} siblings where {expected} belong")]
    Siblings {
        /// Siblings given.
        found: usize,
        /// Siblings needed.
        expected: usize,
    },
    /// The siblings lead elsewhere.
    #[error("the proof leads to another root")]
    Root,
}

/// Proof that a message stands at one place of an outbox: at most 20 siblings, 650 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct ListProof {
    /// Length of the list.
    pub count: u32,
    /// Siblings from the leaf up, where there is one.
    pub siblings: BoundedVec<Hash, SIBLINGS_MAX>,
}

fn leaf_of(message: &Hash) -> [u8; 32] {
    OutboxHasher::hash(&message.0)
}

fn tree_of(messages: &[Hash]) -> MerkleTree<OutboxHasher> {
    let leaves: Vec<_> = messages.iter().map(leaf_of).collect();
    MerkleTree::from_leaves(&leaves)
}

fn commit(count: u32, merkle_root: [u8; 32]) -> Hash {
    Hash::of(Domain::OutboxRoot, &(count, merkle_root))
}

fn count_of(messages: &[Hash]) -> Result<u32, ListProofError> {
    let count = messages.len();
    u32::try_from(count)
        .ok()
        .filter(|count| *count <= OUTBOX_MESSAGES_MAX)
        .ok_or(ListProofError::TooLong { count })
}

/// The root of the list of these message hashes, in the block's order.
///
/// # Panics
/// When there are more than [`OUTBOX_MESSAGES_MAX`]: a block's limits are far below.
#[must_use]
pub fn outbox_root(messages: &[Hash]) -> Hash {
    let count = count_of(messages).expect("blocks hold fewer messages than an outbox may");
    commit(count, tree_of(messages).root().unwrap_or_default())
}

/// Proves which message stands at `index`, counted from 0. Costs O(n): the tree is built anew.
///
/// # Errors
/// [`ListProofError`] when there is no such place or the list is too long.
pub fn prove(messages: &[Hash], index: u32) -> Result<ListProof, ListProofError> {
    let count = count_of(messages)?;
    if index >= count {
        return Err(ListProofError::Index { index, count });
    }
    let siblings = tree_of(messages)
        .proof(&[index as usize])
        .proof_hashes()
        .iter()
        .copied()
        .map(Hash)
        .collect();
    let siblings: Vec<Hash> = siblings;
    let found = siblings.len();
    let siblings = BoundedVec::try_from(siblings);
    let siblings = siblings.map_err(|_| ListProofError::Siblings {
        found,
        expected: siblings_of(index, count),
    })?;
    Ok(ListProof { count, siblings })
}

/// How many siblings the path from `index` has in a list of `count`: a last node without a right
/// neighbour has none.
fn siblings_of(index: u32, count: u32) -> usize {
    let (mut index, mut last, mut siblings) = (index, count.saturating_sub(1), 0);
    while last > 0 {
        siblings += usize::from(index % 2 == 1 || index < last);
        (index, last) = (index / 2, last / 2);
    }
    siblings
}

impl ListProof {
    /// Checks that `message` stands at `index` of the outbox with this root.
    ///
    /// # Errors
    /// [`ListProofError`] says which part of the proof doesn't hold.
    pub fn verify(&self, root: &Hash, index: u32, message: &Hash) -> Result<(), ListProofError> {
        let count = self.count;
        if count > OUTBOX_MESSAGES_MAX {
            return Err(ListProofError::TooLong {
                count: count as usize,
            });
        }
        if index >= count {
            return Err(ListProofError::Index { index, count });
        }
        let (found, expected) = (self.siblings.len(), siblings_of(index, count));
        if found != expected {
            return Err(ListProofError::Siblings { found, expected });
        }
        let proof =
            MerkleProof::<OutboxHasher>::new(self.siblings.iter().map(|hash| hash.0).collect());
        match proof.root(&[index as usize], &[leaf_of(message)], count as usize) {
            Ok(merkle_root) if commit(count, merkle_root) == *root => Ok(()),
            _ => Err(ListProofError::Root),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages(count: u8) -> Vec<Hash> {
        (0..count).map(|i| Hash([i; 32])).collect()
    }

    /// The Merkle root by its definition, without `rs_merkle`.
    fn naive_root(messages: &[Hash]) -> Hash {
        let mut level: Vec<[u8; 32]> = messages
            .iter()
            .map(|message| Hash::of_bytes(Domain::OutboxLeaf, &message.0).0)
            .collect();
        while level.len() > 1 {
            level = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => {
                        Hash::of_bytes(Domain::OutboxInner, &[*left, *right].concat()).0
                    }
                    alone => alone.first().copied().unwrap_or_default(),
                })
                .collect();
        }
        let count = u32::try_from(messages.len()).expect("few");
        Hash::of(
            Domain::OutboxRoot,
            &(count, level.first().copied().unwrap_or_default()),
        )
    }

    #[test]
    fn the_root_is_the_one_that_the_definition_gives() {
        for count in 0..=70 {
            assert_eq!(
                outbox_root(&messages(count)),
                naive_root(&messages(count)),
                "{count} messages"
            );
        }
    }

    #[test]
    fn every_place_of_every_list_can_be_proven_and_no_other_message_there() {
        for count in 1..=33 {
            let list = messages(count);
            let root = outbox_root(&list);
            for index in 0..u32::from(count) {
                let proof = prove(&list, index).expect("in the list");
                for (other, message) in (0..).zip(&list) {
                    assert_eq!(
                        proof.verify(&root, index, message).is_ok(),
                        other == index,
                        "{other} of {count}"
                    );
                    assert_eq!(
                        proof.verify(&root, other, &list[index as usize]).is_ok(),
                        other == index
                    );
                }
            }
        }
    }

    #[test]
    fn a_place_outside_the_list_can_neither_be_proven_nor_verified() {
        let list = messages(3);
        assert_eq!(
            prove(&list, 3),
            Err(ListProofError::Index { index: 3, count: 3 })
        );
        assert!(prove(&[], 0).is_err());
        let proof = prove(&list, 2).expect("in the list");
        assert!(proof.verify(&outbox_root(&list), 3, &list[2]).is_err());
        assert!(
            proof
                .verify(&outbox_root(&list), u32::MAX, &list[2])
                .is_err()
        );
    }

    #[test]
    fn a_list_with_its_end_repeated_has_another_root() {
        let three = messages(3);
        let mut four = three.clone();
        four.push(three[2]);
        assert_ne!(outbox_root(&three), outbox_root(&four));
        assert_ne!(outbox_root(&[]), outbox_root(&[Hash::ZERO]));
    }

    #[test]
    fn another_count_does_not_verify() {
        let list = messages(5);
        let root = outbox_root(&list);
        for index in 0..5 {
            let honest = prove(&list, index).expect("in the list");
            for count in (0..64).filter(|count| *count != 5) {
                let forged = ListProof {
                    count,
                    ..honest.clone()
                };
                assert!(
                    forged.verify(&root, index, &list[index as usize]).is_err(),
                    "{count}"
                );
            }
        }
    }

    #[test]
    fn an_inner_node_does_not_pass_for_a_message() {
        let list = messages(4);
        let root = outbox_root(&list);
        let leaves: Vec<_> = list.iter().map(leaf_of).collect();
        let node = |i: usize| {
            Hash(OutboxHasher::concat_and_hash(
                &leaves[i],
                Some(&leaves[i + 1]),
            ))
        };
        let siblings = BoundedVec::try_from(vec![node(2)]).expect("one");
        let forged = ListProof { count: 2, siblings };
        assert!(forged.verify(&root, 0, &node(0)).is_err());
        // Nor does a leaf's hash pass for a list of one.
        let empty = ListProof {
            count: 1,
            siblings: BoundedVec::new(),
        };
        assert!(empty.verify(&root, 0, &list[0]).is_err());
    }

    #[test]
    fn surplus_and_lacking_siblings_are_refused() {
        let list = messages(6);
        let root = outbox_root(&list);
        let honest = prove(&list, 4).expect("in the list");
        let mut more = honest.clone();
        assert!(more.siblings.push(Hash::ZERO).is_ok());
        assert!(matches!(
            more.verify(&root, 4, &list[4]),
            Err(ListProofError::Siblings { .. })
        ));
        let fewer = ListProof {
            siblings: BoundedVec::new(),
            ..honest
        };
        assert!(matches!(
            fewer.verify(&root, 4, &list[4]),
            Err(ListProofError::Siblings { .. })
        ));
    }

    proptest! {
        #[test]
        fn a_proof_with_any_byte_altered_fails(
            count in 1_u8..80, place in any::<prop::sample::Index>(),
            byte in any::<prop::sample::Index>(), flip in 1_u8..,
        ) {
            let list = messages(count);
            let index = u32::try_from(place.index(list.len())).expect("few");
            let mut bytes = prove(&list, index).expect("in the list").encode();
            let at = byte.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(forged) = crate::codec::decode::<ListProof>(&bytes, 4096) {
                prop_assert!(forged.verify(&outbox_root(&list), index, &list[index as usize]).is_err());
            }
        }
    }
}
