//! Nodes for tests.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use frith_network::{Multiaddr, Network, NetworkConfig, NetworkEvent, PeerKey};
use tokio::sync::mpsc;

/// Long enough for the slowest machine; a test that hangs fails here.
const GUARD: Duration = Duration::from_secs(120);
pub(crate) const NETWORK: [u8; 32] = [42; 32];

pub(crate) struct Node {
    pub(crate) network: Network,
    pub(crate) events: mpsc::Receiver<NetworkEvent>,
}

/// A node with this seed that listens on a free TCP port of 127.0.0.1.
pub(crate) fn config(seed: u8) -> NetworkConfig {
    let mut config = NetworkConfig::new([seed; 32], NETWORK);
    config.listen = vec![address("/ip4/127.0.0.1/tcp/0")];
    config.limits.redial_min = Duration::from_millis(50);
    config.limits.redial_max = Duration::from_secs(1);
    config
}

/// The same, beginning with `peer`.
pub(crate) fn config_knowing(seed: u8, peer: &Node) -> NetworkConfig {
    let mut config = config(seed);
    config.bootstrap = peer.network.listen_addresses();
    config
}

pub(crate) fn address(text: &str) -> Multiaddr {
    text.parse().expect("a multiaddress")
}

pub(crate) async fn start(config: NetworkConfig) -> Node {
    let (network, events) = Network::start(config)
        .await
        .expect("loopback can be listened on");
    Node { network, events }
}

/// Two nodes that are connected, and members of each other if so wanted.
pub(crate) async fn pair(
    first: NetworkConfig,
    mut second: NetworkConfig,
    members: bool,
) -> (Node, Node) {
    let mut first = start(first).await;
    second.bootstrap = first.network.listen_addresses();
    let mut second = start(second).await;
    if members {
        first.network.set_members(BTreeSet::from([second.key()]));
        second.network.set_members(BTreeSet::from([first.key()]));
    }
    first.connected_to(second.key()).await;
    second.connected_to(first.key()).await;
    (first, second)
}

pub(crate) async fn guarded<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for: {what}"))
}

impl Node {
    pub(crate) fn key(&self) -> PeerKey {
        self.network.key()
    }

    /// The first thing that `pick` takes from the events; the others are dropped.
    pub(crate) async fn wait<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(NetworkEvent) -> Option<T>,
    ) -> T {
        guarded(what, async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        })
        .await
    }

    pub(crate) async fn connected_to(&mut self, key: PeerKey) {
        self.wait("a connection", |event| {
            matches!(event, NetworkEvent::Connected(k) if k == key).then_some(())
        })
        .await;
    }

    pub(crate) async fn disconnected_from(&mut self, key: PeerKey) {
        self.wait("the end of a connection", |event| {
            matches!(event, NetworkEvent::Disconnected(k) if k == key).then_some(())
        })
        .await;
    }

    /// What the node would give to its next process, once it has an address of each of these peers.
    pub(crate) async fn knows(&self, peers: &[&Node]) -> Vec<Multiaddr> {
        let mut known = self.network.known();
        let has = |known: &[Multiaddr], peer: &Node| {
            let listening = peer.network.listen_addresses();
            known.iter().any(|known| {
                listening
                    .iter()
                    .any(|address| known.to_string().starts_with(&format!("{address}/p2p/")))
            })
        };
        guarded("peers' addresses", async {
            let known = known
                .wait_for(|known| peers.iter().all(|peer| has(known, peer)))
                .await;
            known.expect("the network runs").clone()
        })
        .await
    }

    pub(crate) async fn message(&mut self) -> (PeerKey, Bytes) {
        self.wait("a message", |event| match event {
            NetworkEvent::Message { from, frame } => Some((from, frame)),
            _ => None,
        })
        .await
    }
}

/// Waits for a condition of which no event tells.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    guarded(what, async {
        let mut turn = tokio::time::interval(Duration::from_millis(10));
        while !condition() {
            turn.tick().await;
        }
    })
    .await;
}
