//! The three functions of a key file: scrypt, SHA-256, AES-128-CTR.

use super::passphrase::Passphrase;
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// AES-128 in counter mode with a big-endian counter of 128 bits.
type Aes128Ctr = ctr::Ctr128BE<aes::Aes128>;

/// What trying one passphrase costs: scrypt's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    log_n: u8,
    r: u32,
    p: u32,
}

/// Why scrypt's parameters are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "scrypt with n = {n}, r = {r}, p = {p} is refused: n must be a power of two from 2 to 2^20, r and p from 1 to 16, \
     n × r × 128 at most 1 GiB, and n × r × p at most 2^23"
)]
pub struct CostError {
    /// Number of blocks.
    pub n: u64,
    /// Block size in units of 128 bytes.
    pub r: u32,
    /// Repetitions.
    pub p: u32,
}

impl Cost {
    /// 128 MiB and about half a second: what deriving a key from its phrase costs too.
    pub const DEFAULT: Self = Self {
        log_n: 17,
        r: 8,
        p: 1,
    };
    /// 4 MiB and some milliseconds, for keys that guard nothing: tests and throw-away devnets.
    pub const CHEAP: Self = Self {
        log_n: 12,
        r: 8,
        p: 1,
    };
    /// Most memory that trying a passphrase takes.
    pub const MEMORY_BYTES_MAX: u64 = 1 << 30;

    /// Four times the work of EIP-2335's own examples; a few seconds.
    const WORK_MAX: u64 = 1 << 23;
    const LOG_N_MAX: u32 = 20;
    const R_MAX: u32 = 16;
    const P_MAX: u32 = 16;

    /// Scrypt's parameters as a file names them.
    ///
    /// # Errors
    ///
    /// [`CostError`] if they are no parameters, or cost more than this program is ready to spend on a stranger's file.
    pub fn new(n: u64, r: u32, p: u32) -> Result<Self, CostError> {
        let refused = CostError { n, r, p };
        let shape =
            n.is_power_of_two() && n.trailing_zeros() >= 1 && n.trailing_zeros() <= Self::LOG_N_MAX;
        if !shape || !(1..=Self::R_MAX).contains(&r) || !(1..=Self::P_MAX).contains(&p) {
            return Err(refused);
        }
        let blocks = n * u64::from(r);
        if blocks * 128 > Self::MEMORY_BYTES_MAX || blocks * u64::from(p) > Self::WORK_MAX {
            return Err(refused);
        }
        let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| refused)?;
        Ok(Self { log_n, r, p })
    }

    /// Number of blocks.
    pub fn n(self) -> u64 {
        1 << self.log_n
    }

    /// Block size in units of 128 bytes.
    pub fn r(self) -> u32 {
        self.r
    }

    /// Repetitions.
    pub fn p(self) -> u32 {
        self.p
    }
}

/// The key that a passphrase makes: 16 bytes to encrypt with, 16 to check with.
pub(super) struct DerivedKey(Zeroizing<[u8; 32]>);

impl DerivedKey {
    /// Runs scrypt: takes `cost.n() × cost.r() × 128` bytes of memory for a while.
    pub(super) fn derive(passphrase: &Passphrase, salt: &[u8], cost: Cost) -> Self {
        let params = scrypt::Params::new(cost.log_n, cost.r, cost.p)
            .expect("a cost is within scrypt's own limits");
        let mut key = Zeroizing::new([0; 32]);
        scrypt::scrypt(passphrase.normalised().as_bytes(), salt, &params, &mut *key)
            .expect("32 bytes are a valid length");
        Self(key)
    }

    /// What a file records to tell a right passphrase from a wrong one.
    pub(super) fn checksum(&self, ciphertext: &[u8; 32]) -> [u8; 32] {
        Sha256::new()
            .chain_update(&self.0[16..])
            .chain_update(ciphertext)
            .finalize()
            .into()
    }

    /// Encrypts or decrypts; in counter mode they are one.
    pub(super) fn crypt(&self, iv: &[u8; 16], text: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 16]);
        key.copy_from_slice(&self.0[..16]);
        let mut text = Zeroizing::new(*text);
        Aes128Ctr::new((&*key).into(), iv.into()).apply_keystream(&mut *text);
        text
    }
}

/// SHA-256 of `parts`, each with its length before it, so that no two lists of parts run together alike.
pub(super) fn plain_sum(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_that_a_stranger_could_hurt_with_are_refused() {
        for (n, r, p) in [
            (0, 8, 1),
            (1, 8, 1),
            (1000, 8, 1),
            (1 << 21, 1, 1),
            (1 << 63, 8, 1),
            (1 << 10, 0, 1),
            (1 << 10, 17, 1),
            (1 << 10, 8, 0),
            (1 << 10, 8, 17),
            (1 << 20, 16, 1),
            (1 << 20, 8, 2),
            (u64::MAX, u32::MAX, u32::MAX),
        ] {
            assert_eq!(Cost::new(n, r, p), Err(CostError { n, r, p }));
        }
    }

    #[test]
    fn costs_in_use_are_accepted() {
        assert_eq!(Cost::new(1 << 17, 8, 1), Ok(Cost::DEFAULT));
        assert_eq!(Cost::new(1 << 12, 8, 1), Ok(Cost::CHEAP));
        assert!(Cost::new(1 << 18, 8, 1).is_ok());
        assert!(Cost::new(1 << 20, 8, 1).is_ok());
    }

    #[test]
    fn aes_ctr_is_that_of_the_standard() {
        // NIST SP 800-38A, F.5.1, the first two blocks.
        let bytes = |text: &str| hex::decode(text).expect("is hexadecimal");
        let mut key = [0; 32];
        key[..16].copy_from_slice(&bytes("2b7e151628aed2a6abf7158809cf4f3c"));
        let iv: [u8; 16] = bytes("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
            .try_into()
            .expect("has 16 bytes");
        let plain: [u8; 32] =
            bytes("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
                .try_into()
                .expect("has 32 bytes");
        let encrypted = DerivedKey(Zeroizing::new(key)).crypt(&iv, &plain);
        assert_eq!(
            hex::encode(*encrypted),
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
        );
    }
}
