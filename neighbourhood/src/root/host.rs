//! What the root's consensus asks: the record and its checks.

use super::blocks::{RootBlocks, RootEntry};
use crate::beacon;
use crate::consensus::{Host, Parent, SafetyRecord, Verdict};
use crate::persist;
use frith_ledger::block::{
    BatchDigest, BlockHeader, BlockId, ChainKind, Payload, Proposal, RootPayload,
};
use frith_ledger::hash::Hash;
use frith_ledger::key::PublicKey;
use frith_ledger::store::{Store, StoreError};
use frith_ledger::tree::Summary;
use frith_ledger::units::{Millis, UnixMillis};
use frith_ledger::vrf::VrfSecret;
use std::sync::Arc;

/// A record whose time is far from this node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClocksDiffer {
    /// Who proposes it.
    pub member: PublicKey,
    /// Its time.
    pub record: UnixMillis,
    /// What this node's clock shows.
    pub own: UnixMillis,
}

/// The root's side of its consensus, for one call.
pub struct RootHost<'a> {
    /// The network.
    pub genesis: Hash,
    /// Where things are kept.
    pub store: &'a mut dyn Store,
    /// The instance's blocks.
    pub blocks: &'a mut RootBlocks,
    /// Proves this node's part in the beacon.
    pub vrf: &'a VrfSecret,
    /// What this node's clock shows.
    pub wall: UnixMillis,
    /// How far from it the time of a record may lie that this node votes for, in ms.
    pub tolerance_ms: u64,
    /// Filled with a proposal that this node doesn't vote for because of its time.
    pub clocks_differ: Option<ClocksDiffer>,
}

impl RootHost<'_> {
    fn first(&self, on: &Parent<'_>) -> Option<RootPayload> {
        let ground = &self.blocks.ground;
        let epoch = self.blocks.epoch();
        let (vrf, next) = beacon::evaluate(self.vrf, &self.genesis, epoch, on.view, &ground.beacon);
        let time = self.wall.max(ground.not_before);
        let record = ground.record(time, on.view, vrf, next)?;
        let proof = ground.closing.proof.clone()?;
        Some(RootPayload {
            record,
            proofs: vec![proof].try_into().ok()?,
        })
    }

    /// The rules for a record that no block before carries.
    fn check_first(&self, header: &BlockHeader, payload: &RootPayload) -> Result<(), &'static str> {
        let (ground, record) = (&self.blocks.ground, &payload.record);
        let proposer = self
            .blocks
            .committee
            .get(header.proposer)
            .ok_or("no such proposer")?;
        if record.view != header.view {
            return Err("its record is of another view");
        }
        let next = beacon::verify(
            &proposer.vrf,
            &self.genesis,
            self.blocks.epoch(),
            record.view,
            &ground.beacon,
            &record.vrf,
        );
        let next = next.map_err(|_| "its VRF proof does not hold")?;
        if record.time < ground.not_before {
            return Err("its time is before that of the record before");
        }
        match ground.record(record.time, record.view, record.vrf, next) {
            None => return Err("the leaf's claim does not conserve credits"),
            Some(expected) if expected != *record => {
                return Err("its record is not what the leaf's claim gives");
            }
            Some(_) => {}
        }
        match &*payload.proofs {
            [proof] if ground.proves(proof, &self.genesis) => Ok(()),
            _ => Err("it does not prove that the leaf's claim is committed"),
        }
    }

    /// Whether the block brings its chain's record, with a time that is far from this node's clock. A block that carries
    /// the record again is no question of the clock: a quorum has certified the time then.
    fn is_off(&mut self, id: &BlockId) -> bool {
        let Some((header, record)) = self.blocks.first(id) else {
            return false;
        };
        let off = record.time.get().abs_diff(self.wall.get()) > self.tolerance_ms;
        if off && let Some(proposer) = self.blocks.committee.get(header.proposer) {
            self.clocks_differ = Some(ClocksDiffer {
                member: proposer.key,
                record: record.time,
                own: self.wall,
            });
        }
        off
    }

    fn check_block(&self, proposal: &Proposal) -> Result<RootEntry, &'static str> {
        let (header, payload) = (&proposal.block.header, &proposal.block.payload);
        let parent = self
            .blocks
            .get(&header.parent)
            .ok_or("its parent is unknown")?;
        if header.payload != payload.hash() {
            return Err("its header names another payload");
        }
        let follows = parent
            .header
            .as_ref()
            .is_some_and(|before| before.view.next() == header.view);
        let entry = match (payload, &parent.payload) {
            (Payload::Leaf(_), _) => return Err("a leaf's payload in the root's chain"),
            (Payload::Empty, Some(record)) if parent.carries && follows => RootEntry {
                header: Some(header.clone()),
                payload: Some(record.clone()),
                carries: false,
            },
            (Payload::Log(_), _) => return Err("a log's block in the root's chain"),
            (Payload::Empty, _) => return Err("an empty block where the record belongs"),
            (Payload::Root(_), Some(_)) if parent.carries && follows => {
                return Err("the record where an empty block belongs");
            }
            (Payload::Root(again), Some(record)) => {
                if **again != **record {
                    return Err("another record than its chain carries");
                }
                RootEntry {
                    header: Some(header.clone()),
                    payload: Some(record.clone()),
                    carries: true,
                }
            }
            (Payload::Root(first), None) => {
                self.check_first(header, first)?;
                let payload = Some(Arc::new((**first).clone()));
                RootEntry {
                    header: Some(header.clone()),
                    payload,
                    carries: true,
                }
            }
        };
        let state = entry.payload.as_ref().map(|payload| payload.record.state);
        if state != Some(header.state) {
            Err("its state is not its record's")
        } else {
            Ok(entry)
        }
    }
}

impl Host for RootHost<'_> {
    fn propose(&mut self, now: Millis, on: &Parent<'_>) -> Option<(Payload, Summary)> {
        let parent = self.blocks.get(&on.id)?;
        if !self.has_work(now, &on.id) {
            return None;
        }
        match &parent.payload {
            None => {
                let payload = self.first(on)?;
                let state = payload.record.state;
                Some((Payload::Root(Box::new(payload)), state))
            }
            Some(record) if parent.carries && on.parent_view.next() == on.view => {
                Some((Payload::Empty, record.record.state))
            }
            Some(record) => Some((
                Payload::Root(Box::new((**record).clone())),
                record.record.state,
            )),
        }
    }

    fn check(&mut self, _now: Millis, proposal: &Proposal, certified: bool) -> Verdict {
        let id = proposal.block.header.id();
        if self.blocks.get(&id).is_none() {
            match self.check_block(proposal) {
                Ok(entry) => self.blocks.put(id, entry),
                Err(reason) => {
                    return Verdict::Reject {
                        reason: reason.to_owned(),
                    };
                }
            }
        }
        if !certified && self.is_off(&id) {
            Verdict::Abstain
        } else {
            Verdict::Accept
        }
    }

    fn known(&self, _head: &BlockId) -> Vec<BatchDigest> {
        Vec::new()
    }

    /// The instance ends with its record, which a certified empty block commits.
    fn has_work(&self, _now: Millis, head: &BlockId) -> bool {
        self.blocks
            .get(head)
            .is_none_or(|entry| entry.carries || entry.payload.is_none())
    }

    fn save(
        &mut self,
        record: &SafetyRecord,
        proposal: Option<&Proposal>,
    ) -> Result<(), StoreError> {
        let epoch = self.blocks.epoch();
        let mut writes = vec![persist::put_safety(ChainKind::Root, epoch, record)];
        writes.extend(
            proposal.map(|proposal| persist::put_proposal(ChainKind::Root, epoch, proposal)),
        );
        self.store.write(writes)
    }
}
