//! One state of the tree, immutable and shared.

use super::apply::{append, apply};
use super::draw::{DrawProof, draw_point};
use super::iter::Iter;
use super::multi::MultiProof;
use super::node::{Change, Child, Leaf, Link};
use super::path::PathProof;
use super::range::RangeProof;
use super::summary::{Summary, TreeError};
use crate::address::{Address, Prefix};
use crate::credits::Credits;
use crate::hash::Hash;

/// One state of the tree. Cloning shares everything and costs one reference count.
#[derive(Clone, Default)]
pub struct Version {
    pub(super) root: Option<Child>,
}

impl Version {
    /// The tree without entities.
    #[must_use]
    pub const fn empty() -> Self {
        Self { root: None }
    }

    /// The root's summary.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.root
            .as_ref()
            .map_or(Summary::EMPTY, |root| root.summary)
    }

    /// The entity at `address`. O(depth), about log₂ of the number of entities.
    #[must_use]
    pub fn get(&self, address: &Address) -> Option<&Leaf> {
        let mut here = self.root.as_ref()?;
        loop {
            match &here.link {
                Link::Leaf(node) => return (node.address == *address).then_some(&node.leaf),
                // A wrong turn past a compressed path ends at a leaf with another address.
                Link::Inner(node) => here = node.half(address.bit(node.prefix.len())),
            }
        }
    }

    /// The next version: all of `changes`, in any order, or none. This version stays as it is.
    ///
    /// One descent for the whole batch; nodes that it doesn't touch are shared and not hashed.
    ///
    /// # Errors
    /// [`TreeError`] when an address comes twice, a leaf has more stake than credits or too many
    /// bytes, or a sum doesn't fit.
    pub fn apply(&self, changes: Vec<Change>) -> Result<Self, TreeError> {
        Ok(Self {
            root: apply(self.root.as_ref(), changes)?,
        })
    }

    /// The tree of this one's entities and those of `after`, which all stand behind them. O(depth).
    ///
    /// # Errors
    /// [`TreeError`] when they don't, or a sum doesn't fit.
    pub fn append(&self, after: &Self) -> Result<Self, TreeError> {
        let root = match (&self.root, &after.root) {
            (Some(left), Some(right)) => Some(append(left, right)?),
            (one, other) => one.as_ref().or(other.as_ref()).cloned(),
        };
        Ok(Self { root })
    }

    /// The tree of the entities under `prefix` alone; its nodes are shared. O(prefix length).
    #[must_use]
    pub fn under(&self, prefix: Prefix) -> Self {
        let prefix = super::NodePrefix::from(prefix);
        let mut here = self.root.as_ref();
        while let Some(child) = here {
            let own = child.prefix();
            if own.len() >= prefix.len() {
                let root = prefix.contains(&own.first()).then(|| child.clone());
                return Self { root };
            }
            here = match &child.link {
                Link::Inner(node) if own.contains(&prefix.first()) => {
                    Some(node.half(prefix.first().bit(own.len())))
                }
                _ => None,
            };
        }
        Self::empty()
    }

    /// Proves what is at `address`: its entity, or that there is none. About 50 bytes a level.
    #[must_use]
    pub fn prove(&self, address: &Address) -> PathProof {
        PathProof::build(self.root.as_ref(), address)
    }

    /// Proves what is at each of `addresses`, in any order, with what their paths share only once.
    #[must_use]
    pub fn prove_many(&self, addresses: &[Address]) -> MultiProof {
        MultiProof::build(self.root.as_ref(), addresses)
    }

    /// Draws an entity with a chance in proportion to its stake; `None` when there is no stake.
    ///
    /// The entity that holds the `⌊random · stake / 2^256⌋`-th unit of stake, counted in order of
    /// the addresses. O(depth).
    #[must_use]
    pub fn draw(&self, random: &Hash) -> Option<Address> {
        let mut here = self.root.as_ref()?;
        let mut point = draw_point(random, here.summary.stake)?;
        loop {
            match &here.link {
                Link::Leaf(node) => return Some(node.address),
                Link::Inner(node) => {
                    let left = node.left.summary.stake;
                    match point.sub(left) {
                        Ok(rest) => (point, here) = (rest, &node.right),
                        Err(_) => here = &node.left,
                    }
                }
            }
        }
    }

    /// The draw with its proof; `None` when there is no stake.
    #[must_use]
    pub fn prove_draw(&self, random: &Hash) -> Option<DrawProof> {
        let address = self.draw(random)?;
        Some(DrawProof {
            address,
            path: self.prove(&address),
        })
    }

    /// Proves all entities under `prefix` from address `from` on, in order, as many as fit.
    ///
    /// At most `limit` entities with at most `bytes_max` encoded bytes together, but at least one
    /// where there is one. The proof says where to go on.
    #[must_use]
    pub fn range(
        &self,
        prefix: Prefix,
        from: Address,
        limit: usize,
        bytes_max: usize,
    ) -> RangeProof {
        RangeProof::build(self, prefix, from, limit, bytes_max)
    }

    /// All entities in order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (Address, &Leaf)> {
        self.iter_from(Address::default())
    }

    /// The entities from address `from` on, in order. O(depth) to start.
    #[must_use]
    pub fn iter_from(&self, from: Address) -> Iter<'_> {
        Iter::starting(self.root.as_ref(), &from)
    }

    /// The summary of the part of the tree under `prefix`. O(prefix length).
    #[must_use]
    pub fn summary_under(&self, prefix: Prefix) -> Summary {
        self.under(prefix).summary()
    }

    /// All credits in the tree.
    #[must_use]
    pub fn credits(&self) -> Credits {
        self.summary().credits
    }
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Version").field(&self.summary()).finish()
    }
}
