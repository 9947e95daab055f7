//! No two blocks certified in one view of one instance, as seen on the wire.

use super::Violation;
use frith_ledger::block::{BlockId, Instance};
use frith_ledger::certificate::QuorumCertificate;
use frith_ledger::units::View;
use frith_neighbourhood::consensus::ConsensusMessage;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Certificates {
    certified: BTreeMap<(Instance, View), BlockId>,
}

impl Certificates {
    pub(super) fn said(&mut self, message: &ConsensusMessage) -> Result<(), Violation> {
        match message {
            ConsensusMessage::Proposal(proposal) => self.note(proposal.justify.as_ref()),
            ConsensusMessage::Timeout(timeout) => self.note(timeout.high.as_ref()),
            ConsensusMessage::Certificate(certificate) => self.note(Some(certificate)),
            ConsensusMessage::TimeoutCertificate(proven) => self.note(proven.high.as_ref()),
            ConsensusMessage::Vote(_) => Ok(()),
        }
    }

    fn note(&mut self, certificate: Option<&QuorumCertificate>) -> Result<(), Violation> {
        let Some(certificate) = certificate else {
            return Ok(());
        };
        let key = (certificate.instance, certificate.view);
        if *self.certified.entry(key).or_insert(certificate.block) == certificate.block {
            Ok(())
        } else {
            Err(Violation::TwoCertificates {
                instance: format!("{key:?}"),
            })
        }
    }
}
