//! Connects a node to its peers: transports, discovery, framed streams, fetches, limits. It knows
//! bytes, keys and addresses; it never knows an entity of the ledger, never reads a frame's
//! payload, and keeps no state on disk.
//!
//! # What it promises
//!
//! - Who sent a frame is proven: the identity of a connection is the worker's Ed25519 key (Noise on
//!   TCP, TLS on QUIC).
//! - Frames of one priority arrive in order, whole and at most once, while a connection lasts. A
//!   lost connection loses what was queued; nothing is resent.
//! - A peer is one peer, however many connections lead to it: one `Connected`, one `Disconnected`.
//! - Nothing that a peer sends makes this node allocate without bound, wait for ever, or stop.
//! - A slow node slows its peers: a full event channel stops the reading of sockets, and nothing is
//!   dropped for it.
//!
//! # How
//!
//! 1. [`Network::start`] listens and dials the bootstrap peers and those that an earlier process knew
//!    ([`Network::known`]). Any one suffices: the routing table (`/frith/kad/1`) finds the others.
//! 2. Every connection begins with hellos ([`wire`]). Another network, another version and the
//!    banned are refused with a reason; of two connections between the same two processes one
//!    stays.
//! 3. Members ([`Network::set_members`]) are dialled, looked up and dialled again, with pauses that
//!    double up to a cap.
//! 4. [`Network::send`] queues frames per peer and priority. Each priority has a stream of its own,
//!    so bulk that stands still holds nothing up.
//! 5. [`Network::fetch`] opens a stream for one question and one answer.
//! 6. Each peer has budgets ([`Limits`]). Who exceeds one is read more slowly; who breaks the
//!    protocol is cut off, and after repetition banned for a while.
//!
//! # Two processes with one key
//!
//! Each process draws an *instance* that its hellos carry. Two instances of one key are either a
//! restart or a twin, so the older connection is asked whether it lives: an answer makes it
//! [`NetworkEvent::Twin`]. A connection to this node's own key that is not itself is
//! [`NetworkEvent::OwnKeyElsewhere`].
//!
//! # Sources
//!
//! libp2p specifications (peer ids, Noise, yamux, QUIC, identify, kad-dht); Maymounkov and
//! Mazières, *Kademlia* (2002); Baumgart and Mies, *S/Kademlia* (2007), for look-ups over disjoint
//! paths; ITU-T I.371 for the budgets.

mod address;
mod book;
mod budget;
mod config;
mod driver;
mod error;
mod event;
mod fetch;
mod guard;
mod key;
mod limits;
mod links;
mod metrics;
mod mux;
mod network;
mod peer;
mod reach;
mod shared;
mod standing;
mod swarm;
pub mod wire;

pub use config::NetworkConfig;
pub use error::{FetchError, SendError, StartError};
pub use event::{FetchReply, NetworkEvent, PeerFault};
pub use key::PeerKey;
pub use libp2p::Multiaddr;
pub use limits::{Limits, PeerBudget, Rate};
pub use metrics::{Direction, Link, NetworkMetrics, PeerStatus};
pub use network::Network;
pub use wire::{Priority, Refusal, WireError};
