//! From a passphrase to keys, and signatures under one verification rule.
//!
//! passphrase → NFKD → scrypt (RFC 7914; salt `frith/v1/key`, N = 2^level, r 8, p 1) → 32-byte
//! [`Seed`] → BLAKE3 derive-key, one context each → account, worker and VRF secrets. Signatures are
//! Ed25519 (RFC 8032) and verified with the strict rule (no points of small order, canonical S), one at
//! a time, everywhere: a batch rule may give another verdict. How that is done in one exponentiation of three: decision 094.
//!
//! Signed bytes are always the 32-byte hash of a context and a SCALE value, see [`signing_hash`].

#[cfg(feature = "signatures-once")]
mod once;

use crate::address::Address;
use crate::hash::{Domain, Hash};
use curve25519_dalek::constants::EIGHT_TORSION;
use ed25519_dalek::{Signer as _, Verifier as _, VerifyingKey};
use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use std::cell::RefCell;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::{Zeroize as _, Zeroizing};

/// An Ed25519 public key. Not checked to be a point until it verifies something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen)]
pub struct PublicKey(pub [u8; 32]);

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen)]
pub struct Signature(pub [u8; 64]);

/// What a signature says, so that one can never stand for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
#[expect(missing_docs, reason = "named after the message each signs")]
pub enum Role {
    Operation,
    WorkerOperation,
    Proposal,
    Vote,
    Timeout,
    Batch,
    Availability,
    Report,
    Hello,
}

/// The hash that is signed: of the role, the network's genesis hash and the value.
#[must_use]
pub fn signing_hash<T: Encode + ?Sized>(role: Role, genesis: &Hash, value: &T) -> Hash {
    let mut hasher = Domain::Signature.hasher();
    hasher.update(&role.encode()).update(&genesis.0);
    value.using_encoded(|bytes| hasher.update(bytes).finish())
}

/// The signature doesn't hold under this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct BadSignature;

impl PublicKey {
    /// The address of this key.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::of_key(&self.0)
    }

    /// Checks `signature` on `message` by the strict rule. About 43 µs for a key that was met lately, where `verify_strict`
    /// takes 55 (decision 094).
    ///
    /// # Errors
    /// [`BadSignature`] also when the key is no point or has small order.
    pub fn verify(&self, message: &Hash, signature: &Signature) -> Result<(), BadSignature> {
        #[cfg(feature = "signatures-once")]
        return once::verdict(self, message, signature);
        #[cfg(not(feature = "signatures-once"))]
        self.check(message, signature)
    }

    fn check(&self, message: &Hash, signature: &Signature) -> Result<(), BadSignature> {
        let key = POINTS.with_borrow_mut(|points| point(points, &self.0))?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        // Whatever passes the check below has for R the canonical encoding of a point, so its order can be told by its bytes.
        if SMALL_ORDER.contains(signature.r_bytes()) {
            return Err(BadSignature);
        }
        key.verify(&message.0, &signature).map_err(|_| BadSignature)
    }
}

/// Keys that are kept as points, for each thread: 48 KiB, more than a committee and its rotation have.
const POINTS_MAX: usize = 256;

thread_local! {
    /// Keys met lately, none of small order, each at a place that its bytes name.
    static POINTS: RefCell<Vec<Option<VerifyingKey>>> = const { RefCell::new(Vec::new()) };
}

/// The canonical encodings of the points of small order.
static SMALL_ORDER: LazyLock<[[u8; 32]; 8]> =
    LazyLock::new(|| EIGHT_TORSION.map(|point| point.compress().to_bytes()));

/// The point of a key that may verify something, kept or worked out.
fn point(
    points: &mut Vec<Option<VerifyingKey>>,
    bytes: &[u8; 32],
) -> Result<VerifyingKey, BadSignature> {
    if points.is_empty() {
        points.resize(POINTS_MAX, None);
    }
    let place = usize::from(bytes[0]) % POINTS_MAX;
    if let Some(Some(kept)) = points.get(place)
        && kept.as_bytes() == bytes
    {
        return Ok(*kept);
    }
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| BadSignature)?;
    if key.is_weak() {
        return Err(BadSignature);
    }
    if let Some(kept) = points.get_mut(place) {
        *kept = Some(key);
    }
    Ok(key)
}

/// An Ed25519 secret key. Zeroized when dropped, never printed.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// The key of a 32-byte RFC 8032 secret.
    #[must_use]
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(secret))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The secret's bytes, for the transport that must hold the same identity.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// Signs a hash made by [`signing_hash`]. About 25 µs.
    #[must_use]
    pub fn sign(&self, message: &Hash) -> Signature {
        #[cfg(feature = "signatures-once")]
        return once::signature(self, message);
        #[cfg(not(feature = "signatures-once"))]
        self.make(message)
    }

    fn make(&self, message: &Hash) -> Signature {
        Signature(self.0.sign(&message.0).to_bytes())
    }
}

/// How hard a passphrase is to guess: scrypt's log₂ N.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecurityLevel(u8);

impl SecurityLevel {
    /// 2^17 blocks of 1 KiB: 128 MiB and about half a second.
    pub const DEFAULT: Self = Self(17);
    /// For tests only: 1 MiB.
    pub const TEST: Self = Self(10);

    /// A level from 10 to 22; `None` outside.
    #[must_use]
    pub const fn new(log_n: u8) -> Option<Self> {
        if log_n >= 10 && log_n <= 22 {
            Some(Self(log_n))
        } else {
            None
        }
    }

    /// log₂ N.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The secret that all keys of one passphrase come from.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    const SALT: &[u8] = b"frith/v1/key";

    /// Stretches a passphrase. Takes 2^level KiB of memory and, at the default level, half a second.
    #[must_use]
    pub fn from_passphrase(passphrase: &str, level: SecurityLevel) -> Self {
        let mut normal: String = passphrase.nfkd().collect();
        let mut seed = Zeroizing::new([0; 32]);
        let stretched = scrypt::Params::new(level.0, 8, 1)
            .map_err(|_| ())
            .and_then(|params| {
                scrypt::scrypt(normal.as_bytes(), Self::SALT, &params, &mut *seed).map_err(|_| ())
            });
        normal.zeroize();
        assert!(
            stretched.is_ok(),
            "every security level is a valid scrypt parameter"
        );
        Self(seed)
    }

    /// A seed from its bytes: a key file's content, or a test's.
    #[must_use]
    pub fn from_bytes(seed: [u8; 32]) -> Self {
        Self(Zeroizing::new(seed))
    }

    /// The bytes, for the key file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn derive(&self, context: &'static str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, &*self.0))
    }

    /// The key that owns the money.
    #[must_use]
    pub fn account(&self) -> SecretKey {
        SecretKey::from_bytes(&self.derive("frith v1 account key"))
    }

    /// The key that votes, commits results and is the node's network identity.
    #[must_use]
    pub fn worker(&self) -> SecretKey {
        SecretKey::from_bytes(&self.derive("frith v1 worker key"))
    }

    /// The secret of the verifiable random function, never used for signatures.
    #[must_use]
    pub fn vrf(&self) -> Zeroizing<[u8; 32]> {
        self.derive("frith v1 vrf key")
    }
}

macro_rules! redacted {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(secret)"))
            }
        }
    )*};
}
redacted!(SecretKey, Seed);

macro_rules! hexadecimal {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    )*};
}
hexadecimal!(PublicKey, Signature);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_passphrase_in_another_normal_form_gives_the_same_keys() {
        let composed = Seed::from_passphrase("caf\u{e9} royal", SecurityLevel::TEST);
        let decomposed = Seed::from_passphrase("cafe\u{301} royal", SecurityLevel::TEST);
        assert_eq!(composed.account().public(), decomposed.account().public());
        assert_ne!(composed.account().public(), composed.worker().public());
        assert_ne!(*composed.worker().to_bytes(), *composed.vrf());
    }

    #[test]
    fn a_signature_holds_for_its_role_network_and_value_only() {
        let key = SecretKey::from_bytes(&[5; 32]);
        let message = |role, genesis, value: u8| signing_hash(role, &Hash([genesis; 32]), &value);
        let signature = key.sign(&message(Role::Vote, 1, 9));
        let holds = |message| key.public().verify(&message, &signature).is_ok();
        assert!(holds(message(Role::Vote, 1, 9)));
        assert!(!holds(message(Role::Timeout, 1, 9)));
        assert!(!holds(message(Role::Vote, 2, 9)));
        assert!(!holds(message(Role::Vote, 1, 8)));
    }

    #[test]
    fn a_key_of_small_order_verifies_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(
            PublicKey(identity)
                .verify(&Hash::ZERO, &Signature([0; 64]))
                .is_err()
        );
    }

    /// Where the verdict could differ: signatures made on purpose for keys and R of small order, bent ones, and S out of range.
    #[test]
    fn the_verdict_is_that_of_the_strict_check() {
        let strict = |key: &PublicKey, message: &Hash, signature: &Signature| {
            VerifyingKey::from_bytes(&key.0).is_ok_and(|key| {
                let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
                key.verify_strict(&message.0, &signature).is_ok()
            })
        };
        let mut small: Vec<[u8; 32]> = SMALL_ORDER.to_vec();
        // Encodings that aren't canonical: y = 1 as p + 1, y = 0 as p, and a sign where x = 0.
        for low in [0xed, 0xee] {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, 0x7f);
            small.push(bytes);
            bytes[31] = 0xff;
            small.push(bytes);
        }
        let mut signed_one = [0; 32];
        (signed_one[0], signed_one[31]) = (1, 0x80);
        small.push(signed_one);
        let secret = SecretKey::from_bytes(&[7; 32]);
        let (message, other) = (Hash([3; 32]), Hash([4; 32]));
        let good = secret.sign(&message);
        let mut keys: Vec<PublicKey> = small.iter().map(|bytes| PublicKey(*bytes)).collect();
        keys.push(secret.public());
        keys.push(PublicKey([2; 32]));
        let mut signatures = vec![good];
        for place in [0, 31, 32, 63] {
            let mut bent = good;
            bent.0[place] ^= 0x10;
            signatures.push(bent);
        }
        for r in &small {
            let mut of_small = good;
            of_small.0[..32].copy_from_slice(r);
            signatures.push(of_small);
            of_small.0[32..].fill(0);
            signatures.push(of_small);
        }
        let mut accepted = 0;
        for key in &keys {
            for signature in &signatures {
                for message in [message, other] {
                    let verdict = key.verify(&message, signature).is_ok();
                    assert_eq!(verdict, strict(key, &message, signature));
                    accepted += usize::from(verdict);
                }
            }
        }
        assert_eq!(accepted, 1);
    }

    #[test]
    fn keys_that_share_a_place_do_not_stand_for_each_other() {
        let keys: Vec<SecretKey> = (0..=255_u8)
            .flat_map(|a| [1, 2, 3].map(|b| SecretKey::from_bytes(&[a ^ (b << 6); 32])))
            .collect();
        let message = Hash([1; 32]);
        for turn in 0..2 {
            for (i, key) in keys.iter().enumerate() {
                let signature = key.sign(&message);
                assert!(key.public().verify(&message, &signature).is_ok());
                let next = &keys[(i + 1 + turn) % keys.len()];
                let same = next.public() == key.public();
                assert_eq!(next.public().verify(&message, &signature).is_ok(), same);
            }
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Seed::from_bytes([1; 32])), "Seed(secret)");
    }
}
