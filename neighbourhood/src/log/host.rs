//! What a log's consensus asks.

use super::blocks::{LogBlocks, LogEntry, append};
use super::pool::LogPool;
use crate::consensus::{Host, Parent, SafetyRecord, Verdict};
use crate::persist;
use frith_ledger::block::{BatchDigest, BlockId, ChainKind, LogPayload, Payload, Proposal};
use frith_ledger::certificate::Committee;
use frith_ledger::codec::BoundedVec;
use frith_ledger::parameters::BLOCK_BATCHES_MAX;
use frith_ledger::store::{Store, StoreError};
use frith_ledger::tree::Summary;
use frith_ledger::units::{Epoch, Millis, View};
use std::collections::{BTreeMap, BTreeSet};

/// The log's side of its consensus, for one call.
pub(super) struct LogHost<'a> {
    pub(super) store: &'a mut dyn Store,
    pub(super) blocks: &'a mut LogBlocks,
    pub(super) pool: &'a LogPool,
    pub(super) committee: &'a Committee,
    /// Batches in a block that this member proposes.
    pub(super) block_batches: usize,
    /// Blocks that wait, with what they lack and who proposed them.
    pub(super) lacking: &'a mut BTreeMap<BlockId, (u16, BTreeSet<BatchDigest>)>,
    /// Views of which a proposal is in the store.
    pub(super) saved: &'a mut BTreeSet<View>,
    pub(super) failed: &'a mut Option<StoreError>,
}

impl LogHost<'_> {
    /// Batches to propose on a block.
    fn fill(&self, on: &BlockId) -> (Vec<BatchDigest>, u64) {
        let included = self.blocks.included(on);
        let most = self.block_batches.clamp(1, BLOCK_BATCHES_MAX);
        let ready = self
            .pool
            .ready(self.committee)
            .filter(|(digest, _)| !included.contains(*digest))
            .take(most);
        let (mut batches, mut commands) = (Vec::new(), 0_u64);
        for (digest, kept) in ready {
            batches.push(*digest);
            commands = commands.saturating_add(kept.commands);
        }
        (batches, commands)
    }

    fn check_batches(
        &mut self,
        proposal: &Proposal,
        payload: &LogPayload,
    ) -> Result<Summary, Verdict> {
        let reject = |reason: &str| Verdict::Reject {
            reason: reason.to_owned(),
        };
        let header = &proposal.block.header;
        if payload.batches.is_empty() {
            return Err(reject("it appends nothing and isn't empty"));
        }
        let included = self.blocks.included(&header.parent);
        let (mut seen, mut lacking, mut commands) = (BTreeSet::new(), BTreeSet::new(), 0_u64);
        for digest in &payload.batches {
            if included.contains(digest) || !seen.insert(*digest) {
                return Err(reject("it appends a batch again"));
            }
            if let Some(kept) = self.pool.get(digest) {
                commands = commands.saturating_add(kept.commands);
                continue;
            }
            match super::persist::arrived(self.store, digest) {
                Ok(Some(arrived)) if arrived.committed.is_some() => {
                    return Err(reject("it appends a committed batch again"));
                }
                Ok(_) => {
                    lacking.insert(*digest);
                }
                Err(error) => {
                    *self.failed = Some(error);
                    return Err(Verdict::Wait);
                }
            }
        }
        if !lacking.is_empty() {
            self.lacking.insert(header.id(), (header.proposer, lacking));
            return Err(Verdict::Wait);
        }
        let parent = self
            .blocks
            .get(&header.parent)
            .ok_or_else(|| reject("its parent is unknown"))?;
        Ok(append(&parent.state, &payload.batches, commands))
    }
}

impl Host for LogHost<'_> {
    fn propose(&mut self, _now: Millis, on: &Parent<'_>) -> Option<(Payload, Summary)> {
        let state = self.blocks.get(&on.id)?.state;
        let (batches, commands) = self.fill(&on.id);
        if batches.is_empty() {
            return self
                .blocks
                .has_content(&on.id)
                .then_some((Payload::Empty, state));
        }
        let state = append(&state, &batches, commands);
        let batches = BoundedVec::try_from(batches).ok()?;
        Some((Payload::Log(LogPayload { batches }), state))
    }

    fn check(&mut self, _now: Millis, proposal: &Proposal, _certified: bool) -> Verdict {
        let id = proposal.id();
        if self.blocks.get(&id).is_some() {
            return Verdict::Accept;
        }
        let header = &proposal.block.header;
        let (state, batches) = match &proposal.block.payload {
            Payload::Log(payload) => match self.check_batches(proposal, payload) {
                Ok(state) => (state, payload.batches.to_vec()),
                Err(verdict) => return verdict,
            },
            Payload::Empty => match self.blocks.get(&header.parent) {
                Some(parent) => (parent.state, Vec::new()),
                None => {
                    return Verdict::Reject {
                        reason: "its parent is unknown".to_owned(),
                    };
                }
            },
            Payload::Leaf(_) | Payload::Root(_) => {
                return Verdict::Reject {
                    reason: "a block of the ledger in a log".to_owned(),
                };
            }
        };
        if state != header.state {
            return Verdict::Reject {
                reason: "its state is not what its batches give".to_owned(),
            };
        }
        self.lacking.remove(&id);
        let entry = LogEntry {
            block: Some(proposal.block.clone()),
            parent: header.parent,
            height: header.height,
            state,
            batches,
        };
        self.blocks.put(id, entry);
        Verdict::Accept
    }

    fn known(&self, _head: &BlockId) -> Vec<BatchDigest> {
        Vec::new()
    }

    fn has_work(&self, _now: Millis, head: &BlockId) -> bool {
        if self.blocks.has_content(head) {
            return true;
        }
        let included = self.blocks.included(head);
        self.pool
            .ready(self.committee)
            .any(|(digest, _)| !included.contains(digest))
    }

    fn save(
        &mut self,
        record: &SafetyRecord,
        proposal: Option<&Proposal>,
    ) -> Result<(), StoreError> {
        let mut writes = vec![persist::put_safety(ChainKind::Leaf, Epoch::ZERO, record)];
        if let Some(proposal) = proposal {
            self.saved.insert(proposal.block.header.view);
            writes.push(persist::put_proposal(
                ChainKind::Leaf,
                Epoch::ZERO,
                proposal,
            ));
        }
        self.store.write(writes)
    }
}
