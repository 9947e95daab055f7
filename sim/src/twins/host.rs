//! A host whose payloads say who proposed them in which view, so that two processes never propose alike.

use frith_ledger::block::{BatchDigest, BlockId, LeafPayload, Payload, Proposal};
use frith_ledger::credits::Credits;
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::store::StoreError;
use frith_ledger::tree::Summary;
use frith_ledger::units::{Epoch, Millis};
use frith_neighbourhood::consensus::{Host, Parent, SafetyRecord, Verdict};
use std::collections::BTreeMap;

/// Room for the number of a process beside the view.
const PROCESSES_MAX: u64 = 64;

#[derive(Debug, Clone)]
pub(super) struct Numbers {
    process: u64,
    states: BTreeMap<BlockId, Hash>,
    /// What it executed: who lags may ask for it.
    proposals: BTreeMap<BlockId, Proposal>,
}

pub(super) fn summary(hash: Hash) -> Summary {
    Summary {
        hash,
        credits: Credits::new(1),
        stake: Credits::ZERO,
        entities: 1,
    }
}

impl Numbers {
    pub(super) fn new(process: u64, base: BlockId) -> Self {
        Self {
            process,
            states: [(base, Hash::ZERO)].into(),
            proposals: BTreeMap::new(),
        }
    }

    pub(super) fn proposal(&self, id: &BlockId) -> Option<&Proposal> {
        self.proposals.get(id)
    }

    fn after(&self, parent: &BlockId, payload: &Payload) -> Option<Hash> {
        let before = self.states.get(parent)?;
        Some(Hash::of(Domain::Entity, &(before, payload.hash())))
    }
}

impl Host for Numbers {
    fn propose(&mut self, _: Millis, on: &Parent<'_>) -> Option<(Payload, Summary)> {
        let payload = Payload::Leaf(LeafPayload {
            roots: Epoch::new(on.view.get() * PROCESSES_MAX + self.process),
            ..LeafPayload::default()
        });
        let state = self.after(&on.id, &payload)?;
        Some((payload, summary(state)))
    }

    fn check(&mut self, _: Millis, proposal: &Proposal, _: bool) -> Verdict {
        let header = &proposal.block.header;
        let state = self.after(&header.parent, &proposal.block.payload);
        match state.filter(|state| summary(*state) == header.state) {
            Some(state) => {
                self.states.insert(proposal.id(), state);
                self.proposals.insert(proposal.id(), proposal.clone());
                Verdict::Accept
            }
            None => Verdict::Reject {
                reason: "another state".to_owned(),
            },
        }
    }

    fn known(&self, _: &BlockId) -> Vec<BatchDigest> {
        Vec::new()
    }

    fn has_work(&self, _: Millis, _: &BlockId) -> bool {
        true
    }

    fn save(&mut self, _: &SafetyRecord, _: Option<&Proposal>) -> Result<(), StoreError> {
        Ok(())
    }
}
