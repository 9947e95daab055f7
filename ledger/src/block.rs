//! Chains, blocks, claims and root records.
//!
//! Every consensus instance decides one epoch of one chain: a leaf's chain has many blocks an
//! epoch, the root's has one record. A block's id is the hash of its header; the header commits to
//! the payload and to the state after it. What a certificate says of a block, see
//! [`crate::certificate`].

use crate::address::{Address, Prefix};
use crate::certificate::{CommitProof, QuorumCertificate, TimeoutCertificate};
use crate::codec::BoundedVec;
use crate::credits::{Credits, CreditsError};
use crate::hash::{Domain, Hash};
use crate::key::{PublicKey, Role, SecretKey, Signature, signing_hash};
use crate::parameters::{
    BATCH_OPERATIONS_MAX, BLOCK_BATCHES_MAX, CLAIMS_MAX, OPERATION_BYTES_MAX, OWED_MAX,
};
use crate::tree::Summary;
use crate::units::{Epoch, Generation, Height, UnixMillis, View};
use crate::vrf::VrfProof;
use parity_scale_codec::{Decode, Encode};

/// The id of a block: the hash of its header.
pub type BlockId = Hash;
/// The digest of a batch: the hash of its author, number and operations.
pub type BatchDigest = Hash;

/// What a chain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum ChainKind {
    /// Applies operations to the state under a prefix.
    Leaf,
    /// Combines the claims of all leaves, once an epoch.
    Root,
}

/// A consensus instance: one epoch of one chain under one committee. Everything signed binds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Instance {
    /// What the chain is for.
    pub kind: ChainKind,
    /// Which part of the state; [`Prefix::ROOT`] for the root chain.
    pub prefix: Prefix,
    /// How often the chain was cut back.
    pub generation: Generation,
    /// Which epoch.
    pub epoch: Epoch,
    /// Hash of the [`crate::certificate::Committee`].
    pub committee: Hash,
}

/// The part of a block that its id covers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlockHeader {
    /// Which instance.
    pub instance: Instance,
    /// Height in the chain, across epochs; the genesis block has 0.
    pub height: Height,
    /// The view it was proposed in; views begin with 1 in every instance.
    pub view: View,
    /// The block that it extends: the one its justification certifies.
    pub parent: BlockId,
    /// [`Proposal::grounds`]: which certificates let the block stand here. What it must include
    /// follows from them, so two proposals with other certificates are two blocks.
    pub grounds: Hash,
    /// Index of the proposer in the committee.
    pub proposer: u16,
    /// [`Payload::hash`].
    pub payload: Hash,
    /// The state after this block. Of a root block: the combined state that its record names.
    pub state: Summary,
}

impl BlockHeader {
    /// The block's id.
    #[must_use]
    pub fn id(&self) -> BlockId {
        Hash::of(Domain::Block, self)
    }
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Block {
    /// What its id covers.
    pub header: BlockHeader,
    /// What it does.
    pub payload: Payload,
}

/// A block with the certificate that lets it extend its parent, signed by its proposer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Proposal {
    /// The block.
    pub block: Block,
    /// Certifies the parent; `None` when the parent is the instance's genesis.
    pub justify: Option<QuorumCertificate>,
    /// Why the view before ended without a certificate, when it did.
    pub timeout: Option<TimeoutCertificate>,
    /// The proposer's signature on the block id, in [`Role::Proposal`].
    pub signature: Signature,
}

impl Proposal {
    /// What [`BlockHeader::grounds`] commits to: the certificate of the parent and the timeout
    /// certificate, exactly as the proposal carries them.
    #[must_use]
    pub fn grounds(
        justify: &Option<QuorumCertificate>,
        timeout: &Option<TimeoutCertificate>,
    ) -> Hash {
        Hash::of(Domain::Certificate, &(justify, timeout))
    }

    /// Signs `block` by its proposer. The caller has filled the header.
    #[must_use]
    pub fn sign(
        block: Block,
        justify: Option<QuorumCertificate>,
        timeout: Option<TimeoutCertificate>,
        genesis: &Hash,
        key: &SecretKey,
    ) -> Self {
        let signature = key.sign(&signing_hash(Role::Proposal, genesis, &block.header.id()));
        Self {
            block,
            justify,
            timeout,
            signature,
        }
    }

    /// The block's id.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.block.header.id()
    }

    /// The view of the certificate it builds on; 0 for the instance's genesis.
    #[must_use]
    pub fn justify_view(&self) -> View {
        self.justify
            .as_ref()
            .map_or(View::ZERO, |certificate| certificate.view)
    }
}

/// What a block does.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[expect(
    clippy::large_enum_variant,
    reason = "a leaf's payload is the common case"
)]
pub enum Payload {
    /// A leaf's block.
    Leaf(LeafPayload),
    /// The root record of an epoch: the first block of a root instance.
    Root(Box<RootPayload>),
    /// Nothing: a block that only certifies its parent, after the closing block or a root record.
    Empty,
    /// A block of a replicated log.
    Log(LogPayload),
}

impl Payload {
    /// The hash that the header commits to.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(Domain::Payload, self)
    }
}

/// A batch that must be included, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Owed {
    /// The first certified view (or timed-out view) whose certificate listed it; 0 when the epoch
    /// before handed it over.
    pub since: View,
    /// Which batch.
    pub batch: BatchDigest,
}

/// Batches to apply, roots to accept, and the claim of a closing block.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct LeafPayload {
    /// Root records accepted up to and with this block: the epoch after the last of them.
    pub roots: Epoch,
    /// Batches applied, in this order.
    pub batches: BoundedVec<BatchDigest, BLOCK_BATCHES_MAX>,
    /// What is owed after this block, sorted.
    pub owed: BoundedVec<Owed, OWED_MAX>,
    /// Present in the epoch's closing block.
    pub claim: Option<Claim>,
}

/// Batches of opaque commands that a block of a replicated log appends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct LogPayload {
    /// The batches, in this order; at least one.
    pub batches: BoundedVec<BatchDigest, BLOCK_BATCHES_MAX>,
}

/// Cumulative flows of value over a leaf's border, since genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Flows {
    /// Left by messages.
    pub sent: Credits,
    /// Came by messages.
    pub received: Credits,
    /// Came back with expired messages.
    pub refunded: Credits,
    /// Created.
    pub issued: Credits,
    /// Destroyed.
    pub burned: Credits,
}

impl Flows {
    /// The sums of two leaves' flows.
    ///
    /// # Errors
    /// [`CreditsError`] when a sum doesn't fit.
    pub fn add(&self, other: &Self) -> Result<Self, CreditsError> {
        Ok(Self {
            sent: self.sent.add(other.sent)?,
            received: self.received.add(other.received)?,
            refunded: self.refunded.add(other.refunded)?,
            issued: self.issued.add(other.issued)?,
            burned: self.burned.add(other.burned)?,
        })
    }

    /// Whether `credits` are those of the genesis, after what flowed, was issued and burned.
    ///
    /// # Errors
    /// [`CreditsError`] when a sum doesn't fit.
    pub fn conserve(&self, credits: Credits, supply: Credits) -> Result<bool, CreditsError> {
        let held = credits.add(self.sent)?.add(self.burned)?;
        let made = supply
            .add(self.issued)?
            .add(self.received)?
            .add(self.refunded)?;
        Ok(held == made)
    }
}

/// What a leaf says of itself at the end of an epoch: its epoch record.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Claim {
    /// Which leaf.
    pub prefix: Prefix,
    /// Which epoch.
    pub epoch: Epoch,
    /// The state under the prefix.
    pub state: Summary,
    /// The list of messages that left in this epoch, see [`crate::outbox`].
    pub outbox: Hash,
    /// Value over the border since genesis.
    pub flows: Flows,
    /// Active workers with seats in the left and the right half.
    pub workers: (u32, u32),
    /// Operations executed since genesis.
    pub operations: u64,
}

/// A leaf's entry in a root record.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LeafEntry {
    /// What the leaf claims.
    pub claim: Claim,
    /// Its closing block: the genesis of its next epoch.
    pub closing: BlockId,
    /// Height of the closing block.
    pub height: Height,
    /// Hash of the committee that serves the leaf in this record's epoch + 2.
    pub committee: Hash,
}

/// The snapshot of everything at the end of an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RootRecord {
    /// Which epoch.
    pub epoch: Epoch,
    /// Id of the record before; the genesis hash in epoch 0.
    pub previous: Hash,
    /// All leaves' claims combined.
    pub state: Summary,
    /// The sums of all leaves' flows.
    pub flows: Flows,
    /// The leaves, in order of their prefixes.
    pub leaves: BoundedVec<LeafEntry, CLAIMS_MAX>,
    /// When it was proposed, by its proposer's clock. Members vote for it only when their own clocks are near, and it is
    /// never before the time of the record before (of the genesis, in epoch 0).
    pub time: UnixMillis,
    /// View in which this record was proposed: an input of the VRF.
    pub view: View,
    /// VRF proof of the proposer on [`RootRecord::vrf_input`].
    pub vrf: VrfProof,
    /// beacon(epoch + 1) = H(beacon(epoch), VRF output).
    pub beacon: Hash,
    /// Hash of the root committee of the next period, in the last record of a period.
    pub next_committee: Option<Hash>,
}

impl RootRecord {
    /// The record's id.
    #[must_use]
    pub fn id(&self) -> Hash {
        Hash::of(Domain::Root, self)
    }

    /// What the proposer's VRF is evaluated on.
    #[must_use]
    pub fn vrf_input(genesis: &Hash, epoch: Epoch, view: View, beacon: &Hash) -> Vec<u8> {
        (genesis, epoch, view, beacon).encode()
    }

    /// beacon(e + 1) from beacon(e) and the 64 bytes of VRF output.
    #[must_use]
    pub fn next_beacon(beacon: &Hash, output: &[u8; 64]) -> Hash {
        Domain::Beacon
            .hasher()
            .update(&beacon.0)
            .update(output)
            .finish()
    }
}

/// A root record with the proofs that its claims are committed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RootPayload {
    /// The record.
    pub record: RootRecord,
    /// For each leaf, in the same order: its closing block's commit proof.
    pub proofs: BoundedVec<CommitProof, CLAIMS_MAX>,
}

/// Operations that one member vouches to hold, in the order they arrived there.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Batch {
    /// The member's worker key.
    pub author: PublicKey,
    /// The author's own count, so that equal operations make different batches.
    pub number: u64,
    /// Encoded [`crate::operation::Operation`]s; in a replicated log, commands.
    pub operations: BoundedVec<BoundedVec<u8, OPERATION_BYTES_MAX>, BATCH_OPERATIONS_MAX>,
}

impl Batch {
    /// The digest that proposals name.
    #[must_use]
    pub fn digest(&self) -> BatchDigest {
        Hash::of(Domain::Batch, self)
    }
}

/// A batch and its author's signature on the digest, in [`Role::Batch`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SignedBatch {
    /// The batch.
    pub batch: Batch,
    /// The author's signature.
    pub signature: Signature,
}

impl SignedBatch {
    /// Signs `batch`.
    #[must_use]
    pub fn new(batch: Batch, genesis: &Hash, key: &SecretKey) -> Self {
        let signature = key.sign(&signing_hash(Role::Batch, genesis, &batch.digest()));
        Self { batch, signature }
    }
}

/// Where a block puts the fees of its operations: the seat of its proposer's worker.
pub type ProposerSeat = Address;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::decode;

    fn proposal() -> Proposal {
        let instance = Instance {
            kind: ChainKind::Leaf,
            prefix: Prefix::ROOT,
            generation: Generation::ZERO,
            epoch: Epoch::ZERO,
            committee: Hash([1; 32]),
        };
        let payload = Payload::Leaf(LeafPayload::default());
        let header = BlockHeader {
            instance,
            height: Height::new(1),
            view: View::new(1),
            parent: Hash([2; 32]),
            grounds: Proposal::grounds(&None, &None),
            proposer: 0,
            payload: payload.hash(),
            state: Summary::EMPTY,
        };
        let key = SecretKey::from_bytes(&[5; 32]);
        Proposal::sign(Block { header, payload }, None, None, &Hash([9; 32]), &key)
    }

    #[test]
    fn a_block_id_covers_every_field_of_the_header() {
        let first = proposal().block.header;
        let changes: [&dyn Fn(&mut BlockHeader); 9] = [
            &|h| h.instance.kind = ChainKind::Root,
            &|h| h.instance.generation = Generation::new(1),
            &|h| h.height = Height::new(2),
            &|h| h.view = View::new(2),
            &|h| h.parent = Hash([3; 32]),
            &|h| h.grounds = Hash([3; 32]),
            &|h| h.proposer = 1,
            &|h| h.payload = Payload::Empty.hash(),
            &|h| h.state.hash = Hash([3; 32]),
        ];
        let mut ids = vec![first.id()];
        for change in changes {
            let mut header = first.clone();
            change(&mut header);
            ids.push(header.id());
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 10);
    }

    #[test]
    fn grounds_tell_every_pair_of_certificates_apart() {
        let instance = proposal().block.header.instance;
        let certificate = |view| QuorumCertificate {
            instance,
            view: View::new(view),
            block: Hash([4; 32]),
            listed: BoundedVec::new(),
            parts: BoundedVec::new(),
        };
        let timeout = TimeoutCertificate {
            instance,
            view: View::new(2),
            listed: BoundedVec::new(),
            parts: BoundedVec::new(),
        };
        let grounds = [
            Proposal::grounds(&None, &None),
            Proposal::grounds(&Some(certificate(1)), &None),
            Proposal::grounds(&Some(certificate(2)), &None),
            Proposal::grounds(&Some(certificate(1)), &Some(timeout.clone())),
            Proposal::grounds(&None, &Some(timeout)),
        ];
        for (i, one) in grounds.iter().enumerate() {
            assert!(grounds[i + 1..].iter().all(|other| other != one));
        }
    }

    #[test]
    fn a_proposal_survives_its_encoding_and_its_signature_covers_the_id() {
        let proposal = proposal();
        assert_eq!(decode(&proposal.encode(), 4096).as_ref(), Ok(&proposal));
        let key = SecretKey::from_bytes(&[5; 32]).public();
        let hash = signing_hash(Role::Proposal, &Hash([9; 32]), &proposal.id());
        assert_eq!(key.verify(&hash, &proposal.signature), Ok(()));
    }

    #[test]
    fn equal_batches_of_one_author_differ_by_their_number() {
        let batch = |number| Batch {
            author: PublicKey([1; 32]),
            number,
            operations: BoundedVec::new(),
        };
        assert_ne!(batch(1).digest(), batch(2).digest());
    }
}
