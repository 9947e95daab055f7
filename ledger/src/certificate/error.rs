//! Why a certificate doesn't hold.

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
