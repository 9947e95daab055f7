//! What the core and the worker count since the start, for `/metrics` and the status.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A total that only grows, or a number of this moment. Relaxed: nothing else is ordered by it.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Replaces it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Its value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counts of a node.
#[derive(Debug, Default)]
pub struct Counters {
    /// Blocks committed.
    pub blocks: Count,
    /// Operations executed in them, refused ones among them.
    pub operations: Count,
    /// Operations that were told to come back later, because too many waited.
    pub overloaded: Count,
    /// Syncs of the store.
    pub syncs: Count,
    /// Microseconds that they took together.
    pub sync_us: Count,
    /// Tasks that run at this moment.
    pub running: Count,
    /// Runs of tasks that gave a result.
    pub runs: Count,
    /// Runs that failed on this machine's side.
    pub runs_failed: Count,
    /// Failed runs that wait for another try at this moment.
    pub failing: Count,
    /// Signatures of the own key that a member showed and the record doesn't know.
    pub records_lost: Count,
}

impl Counters {
    /// Counts one sync.
    pub fn synced(&self, took: Duration) {
        self.syncs.add(1);
        self.sync_us
            .add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}
