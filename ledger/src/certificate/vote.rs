//! What one member signs: a vote, or a timeout.

use super::QuorumCertificate;
use crate::block::{BatchDigest, BlockId, Instance};
use crate::codec::BoundedVec;
use crate::hash::Hash;
use crate::key::{Role, SecretKey, Signature, signing_hash};
use crate::parameters::OWED_MAX;
use crate::units::View;
use parity_scale_codec::{Decode, Encode};

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
