//! What members of a log, and those who submit to it, say to each other.
//!
//! SCALE, bounded and canonical, one message a frame. The transport proves the sender.

use super::api::LogError;
use crate::consensus::{ConsensusMessage, Report, ReportRequest};
use crate::wire::{CertifiedBlocks, MESSAGE_BYTES_MAX};
use frith_ledger::block::{Batch, BatchDigest, BlockId};
use frith_ledger::codec::{BoundedVec, DecodeError, decode};
use frith_ledger::parameters::{BATCH_OPERATIONS_MAX, OPERATION_BYTES_MAX};
use frith_ledger::units::Height;
use parity_scale_codec::{Decode, Encode};

/// Digests in one [`LogMessage::Held`].
pub(super) const HELD_MAX: usize = 256;
/// Tokens in one [`LogMessage::Finalised`].
pub(super) const TOKENS_MAX: usize = 4096;

/// Anything that one party of a log sends another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum LogMessage {
    /// Between members: of the log's consensus instance.
    Consensus(Box<ConsensusMessage>),
    /// Between members: a batch, pushed by its author or asked for.
    Batch(Batch),
    /// Between members: the sender keeps these batches.
    Held(BoundedVec<BatchDigest, HELD_MAX>),
    /// The sender has committed up to this height.
    Head(Height),
    /// Asks for a batch.
    WantBatch(BatchDigest),
    /// Asks for a proposal.
    WantProposal(BlockId),
    /// Asks for committed blocks from a height on.
    WantBlocks(Height),
    /// Committed blocks.
    Blocks(Box<CertifiedBlocks>),
    /// Between members: the sender has to find out what it may sign.
    ReportRequest(ReportRequest),
    /// Between members: what the sender knows of that.
    Report(Box<Report>),
    /// Commands to order.
    Submit {
        /// The sender's own; comes back.
        token: u64,
        /// All or none of them.
        commands: BoundedVec<BoundedVec<u8, OPERATION_BYTES_MAX>, BATCH_OPERATIONS_MAX>,
    },
    /// Commands were not taken.
    Refused {
        /// As given.
        token: u64,
        /// Why.
        error: LogError,
    },
    /// All commands of these tokens are final.
    Finalised(BoundedVec<u64, TOKENS_MAX>),
}

impl LogMessage {
    /// The frame of an encoded batch.
    pub(super) fn batch_frame(encoded: &[u8]) -> Vec<u8> {
        // The index of `Batch`, as a test checks.
        let mut frame = Vec::with_capacity(encoded.len() + 1);
        frame.push(1);
        frame.extend_from_slice(encoded);
        frame
    }

    /// Decodes one frame.
    ///
    /// # Errors
    /// [`DecodeError`]; the peer broke the protocol then.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, MESSAGE_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::super::api::Input;
    use super::*;
    use frith_ledger::key::PublicKey;

    #[test]
    fn only_consensus_is_urgent_among_messages() {
        let input = |bytes| Input::Message {
            from: PublicKey([1; 32]),
            bytes,
        };
        let batch = LogMessage::Batch(Batch {
            author: PublicKey([1; 32]),
            number: 0,
            operations: BoundedVec::new(),
        });
        // The second variant.
        assert_eq!(batch.encode()[0], 1);
        assert!(!input(batch.encode()).is_urgent());
        assert!(!input(LogMessage::Head(Height::ZERO).encode()).is_urgent());
        assert!(input(vec![0, 9]).is_urgent());
        assert!(!input(Vec::new()).is_urgent());
    }
}
