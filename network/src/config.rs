//! What a network starts from.

use libp2p::Multiaddr;
use zeroize::Zeroizing;

use crate::limits::Limits;

/// What [`crate::Network::start`] needs.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Seed of the worker's Ed25519 key; wiped when dropped.
    pub secret: Zeroizing<[u8; 32]>,
    /// Hash of the genesis. Peers with another one are refused.
    pub network_id: [u8; 32],
    /// Where to listen: `/ip4/0.0.0.0/tcp/4200`, `/ip6/::/udp/4200/quic-v1`; port 0 lets the system
    /// choose.
    pub listen: Vec<Multiaddr>,
    /// Where others reach this node, if that differs from `listen`.
    pub external: Vec<Multiaddr>,
    /// Peers to begin with, as IP addresses; any one suffices. The `/p2p` part may be missing.
    pub bootstrap: Vec<Multiaddr>,
    /// Where an earlier process of this node reached its peers, as [`crate::Network::known`] told. What does not end
    /// in a peer's key, and what is above the bounds of that, is passed over.
    pub known: Vec<Multiaddr>,
    /// Local limits.
    pub limits: Limits,
}

impl NetworkConfig {
    /// A configuration with default limits that listens nowhere and knows nobody.
    #[must_use]
    pub fn new(secret: [u8; 32], network_id: [u8; 32]) -> Self {
        Self {
            secret: Zeroizing::new(secret),
            network_id,
            listen: Vec::new(),
            external: Vec::new(),
            bootstrap: Vec::new(),
            known: Vec::new(),
            limits: Limits::default(),
        }
    }
}
