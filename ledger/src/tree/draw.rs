//! The stake-weighted draw and its proof.
//!
//! Every unit of stake has a number, counted in order of the addresses. A random number points at
//! one unit; its holder is drawn. The path to the holder shows, by the sums of the subtrees that it
//! leaves to its left, that the unit is the holder's.

use super::path::{LeafClaim, PathProof, ProofError};
use super::summary::Summary;
use crate::address::Address;
use crate::credits::Credits;
use crate::hash::Hash;
use parity_scale_codec::{Decode, Encode};

/// `⌊random · stake / 2^256⌋`, `random` read as a big-endian number; `None` without stake.
///
/// Every result below `stake`; the chances of two units differ by less than 2^-128.
#[must_use]
pub fn draw_point(random: &Hash, stake: Credits) -> Option<Credits> {
    if stake.is_zero() {
        return None;
    }
    let mut halves = random.0.chunks_exact(16).map(|half| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(half);
        u128::from_be_bytes(bytes)
    });
    let (high, low) = (halves.next().unwrap_or(0), halves.next().unwrap_or(0));
    // (high · 2^128 + low) · stake / 2^256 = (high · stake + ⌊low · stake / 2^128⌋) / 2^128
    let (carried, _) = multiply(low, stake.get());
    let (point, rest) = multiply(high, stake.get());
    // The whole product is below stake · 2^256, so the carry can't overflow.
    Some(Credits::new(
        point + u128::from(rest.checked_add(carried).is_none()),
    ))
}

/// The 256-bit product, upper half first.
fn multiply(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a_high, a_low, b_high, b_low) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let low = a_low * b_low;
    // Below 2^128: (2^64 - 1)^2 + 2^64 - 1 < 2^128.
    let cross = a_high * b_low + (low >> 64);
    let other = a_low * b_high + (cross & LOW);
    (
        a_high * b_high + (cross >> 64) + (other >> 64),
        other << 64 | low & LOW,
    )
}

/// Proof of one draw.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DrawProof {
    /// Who is drawn.
    pub address: Address,
    /// The path to its entity.
    pub path: PathProof,
}

impl DrawProof {
    /// Checks that `random` draws [`DrawProof::address`] from the tree of `root`.
    ///
    /// # Errors
    /// [`ProofError`] when the path doesn't hold or leads to another than the one drawn.
    pub fn verify(&self, root: &Summary, random: &Hash) -> Result<Address, ProofError> {
        self.verify_claim(root, random).map(|_| self.address)
    }

    /// As [`DrawProof::verify`], and says what is at the address.
    ///
    /// # Errors
    /// As [`DrawProof::verify`].
    pub fn verify_claim(&self, root: &Summary, random: &Hash) -> Result<LeafClaim, ProofError> {
        let address = self.address;
        let claim = self
            .path
            .verify(root, &address)?
            .ok_or(ProofError::Missing { address })?;
        let point = draw_point(random, root.stake).ok_or(ProofError::NotDrawn { address })?;
        let mut before = Credits::ZERO;
        for step in &self.path.steps {
            if address.bit(u16::from(step.len)) {
                before = before
                    .add(step.sibling.stake)
                    .map_err(|_| ProofError::Overflow)?;
            }
        }
        // The unit's number among the holder's own, if it is the holder's at all.
        match point.sub(before) {
            Ok(own) if own < claim.stake => Ok(claim),
            _ => Err(ProofError::NotDrawn { address }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_is_the_floor_of_the_256_bit_product() {
        let hash = |high: u128, low: u128| {
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&high.to_be_bytes());
            bytes[16..].copy_from_slice(&low.to_be_bytes());
            Hash(bytes)
        };
        let point = |random, stake| draw_point(&random, Credits::new(stake)).map(Credits::get);
        assert_eq!(point(hash(u128::MAX, u128::MAX), 0), None);
        assert_eq!(point(hash(u128::MAX, u128::MAX), 1), Some(0));
        assert_eq!(
            point(hash(u128::MAX, u128::MAX), u128::MAX),
            Some(u128::MAX - 1)
        );
        assert_eq!(point(hash(1 << 127, 0), 10), Some(5));
        assert_eq!(point(hash((1 << 127) - 1, u128::MAX), 10), Some(4));
        // 1/3 rounded up just reaches the second third of three units.
        assert_eq!(point(hash(u128::MAX / 3, u128::MAX / 3), 3), Some(0));
        assert_eq!(point(hash(u128::MAX / 3, u128::MAX / 3 + 1), 3), Some(1));
    }

    #[test]
    fn wide_multiplication_agrees_with_its_parts() {
        assert_eq!(multiply(u128::MAX, u128::MAX), (u128::MAX - 1, 1));
        assert_eq!(multiply(u128::MAX, 2), (1, u128::MAX - 1));
        assert_eq!(multiply(1 << 64, 1 << 64), (1, 0));
        assert_eq!(multiply(7, 6), (0, 42));
    }
}
