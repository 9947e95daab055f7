//! Errors, one enum per operation.

use libp2p::Multiaddr;

use crate::wire::WireError;

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The seed is not an Ed25519 secret.
    #[error("the secret is not an Ed25519 seed: {reason}")]
    Secret {
        /// As the key library puts it.
        reason: String,
    },
    /// A transport could not be set up.
    #[error("the {transport} transport could not be set up: {reason}")]
    Transport {
        /// Its name.
        transport: &'static str,
        /// As the library puts it.
        reason: String,
    },
    /// An address cannot be listened on: it is in use, not of this machine, or of an unknown
    /// transport.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address asked for.
        address: Multiaddr,
        /// As the system puts it.
        reason: String,
    },
    /// The system gave no entropy.
    #[error("the system gave no random bytes: {reason}")]
    Entropy {
        /// As the system puts it.
        reason: String,
    },
}

/// Why a frame was not queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer is not connected. A member is being dialled; `Connected` tells when.
    #[error("the peer is not connected")]
    NotConnected,
    /// The queue of this priority is full: the peer takes less than it is sent. Try again later.
    #[error("the peer's queue of this priority is full")]
    QueueFull,
    /// The frame is longer than `frame_bytes_max` (or than the whole queue).
    #[error("the frame has {bytes} bytes, at most {max} can be sent")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// What can be sent.
        max: usize,
    },
}

/// Why a fetch brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The request is longer than `fetch_request_bytes_max`.
    #[error("the request has {bytes} bytes, at most {max} can be sent")]
    RequestTooLarge {
        /// Its bytes.
        bytes: usize,
        /// What can be sent.
        max: usize,
    },
    /// The peer is not connected, and neither dialling nor looking it up reached it.
    #[error("the peer cannot be reached")]
    Unreachable,
    /// No answer within `fetch_timeout`.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The peer does not have it or does not give it.
    #[error("the peer refused")]
    Refused,
    /// The peer serves too many fetches already.
    #[error("the peer is busy")]
    Busy,
    /// The response is longer than the peer sends.
    #[error("the response is longer than the peer sends")]
    ResponseTooLarge,
    /// The answer is not of the protocol, or longer than `fetch_response_bytes_max`.
    #[error("the peer broke the protocol: {0}")]
    Protocol(#[from] WireError),
    /// The connection ended before the answer did.
    #[error("the connection ended before the answer")]
    Disconnected,
    /// The network was shut down.
    #[error("the network was shut down")]
    Stopped,
}
