//! Bounded, canonical SCALE decoding.
//!
//! Every byte from outside goes through [`decode`]: it refuses inputs above a limit before it
//! reads them, nesting above [`DEPTH_MAX`], trailing bytes, and any encoding that is not the one
//! that [`Encode`] gives for the decoded value. Collections inside are [`BoundedVec`]s, whose
//! length is checked before anything is allocated.

use parity_scale_codec::{
    Compact, Decode, DecodeLimit, Encode, EncodeLike, Error, Input, MaxEncodedLen, Output,
};

/// Deepest nesting of a decoded value.
pub const DEPTH_MAX: u32 = 32;

/// Why bytes are not a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than the kind of value may have.
    #[error("{found} bytes, at most {max} are allowed")]
    TooLong {
        /// Bytes given.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Truncated, out of range, too long a list, or bytes left over.
    #[error("malformed at byte {at}: {reason}")]
    Malformed {
        /// Bytes that were read before the one that doesn't fit.
        at: usize,
        /// The decoder's own words: which field, and why.
        reason: String,
    },
    /// Another encoding of the same value; only one is valid.
    #[error("not the canonical encoding, from byte {at} on")]
    NotCanonical {
        /// Bytes that are as they should be; what differs begins among those that are written next to them.
        at: usize,
    },
}

/// Decodes the whole of `bytes`, at most `max` of them, and only in canonical form.
///
/// # Errors
/// [`DecodeError`] says which rule was broken. Costs one decoding and one encoding.
pub fn decode<T: Decode + Encode>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLong {
            found: bytes.len(),
            max,
        });
    }
    let mut rest = bytes;
    let decoded = T::decode_all_with_depth_limit(DEPTH_MAX, &mut rest);
    let value = decoded.map_err(|error| DecodeError::Malformed {
        at: bytes.len() - rest.len(),
        reason: one_line(&error.to_string()),
    })?;
    let mut canonical = Compared {
        rest: bytes,
        same: true,
    };
    value.encode_to(&mut canonical);
    if canonical.same && canonical.rest.is_empty() {
        Ok(value)
    } else {
        Err(DecodeError::NotCanonical {
            at: bytes.len() - canonical.rest.len(),
        })
    }
}

/// The decoder's words, which name a field within a field on lines of their own, as one line.
fn one_line(words: &str) -> String {
    let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// Compares an encoding with bytes as it is made.
struct Compared<'a> {
    rest: &'a [u8],
    same: bool,
}

impl Output for Compared<'_> {
    fn write(&mut self, bytes: &[u8]) {
        // What differs first ends the comparison: it says where.
        match self.rest.strip_prefix(bytes) {
            Some(rest) if self.same => self.rest = rest,
            _ => self.same = false,
        }
    }
}

/// A list of at most `N` values; longer ones don't decode and can't be made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoundedVec<T, const N: usize>(Vec<T>);

/// At most `N` bytes.
pub type BoundedBytes<const N: usize> = BoundedVec<u8, N>;

/// A list is longer than its type allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} items, at most {max} are allowed")]
pub struct TooMany {
    /// Items given.
    pub found: usize,
    /// Items allowed.
    pub max: usize,
}

impl<T, const N: usize> BoundedVec<T, N> {
    /// The empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The items.
    #[must_use]
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }

    /// Appends an item.
    ///
    /// # Errors
    /// [`TooMany`] when the list is full; it is unchanged then.
    pub fn push(&mut self, item: T) -> Result<(), TooMany> {
        if self.0.len() >= N {
            return Err(TooMany {
                found: self.0.len() + 1,
                max: N,
            });
        }
        self.0.push(item);
        Ok(())
    }

    /// Keeps the items for which `keep` holds.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
    }

    /// The items, mutable; their number stays.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T, const N: usize> Default for BoundedVec<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> std::ops::Deref for BoundedVec<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const N: usize> TryFrom<Vec<T>> for BoundedVec<T, N> {
    type Error = TooMany;
    fn try_from(items: Vec<T>) -> Result<Self, TooMany> {
        if items.len() > N {
            return Err(TooMany {
                found: items.len(),
                max: N,
            });
        }
        Ok(Self(items))
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a BoundedVec<T, N> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Encode, const N: usize> Encode for BoundedVec<T, N> {
    fn size_hint(&self) -> usize {
        self.0.size_hint()
    }
    fn encode_to<W: Output + ?Sized>(&self, dest: &mut W) {
        self.0.encode_to(dest);
    }
}

impl<T: Encode, const N: usize> EncodeLike for BoundedVec<T, N> {}

impl<T: Decode, const N: usize> Decode for BoundedVec<T, N> {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let count = Compact::<u32>::decode(input)?.0 as usize;
        if count > N {
            return Err("list longer than its bound".into());
        }
        // The count is at most N, but the peer may claim N and send less: this grows with what arrives,
        // and takes bytes as a block.
        parity_scale_codec::decode_vec_with_len(input, count).map(Self)
    }
}

impl<T: MaxEncodedLen, const N: usize> MaxEncodedLen for BoundedVec<T, N> {
    fn max_encoded_len() -> usize {
        T::max_encoded_len().saturating_mul(N).saturating_add(5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_above_its_bound_is_refused_before_it_is_allocated() {
        let long = Compact(u32::MAX).encode();
        assert!(decode::<BoundedVec<u64, 4>>(&long, 64).is_err());
        assert!(BoundedVec::<u8, 2>::try_from(vec![1, 2, 3]).is_err());
    }

    #[test]
    fn an_error_says_at_which_byte_and_in_which_field_decoding_stopped() {
        fn check<T: Decode + Encode + std::fmt::Debug>(bytes: &[u8], expected: &str) {
            let error = decode::<T>(bytes, 64).expect_err("is no value");
            let said = error.to_string();
            assert!(said.contains(expected), "{said}");
            assert!(!said.contains(['\n', '\t']), "{said:?}");
        }
        #[derive(Debug, Encode, Decode)]
        struct Pair {
            first: u8,
            second: BoundedBytes<4>,
        }
        check::<Pair>(&[7, 8, 1], "at byte 2: ");
        check::<Pair>(&[7, 8, 1], "`Pair::second`");
        check::<Pair>(&[7, 20, 1], "at byte 2: ");
        check::<Pair>(&[7, 4, 1, 9, 9], "at byte 3: ");
        check::<bool>(&[2], "at byte 1: ");
    }

    #[test]
    fn only_the_canonical_encoding_of_the_whole_input_decodes() {
        assert_eq!(
            decode::<BoundedBytes<4>>(&[4, 7], 8).map(BoundedVec::into_inner),
            Ok(vec![7])
        );
        assert!(
            decode::<BoundedBytes<4>>(&[4, 7, 0], 8).is_err(),
            "trailing byte"
        );
        assert!(
            decode::<BoundedBytes<4>>(&[5, 0, 7], 8).is_err(),
            "compact length in two bytes"
        );
        assert!(matches!(
            decode::<u8>(&[1, 2], 1),
            Err(DecodeError::TooLong { found: 2, max: 1 })
        ));
    }
}
