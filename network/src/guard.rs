//! Who may begin a connection: a behaviour that opens nothing itself and denies what would be too much.
//!
//! - *Half-open*: connections that others opened and whose handshake is under way. Who they are isn't known yet, so
//!   the swarm's own limit counts them together, and one machine that opens connections and says nothing could keep
//!   everybody out. Here each source has a share of its own.
//! - *Memory*: above the limit nobody is dialled or taken, but for members: a node that is full of strangers must not
//!   lose its neighbours. The driver lets strangers go meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use crate::address::ip;

/// Why a connection was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("{max} connections from there are half-open already")]
    HalfOpen { max: u32 },
    #[error("this process has more memory than its limit")]
    Memory,
}

/// Whence a connection comes: an address of IPv4, a /64 of IPv6, which one machine can have whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
    Other,
}

impl Source {
    fn of(address: &Multiaddr) -> Self {
        match ip(address).map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => Self::V4(ip.octets()),
            Some(IpAddr::V6(ip)) => ip
                .octets()
                .first_chunk()
                .map_or(Self::Other, |network| Self::V6(*network)),
            None => Self::Other,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Behaviour {
    half_open_max: u32,
    half_open: BTreeMap<ConnectionId, Source>,
    members: BTreeSet<PeerId>,
    memory_is_full: bool,
}

impl Behaviour {
    /// Lets each source have at most so many half-open connections.
    pub(crate) const fn new(half_open_max: u32) -> Self {
        Self {
            half_open_max,
            half_open: BTreeMap::new(),
            members: BTreeSet::new(),
            memory_is_full: false,
        }
    }

    pub(crate) fn set_members(&mut self, members: BTreeSet<PeerId>) {
        self.members = members;
    }

    pub(crate) fn set_memory_is_full(&mut self, full: bool) {
        self.memory_is_full = full;
    }

    /// Linear in the half-open connections, which the swarm bounds.
    fn arrive(&mut self, id: ConnectionId, from: &Multiaddr) -> Result<(), Denied> {
        let source = Source::of(from);
        let of_source = self.half_open.values().filter(|other| **other == source);
        if of_source.count() >= self.half_open_max as usize {
            return Err(Denied::HalfOpen {
                max: self.half_open_max,
            });
        }
        self.half_open.insert(id, source);
        Ok(())
    }

    fn room_for(&self, peer: Option<&PeerId>) -> Result<(), Denied> {
        if self.memory_is_full && peer.is_none_or(|peer| !self.members.contains(peer)) {
            return Err(Denied::Memory);
        }
        Ok(())
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.arrive(id, from).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.half_open.remove(&id);
        self.room_for(Some(&peer)).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.room_for(peer.as_ref())
            .map_err(ConnectionDenied::new)?;
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        // The handshake failed, took too long, or another behaviour denied the connection.
        if let FromSwarm::ListenFailure(failure) = event {
            self.half_open.remove(&failure.connection_id);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    #[test]
    fn a_source_has_its_share_of_half_open_connections_and_no_more() {
        let mut guard = Behaviour::new(2);
        let full = Err(Denied::HalfOpen { max: 2 });
        for (id, from, expected) in [
            (1, "/ip4/9.9.9.9/tcp/1", Ok(())),
            (2, "/ip4/9.9.9.9/udp/2/quic-v1", Ok(())),
            (3, "/ip4/9.9.9.9/tcp/3", full),
            (4, "/ip6/::ffff:9.9.9.9/tcp/4", full),
            (5, "/ip4/9.9.9.8/tcp/5", Ok(())),
            (6, "/ip6/2001:db8::1/tcp/6", Ok(())),
            (7, "/ip6/2001:db8::2:1/tcp/7", Ok(())),
            (8, "/ip6/2001:db8::3:1/tcp/8", full),
            (9, "/ip6/2001:db8:0:1::1/tcp/9", Ok(())),
        ] {
            let id = ConnectionId::new_unchecked(id);
            assert_eq!(guard.arrive(id, &at(from)), expected, "{from}");
        }
        guard.half_open.remove(&ConnectionId::new_unchecked(1));
        let again = guard.arrive(ConnectionId::new_unchecked(3), &at("/ip4/9.9.9.9/tcp/3"));
        assert_eq!(again, Ok(()));
    }

    #[test]
    fn a_full_memory_keeps_strangers_out_and_not_members() {
        let mut guard = Behaviour::new(2);
        let (member, stranger) = (PeerId::random(), PeerId::random());
        guard.set_members(BTreeSet::from([member]));
        assert_eq!(guard.room_for(Some(&stranger)), Ok(()));
        guard.set_memory_is_full(true);
        assert_eq!(guard.room_for(Some(&member)), Ok(()));
        assert_eq!(guard.room_for(Some(&stranger)), Err(Denied::Memory));
        assert_eq!(guard.room_for(None), Err(Denied::Memory));
    }
}
