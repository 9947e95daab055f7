//! A batch whose every signature was verified here.

use frith_ledger::block::{BatchDigest, SignedBatch};
use frith_ledger::codec::{DecodeError, decode};
use frith_ledger::entity::ContentId;
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, Role, signing_hash};
use frith_ledger::operation::Operation;
use frith_ledger::parameters::{BATCH_BYTES_MAX, OPERATION_BYTES_MAX};
use frith_tasks::content::contents;
use parity_scale_codec::Encode as _;
use std::sync::Arc;

/// A verified batch: what blocks execute.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its digest.
    pub digest: BatchDigest,
    /// Who made it.
    pub author: PublicKey,
    /// Bytes of the encoded batch: what counts against a block's limit.
    pub bytes: usize,
    /// The operations, decoded.
    pub operations: Arc<Vec<Operation>>,
    /// Contents that the operations name, with their lengths.
    pub contents: Arc<Vec<(ContentId, u32)>>,
}

/// Why a batch is refused. Its author, or who sent it, is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchFault {
    /// No operations.
    #[error("the batch is empty")]
    Empty,
    /// Longer than a batch may be.
    #[error("the batch has {found} bytes, at most {max} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The author's signature doesn't hold.
    #[error("the author's signature does not hold")]
    Signature,
    /// An operation doesn't decode.
    #[error("operation {index} does not decode: {error}")]
    Operation {
        /// Its position.
        index: usize,
        /// The decoder's words.
        error: DecodeError,
    },
    /// An operation's signature doesn't hold.
    #[error("the signature of operation {index} does not hold")]
    OperationSignature {
        /// Its position.
        index: usize,
    },
}

impl Held {
    /// Verifies a batch from a peer. One strict signature check an operation, and one more.
    ///
    /// # Errors
    /// [`BatchFault`].
    pub fn verify(signed: &SignedBatch, genesis: &Hash) -> Result<Self, BatchFault> {
        let held = Self::trusted(signed)?;
        let hash = signing_hash(Role::Batch, genesis, &held.digest);
        held.author
            .verify(&hash, &signed.signature)
            .map_err(|_| BatchFault::Signature)?;
        for (index, operation) in held.operations.iter().enumerate() {
            operation
                .verify(genesis)
                .map_err(|_| BatchFault::OperationSignature { index })?;
        }
        Ok(held)
    }

    /// A batch of this node's own making or from its own store, verified before.
    ///
    /// # Errors
    /// [`BatchFault`] when it is malformed.
    pub fn trusted(signed: &SignedBatch) -> Result<Self, BatchFault> {
        let batch = &signed.batch;
        if batch.operations.is_empty() {
            return Err(BatchFault::Empty);
        }
        let bytes = batch.encoded_size();
        if bytes > BATCH_BYTES_MAX {
            return Err(BatchFault::TooLong {
                found: bytes,
                max: BATCH_BYTES_MAX,
            });
        }
        let mut operations = Vec::with_capacity(batch.operations.len());
        let mut named = Vec::new();
        for (index, encoded) in batch.operations.iter().enumerate() {
            let operation: Operation = decode(encoded, OPERATION_BYTES_MAX)
                .map_err(|error| BatchFault::Operation { index, error })?;
            named.extend(contents(&operation));
            operations.push(operation);
        }
        named.sort_unstable();
        named.dedup();
        Ok(Self {
            digest: batch.digest(),
            author: batch.author,
            bytes,
            operations: Arc::new(operations),
            contents: Arc::new(named),
        })
    }
}
