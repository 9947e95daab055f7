//! How often the power failed, and what was lost each time.

use crate::faults::kind_of;
use frith_ledger::store::Table;
use std::collections::{BTreeMap, BTreeSet};

/// Power losses of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    /// How many.
    pub count: u64,
    /// By kind of write: how many took unsynced writes of it.
    pub kinds: BTreeMap<&'static str, u64>,
}

impl Losses {
    /// The power failed and took these writes.
    pub(super) fn note(&mut self, lost: impl Iterator<Item = (Table, Vec<u8>)>) {
        self.count += 1;
        let kinds: BTreeSet<&'static str> = lost.map(|(table, key)| kind_of(table, &key)).collect();
        for kind in kinds {
            *self.kinds.entry(kind).or_default() += 1;
        }
    }
}
