//! A quorum holds a batch.

use super::{CertificateError, Committee, Weight};
use crate::block::{BatchDigest, Instance};
use crate::codec::BoundedVec;
use crate::hash::Hash;
use crate::key::{Role, Signature, signing_hash};
use crate::parameters::MEMBERS_MAX;
use parity_scale_codec::{Decode, Encode};

/// A quorum holds the batch, with its operations and the content that they name.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AvailabilityCertificate {
    /// Which instance's committee signed.
    pub instance: Instance,
    /// Which batch.
    pub batch: BatchDigest,
    /// Members' signatures on `(instance, batch)` in [`Role::Availability`], rising by index.
    pub parts: BoundedVec<(u16, Signature), MEMBERS_MAX>,
}

impl AvailabilityCertificate {
    /// The hash that members sign.
    #[must_use]
    pub fn signing_hash(genesis: &Hash, instance: &Instance, batch: &BatchDigest) -> Hash {
        signing_hash(Role::Availability, genesis, &(instance, batch))
    }

    /// Verifies every signature under `committee`.
    ///
    /// # Errors
    /// [`CertificateError`] names the first part that doesn't hold.
    pub fn verify(&self, committee: &Committee, genesis: &Hash) -> Result<(), CertificateError> {
        if self.instance.committee != committee.hash() {
            return Err(CertificateError::Instance);
        }
        let hash = Self::signing_hash(genesis, &self.instance, &self.batch);
        let mut weight: Weight = 0;
        let mut previous = None;
        for (part, (index, signature)) in self.parts.iter().enumerate() {
            let member = committee
                .get(*index)
                .ok_or(CertificateError::Member { part })?;
            if previous.is_some_and(|before| before >= *index) {
                return Err(CertificateError::Member { part });
            }
            previous = Some(*index);
            member
                .key
                .verify(&hash, signature)
                .map_err(|_| CertificateError::Signature { part })?;
            weight = weight.saturating_add(member.weight);
        }
        if committee.is_quorum(weight) {
            Ok(())
        } else {
            Err(CertificateError::NoQuorum)
        }
    }
}
