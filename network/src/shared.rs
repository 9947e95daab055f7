//! What the handle, the driver and the tasks of the streams have in common.
//!
//! Every lock here is held for a few instructions and never across an await.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libp2p::Multiaddr;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use crate::budget::Bucket;
use crate::key::PeerKey;
use crate::limits::Limits;
use crate::metrics::Counters;
use crate::peer::Peer;
use crate::standing::Standing;

/// Bytes that one permit of the receiving memory stands for.
const PERMIT_BYTES: u32 = 1024;

pub(crate) struct Shared {
    pub(crate) key: PeerKey,
    pub(crate) network_id: [u8; 32],
    /// Drawn anew by each process: what tells it from another that holds the same key.
    pub(crate) instance: [u8; 16],
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) peers: Mutex<BTreeMap<PeerKey, Arc<Peer>>>,
    pub(crate) listening: Mutex<BTreeSet<Multiaddr>>,
    pub(crate) standing: Mutex<Standing>,
    pub(crate) requests: Mutex<Requests>,
    /// Wakes the driver when `requests` has something.
    pub(crate) wake: Notify,
    pub(crate) unknown_total: Mutex<Bucket>,
    /// Turns of the fetches that we make, and of those that we serve.
    pub(crate) fetching: Semaphore,
    pub(crate) serving: Arc<Semaphore>,
    inbound_member: Memory,
    inbound_unknown: Memory,
    start: Instant,
}

/// What the handle asks of the driver without waiting. Bounded: each field by its own limit.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) members: Option<BTreeSet<PeerKey>>,
    pub(crate) announce: BTreeSet<[u8; 32]>,
    pub(crate) withdraw: BTreeSet<[u8; 32]>,
    pub(crate) banned: BTreeSet<PeerKey>,
    pub(crate) let_go: BTreeSet<PeerKey>,
}

/// Bytes that frames under way may take.
pub(crate) struct Memory {
    permits: Semaphore,
    total: u32,
}

impl Memory {
    fn new(bytes: u32) -> Self {
        let total = (bytes / PERMIT_BYTES).max(1);
        Self {
            permits: Semaphore::new(total as usize),
            total,
        }
    }

    /// Waits until `bytes` are free. `None` only if the semaphore was closed, which it never is.
    pub(crate) async fn take(&self, bytes: u32) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let permits = bytes.div_ceil(PERMIT_BYTES).clamp(1, self.total);
        self.permits.acquire_many(permits).await.ok()
    }
}

impl Shared {
    pub(crate) fn new(
        key: PeerKey,
        network_id: [u8; 32],
        instance: [u8; 16],
        limits: Limits,
    ) -> Self {
        Self {
            key,
            network_id,
            instance,
            counters: Counters::default(),
            peers: Mutex::default(),
            listening: Mutex::default(),
            standing: Mutex::new(Standing::new(limits.penalty_max, limits.ban)),
            requests: Mutex::default(),
            wake: Notify::new(),
            unknown_total: Mutex::default(),
            fetching: Semaphore::new(limits.fetch_concurrent_max),
            serving: Arc::new(Semaphore::new(limits.fetch_served_max)),
            inbound_member: Memory::new(limits.inbound_bytes_max),
            inbound_unknown: Memory::new(limits.inbound_bytes_max / 4),
            start: Instant::now(),
            limits,
        }
    }

    /// Time since the start: the clock of every pure part of this crate.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn deadline(&self, at: Duration) -> Instant {
        self.start + at
    }

    pub(crate) fn peer(&self, key: &PeerKey) -> Option<Arc<Peer>> {
        lock(&self.peers).get(key).cloned()
    }

    /// Whether `bytes` more may wait for unknown peers. If not, who has the most waiting is let go.
    pub(crate) fn has_room_for_unknown(&self, bytes: usize) -> bool {
        let mut total = bytes;
        let mut slowest = None;
        for peer in lock(&self.peers).values().filter(|peer| !peer.is_member()) {
            let queued = peer.queued_bytes();
            total = total.saturating_add(queued);
            slowest = slowest.max(Some((queued, peer.key)));
        }
        if total <= self.limits.unknown_queue_bytes_max {
            return true;
        }
        if let Some((_, peer)) = slowest {
            lock(&self.requests).let_go.insert(peer);
            self.wake.notify_one();
        }
        false
    }

    pub(crate) fn inbound(&self, member: bool) -> &Memory {
        if member {
            &self.inbound_member
        } else {
            &self.inbound_unknown
        }
    }

    /// Adds to a peer's score and has the driver ban it if that is too much.
    pub(crate) fn penalise(&self, key: PeerKey, weight: u32) {
        if lock(&self.standing).penalise(self.now(), key, weight) {
            self.counters.bans.add(1);
            lock(&self.requests).banned.insert(key);
            self.wake.notify_one();
        }
    }
}

/// Locks even if a thread panicked while it held the lock: what these locks guard is whole between
/// any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
