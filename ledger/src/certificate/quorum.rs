//! Certificates of votes and of timeouts: verified part by part.

use super::assemble::assemble;
use super::{
    CertificateError, Committee, LISTED_MAX, Timeout, TimeoutStatement, Vote, VoteStatement, Weight,
};
use crate::block::{BatchDigest, BlockId, Instance};
use crate::codec::BoundedVec;
use crate::hash::Hash;
use crate::key::{PublicKey, Role, Signature, signing_hash};
use crate::parameters::{MEMBERS_MAX, OWED_MAX};
use crate::units::View;
use parity_scale_codec::{Decode, Encode};
use std::collections::BTreeMap;

/// One member's part in a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Part {
    /// Index in the committee; parts are in strictly rising order of it.
    pub member: u16,
    /// For a timeout: the view of the signer's highest certificate. For a vote: 0.
    pub high: View,
    /// Which of the certificate's `listed` batches the signer named: rising indexes.
    pub known: BoundedVec<u16, OWED_MAX>,
    /// The member's signature.
    pub signature: Signature,
}

/// More than two thirds of the weight voted for `block` in `view`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct QuorumCertificate {
    /// Which instance.
    pub instance: Instance,
    /// The view.
    pub view: View,
    /// The block.
    pub block: BlockId,
    /// Every batch that some signer named, sorted.
    pub listed: BoundedVec<BatchDigest, LISTED_MAX>,
    /// The votes.
    pub parts: BoundedVec<Part, MEMBERS_MAX>,
}

/// More than two thirds of the weight gave up on `view`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TimeoutCertificate {
    /// Which instance.
    pub instance: Instance,
    /// The view.
    pub view: View,
    /// Every batch that some signer named, sorted.
    pub listed: BoundedVec<BatchDigest, LISTED_MAX>,
    /// The timeouts.
    pub parts: BoundedVec<Part, MEMBERS_MAX>,
}

/// Whether this signature of this key on this hash was verified before, and held.
pub type IsVerified<'a> = &'a dyn Fn(&PublicKey, &Hash, &Signature) -> bool;

/// Checks the form of `parts`, their weight, and the signature of each on what `statement` makes of it and of the
/// batches that it names, unless that `is_verified`.
fn check_parts(
    committee: &Committee,
    listed: &[BatchDigest],
    parts: &[Part],
    is_verified: IsVerified<'_>,
    mut statement: impl FnMut(&Part, &[BatchDigest]) -> Hash,
) -> Result<(), CertificateError> {
    if !listed.is_sorted_by(|a, b| a < b) {
        return Err(CertificateError::Listed { part: 0 });
    }
    // Form first: it costs nothing, the signatures do.
    let mut weight: Weight = 0;
    let mut previous = None;
    let mut named = vec![false; listed.len()];
    for (part, entry) in parts.iter().enumerate() {
        let member = committee
            .get(entry.member)
            .ok_or(CertificateError::Member { part })?;
        if previous.is_some_and(|before| before >= entry.member) {
            return Err(CertificateError::Member { part });
        }
        previous = Some(entry.member);
        if !entry.known.is_sorted_by(|a, b| a < b) {
            return Err(CertificateError::Listed { part });
        }
        for index in &entry.known {
            *named
                .get_mut(usize::from(*index))
                .ok_or(CertificateError::Listed { part })? = true;
        }
        weight = weight.saturating_add(member.weight);
    }
    if !committee.is_quorum(weight) {
        return Err(CertificateError::NoQuorum);
    }
    if !named.iter().all(|named| *named) {
        return Err(CertificateError::Unnamed);
    }
    for (part, entry) in parts.iter().enumerate() {
        let member = committee
            .get(entry.member)
            .ok_or(CertificateError::Member { part })?;
        let known: Option<Vec<BatchDigest>> = entry
            .known
            .iter()
            .map(|i| listed.get(usize::from(*i)).copied())
            .collect();
        let known = known.ok_or(CertificateError::Listed { part })?;
        let hash = statement(entry, &known);
        if !is_verified(&member.key, &hash, &entry.signature) {
            member
                .key
                .verify(&hash, &entry.signature)
                .map_err(|_| CertificateError::Signature { part })?;
        }
    }
    Ok(())
}

/// Refuses parts whose `high` can't be: no quorum certificate of view `below` or later can be behind
/// a signature on `below`.
fn check_high(parts: &[Part], possible: impl Fn(View) -> bool) -> Result<(), CertificateError> {
    parts
        .iter()
        .position(|part| !possible(part.high))
        .map_or(Ok(()), |part| Err(CertificateError::High { part }))
}

/// The batches that members with more than a third of the weight named.
fn owed(committee: &Committee, listed: &[BatchDigest], parts: &[Part]) -> Vec<BatchDigest> {
    let mut weights: BTreeMap<BatchDigest, Weight> = BTreeMap::new();
    for part in parts {
        let weight = committee.get(part.member).map_or(0, |member| member.weight);
        for batch in part
            .known
            .iter()
            .filter_map(|i| listed.get(usize::from(*i)))
        {
            let sum = weights.entry(*batch).or_default();
            *sum = sum.saturating_add(weight);
        }
    }
    weights
        .into_iter()
        .filter(|(_, weight)| committee.is_third(*weight))
        .map(|(batch, _)| batch)
        .collect()
}

impl QuorumCertificate {
    /// Makes a certificate of votes for one block in one view, one a member, in any order. The
    /// caller has verified them. `None` when they are no quorum (votes past [`LISTED_MAX`] are left
    /// out).
    #[must_use]
    pub fn from_votes<'a>(
        committee: &Committee,
        votes: impl IntoIterator<Item = &'a Vote>,
    ) -> Option<Self> {
        let by_member: BTreeMap<u16, &Vote> =
            votes.into_iter().map(|vote| (vote.member, vote)).collect();
        let first = *by_member.values().next()?;
        let entries = by_member
            .values()
            .map(|v| (v.member, View::ZERO, &v.known, v.signature));
        let (listed, parts) = assemble(committee, entries)?;
        Some(Self {
            instance: first.instance,
            view: first.view,
            block: first.block,
            listed,
            parts,
        })
    }

    /// Verifies every part under `committee`. One strict signature check a signer.
    ///
    /// # Errors
    /// [`CertificateError`] names the first part that doesn't hold.
    pub fn verify(&self, committee: &Committee, genesis: &Hash) -> Result<(), CertificateError> {
        self.verify_rest(committee, genesis, &|_, _, _| false)
    }

    /// The same, without the signatures that were verified one by one before.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_rest(
        &self,
        committee: &Committee,
        genesis: &Hash,
        is_verified: IsVerified<'_>,
    ) -> Result<(), CertificateError> {
        if self.instance.committee != committee.hash() {
            return Err(CertificateError::Instance);
        }
        check_high(&self.parts, |high| high == View::ZERO)?;
        let (listed, parts) = (&self.listed, &self.parts);
        check_parts(committee, listed, parts, is_verified, |_, known| {
            let statement = VoteStatement {
                instance: self.instance,
                view: self.view,
                block: self.block,
                known,
            };
            signing_hash(Role::Vote, genesis, &statement)
        })
    }

    /// The batches that signers with more than a third of the weight named, sorted.
    #[must_use]
    pub fn owed(&self, committee: &Committee) -> Vec<BatchDigest> {
        owed(committee, &self.listed, &self.parts)
    }
}

impl TimeoutCertificate {
    /// As [`QuorumCertificate::from_votes`], for timeouts of one view.
    #[must_use]
    pub fn from_timeouts<'a>(
        committee: &Committee,
        timeouts: impl IntoIterator<Item = &'a Timeout>,
    ) -> Option<Self> {
        let by_member: BTreeMap<u16, &Timeout> =
            timeouts.into_iter().map(|t| (t.member, t)).collect();
        let first = *by_member.values().next()?;
        let entries = by_member
            .values()
            .map(|t| (t.member, t.high_view(), &t.known, t.signature));
        let (listed, parts) = assemble(committee, entries)?;
        Some(Self {
            instance: first.instance,
            view: first.view,
            listed,
            parts,
        })
    }

    /// Verifies every part under `committee`.
    ///
    /// # Errors
    /// [`CertificateError`] names the first part that doesn't hold.
    pub fn verify(&self, committee: &Committee, genesis: &Hash) -> Result<(), CertificateError> {
        self.verify_rest(committee, genesis, &|_, _, _| false)
    }

    /// The same, without the signatures that were verified one by one before.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_rest(
        &self,
        committee: &Committee,
        genesis: &Hash,
        is_verified: IsVerified<'_>,
    ) -> Result<(), CertificateError> {
        if self.instance.committee != committee.hash() {
            return Err(CertificateError::Instance);
        }
        check_high(&self.parts, |high| high < self.view)?;
        let (listed, parts) = (&self.listed, &self.parts);
        check_parts(committee, listed, parts, is_verified, |part, known| {
            let statement = TimeoutStatement {
                instance: self.instance,
                view: self.view,
                high: part.high,
                known,
            };
            signing_hash(Role::Timeout, genesis, &statement)
        })
    }

    /// The highest certificate's view that any signer had: a proposal must build on at least that.
    #[must_use]
    pub fn high(&self) -> View {
        self.parts
            .iter()
            .map(|part| part.high)
            .max()
            .unwrap_or_default()
    }

    /// The batches that signers with more than a third of the weight named, sorted.
    #[must_use]
    pub fn owed(&self, committee: &Committee) -> Vec<BatchDigest> {
        owed(committee, &self.listed, &self.parts)
    }
}
