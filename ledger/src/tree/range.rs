//! Proof of all entities of an interval, to copy a state piece by piece.
//!
//! A proof covers the addresses under a prefix from a given one up to where it says that it stops.
//! It shows every entity there, so a peer can neither leave one out nor add one. Whoever copies asks
//! again from where it stopped, of any peer that has the same root; different prefixes can be copied
//! from different peers at once.

use super::frontier::{Asked, FRONTIER_ITEMS_MAX, Items, collect, verify};
use super::iter::Iter;
use super::path::ProofError;
use super::prefix::NodePrefix;
use super::summary::Summary;
use super::version::Version;
use crate::address::{Address, Prefix};
use parity_scale_codec::{Decode, Encode};

/// Proof of all entities of an interval, with the entities.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RangeProof {
    /// The first address that is not covered; `None` when the rest of the prefix is.
    next: Option<Address>,
    items: Items,
}

/// What a verified range proof shows.
#[derive(Debug, Clone)]
pub struct RangePart {
    /// The tree of all entities of the interval, and of no others. Its nodes are those of the proven tree
    /// wherever a subtree lies in the interval as a whole; [`Version::append`] joins it to the next part's.
    pub tree: Version,
    /// Where to go on; `None` at the end of the prefix.
    pub next: Option<Address>,
}

/// The addresses from `from` under `prefix` that are below `next`.
struct Interval {
    prefix: NodePrefix,
    from: Address,
    next: Option<Address>,
}

impl Interval {
    fn first(&self) -> Address {
        self.from.max(self.prefix.first())
    }

    fn is_empty(&self) -> bool {
        self.first() > self.prefix.last()
    }

    fn contains(&self, address: &Address) -> bool {
        self.within(&NodePrefix::of(address, NodePrefix::LEN_MAX))
            .is_some()
    }
}

impl Asked for Interval {
    const WITH_ENTITIES: bool = true;

    fn within(&self, region: &NodePrefix) -> Option<Address> {
        let first = region.first().max(self.first());
        let last = region.last().min(self.prefix.last());
        (first <= last && self.next.is_none_or(|next| first < next)).then_some(first)
    }
}

impl RangeProof {
    /// Most entities in one proof.
    pub const ENTRIES_MAX: usize = FRONTIER_ITEMS_MAX / 2;
    /// Bytes of a shown entity beside its encoding, at most.
    const ENTRY_OVERHEAD: usize = 72;

    pub(super) fn build(
        version: &Version,
        prefix: Prefix,
        from: Address,
        limit: usize,
        bytes_max: usize,
    ) -> Self {
        let mut interval = Interval {
            prefix: prefix.into(),
            from,
            next: None,
        };
        if interval.is_empty() {
            return Self {
                next: None,
                items: Items::new(),
            };
        }
        interval.next = Self::end(
            version,
            &interval,
            limit.clamp(1, Self::ENTRIES_MAX),
            bytes_max,
        );
        let items = collect(version.root.as_ref(), &interval);
        // At most ENTRIES_MAX entities and the siblings of two paths.
        Self {
            next: interval.next,
            items: Items::try_from(items).expect("entities and two paths fit"),
        }
    }

    /// The first entity's address that doesn't fit any more.
    fn end(
        version: &Version,
        interval: &Interval,
        limit: usize,
        bytes_max: usize,
    ) -> Option<Address> {
        let mut bytes = 0_usize;
        for (count, (address, leaf)) in version.iter_from(interval.first()).enumerate() {
            if address > interval.prefix.last() {
                return None;
            }
            bytes = bytes.saturating_add(leaf.bytes.len() + Self::ENTRY_OVERHEAD);
            if count > 0 && (count >= limit || bytes > bytes_max) {
                return Some(address);
            }
        }
        None
    }

    /// Checks the proof against `root`: the summary of a whole tree, under which `prefix` lies.
    ///
    /// Gives every entity under `prefix` from `from` on, up to where the proof says to go on; at
    /// least one when it doesn't reach the end. Hashes every entity once.
    ///
    /// # Errors
    /// [`ProofError`] when the proof is of another root, leaves an entity out or adds one.
    pub fn verify(
        &self,
        root: &Summary,
        prefix: Prefix,
        from: Address,
    ) -> Result<RangePart, ProofError> {
        let interval = Interval {
            prefix: prefix.into(),
            from,
            next: self.next,
        };
        let shape = |rule| Err(ProofError::Shape { rule });
        if interval.is_empty() {
            return Ok(RangePart {
                tree: Version::empty(),
                next: None,
            });
        }
        if self
            .next
            .is_some_and(|next| next <= interval.first() || next > interval.prefix.last())
        {
            return shape("a range goes on inside its prefix");
        }
        let shown = verify(&self.items, root, &interval)?;
        if let Some((address, _)) = shown.claims.iter().find(|(a, _)| interval.contains(a)) {
            return Err(ProofError::Missing { address: *address });
        }
        let mut tree = Version::empty();
        for whole in shown.wholes {
            // In order: whoever's first and last are inside has all inside.
            let first = Iter::starting(Some(&whole), &Address::default()).next();
            let last = whole.last();
            if first.is_none_or(|(first, _)| !interval.contains(&first))
                || !interval.contains(&last)
            {
                return shape("entities outside the interval are not sent");
            }
            let next = Version { root: Some(whole) };
            tree = tree.append(&next).map_err(|_| ProofError::Overflow)?;
        }
        if tree.root.is_none() && self.next.is_some() {
            return shape("a range that goes on shows an entity");
        }
        Ok(RangePart {
            tree,
            next: self.next,
        })
    }
}
