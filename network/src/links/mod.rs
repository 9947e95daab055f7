//! Streams on connections: the part of the swarm that opens and accepts `/frith/peer/1` and
//! `/frith/fetch/1`.
//!
//! Unlike a general stream behaviour it names the *connection* of every stream, since a hello holds
//! for one connection and two connections of one key may lead to two processes; it never dials; and
//! it forgets a connection that closed.
//!
//! Limits: [`ACCEPTED_MAX`] accepted streams wait per connection, [`OPENING_MAX`] are being opened;
//! what is above is reset.

mod behaviour;
mod handler;

use libp2p::StreamProtocol;

pub(crate) use behaviour::{Accepted, Behaviour, OpenReply};

/// Streams that a connection has accepted and the driver has not taken yet.
const ACCEPTED_MAX: usize = 32;
/// Streams that a connection has been asked for and not opened yet.
const OPENING_MAX: usize = 64;

/// The two protocols of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Peer,
    Fetch,
}

impl Protocol {
    pub(crate) const PEER: StreamProtocol = StreamProtocol::new("/frith/peer/1");
    pub(crate) const FETCH: StreamProtocol = StreamProtocol::new("/frith/fetch/1");

    const fn name(self) -> StreamProtocol {
        match self {
            Self::Peer => Self::PEER,
            Self::Fetch => Self::FETCH,
        }
    }
}

/// Why a stream was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the connection closed")]
    Closed,
    #[error("the peer does not speak this protocol")]
    Unsupported,
    #[error("the peer did not answer in time")]
    Timeout,
    #[error("too many streams are being opened")]
    TooMany,
    #[error("the peer cannot be reached")]
    Unreachable,
}
