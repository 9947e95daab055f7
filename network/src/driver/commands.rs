//! What the handle asks of the driver, and what the tasks of the streams tell it.

use libp2p::Stream;
use libp2p::swarm::ConnectionId;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::key::PeerKey;
use crate::links::OpenReply;
use crate::peer::{GreetError, StreamEnd};
use crate::wire::{Hello, Priority, Refusal};

/// From the handle.
pub(crate) enum Command {
    /// A stream to fetch over; the peer is dialled if it must be.
    OpenFetch { peer: PeerKey, reply: OpenReply },
    /// Who announced this key?
    Providers {
        key: [u8; 32],
        reply: oneshot::Sender<Vec<PeerKey>>,
    },
    /// Close everything and say when that is done.
    Stop { done: oneshot::Sender<()> },
}

/// From a task of a connection.
pub(super) enum Report {
    /// A hello came; the answer goes back to the task.
    Judge {
        connection: ConnectionId,
        hello: Hello,
        answer: oneshot::Sender<Result<Hello, Refusal>>,
    },
    /// Both hellos were said; the stream carries this class from now on.
    Greeted {
        connection: ConnectionId,
        hello: Hello,
        class: Priority,
        stream: Stream,
    },
    /// There will be no greeting on this connection.
    NotGreeted {
        connection: ConnectionId,
        error: GreetError,
    },
    /// A greeted stream ended.
    Ended {
        connection: ConnectionId,
        end: StreamEnd,
    },
    /// The answer to a challenge: the instance that lives at the other end, if any does.
    Challenged {
        connection: ConnectionId,
        instance: Option<[u8; 16]>,
    },
}

/// A task that ends with its owner.
pub(super) struct Task(AbortHandle);

impl Task {
    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future).abort_handle())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
