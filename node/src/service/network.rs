//! Between the core and the network: outputs become frames, events become inputs, fetches are served.

use super::content::{Answer, Served};
use super::core::Outbound;
use super::handle::{CoreError, CoreHandle};
use super::throttle::Throttle;
use bytes::Bytes;
use frith_ledger::key::PublicKey;
use frith_neighbourhood::{Input, Priority};
use frith_network::{FetchReply, Network, NetworkEvent, PeerKey};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a misbehaving peer is penalised with; at 100 it is banned for a while.
const PENALTY: u32 = 10;

/// Sends the core's messages over the network.
pub struct NetworkOutbound(pub Network);

impl Outbound for NetworkOutbound {
    fn send(&self, to: PublicKey, priority: Priority, bytes: Arc<[u8]>) {
        let priority = match priority {
            Priority::Consensus => frith_network::Priority::Consensus,
            Priority::Control => frith_network::Priority::Control,
            Priority::Bulk => frith_network::Priority::Bulk,
        };
        // The protocol repeats what matters; a peer that is gone or slow is no failure of this node.
        if let Err(error) = self
            .0
            .send(PeerKey::new(to.0), priority, Bytes::from_owner(bytes))
        {
            tracing::debug!(peer = %to, %error, "message dropped");
        }
    }

    fn members(&self, members: BTreeSet<PublicKey>) {
        self.0
            .set_members(members.into_iter().map(|key| PeerKey::new(key.0)).collect());
    }

    fn penalise(&self, peer: PublicKey) {
        self.0.penalise(PeerKey::new(peer.0), PENALTY);
    }
}

/// Why no events are passed on any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// The network has ended.
    NetworkGone,
    /// Another process runs with this node's key: the core was told to stop.
    KeyElsewhere,
}

/// Passes the network's events to the core until either ends. A full core slows the network down, and with
/// it the peers.
///
/// # Errors
/// [`CoreError::Gone`] when the core has ended.
pub async fn forward(
    mut events: mpsc::Receiver<NetworkEvent>,
    core: CoreHandle,
    served: Served,
    upload: Arc<Throttle>,
) -> Result<Forwarded, CoreError> {
    while let Some(event) = events.recv().await {
        match event {
            NetworkEvent::Connected(peer) => {
                core.input(Input::Connected { peer: public(peer) }).await?
            }
            NetworkEvent::Disconnected(peer) => {
                core.input(Input::Disconnected { peer: public(peer) })
                    .await?
            }
            NetworkEvent::Message { from, frame } => {
                core.input(Input::Message {
                    from: public(from),
                    bytes: frame.to_vec(),
                })
                .await?;
            }
            NetworkEvent::Fetch {
                from,
                request,
                reply,
            } => {
                // The network bounds how many are served at one time.
                let (served, upload) = (served.clone(), upload.clone());
                tokio::spawn(async move {
                    let answer = served.answer(from, &request);
                    paced(answer, reply, upload).await;
                });
            }
            NetworkEvent::Listening(address) => tracing::info!(%address, "listening for peers"),
            NetworkEvent::Refused {
                peer,
                address,
                reason,
                by_peer,
            } => {
                tracing::warn!(%peer, %address, ?reason, by_peer, "connection refused");
            }
            NetworkEvent::Misbehaved { peer, fault } => {
                tracing::warn!(%peer, %fault, "a peer broke the protocol")
            }
            NetworkEvent::Banned(peer) => tracing::warn!(%peer, "a peer is banned for a while"),
            NetworkEvent::Twin(peer) => tracing::warn!(%peer, "two processes hold this peer's key"),
            NetworkEvent::OwnKeyElsewhere => {
                tracing::error!(
                    "another process runs with this node's key; this one stops, since two voters with one key \
                     lose their stake. Find the other one, or give this node a key of its own"
                );
                core.stop().await;
                return Ok(Forwarded::KeyElsewhere);
            }
            _ => {}
        }
    }
    Ok(Forwarded::NetworkGone)
}

fn public(peer: PeerKey) -> PublicKey {
    PublicKey(*peer.as_bytes())
}

/// Gives an answer when the bandwidth allows it, or says that it comes too late.
async fn paced(answer: impl Future<Output = Answer>, reply: FetchReply, upload: Arc<Throttle>) {
    match answer.await {
        Answer::Found(bytes) => {
            if upload.take(bytes.len() as u64).await {
                reply.send(bytes);
            } else {
                reply.busy();
            }
        }
        Answer::Refused => reply.refuse(),
        Answer::Busy => reply.busy(),
    }
}
