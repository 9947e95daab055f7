//! What members send one another, and what an instance wants done.

use frith_ledger::block::{BlockId, Instance, Proposal};
use frith_ledger::certificate::{
    CertificateError, CommitProof, QuorumCertificate, Timeout, TimeoutCertificate, Vote,
};
use frith_ledger::operation::Offence;
use frith_ledger::store::StoreError;
use frith_ledger::units::View;
use parity_scale_codec::{Decode, Encode};

/// A message of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ConsensusMessage {
    /// A leader's block.
    Proposal(Box<Proposal>),
    /// A vote, to the leader of the next view.
    Vote(Box<Vote>),
    /// A member gives up on a view.
    Timeout(Box<Timeout>),
    /// The newest quorum certificate.
    Certificate(Box<QuorumCertificate>),
    /// The newest timeout certificate.
    TimeoutCertificate(Box<Proven>),
}

/// A timeout certificate and a quorum certificate as high as its signers claim to have. Without it
/// a signer could claim a view that was never certified, and no proposal could follow.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Proven {
    /// The timeout certificate.
    pub certificate: TimeoutCertificate,
    /// Of a view not below `certificate.high()`; `None` when that is 0.
    pub high: Option<QuorumCertificate>,
}

impl ConsensusMessage {
    /// Which instance it belongs to.
    #[must_use]
    pub fn instance(&self) -> Instance {
        match self {
            Self::Proposal(proposal) => proposal.block.header.instance,
            Self::Vote(vote) => vote.instance,
            Self::Timeout(timeout) => timeout.instance,
            Self::Certificate(certificate) => certificate.instance,
            Self::TimeoutCertificate(proven) => proven.certificate.instance,
        }
    }
}

/// What the host does for an instance, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make every write so far durable before the next effects.
    Sync,
    /// Send to one member.
    Send {
        /// Index in the committee, never the own.
        to: u16,
        /// The message.
        message: ConsensusMessage,
    },
    /// Send to all other members.
    Broadcast(ConsensusMessage),
    /// These blocks are committed; the host has accepted each of them.
    Committed {
        /// Oldest first, each the parent of the next.
        blocks: Vec<BlockId>,
        /// Commits the last of them.
        proof: Box<CommitProof>,
    },
    /// A member said two things that exclude each other. Once a member.
    Offence(Box<Offence>),
    /// Ask a member for a proposal; it comes back by [`super::Consensus::block_arrived`].
    FetchBlock {
        /// Which block.
        id: BlockId,
        /// Whom to ask.
        from: u16,
    },
    /// A member sent something that no correct member sends.
    PeerFault {
        /// Who sent it.
        member: u16,
        /// What is wrong with it.
        fault: Fault,
    },
    /// An uncommitted block is forgotten; its state is not needed any more.
    Dropped(BlockId),
    /// A later signature of this member's own was shown: its record is not the newest. It abstains
    /// until [`super::Consensus::recover`].
    RecordLost {
        /// The view of that signature.
        shown: View,
    },
    /// After a recovery: a certificate formed above the reported views, the member takes part again.
    Rejoined,
    /// A quorum certified a block that this node finds invalid: more than a third of the weight is
    /// faulty, or this node is. It must stop.
    Diverged {
        /// Which block.
        block: BlockId,
        /// What is wrong with it.
        reason: String,
    },
    /// The record could not be written. Nothing is signed any more.
    Halt(StoreError),
}

/// What no correct member sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A signature doesn't hold.
    #[error("a signature does not hold")]
    Signature,
    /// A certificate doesn't hold.
    #[error("a certificate does not hold: {0}")]
    Certificate(CertificateError),
    /// A proposal by a member that doesn't lead its view.
    #[error("member {proposer} does not lead view {view}")]
    NotLeader {
        /// Who proposed.
        proposer: u16,
        /// In which view.
        view: View,
    },
    /// Fields that contradict one another.
    #[error("malformed: {what}")]
    Malformed {
        /// Which rule is broken.
        what: &'static str,
    },
    /// The host found the block invalid.
    #[error("the block is invalid: {reason}")]
    InvalidBlock {
        /// The rule that it breaks.
        reason: String,
    },
}
