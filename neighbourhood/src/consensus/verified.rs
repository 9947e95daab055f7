//! Which certificates were verified already: each is checked once.

use super::messages::Fault;
use frith_ledger::block::Instance;
use frith_ledger::certificate::{Committee, QuorumCertificate, TimeoutCertificate};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::units::View;
use parity_scale_codec::Encode;
use std::collections::{BTreeSet, VecDeque};

/// Verified certificates that are remembered.
const REMEMBERED_MAX: usize = 128;

#[derive(Debug, Clone, Default)]
pub(super) struct Verified {
    hashes: BTreeSet<Hash>,
    order: VecDeque<Hash>,
}

impl Verified {
    /// Remembers a certificate that was made of verified parts.
    pub(super) fn trust<T: Encode>(&mut self, certificate: &T) {
        self.remember(Hash::of(Domain::Certificate, certificate));
    }

    fn remember(&mut self, hash: Hash) {
        if self.hashes.insert(hash) {
            self.order.push_back(hash);
        }
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
    }

    /// Verifies a quorum certificate of `instance`.
    pub(super) fn quorum(
        &mut self,
        certificate: &QuorumCertificate,
        instance: &Instance,
        committee: &Committee,
        genesis: &Hash,
    ) -> Result<(), Fault> {
        of_instance(&certificate.instance, certificate.view, instance)?;
        let hash = Hash::of(Domain::Certificate, certificate);
        if !self.hashes.contains(&hash) {
            certificate
                .verify(committee, genesis)
                .map_err(Fault::Certificate)?;
            self.remember(hash);
        }
        Ok(())
    }

    /// Verifies a timeout certificate of `instance`.
    pub(super) fn timeout(
        &mut self,
        certificate: &TimeoutCertificate,
        instance: &Instance,
        committee: &Committee,
        genesis: &Hash,
    ) -> Result<(), Fault> {
        of_instance(&certificate.instance, certificate.view, instance)?;
        // Another domain than a quorum certificate's: the two encode alike up to the block.
        let hash = Hash::of(Domain::Certificate, &("timeout", certificate));
        if !self.hashes.contains(&hash) {
            certificate
                .verify(committee, genesis)
                .map_err(Fault::Certificate)?;
            self.remember(hash);
        }
        Ok(())
    }
}

fn of_instance(found: &Instance, view: View, expected: &Instance) -> Result<(), Fault> {
    if found == expected && view > View::ZERO {
        Ok(())
    } else {
        Err(Fault::Malformed {
            what: "a certificate is of this instance and of a view",
        })
    }
}
