//! A verifiable random function: one output for a key and an input, with a proof that it is the one.
//!
//! ECVRF-EDWARDS25519-SHA512-TAI of RFC 9381 (suite 0x03): encode-to-curve by try-and-increment
//! (section 5.4.1.1), deterministic nonce of RFC 8032 (5.4.2.2), 16-byte challenge over Y, H, Γ, U, V
//! (5.4.3), output from the cofactor-cleared Γ (5.2), verification with key validation (5.3, 5.4.5).
//!
//! Try-and-increment takes a time that depends on the input; inputs are public here.
//!
//! # Invariants
//! - For one key and input every proof that verifies has the same output.
//! - No key of small order, and no encoding of a point or scalar but the canonical one, is accepted.
//! - The secret is zeroized when dropped and never printed. It is never a signing key's: both derive
//!   nonces from it.

use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::clamp_integer;
use curve25519_dalek::traits::VartimeMultiscalarMul as _;
use curve25519_dalek::{EdwardsPoint, Scalar};
use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use sha2::{Digest as _, Sha512};
use zeroize::{Zeroize as _, Zeroizing};

const SUITE: u8 = 0x03;
const CHALLENGE_BYTES: usize = 16;

/// The public key of the function, as bytes. Not checked to be a point until it verifies something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen)]
pub struct VrfPublic(pub [u8; 32]);

/// A proof: Γ (32 bytes), challenge (16), response (32).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen)]
pub struct VrfProof(pub [u8; 80]);

/// The function's output, 64 bytes that look random to whoever lacks the secret.
pub type VrfOutput = [u8; 64];

/// The proof doesn't hold for this key and input, or one of its parts is no valid encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the VRF proof does not hold")]
pub struct BadVrfProof;

/// The secret half. Zeroized when dropped, never printed.
pub struct VrfSecret {
    scalar: Scalar,
    nonce_prefix: Zeroizing<[u8; 32]>,
    public: VrfPublic,
}

impl VrfSecret {
    /// The key of a 32-byte secret, expanded as an RFC 8032 one.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let expanded = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(seed)));
        let (mut scalar, mut nonce_prefix) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        scalar.copy_from_slice(&expanded[..32]);
        nonce_prefix.copy_from_slice(&expanded[32..]);
        // Reduced modulo the group's order: it multiplies only points of that order.
        let scalar = Scalar::from_bytes_mod_order(clamp_integer(*scalar));
        let public = VrfPublic(EdwardsPoint::mul_base(&scalar).compress().to_bytes());
        Self {
            scalar,
            nonce_prefix,
            public,
        }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> VrfPublic {
        self.public
    }

    /// The output for `alpha` and its proof. About 150 µs.
    #[must_use]
    pub fn prove(&self, alpha: &[u8]) -> (VrfProof, VrfOutput) {
        let point = hash_to_point(&self.public, alpha);
        let point_bytes = point.compress();
        let gamma = point * self.scalar;
        let nonce_hash = Sha512::new()
            .chain_update(*self.nonce_prefix)
            .chain_update(point_bytes.as_bytes());
        let nonce_hash = Zeroizing::new(<[u8; 64]>::from(nonce_hash.finalize()));
        let mut nonce = Scalar::from_bytes_mod_order_wide(&nonce_hash);
        let challenge = challenge_of([
            &self.public.0,
            point_bytes.as_bytes(),
            gamma.compress().as_bytes(),
            EdwardsPoint::mul_base(&nonce).compress().as_bytes(),
            (point * nonce).compress().as_bytes(),
        ]);
        let response = nonce + scalar_of(&challenge) * self.scalar;
        nonce.zeroize();
        let mut proof = [0; 80];
        proof[..32].copy_from_slice(gamma.compress().as_bytes());
        proof[32..48].copy_from_slice(&challenge);
        proof[48..].copy_from_slice(response.as_bytes());
        (VrfProof(proof), output_of(&gamma))
    }
}

impl Drop for VrfSecret {
    fn drop(&mut self) {
        self.scalar.zeroize();
    }
}

impl VrfPublic {
    /// Whether this is the canonical encoding of a point whose order isn't small.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.point().is_ok()
    }

    /// Checks the proof and gives the output for `alpha`. About 150 µs.
    ///
    /// # Errors
    /// [`BadVrfProof`] also when the key is no point or one of small order.
    pub fn verify(&self, alpha: &[u8], proof: &VrfProof) -> Result<VrfOutput, BadVrfProof> {
        let key = self.point()?;
        let (gamma_bytes, rest) = split::<32>(&proof.0)?;
        let (challenge_bytes, rest) = split::<CHALLENGE_BYTES>(rest)?;
        let (response_bytes, _) = split::<32>(rest)?;
        let gamma = decompress(&gamma_bytes).ok_or(BadVrfProof)?;
        let response: Option<Scalar> = Scalar::from_canonical_bytes(response_bytes).into();
        let (challenge, response) = (scalar_of(&challenge_bytes), response.ok_or(BadVrfProof)?);
        let point = hash_to_point(self, alpha);
        // Points are negated, not the challenge: the key or Γ may have a part of small order.
        let u = EdwardsPoint::vartime_double_scalar_mul_basepoint(&challenge, &-key, &response);
        let v = EdwardsPoint::vartime_multiscalar_mul([response, challenge], [point, -gamma]);
        let expected = challenge_of([
            &self.0,
            point.compress().as_bytes(),
            &gamma_bytes,
            u.compress().as_bytes(),
            v.compress().as_bytes(),
        ]);
        if expected == challenge_bytes {
            Ok(output_of(&gamma))
        } else {
            Err(BadVrfProof)
        }
    }

    fn point(&self) -> Result<EdwardsPoint, BadVrfProof> {
        decompress(&self.0)
            .filter(|point| !point.is_small_order())
            .ok_or(BadVrfProof)
    }
}

/// The point with this canonical encoding (RFC 8032, section 5.1.3).
fn decompress(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    let point = CompressedEdwardsY(*bytes).decompress()?;
    (point.compress().as_bytes() == bytes).then_some(point)
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), BadVrfProof> {
    bytes
        .split_first_chunk::<N>()
        .map(|(head, rest)| (*head, rest))
        .ok_or(BadVrfProof)
}

/// `ECVRF_encode_to_curve_try_and_increment`: a point of the prime-order group that nobody knows the
/// logarithm of.
fn hash_to_point(key: &VrfPublic, alpha: &[u8]) -> EdwardsPoint {
    let found = (0..=u8::MAX).find_map(|counter| {
        let hash = Sha512::new()
            .chain_update([SUITE, 0x01])
            .chain_update(key.0)
            .chain_update(alpha);
        let hash = <[u8; 64]>::from(hash.chain_update([counter, 0x00]).finalize());
        let (candidate, _) = split::<32>(&hash).ok()?;
        decompress(&candidate)
            .filter(|point| !point.is_small_order())
            .map(|point| point.mul_by_cofactor())
    });
    found.expect("each of 256 tries finds a point with a chance of one half")
}

/// `ECVRF_challenge_generation` over the encodings of Y, H, Γ, U, V.
fn challenge_of(points: [&[u8; 32]; 5]) -> [u8; CHALLENGE_BYTES] {
    let hash = points
        .iter()
        .fold(Sha512::new().chain_update([SUITE, 0x02]), |hash, point| {
            hash.chain_update(point)
        });
    let hash = <[u8; 64]>::from(hash.chain_update([0x00]).finalize());
    let mut challenge = [0; CHALLENGE_BYTES];
    challenge.copy_from_slice(&hash[..CHALLENGE_BYTES]);
    challenge
}

fn scalar_of(challenge: &[u8; CHALLENGE_BYTES]) -> Scalar {
    Scalar::from(u128::from_le_bytes(*challenge))
}

/// `ECVRF_proof_to_hash`.
fn output_of(gamma: &EdwardsPoint) -> VrfOutput {
    let hash = Sha512::new()
        .chain_update([SUITE, 0x03])
        .chain_update(gamma.mul_by_cofactor().compress().as_bytes());
    hash.chain_update([0x00]).finalize().into()
}

impl std::fmt::Debug for VrfSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VrfSecret(secret)")
    }
}

macro_rules! hexadecimal {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    )*};
}
hexadecimal!(VrfPublic, VrfProof);

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text)
            .expect("hexadecimal")
            .try_into()
            .expect("as long as asked")
    }

    /// RFC 9381, appendix B.3, examples 16 to 18: secret, public key, alpha, proof, output.
    const VECTORS: [[&str; 5]; 3] = [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f479d97\
             27d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805",
            "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff66b71dda49d2de59d03450451af02679\
             8e8f81cd2e333de5cdf4f3e140fdd8ae",
        ],
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92a465\
             301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02",
            "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb5e33821bc613efb94db5e5b54c70a848\
             a0bef4553a41befc57663b56373a5031",
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf8096bb474e53895c362d8628ee9f9ea3c0\
             e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e",
            "645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c452118fec1219202a0edcf038bb6373241\
             578be7217ba85a2687f7a0310b2df19f",
        ],
    ];

    #[test]
    fn the_vectors_of_rfc_9381_hold() {
        for [secret, public, alpha, proof, output] in VECTORS {
            let secret = VrfSecret::from_seed(&bytes(secret));
            let (public, alpha) = (
                VrfPublic(bytes(public)),
                hex::decode(alpha).expect("hexadecimal"),
            );
            let (proof, output) = (VrfProof(bytes(proof)), bytes(output));
            assert_eq!(secret.public(), public);
            assert_eq!(secret.prove(&alpha), (proof, output));
            assert_eq!(public.verify(&alpha, &proof), Ok(output));
        }
    }

    #[test]
    fn a_proof_with_any_bit_altered_fails() {
        let secret = VrfSecret::from_seed(&[3; 32]);
        let (proof, _) = secret.prove(b"input");
        for bit in 0..640 {
            let mut forged = proof;
            forged.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                secret.public().verify(b"input", &forged),
                Err(BadVrfProof),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_proof_holds_for_its_key_and_input_only() {
        let (secret, other) = (
            VrfSecret::from_seed(&[3; 32]),
            VrfSecret::from_seed(&[4; 32]),
        );
        let (proof, output) = secret.prove(b"input");
        assert_eq!(secret.public().verify(b"input", &proof), Ok(output));
        assert!(secret.public().verify(b"other", &proof).is_err());
        assert!(other.public().verify(b"input", &proof).is_err());
        assert_ne!(other.prove(b"input").1, output);
    }

    #[test]
    fn a_response_above_the_groups_order_is_refused() {
        let secret = VrfSecret::from_seed(&[3; 32]);
        let (mut proof, _) = secret.prove(b"input");
        let order: [u8; 32] =
            bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut carry = 0;
        for (byte, added) in proof.0[48..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(added) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        assert!(secret.public().verify(b"input", &proof).is_err());
    }

    #[test]
    fn keys_of_small_order_and_encodings_that_are_not_canonical_are_refused() {
        for point in EIGHT_TORSION {
            assert!(!VrfPublic(point.compress().to_bytes()).is_valid());
        }
        // y = p + 1 is the identity's y = 1 in another encoding; y = 2^255 - 1 is 18.
        let mut large = [0xff; 32];
        large[31] = 0x7f;
        assert!(!VrfPublic(large).is_valid());
        large[0] = 0xee;
        assert!(!VrfPublic(large).is_valid());
        assert!(VrfPublic(ED25519_BASEPOINT_POINT.compress().to_bytes()).is_valid());
        assert!(VrfPublic([2; 32]).verify(b"", &VrfProof([0; 80])).is_err());
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(
            format!("{:?}", VrfSecret::from_seed(&[1; 32])),
            "VrfSecret(secret)"
        );
    }
}
