//! Content between nodes: `/frith/fetch/1` requests, and the fetcher that asks holders one after another.
//!
//! 1. Who needs content asks a holder for the chunk at an offset; the answer names the whole length.
//! 2. Chunks are at most [`CHUNK_BYTES`]; the whole is at most [`CONTENT_BYTES_MAX`] bytes.
//! 3. Only when BLAKE3 of the whole is the id does it enter the store; else the holder is penalised and the
//!    next one is asked.
//!
//! Limits: [`FETCHES_MAX`] contents at one time; whoever asks for one that is on its way waits for it.

use super::handle::CoreHandle;
use frith_ledger::codec::decode;
use frith_ledger::entity::ContentId;
use frith_ledger::hash::Hash;
use frith_ledger::key::PublicKey;
use frith_ledger::parameters::CONTENT_BYTES_MAX;
use frith_network::{Network, PeerKey};
use parity_scale_codec::{Decode, Encode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Bytes of one chunk.
pub const CHUNK_BYTES: u32 = 1024 * 1024;
/// Contents fetched at one time: bounds the memory that holds them to this many times 16 MiB.
const FETCHES_MAX: usize = 4;
/// Rounds through the holders before a fetch is given up.
const ROUNDS_MAX: u32 = 5;
/// Pause after the first round in ms; it doubles.
const RETRY_MS_MIN: u64 = 100;

/// What a peer can fetch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FetchRequest {
    /// A chunk of content.
    #[codec(index = 0)]
    Content {
        /// Which.
        id: ContentId,
        /// First byte of the chunk.
        offset: u32,
    },
}

/// A chunk of content.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FetchResponse {
    /// Bytes of the whole.
    pub len: u32,
    /// The chunk: [`CHUNK_BYTES`], less at the end.
    pub chunk: Vec<u8>,
}

/// Bytes of an encoded response: the chunk, its length and the whole's.
const RESPONSE_BYTES_MAX: usize = CHUNK_BYTES as usize + 16;

impl FetchResponse {
    /// The chunk of `bytes` at `offset`; `None` past the end.
    #[must_use]
    pub fn of(bytes: &[u8], offset: u32) -> Option<Self> {
        let rest = bytes.get(usize::try_from(offset).ok()?..)?;
        let chunk = rest.get(..CHUNK_BYTES as usize).unwrap_or(rest);
        Some(Self {
            len: u32::try_from(bytes.len()).ok()?,
            chunk: chunk.to_vec(),
        })
    }
}

/// Why content could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// No peer gave it.
    #[error("content {id} could not be fetched: {tried} peers asked, the last said: {last}")]
    Unavailable {
        /// Which.
        id: Hash,
        /// Peers asked.
        tried: usize,
        /// What the last of them answered.
        last: String,
    },
    /// The own store failed.
    #[error("content {id} could not be stored: {reason}")]
    Store {
        /// Which.
        id: Hash,
        /// The store's words.
        reason: String,
    },
    /// The node is shutting down.
    #[error("the node is shutting down")]
    Stopped,
}

type Outcome = Option<Result<(), ContentError>>;

/// Fetches content from other members. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    core: CoreHandle,
    network: Option<Network>,
    permits: Arc<Semaphore>,
    under_way: Arc<Mutex<BTreeMap<ContentId, watch::Receiver<Outcome>>>>,
}

impl Fetcher {
    /// A fetcher; without a network only what the own store holds can be had.
    #[must_use]
    pub fn new(core: CoreHandle, network: Option<Network>) -> Self {
        Self {
            core,
            network,
            permits: Arc::new(Semaphore::new(FETCHES_MAX)),
            under_way: Arc::default(),
        }
    }

    /// The bytes of content, from the own store or else from `holders`, then from the committee.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn get(
        &self,
        id: ContentId,
        holders: Vec<PublicKey>,
    ) -> Result<Vec<u8>, ContentError> {
        if let Some(bytes) = self.stored(id).await? {
            return Ok(bytes);
        }
        self.ensure(id, holders).await?;
        self.stored(id).await?.ok_or(ContentError::Store {
            id,
            reason: "it is gone again".to_owned(),
        })
    }

    async fn stored(&self, id: ContentId) -> Result<Option<Vec<u8>>, ContentError> {
        self.core
            .query(move |node| node.content(&id))
            .await
            .map_err(|_| ContentError::Stopped)?
            .map_err(|error| ContentError::Store {
                id,
                reason: error.to_string(),
            })
    }

    /// Brings content into the own store. Concurrent calls for one id share one fetch.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn ensure(&self, id: ContentId, holders: Vec<PublicKey>) -> Result<(), ContentError> {
        let mut result = {
            let mut under_way = self
                .under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match under_way.get(&id) {
                Some(result) => result.clone(),
                None => {
                    let (sender, receiver) = watch::channel(None);
                    under_way.insert(id, receiver.clone());
                    let this = self.clone();
                    tokio::spawn(async move {
                        let outcome = this.fetch(id, holders).await;
                        this.under_way
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .remove(&id);
                        let _nobody_waits = sender.send(Some(outcome));
                    });
                    receiver
                }
            }
        };
        let done = result
            .wait_for(Option::is_some)
            .await
            .map_err(|_| ContentError::Stopped)?;
        done.clone().unwrap_or(Err(ContentError::Stopped))
    }

    async fn fetch(&self, id: ContentId, mut holders: Vec<PublicKey>) -> Result<(), ContentError> {
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| ContentError::Stopped)?;
        let Some(network) = &self.network else {
            return Err(ContentError::Unavailable {
                id,
                tried: 0,
                last: "this node has no network".to_owned(),
            });
        };
        let committee = self
            .core
            .query(|node| {
                node.committee()
                    .members()
                    .iter()
                    .map(|member| member.key)
                    .collect::<Vec<_>>()
            })
            .await
            .map_err(|_| ContentError::Stopped)?;
        holders.extend(
            committee
                .into_iter()
                .filter(|key| !holders.contains(key))
                .collect::<Vec<_>>(),
        );
        let mut last = "nobody holds it".to_owned();
        for round in 0..ROUNDS_MAX {
            for holder in &holders {
                match self.fetch_from(network, id, PeerKey::new(holder.0)).await {
                    Ok(bytes) => {
                        let stored = self
                            .core
                            .put_content(id, bytes)
                            .await
                            .map_err(|_| ContentError::Stopped)?;
                        return stored.map_err(|reason| ContentError::Store { id, reason });
                    }
                    Err(reason) => last = reason,
                }
            }
            tokio::time::sleep(Duration::from_millis(RETRY_MS_MIN << round)).await;
        }
        Err(ContentError::Unavailable {
            id,
            tried: holders.len(),
            last,
        })
    }

    async fn fetch_from(
        &self,
        network: &Network,
        id: ContentId,
        peer: PeerKey,
    ) -> Result<Vec<u8>, String> {
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let offset = u32::try_from(bytes.len()).map_err(|_| "it is too long".to_owned())?;
            let request = FetchRequest::Content { id, offset }.encode();
            let answer = network
                .fetch(peer, request.into())
                .await
                .map_err(|error| error.to_string())?;
            let response: FetchResponse =
                decode(&answer, RESPONSE_BYTES_MAX).map_err(|error| error.to_string())?;
            if response.len > CONTENT_BYTES_MAX {
                return Err(format!("it claims {} bytes", response.len));
            }
            if response.chunk.is_empty() && response.len > offset {
                return Err("it sent an empty chunk".to_owned());
            }
            bytes.extend_from_slice(&response.chunk);
            let have = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            if have < response.len {
                continue;
            }
            if have == response.len && Hash(*blake3::hash(&bytes).as_bytes()) == id {
                return Ok(bytes);
            }
            tracing::warn!(peer = %peer, content = %id, "a peer sent other bytes than the content's");
            return Err("its bytes are not the content's".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_the_content_and_end_with_it() {
        let bytes: Vec<u8> = (0..CHUNK_BYTES + 5).map(|i| (i % 251) as u8).collect();
        let first = FetchResponse::of(&bytes, 0).expect("begins");
        let second = FetchResponse::of(&bytes, CHUNK_BYTES).expect("goes on");
        assert_eq!([first.chunk.clone(), second.chunk].concat(), bytes);
        assert_eq!(
            FetchResponse::of(&bytes, first.len).map(|end| end.chunk),
            Some(Vec::new())
        );
        assert_eq!(FetchResponse::of(&bytes, first.len + 1), None);
        assert!(first.encode().len() <= RESPONSE_BYTES_MAX);
    }
}
