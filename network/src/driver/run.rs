//! The driver's state and its loop.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, Swarm};
use tokio::sync::{mpsc, oneshot, watch};

use super::bootstrap::{Bootstrap, Revisits};
use super::commands::{Command, Report};
use super::connection::Connection;
use super::discovery::Discovery;
use super::own_key::OwnKey;
use crate::address::{dialable, named_peer, without_peer};
use crate::book::Book;
use crate::event::NetworkEvent;
use crate::key::PeerKey;
use crate::links::{OpenError, OpenReply, Protocol};
use crate::peer::Peer;
use crate::reach::Reach;
use crate::shared::{Shared, lock};
use crate::swarm::{Behaviour, BehaviourEvent};

/// Events that may wait for room among the node's before the swarm is no longer polled.
const PENDING_MAX: usize = 1024;
/// Events that tell of strangers' faults are dropped when more than this many wait.
const PENDING_FAULTS_MAX: usize = 256;
/// Reports of tasks that may wait for the driver.
const REPORTS_MAX: usize = 256;
/// How often time-outs are looked for.
const TICK: Duration = Duration::from_secs(1);
/// How long connections may take to close at the end.
const CLOSE_MAX: Duration = Duration::from_millis(500);

pub(crate) struct Driver {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) shared: Arc<Shared>,
    pub(super) events: mpsc::Sender<NetworkEvent>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    /// Greeted connections of each peer. A peer is here as long as it is in [`Shared::peers`].
    pub(super) greeted: BTreeMap<PeerKey, BTreeSet<ConnectionId>>,
    pub(super) members: BTreeSet<PeerKey>,
    pub(super) reach: Reach,
    pub(super) waiters: BTreeMap<PeerKey, Vec<OpenReply>>,
    pub(super) book: Book,
    pub(super) discovery: Discovery,
    pub(super) bootstrap: Bootstrap,
    pub(super) revisits: Revisits,
    pub(super) own_key: OwnKey,
    known: watch::Sender<Vec<Multiaddr>>,
    commands: mpsc::Receiver<Command>,
    report_queue: mpsc::Receiver<Report>,
    pending: VecDeque<Pending>,
    tick_at: Duration,
    seed: u64,
}

struct Pending {
    event: NetworkEvent,
    /// The peer whose frames may be read once the node has the event.
    announces: Option<Arc<Peer>>,
}

/// Whom to begin with.
pub(crate) struct Beginning {
    /// See [`crate::NetworkConfig::bootstrap`].
    pub(crate) bootstrap: Vec<Multiaddr>,
    /// See [`crate::NetworkConfig::known`].
    pub(crate) known: Vec<Multiaddr>,
}

impl Driver {
    /// The driver, and what of its book is worth keeping.
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        shared: Arc<Shared>,
        events: mpsc::Sender<NetworkEvent>,
        commands: mpsc::Receiver<Command>,
        begin: Beginning,
    ) -> (Self, watch::Receiver<Vec<Multiaddr>>) {
        let Beginning { bootstrap, known } = begin;
        let book = Book::new(known, shared.key);
        let (known, knowing) = watch::channel(Vec::new());
        let (reports, report_queue) = mpsc::channel(REPORTS_MAX);
        let own_id = *swarm.local_peer_id();
        let bootstrap = bootstrap.into_iter().filter(|address| {
            if !dialable(&without_peer(address)) {
                tracing::warn!(%address, "not dialled: a bootstrap peer is an IP address with TCP or QUIC");
                return false;
            }
            named_peer(address) != Some(own_id)
        });
        let seed = shared
            .instance
            .iter()
            .fold(1, |seed: u64, byte| seed.rotate_left(8) ^ u64::from(*byte));
        let driver = Self {
            reach: Reach::new(shared.limits.redial_min, shared.limits.redial_max),
            bootstrap: Bootstrap::new(bootstrap),
            swarm,
            shared,
            events,
            reports,
            connections: BTreeMap::new(),
            greeted: BTreeMap::new(),
            members: BTreeSet::new(),
            waiters: BTreeMap::new(),
            book,
            known,
            revisits: Revisits::default(),
            discovery: Discovery::default(),
            own_key: OwnKey::default(),
            commands,
            report_queue,
            pending: VecDeque::new(),
            tick_at: Duration::ZERO,
            seed: seed | 1,
        };
        (driver, knowing)
    }

    /// Runs until told to stop, or until every handle or the receiver of the events is gone.
    pub(crate) async fn run(mut self) {
        let mut done = None;
        loop {
            let deadline = self.shared.deadline(self.next_deadline());
            tokio::select! {
                event = self.swarm.select_next_some(), if self.pending.len() < PENDING_MAX => self.on_swarm(event),
                Some(report) = self.report_queue.recv() => self.on_report(report),
                command = self.commands.recv() => match command {
                    Some(Command::Stop { done: reply }) => {
                        done = Some(reply);
                        break;
                    }
                    Some(command) => self.on_command(command),
                    None => break,
                },
                permit = self.events.clone().reserve_owned(), if !self.pending.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(Pending { event, announces }) = self.pending.pop_front() {
                            permit.send(event);
                            if let Some(peer) = announces {
                                peer.announced.send_replace(true);
                            }
                        }
                    }
                    Err(_) => break,
                },
                () = self.shared.wake.notified() => self.on_wake(),
                () = tokio::time::sleep_until(deadline) => self.on_deadline(),
            }
        }
        self.stop(done).await;
    }

    /// Takes over the addresses that were heard of before the driver ran.
    pub(crate) fn listening_on(&mut self, addresses: Vec<Multiaddr>) {
        for address in addresses {
            self.on_listening(address);
        }
    }

    fn on_listening(&mut self, address: Multiaddr) {
        tracing::info!(%address, "listening");
        lock(&self.shared.listening).insert(address.clone());
        self.tell(NetworkEvent::Listening(address));
    }

    async fn stop(mut self, done: Option<oneshot::Sender<()>>) {
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            // It may have gone meanwhile.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        self.connections.clear();
        if let Some(known) = self.book.last_snapshot() {
            self.known.send_replace(known);
        }
        let closing = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(CLOSE_MAX, closing).await.is_err() {
            tracing::debug!("not every connection closed in time");
        }
        lock(&self.shared.peers).clear();
        lock(&self.shared.listening).clear();
        drop(self);
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    fn next_deadline(&self) -> Duration {
        [
            self.reach.next_deadline(),
            self.bootstrap.next_deadline(self.greeted.len()),
            self.book.next_snapshot(),
        ]
        .into_iter()
        .flatten()
        .fold(self.tick_at, Duration::min)
        // A deadline that passed and brought nothing must not turn the loop hot.
        .max(self.shared.now() + Duration::from_millis(1))
    }

    fn on_deadline(&mut self) {
        let now = self.shared.now();
        self.dial_bootstrap(now);
        let mut actions = Vec::new();
        let Self { reach, seed, .. } = self;
        reach.tick(now, || next_random(seed), &mut actions);
        self.act(actions);
        if let Some(known) = self.book.snapshot(now) {
            self.known.send_replace(known);
        }
        if now >= self.tick_at {
            self.tick_at = now + TICK;
            self.mind_memory();
            self.revisit(now);
            self.check_connections(now);
            self.end_bans(now);
            if self.own_key.is_elsewhere(now) {
                tracing::error!("another process holds this node's key");
                self.tell(NetworkEvent::OwnKeyElsewhere);
            }
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::NewListenAddr { address, .. } => self.on_listening(address),
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                lock(&self.shared.listening).remove(&address);
            }
            SwarmEvent::ListenerClosed {
                addresses, reason, ..
            } => {
                tracing::warn!(?addresses, ?reason, "a listener closed");
                lock(&self.shared.listening).retain(|address| !addresses.contains(address));
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener failed"),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                self.on_established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                ..
            } => self.on_closed(peer_id, connection_id),
            SwarmEvent::IncomingConnectionError { error, .. } => self.on_arrival_failed(&error),
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                peer_id,
                error,
            } => {
                self.on_dial_failed(connection_id, peer_id, &error);
            }
            _ => {}
        }
        self.count_connections();
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Links(accepted) => self.on_accepted(accepted),
            BehaviourEvent::Kad(event) => self.on_kad(event),
            BehaviourEvent::Identify(event) => self.on_identify(event),
            BehaviourEvent::Ping(event) => self.on_ping(&event),
            _ => {}
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::OpenFetch { peer, reply } => {
                match self.shared.peer(&peer).and_then(|peer| peer.route()) {
                    Some(connection) => self.open_fetch(peer, connection, reply),
                    None => {
                        let now = self.shared.now();
                        let waiting = self.waiters.entry(peer).or_default();
                        // Who gave up waiting needs no place; the rest is bounded by the turns of
                        // the fetches.
                        waiting.retain(|reply| !reply.is_closed());
                        waiting.push(reply);
                        self.reach.want(now, peer);
                    }
                }
            }
            Command::Providers { key, reply } => self.find_providers(key, reply),
            // Handled in the loop.
            Command::Stop { .. } => {}
        }
    }

    fn on_wake(&mut self) {
        let requests = std::mem::take(&mut *lock(&self.shared.requests));
        if let Some(members) = requests.members {
            self.set_members(members);
        }
        for key in requests.withdraw {
            self.withdraw(key);
        }
        for key in requests.announce {
            self.announce(key);
        }
        for key in requests.banned {
            self.ban(key);
        }
        for key in requests.let_go {
            self.let_go(key);
        }
    }

    fn set_members(&mut self, members: BTreeSet<PeerKey>) {
        let own = self.shared.key;
        let members: BTreeSet<_> = members
            .into_iter()
            .filter(|key| *key != own)
            .take(self.shared.limits.members_max)
            .collect();
        let limits = &mut self.swarm.behaviour_mut().limits;
        for key in self.members.difference(&members) {
            limits.remove_peer_id(&key.to_peer_id());
        }
        for key in members.difference(&self.members) {
            limits.bypass_peer_id(&key.to_peer_id());
        }
        let ids = members.iter().map(|key| key.to_peer_id()).collect();
        self.swarm.behaviour_mut().guard.set_members(ids);
        for (key, peer) in lock(&self.shared.peers).iter() {
            peer.set_member(members.contains(key));
        }
        let now = self.shared.now();
        let greeted = &self.greeted;
        self.reach
            .set_members(now, &members, |key| greeted.contains_key(key));
        self.book.set_members(members.clone());
        // What connected members said of their addresses before they were members is worth keeping
        // now.
        for connection in self
            .connections
            .values()
            .filter(|connection| members.contains(&connection.peer))
        {
            if !connection.addresses.is_empty() {
                self.book
                    .named(connection.peer, connection.addresses.clone());
            }
        }
        self.members = members;
    }

    pub(super) fn open_fetch(&mut self, peer: PeerKey, connection: ConnectionId, reply: OpenReply) {
        self.swarm.behaviour_mut().links.open(
            peer.to_peer_id(),
            connection,
            Protocol::Fetch,
            reply,
        );
    }

    pub(super) fn give_up(&mut self, peer: PeerKey) {
        for reply in self.waiters.remove(&peer).into_iter().flatten() {
            let _ = reply.send(Err(OpenError::Unreachable));
        }
    }

    /// Queues an event for the node.
    pub(super) fn tell(&mut self, event: NetworkEvent) {
        let fault = matches!(
            event,
            NetworkEvent::Refused { .. } | NetworkEvent::Misbehaved { .. }
        );
        if !fault || self.pending.len() < PENDING_FAULTS_MAX {
            self.pending.push_back(Pending {
                event,
                announces: None,
            });
        }
    }

    pub(super) fn tell_connected(&mut self, peer: Arc<Peer>) {
        let event = NetworkEvent::Connected(peer.key);
        self.pending.push_back(Pending {
            event,
            announces: Some(peer),
        });
    }

    pub(super) fn random(&mut self) -> u64 {
        next_random(&mut self.seed)
    }
}

/// xorshift64: spreads dials in time, nothing else hangs on it.
const fn next_random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}
