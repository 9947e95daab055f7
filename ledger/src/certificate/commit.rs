//! Shows that a block is committed.

use super::{CertificateError, Committee, QuorumCertificate};
use crate::block::BlockHeader;
use crate::hash::Hash;
use parity_scale_codec::{Decode, Encode};

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
