//! Committees, votes and the certificates made of them.
//!
//! Two-chain HotStuff with timeout certificates (Gelashvili et al., "Jolteon and Ditto", 2021,
//! figure 2; DiemBFT v4). A quorum certificate says that more than two thirds of the weight voted
//! for a block in a view. A block is *committed* when its direct child, proposed in the very next
//! view, is certified: a [`CommitProof`] shows that, and needs nothing but the committee to check.
//!
//! Deviation: votes and timeouts also list the certified batches that the voter knows, so that the
//! inclusion rule of the op pool can be checked from the certificate alone.

mod assemble;
mod availability;
mod commit;
mod committee;
mod error;
mod quorum;
mod vote;

pub use assemble::LISTED_MAX;
pub use availability::AvailabilityCertificate;
pub use commit::CommitProof;
pub use committee::{Committee, Member, Weight};
pub use error::CertificateError;
pub use quorum::{IsVerified, Part, QuorumCertificate, TimeoutCertificate};
pub use vote::{Timeout, TimeoutStatement, Vote, VoteStatement};

#[cfg(test)]
mod tests;
