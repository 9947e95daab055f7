//! Amounts of money with checked arithmetic.

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};

/// An amount in microcredits: 1 credit is 1,000,000 of them. Never wraps, never rounds by itself.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode, MaxEncodedLen,
)]
pub struct Credits(u128);

/// An amount would leave the range of [`Credits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreditsError {
    /// The sum is above `u128::MAX` microcredits.
    #[error("the sum of {left} and {right} is too large")]
    Overflow {
        /// First amount.
        left: Credits,
        /// Second amount.
        right: Credits,
    },
    /// More is taken than there is.
    #[error("{taken} is more than the {held} that is held")]
    Underflow {
        /// What there is.
        held: Credits,
        /// What was asked.
        taken: Credits,
    },
}

impl Credits {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Microcredits in one credit.
    pub const PER_CREDIT: u128 = 1_000_000;

    /// An amount of `micro` microcredits.
    #[must_use]
    pub const fn new(micro: u128) -> Self {
        Self(micro)
    }

    /// An amount of whole credits.
    #[must_use]
    pub const fn whole(credits: u64) -> Self {
        Self(credits as u128 * Self::PER_CREDIT)
    }

    /// Microcredits.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// Whether this is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`CreditsError::Overflow`] when it doesn't fit.
    pub const fn add(self, other: Self) -> Result<Self, CreditsError> {
        match self.0.checked_add(other.0) {
            Some(sum) => Ok(Self(sum)),
            None => Err(CreditsError::Overflow {
                left: self,
                right: other,
            }),
        }
    }

    /// The difference.
    ///
    /// # Errors
    /// [`CreditsError::Underflow`] when `other` is more than `self`.
    pub const fn sub(self, other: Self) -> Result<Self, CreditsError> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Ok(Self(rest)),
            None => Err(CreditsError::Underflow {
                held: self,
                taken: other,
            }),
        }
    }

    /// `⌊self · numerator / denominator⌋`, or `None` when the product leaves 128 bits or the
    /// denominator is zero.
    #[must_use]
    pub const fn scaled(self, numerator: u128, denominator: u128) -> Option<Self> {
        match self.0.checked_mul(numerator) {
            Some(product) => match product.checked_div(denominator) {
                Some(amount) => Some(Self(amount)),
                None => None,
            },
            None => None,
        }
    }

    /// The smaller amount.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl std::fmt::Debug for Credits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Decimal credits with up to six places: `12`, `0.5`. `.5` and `5.` are read as well.
impl std::fmt::Display for Credits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, micro) = (self.0 / Self::PER_CREDIT, self.0 % Self::PER_CREDIT);
        if micro == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{micro:06}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an amount of credits: digits, at most six of them after one point")]
pub struct ParseCreditsError {
    text: String,
}

impl std::str::FromStr for Credits {
    type Err = ParseCreditsError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseCreditsError {
            text: text.chars().take(64).collect(),
        };
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let nothing = whole.is_empty() && places.is_empty();
        if nothing || !digits(whole) || !digits(places) || places.len() > 6 {
            return Err(error());
        }
        let whole: u128 = match whole {
            "" => 0,
            whole => whole.parse().map_err(|_| error())?,
        };
        let micro: u128 = format!("{places:0<6}").parse().map_err(|_| error())?;
        whole
            .checked_mul(Self::PER_CREDIT)
            .and_then(|amount| amount.checked_add(micro))
            .map(Self)
            .ok_or_else(error)
    }
}

impl serde::Serialize for Credits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Credits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_print_and_parse_as_decimal_credits() {
        for (micro, text) in [
            (0, "0"),
            (1, "0.000001"),
            (1_500_000, "1.5"),
            (12_000_000, "12"),
        ] {
            assert_eq!(Credits::new(micro).to_string(), text);
            assert_eq!(text.parse::<Credits>(), Ok(Credits::new(micro)));
        }
        for (micro, text) in [(500_000, ".5"), (5_000_000, "5."), (1, ".000001")] {
            assert_eq!(text.parse::<Credits>(), Ok(Credits::new(micro)), "{text}");
        }
        for bad in [
            "",
            ".",
            "..5",
            ".5.",
            "+.5",
            "-1",
            ".0000001",
            "1.0000001",
            "1e3",
            "340282366920938463463374607431769",
        ] {
            assert!(bad.parse::<Credits>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_created_or_lost_by_arithmetic_that_does_not_fit() {
        assert!(Credits::new(u128::MAX).add(Credits::new(1)).is_err());
        assert!(Credits::ZERO.sub(Credits::new(1)).is_err());
        assert_eq!(Credits::new(u128::MAX).scaled(2, 1), None);
        assert_eq!(Credits::new(7).scaled(5, 100), Some(Credits::ZERO));
    }
}
