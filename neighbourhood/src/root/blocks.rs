//! The blocks of one root instance, and what its record has to say.

use crate::persist::Closing;
use frith_ledger::block::{
    BlockHeader, BlockId, Instance, LeafEntry, Payload, RootPayload, RootRecord,
};
use frith_ledger::certificate::{CommitProof, Committee};
use frith_ledger::credits::Credits;
use frith_ledger::hash::Hash;
use frith_ledger::units::{Epoch, UnixMillis, View};
use frith_ledger::vrf::VrfProof;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is fixed of a record before anyone proposes it.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The record before.
    pub previous: Hash,
    /// beacon(epoch).
    pub beacon: Hash,
    /// The leaf's closing block.
    pub closing: Closing,
    /// The leaf's committee in the record's epoch: signed the closing block.
    pub leaf: Arc<Committee>,
    /// Hash of the leaf's committee two epochs on.
    pub after_next: Hash,
    /// Hash of the next period's root committee, in the last epoch of a period.
    pub next_committee: Option<Hash>,
    /// All credits of the genesis.
    pub supply: Credits,
    /// The time of the record before, or of the genesis: the record's own is not before it.
    pub not_before: UnixMillis,
}

impl Ground {
    /// The record with the parts that its proposer adds; `None` when the claim makes credits.
    #[must_use]
    pub fn record(
        &self,
        time: UnixMillis,
        view: View,
        vrf: VrfProof,
        beacon: Hash,
    ) -> Option<RootRecord> {
        let claim = self.closing.claim.clone();
        let conserved = claim.flows.conserve(claim.state.credits, self.supply);
        if !conserved.unwrap_or(false) {
            return None;
        }
        let entry = LeafEntry {
            claim: claim.clone(),
            closing: self.closing.id,
            height: self.closing.height,
            committee: self.after_next,
        };
        Some(RootRecord {
            epoch: self.closing.epoch,
            previous: self.previous,
            state: claim.state,
            flows: claim.flows,
            leaves: vec![entry].try_into().ok()?,
            time,
            view,
            vrf,
            beacon,
            next_committee: self.next_committee,
        })
    }

    /// Whether a proof shows that the closing block is committed: it commits that block, or an empty
    /// block after it with the same state.
    #[must_use]
    pub fn proves(&self, proof: &CommitProof, genesis: &Hash) -> bool {
        let header = &proof.header;
        let names = header.id() == self.closing.id
            || (header.payload == Payload::Empty.hash()
                && header.state == self.closing.claim.state
                && header.height > self.closing.height);
        names
            && header.instance.epoch == self.closing.epoch
            && proof.verify(&self.leaf, genesis).is_ok()
    }
}

/// A block of a root instance.
#[derive(Debug, Clone)]
pub struct RootEntry {
    /// Its header; `None` for the instance's base.
    pub header: Option<BlockHeader>,
    /// The record that its chain carries.
    pub payload: Option<Arc<RootPayload>>,
    /// Whether it carries the record itself.
    pub carries: bool,
}

/// The blocks of one root instance.
#[derive(Debug)]
pub struct RootBlocks {
    /// Which instance.
    pub instance: Instance,
    /// Its members.
    pub committee: Arc<Committee>,
    /// What its record has to say.
    pub ground: Ground,
    /// The record before: the base's id.
    pub base: BlockId,
    /// Whether it was said that clocks differ.
    pub clock_told: bool,
    entries: BTreeMap<BlockId, RootEntry>,
}

impl RootBlocks {
    /// An instance without blocks.
    #[must_use]
    pub fn new(instance: Instance, committee: Arc<Committee>, ground: Ground) -> Self {
        let base = ground.previous;
        let entry = RootEntry {
            header: None,
            payload: None,
            carries: false,
        };
        Self {
            instance,
            committee,
            ground,
            base,
            clock_told: false,
            entries: [(base, entry)].into(),
        }
    }

    /// The epoch.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.instance.epoch
    }

    /// A checked block.
    #[must_use]
    pub fn get(&self, id: &BlockId) -> Option<&RootEntry> {
        self.entries.get(id)
    }

    /// A block that brings a record which no block before it carries.
    #[must_use]
    pub fn first(&self, id: &BlockId) -> Option<(&BlockHeader, &RootRecord)> {
        let entry = self.get(id)?;
        let (header, payload) = (entry.header.as_ref()?, entry.payload.as_ref()?);
        (header.parent == self.base).then_some((header, &payload.record))
    }

    /// Adds a checked block.
    pub fn put(&mut self, id: BlockId, entry: RootEntry) {
        self.entries.insert(id, entry);
    }

    /// Forgets an uncommitted block.
    pub fn forget(&mut self, id: &BlockId) {
        if *id != self.base {
            self.entries.remove(id);
        }
    }
}
