//! The part of [`super::Behaviour`] that lives beside each connection.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
};
use libp2p::{Stream, StreamProtocol};

use super::{ACCEPTED_MAX, OPENING_MAX, OpenError, OpenReply, Protocol};

/// A request to open a stream.
#[derive(Debug)]
pub(crate) struct Open {
    pub(super) protocol: Protocol,
    pub(super) reply: OpenReply,
}

#[derive(Default)]
pub(crate) struct Handler {
    accepted: VecDeque<(Protocol, Stream)>,
    asked: VecDeque<Open>,
    /// Streams being negotiated; with `asked` at most [`OPENING_MAX`].
    negotiating: usize,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = (Protocol, Stream);
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = OpenReply;

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        SubstreamProtocol::new(Upgrade(&[Protocol::Peer, Protocol::Fetch]), ())
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Upgrade, OpenReply, (Protocol, Stream)>> {
        // No waker: both queues grow only through `&mut self`, after which the connection polls
        // again.
        if let Some(accepted) = self.accepted.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(accepted));
        }
        if let Some(Open { protocol, reply }) = self.asked.pop_front() {
            self.negotiating += 1;
            let upgrade = Upgrade(match protocol {
                Protocol::Peer => &[Protocol::Peer],
                Protocol::Fetch => &[Protocol::Fetch],
            });
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(upgrade, reply),
            });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: Open) {
        if self.asked.len() + self.negotiating >= OPENING_MAX {
            // A caller that went away needs no answer.
            let _ = open.reply.send(Err(OpenError::TooMany));
        } else {
            self.asked.push_back(open);
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Upgrade, Upgrade, (), OpenReply>) {
        match event {
            // Without room the stream is dropped, which resets it.
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol,
                info: (),
            }) if self.accepted.len() < ACCEPTED_MAX => {
                self.accepted.push_back(protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (_, stream),
                info,
            }) => {
                self.negotiating = self.negotiating.saturating_sub(1);
                let _ = info.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, info }) => {
                self.negotiating = self.negotiating.saturating_sub(1);
                let _ = info.send(Err(match error {
                    StreamUpgradeError::Timeout => OpenError::Timeout,
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
                    StreamUpgradeError::Io(_) => OpenError::Closed,
                    StreamUpgradeError::Apply(never) => match never {},
                }));
            }
            _ => {}
        }
    }
}

/// Offers some of the protocols and hands on the one agreed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upgrade(&'static [Protocol]);

impl UpgradeInfo for Upgrade {
    type Info = StreamProtocol;
    type InfoIter =
        std::iter::Map<std::slice::Iter<'static, Protocol>, fn(&Protocol) -> StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().map(|protocol| protocol.name())
    }
}

impl Upgrade {
    fn agreed(info: &StreamProtocol) -> Protocol {
        if *info == Protocol::FETCH {
            Protocol::Fetch
        } else {
            Protocol::Peer
        }
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = (Protocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, info: StreamProtocol) -> Self::Future {
        ready(Ok((Self::agreed(&info), stream)))
    }
}

impl OutboundUpgrade<Stream> for Upgrade {
    type Output = (Protocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, info: StreamProtocol) -> Self::Future {
        ready(Ok((Self::agreed(&info), stream)))
    }
}
