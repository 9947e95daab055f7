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

use super::node::{Child, ENTITY_BYTES_MAX, Leaf, Link};
use super::path::{LeafClaim, ProofError, join, same_root};
use super::prefix::NodePrefix;
use super::summary::Summary;
use crate::address::Address;
use crate::codec::{BoundedBytes, BoundedVec};
use crate::credits::Credits;
use parity_scale_codec::{Decode, Encode};
use std::sync::Arc;

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
    /// Its summary is filled in when the tree above it is rebuilt: an entity is hashed once.
    Entry {
        bytes: &'a [u8],
        credits: Credits,
        stake: Credits,
    },
}

/// What a rebuilt subtree is.
enum Rebuilt {
    /// Some of it is hidden, or no entity of it is shown.
    Known(Summary),
    /// All its entities are shown, and here are its nodes.
    Whole(Child),
}

impl Rebuilt {
    const fn summary(&self) -> &Summary {
        match self {
            Self::Known(summary) => summary,
            Self::Whole(child) => &child.summary,
        }
    }
}

/// What a verified frontier shows.
pub(super) struct Shown {
    /// Leaves by the hashes of their entities, in order.
    pub(super) claims: Vec<(Address, LeafClaim)>,
    /// The largest subtrees all of whose entities are shown, in order.
    pub(super) wholes: Vec<Child>,
}

/// Checks a frontier against a trusted root. Every shown entity is hashed once.
pub(super) fn verify<A: Asked>(
    items: &[FrontierItem],
    root: &Summary,
    asked: &A,
) -> Result<Shown, ProofError> {
    let parts = place(items)?;
    if parts.windows(2).any(|pair| pair[0].bits >= pair[1].bits) {
        return Err(ProofError::Shape {
            rule: "items stand in order of their addresses",
        });
    }
    let mut wholes = Vec::new();
    let found = if parts.is_empty() {
        Summary::EMPTY
    } else {
        let rebuilt = rebuild(&parts, 0, asked, &mut wholes)?;
        let summary = *rebuilt.summary();
        keep(rebuilt, &mut wholes);
        summary
    };
    same_root(root, &found)?;
    let claim = |part: Part<'_>| match part.kind {
        Kind::Claim(claim) => Some((part.bits, claim)),
        Kind::Hidden { .. } | Kind::Entry { .. } => None,
    };
    Ok(Shown {
        claims: parts.into_iter().filter_map(claim).collect(),
        wholes,
    })
}

/// Keeps a subtree that is whole and has no larger whole one above it.
fn keep(rebuilt: Rebuilt, wholes: &mut Vec<Child>) {
    if let Rebuilt::Whole(child) = rebuilt {
        wholes.push(child);
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
            } => parts.push(Part {
                bits: *address,
                summary: Summary::EMPTY,
                kind: Kind::Entry {
                    bytes,
                    credits: *credits,
                    stake: *stake,
                },
            }),
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

/// The subtree over `parts`, which agree on their first `below` bits. Whole subtrees that have none
/// above them go to `wholes`, from left to right. Recursion is at most 256 deep: `below` grows.
fn rebuild<A: Asked>(
    parts: &[Part<'_>],
    below: u16,
    asked: &A,
    wholes: &mut Vec<Child>,
) -> Result<Rebuilt, ProofError> {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return Err(ProofError::Shape {
            rule: "an inner node has two children",
        });
    };
    if parts.len() > 1 {
        let at = first.bits.common_bits(&last.bits);
        let ones = parts.partition_point(|part| !part.bits.bit(at));
        let left = rebuild(&parts[..ones], at + 1, asked, wholes)?;
        let before = wholes.len();
        let right = rebuild(&parts[ones..], at + 1, asked, wholes)?;
        return joined(
            NodePrefix::of(&first.bits, at),
            (left, right),
            before,
            wholes,
        );
    }
    match first.kind {
        Kind::Hidden { len } => {
            if len != below {
                return Err(ProofError::Shape {
                    rule: "a hidden child is as deep as its place",
                });
            }
            if let Some(address) = asked.within(&NodePrefix::of(&first.bits, below)) {
                return Err(ProofError::Missing { address });
            }
            Ok(Rebuilt::Known(first.summary))
        }
        Kind::Claim(_) => Ok(Rebuilt::Known(first.summary)),
        Kind::Entry {
            bytes,
            credits,
            stake,
        } => {
            let leaf = Leaf {
                bytes: Arc::from(bytes),
                credits,
                stake,
            };
            Child::leaf(first.bits, leaf)
                .map(Rebuilt::Whole)
                .map_err(|_| ProofError::Shape {
                    rule: "stake is at most credits",
                })
        }
    }
}

/// Two rebuilt halves under one node. A whole half beside one that isn't has no larger whole above it;
/// the left one's place among `wholes` is `before` those that the right half kept.
fn joined(
    prefix: NodePrefix,
    halves: (Rebuilt, Rebuilt),
    before: usize,
    wholes: &mut Vec<Child>,
) -> Result<Rebuilt, ProofError> {
    match halves {
        (Rebuilt::Whole(left), Rebuilt::Whole(right)) => Child::inner(prefix, left, right)
            .map(Rebuilt::Whole)
            .map_err(|_| ProofError::Overflow),
        (left, right) => {
            let summary = join(&prefix, left.summary(), right.summary())?;
            if let Rebuilt::Whole(child) = left {
                wholes.insert(before, child);
            }
            keep(right, wholes);
            Ok(Rebuilt::Known(summary))
        }
    }
}
