//! What nodes say to each other, as SCALE, bounded and canonical.
//!
//! One frame of the transport holds one [`PeerMessage`]. The transport authenticates the sender by
//! its worker key, so only what others must be able to check later carries a signature. Requests
//! have no numbers: an answer names what it answers, and one that was not asked for is dropped.
//!
//! | message | from | rule |
//! | --- | --- | --- |
//! | `Hello`, `Relayed`, `Answer` | anyone | finds two processes with one key, see [`crate::twin`] |
//! | `Status` | anyone | how far the sender is; a hint, never believed without proof |
//! | `Consensus` | members | of the named instance |
//! | `Batch`, `Offer`, `Ack`, `Certified` | members | the op pool, see [`crate::pool`] |
//! | `ReportRequest`, `Report` | members | a member without its record asks what it may sign |
//! | `Submit` | anyone, bounded | an operation for a member to batch |
//! | `Request`, `Response` | anyone, bounded | sync, see [`crate::sync`] |

use crate::consensus::{ConsensusMessage, Report, ReportRequest};
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{
    BatchDigest, Block, BlockHeader, BlockId, ChainKind, Instance, Proposal, SignedBatch,
};
use frith_ledger::certificate::{AvailabilityCertificate, CommitProof, Committee};
use frith_ledger::codec::{BoundedBytes, BoundedVec, DecodeError, decode};
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, Role, SecretKey, Signature, signing_hash};
use frith_ledger::light::{CertifiedRoot, RootLink};
use frith_ledger::parameters::OPERATION_BYTES_MAX;
use frith_ledger::tree::{RangeProof, Summary};
use frith_ledger::units::{Epoch, Height};
use parity_scale_codec::{Decode, Encode};

/// Bytes of an encoded message; no transport frame is longer.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Blocks in one answer.
pub const BLOCKS_MAX: usize = 256;
/// Empty blocks after a closing block that a commit proof may lead over.
pub const TAIL_MAX: usize = 256;
/// Root records in one answer.
pub const ROOTS_MAX: usize = 32;
/// Links to later root committees in one answer.
pub const LINKS_MAX: usize = 32;

/// Most slots of the state, in powers of two.
pub const SLOT_BITS_MAX: u8 = 12;
/// Most slots of the state.
pub const SLOTS_MAX: usize = 1 << SLOT_BITS_MAX;

/// Anything that one node sends another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum PeerMessage {
    /// Who is there: the first message on a connection.
    Hello(Hello),
    /// A hello with the receiver's own key that came from another process.
    Relayed(Hello),
    /// A process answers a hello with its own key.
    Answer(Answer),
    /// How far the sender is.
    Status(Status),
    /// Of a consensus instance.
    Consensus {
        /// Leaf or root chain.
        kind: ChainKind,
        /// Which epoch.
        epoch: Epoch,
        /// What its core says.
        message: Box<ConsensusMessage>,
    },
    /// The author asks for an acknowledgement, with the operations.
    Batch(Box<SignedBatch>),
    /// The author asks again, without them.
    Offer(BatchDigest),
    /// The sender holds the batch.
    Ack(Ack),
    /// A quorum holds the batch.
    Certified(Box<AvailabilityCertificate>),
    /// An encoded operation for a member to put into a batch.
    Submit(BoundedBytes<OPERATION_BYTES_MAX>),
    /// The sender has to find out what it may sign.
    ReportRequest(ReportRequest),
    /// What the sender knows of that.
    Report(Box<Report>),
    /// The sender wants something.
    Request(Request),
    /// The sender has it, or not.
    Response(Box<Response>),
}

impl PeerMessage {
    /// Decodes one frame.
    ///
    /// # Errors
    /// [`DecodeError`]; the peer broke the protocol then.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, MESSAGE_BYTES_MAX)
    }

    /// Whether a frame, if it is one, takes little time and others wait for what comes of it: neither operations nor
    /// sync. Looks at the first byte only.
    pub(crate) fn is_urgent(frame: &[u8]) -> bool {
        // The indices of all up to `Consensus`, and of `Offer`, `Ack` and `Certified`, as a test checks.
        matches!(frame.first(), Some(0..=4 | 6..=8))
    }
}

/// A process says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// The sender's worker key.
    pub key: PublicKey,
    /// Random, drawn when the process started.
    pub process: Hash,
    /// Random, drawn when the process started: who answers it is alive now.
    pub nonce: Hash,
    /// By the key, on `(process, nonce)` in [`Role::Hello`].
    pub signature: Signature,
}

impl Hello {
    /// A signed hello.
    #[must_use]
    pub fn sign(process: Hash, nonce: Hash, genesis: &Hash, key: &SecretKey) -> Self {
        let signature = key.sign(&signing_hash(Role::Hello, genesis, &(0_u8, process, nonce)));
        Self {
            key: key.public(),
            process,
            nonce,
            signature,
        }
    }

    /// Whether the signature holds.
    #[must_use]
    pub fn is_valid(&self, genesis: &Hash) -> bool {
        let hash = signing_hash(Role::Hello, genesis, &(0_u8, self.process, self.nonce));
        self.key.verify(&hash, &self.signature).is_ok()
    }
}

/// A process answers a hello that carries its own key but isn't its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Answer {
    /// The key that both processes run with.
    pub key: PublicKey,
    /// The answering process.
    pub process: Hash,
    /// The nonce of the hello.
    pub nonce: Hash,
    /// By the key, on `(process, nonce)` in [`Role::Hello`].
    pub signature: Signature,
}

impl Answer {
    /// A signed answer.
    #[must_use]
    pub fn sign(process: Hash, nonce: Hash, genesis: &Hash, key: &SecretKey) -> Self {
        let signature = key.sign(&signing_hash(Role::Hello, genesis, &(1_u8, process, nonce)));
        Self {
            key: key.public(),
            process,
            nonce,
            signature,
        }
    }

    /// Whether the signature holds.
    #[must_use]
    pub fn is_valid(&self, genesis: &Hash) -> bool {
        let hash = signing_hash(Role::Hello, genesis, &(1_u8, self.process, self.nonce));
        self.key.verify(&hash, &self.signature).is_ok()
    }
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Status {
    /// The epoch its leaf is in.
    pub epoch: Epoch,
    /// Its last committed block.
    pub height: Height,
    /// The first block that it can serve.
    pub first: Height,
    /// Root records that it has: the epoch of the next.
    pub roots: Epoch,
}

/// A member holds a batch and the content that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Ack {
    /// The leaf's instance.
    pub instance: Instance,
    /// Which batch.
    pub batch: BatchDigest,
    /// On [`AvailabilityCertificate::signing_hash`].
    pub signature: Signature,
}

/// What a node can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Request {
    /// A batch.
    Batch(BatchDigest),
    /// A proposal of a running instance.
    Proposal {
        /// Leaf or root chain.
        kind: ChainKind,
        /// Which epoch.
        epoch: Epoch,
        /// The block.
        id: BlockId,
    },
    /// Committed blocks of one epoch from a height on.
    Blocks {
        /// The first.
        from: Height,
    },
    /// Root records from an epoch on.
    Roots {
        /// The first.
        from: Epoch,
    },
    /// The newest state that can be copied, and how the root committees led to it.
    Checkpoint {
        /// The period that the asker has followed the committees to.
        period: u64,
    },
    /// Entities of the state at an epoch's end.
    Range {
        /// Which epoch.
        epoch: Epoch,
        /// Under which prefix.
        prefix: Prefix,
        /// From which address on.
        from: Address,
    },
    /// The summaries of all slots of the state at an epoch's end.
    Summaries {
        /// Which epoch.
        epoch: Epoch,
        /// A slot is what begins with the same so many bits, at most [`SLOT_BITS_MAX`].
        bits: u8,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// To [`Request::Batch`].
    Batch(SignedBatch),
    /// To [`Request::Proposal`].
    Proposal(Box<Proposal>),
    /// To [`Request::Blocks`].
    Blocks(Box<CertifiedBlocks>),
    /// To [`Request::Roots`].
    Roots(BoundedVec<CertifiedRoot, ROOTS_MAX>),
    /// To [`Request::Checkpoint`].
    Checkpoint(Box<Checkpoint>),
    /// To [`Request::Range`].
    Range {
        /// As asked.
        epoch: Epoch,
        /// As asked.
        prefix: Prefix,
        /// As asked.
        from: Address,
        /// The entities.
        proof: RangeProof,
    },
    /// The sender doesn't have it (any more).
    NotHeld(Request),
    /// To [`Request::Summaries`].
    Summaries {
        /// As asked.
        epoch: Epoch,
        /// As asked.
        bits: u8,
        /// One a slot, in order.
        summaries: BoundedVec<Summary, SLOTS_MAX>,
    },
    /// The sender has served enough for now: ask again soon.
    Busy(Request),
}

/// Committed blocks of one epoch, in order.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CertifiedBlocks {
    /// The blocks.
    pub blocks: BoundedVec<Block, BLOCKS_MAX>,
    /// When the last block closes its epoch: the empty blocks that lead to the committed one.
    pub tail: BoundedVec<BlockHeader, TAIL_MAX>,
    /// Commits the last of all.
    pub proof: CommitProof,
}

/// Where a copy of the state begins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Checkpoint {
    /// The last records of past periods, from the one asked for on.
    pub links: BoundedVec<RootLink, LINKS_MAX>,
    /// The record that names the state; of the period that the links lead to. `None`: ask again
    /// from the last link's period.
    pub tip: Option<CheckpointTip>,
}

/// The newest record and what can't be had from the state that it names.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CheckpointTip {
    /// The record.
    pub root: CertifiedRoot,
    /// The record before, which names the next epoch's committee; `None` in epoch 0.
    pub previous: Option<CertifiedRoot>,
    /// The leaf's closing block of the record's epoch.
    pub closing: Block,
    /// The leaf's committee of the epoch after the record's.
    pub committee: Committee,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_holds_for_its_network_and_is_no_answer() {
        let key = SecretKey::from_bytes(&[1; 32]);
        let (process, nonce, genesis) = (Hash([2; 32]), Hash([3; 32]), Hash([4; 32]));
        let hello = Hello::sign(process, nonce, &genesis, &key);
        assert!(hello.is_valid(&genesis) && !hello.is_valid(&Hash([5; 32])));
        let forged = Answer {
            key: key.public(),
            process,
            nonce,
            signature: hello.signature,
        };
        assert!(!forged.is_valid(&genesis));
    }

    #[test]
    fn summaries_of_every_slot_fit_a_frame() {
        let largest = Summary {
            hash: Hash([9; 32]),
            credits: frith_ledger::credits::Credits::new(u128::MAX),
            stake: frith_ledger::credits::Credits::new(u128::MAX),
            entities: u64::MAX,
        };
        let message = PeerMessage::Response(Box::new(Response::Summaries {
            epoch: Epoch::new(u64::MAX),
            bits: SLOT_BITS_MAX,
            summaries: vec![largest; SLOTS_MAX]
                .try_into()
                .expect("as many as may be"),
        }));
        assert!(message.encode().len() <= MESSAGE_BYTES_MAX);
    }

    #[test]
    fn neither_operations_nor_sync_are_urgent() {
        let (key, instance) = (SecretKey::from_bytes(&[1; 32]), Hash([2; 32]));
        let hello = Hello::sign(Hash([2; 32]), Hash([3; 32]), &instance, &key);
        let digest = Hash([1; 32]);
        for (message, urgent) in [
            (PeerMessage::Hello(hello), true),
            (PeerMessage::Offer(digest), true),
            (
                PeerMessage::Submit(vec![1].try_into().expect("fits")),
                false,
            ),
            (PeerMessage::Request(Request::Batch(digest)), false),
        ] {
            assert_eq!(
                PeerMessage::is_urgent(&message.encode()),
                urgent,
                "{message:?}"
            );
        }
        // The variants between them, in the order of their definition.
        let index = |message: &PeerMessage| message.encode()[0];
        assert_eq!(index(&PeerMessage::Offer(digest)), 6);
        assert_eq!(
            index(&PeerMessage::Submit(Vec::new().try_into().expect("fits"))),
            9
        );
        assert!(!PeerMessage::is_urgent(&[]));
    }

    #[test]
    fn a_message_survives_its_encoding_and_garbage_does_not_decode() {
        let message = PeerMessage::Request(Request::Blocks {
            from: Height::new(9),
        });
        assert_eq!(PeerMessage::from_bytes(&message.encode()), Ok(message));
        assert!(PeerMessage::from_bytes(&[0xff; 40]).is_err());
        assert!(PeerMessage::from_bytes(&[]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn decoding_is_total_and_canonical(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            if let Ok(message) = PeerMessage::from_bytes(&bytes) {
                proptest::prop_assert_eq!(message.encode(), bytes);
            }
        }

        #[test]
        fn an_altered_message_decodes_to_another_or_not_at_all(at in 0_usize..200, bit in 0_u8..8) {
            let key = SecretKey::from_bytes(&[1; 32]);
            let hello = PeerMessage::Hello(Hello::sign(Hash([2; 32]), Hash([3; 32]), &Hash([4; 32]), &key));
            let mut bytes = hello.encode();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            proptest::prop_assert_ne!(PeerMessage::from_bytes(&bytes), Ok(hello));
        }
    }
}
