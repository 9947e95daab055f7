//! The handle.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::core::transport::ListenerId;
use libp2p::identity::Keypair;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm};
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::NetworkConfig;
use crate::driver::{Beginning, Command, Driver};
use crate::error::{FetchError, SendError, StartError};
use crate::event::NetworkEvent;
use crate::fetch;
use crate::key::PeerKey;
use crate::links::OpenError;
use crate::metrics::{NetworkMetrics, PeerStatus};
use crate::shared::{Shared, lock};
use crate::swarm::{self, Behaviour};
use crate::wire::Priority;

/// Commands that may wait for the driver.
const COMMANDS_MAX: usize = 256;
/// How long the system may take to say which addresses it listens on.
const LISTEN_MAX: Duration = Duration::from_secs(5);

/// A running network. Cheap to clone; it ends when every handle, or the receiver of its events, is
/// dropped.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    known: watch::Receiver<Vec<Multiaddr>>,
}

impl Network {
    /// Starts to listen and to look for peers. Returns when every address is being listened on,
    /// with the handle and the events. The receiver must be read: when it is full nothing more is
    /// read from sockets.
    ///
    /// # Errors
    /// [`StartError`], and nothing is left running.
    pub async fn start(
        config: NetworkConfig,
    ) -> Result<(Self, mpsc::Receiver<NetworkEvent>), StartError> {
        let secret = |e: libp2p::identity::DecodingError| StartError::Secret {
            reason: e.to_string(),
        };
        let keypair =
            Keypair::ed25519_from_bytes(config.secret.clone().as_mut_slice()).map_err(secret)?;
        let public = keypair.public().to_peer_id();
        let key = PeerKey::from_peer_id(&public).ok_or_else(|| StartError::Secret {
            reason: "no key".to_owned(),
        })?;
        let mut instance = [0; 16];
        getrandom::fill(&mut instance).map_err(|e| StartError::Entropy {
            reason: e.to_string(),
        })?;

        let mut swarm = swarm::build(&config, keypair)?;
        let listeners = swarm::listen(&mut swarm, &config)?;
        let listening = wait_for_listeners(&mut swarm, listeners).await?;

        let NetworkConfig {
            network_id,
            bootstrap,
            known,
            limits,
            ..
        } = config;
        let (events, event_queue) = mpsc::channel(limits.events_max.max(1));
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        let shared = Arc::new(Shared::new(key, network_id, instance, limits));
        let begin = Beginning { bootstrap, known };
        let (mut driver, known) = Driver::new(swarm, shared.clone(), events, command_queue, begin);
        driver.listening_on(listening);
        tokio::spawn(driver.run());
        let network = Self {
            shared,
            commands,
            known,
        };
        Ok((network, event_queue))
    }

    /// This node's own key.
    #[must_use]
    pub fn key(&self) -> PeerKey {
        self.shared.key
    }

    /// Says who the neighbours are. They are dialled, looked up and dialled again as long as they
    /// are members; they have the larger budgets, and the limits of connections do not hold for
    /// them. This node itself is ignored.
    pub fn set_members(&self, members: BTreeSet<PeerKey>) {
        lock(&self.shared.requests).members = Some(members);
        self.shared.wake.notify_one();
    }

    /// Queues a frame for a connected peer. Returns at once. A frame that was queued arrives unless
    /// the peer or its connection is lost, or, for [`Priority::Consensus`], newer frames pushed it
    /// out of a full queue.
    ///
    /// # Errors
    /// [`SendError`]; the frame was not queued.
    pub fn send(&self, to: PeerKey, priority: Priority, frame: Bytes) -> Result<(), SendError> {
        let limits = &self.shared.limits;
        let max = limits.queue_bytes_max.min(limits.frame_bytes_max as usize);
        if frame.len() > max {
            return Err(SendError::TooLarge {
                bytes: frame.len(),
                max,
            });
        }
        let peer = self.shared.peer(&to).ok_or(SendError::NotConnected)?;
        if !peer.is_member() && !self.shared.has_room_for_unknown(frame.len()) {
            self.shared.counters.queue_full.add(1);
            return Err(SendError::QueueFull);
        }
        match peer.push(priority, frame) {
            Ok(dropped) => {
                self.shared.counters.consensus_dropped.add(dropped);
                Ok(())
            }
            Err(_) => {
                self.shared.counters.queue_full.add(1);
                Err(SendError::QueueFull)
            }
        }
    }

    /// Asks a peer for something and waits for the response, at most `fetch_timeout`. A peer that
    /// is not connected is dialled, and looked up if its addresses are not known.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self, from: PeerKey, request: Bytes) -> Result<Bytes, FetchError> {
        self.shared.counters.fetches.add(1);
        let limits = &self.shared.limits;
        let result = if request.len() > limits.fetch_request_bytes_max as usize {
            Err(FetchError::RequestTooLarge {
                bytes: request.len(),
                max: limits.fetch_request_bytes_max as usize,
            })
        } else {
            tokio::time::timeout(limits.fetch_timeout, self.ask(from, &request))
                .await
                .unwrap_or(Err(FetchError::Timeout))
        };
        if result.is_err() {
            self.shared.counters.fetches_failed.add(1);
        }
        result
    }

    async fn ask(&self, from: PeerKey, request: &[u8]) -> Result<Bytes, FetchError> {
        if from == self.shared.key {
            return Err(FetchError::Unreachable);
        }
        let _turn = self
            .shared
            .fetching
            .acquire()
            .await
            .map_err(|_| FetchError::Stopped)?;
        let (reply, opened) = oneshot::channel();
        let command = Command::OpenFetch { peer: from, reply };
        self.commands
            .send(command)
            .await
            .map_err(|_| FetchError::Stopped)?;
        let stream = match opened.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(OpenError::Unreachable)) => return Err(FetchError::Unreachable),
            Ok(Err(OpenError::TooMany)) => return Err(FetchError::Busy),
            Ok(Err(OpenError::Timeout)) => return Err(FetchError::Timeout),
            Ok(Err(OpenError::Closed | OpenError::Unsupported)) | Err(_) => {
                return Err(FetchError::Disconnected);
            }
        };
        fetch::ask(stream, &self.shared.limits, request).await
    }

    /// Makes this node findable under a key (a leaf prefix, a tag), now and from now on. Beyond
    /// `announced_max` keys no effect.
    pub fn announce(&self, key: [u8; 32]) {
        let mut requests = lock(&self.shared.requests);
        requests.withdraw.remove(&key);
        if requests.announce.len() < self.shared.limits.announced_max {
            requests.announce.insert(key);
        }
        drop(requests);
        self.shared.wake.notify_one();
    }

    /// Ends what [`Network::announce`] began: the key is not renewed. Peers that heard of it forget it in time.
    pub fn withdraw(&self, key: [u8; 32]) {
        let mut requests = lock(&self.shared.requests);
        requests.announce.remove(&key);
        if requests.withdraw.len() < self.shared.limits.announced_max {
            requests.withdraw.insert(key);
        }
        drop(requests);
        self.shared.wake.notify_one();
    }

    /// Who announced a key, as far as the routing table finds out (at most 20 s); in the order of
    /// their keys. Whether they told the truth only asking them shows.
    pub async fn providers(&self, key: [u8; 32]) -> Vec<PeerKey> {
        let (reply, found) = oneshot::channel();
        if self
            .commands
            .send(Command::Providers { key, reply })
            .await
            .is_err()
        {
            return Vec::new();
        }
        found.await.unwrap_or_default()
    }

    /// The peers connected now, in the order of their keys.
    #[must_use]
    pub fn connected(&self) -> Vec<PeerStatus> {
        let now = self.shared.now();
        lock(&self.shared.peers)
            .values()
            .map(|peer| peer.status(now))
            .collect()
    }

    /// Where this node listens.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        lock(&self.shared.listening).iter().cloned().collect()
    }

    /// Where peers were reached, for [`NetworkConfig::known`] of the next process: members, and some others that
    /// this node dialled itself; at most 512 addresses that end in their peer's key. Changes within a second when a
    /// member's addresses did and seldom otherwise: in the long run every ten seconds at the most. The last change
    /// comes at the end of the network, after which [`watch::Receiver::changed`] fails.
    #[must_use]
    pub fn known(&self) -> watch::Receiver<Vec<Multiaddr>> {
        self.known.clone()
    }

    /// Totals since the start.
    #[must_use]
    pub fn metrics(&self) -> NetworkMetrics {
        let (peers, members) = {
            let peers = lock(&self.shared.peers);
            (
                peers.len(),
                peers.values().filter(|peer| peer.is_member()).count(),
            )
        };
        self.shared.counters.snapshot(peers as u64, members as u64)
    }

    /// Holds something against a peer. At `penalty_max` (less one a second) it is disconnected and
    /// banned for a while.
    pub fn penalise(&self, peer: PeerKey, weight: u32) {
        self.shared.penalise(peer, weight);
    }

    /// Closes every connection and listener and returns when that is done. What was queued and not
    /// sent is lost.
    pub async fn shutdown(self) {
        let (done, stopped) = oneshot::channel();
        if self.commands.send(Command::Stop { done }).await.is_ok() {
            // An error says that the driver is gone already.
            let _ = stopped.await;
        }
    }
}

/// Waits until each listener has an address; the failure of one is a failure of the start.
async fn wait_for_listeners(
    swarm: &mut Swarm<Behaviour>,
    mut silent: Vec<(ListenerId, Multiaddr)>,
) -> Result<Vec<Multiaddr>, StartError> {
    let mut addresses = Vec::new();
    let deadline = tokio::time::Instant::now() + LISTEN_MAX;
    while let Some((_, waited_for)) = silent.first() {
        let refused = |address: &Multiaddr, reason| StartError::Listen {
            address: address.clone(),
            reason,
        };
        let event = tokio::time::timeout_at(deadline, swarm.select_next_some())
            .await
            .map_err(|_| refused(waited_for, "the system named no address in time".to_owned()))?;
        match event {
            SwarmEvent::NewListenAddr {
                listener_id,
                address,
            } => {
                silent.retain(|(id, _)| *id != listener_id);
                addresses.push(address);
            }
            SwarmEvent::ListenerClosed {
                listener_id,
                reason: Err(error),
                ..
            }
            | SwarmEvent::ListenerError { listener_id, error } => {
                if let Some((_, address)) = silent.iter().find(|(id, _)| *id == listener_id) {
                    return Err(refused(address, error.to_string()));
                }
            }
            // Who arrives before the driver runs is turned away and comes back.
            SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                swarm.close_connection(connection_id);
            }
            _ => {}
        }
    }
    Ok(addresses)
}
