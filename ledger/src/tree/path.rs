//! Proof of what is at one address, against the root's summary.
//!
//! The path's inner nodes are given from the root down by the length of their prefix and the
//! summary of the child that the path doesn't take. Their bits are the address's own, so a node off
//! the path can't be stated. At the end stands the leaf, or what excludes it: an empty tree,
//! another leaf, or an inner node whose prefix the address doesn't have.

use super::node::{Child, Link};
use super::prefix::NodePrefix;
use super::summary::Summary;
use crate::address::Address;
use crate::codec::BoundedVec;
use crate::credits::Credits;
use crate::hash::{Domain, Hash};
use parity_scale_codec::{Decode, Encode};

/// Most inner nodes on a path.
const STEPS_MAX: usize = 256;

/// Why a proof is not accepted. A peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The proof belongs to another root, or one of its parts is altered.
    #[error("the proof leads to the root {found}, not to {expected}")]
    Root {
        /// The root it was checked against.
        expected: Hash,
        /// The root that it gives.
        found: Hash,
    },
    /// The proof's nodes can't be nodes of one tree.
    #[error("the proof is not a part of a tree: {rule}")]
    Shape {
        /// The rule that is broken.
        rule: &'static str,
    },
    /// The proof leaves out something that was asked.
    #[error("the proof says nothing about {address}")]
    Missing {
        /// The first address that is left out.
        address: Address,
    },
    /// The sums don't fit into their types.
    #[error("the proof's sums are too large")]
    Overflow,
    /// The path ends at an entity that the random number doesn't draw.
    #[error("{address} is not drawn by this number")]
    NotDrawn {
        /// Whom the proof names.
        address: Address,
    },
}

/// What a proof says about one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct LeafClaim {
    /// The hash of the encoded entity.
    pub entity: Hash,
    /// What the entity holds.
    pub credits: Credits,
    /// The part of it that is active stake.
    pub stake: Credits,
}

impl LeafClaim {
    /// Whether these are the entity's bytes.
    #[must_use]
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        Hash::of_bytes(Domain::Entity, bytes) == self.entity
    }

    pub(super) fn summary(&self, address: &Address) -> Result<Summary, ProofError> {
        if self.stake > self.credits {
            return Err(ProofError::Shape {
                rule: "stake is at most credits",
            });
        }
        Ok(Summary::of_leaf(
            address,
            &self.entity,
            self.credits,
            self.stake,
        ))
    }
}

/// One inner node of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct PathStep {
    /// Length of the node's prefix in bits; its bits are those of the proven address.
    pub len: u8,
    /// The child that the path doesn't take.
    pub sibling: Summary,
}

/// Where a path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum PathEnd {
    /// The tree is empty.
    #[codec(index = 0)]
    Empty,
    /// The entity is here.
    #[codec(index = 1)]
    Leaf(LeafClaim),
    /// Another entity is alone in the place where this one would be.
    #[codec(index = 2)]
    OtherLeaf {
        /// Its address.
        address: Address,
        /// Its hash and sums.
        claim: LeafClaim,
    },
    /// A node stands there that the address doesn't belong under.
    #[codec(index = 3)]
    OtherInner {
        /// The node's prefix.
        prefix: NodePrefix,
        /// Its left child.
        left: Summary,
        /// Its right child.
        right: Summary,
    },
}

/// Proof of what is at one address: at most 256 steps, 24 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PathProof {
    /// Inner nodes from the root down.
    pub steps: BoundedVec<PathStep, STEPS_MAX>,
    /// What is below the last of them.
    pub end: PathEnd,
}

impl PathProof {
    pub(super) fn build(root: Option<&Child>, address: &Address) -> Self {
        let mut steps = Vec::new();
        let mut here = root;
        let end = loop {
            let Some(child) = here else {
                break PathEnd::Empty;
            };
            match &child.link {
                Link::Leaf(node) => {
                    let Summary { credits, stake, .. } = child.summary;
                    let claim = LeafClaim {
                        entity: node.leaf.entity_hash(),
                        credits,
                        stake,
                    };
                    break if node.address == *address {
                        PathEnd::Leaf(claim)
                    } else {
                        PathEnd::OtherLeaf {
                            address: node.address,
                            claim,
                        }
                    };
                }
                Link::Inner(node) if node.prefix.contains(address) => {
                    let bit = address.bit(node.prefix.len());
                    // An inner node's prefix is at most 255 bits: below it stand two leaves.
                    let len = u8::try_from(node.prefix.len()).unwrap_or(u8::MAX);
                    steps.push(PathStep {
                        len,
                        sibling: node.half(!bit).summary,
                    });
                    here = Some(node.half(bit));
                }
                Link::Inner(node) => {
                    let (left, right) = (node.left.summary, node.right.summary);
                    break PathEnd::OtherInner {
                        prefix: node.prefix,
                        left,
                        right,
                    };
                }
            }
        };
        let steps = BoundedVec::try_from(steps)
            .expect("prefixes lengthen, so a path has at most 256 nodes");
        Self { steps, end }
    }

    /// Checks the proof and says what is at `address`: `None` when nothing is.
    ///
    /// `root` is a summary that the caller trusts, all of it. Costs one hash a step.
    ///
    /// # Errors
    /// [`ProofError`] when the proof isn't one of this address under this root.
    pub fn verify(
        &self,
        root: &Summary,
        address: &Address,
    ) -> Result<Option<LeafClaim>, ProofError> {
        let below = self.steps.last().map_or(0, |step| u16::from(step.len) + 1);
        if self.steps.windows(2).any(|pair| pair[0].len >= pair[1].len) {
            return Err(ProofError::Shape {
                rule: "prefixes lengthen on the way down",
            });
        }
        let (mut summary, claim) = self.end.summary(address, below)?;
        if summary.is_empty() && !self.steps.is_empty() {
            return Err(ProofError::Shape {
                rule: "both children of an inner node are occupied",
            });
        }
        for step in self.steps.iter().rev() {
            let len = u16::from(step.len);
            let prefix = NodePrefix::of(address, len);
            summary = if address.bit(len) {
                join(&prefix, &step.sibling, &summary)?
            } else {
                join(&prefix, &summary, &step.sibling)?
            };
        }
        same_root(root, &summary)?;
        Ok(claim)
    }

    /// As [`PathProof::verify`], and checks that `bytes` are the entity's.
    ///
    /// # Errors
    /// [`ProofError`] also when there is no entity or another.
    pub fn verify_entity(
        &self,
        root: &Summary,
        address: &Address,
        bytes: &[u8],
    ) -> Result<LeafClaim, ProofError> {
        match self.verify(root, address)? {
            Some(claim) if claim.is_of(bytes) => Ok(claim),
            Some(_) => Err(ProofError::Shape {
                rule: "the entity has the hash that the leaf names",
            }),
            None => Err(ProofError::Missing { address: *address }),
        }
    }
}

impl PathEnd {
    /// The summary of the subtree in which the path ends, all of which agrees with `address` on the
    /// first `below` bits, and what it says about `address`.
    fn summary(
        &self,
        address: &Address,
        below: u16,
    ) -> Result<(Summary, Option<LeafClaim>), ProofError> {
        match self {
            Self::Empty => Ok((Summary::EMPTY, None)),
            Self::Leaf(claim) => Ok((claim.summary(address)?, Some(*claim))),
            Self::OtherLeaf {
                address: other,
                claim,
            } => {
                let common = other.common_bits(address);
                if common < below || common == NodePrefix::LEN_MAX {
                    return Err(ProofError::Shape {
                        rule: "the other leaf stands in the address's place",
                    });
                }
                Ok((claim.summary(other)?, None))
            }
            Self::OtherInner {
                prefix,
                left,
                right,
            } => {
                let common = prefix.first().common_bits(address);
                if common < below || common >= prefix.len() || prefix.len() >= NodePrefix::LEN_MAX {
                    return Err(ProofError::Shape {
                        rule: "the other node stands in the address's place",
                    });
                }
                Ok((join(prefix, left, right)?, None))
            }
        }
    }
}

/// The inner node over two children that a peer states.
pub(super) fn join(
    prefix: &NodePrefix,
    left: &Summary,
    right: &Summary,
) -> Result<Summary, ProofError> {
    if !left.is_occupied() || !right.is_occupied() {
        return Err(ProofError::Shape {
            rule: "both children of an inner node are occupied",
        });
    }
    Summary::of_inner(prefix, left, right).map_err(|_| ProofError::Overflow)
}

/// Compares the whole summary, not the hash alone.
pub(super) fn same_root(expected: &Summary, found: &Summary) -> Result<(), ProofError> {
    if expected == found {
        return Ok(());
    }
    Err(ProofError::Root {
        expected: expected.hash,
        found: found.hash,
    })
}
