//! Transports and behaviours, put together.
//!
//! TCP with Noise and yamux, and QUIC; both prove the peer's Ed25519 key. Windows, keep-alives and
//! intervals are chosen for a node that mostly idles: what a stream that is not read may hold stays
//! small.

use std::num::NonZeroUsize;
use std::sync::Once;
use std::time::Duration;

use libp2p::connection_limits::ConnectionLimits;
use libp2p::core::transport::ListenerId;
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, allow_block_list, connection_limits,
    identify, kad, noise, ping, tcp,
};

use crate::config::NetworkConfig;
use crate::error::StartError;
use crate::guard;
use crate::limits::Limits;
use crate::links;
use crate::mux::Yamux;

/// The routing table's protocol.
pub(crate) const KAD: StreamProtocol = StreamProtocol::new("/frith/kad/1");
/// Streams of one connection, all protocols together.
const STREAMS_MAX: usize = 64;
/// Provider keys kept for others and for ourselves.
pub(crate) const PROVIDED_KEYS_MAX: usize = 4096;
/// A provider record holds for two hours and is renewed every half of one.
const PROVIDER_TTL: Duration = Duration::from_secs(7200);
const PROVIDER_INTERVAL: Duration = Duration::from_secs(1800);

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    // The first three may deny a connection, so they come first.
    pub(crate) banned: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) guard: guard::Behaviour,
    pub(crate) links: links::Behaviour,
    pub(crate) kad: kad::Behaviour<MemoryStore>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// Builds a swarm that listens nowhere yet.
pub(crate) fn build(
    config: &NetworkConfig,
    keypair: Keypair,
) -> Result<Swarm<Behaviour>, StartError> {
    install_ring();
    let failed = |transport| move |reason: String| StartError::Transport { transport, reason };
    let limits = &config.limits;
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            || Yamux::new(STREAMS_MAX),
        )
        .map_err(|e| failed("TCP")(e.to_string()))?
        .with_quic_config(|mut quic| {
            quic.max_concurrent_stream_limit = STREAMS_MAX as u32;
            quic.max_stream_data = 1 << 20;
            quic.max_connection_data = 4 << 20;
            quic.keep_alive_interval = Duration::from_secs(10);
            quic.max_idle_timeout = 30_000;
            quic
        })
        .with_behaviour(|keypair| behaviour(limits, keypair))
        .map_err(|never| match never {})?
        .with_swarm_config(|swarm| {
            swarm
                .with_idle_connection_timeout(limits.hello_timeout)
                .with_max_negotiating_inbound_streams(16)
                .with_per_connection_event_buffer_size(8)
                .with_notify_handler_buffer_size(NonZeroUsize::new(8).expect("eight is not zero"))
        })
        // Transport, identity and multiplexing; the hello has its own time afterwards.
        .with_connection_timeout(limits.hello_timeout)
        .build();
    Ok(swarm)
}

fn behaviour(limits: &Limits, keypair: &Keypair) -> Behaviour {
    let id = keypair.public().to_peer_id();
    let agent = concat!("frith/", env!("CARGO_PKG_VERSION")).to_owned();
    let identify = identify::Config::new("/frith/1".to_owned(), keypair.public())
        .with_agent_version(agent)
        .with_push_listen_addr_updates(true)
        .with_cache_size(0);
    Behaviour {
        banned: allow_block_list::Behaviour::default(),
        limits: connection_limits::Behaviour::new(
            ConnectionLimits::default()
                .with_max_pending_incoming(Some(limits.connections_pending_max))
                .with_max_pending_outgoing(Some(limits.connections_pending_max))
                .with_max_established_incoming(Some(limits.connections_in_max))
                .with_max_established_outgoing(Some(limits.connections_out_max))
                .with_max_established_per_peer(Some(limits.connections_per_peer_max)),
        ),
        guard: guard::Behaviour::new(limits.half_open_per_source_max),
        links: links::Behaviour::default(),
        kad: kad(limits, id),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(limits.ping_interval)),
    }
}

/// A routing table that every node serves. Peers enter it only after their hello; records of others
/// are not kept, and of their provider records few.
fn kad(limits: &Limits, id: PeerId) -> kad::Behaviour<MemoryStore> {
    let mut config = kad::Config::new(KAD);
    config
        .set_query_timeout(Duration::from_secs(20))
        .disjoint_query_paths(true)
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_caching(kad::Caching::Disabled)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_record_ttl(Some(PROVIDER_TTL))
        .set_provider_publication_interval(Some(PROVIDER_INTERVAL))
        .set_periodic_bootstrap_interval(Some(limits.bootstrap_interval));
    let store = MemoryStoreConfig {
        max_records: 0,
        max_value_bytes: 0,
        max_providers_per_key: kad::K_VALUE.get(),
        max_provided_keys: PROVIDED_KEYS_MAX,
    };
    let mut kad = kad::Behaviour::with_config(id, MemoryStore::with_config(id, store), config);
    kad.set_mode(Some(kad::Mode::Server));
    kad
}

/// rustls panics when more than one cryptography is linked and none was chosen. Harmless if the
/// node chose already.
fn install_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// The swarm shares its TCP ports so that dials may leave from them, and on Linux two processes of
/// one user would then both listen on one port and each get a part of the connections. So whether a
/// port is free is asked without sharing.
fn is_free(address: &Multiaddr) -> std::io::Result<()> {
    use libp2p::multiaddr::Protocol::{Ip4, Ip6, Tcp};
    let mut parts = address.iter();
    let ip: std::net::IpAddr = match parts.next() {
        Some(Ip4(ip)) => ip.into(),
        Some(Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Tcp(port @ 1..)) => std::net::TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// Starts to listen on every address asked for and returns who listens where.
pub(crate) fn listen(
    swarm: &mut Swarm<Behaviour>,
    config: &NetworkConfig,
) -> Result<Vec<(ListenerId, Multiaddr)>, StartError> {
    let mut listeners = Vec::new();
    for address in &config.listen {
        is_free(address).map_err(|e| StartError::Listen {
            address: address.clone(),
            reason: e.to_string(),
        })?;
        let listener = swarm.listen_on(address.clone()).map_err(|e| {
            let reason = match e {
                libp2p::TransportError::MultiaddrNotSupported(_) => {
                    "no transport takes this address".to_owned()
                }
                libp2p::TransportError::Other(e) => e.to_string(),
            };
            StartError::Listen {
                address: address.clone(),
                reason,
            }
        })?;
        listeners.push((listener, address.clone()));
    }
    for address in &config.external {
        swarm.add_external_address(Multiaddr::clone(address));
    }
    Ok(listeners)
}
