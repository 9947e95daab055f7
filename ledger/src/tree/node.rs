//! Nodes in memory: shared, never changed.
//!
//! A parent holds its children's summaries, so that hashing it again after a change of one child
//! doesn't touch the other. 256 bytes an inner node, about 100 and the entity a leaf.

use super::prefix::NodePrefix;
use super::shared::SharedNode;
use super::summary::{Summary, TreeError};
use crate::address::Address;
use crate::credits::Credits;
use crate::hash::{Domain, Hash};
use std::sync::Arc;

/// Longest encoding of one entity, in bytes. Proofs with longer ones don't decode.
pub const ENTITY_BYTES_MAX: usize = 256 * 1024;

/// An entity as the tree sees it: its encoding, and the two sums that it adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The encoded entity, at most [`ENTITY_BYTES_MAX`] bytes.
    pub bytes: Arc<[u8]>,
    /// Everything that the entity holds.
    pub credits: Credits,
    /// The part of it that is active stake, at most `credits`.
    pub stake: Credits,
}

impl Leaf {
    /// The hash of the entity.
    #[must_use]
    pub fn entity_hash(&self) -> Hash {
        Hash::of_bytes(Domain::Entity, &self.bytes)
    }
}

/// One change of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub address: Address,
    /// What is there from now on; `None` deletes, also where nothing is.
    pub leaf: Option<Leaf>,
}

#[derive(Debug)]
pub(super) struct LeafNode {
    pub(super) address: Address,
    pub(super) leaf: Leaf,
}

#[derive(Debug)]
pub(super) struct InnerNode {
    pub(super) prefix: NodePrefix,
    pub(super) left: Child,
    pub(super) right: Child,
}

#[derive(Debug, Clone)]
pub(super) enum Link {
    Leaf(Arc<LeafNode>),
    Inner(SharedNode),
}

/// A subtree that is not empty.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) summary: Summary,
    pub(super) link: Link,
}

impl InnerNode {
    pub(super) const fn half(&self, bit: bool) -> &Child {
        if bit { &self.right } else { &self.left }
    }
}

impl Child {
    pub(super) fn leaf(address: Address, leaf: Leaf) -> Result<Self, TreeError> {
        let Leaf { credits, stake, .. } = leaf;
        if stake > credits {
            return Err(TreeError::StakeAboveCredits {
                address,
                credits,
                stake,
            });
        }
        if leaf.bytes.len() > ENTITY_BYTES_MAX {
            let found = leaf.bytes.len();
            return Err(TreeError::EntityTooLong {
                address,
                found,
                max: ENTITY_BYTES_MAX,
            });
        }
        let summary = Summary::of_leaf(&address, &leaf.entity_hash(), credits, stake);
        Ok(Self {
            summary,
            link: Link::Leaf(Arc::new(LeafNode { address, leaf })),
        })
    }

    /// The node that joins two subtrees at `prefix`; the other one when one is empty.
    pub(super) fn join(
        prefix: NodePrefix,
        left: Option<Self>,
        right: Option<Self>,
    ) -> Result<Option<Self>, TreeError> {
        match (left, right) {
            (Some(left), Some(right)) => Self::inner(prefix, left, right).map(Some),
            (one, other) => Ok(one.or(other)),
        }
    }

    /// The node over two subtrees that aren't empty.
    pub(super) fn inner(prefix: NodePrefix, left: Self, right: Self) -> Result<Self, TreeError> {
        let summary = Summary::of_inner(&prefix, &left.summary, &right.summary)?;
        Ok(Self {
            summary,
            link: Link::Inner(SharedNode::new(InnerNode {
                prefix,
                left,
                right,
            })),
        })
    }

    /// The last address below.
    pub(super) fn last(&self) -> Address {
        let mut here = self;
        loop {
            match &here.link {
                Link::Leaf(node) => return node.address,
                Link::Inner(node) => here = &node.right,
            }
        }
    }

    /// The node's own prefix; a leaf's is its address.
    pub(super) fn prefix(&self) -> NodePrefix {
        match &self.link {
            Link::Leaf(node) => NodePrefix::of(&node.address, NodePrefix::LEN_MAX),
            Link::Inner(node) => node.prefix,
        }
    }
}
