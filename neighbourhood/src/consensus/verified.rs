//! Which signatures and certificates were verified already: each costs its checks once.

use super::messages::Fault;
use frith_ledger::block::Instance;
use frith_ledger::certificate::{Committee, QuorumCertificate, TimeoutCertificate};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::key::{BadSignature, PublicKey, Signature};
use frith_ledger::units::View;
use parity_scale_codec::Encode;
use std::collections::{BTreeSet, VecDeque};

/// Verified certificates that are remembered.
const CERTIFICATES_MAX: usize = 128;
/// Verified votes and timeouts that are remembered: of two views of the largest committee.
const SIGNATURES_MAX: usize = 1024;

#[derive(Debug, Clone, Default)]
pub(super) struct Verified {
    certificates: Recent,
    signatures: Recent,
}

/// The hashes that were remembered last.
#[derive(Debug, Clone, Default)]
struct Recent {
    hashes: BTreeSet<Hash>,
    order: VecDeque<Hash>,
}

impl Recent {
    fn remember(&mut self, hash: Hash, max: usize) {
        if self.hashes.insert(hash) {
            self.order.push_back(hash);
        }
        if self.order.len() > max
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
    }

    fn contains(&self, hash: &Hash) -> bool {
        self.hashes.contains(hash)
    }
}

/// Names a signature: what was verified is all of key, signed hash and signature.
fn name(key: &PublicKey, signed: &Hash, signature: &Signature) -> Hash {
    Hash::of(Domain::Certificate, &("signature", key, signed, signature))
}

impl Verified {
    /// Verifies a vote's or a timeout's signature, which a certificate may hold later.
    pub(super) fn signature(
        &mut self,
        key: &PublicKey,
        signed: &Hash,
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        if !self.signatures.contains(&name(key, signed, signature)) {
            key.verify(signed, signature)?;
            self.trust_signature(key, signed, signature);
        }
        Ok(())
    }

    /// Remembers a signature that was made here.
    pub(super) fn trust_signature(
        &mut self,
        key: &PublicKey,
        signed: &Hash,
        signature: &Signature,
    ) {
        let name = name(key, signed, signature);
        self.signatures.remember(name, SIGNATURES_MAX);
    }

    /// Remembers a certificate that was made of verified parts.
    pub(super) fn trust<T: Encode>(&mut self, certificate: &T) {
        let hash = Hash::of(Domain::Certificate, certificate);
        self.certificates.remember(hash, CERTIFICATES_MAX);
    }

    /// Verifies a quorum certificate of `instance`.
    pub(super) fn quorum(
        &mut self,
        certificate: &QuorumCertificate,
        instance: &Instance,
        committee: &Committee,
        genesis: &Hash,
    ) -> Result<(), Fault> {
        of_instance(&certificate.instance, certificate.view, instance)?;
        let hash = Hash::of(Domain::Certificate, certificate);
        if !self.certificates.contains(&hash) {
            certificate
                .verify_rest(committee, genesis, &|key, signed, signature| {
                    self.signatures.contains(&name(key, signed, signature))
                })
                .map_err(Fault::Certificate)?;
            self.certificates.remember(hash, CERTIFICATES_MAX);
        }
        Ok(())
    }

    /// Verifies a timeout certificate of `instance`.
    pub(super) fn timeout(
        &mut self,
        certificate: &TimeoutCertificate,
        instance: &Instance,
        committee: &Committee,
        genesis: &Hash,
    ) -> Result<(), Fault> {
        of_instance(&certificate.instance, certificate.view, instance)?;
        // Another domain than a quorum certificate's: the two encode alike up to the block.
        let hash = Hash::of(Domain::Certificate, &("timeout", certificate));
        if !self.certificates.contains(&hash) {
            certificate
                .verify_rest(committee, genesis, &|key, signed, signature| {
                    self.signatures.contains(&name(key, signed, signature))
                })
                .map_err(Fault::Certificate)?;
            self.certificates.remember(hash, CERTIFICATES_MAX);
        }
        Ok(())
    }
}

fn of_instance(found: &Instance, view: View, expected: &Instance) -> Result<(), Fault> {
    if found == expected && view > View::ZERO {
        Ok(())
    } else {
        Err(Fault::Malformed {
            what: "a certificate is of this instance and of a view",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::key::SecretKey;

    #[test]
    fn a_remembered_signature_stands_for_itself_only() {
        let (key, other) = (
            SecretKey::from_bytes(&[1; 32]),
            SecretKey::from_bytes(&[2; 32]),
        );
        let (signed, signature) = (Hash([3; 32]), key.sign(&Hash([3; 32])));
        let mut verified = Verified::default();
        assert!(
            verified
                .signature(&key.public(), &signed, &signature)
                .is_ok()
        );
        let mut bent = signature;
        bent.0[0] ^= 1;
        for (key, signed, signature) in [
            (other.public(), signed, signature),
            (key.public(), Hash([4; 32]), signature),
            (key.public(), signed, bent),
        ] {
            assert!(
                verified.signature(&key, &signed, &signature).is_err(),
                "{key:?}"
            );
            assert!(
                !verified
                    .signatures
                    .contains(&name(&key, &signed, &signature))
            );
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
        let mut recent = Recent::default();
        for byte in [1, 2, 2, 3, 4] {
            recent.remember(Hash([byte; 32]), 3);
        }
        let kept = [1, 2, 3, 4].map(|byte| recent.contains(&Hash([byte; 32])));
        assert_eq!(kept, [false, true, true, true]);
        assert_eq!(recent.order.len(), recent.hashes.len());
    }
}
