//! Between the core and the network: outputs become frames, events become inputs, fetches are served.

use super::content::{FetchRequest, Sliced};
use super::core::Outbound;
use super::handle::{CoreError, CoreHandle};
use super::throttle::Throttle;
use bytes::Bytes;
use frith_ledger::codec::decode;
use frith_ledger::entity::ContentId;
use frith_ledger::key::PublicKey;
use frith_neighbourhood::{Input, Priority};
use frith_network::{FetchReply, Network, NetworkEvent, PeerKey};
use parity_scale_codec::Encode as _;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// Bytes of an encoded fetch request.
const REQUEST_BYTES_MAX: usize = 256;
/// Contents kept in memory while peers fetch their slices.
const SERVED_MAX: usize = 2;
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

/// Contents that peers fetch slices of, with their hashes: the last few. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Served {
    contents: Arc<Mutex<Newest>>,
}

/// Contents, the newest last.
type Newest = VecDeque<(ContentId, Arc<Sliced>)>;

impl Served {
    /// The slice that `request` asks for, of content that `load` gives when it isn't here yet; `None` when it asks
    /// for nothing that is there.
    pub async fn answer<F>(
        &self,
        request: &[u8],
        load: impl FnOnce(ContentId) -> F,
    ) -> Option<Bytes>
    where
        F: Future<Output = Option<Vec<u8>>>,
    {
        let request = decode(request, REQUEST_BYTES_MAX).ok()?;
        let FetchRequest::Content { id, first, count } = request;
        // Held while one loads, so that a burst of requests loads it once.
        let mut contents = self.contents.lock().await;
        let held = contents.iter().find(|(held, _)| *held == id);
        let sliced = match held.map(|(_, sliced)| sliced.clone()) {
            Some(sliced) => sliced,
            None => {
                let bytes = load(id).await?;
                let sliced = tokio::task::spawn_blocking(move || Sliced::new(&id, bytes)).await;
                let sliced = Arc::new(sliced.ok()??);
                contents.push_back((id, sliced.clone()));
                if contents.len() > SERVED_MAX {
                    contents.pop_front();
                }
                sliced
            }
        };
        drop(contents);
        Some(sliced.slice(first, count)?.encode().into())
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
    upload: Arc<Throttle>,
) -> Result<Forwarded, CoreError> {
    let served = Served::default();
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
            NetworkEvent::Fetch { request, reply, .. } => {
                // The network bounds how many are served at one time.
                let answer = serve(request, core.clone(), served.clone());
                tokio::spawn(paced(answer, reply, upload.clone()));
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

/// Gives an answer when the bandwidth allows it.
async fn paced(
    answer: impl Future<Output = Option<Bytes>>,
    reply: FetchReply,
    upload: Arc<Throttle>,
) {
    match answer.await {
        Some(bytes) => {
            upload.take(bytes.len() as u64).await;
            reply.send(bytes);
        }
        None => reply.refuse(),
    }
}

async fn serve(request: Bytes, core: CoreHandle, served: Served) -> Option<Bytes> {
    let load = |id: ContentId| async move {
        let stored = core.query(move |node| node.content(&id)).await;
        stored.ok()?.ok()?
    };
    served.answer(&request, load).await
}
