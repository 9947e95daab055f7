//! Committees, votes and the certificates made of them.
//!
//! Two-chain HotStuff with timeout certificates (Gelashvili et al., "Jolteon and Ditto", 2021,
//! figure 2; DiemBFT v4). A quorum certificate says that more than two thirds of the weight voted
//! for a block in a view. A block is *committed* when its direct child, proposed in the very next
//! view, is certified: a [`CommitProof`] shows that, and needs nothing but the committee to check.
//!
//! Deviation: votes and timeouts also list the certified batches that the voter knows, so that the
//! inclusion rule of the op pool can be checked from the certificate alone.

use crate::address::Address;
use crate::block::{BatchDigest, BlockHeader, BlockId, Instance};
use crate::codec::BoundedVec;
use crate::hash::{Domain, Hash};
use crate::key::{PublicKey, Role, SecretKey, Signature, signing_hash};
use crate::parameters::{MEMBERS_MAX, OWED_MAX};
use crate::units::View;
use crate::vrf::VrfPublic;
use parity_scale_codec::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};

/// Voting weight: microcredits of stake, capped.
pub type Weight = u128;

/// A member of a committee.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Member {
    /// Where its Worker entity lives.
    pub seat: Address,
    /// Its worker key.
    pub key: PublicKey,
    /// Its VRF key.
    pub vrf: VrfPublic,
    /// Its voting weight, above zero.
    pub weight: Weight,
}

/// Who decides an instance, in order of their seats.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Committee {
    members: BoundedVec<Member, MEMBERS_MAX>,
}

impl Committee {
    /// A committee of these members: sorted by seat; of members with one key only the first counts,
    /// and members without weight don't. Past [`MEMBERS_MAX`] the lightest are left out.
    #[must_use]
    pub fn new(members: Vec<Member>) -> Self {
        let mut keys = BTreeSet::new();
        let mut members: Vec<Member> = members
            .into_iter()
            .filter(|m| m.weight > 0 && keys.insert(m.key))
            .collect();
        members.sort_by(|a, b| b.weight.cmp(&a.weight).then(a.seat.cmp(&b.seat)));
        members.truncate(MEMBERS_MAX);
        members.sort_by_key(|member| member.seat);
        Self {
            members: members.try_into().unwrap_or_default(),
        }
    }

    /// The hash that instances name.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(Domain::Committee, self)
    }

    /// The members, in order.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member at `index`.
    #[must_use]
    pub fn get(&self, index: u16) -> Option<&Member> {
        self.members.get(usize::from(index))
    }

    /// The index of the member with this key. Linear in the members.
    #[must_use]
    pub fn index_of(&self, key: &PublicKey) -> Option<u16> {
        self.members
            .iter()
            .position(|member| member.key == *key)
            .and_then(|i| u16::try_from(i).ok())
    }

    /// The weight of all members.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.members
            .iter()
            .fold(0, |sum, member| sum.saturating_add(member.weight))
    }

    /// Whether `weight` is more than two thirds of all.
    #[must_use]
    pub fn is_quorum(&self, weight: Weight) -> bool {
        // Weights are sums of stakes, far below 2^126; compare without division.
        weight.saturating_mul(3) > self.weight().saturating_mul(2)
    }

    /// Whether `weight` is more than a third of all: at least one correct member is among them.
    #[must_use]
    pub fn is_third(&self, weight: Weight) -> bool {
        weight.saturating_mul(3) > self.weight()
    }
}

/// What a vote signs, in [`Role::Vote`].
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct VoteStatement<'a> {
    /// Which instance.
    pub instance: Instance,
    /// The view.
    pub view: View,
    /// The block.
    pub block: BlockId,
    /// Certified batches that the voter knows and that the block's chain hasn't included, sorted.
    pub known: &'a [BatchDigest],
}

/// What a timeout signs, in [`Role::Timeout`].
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct TimeoutStatement<'a> {
    /// Which instance.
    pub instance: Instance,
    /// The view that is given up.
    pub view: View,
    /// View of the highest quorum certificate that the signer has.
    pub high: View,
    /// As in a vote.
    pub known: &'a [BatchDigest],
}

/// A member's vote for a block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Vote {
    /// Which instance.
    pub instance: Instance,
    /// The view.
    pub view: View,
    /// The block.
    pub block: BlockId,
    /// Who: an index in the committee.
    pub member: u16,
    /// See [`VoteStatement::known`].
    pub known: BoundedVec<BatchDigest, OWED_MAX>,
    /// Signs the [`VoteStatement`].
    pub signature: Signature,
}

/// A member's word that it gave up on a view.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Timeout {
    /// Which instance.
    pub instance: Instance,
    /// The view that is given up.
    pub view: View,
    /// The signer's highest quorum certificate; `None`: only the instance's genesis.
    pub high: Option<QuorumCertificate>,
    /// Who: an index in the committee.
    pub member: u16,
    /// See [`VoteStatement::known`].
    pub known: BoundedVec<BatchDigest, OWED_MAX>,
    /// Signs the [`TimeoutStatement`].
    pub signature: Signature,
}

impl Vote {
    /// A signed vote; `known` sorted and without repeats.
    #[must_use]
    pub fn sign(
        instance: Instance,
        view: View,
        block: BlockId,
        member: u16,
        known: BoundedVec<BatchDigest, OWED_MAX>,
        genesis: &Hash,
        key: &SecretKey,
    ) -> Self {
        let hash = signing_hash(
            Role::Vote,
            genesis,
            &VoteStatement {
                instance,
                view,
                block,
                known: &known,
            },
        );
        Self {
            instance,
            view,
            block,
            member,
            known,
            signature: key.sign(&hash),
        }
    }

    /// The hash that its signature is on.
    #[must_use]
    pub fn signing_hash(&self, genesis: &Hash) -> Hash {
        let statement = VoteStatement {
            instance: self.instance,
            view: self.view,
            block: self.block,
            known: &self.known,
        };
        signing_hash(Role::Vote, genesis, &statement)
    }
}

impl Timeout {
    /// The view of the highest certificate it carries; 0 for the instance's genesis.
    #[must_use]
    pub fn high_view(&self) -> View {
        self.high.as_ref().map_or(View::ZERO, |qc| qc.view)
    }

    /// A signed timeout; `known` sorted and without repeats.
    #[must_use]
    pub fn sign(
        instance: Instance,
        view: View,
        high: Option<QuorumCertificate>,
        member: u16,
        known: BoundedVec<BatchDigest, OWED_MAX>,
        genesis: &Hash,
        key: &SecretKey,
    ) -> Self {
        let mut timeout = Self {
            instance,
            view,
            high,
            member,
            known,
            signature: Signature([0; 64]),
        };
        timeout.signature = key.sign(&timeout.signing_hash(genesis));
        timeout
    }

    /// The hash that its signature is on.
    #[must_use]
    pub fn signing_hash(&self, genesis: &Hash) -> Hash {
        let statement = TimeoutStatement {
            instance: self.instance,
            view: self.view,
            high: self.high_view(),
            known: &self.known,
        };
        signing_hash(Role::Timeout, genesis, &statement)
    }
}

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

/// Different batches that one certificate names. A signer's own list can't be cut (it is signed), so
/// a vote that would pass the bound is not taken into the certificate; when not all fit, those that
/// name the fewest batches which hardly anyone else names come first, so that a few members with
/// long lists of their own can't keep the others out.
pub const LISTED_MAX: usize = 4 * OWED_MAX;

/// Why a certificate doesn't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is of another instance than the committee decides.
    #[error("the certificate is of another chain, epoch or committee")]
    Instance,
    /// An index past the committee, or indexes that don't rise.
    #[error("part {part} names no member in rising order")]
    Member {
        /// Position in the list of parts.
        part: usize,
    },
    /// An index past the list of batches, or indexes that don't rise.
    #[error("part {part} names no listed batch in rising order")]
    Listed {
        /// Position in the list of parts.
        part: usize,
    },
    /// The view of the signer's highest certificate is impossible: not below the timeout's view, or
    /// present in a vote.
    #[error("part {part} claims an impossible view")]
    High {
        /// Position in the list of parts.
        part: usize,
    },
    /// A listed batch that no signer names.
    #[error("a batch is listed that no signer names")]
    Unnamed,
    /// A signature doesn't hold.
    #[error("the signature of part {part} does not hold")]
    Signature {
        /// Position in the list of parts.
        part: usize,
    },
    /// Not more than two thirds of the weight.
    #[error("the signers' weight is no quorum")]
    NoQuorum,
    /// Header, child and certificate don't form a two-chain.
    #[error("the blocks are not parent and child in consecutive views")]
    NotTwoChain,
}

/// Checks the form of `parts`, sums their weight, and calls `check` with each part's named batches.
fn check_parts(
    committee: &Committee,
    listed: &[BatchDigest],
    parts: &[Part],
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
        member
            .key
            .verify(&hash, &entry.signature)
            .map_err(|_| CertificateError::Signature { part })?;
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
        if self.instance.committee != committee.hash() {
            return Err(CertificateError::Instance);
        }
        check_high(&self.parts, |high| high == View::ZERO)?;
        check_parts(committee, &self.listed, &self.parts, |_, known| {
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
        if self.instance.committee != committee.hash() {
            return Err(CertificateError::Instance);
        }
        check_high(&self.parts, |high| high < self.view)?;
        check_parts(committee, &self.listed, &self.parts, |part, known| {
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

type Parts = (
    BoundedVec<BatchDigest, LISTED_MAX>,
    BoundedVec<Part, MEMBERS_MAX>,
);
type Signed<'a> = (u16, View, &'a BoundedVec<BatchDigest, OWED_MAX>, Signature);

fn assemble<'a>(committee: &Committee, entries: impl Iterator<Item = Signed<'a>>) -> Option<Parts> {
    let mut entries: Vec<Signed<'a>> = entries.collect();
    common_first(committee, &mut entries);
    let mut listed: BTreeSet<BatchDigest> = BTreeSet::new();
    let mut taken = Vec::new();
    let mut weight: Weight = 0;
    for entry in entries {
        let more = entry
            .2
            .iter()
            .filter(|batch| !listed.contains(batch))
            .count();
        if listed.len() + more <= LISTED_MAX {
            listed.extend(entry.2.iter().copied());
            weight = weight.saturating_add(committee.get(entry.0)?.weight);
            taken.push(entry);
        }
    }
    taken.sort_by_key(|entry| entry.0);
    if !committee.is_quorum(weight) {
        return None;
    }
    let listed: Vec<BatchDigest> = listed.into_iter().collect();
    let index = |batch: &BatchDigest| {
        listed
            .binary_search(batch)
            .ok()
            .and_then(|i| u16::try_from(i).ok())
    };
    let parts: Option<Vec<Part>> = taken
        .into_iter()
        .map(|(member, high, known, signature)| {
            let known: Option<Vec<u16>> = known.iter().map(index).collect();
            Some(Part {
                member,
                high,
                known: known?.try_into().ok()?,
                signature,
            })
        })
        .collect();
    let parts = parts?.try_into().ok()?;
    Some((listed.try_into().ok()?, parts))
}

/// When all the lists together pass [`LISTED_MAX`]: puts the signers first that name the fewest
/// batches which no third of the weight names.
fn common_first(committee: &Committee, entries: &mut [Signed<'_>]) {
    let mut weights: BTreeMap<BatchDigest, Weight> = BTreeMap::new();
    for (member, _, known, _) in entries.iter() {
        let weight = committee.get(*member).map_or(0, |member| member.weight);
        for batch in *known {
            let sum = weights.entry(*batch).or_default();
            *sum = sum.saturating_add(weight);
        }
    }
    if weights.len() > LISTED_MAX {
        let rare =
            |batch: &&BatchDigest| !committee.is_third(weights.get(*batch).copied().unwrap_or(0));
        entries.sort_by_cached_key(|entry| (entry.2.iter().filter(rare).count(), entry.0));
    }
}

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

/// Shows that a block is committed: its child, proposed in the next view, is certified.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CommitProof {
    /// The committed block.
    pub header: BlockHeader,
    /// Its child.
    pub child: BlockHeader,
    /// Certifies the child.
    pub certificate: QuorumCertificate,
}

impl CommitProof {
    /// Verifies that `self.header` is committed by `committee`.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn verify(&self, committee: &Committee, genesis: &Hash) -> Result<(), CertificateError> {
        let instance = &self.certificate.instance;
        if self.header.instance != *instance || self.child.instance != *instance {
            return Err(CertificateError::Instance);
        }
        let two_chain = self.child.parent == self.header.id()
            && self.child.view == self.header.view.next()
            && self.certificate.view == self.child.view
            && self.certificate.block == self.child.id();
        if !two_chain {
            return Err(CertificateError::NotTwoChain);
        }
        self.certificate.verify(committee, genesis)
    }
}

#[cfg(test)]
mod tests;
