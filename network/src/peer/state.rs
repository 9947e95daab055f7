//! What is known of a connected peer.
//!
//! Frames are written to one connection at a time, the *route*, so that each priority keeps its
//! order. It moves only when that connection closes or another process takes the peer's place.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;
use tokio::sync::{Notify, Semaphore, watch};

use super::queue::{Full, Queues};
use crate::budget::Budget;
use crate::key::PeerKey;
use crate::limits::PeerBudget;
use crate::metrics::{Counter, Link, PeerStatus};
use crate::shared::{Shared, lock};
use crate::wire::Priority;

pub(crate) struct Peer {
    pub(crate) key: PeerKey,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) messages_in: Counter,
    pub(crate) messages_out: Counter,
    /// Milliseconds since the start at which a frame or fetch last passed.
    pub(crate) active_ms: Counter,
    /// Round trip of the latest ping in microseconds plus one; zero before the first.
    pub(crate) rtt_us: Counter,
    /// Turns of the fetches that this peer makes from us.
    pub(crate) serving: Arc<Semaphore>,
    /// True once the node was told that the peer is connected; nothing is read before.
    pub(crate) announced: watch::Sender<bool>,
    member: AtomicBool,
    budget: Mutex<Budget>,
    outgoing: Mutex<Outgoing>,
    links: Mutex<Vec<(ConnectionId, Link)>>,
    addresses: Mutex<Vec<Multiaddr>>,
    wake: [Notify; 3],
    since: Duration,
}

struct Outgoing {
    queues: Queues,
    route: Option<ConnectionId>,
}

impl Peer {
    pub(crate) fn new(key: PeerKey, member: bool, shared: &Shared) -> Self {
        let limits = &shared.limits;
        let since = shared.now();
        let peer = Self {
            key,
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            messages_in: Counter::default(),
            messages_out: Counter::default(),
            active_ms: Counter::default(),
            rtt_us: Counter::default(),
            serving: Arc::new(Semaphore::new(limits.fetch_served_per_peer_max)),
            announced: watch::Sender::new(false),
            member: AtomicBool::new(member),
            budget: Mutex::default(),
            outgoing: Mutex::new(Outgoing {
                queues: Queues::new(limits.queue_bytes_max, limits.queue_frames_max),
                route: None,
            }),
            links: Mutex::default(),
            addresses: Mutex::default(),
            wake: Default::default(),
            since,
        };
        peer.touch(since);
        peer
    }

    pub(crate) fn is_member(&self) -> bool {
        self.member.load(Ordering::Relaxed)
    }

    pub(crate) fn set_member(&self, member: bool) {
        self.member.store(member, Ordering::Relaxed);
    }

    pub(crate) fn touch(&self, now: Duration) {
        self.active_ms
            .set(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    }

    pub(crate) fn idle_for(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(self.active_ms.get()))
    }

    /// Queues a frame; how many older ones gave way.
    pub(crate) fn push(&self, priority: Priority, frame: Bytes) -> Result<u64, Full> {
        let dropped = lock(&self.outgoing).queues.push(priority, frame)?;
        self.wake[priority.index()].notify_waiters();
        Ok(dropped)
    }

    /// Bytes that wait to be sent.
    pub(crate) fn queued_bytes(&self) -> usize {
        lock(&self.outgoing).queues.total()
    }

    /// The next frame that `connection` is to write, if it is the route.
    pub(crate) fn pop(&self, connection: ConnectionId, priority: Priority) -> Option<Bytes> {
        let mut outgoing = lock(&self.outgoing);
        if outgoing.route == Some(connection) {
            outgoing.queues.pop(priority)
        } else {
            None
        }
    }

    /// Waits for [`Peer::pop`] to give something.
    pub(crate) async fn next(&self, connection: ConnectionId, priority: Priority) -> Bytes {
        let wake = &self.wake[priority.index()];
        loop {
            let mut woken = std::pin::pin!(wake.notified());
            // Registered before the queue is looked at, so that a frame queued in between is not
            // missed.
            woken.as_mut().enable();
            if let Some(frame) = self.pop(connection, priority) {
                return frame;
            }
            woken.await;
        }
    }

    pub(crate) fn route(&self) -> Option<ConnectionId> {
        lock(&self.outgoing).route
    }

    pub(crate) fn set_route(&self, connection: ConnectionId) {
        lock(&self.outgoing).route = Some(connection);
        self.wake.iter().for_each(Notify::notify_waiters);
    }

    pub(crate) fn add_link(&self, connection: ConnectionId, link: Link) {
        lock(&self.links).push((connection, link));
    }

    pub(crate) fn set_addresses(&self, addresses: Vec<Multiaddr>) {
        *lock(&self.addresses) = addresses;
    }

    pub(crate) fn remove_link(&self, connection: ConnectionId) {
        lock(&self.links).retain(|(id, _)| *id != connection);
    }

    /// Charges a frame and says how long to wait before it is read.
    pub(crate) fn charge_frame(&self, shared: &Shared, priority: Priority, bytes: u64) -> Duration {
        let now = shared.now();
        self.touch(now);
        let wait = lock(&self.budget).charge_frame(now, self.rates(shared), priority, bytes);
        wait.max(self.charge_total(shared, now, bytes))
    }

    /// Charges a fetch request and says how long to wait before it is served.
    pub(crate) fn charge_fetch(&self, shared: &Shared, bytes: u64) -> Duration {
        let now = shared.now();
        self.touch(now);
        let wait = lock(&self.budget).charge_fetch(now, self.rates(shared), bytes);
        wait.max(self.charge_total(shared, now, bytes))
    }

    pub(crate) fn charge_response(&self, shared: &Shared, bytes: u64) {
        let now = shared.now();
        self.touch(now);
        lock(&self.budget).charge_response(now, self.rates(shared), bytes);
    }

    fn rates<'a>(&self, shared: &'a Shared) -> &'a PeerBudget {
        if self.is_member() {
            &shared.limits.member
        } else {
            &shared.limits.unknown
        }
    }

    fn charge_total(&self, shared: &Shared, now: Duration, bytes: u64) -> Duration {
        if self.is_member() {
            return Duration::ZERO;
        }
        lock(&shared.unknown_total).charge(now, shared.limits.unknown_total, bytes)
    }

    pub(crate) fn status(&self, now: Duration) -> PeerStatus {
        let outgoing = lock(&self.outgoing);
        PeerStatus {
            key: self.key,
            member: self.is_member(),
            links: lock(&self.links)
                .iter()
                .map(|(_, link)| link.clone())
                .collect(),
            addresses: lock(&self.addresses).clone(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            messages_in: self.messages_in.get(),
            messages_out: self.messages_out.get(),
            queued_bytes: Priority::ALL.map(|priority| outgoing.queues.bytes(priority)),
            rtt: self.rtt_us.get().checked_sub(1).map(Duration::from_micros),
            connected_for: now.saturating_sub(self.since),
        }
    }
}
