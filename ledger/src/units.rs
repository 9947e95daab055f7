//! Counts that must never be mixed: epoch, height, view, nonce, fuel, generation.

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};

macro_rules! count {
    ($(#[$doc:meta])* $name:ident, $unit:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode, MaxEncodedLen,
                 serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The first value.
            pub const ZERO: Self = Self(0);

            #[doc = concat!("A count of ", $unit, ".")]
            #[must_use]
            pub const fn new(value: u64) -> Self { Self(value) }

            /// The raw count.
            #[must_use]
            pub const fn get(self) -> u64 { self.0 }

            /// `self + by`, or the largest value.
            #[must_use]
            pub const fn plus(self, by: u64) -> Self { Self(self.0.saturating_add(by)) }

            /// `self - by`, or zero.
            #[must_use]
            pub const fn minus(self, by: u64) -> Self { Self(self.0.saturating_sub(by)) }

            /// The next value.
            #[must_use]
            pub const fn next(self) -> Self { self.plus(1) }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{}", self.0) }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{}", self.0) }
        }
    };
}

count!(
    /// The number of a root record; epoch 0 is the first.
    Epoch, "epochs"
);
count!(
    /// The number of a block in its chain, across epochs; the genesis is height 0.
    Height, "blocks"
);
count!(
    /// A round of one consensus instance; the first proposal is made in view 1.
    View, "views"
);
count!(
    /// How many signed operations an account has executed.
    Nonce, "operations"
);
count!(
    /// Metered WebAssembly work.
    Fuel, "fuel units"
);
count!(
    /// How often a chain was cut back; 0 until there are auditors.
    Generation, "cuts"
);
count!(
    /// A moment or a span of the caller's clock, in milliseconds.
    Millis, "milliseconds"
);
count!(
    /// A moment in the world's time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
    UnixMillis, "milliseconds since the Unix epoch"
);
