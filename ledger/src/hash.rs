//! BLAKE3 in derive-key mode, one context for each use.
//!
//! Two values of different kinds can never share a hash, because every kind hashes under a context
//! of its own (BLAKE3 paper, section 2.3, "key derivation mode").

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use parity_scale_codec::{Decode, Encode};
use std::sync::OnceLock;

/// What a hash is of. Each variant is a separate BLAKE3 derive-key context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the context strings below say what each is for"
)]
pub enum Domain {
    Address,
    SubAddress,
    Seat,
    TreeLeaf,
    TreeInner,
    Entity,
    Operation,
    Message,
    OutboxLeaf,
    OutboxInner,
    OutboxRoot,
    Block,
    Payload,
    Batch,
    Committee,
    Checkpoint,
    Root,
    Genesis,
    Parameters,
    Content,
    Beacon,
    Draw,
    TaskSeed,
    ResultCommitment,
    ResultSalt,
    ResultOutcome,
    Evidence,
    Signature,
    Certificate,
    Receipts,
    StoredRecord,
    StoreMark,
    Log,
}

impl Domain {
    const fn context(self) -> &'static str {
        match self {
            Self::Address => "frith v1 address",
            Self::SubAddress => "frith v1 sub-object address",
            Self::Seat => "frith v1 seat",
            Self::TreeLeaf => "frith v1 tree leaf",
            Self::TreeInner => "frith v1 tree inner node",
            Self::Entity => "frith v1 entity",
            Self::Operation => "frith v1 operation",
            Self::Message => "frith v1 message",
            Self::OutboxLeaf => "frith v1 outbox leaf",
            Self::OutboxInner => "frith v1 outbox inner node",
            Self::OutboxRoot => "frith v1 outbox root",
            Self::Block => "frith v1 block",
            Self::Payload => "frith v1 block payload",
            Self::Batch => "frith v1 batch",
            Self::Committee => "frith v1 committee",
            Self::Checkpoint => "frith v1 checkpoint",
            Self::Root => "frith v1 root record",
            Self::Genesis => "frith v1 genesis",
            Self::Parameters => "frith v1 parameters",
            Self::Content => "frith v1 content",
            Self::Beacon => "frith v1 beacon",
            Self::Draw => "frith v1 draw",
            Self::TaskSeed => "frith v1 task seed",
            Self::ResultSalt => "frith v1 result salt",
            Self::ResultCommitment => "frith v1 result commitment",
            Self::ResultOutcome => "frith v1 result",
            Self::Evidence => "frith v1 evidence",
            Self::Signature => "frith v1 signature",
            Self::Certificate => "frith v1 certificate",
            Self::Receipts => "frith v1 receipts",
            Self::StoredRecord => "frith v1 stored record",
            Self::StoreMark => "frith v1 store mark",
            Self::Log => "frith v1 replicated log",
        }
    }

    /// A hasher keyed to this context.
    #[must_use]
    pub fn hasher(self) -> Hasher {
        // The context's own hash is the key; computed once, it saves a third of a short hash's time.
        static KEYS: [OnceLock<ContextKey>; Domain::COUNT_MAX] =
            [const { OnceLock::new() }; Domain::COUNT_MAX];
        let key = KEYS[self as usize].get_or_init(|| hash_derive_key_context(self.context()));
        Hasher(blake3::Hasher::new_from_context_key(key))
    }

    /// More domains than there are.
    const COUNT_MAX: usize = 64;
}

/// An incremental hash of one [`Domain`].
#[derive(Debug, Clone)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Adds bytes. Callers add only fixed-size or self-delimiting pieces.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The hash of everything added.
    #[must_use]
    pub fn finish(&self) -> Hash {
        Hash(*self.0.finalize().as_bytes())
    }
}

/// A 256-bit BLAKE3 hash.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Encode,
    Decode,
    parity_scale_codec::MaxEncodedLen,
)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The all-zero value: "none", never the hash of anything.
    pub const ZERO: Self = Self([0; 32]);

    /// Hashes raw bytes under `domain`.
    #[must_use]
    pub fn of_bytes(domain: Domain, bytes: &[u8]) -> Self {
        domain.hasher().update(bytes).finish()
    }

    /// Hashes the SCALE encoding of `value` under `domain`.
    #[must_use]
    pub fn of<T: Encode + ?Sized>(domain: Domain, value: &T) -> Self {
        value.using_encoded(|bytes| Self::of_bytes(domain, bytes))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Lower-case hexadecimal, 64 characters.
    #[must_use]
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Parses 64 hexadecimal characters.
    ///
    /// # Errors
    /// [`ParseHashError`] when the text has another length or another character.
    pub fn from_hex(text: &str) -> Result<Self, ParseHashError> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(ParseHashError::Length {
                found: digits.len(),
            });
        }
        let mut bytes = [0; 32];
        for (i, digit) in digits.iter().enumerate() {
            let value = char::from(*digit)
                .to_digit(16)
                .ok_or(ParseHashError::Character { at: i })?;
            bytes[i / 2] = bytes[i / 2] << 4 | u8::try_from(value).unwrap_or(0);
        }
        Ok(Self(bytes))
    }
}

/// Why a text is not a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseHashError {
    /// Not 64 characters.
    #[error("a hash has 64 hexadecimal characters, this has {found}")]
    Length {
        /// Bytes in the text.
        found: usize,
    },
    /// Something that is no hexadecimal digit.
    #[error("character {at} is not a hexadecimal digit")]
    Character {
        /// Offset, from 0.
        at: usize,
    },
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_hex()[..12])
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl std::str::FromStr for Hash {
    type Err = ParseHashError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_hex(text)
    }
}
