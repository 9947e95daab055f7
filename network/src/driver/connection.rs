//! Connections: established, watched, closed.

use std::collections::BTreeSet;
use std::time::Duration;

use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionId, DialError, ListenError};
use libp2p::{Multiaddr, PeerId, Stream, ping};

use super::commands::Task;
use super::run::Driver;
use crate::address::without_peer;
use crate::event::NetworkEvent;
use crate::fetch;
use crate::key::PeerKey;
use crate::links::{Accepted, Protocol};
use crate::metrics::{Direction, Link};
use crate::shared::lock;

/// A connection that is not wanted is left open for so long, that the other end may read why.
const SURPLUS_MAX: Duration = Duration::from_secs(2);
/// Fetch streams that may wait for the hello of their connection.
const EARLY_FETCHES_MAX: usize = 8;
/// Tasks of one connection: three classes of two, challenges, greetings and served fetches.
const TASKS_MAX: usize = 64;

/// One established connection, greeted or not.
pub(super) struct Connection {
    pub(super) peer: PeerKey,
    pub(super) link: Link,
    pub(super) since: Duration,
    pub(super) stage: Stage,
    /// Which classes have their stream.
    pub(super) classes: [bool; 3],
    /// Where the peer says that it listens, as far as that is believable.
    pub(super) addresses: Vec<Multiaddr>,
    /// Whether the other end is being asked if it lives.
    pub(super) challenged: bool,
    /// Streams that came before the hello did.
    pub(super) early: Vec<Stream>,
    tasks: Vec<Task>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No hello yet.
    Greeting,
    /// The peer belongs to this network; the process there drew this instance.
    Greeted { instance: [u8; 16] },
    /// Refused or superfluous, to be closed at this time.
    Surplus { until: Duration },
}

/// Bytes of memory that this process holds; 0 where the system doesn't tell.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_ascii_whitespace().nth(1);
    let pages: u64 = pages.and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages.saturating_mul(rustix::param::page_size() as u64)
}

impl Connection {
    pub(super) const fn is_outbound(&self) -> bool {
        matches!(self.link.direction, Direction::Outbound)
    }

    /// Gives the connection a task that ends with it; false (and the task dropped) if it has too
    /// many.
    pub(super) fn run(&mut self, future: impl Future<Output = ()> + Send + 'static) -> bool {
        self.tasks.retain(|task| !task.is_finished());
        if self.tasks.len() >= TASKS_MAX {
            return false;
        }
        self.tasks.push(Task::spawn(future));
        true
    }
}

impl Driver {
    pub(super) fn on_established(
        &mut self,
        peer_id: PeerId,
        id: ConnectionId,
        endpoint: &ConnectedPoint,
    ) {
        let key = PeerKey::from_peer_id(&peer_id);
        self.bootstrap.dialled(id, key);
        let Some(peer) = key else {
            tracing::debug!(%peer_id, "a peer whose key is not Ed25519");
            self.swarm.close_connection(id);
            return;
        };
        // Members pass the swarm's own limits, and this one holds for them too.
        let of_peer = self
            .connections
            .values()
            .filter(|connection| connection.peer == peer)
            .count();
        if of_peer >= self.shared.limits.connections_per_peer_max as usize {
            self.shared.counters.connections_denied.add(1);
            self.swarm.close_connection(id);
            return;
        }
        let direction = if endpoint.is_dialer() {
            Direction::Outbound
        } else {
            Direction::Inbound
        };
        let link = Link {
            address: endpoint.get_remote_address().clone(),
            direction,
        };
        let connection = Connection {
            peer,
            link,
            since: self.shared.now(),
            stage: Stage::Greeting,
            classes: [false; 3],
            addresses: Vec::new(),
            challenged: false,
            early: Vec::new(),
            tasks: Vec::new(),
        };
        self.connections.insert(id, connection);
        if direction == Direction::Outbound {
            self.start_greeting(id);
        }
    }

    pub(super) fn on_closed(&mut self, peer_id: PeerId, id: ConnectionId) {
        let Some(key) = PeerKey::from_peer_id(&peer_id) else {
            return;
        };
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        if let Some(ids) = self.greeted.get_mut(&key)
            && ids.remove(&id)
        {
            match ids.first().copied() {
                None => {
                    self.greeted.remove(&key);
                    self.on_peer_gone(key);
                }
                Some(other) => self.on_link_gone(key, id, &connection, other),
            }
        }
        if connection.is_outbound() && !self.greeted.contains_key(&key) {
            self.dial_failed(key);
        }
    }

    /// One of several connections of a peer closed; `other` is left.
    fn on_link_gone(
        &mut self,
        key: PeerKey,
        id: ConnectionId,
        closed: &Connection,
        other: ConnectionId,
    ) {
        let Some(peer) = self.shared.peer(&key) else {
            return;
        };
        peer.remove_link(id);
        if peer.route() != Some(id) {
            return;
        }
        if self
            .connections
            .get(&other)
            .is_some_and(|connection| connection.stage == closed.stage)
        {
            peer.set_route(other);
        } else {
            // What is left leads to another process, whose place was taken: it may come back as a
            // peer of its own.
            self.disconnect(key);
        }
    }

    fn on_peer_gone(&mut self, key: PeerKey) {
        lock(&self.shared.peers).remove(&key);
        let (now, jitter) = (self.shared.now(), self.random());
        self.reach.disconnected(now, key, jitter);
        tracing::info!(peer = %key, "disconnected");
        self.tell(NetworkEvent::Disconnected(key));
    }

    pub(super) fn on_dial_failed(
        &mut self,
        id: ConnectionId,
        peer_id: Option<PeerId>,
        error: &DialError,
    ) {
        self.bootstrap.dialled(id, None);
        self.shared.counters.dials_failed.add(1);
        tracing::debug!(?peer_id, %error, "a dial failed");
        match error {
            // An address of our own that came back to us is no news.
            DialError::LocalPeerId { address } if !self.listens_on(address) => {
                tracing::warn!(%address, "met this node's own key");
                self.own_key.dialled(self.shared.now());
            }
            DialError::Denied { .. } => self.shared.counters.connections_denied.add(1),
            _ => {}
        }
        if let Some(key) = peer_id.as_ref().and_then(PeerKey::from_peer_id)
            && !self.greeted.contains_key(&key)
        {
            self.dial_failed(key);
        }
    }

    fn listens_on(&self, address: &Multiaddr) -> bool {
        lock(&self.shared.listening).contains(&without_peer(address))
    }

    pub(super) fn dial_failed(&mut self, key: PeerKey) {
        let (now, jitter) = (self.shared.now(), self.random());
        let mut actions = Vec::new();
        self.reach.dial_failed(now, key, jitter, &mut actions);
        self.act(actions);
    }

    pub(super) fn on_arrival_failed(&mut self, error: &ListenError) {
        tracing::debug!(%error, "an arriving connection failed");
        if matches!(error, ListenError::Denied { .. }) {
            self.shared.counters.connections_denied.add(1);
        }
        let own_key = matches!(error, ListenError::LocalPeerId { .. });
        self.own_key.arrived(self.shared.now(), own_key);
    }

    pub(super) fn on_ping(&mut self, event: &ping::Event) {
        match &event.result {
            Ok(rtt) => {
                if let Some(peer) =
                    PeerKey::from_peer_id(&event.peer).and_then(|key| self.shared.peer(&key))
                {
                    peer.rtt_us
                        .set(u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX - 1) + 1);
                }
            }
            Err(error) => {
                tracing::debug!(peer = %event.peer, %error, "no answer to a ping");
                self.swarm.close_connection(event.connection);
            }
        }
    }

    pub(super) fn on_accepted(&mut self, accepted: Accepted) {
        let Accepted {
            connection: id,
            protocol,
            stream,
        } = accepted;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match (protocol, connection.stage) {
            (_, Stage::Surplus { .. }) => {}
            (Protocol::Peer, _) => self.accept_greeting(id, stream),
            (Protocol::Fetch, Stage::Greeting) => {
                if connection.early.len() < EARLY_FETCHES_MAX {
                    connection.early.push(stream);
                }
            }
            (Protocol::Fetch, Stage::Greeted { .. }) => self.serve_fetch(id, stream),
        }
    }

    pub(super) fn serve_fetch(&mut self, id: ConnectionId, stream: Stream) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(peer) = self.shared.peer(&connection.peer) else {
            return;
        };
        let turn = fetch::turn(&self.shared, &peer);
        connection.run(fetch::serve(
            self.shared.clone(),
            peer,
            self.events.clone(),
            stream,
            turn,
        ));
    }

    /// Marks a connection as not wanted. It closes soon.
    pub(super) fn spare(&mut self, id: ConnectionId) {
        let until = self.shared.now() + SURPLUS_MAX;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stage = Stage::Surplus { until };
        }
    }

    /// Closes what waited too long: for a hello, for its end, for something to do.
    pub(super) fn check_connections(&mut self, now: Duration) {
        let hello_timeout = self.shared.limits.hello_timeout;
        let late: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| match connection.stage {
                Stage::Greeting => now >= connection.since + hello_timeout,
                Stage::Surplus { until } => now >= until,
                Stage::Greeted { .. } => false,
            })
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            self.swarm.close_connection(id);
        }
        let mut kept = 0;
        let mut idle = Vec::new();
        for (key, peer) in lock(&self.shared.peers)
            .iter()
            .filter(|(_, peer)| !peer.is_member())
        {
            if peer.idle_for(now) < self.shared.limits.idle_max {
                continue;
            }
            kept += 1;
            if kept > self.shared.limits.connections_idle_kept {
                idle.push(*key);
            }
        }
        for key in idle {
            tracing::debug!(peer = %key, "idle");
            self.disconnect(key);
        }
    }

    /// Lets strangers go while this process has more memory than its limit.
    pub(super) fn mind_memory(&mut self) {
        let full = resident_bytes() > self.shared.limits.memory_bytes_max as u64;
        self.swarm.behaviour_mut().guard.set_memory_is_full(full);
        if !full {
            return;
        }
        let strangers: BTreeSet<_> = self
            .connections
            .values()
            .map(|connection| connection.peer)
            .filter(|key| !self.members.contains(key))
            .collect();
        if !strangers.is_empty() {
            tracing::warn!(
                strangers = strangers.len(),
                "memory is above its limit: strangers are disconnected, members stay"
            );
        }
        for key in strangers {
            self.let_go(key);
        }
    }

    /// Disconnects a stranger to have its memory back.
    pub(super) fn let_go(&mut self, key: PeerKey) {
        if !self.members.contains(&key) {
            self.shared.counters.let_go.add(1);
            self.disconnect(key);
        }
    }

    pub(super) fn disconnect(&mut self, key: PeerKey) {
        // An error says that it is not connected, which is what is wanted.
        let _ = self.swarm.disconnect_peer_id(key.to_peer_id());
    }

    pub(super) fn ban(&mut self, key: PeerKey) {
        tracing::warn!(peer = %key, "banned for repeated misbehaviour");
        // Blocking closes its connections too.
        self.swarm
            .behaviour_mut()
            .banned
            .block_peer(key.to_peer_id());
        self.tell(NetworkEvent::Banned(key));
    }

    pub(super) fn end_bans(&mut self, now: Duration) {
        let over = lock(&self.shared.standing).expire(now);
        for key in over {
            self.swarm
                .behaviour_mut()
                .banned
                .unblock_peer(key.to_peer_id());
        }
    }

    pub(super) fn count_connections(&mut self) {
        let info = self.swarm.network_info();
        let counters = info.connection_counters();
        self.shared
            .counters
            .connections_in
            .set(u64::from(counters.num_established_incoming()));
        self.shared
            .counters
            .connections_out
            .set(u64::from(counters.num_established_outgoing()));
    }
}
