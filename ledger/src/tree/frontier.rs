//! A part of the tree, and the rest by summaries: the shape of multi and range proofs.
//!
//! A frontier lists, in order of the addresses, the leaves that it shows and the subtrees that it
//! hides; together they are the whole tree. Since the compressed tree over a list of places is
//! unique, the inner nodes need not be sent: neighbouring items join where their bits part.
//!
//! A hidden subtree's place is not believed. Its region is what the inner nodes above it, which the
//! root's hash commits to, leave for it; it may hide nothing that was asked. A node whose region
//! reaches into what was asked while all its entities are outside is *split*: its own prefix is
//! shown, and both its children are hidden.
//!
//! A hidden subtree is sent as the bit `at` which its parent divides, and its side; the bits before
//! are those of its neighbour on the parent's other side, which stands next to it in the list.

use super::node::{Child, ENTITY_BYTES_MAX, Link};
use super::path::{LeafClaim, ProofError, join, same_root};
use super::prefix::NodePrefix;
use super::summary::Summary;
use crate::address::Address;
use crate::codec::{BoundedBytes, BoundedVec};
use crate::credits::Credits;
use crate::hash::{Domain, Hash};
use parity_scale_codec::{Decode, Encode};

/// Most items of one proof; a longer one doesn't decode.
pub const FRONTIER_ITEMS_MAX: usize = 1 << 18;

/// An item of a multi or range proof.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FrontierItem {
    /// A hidden left child; its parent's right child follows.
    #[codec(index = 0)]
    Left {
        /// Length of the parent's prefix.
        at: u8,
        /// The hidden subtree.
        summary: Summary,
    },
    /// A hidden right child; its parent's left child stands before.
    #[codec(index = 1)]
    Right {
        /// Length of the parent's prefix.
        at: u8,
        /// The hidden subtree.
        summary: Summary,
    },
    /// An inner node with both children hidden.
    #[codec(index = 2)]
    Split {
        /// The node's prefix, at most 255 bits.
        prefix: NodePrefix,
        /// Its left child.
        left: Summary,
        /// Its right child.
        right: Summary,
    },
    /// A leaf, by the hash of its entity.
    #[codec(index = 3)]
    Claim {
        /// The leaf's address.
        address: Address,
        /// What is there.
        claim: LeafClaim,
    },
    /// A leaf with its entity.
    #[codec(index = 4)]
    Entry {
        /// The leaf's address.
        address: Address,
        /// The encoded entity.
        bytes: BoundedBytes<ENTITY_BYTES_MAX>,
        /// What the entity holds.
        credits: Credits,
        /// The part of it that is active stake.
        stake: Credits,
    },
}

/// What a frontier must show. The prover and the verifier ask the same.
pub(super) trait Asked {
    /// The first address of `region` that is asked, if one is.
    fn within(&self, region: &NodePrefix) -> Option<Address>;
    /// Whether asked leaves are shown with their entities.
    const WITH_ENTITIES: bool;
}

/// The list of items.
pub(super) type Items = BoundedVec<FrontierItem, FRONTIER_ITEMS_MAX>;

/// Lists what is asked of the tree and the summaries of the rest.
pub(super) fn collect<A: Asked>(root: Option<&Child>, asked: &A) -> Vec<FrontierItem> {
    let mut items = Vec::new();
    if let Some(root) = root {
        show(root, asked, &mut items);
    }
    items
}

/// Shows a subtree in whose region something is asked.
fn show<A: Asked>(child: &Child, asked: &A, items: &mut Vec<FrontierItem>) {
    match &child.link {
        Link::Leaf(node) => {
            let (address, leaf) = (node.address, &node.leaf);
            let (credits, stake) = (leaf.credits, leaf.stake);
            items.push(
                if A::WITH_ENTITIES && asked.within(&child.prefix()).is_some() {
                    let bytes = BoundedVec::try_from(leaf.bytes.to_vec())
                        .expect("the tree holds no longer entities");
                    FrontierItem::Entry {
                        address,
                        bytes,
                        credits,
                        stake,
                    }
                } else {
                    FrontierItem::Claim {
                        address,
                        claim: LeafClaim {
                            entity: leaf.entity_hash(),
                            credits,
                            stake,
                        },
                    }
                },
            );
        }
        Link::Inner(node) => {
            let prefix = node.prefix;
            if asked.within(&prefix).is_none() {
                let (left, right) = (node.left.summary, node.right.summary);
                items.push(FrontierItem::Split {
                    prefix,
                    left,
                    right,
                });
                return;
            }
            let at = u8::try_from(prefix.len()).unwrap_or(u8::MAX);
            for bit in [false, true] {
                let half = node.half(bit);
                if asked.within(&prefix.half(bit)).is_some() {
                    show(half, asked, items);
                } else if bit {
                    items.push(FrontierItem::Right {
                        at,
                        summary: half.summary,
                    });
                } else {
                    items.push(FrontierItem::Left {
                        at,
                        summary: half.summary,
                    });
                }
            }
        }
    }
}

/// An item with its place known.
struct Part<'a> {
    bits: Address,
    summary: Summary,
    kind: Kind<'a>,
}

enum Kind<'a> {
    /// A hidden subtree under a prefix of `len` bits.
    Hidden {
        len: u16,
    },
    Claim(LeafClaim),
    Entry(&'a [u8]),
}

/// A leaf that a verified frontier shows.
pub(super) enum Shown<'a> {
    Claim(LeafClaim),
    Entry(&'a [u8], LeafClaim),
}

/// Checks a frontier against a trusted root and gives its leaves in order.
pub(super) fn verify<'a, A: Asked>(
    items: &'a [FrontierItem],
    root: &Summary,
    asked: &A,
) -> Result<Vec<(Address, Shown<'a>)>, ProofError> {
    let parts = place(items)?;
    if parts.windows(2).any(|pair| pair[0].bits >= pair[1].bits) {
        return Err(ProofError::Shape {
            rule: "items stand in order of their addresses",
        });
    }
    let found = if parts.is_empty() {
        Summary::EMPTY
    } else {
        rebuild(&parts, 0, asked)?
    };
    same_root(root, &found)?;
    Ok(parts.into_iter().filter_map(Part::shown).collect())
}

impl<'a> Part<'a> {
    fn shown(self) -> Option<(Address, Shown<'a>)> {
        match self.kind {
            Kind::Hidden { .. } => None,
            Kind::Claim(claim) => Some((self.bits, Shown::Claim(claim))),
            Kind::Entry(bytes) => {
                let Summary { credits, stake, .. } = self.summary;
                let claim = LeafClaim {
                    entity: Hash::of_bytes(Domain::Entity, bytes),
                    credits,
                    stake,
                };
                Some((self.bits, Shown::Entry(bytes, claim)))
            }
        }
    }
}

/// Finds the place of every item, from its neighbours where it doesn't say itself.
fn place(items: &[FrontierItem]) -> Result<Vec<Part<'_>>, ProofError> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    // Left children whose place follows from what comes after them.
    let mut waiting: Vec<(usize, u16)> = Vec::new();
    for item in items {
        let first = parts.len();
        match item {
            FrontierItem::Left { at, summary } => {
                waiting.push((first, u16::from(*at)));
                parts.push(hidden(Address::default(), u16::from(*at) + 1, *summary));
                continue;
            }
            FrontierItem::Right { at, summary } => {
                let before = parts.last().ok_or(ProofError::Shape {
                    rule: "a right child has a sibling",
                })?;
                if !waiting.is_empty() {
                    return Err(ProofError::Shape {
                        rule: "two hidden siblings are sent as a split node",
                    });
                }
                let at = u16::from(*at);
                let bits = NodePrefix::of(&before.bits, at).half(true).first();
                parts.push(hidden(bits, at + 1, *summary));
            }
            FrontierItem::Split {
                prefix,
                left,
                right,
            } => {
                if prefix.len() >= NodePrefix::LEN_MAX {
                    return Err(ProofError::Shape {
                        rule: "an inner node is above two leaves",
                    });
                }
                for (bit, summary) in [(false, left), (true, right)] {
                    parts.push(hidden(prefix.half(bit).first(), prefix.len() + 1, *summary));
                }
            }
            FrontierItem::Claim { address, claim } => {
                let summary = claim.summary(address)?;
                parts.push(Part {
                    bits: *address,
                    summary,
                    kind: Kind::Claim(*claim),
                });
            }
            FrontierItem::Entry {
                address,
                bytes,
                credits,
                stake,
            } => {
                let claim = LeafClaim {
                    entity: Hash::of_bytes(Domain::Entity, bytes),
                    credits: *credits,
                    stake: *stake,
                };
                let summary = claim.summary(address)?;
                parts.push(Part {
                    bits: *address,
                    summary,
                    kind: Kind::Entry(bytes),
                });
            }
        }
        let anchor = parts[first].bits;
        for (index, at) in waiting.drain(..) {
            parts[index].bits = NodePrefix::of(&anchor, at).half(false).first();
        }
    }
    if waiting.is_empty() {
        Ok(parts)
    } else {
        Err(ProofError::Shape {
            rule: "a left child has a sibling",
        })
    }
}

const fn hidden<'a>(bits: Address, len: u16, summary: Summary) -> Part<'a> {
    Part {
        bits,
        summary,
        kind: Kind::Hidden { len },
    }
}

/// The summary of the subtree over `parts`, which agree on their first `below` bits. Recursion is at
/// most 256 deep: `below` grows.
fn rebuild<A: Asked>(parts: &[Part<'_>], below: u16, asked: &A) -> Result<Summary, ProofError> {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return Err(ProofError::Shape {
            rule: "an inner node has two children",
        });
    };
    if parts.len() > 1 {
        let at = first.bits.common_bits(&last.bits);
        let ones = parts.partition_point(|part| !part.bits.bit(at));
        let left = rebuild(&parts[..ones], at + 1, asked)?;
        let right = rebuild(&parts[ones..], at + 1, asked)?;
        return join(&NodePrefix::of(&first.bits, at), &left, &right);
    }
    if let Kind::Hidden { len } = first.kind {
        if len != below {
            return Err(ProofError::Shape {
                rule: "a hidden child is as deep as its place",
            });
        }
        if let Some(address) = asked.within(&NodePrefix::of(&first.bits, below)) {
            return Err(ProofError::Missing { address });
        }
    }
    Ok(first.summary)
}
