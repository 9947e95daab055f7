//! What a subtree is known by, and the one rule that joins two of them.

use super::prefix::NodePrefix;
use crate::address::Address;
use crate::credits::Credits;
use crate::hash::{Domain, Hash};
use parity_scale_codec::{
    Compact, Decode, Encode, EncodeLike, Error, Input, MaxEncodedLen, Output,
};

/// What a subtree is known by: 33 to 75 bytes of SCALE (hash, then compact sums).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Summary {
    /// The hash of the subtree's node; zero when it is empty.
    pub hash: Hash,
    /// Everything that the entities below hold.
    pub credits: Credits,
    /// The part of the credits that is active stake.
    pub stake: Credits,
    /// Number of leaves.
    pub entities: u64,
}

/// Why a change of the tree is refused. The tree is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A sum of credits, stake or entities leaves its range.
    #[error("the sums below {prefix} are too large")]
    Overflow {
        /// The node whose sums don't fit.
        prefix: NodePrefix,
    },
    /// One batch changes an address twice.
    #[error("{address} is changed twice in one batch")]
    Duplicate {
        /// Which.
        address: Address,
    },
    /// A tree that is appended begins before the end of the one that it is appended to.
    #[error("the tree at {address} does not stand behind the other")]
    Order {
        /// Where the appended tree begins.
        address: Address,
    },
    /// A leaf claims more stake than credits.
    #[error("{address} has a stake of {stake} but holds only {credits}")]
    StakeAboveCredits {
        /// Which leaf.
        address: Address,
        /// Its credits.
        credits: Credits,
        /// Its stake.
        stake: Credits,
    },
    /// An entity's encoding is too long to be proven.
    #[error("the entity at {address} has {found} bytes, at most {max} are allowed")]
    EntityTooLong {
        /// Which leaf.
        address: Address,
        /// Its bytes.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
}

impl Summary {
    /// The summary of nothing.
    pub const EMPTY: Self = Self {
        hash: Hash::ZERO,
        credits: Credits::ZERO,
        stake: Credits::ZERO,
        entities: 0,
    };

    /// Whether nothing is below.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// Whether this can be the summary of a tree that is not empty.
    pub(super) fn is_occupied(&self) -> bool {
        self.entities > 0 && self.hash != Hash::ZERO && self.stake <= self.credits
    }

    /// The summary of the leaf at `address`. Stake is not compared with credits here.
    pub(super) fn of_leaf(
        address: &Address,
        entity: &Hash,
        credits: Credits,
        stake: Credits,
    ) -> Self {
        let mut bytes = [0; 96];
        bytes[..32].copy_from_slice(&address.0);
        bytes[32..64].copy_from_slice(&entity.0);
        bytes[64..80].copy_from_slice(&credits.get().to_le_bytes());
        bytes[80..].copy_from_slice(&stake.get().to_le_bytes());
        Self {
            hash: Hash::of_bytes(Domain::TreeLeaf, &bytes),
            credits,
            stake,
            entities: 1,
        }
    }

    /// The summary of the inner node at `prefix` over two children that are not empty.
    pub(super) fn of_inner(
        prefix: &NodePrefix,
        left: &Self,
        right: &Self,
    ) -> Result<Self, TreeError> {
        let overflow = || TreeError::Overflow { prefix: *prefix };
        let credits = left.credits.add(right.credits).map_err(|_| overflow())?;
        let stake = left.stake.add(right.stake).map_err(|_| overflow())?;
        let entities = left
            .entities
            .checked_add(right.entities)
            .ok_or_else(overflow)?;
        let mut preimage = Preimage::new();
        preimage.prefix(prefix);
        preimage.summary(left);
        preimage.summary(right);
        Ok(Self {
            hash: Hash::of_bytes(Domain::TreeInner, preimage.as_bytes()),
            credits,
            stake,
            entities,
        })
    }
}

/// What the hash of an inner node covers.
///
/// The length of its prefix (two bytes, little-endian), the bytes that hold the prefix's bits, and of
/// both children hash, credits, stake and entities. A number is the count of its bytes, then those
/// bytes, little-endian, as few as hold it. So two different nodes never have the same bytes, and
/// those of a usual node fill two blocks of BLAKE3 instead of three.
struct Preimage {
    bytes: [u8; Self::BYTES_MAX + Self::NUMBER_BYTES],
    len: usize,
}

impl Preimage {
    /// Longest encoding of a number, without its count.
    const NUMBER_BYTES: usize = 16;
    const BYTES_MAX: usize = 2 + 32 + 2 * (32 + 2 * (1 + Self::NUMBER_BYTES) + (1 + 8));

    const fn new() -> Self {
        Self {
            bytes: [0; Self::BYTES_MAX + Self::NUMBER_BYTES],
            len: 0,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Adds the first `len` of `bytes`. All of them are copied, since a copy of fixed length costs
    /// less; what comes next overwrites the rest, for which there is room at the end.
    fn put<const N: usize>(&mut self, bytes: &[u8; N], len: usize) {
        self.bytes[self.len..self.len + N].copy_from_slice(bytes);
        self.len += len;
    }

    fn prefix(&mut self, prefix: &NodePrefix) {
        self.put(&prefix.len().to_le_bytes(), 2);
        self.put(&prefix.first().0, usize::from(prefix.len().div_ceil(8)));
    }

    fn number(&mut self, number: u128) {
        let bits = u128::BITS - number.leading_zeros();
        // At most 16.
        let count = bits.div_ceil(8) as u8;
        self.put(&[count], 1);
        self.put(&number.to_le_bytes(), usize::from(count));
    }

    fn summary(&mut self, summary: &Summary) {
        self.put(&summary.hash.0, 32);
        self.number(summary.credits.get());
        self.number(summary.stake.get());
        self.number(u128::from(summary.entities));
    }
}

/// Joins the two halves of the subtree at `prefix`: the half whose next bit is 0 is `left`.
///
/// When one half is empty the result is the other, so it doesn't matter at which prefixes a tree
/// was divided. The only rule by which neighbourhoods merge, split and report upwards.
///
/// # Errors
/// [`TreeError::Overflow`] when a sum doesn't fit.
pub fn combine(
    prefix: impl Into<NodePrefix>,
    left: &Summary,
    right: &Summary,
) -> Result<Summary, TreeError> {
    if left.is_empty() {
        return Ok(*right);
    }
    if right.is_empty() {
        return Ok(*left);
    }
    Summary::of_inner(&prefix.into(), left, right)
}

impl Encode for Summary {
    fn size_hint(&self) -> usize {
        48
    }
    fn encode_to<W: Output + ?Sized>(&self, dest: &mut W) {
        self.hash.encode_to(dest);
        Compact(self.credits.get()).encode_to(dest);
        Compact(self.stake.get()).encode_to(dest);
        Compact(self.entities).encode_to(dest);
    }
}

impl EncodeLike for Summary {}

impl Decode for Summary {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let hash = Hash::decode(input)?;
        let credits = Credits::new(Compact::<u128>::decode(input)?.0);
        let stake = Credits::new(Compact::<u128>::decode(input)?.0);
        let entities = Compact::<u64>::decode(input)?.0;
        if stake > credits {
            return Err("more stake than credits".into());
        }
        Ok(Self {
            hash,
            credits,
            stake,
            entities,
        })
    }
}

impl MaxEncodedLen for Summary {
    fn max_encoded_len() -> usize {
        32 + 2 * Compact::<u128>::max_encoded_len() + Compact::<u64>::max_encoded_len()
    }
}
