//! Which addresses are believed.

use std::net::IpAddr;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// Most addresses believed of one peer.
pub(crate) const ADDRESSES_MAX: usize = 8;

/// Of the addresses that a peer names, those that may lead to it: dialled transports only, and none
/// nearer than the address that the peer itself is seen at. So a peer from afar cannot have us dial
/// our own machine or our own network.
pub(crate) fn believable(named: &[Multiaddr], seen_at: &Multiaddr) -> Vec<Multiaddr> {
    let seen = ip(seen_at).map_or(Reach::Global, reach);
    let mut believed: Vec<_> = named
        .iter()
        .map(without_peer)
        .filter(|address| {
            dialable(address)
                && ip(address).is_some_and(|ip| reach(ip) >= seen && !ip.is_unspecified())
        })
        .collect();
    believed.sort();
    believed.dedup();
    believed.truncate(ADDRESSES_MAX);
    believed
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Machine,
    Site,
    Global,
}

fn reach(ip: IpAddr) -> Reach {
    let (loopback, private) = match ip {
        IpAddr::V4(ip) => (ip.is_loopback(), ip.is_private() || ip.is_link_local()),
        IpAddr::V6(ip) => (
            ip.is_loopback(),
            ip.is_unique_local() || ip.is_unicast_link_local(),
        ),
    };
    match (loopback, private) {
        (true, _) => Reach::Machine,
        (_, true) => Reach::Site,
        _ => Reach::Global,
    }
}

/// A part of the internet that one party is likely to have whole: 256 addresses of IPv4, a /48 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    V4([u8; 3]),
    V6([u8; 6]),
}

/// The site of an address; `None` for one of this machine or of a private network, whose parties are few and near.
pub(crate) fn site(address: &Multiaddr) -> Option<Site> {
    let ip = ip(address).filter(|ip| reach(*ip) == Reach::Global)?;
    Some(match ip {
        IpAddr::V4(ip) => Site::V4(*ip.octets().first_chunk()?),
        IpAddr::V6(ip) => Site::V6(*ip.octets().first_chunk()?),
    })
}

/// The IP address that an address begins with.
pub(crate) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// An IP address with a TCP or QUIC port: names are not resolved.
pub(crate) fn dialable(address: &Multiaddr) -> bool {
    let parts: Vec<_> = address.iter().collect();
    matches!(
        parts[..],
        [Protocol::Ip4(_) | Protocol::Ip6(_), Protocol::Tcp(1..)]
            | [
                Protocol::Ip4(_) | Protocol::Ip6(_),
                Protocol::Udp(1..),
                Protocol::QuicV1
            ]
    )
}

/// The address without a `/p2p` at its end.
pub(crate) fn without_peer(address: &Multiaddr) -> Multiaddr {
    address
        .iter()
        .filter(|part| !matches!(part, Protocol::P2p(_)))
        .collect()
}

/// The peer that the address ends in.
pub(crate) fn named_peer(address: &Multiaddr) -> Option<libp2p::PeerId> {
    match address.iter().last()? {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PeerKey;

    fn check(named: &str, seen_at: &str, believed: bool) {
        let named = [named.parse().expect("a multiaddress")];
        let seen_at = seen_at.parse().expect("a multiaddress");
        assert_eq!(
            !believable(&named, &seen_at).is_empty(),
            believed,
            "{named:?} seen at {seen_at}"
        );
    }

    #[test]
    fn addresses_nearer_than_the_peer_are_not_believed() {
        check("/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2", true);
        check("/ip6/::1/udp/1/quic-v1", "/ip4/127.0.0.1/tcp/2", true);
        check("/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/2", false);
        check("/ip4/10.0.0.2/tcp/1", "/ip4/10.0.0.1/tcp/2", true);
        check("/ip4/10.0.0.2/tcp/1", "/ip4/127.0.0.1/tcp/2", true);
        check("/ip4/192.168.0.2/tcp/1", "/ip4/8.8.8.8/tcp/2", false);
        check("/ip4/9.9.9.9/tcp/1", "/ip4/8.8.8.8/tcp/2", true);
    }

    #[test]
    fn only_tcp_and_quic_with_a_port_are_believed() {
        let seen = "/ip4/127.0.0.1/tcp/2";
        for bad in [
            "/ip4/127.0.0.1/tcp/0",
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/127.0.0.1/udp/1",
            "/ip4/127.0.0.1/tcp/1/ws",
            "/dns4/localhost/tcp/1",
        ] {
            check(bad, seen, false);
        }
    }

    #[test]
    fn no_more_addresses_are_believed_than_the_limit() {
        let named: Vec<Multiaddr> = (1..100)
            .map(|port| {
                format!("/ip4/127.0.0.1/tcp/{port}")
                    .parse()
                    .expect("a multiaddress")
            })
            .collect();
        assert_eq!(believable(&named, &named[0]).len(), ADDRESSES_MAX);
    }

    #[test]
    fn fuzz_addresses_that_peers_name() {
        frith_fuzz::harness!(|input: &[u8]| {
            let parse = |bytes: &[u8]| Multiaddr::try_from(bytes.to_vec()).ok();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<Multiaddr>().ok();
            let mut honest = Multiaddr::empty()
                .with(Protocol::Ip4([10, 0, 0, 1].into()))
                .with(Protocol::Tcp(4200))
                .to_vec();
            frith_fuzz::mutate(&mut honest, input);
            let named: Vec<Multiaddr> = input
                .chunks(24)
                .flat_map(|chunk| [parse(chunk), text(chunk)])
                .chain([parse(&honest)])
                .flatten()
                .collect();
            for seen_at in named.iter().take(4) {
                let believed = believable(&named, seen_at);
                assert!(believed.len() <= ADDRESSES_MAX);
                assert!(believed.iter().all(dialable));
            }
        });
    }

    #[test]
    fn fuzz_names_of_peers() {
        frith_fuzz::harness!(|input: &[u8]| {
            if let Ok(id) = libp2p::PeerId::from_bytes(input)
                && let Some(key) = PeerKey::from_peer_id(&id)
            {
                assert_eq!(key.to_peer_id(), id);
            }
            if let Some(key) = input.first_chunk::<32>() {
                let key = PeerKey::new(*key);
                assert_eq!(PeerKey::from_peer_id(&key.to_peer_id()), Some(key));
            }
        });
    }
}
