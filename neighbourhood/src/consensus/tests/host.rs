//! A host whose payloads count up, on a disk that forgets what was not synced.

use super::super::{Head, Host, Parent, SafetyRecord, Verdict};
use frith_ledger::block::{BatchDigest, BlockId, LeafPayload, Payload, Proposal};
use frith_ledger::certificate::CommitProof;
use frith_ledger::credits::Credits;
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::store::StoreError;
use frith_ledger::tree::Summary;
use frith_ledger::units::{Epoch, Height, Millis};
use std::collections::{BTreeMap, BTreeSet};

/// One write.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Record(Box<SafetyRecord>),
    Proposal(Box<Proposal>),
    Commit {
        proof: Box<CommitProof>,
        blocks: Vec<(BlockId, u64)>,
    },
}

/// A log; what lies above `synced` is lost with the power, or a part of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    pub(super) log: Vec<Entry>,
    pub(super) synced: usize,
}

impl Disk {
    /// The record as it would be read after `entries` writes.
    fn record_within(&self, entries: usize) -> Option<SafetyRecord> {
        self.log[..entries]
            .iter()
            .rev()
            .find_map(|entry| match entry {
                Entry::Record(record) => Some((**record).clone()),
                _ => None,
            })
    }

    pub(super) fn record(&self) -> Option<SafetyRecord> {
        self.record_within(self.log.len())
    }

    pub(super) fn durable_record(&self) -> Option<SafetyRecord> {
        self.record_within(self.synced)
    }

    pub(super) fn proposals(&self) -> Vec<Proposal> {
        let proposals = self.log.iter().filter_map(|entry| match entry {
            Entry::Proposal(proposal) => Some((**proposal).clone()),
            _ => None,
        });
        proposals.collect()
    }

    pub(super) fn last_commit(&self) -> Option<CommitProof> {
        self.log.iter().rev().find_map(|entry| match entry {
            Entry::Commit { proof, .. } => Some((**proof).clone()),
            _ => None,
        })
    }
}

/// Counts. The state after a block is a hash over all counts before it.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    pub(super) disk: Disk,
    /// The count after each executed block.
    counts: BTreeMap<BlockId, u64>,
    pub(super) committed: Head,
    /// Blocks are wanted until the count reaches this.
    pub(super) target: u64,
    /// Blocks that the host is waiting for something of, and how it answers when asked first.
    pub(super) slow: bool,
    asked: BTreeSet<BlockId>,
    /// What it lacks since it was last looked at.
    pub(super) waiting: Vec<BlockId>,
    pub(super) fails: bool,
}

pub(super) fn state(count: u64) -> Summary {
    let hash = Hash::of(Domain::Entity, &count);
    Summary {
        hash,
        credits: Credits::new(1),
        stake: Credits::ZERO,
        entities: 1,
    }
}

impl Counter {
    pub(super) fn new(base: BlockId, disk: Disk) -> Self {
        let mut counts = BTreeMap::from([(base, 0)]);
        let mut committed = Head {
            id: base,
            height: Height::ZERO,
            view: frith_ledger::units::View::ZERO,
        };
        for entry in &disk.log {
            if let Entry::Commit { proof, blocks } = entry {
                counts.extend(blocks.iter().copied());
                let header = &proof.header;
                committed = Head {
                    id: header.id(),
                    height: header.height,
                    view: header.view,
                };
            }
        }
        let (asked, waiting) = (BTreeSet::new(), Vec::new());
        Self {
            disk,
            counts,
            committed,
            target: 0,
            slow: false,
            asked,
            waiting,
            fails: false,
        }
    }

    pub(super) fn count(&self, id: &BlockId) -> Option<u64> {
        self.counts.get(id).copied()
    }

    pub(super) fn committed_count(&self) -> u64 {
        self.count(&self.committed.id).unwrap_or(0)
    }

    pub(super) fn commit(&mut self, blocks: &[BlockId], proof: &CommitProof) {
        let blocks = blocks
            .iter()
            .filter_map(|id| Some((*id, self.count(id)?)))
            .collect();
        self.disk.log.push(Entry::Commit {
            proof: Box::new(proof.clone()),
            blocks,
        });
        let header = &proof.header;
        self.committed = Head {
            id: header.id(),
            height: header.height,
            view: header.view,
        };
    }

    fn next(&self, parent: u64, payload: &Payload) -> Option<u64> {
        match payload {
            Payload::Empty => Some(parent),
            Payload::Leaf(leaf) if leaf.roots.get() == parent + 1 => Some(parent + 1),
            _ => None,
        }
    }
}

impl Host for Counter {
    fn propose(&mut self, _now: Millis, on: &Parent<'_>) -> Option<(Payload, Summary)> {
        let count = self.count(&on.id)?;
        if count < self.target {
            let payload = LeafPayload {
                roots: Epoch::new(count + 1),
                ..LeafPayload::default()
            };
            return Some((Payload::Leaf(payload), state(count + 1)));
        }
        (count > self.committed_count()).then(|| (Payload::Empty, state(count)))
    }

    fn check(&mut self, _now: Millis, proposal: &Proposal, certified: bool) -> Verdict {
        let id = proposal.id();
        if self.slow && !certified && !self.counts.contains_key(&id) && self.asked.insert(id) {
            self.waiting.push(id);
            return Verdict::Wait;
        }
        let Some(parent) = self.count(&proposal.block.header.parent) else {
            return Verdict::Reject {
                reason: "asked before its parent was accepted".into(),
            };
        };
        match self.next(parent, &proposal.block.payload) {
            Some(count) if state(count) == proposal.block.header.state => {
                self.counts.insert(id, count);
                Verdict::Accept
            }
            _ => Verdict::Reject {
                reason: "another state".into(),
            },
        }
    }

    fn known(&self, head: &BlockId) -> Vec<BatchDigest> {
        vec![*head]
    }

    fn has_work(&self, _now: Millis, head: &BlockId) -> bool {
        self.count(head).is_none_or(|count| count < self.target)
    }

    fn save(
        &mut self,
        record: &SafetyRecord,
        proposal: Option<&Proposal>,
    ) -> Result<(), StoreError> {
        if self.fails {
            return Err(StoreError {
                action: "write",
                reason: "the disk is full".into(),
            });
        }
        self.disk.log.push(Entry::Record(Box::new(record.clone())));
        self.disk
            .log
            .extend(proposal.map(|proposal| Entry::Proposal(Box::new(proposal.clone()))));
        Ok(())
    }
}
