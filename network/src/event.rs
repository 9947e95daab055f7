//! What the network tells the node.

use bytes::Bytes;
use libp2p::Multiaddr;
use tokio::sync::oneshot;

use crate::key::PeerKey;
use crate::wire::{FetchStatus, Refusal, WireError};

/// Something that happened. Events of one peer come in order: `Connected`, its messages,
/// `Disconnected`; only a message that was already being handed over may follow the latter.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetworkEvent {
    /// A peer of this network said hello on its first connection.
    Connected(PeerKey),
    /// The last connection of a peer ended, or another process took its place (`Connected`
    /// follows). What was queued for it is gone.
    Disconnected(PeerKey),
    /// A frame arrived. Frames of one priority come in the order they were sent, while a connection
    /// lasts.
    Message {
        /// Who sent it; proven by the secured connection.
        from: PeerKey,
        /// The payload, at most `frame_bytes_max`.
        frame: Bytes,
    },
    /// A peer asks for something.
    Fetch {
        /// Who asks.
        from: PeerKey,
        /// The request, at most `fetch_request_bytes_max`.
        request: Bytes,
        /// How to answer. Dropped, it refuses.
        reply: FetchReply,
    },
    /// The node now listens here.
    Listening(Multiaddr),
    /// A peer was refused, or refused us. Not told for duplicates.
    Refused {
        /// Its key.
        peer: PeerKey,
        /// Where the connection leads.
        address: Multiaddr,
        /// Why.
        reason: Refusal,
        /// True if it was the peer who refused.
        by_peer: bool,
    },
    /// A peer broke the protocol; the connection is being closed.
    Misbehaved {
        /// Its key.
        peer: PeerKey,
        /// What it did.
        fault: PeerFault,
    },
    /// A peer misbehaved repeatedly and is not spoken to for a while.
    Banned(PeerKey),
    /// Two living processes hold this peer's key: each answered a fresh challenge with an instance
    /// of its own.
    Twin(PeerKey),
    /// Another process holds *this node's* key.
    OwnKeyElsewhere,
}

/// How a peer broke the protocol of the streams.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerFault {
    /// Bytes that are no frame, or a frame that is too long.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A frame of which the rest did not come.
    #[error("a frame of {length} bytes did not arrive in time")]
    Stalled {
        /// Announced bytes.
        length: u32,
    },
}

/// The way back to a peer that fetches. Dropping it refuses.
#[derive(Debug)]
pub struct FetchReply(oneshot::Sender<Result<Bytes, FetchStatus>>);

impl FetchReply {
    pub(crate) fn new() -> (Self, oneshot::Receiver<Result<Bytes, FetchStatus>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Answers with these bytes. Longer than `fetch_response_bytes_max`, the peer is told that it
    /// is too large. No effect if the peer went away.
    pub fn send(self, response: Bytes) {
        let _ = self.0.send(Ok(response));
    }

    /// Says that the node does not have it or does not give it.
    pub fn refuse(self) {
        let _ = self.0.send(Err(FetchStatus::Refused));
    }

    /// Says that the peer should ask later or elsewhere.
    pub fn busy(self) {
        let _ = self.0.send(Err(FetchStatus::Busy));
    }
}
