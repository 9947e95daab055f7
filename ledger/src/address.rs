//! Places in the 256-bit address space, and prefixes of it.

use crate::hash::{Domain, Hash};
use parity_scale_codec::{Decode, Encode, Error, Input, MaxEncodedLen};

/// A place in the state: of an account, a worker's seat, a task, any entity.
///
/// Shown as bech32m (BIP-350) with the human-readable part `frith`.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode, MaxEncodedLen,
)]
pub struct Address(pub [u8; 32]);

const HRP: bech32::Hrp = bech32::Hrp::parse_unchecked("frith");

impl Address {
    /// The address of an Ed25519 public key.
    #[must_use]
    pub fn of_key(public_key: &[u8; 32]) -> Self {
        Self(Hash::of_bytes(Domain::Address, public_key).0)
    }

    /// The address of a sub-object of `self`: its first 16 bytes, then 16 bytes of hash, so that it
    /// stays in the owner's neighbourhood.
    #[must_use]
    pub fn sub_object(&self, label: &[u8]) -> Self {
        let hash = Domain::SubAddress
            .hasher()
            .update(&self.0)
            .update(label)
            .finish();
        let mut bytes = self.0;
        bytes[16..].copy_from_slice(&hash.0[..16]);
        Self(bytes)
    }

    /// Bit `index`, 0 being the most significant.
    ///
    /// # Panics
    /// When `index` is above 255.
    #[must_use]
    pub const fn bit(&self, index: u16) -> bool {
        self.0[(index / 8) as usize] >> (7 - index % 8) & 1 == 1
    }

    /// How many leading bits two addresses share: 256 when they are equal.
    #[must_use]
    pub fn common_bits(&self, other: &Self) -> u16 {
        let halves = |address: &Self| {
            let (mut high, mut low) = ([0; 16], [0; 16]);
            high.copy_from_slice(&address.0[..16]);
            low.copy_from_slice(&address.0[16..]);
            (u128::from_be_bytes(high), u128::from_be_bytes(low))
        };
        let ((high, low), (other_high, other_low)) = (halves(self), halves(other));
        let bits = match high ^ other_high {
            0 => 128 + (low ^ other_low).leading_zeros(),
            differing => differing.leading_zeros(),
        };
        u16::try_from(bits).unwrap_or(u16::MAX)
    }

    /// XOR distance, big-endian, as in Kademlia.
    #[must_use]
    pub fn distance(&self, other: &Self) -> [u8; 32] {
        std::array::from_fn(|i| self.0[i] ^ other.0[i])
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match bech32::encode::<bech32::Bech32m>(HRP, &self.0) {
            Ok(text) => f.write_str(&text),
            Err(_) => Err(std::fmt::Error),
        }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&Hash(self.0).to_hex()[..12])
    }
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseAddressError {
    /// Not bech32m: a wrong character, or a checksum that doesn't hold.
    #[error("not a Frith address: {reason}; check it for a typing error")]
    Malformed {
        /// The decoder's own words.
        reason: String,
    },
    /// Another network's or another kind's text.
    #[error("an address begins with 'frith1', this with '{found}1'")]
    Prefix {
        /// The part before the separator.
        found: String,
    },
    /// Not 32 bytes.
    #[error("an address holds 32 bytes, this {found}")]
    Length {
        /// Bytes found.
        found: usize,
    },
}

impl std::str::FromStr for Address {
    type Err = ParseAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = bech32::primitives::decode::CheckedHrpstring::new::<bech32::Bech32m>(text)
            .map_err(|error| ParseAddressError::Malformed {
                reason: error.to_string(),
            })?;
        if parsed.hrp() != HRP {
            return Err(ParseAddressError::Prefix {
                found: parsed.hrp().to_string(),
            });
        }
        let bytes: Vec<u8> = parsed.byte_iter().collect();
        let found = bytes.len();
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| ParseAddressError::Length { found })
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The first `len` bits of addresses: names a subtree, and with it a neighbourhood.
///
/// Bits past `len` are zero; a decoded prefix that breaks this is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, MaxEncodedLen)]
pub struct Prefix {
    bits: u64,
    len: u8,
}

impl Prefix {
    /// The whole address space.
    pub const ROOT: Self = Self { bits: 0, len: 0 };
    /// Longest prefix of a neighbourhood, in bits.
    pub const LEN_MAX: u8 = 64;

    /// The prefix of the first `len` bits of `address`; `None` above 64.
    #[must_use]
    pub fn of(address: &Address, len: u8) -> Option<Self> {
        let mut head = [0; 8];
        head.copy_from_slice(&address.0[..8]);
        Self::new(u64::from_be_bytes(head) & Self::mask(len)?, len)
    }

    /// A prefix from its bits, most significant first; `None` when bits past `len` are set.
    #[must_use]
    pub const fn new(bits: u64, len: u8) -> Option<Self> {
        match Self::mask(len) {
            Some(mask) if bits & !mask == 0 => Some(Self { bits, len }),
            _ => None,
        }
    }

    const fn mask(len: u8) -> Option<u64> {
        match len {
            0 => Some(0),
            1..=64 => Some(u64::MAX << (64 - len)),
            _ => None,
        }
    }

    /// Length in bits.
    #[must_use]
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// The first address under this prefix: its bits, then zeros.
    #[must_use]
    pub fn first(&self) -> Address {
        let mut address = Address::default();
        address.0[..8].copy_from_slice(&self.bits.to_be_bytes());
        address
    }

    /// Whether this is the whole address space.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `address` lies under this prefix.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        Self::of(address, self.len) == Some(*self)
    }
}

impl Decode for Prefix {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let (bits, len) = <(u64, u8)>::decode(input)?;
        Self::new(bits, len).ok_or_else(|| "prefix has bits past its length".into())
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.len == 0 {
            return f.write_str("*");
        }
        (0..self.len).try_for_each(|i| write!(f, "{}", self.bits >> (63 - i) & 1))
    }
}

impl std::fmt::Debug for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_its_text_and_a_typing_error_does_not() {
        let address = Address::of_key(&[7; 32]);
        let text = address.to_string();
        assert_eq!(text.parse(), Ok(address));
        let wrong = text.replace(&text[10..11], if &text[10..11] == "q" { "p" } else { "q" });
        assert!(wrong.parse::<Address>().is_err());
        assert!(matches!(
            "abc1qqqqqq".parse::<Address>(),
            Err(ParseAddressError::Malformed { .. })
        ));
    }

    #[test]
    fn a_sub_object_shares_its_owners_first_16_bytes() {
        let owner = Address::of_key(&[1; 32]);
        let sub = owner.sub_object(b"x");
        assert!(owner.common_bits(&sub) >= 128);
        assert_ne!(owner.sub_object(b"y"), sub);
    }

    #[test]
    fn a_prefix_holds_the_addresses_that_begin_with_its_bits() {
        let address = Address([0b1010_0000; 32]);
        let prefix = Prefix::of(&address, 3).expect("3 is in range");
        assert_eq!(prefix.to_string(), "101");
        assert!(prefix.contains(&address) && !prefix.contains(&Address([0; 32])));
        assert!(Prefix::ROOT.contains(&Address([0xff; 32])));
        assert!(Prefix::new(1, 3).is_none() && Prefix::of(&address, 65).is_none());
    }
}
