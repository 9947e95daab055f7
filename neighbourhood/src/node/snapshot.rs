//! The committed chain at one moment, to be asked on any thread while the core goes on.
//!
//! Taking one shares everything; what it doesn't hold itself it reads from the store beside its owner. Old parts of the
//! chain that the owner has forgotten since are gone there as well.

use super::api::OperationStatus;
use super::core::Node;
use super::facts::{BlockAndAfter, Facts, Pooled};
use super::history::HistoryPage;
use crate::membership::Committees;
use crate::pool::Slot;
use crate::roots::Roots;
use frith_ledger::address::Address;
use frith_ledger::light::{CertifiedRoot, EntityProof};
use frith_ledger::operation::OperationId;
use frith_ledger::store::{ReadOnly, StoreError};
use frith_ledger::tree::Version;
use frith_ledger::units::{Epoch, Height};
use frith_tasks::{LeafState, Rules};
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the module.
#[derive(Clone)]
pub struct Snapshot {
    rules: Arc<Rules>,
    state: LeafState,
    head: Height,
    epoch: Epoch,
    copied: Epoch,
    versions: BTreeMap<Epoch, Version>,
    roots: Roots,
    committees: Committees,
    store: ReadOnly,
}

impl Node {
    /// The committed chain as it is now. Every read of its store fails when that can't be read beside the node.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            rules: self.rules.clone(),
            state: self.chain.state.clone(),
            head: self.chain.head,
            epoch: self.chain.epoch,
            copied: self.chain.copied,
            versions: self.chain.versions().clone(),
            roots: self.roots.clone(),
            committees: self.committees.clone(),
            store: ReadOnly::new(self.store.reader()),
        }
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            rules: &self.rules,
            state: &self.chain.state,
            epoch: self.chain.epoch,
            copied: self.chain.copied,
            versions: self.chain.versions(),
            roots: &self.roots,
            committees: &self.committees,
            store: &*self.store,
        }
    }
}

impl Snapshot {
    fn facts(&self) -> Facts<'_> {
        Facts {
            rules: &self.rules,
            state: &self.state,
            epoch: self.epoch,
            copied: self.copied,
            versions: &self.versions,
            roots: &self.roots,
            committees: &self.committees,
            store: &self.store,
        }
    }

    /// The committed state.
    #[must_use]
    pub const fn state(&self) -> &LeafState {
        &self.state
    }

    /// Height of the last committed block.
    #[must_use]
    pub const fn head(&self) -> Height {
        self.head
    }

    /// The epoch that the leaf is in.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The epoch of the next root record.
    #[must_use]
    pub const fn roots(&self) -> Epoch {
        self.roots.next()
    }

    /// A root record with its proof, while it is kept. Blocks while the disk reads, as everything below.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn root(&self, epoch: Epoch) -> Result<Option<CertifiedRoot>, StoreError> {
        self.facts().root(epoch)
    }

    /// A committed block, the headers after it up to a committed one, and the proof of that; while it is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn block(&self, height: Height) -> Result<Option<BlockAndAfter>, StoreError> {
        self.facts().block(height)
    }

    /// Where an operation is of which the pool knew `pooled` before this was taken; `None` when nothing is known of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn operation(
        &self,
        id: &OperationId,
        pooled: Pooled,
        slot: Option<Slot>,
    ) -> Result<Option<OperationStatus>, StoreError> {
        self.facts().operation(id, pooled, slot)
    }

    /// Proves to a light client that has followed the root committees to `period` what stands at an address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn entity_proof(
        &self,
        address: &Address,
        period: u64,
    ) -> Result<Option<EntityProof>, StoreError> {
        self.facts().entity_proof(address, period)
    }

    /// What touched an account in its newest blocks below `before`: of a few blocks, and the place of the rest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn history(&self, account: &Address, before: Height) -> Result<HistoryPage, StoreError> {
        self.facts().history(account, before)
    }
}
