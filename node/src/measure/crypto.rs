//! Signature checks: what bounds how many operations a member can verify.

use crate::failure::Result;
use frith_ledger::hash::Hash;
use frith_ledger::key::SecretKey;
use std::time::{Duration, Instant};

/// Signatures that are checked in turn.
const SIGNATURES: u8 = 64;

/// Strict Ed25519 checks a second on one core, over `time`.
///
/// # Errors
/// A right signature that doesn't verify: this program is broken.
pub fn signature_checks_per_s(time: Duration) -> Result<f64> {
    let signed: Vec<_> = (0..SIGNATURES)
        .map(|i| {
            let (key, message) = (SecretKey::from_bytes(&[i; 32]), Hash([i; 32]));
            (key.public(), message, key.sign(&message))
        })
        .collect();
    let began = Instant::now();
    let mut checks = 0;
    while began.elapsed() < time {
        for (key, message, signature) in &signed {
            key.verify(message, signature)
                .map_err(|error| super::failed("signatures")(error.to_string()))?;
        }
        checks += u64::from(SIGNATURES);
    }
    Ok(super::per_second(checks, began.elapsed()))
}
