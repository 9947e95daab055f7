//! The root records that this node has, in a chain from the genesis or from a copied state.
//!
//! A record is taken in order, under the root committee of its period, and at most one epoch ahead of
//! the leaf's last closing block, so the committee that it may name is always known.

use crate::membership::{Committees, cut, ends_period, period_of};
use crate::persist;
use frith_ledger::block::RootRecord;
use frith_ledger::certificate::Committee;
use frith_ledger::hash::Hash;
use frith_ledger::light::{CertifiedRoot, LightError};
use frith_ledger::store::{Store, StoreError};
use frith_ledger::units::{Epoch, UnixMillis};
use frith_tasks::Rules;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records read from the store at once when a node starts.
const LOAD_MAX: usize = 64;

/// The records.
#[derive(Debug, Clone)]
pub struct Roots {
    genesis: Hash,
    beacon: Hash,
    next: Epoch,
    recent: BTreeMap<Epoch, Arc<CertifiedRoot>>,
}

/// Why a record isn't taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// It doesn't hold.
    #[error(transparent)]
    Light(#[from] LightError),
    /// It doesn't follow the last one.
    #[error("the record of epoch {epoch} does not follow the one before")]
    Order {
        /// Its epoch.
        epoch: Epoch,
    },
    /// Its committee isn't known yet.
    #[error("the root committee of epoch {epoch} is not known yet")]
    Early {
        /// Its epoch.
        epoch: Epoch,
    },
    /// Its time is before that of the record before.
    #[error("the time of the record of epoch {epoch} is before that of the record before")]
    Time {
        /// Its epoch.
        epoch: Epoch,
    },
    /// It names another committee for the next period than its state gives.
    #[error("the record of epoch {epoch} names a committee that its state does not give")]
    Committee {
        /// Its epoch.
        epoch: Epoch,
    },
}

impl Roots {
    /// No records yet.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let beacon = Hash(rules.genesis.beacon);
        Self {
            genesis: rules.hash,
            beacon,
            next: Epoch::ZERO,
            recent: BTreeMap::new(),
        }
    }

    /// The records in the store from `from` on, without a gap.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(rules: &Rules, store: &dyn Store, from: Epoch) -> Result<Self, StoreError> {
        let mut roots = Self::new(rules);
        for number in from.get()
            ..from
                .get()
                .saturating_add(u64::try_from(LOAD_MAX).unwrap_or(0))
        {
            let epoch = Epoch::new(number);
            match persist::root(store, epoch)? {
                Some(root) => roots.begin(root),
                None if roots.recent.is_empty() && number < from.get().saturating_add(4) => {}
                None => break,
            }
        }
        Ok(roots)
    }

    /// Takes a record that needs no check, and goes on after it.
    pub fn begin(&mut self, root: CertifiedRoot) {
        if let Some(record) = root.record() {
            let epoch = record.epoch;
            self.next = epoch.next();
            self.recent.insert(epoch, Arc::new(root));
        }
    }

    /// The epoch of the next record.
    #[must_use]
    pub const fn next(&self) -> Epoch {
        self.next
    }

    /// A recent record.
    #[must_use]
    pub fn record(&self, epoch: Epoch) -> Option<&RootRecord> {
        self.recent.get(&epoch).and_then(|root| root.record())
    }

    /// A recent record with its proof.
    #[must_use]
    pub fn get(&self, epoch: Epoch) -> Option<&Arc<CertifiedRoot>> {
        self.recent.get(&epoch)
    }

    /// What the next record names as the one before.
    #[must_use]
    pub fn last_id(&self) -> Option<Hash> {
        match self.next.get() {
            0 => Some(self.genesis),
            next => self.record(Epoch::new(next - 1)).map(RootRecord::id),
        }
    }

    /// The time before which the next record's is not.
    #[must_use]
    pub fn last_time(&self, rules: &Rules) -> Option<UnixMillis> {
        match self.next.get() {
            0 => Some(rules.genesis.time()),
            next => self.record(Epoch::new(next - 1)).map(|record| record.time),
        }
    }

    /// beacon(epoch), if it is known.
    #[must_use]
    pub fn beacon(&self, epoch: Epoch) -> Option<Hash> {
        match epoch.get() {
            0 => Some(self.beacon),
            number => self
                .record(Epoch::new(number - 1))
                .map(|record| record.beacon),
        }
    }

    /// The committee that the last record of a period names, from the leaf's committees.
    #[must_use]
    pub fn next_committee(
        &self,
        rules: &Rules,
        committees: &Committees,
        epoch: Epoch,
    ) -> Option<Committee> {
        let candidates = committees.leaf(epoch.next())?;
        Some(cut(
            candidates,
            rules.parameters().committee,
            &self.beacon(epoch)?,
        ))
    }

    /// Verifies and takes the next record. Gives the committee of the next period when it begins one.
    ///
    /// # Errors
    /// [`RootError`]; nothing changes then.
    pub fn adopt(
        &mut self,
        rules: &Rules,
        committees: &Committees,
        root: CertifiedRoot,
    ) -> Result<Option<(u64, Committee)>, RootError> {
        let parameters = rules.parameters();
        let epoch = self.next;
        let named = root.record().map_or(epoch, |record| record.epoch);
        if named != epoch
            || root
                .record()
                .is_some_and(|record| Some(record.previous) != self.last_id())
        {
            return Err(RootError::Order { epoch: named });
        }
        let period = period_of(parameters, epoch);
        let committee = committees.root(period).ok_or(RootError::Early { epoch })?;
        let record = root.verify(committee, &self.genesis)?;
        if self.last_time(rules).is_some_and(|last| record.time < last) {
            return Err(RootError::Time { epoch });
        }
        let next = if ends_period(parameters, epoch) {
            let next = self
                .next_committee(rules, committees, epoch)
                .ok_or(RootError::Early { epoch })?;
            if record.next_committee != Some(next.hash()) {
                return Err(RootError::Committee { epoch });
            }
            Some((period.saturating_add(1), next))
        } else {
            None
        };
        self.begin(root);
        Ok(next)
    }

    /// Drops records before `epoch` from memory.
    pub fn forget(&mut self, epoch: Epoch) {
        self.recent = self.recent.split_off(&epoch);
    }
}
