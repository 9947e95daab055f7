//! Copying the state at the end of an epoch, from the genesis's word alone.
//!
//! 1. Links lead a light client from the genesis to the newest root committee.
//! 2. The newest record of that committee's period names the state, the leaf's closing block and, in the
//!    record before it, the next epoch's committee. The closing block says what is owed.
//! 3. The state is copied in slots ([`TreeCopy`]) from several peers at once ([`super::Pulls`]), every piece
//!    proven against the record, and saved as it comes.
//! 4. When something of it may be here already (an earlier run's slots, an older version, slots of a target
//!    that nobody keeps any more), the summaries of all slots are asked for first, and what is the same
//!    stays.
//! 5. When all slots are there they are joined and compared with the record.
//!
//! The target stays as long as peers keep its state. When it must change, what didn't change stays.

use super::kept::{self, Aim};
use super::tree::{GroupSave, TreeCopy, saved_slots, slot_bits};
use crate::limits::Limits;
use crate::membership::period_of;
use crate::persist::Closing;
use crate::wire::{Checkpoint, CheckpointTip, Request};
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{Owed, Payload, RootRecord};
use frith_ledger::certificate::Committee;
use frith_ledger::genesis::GenesisError;
use frith_ledger::light::{CertifiedRoot, LightClient, LightError, RootLink};
use frith_ledger::store::{Store, StoreError, Write};
use frith_ledger::tree::{ProofError, RangeProof, Summary, TreeError, Version};
use frith_ledger::units::{Epoch, View};
use frith_tasks::{LeafState, RestoreError, Rules};

/// A copy under way.
#[derive(Debug)]
pub struct StateCopy {
    light: LightClient,
    genesis_committee: Committee,
    committees: Vec<(u64, Committee)>,
    links: Vec<CertifiedRoot>,
    target: Option<Target>,
    tree: Option<TreeCopy>,
    /// The slots' summaries are to be compared before anything is copied.
    compares: bool,
    /// The newest version that the store keeps.
    base: Option<Version>,
    slot_entities: u64,
    group: usize,
}

#[derive(Debug)]
struct Target {
    tip: CheckpointTip,
    record: RootRecord,
    previous: Option<CertifiedRoot>,
}

/// What an answer to [`Request::Checkpoint`] came to.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is to be written.
    pub writes: Vec<Write>,
    /// The epoch of the record that it showed, which holds; `None` when it showed links only.
    pub record: Option<Epoch>,
    /// Whether that record is copied from now on.
    pub aimed: bool,
}

/// What a finished copy gives.
pub struct Copied {
    /// The end of the epoch that was copied.
    pub closing: Closing,
    /// The state.
    pub state: LeafState,
    /// The leaf's committee of the epoch after.
    pub committee: Committee,
    /// The record, and the one before it when there is one, oldest first.
    pub roots: Vec<CertifiedRoot>,
    /// The last records of past periods.
    pub links: Vec<CertifiedRoot>,
    /// Root committees by period.
    pub root_committees: Vec<(u64, Committee)>,
    /// Nodes with prefixes of so many bits are in the store.
    pub saved_bits: u8,
}

/// Why a copy can't begin: the environment's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// The genesis is unusable.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A peer's piece doesn't hold, or the copy can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// A record or link doesn't hold.
    #[error(transparent)]
    Light(#[from] LightError),
    /// A piece doesn't hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The parts don't make the tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The state doesn't fit the claim.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// What came with the record isn't what it names.
    #[error("the checkpoint's {what} is not the one that its record names")]
    Mismatch {
        /// Which part.
        what: &'static str,
    },
    /// Not asked for, or of another epoch.
    #[error("not asked for")]
    Unasked,
}

impl StateCopy {
    /// A copy that begins at the genesis, or goes on where an earlier run stopped. `base` is the newest
    /// version that the store keeps. O(entities saved).
    ///
    /// # Errors
    /// [`BeginError`].
    pub fn begin(
        rules: &Rules,
        store: &dyn Store,
        base: Option<Version>,
        limits: &Limits,
    ) -> Result<Self, BeginError> {
        let mut copy = Self {
            light: LightClient::new(&rules.genesis)?,
            genesis_committee: rules.genesis.committee()?,
            committees: Vec::new(),
            links: Vec::new(),
            target: None,
            tree: None,
            compares: false,
            base,
            slot_entities: limits.slot_entities,
            group: limits.slots_at_once,
        };
        while let Some(link) = kept::link(store, copy.light.period().saturating_add(1))? {
            if copy.follow(link).is_err() {
                break;
            }
        }
        if let Some(Aim { bits, tip }) = kept::aim(store)? {
            let mut tree = TreeCopy::new(Epoch::ZERO, Summary::EMPTY, bits, copy.group);
            for (prefix, slot) in saved_slots(store, bits)? {
                tree.found(prefix, slot);
            }
            copy.tree = Some(tree);
            // One that doesn't hold any more (a damaged store) is asked for again.
            let _held = copy.aim(rules, tip);
        }
        Ok(copy)
    }

    /// The epoch that is copied, entities so far, and of how many.
    #[must_use]
    pub fn progress(&self) -> Option<(Epoch, u64, u64)> {
        let (target, tree) = (self.target.as_ref()?, self.tree.as_ref()?);
        Some((
            target.record.epoch,
            tree.entities(),
            target.record.state.entities,
        ))
    }

    /// The one thing to ask for before pieces can be; `None` when they can.
    #[must_use]
    pub fn request(&self) -> Option<Request> {
        match (&self.target, &self.tree) {
            (Some(target), Some(tree)) => self.compares.then_some(Request::Summaries {
                epoch: target.record.epoch,
                bits: tree.bits(),
            }),
            _ => Some(self.asks_checkpoint()),
        }
    }

    /// What asks for the newest record.
    #[must_use]
    pub const fn asks_checkpoint(&self) -> Request {
        Request::Checkpoint {
            period: self.light.period(),
        }
    }

    /// Compares with this version, the newest that the store keeps, from the next aim on.
    pub fn rebase(&mut self, base: Option<Version>) {
        self.base = base;
    }

    /// The pieces to ask for, in order.
    #[must_use]
    pub fn pieces(&self) -> Vec<Request> {
        match &self.tree {
            Some(tree) if self.request().is_none() => tree.requests(),
            _ => Vec::new(),
        }
    }

    /// Forgets the target. What was copied stays, to be compared.
    pub fn restart(&mut self) {
        self.target = None;
    }

    fn follow(&mut self, link: RootLink) -> Result<(), LightError> {
        self.light.follow(&link)?;
        self.committees.push((self.light.period(), link.next));
        self.links.push(link.root);
        Ok(())
    }

    /// Takes an answer to [`Request::Checkpoint`]: aims at its record when that is of epoch `least` or later.
    /// One certificate's checks a link.
    ///
    /// # Errors
    /// [`CopyError`]: the peer's fault; what was verified stays, and so does the target.
    pub fn checkpoint(
        &mut self,
        rules: &Rules,
        checkpoint: Checkpoint,
        least: Epoch,
    ) -> Result<Checked, CopyError> {
        let mut checked = Checked::default();
        for link in checkpoint.links.into_inner() {
            self.follow(link.clone())?;
            checked
                .writes
                .push(kept::put_link(self.light.period(), &link));
        }
        if let Some(tip) = checkpoint.tip {
            let epoch = self.light.root(&tip.root)?.epoch;
            checked.record = Some(epoch);
            if epoch >= least {
                self.aim(rules, tip.clone())?;
                let bits = self.tree.as_ref().map_or(0, TreeCopy::bits);
                checked.writes.push(kept::put_aim(&Aim { bits, tip }));
                checked.aimed = true;
            }
        }
        Ok(checked)
    }

    /// Aims the copy of the tree at the target.
    fn turn(&mut self, record: &RootRecord) -> Result<(), CopyError> {
        let (epoch, state) = (record.epoch, record.state);
        let held = self.tree.as_ref().is_some_and(TreeCopy::holds_any);
        if !held {
            let bits = slot_bits(state.entities, self.slot_entities);
            self.tree = Some(TreeCopy::new(epoch, state, bits, self.group));
        }
        self.compares = held || self.base.is_some();
        if self.compares && self.tree.as_ref().is_some_and(|tree| tree.bits() == 0) {
            self.compare(epoch, state, &[state])?;
        }
        Ok(())
    }

    fn compare(
        &mut self,
        epoch: Epoch,
        root: Summary,
        summaries: &[Summary],
    ) -> Result<(), CopyError> {
        let tree = self.tree.as_mut().ok_or(CopyError::Unasked)?;
        tree.retarget(epoch, root, summaries, self.base.as_ref())?;
        self.compares = false;
        Ok(())
    }

    /// Takes an answer to [`Request::Summaries`].
    ///
    /// # Errors
    /// [`CopyError`]: the peer's fault; nothing changes.
    pub fn summaries(
        &mut self,
        (epoch, bits): (Epoch, u8),
        summaries: &[Summary],
    ) -> Result<(), CopyError> {
        if self.request() != Some(Request::Summaries { epoch, bits }) {
            return Err(CopyError::Unasked);
        }
        let root = match &self.target {
            Some(target) => target.record.state,
            None => return Err(CopyError::Unasked),
        };
        self.compare(epoch, root, summaries)
    }

    fn aim(&mut self, rules: &Rules, tip: CheckpointTip) -> Result<(), CopyError> {
        let mismatch = |what| CopyError::Mismatch { what };
        let record = self.light.root(&tip.root)?.clone();
        let [entry] = &*record.leaves else {
            return Err(mismatch("list of leaves"));
        };
        let header = &tip.closing.header;
        let claims = matches!(&tip.closing.payload, Payload::Leaf(p) if p.claim.as_ref() == Some(&entry.claim));
        if header.id() != entry.closing || header.payload != tip.closing.payload.hash() || !claims {
            return Err(mismatch("closing block"));
        }
        let previous = self.previous(rules, &record, tip.previous.as_ref())?;
        let named = previous
            .as_ref()
            .and_then(CertifiedRoot::record)
            .and_then(|record| record.leaves.first());
        let named = match named {
            Some(entry) if record.epoch >= Epoch::new(1) => entry.committee,
            _ => self.genesis_committee.hash(),
        };
        if tip.committee.hash() != named {
            return Err(mismatch("committee"));
        }
        self.turn(&record)?;
        self.target = Some(Target {
            tip,
            record,
            previous,
        });
        Ok(())
    }

    /// The record before, whose own proof holds too.
    fn previous(
        &self,
        rules: &Rules,
        record: &RootRecord,
        given: Option<&CertifiedRoot>,
    ) -> Result<Option<CertifiedRoot>, CopyError> {
        if record.epoch == Epoch::ZERO {
            return Ok(None);
        }
        let given = given.ok_or(CopyError::Mismatch {
            what: "record before",
        })?;
        if given.record().map(RootRecord::id) != Some(record.previous) {
            return Err(CopyError::Mismatch {
                what: "record before",
            });
        }
        let parameters = rules.parameters();
        if period_of(parameters, record.epoch.minus(1)) == period_of(parameters, record.epoch) {
            self.light.root(given)?;
            return Ok(Some(given.clone()));
        }
        // The last record of the period before: the last link has shown it.
        self.links
            .last()
            .cloned()
            .map(Some)
            .ok_or(CopyError::Mismatch {
                what: "record before",
            })
    }

    /// Takes an answer to [`Request::Range`]. Gives what is to be asked for after it.
    ///
    /// # Errors
    /// [`CopyError`]: the peer's fault, unless it wasn't asked for; nothing changes.
    pub fn range(
        &mut self,
        (epoch, prefix, from): (Epoch, Prefix, Address),
        proof: &RangeProof,
    ) -> Result<Option<Request>, CopyError> {
        if self.request().is_some() {
            return Err(CopyError::Unasked);
        }
        let tree = self.tree.as_mut().ok_or(CopyError::Unasked)?;
        if !tree.wants(epoch, prefix, from) {
            return Err(CopyError::Unasked);
        }
        Ok(tree.range(prefix, from, proof)?)
    }

    /// What is to be saved now, in this order.
    pub fn saves(&mut self) -> Vec<GroupSave> {
        match &mut self.tree {
            Some(tree) if !self.compares && self.target.is_some() => tree.saves(),
            _ => Vec::new(),
        }
    }

    /// Whether everything is here and saved.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.request().is_none() && self.tree.as_ref().is_some_and(TreeCopy::is_whole)
    }

    /// Joins what was copied. O(slots · depth), and a scan of the entities.
    ///
    /// # Errors
    /// [`CopyError`] when the parts don't make the state that the record names.
    pub fn finish(self, rules: &Rules) -> Result<Copied, CopyError> {
        let (target, tree) = match (self.target, self.tree) {
            (Some(target), Some(tree)) => (target, tree),
            _ => return Err(CopyError::Unasked),
        };
        let version = tree.tree()?;
        let Some(entry) = target.record.leaves.first() else {
            return Err(CopyError::Mismatch {
                what: "list of leaves",
            });
        };
        if version.summary() != entry.claim.state {
            return Err(CopyError::Mismatch { what: "state" });
        }
        let last = target.previous.as_ref().and_then(CertifiedRoot::record);
        let state = LeafState::from_claim(rules, version, &entry.claim, last)?;
        let owed = match &target.tip.closing.payload {
            Payload::Leaf(payload) => payload
                .owed
                .iter()
                .map(|o| Owed {
                    since: View::ZERO,
                    batch: o.batch,
                })
                .collect(),
            Payload::Root(_) | Payload::Empty | Payload::Log(_) => Vec::new(),
        };
        let closing = Closing {
            epoch: target.record.epoch,
            id: entry.closing,
            height: entry.height,
            claim: entry.claim.clone(),
            owed,
            proof: None,
        };
        Ok(Copied {
            closing,
            state,
            committee: target.tip.committee,
            roots: target
                .previous
                .into_iter()
                .chain([target.tip.root])
                .collect(),
            links: self.links,
            root_committees: self.committees,
            saved_bits: tree.bits(),
        })
    }
}
