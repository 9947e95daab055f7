//! Prefixes of any length: where a node of the tree stands.

use crate::address::{Address, Prefix};
use parity_scale_codec::{Decode, Encode, Error, Input, MaxEncodedLen};

/// The first `len` bits of addresses, 0 to 256: the place of a node. Bits past `len` are zero.
///
/// A neighbourhood's [`Prefix`] is one of at most 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, MaxEncodedLen)]
pub struct NodePrefix {
    bits: Address,
    len: u16,
}

impl NodePrefix {
    /// The whole address space.
    pub const ROOT: Self = Self {
        bits: Address([0; 32]),
        len: 0,
    };
    /// Bits of an address.
    pub const LEN_MAX: u16 = 256;

    /// The prefix of the first `len` bits of `address`; a `len` above 256 counts as 256.
    #[must_use]
    pub fn of(address: &Address, len: u16) -> Self {
        let len = len.min(Self::LEN_MAX);
        let mut bits = *address;
        let whole = usize::from(len / 8);
        if whole < 32 {
            bits.0[whole] &= !(0xff_u8 >> (len % 8));
            bits.0[whole + 1..].fill(0);
        }
        Self { bits, len }
    }

    /// The first address under this prefix; its first [`NodePrefix::len`] bits are the prefix.
    #[must_use]
    pub const fn first(&self) -> Address {
        self.bits
    }

    /// The last address under this prefix.
    #[must_use]
    pub fn last(&self) -> Address {
        let mut bits = self.bits;
        let whole = usize::from(self.len / 8);
        if whole < 32 {
            bits.0[whole] |= 0xff_u8 >> (self.len % 8);
            bits.0[whole + 1..].fill(0xff);
        }
        bits
    }

    /// Length in bits.
    #[must_use]
    pub const fn len(&self) -> u16 {
        self.len
    }

    /// Whether this is the whole address space.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `address` lies under this prefix.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.bits.common_bits(address) >= self.len
    }

    /// The half of this subtree whose next bit is `bit`; a single address has no halves and is
    /// returned as it is.
    #[must_use]
    pub fn half(&self, bit: bool) -> Self {
        if self.len >= Self::LEN_MAX {
            return *self;
        }
        let mut bits = self.bits;
        if bit {
            bits.0[usize::from(self.len / 8)] |= 0x80 >> (self.len % 8);
        }
        Self {
            bits,
            len: self.len + 1,
        }
    }
}

impl From<Prefix> for NodePrefix {
    fn from(prefix: Prefix) -> Self {
        Self {
            bits: prefix.first(),
            len: u16::from(prefix.len()),
        }
    }
}

impl Decode for NodePrefix {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let (bits, len) = <(Address, u16)>::decode(input)?;
        if len > Self::LEN_MAX {
            return Err("prefix longer than an address".into());
        }
        let prefix = Self::of(&bits, len);
        if prefix.bits == bits {
            Ok(prefix)
        } else {
            Err("prefix has bits past its length".into())
        }
    }
}

impl std::fmt::Debug for NodePrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}/{}", self.bits, self.len)
    }
}

impl std::fmt::Display for NodePrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", crate::hash::Hash(self.bits.0), self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_spans_from_its_first_to_its_last_address() {
        let address = Address([0b1010_1010; 32]);
        for len in 0..=256 {
            let prefix = NodePrefix::of(&address, len);
            assert_eq!(prefix.len(), len);
            assert!(prefix.first() <= address && address <= prefix.last());
            assert!(prefix.contains(&prefix.first()) && prefix.contains(&prefix.last()));
            if len < 256 {
                assert_eq!(prefix.half(false).first(), prefix.first());
                assert_eq!(prefix.half(true).last(), prefix.last());
                assert_eq!(
                    NodePrefix::of(&address, len + 1),
                    prefix.half(address.bit(len))
                );
            }
        }
    }

    #[test]
    fn a_neighbourhoods_prefix_is_the_same_place_in_the_tree() {
        let address = Address([0x5c; 32]);
        for len in 0..=64 {
            let short = Prefix::of(&address, len).expect("at most 64");
            assert_eq!(
                NodePrefix::from(short),
                NodePrefix::of(&address, u16::from(len))
            );
        }
    }

    #[test]
    fn bits_past_the_length_do_not_decode() {
        assert!(NodePrefix::decode(&mut &(Address([1; 32]), 4_u16).encode()[..]).is_err());
        assert!(NodePrefix::decode(&mut &(Address([0; 32]), 257_u16).encode()[..]).is_err());
        let whole = NodePrefix::of(&Address([7; 32]), 256);
        assert_eq!(NodePrefix::decode(&mut &whole.encode()[..]), Ok(whole));
    }
}
