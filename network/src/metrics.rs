//! Counters, and what is read from them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libp2p::Multiaddr;

use crate::key::PeerKey;

/// Totals since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkMetrics {
    /// Peers connected now.
    pub peers: u64,
    /// Members connected now.
    pub members_connected: u64,
    /// Connections established now that others opened.
    pub connections_in: u64,
    /// Connections established now that we opened.
    pub connections_out: u64,
    /// Connections turned away because a limit or a ban stood against them.
    pub connections_denied: u64,
    /// Times that an unknown peer was disconnected to have memory back.
    pub let_go: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Hellos refused, by us or by the peer; duplicates are not counted.
    pub hellos_refused: u64,
    /// Payload bytes received in frames.
    pub bytes_in: u64,
    /// Payload bytes sent in frames.
    pub bytes_out: u64,
    /// Frames received.
    pub messages_in: u64,
    /// Frames sent.
    pub messages_out: u64,
    /// Consensus frames that gave way to newer ones in a full queue.
    pub consensus_dropped: u64,
    /// Frames refused because a queue was full.
    pub queue_full: u64,
    /// Times that a peer had to wait for its budget.
    pub throttled: u64,
    /// Times that a peer broke the protocol.
    pub violations: u64,
    /// Peers banned.
    pub bans: u64,
    /// Fetches made.
    pub fetches: u64,
    /// Fetches made that brought nothing.
    pub fetches_failed: u64,
    /// Fetches served with a response.
    pub fetches_served: u64,
    /// Fetches turned away as busy.
    pub fetches_busy: u64,
}

/// One connected peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Its key.
    pub key: PeerKey,
    /// Whether it is a member.
    pub member: bool,
    /// Its connections.
    pub links: Vec<Link>,
    /// Where it says that it listens, as far as that is believable; empty until it said so.
    pub addresses: Vec<Multiaddr>,
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Payload bytes sent.
    pub bytes_out: u64,
    /// Frames received.
    pub messages_in: u64,
    /// Frames sent.
    pub messages_out: u64,
    /// Bytes that wait to be sent, by priority.
    pub queued_bytes: [usize; 3],
    /// Round trip of the latest ping; `None` before the first.
    pub rtt: Option<Duration>,
    /// Since when it is connected.
    pub connected_for: Duration,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads; for a connection that the peer opened, where it comes from.
    pub address: Multiaddr,
    /// Who opened it.
    pub direction: Direction,
}

impl Link {
    /// The peer opened it, from an address that is neither this machine's nor a private network's.
    #[must_use]
    pub fn came_from_outside(&self) -> bool {
        self.direction == Direction::Inbound && crate::address::site(&self.address).is_some()
    }
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer.
    Inbound,
    /// This node.
    Outbound,
}

/// A total that tasks add to. Relaxed: nothing else is ordered by it.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The totals behind [`NetworkMetrics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections_in: Counter,
    pub(crate) connections_out: Counter,
    pub(crate) connections_denied: Counter,
    pub(crate) let_go: Counter,
    pub(crate) dials_failed: Counter,
    pub(crate) hellos_refused: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) messages_in: Counter,
    pub(crate) messages_out: Counter,
    pub(crate) consensus_dropped: Counter,
    pub(crate) queue_full: Counter,
    pub(crate) throttled: Counter,
    pub(crate) violations: Counter,
    pub(crate) bans: Counter,
    pub(crate) fetches: Counter,
    pub(crate) fetches_failed: Counter,
    pub(crate) fetches_served: Counter,
    pub(crate) fetches_busy: Counter,
}

impl Counters {
    pub(crate) fn snapshot(&self, peers: u64, members_connected: u64) -> NetworkMetrics {
        NetworkMetrics {
            peers,
            members_connected,
            connections_in: self.connections_in.get(),
            connections_out: self.connections_out.get(),
            connections_denied: self.connections_denied.get(),
            let_go: self.let_go.get(),
            dials_failed: self.dials_failed.get(),
            hellos_refused: self.hellos_refused.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            messages_in: self.messages_in.get(),
            messages_out: self.messages_out.get(),
            consensus_dropped: self.consensus_dropped.get(),
            queue_full: self.queue_full.get(),
            throttled: self.throttled.get(),
            violations: self.violations.get(),
            bans: self.bans.get(),
            fetches: self.fetches.get(),
            fetches_failed: self.fetches_failed.get(),
            fetches_served: self.fetches_served.get(),
            fetches_busy: self.fetches_busy.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_that_a_peer_opened_from_a_public_address_came_from_outside() {
        for (address, inbound, outside) in [
            ("/ip4/198.51.100.7/tcp/40000", true, true),
            ("/ip6/2001:db8::7/udp/40000/quic-v1", true, true),
            ("/ip4/198.51.100.7/tcp/4200", false, false),
            ("/ip4/192.168.1.7/tcp/40000", true, false),
            ("/ip4/127.0.0.1/tcp/40000", true, false),
            ("/ip6/fd00::7/tcp/40000", true, false),
        ] {
            let link = Link {
                address: address.parse().expect("an address"),
                direction: if inbound {
                    Direction::Inbound
                } else {
                    Direction::Outbound
                },
            };
            assert_eq!(link.came_from_outside(), outside, "{address}, {inbound}");
        }
    }
}
