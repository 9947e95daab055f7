//! What must hold after every step.

use super::super::{ConsensusMessage, SafetyRecord};
use frith_ledger::block::BlockId;
use frith_ledger::certificate::{CommitProof, QuorumCertificate, Vote};
use frith_ledger::units::{Height, View};
use std::collections::BTreeMap;

/// What was seen, and the first rule that was broken.
#[derive(Debug, Clone, Default)]
pub(super) struct Checker {
    pub(super) committed: BTreeMap<Height, BlockId>,
    certified: BTreeMap<View, BlockId>,
    votes: BTreeMap<(u16, View), BlockId>,
    pub(super) broken: Option<String>,
}

impl Checker {
    fn fail(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// A correct process committed `blocks`, which lie above `head`.
    pub(super) fn commit(&mut self, head: Height, blocks: &[BlockId], proof: &CommitProof) {
        let count = u64::try_from(blocks.len()).unwrap_or(u64::MAX);
        if proof.header.height != head.plus(count) || blocks.last() != Some(&proof.header.id()) {
            self.fail(format!(
                "{count} blocks above {head} were committed by a proof of {}",
                proof.header.height
            ));
        }
        for (height, id) in (1..).map(|above| head.plus(above)).zip(blocks) {
            if *self.committed.entry(height).or_insert(*id) != *id {
                self.fail(format!("two blocks are committed at height {height}"));
            }
        }
    }

    pub(super) fn certificate(&mut self, certificate: &QuorumCertificate) {
        if *self
            .certified
            .entry(certificate.view)
            .or_insert(certificate.block)
            != certificate.block
        {
            self.fail(format!(
                "two blocks are certified in view {}",
                certificate.view
            ));
        }
    }

    /// A correct process lets `message` leave while `record` is what its disk would keep.
    pub(super) fn sent(&mut self, message: &ConsensusMessage, record: Option<&SafetyRecord>) {
        let voted = record.map_or(View::ZERO, |record| record.voted);
        let proposed = record.map_or(View::ZERO, |record| record.proposed);
        match message {
            ConsensusMessage::Vote(vote) => self.vote(vote, voted),
            ConsensusMessage::Timeout(timeout) if voted < timeout.view => {
                self.fail(format!(
                    "a timeout of view {} left before it was durable",
                    timeout.view
                ));
            }
            ConsensusMessage::Proposal(proposal) if proposed < proposal.block.header.view => {
                self.fail(format!(
                    "a proposal of view {} left before it was durable",
                    proposal.block.header.view
                ));
            }
            _ => {}
        }
    }

    fn vote(&mut self, vote: &Vote, durable: View) {
        if durable < vote.view {
            self.fail(format!(
                "a vote in view {} left before it was durable",
                vote.view
            ));
        }
        let key = (vote.member, vote.view);
        if *self.votes.entry(key).or_insert(vote.block) != vote.block {
            self.fail(format!(
                "member {} voted twice in view {}",
                vote.member, vote.view
            ));
        }
    }
}
