//! The committed chain of the leaf: its head, its state, the ends of its epochs.
//!
//! The state of a running epoch is only in memory; the store has the blocks. At an epoch's end the tree
//! is saved as a version numbered by the epoch, so a restart loads the last end and executes what came
//! after it.

use crate::history;
use crate::limits::Limits;
use crate::persist::{self, Closing};
use frith_ledger::block::BlockId;
use frith_ledger::store::{Store, StoreError, Write};
use frith_ledger::tree::{LoadError, NodePrefix, Version, load, prune, save_above};
use frith_ledger::units::{Epoch, Height};
use frith_tasks::{LeafState, RestoreError, Rules};
use std::collections::BTreeMap;

/// Steps of pruning per closed epoch, and writes in one step.
const PRUNE_STEPS: usize = 8;
const PRUNE_WRITES: usize = 4096;
/// Ends of epochs read at once when a node starts.
const CLOSINGS_MAX: usize = 16_384;

/// The committed chain.
pub struct Chain {
    /// Height of the last committed block.
    pub head: Height,
    /// Its id.
    pub head_id: BlockId,
    /// The state after it.
    pub state: LeafState,
    /// The epoch that runs.
    pub epoch: Epoch,
    /// The end of the epoch before; `None` in epoch 0.
    pub closing: Option<Closing>,
    /// The first block that is kept.
    pub first: Height,
    /// The first epoch whose blocks were all executed here: receipts of earlier ones may be missing.
    pub copied: Epoch,
    versions: BTreeMap<Epoch, Version>,
    saved: Option<(u64, Version)>,
    versions_kept: usize,
}

/// Why a chain can't be restored: the environment's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The genesis has no usable state.
    #[error("the genesis is unusable: {0}")]
    Genesis(#[from] frith_ledger::genesis::GenesisError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The saved state is damaged.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The saved state doesn't fit what is kept beside it.
    #[error("the saved state cannot be restored: {0}")]
    Restore(#[from] RestoreError),
    /// The saved state is missing.
    #[error(
        "the state at the end of epoch {epoch} is missing; take the store away and start again, it comes back from the others"
    )]
    Missing {
        /// Which epoch's end.
        epoch: Epoch,
    },
}

impl Chain {
    /// The chain as the last saved end of an epoch has it, or the genesis.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn open(rules: &Rules, store: &dyn Store, limits: &Limits) -> Result<Self, ChainError> {
        let closings = persist::closings(store, Epoch::ZERO, CLOSINGS_MAX)?;
        let first = persist::entries(store, Height::ZERO, 1)?
            .first()
            .map(|(height, _)| *height);
        let Some(closing) = closings.last().cloned() else {
            return Self::genesis(rules, limits);
        };
        let number = closing.epoch.get();
        let version = load(store, number)?.ok_or(ChainError::Missing {
            epoch: closing.epoch,
        })?;
        let mut versions: BTreeMap<Epoch, Version> = [(closing.epoch, version.clone())].into();
        if let Some(before) = number.checked_sub(1)
            && let Some(older) = load(store, before)?
        {
            versions.insert(Epoch::new(before), older);
        }
        let accepted = match number.checked_sub(1) {
            Some(before) => persist::root(store, Epoch::new(before))?,
            None => None,
        };
        let last = accepted.as_ref().and_then(|root| root.record());
        let state = LeafState::from_claim(rules, version.clone(), &closing.claim, last)?;
        Ok(Self {
            head: closing.height,
            head_id: closing.id,
            state,
            epoch: closing.epoch.next(),
            first: first
                .unwrap_or(closing.height.next())
                .max(persist::first(store)?.unwrap_or(Height::ZERO)),
            copied: persist::copied(store)?.unwrap_or(Epoch::ZERO),
            versions,
            saved: Some((number, version)),
            closing: Some(closing),
            versions_kept: limits.versions_kept.max(2),
        })
    }

    fn genesis(rules: &Rules, limits: &Limits) -> Result<Self, ChainError> {
        Ok(Self {
            head: Height::ZERO,
            head_id: rules.hash,
            state: LeafState::genesis(rules)?,
            epoch: Epoch::ZERO,
            closing: None,
            first: Height::new(1),
            copied: Epoch::ZERO,
            versions: BTreeMap::new(),
            saved: None,
            versions_kept: limits.versions_kept.max(2),
        })
    }

    /// What the running epoch begins with.
    #[must_use]
    pub fn base(&self, rules: &Rules) -> (BlockId, Height) {
        self.closing
            .as_ref()
            .map_or((rules.hash, Height::ZERO), |closing| {
                (closing.id, closing.height)
            })
    }

    /// The state at the end of an epoch, while it is in memory.
    #[must_use]
    pub fn version(&self, epoch: Epoch) -> Option<&Version> {
        self.versions.get(&epoch)
    }

    /// The states at the ends of epochs that are in memory.
    #[must_use]
    pub const fn versions(&self) -> &BTreeMap<Epoch, Version> {
        &self.versions
    }

    /// The version that the store keeps newest.
    #[must_use]
    pub fn saved(&self) -> Option<&Version> {
        self.saved.as_ref().map(|(_, version)| version)
    }

    /// Moves the head by one block.
    pub fn advance(&mut self, id: BlockId, height: Height, state: LeafState) {
        (self.head, self.head_id, self.state) = (height, id, state);
    }

    /// Ends the running epoch: the writes that save its state.
    pub fn close(&mut self, closing: Closing) -> Vec<Write> {
        self.close_above(closing, NodePrefix::LEN_MAX + 1)
    }

    /// The same, when nodes with prefixes of so many bits are in the store already.
    fn close_above(&mut self, closing: Closing, bits: u16) -> Vec<Write> {
        let version = self.state.tree().clone();
        let number = closing.epoch.get();
        let previous = self.saved.as_ref().map(|(n, v)| (*n, v));
        let mut writes = save_above(previous, number, &version, bits);
        writes.push(persist::put_closing(&closing));
        self.versions.insert(closing.epoch, version.clone());
        while self.versions.len() > self.versions_kept {
            self.versions.pop_first();
        }
        self.saved = Some((number, version));
        self.epoch = closing.epoch.next();
        self.closing = Some(closing);
        writes
    }

    /// Replaces everything by a copied state at the end of an epoch, of which the store has all nodes with
    /// prefixes of `saved_bits`: the writes that save the rest.
    pub fn replace(&mut self, closing: Closing, state: LeafState, saved_bits: u8) -> Vec<Write> {
        (self.head, self.head_id) = (closing.height, closing.id);
        self.first = closing.height.next();
        self.copied = closing.epoch.next();
        self.state = state;
        self.versions.clear();
        let places = [
            persist::put_first(self.first),
            persist::put_copied(self.copied),
        ];
        let mut writes = self.close_above(closing, u16::from(saved_bits));
        writes.extend(places);
        writes
    }

    /// Forgets what is older than `retained` epochs: states, blocks, batches, root records (but those that
    /// lead light clients). Bounded work a call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget(&mut self, rules: &Rules, store: &mut dyn Store) -> Result<(), StoreError> {
        let parameters = rules.parameters();
        let Some(before) = self
            .epoch
            .get()
            .checked_sub(parameters.retained_epochs.max(4))
        else {
            return Ok(());
        };
        let before = Epoch::new(before);
        for _ in 0..PRUNE_STEPS {
            let writes = prune(store, before.get(), PRUNE_WRITES)?;
            if writes.is_empty() {
                break;
            }
            store.write(writes)?;
        }
        // Blocks from before the state was copied go as well: they don't lead to the chain any more.
        for (height, entry) in persist::entries(store, Height::ZERO, PRUNE_WRITES)? {
            if entry.epoch >= before && height >= self.first {
                break;
            }
            let mut writes = Vec::from(persist::delete_block(height, &entry.id));
            writes.extend(history::forget(store, height)?);
            if let Some(block) = persist::block(store, &entry.id)?
                && let frith_ledger::block::Payload::Leaf(payload) = &block.payload
            {
                writes.extend(payload.batches.iter().map(persist::delete_batch));
            }
            store.write(writes)?;
            self.first = self.first.max(height.next());
        }
        let mut writes = Vec::new();
        for number in before.get().saturating_sub(PRUNE_STEPS as u64)..before.get() {
            let epoch = Epoch::new(number);
            writes.push(persist::delete_closing(epoch));
            writes.push(persist::delete_committee(epoch));
            if !crate::membership::ends_period(parameters, epoch) {
                writes.push(persist::delete_root(epoch));
            }
        }
        store.write(writes)
    }
}
