//! One machine: its disk, the node that runs on it, its worker.

use crate::adversaries::Malice;
use frith_ledger::address::Address;
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, Seed};
use frith_ledger::store::SharedMemoryStore;
use frith_neighbourhood::Node;
use frith_tasks::worker::RunResult;
use std::collections::{BTreeMap, BTreeSet};

/// A machine of a member. An equivocator has two with one key.
pub struct Host {
    /// Which member.
    pub member: usize,
    /// Whether this is an equivocator's second machine.
    pub second: bool,
    /// The secret that its keys come from.
    pub seed: Seed,
    /// Its disk; survives the node.
    pub disk: SharedMemoryStore,
    /// The node, while the machine is up.
    pub node: Option<Node>,
    /// Counts starts, so that events of an earlier life are dropped.
    pub life: u64,
    /// When its next tick is due.
    pub tick_at: Option<u64>,
    /// The power fails after so many more outputs; then it is off for so many ms.
    pub dies_after: Option<(u64, u64)>,
    /// The power fails, once each, as soon as a write of such a kind isn't synced, which survives or not; then it
    /// is off for so many ms.
    pub dies_at: Vec<(&'static str, bool, u64)>,
    /// Its directory says that a node has started there before: an empty disk is a lost one.
    pub marked: bool,
    /// How far its clock is off, in ms.
    pub clock_off_ms: i64,
    /// Why the node stopped.
    pub halted: Option<String>,
    /// Results of the worker's runs: lost with the process.
    pub results: BTreeMap<Address, RunResult>,
    /// Tasks that run now.
    pub running: BTreeSet<Address>,
    /// What it has to work with when it misbehaves.
    pub(crate) malice: Malice,
}

impl Host {
    /// A machine that is off.
    #[must_use]
    pub fn new(member: usize, second: bool, seed: Seed, genesis: Hash) -> Self {
        Self {
            member,
            second,
            malice: Malice::new(seed.worker(), genesis),
            seed,
            disk: SharedMemoryStore::new(),
            node: None,
            life: 0,
            tick_at: None,
            dies_after: None,
            dies_at: Vec::new(),
            marked: false,
            clock_off_ms: 0,
            halted: None,
            results: BTreeMap::new(),
            running: BTreeSet::new(),
        }
    }

    /// Whether the machine is up.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.node.is_some()
    }

    /// The key that others know it by.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.seed.worker().public()
    }

    /// The power fails: of the unsynced writes the first `keep` survive.
    pub fn lose_power(&mut self, keep: usize) {
        self.node = None;
        self.disk.crash(keep);
        self.tick_at = None;
        self.dies_after = None;
        self.halted = None;
        self.results.clear();
        self.running.clear();
    }

    /// The disk is replaced by an empty one, whose directory says that a node has started there before, or not.
    pub fn wipe(&mut self, marked: bool) {
        self.disk.wipe();
        self.marked = marked;
    }
}
