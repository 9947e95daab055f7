//! Brings content into the own store, one fetch an id, and says which is held here.

use super::announced::Announced;
use super::download::{Download, DownloadError};
use crate::service::handle::{CoreError, CoreHandle};
use frith_ledger::entity::{Bytes, ContentId, Entity};
use frith_ledger::hash::Hash;
use frith_ledger::key::PublicKey;
use frith_network::{Network, PeerKey};
use frith_tasks::LeafState;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Contents fetched at one time: bounds the memory that holds them to this many times 16 MiB.
const FETCHES_MAX: usize = 4;
/// The same of what users of the API ask for: however much that is, the core and the worker get theirs.
const USERS_FETCHES_MAX: usize = 2;
/// Times that the sources are looked for before a fetch is given up.
const ROUNDS_MAX: u32 = 5;
/// Pause after the first round in ms; it doubles.
const RETRY_MS_MIN: u64 = 100;
/// Contents of open tasks that are looked for when a node starts.
const FOUND_MAX: usize = 128;

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
    /// There is no room for it.
    #[error("content {id} was not fetched: {reason}")]
    NoRoom {
        /// Which.
        id: Hash,
        /// Which bound leaves none.
        reason: String,
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
    directory: Arc<PathBuf>,
    announced: Arc<Mutex<Announced>>,
}

impl Fetcher {
    /// A fetcher that keeps what isn't whole yet in `directory`; without a network only what the own store
    /// holds can be had.
    #[must_use]
    pub fn new(core: CoreHandle, network: Option<Network>, directory: PathBuf) -> Self {
        Self {
            core,
            network,
            permits: Arc::new(Semaphore::new(FETCHES_MAX)),
            under_way: Arc::default(),
            directory: Arc::new(directory),
            announced: Arc::default(),
        }
    }

    /// The same fetcher for what users of the API ask for, with places of its own.
    #[must_use]
    pub fn for_users(mut self) -> Self {
        self.permits = Arc::new(Semaphore::new(USERS_FETCHES_MAX));
        self
    }

    /// This node holds content: others can find out.
    pub fn hold(&self, id: ContentId) {
        let Some(network) = &self.network else { return };
        let mut announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(change) = announced.hold(id) {
            network.announce(change.announce.0);
            if let Some(old) = change.withdraw {
                network.withdraw(old.0);
            }
        }
    }

    /// Announces the contents of open tasks that the store holds. For a node that starts.
    ///
    /// # Errors
    /// [`ContentError::Stopped`].
    pub async fn hold_stored(&self) -> Result<(), ContentError> {
        let state = self.core.query(|node| node.state().clone()).await;
        let state = state.map_err(|_| ContentError::Stopped)?;
        let named = tokio::task::spawn_blocking(move || named(&state)).await;
        for id in named.map_err(|_| ContentError::Stopped)? {
            if self.stored(id).await?.is_some() {
                self.hold(id);
            }
        }
        Ok(())
    }

    /// The bytes of content, from the own store or else from `holders`, the committee, and whoever announced it.
    /// `len` is its length when whoever named it said so.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn get(
        &self,
        id: ContentId,
        len: Option<u32>,
        holders: Vec<PublicKey>,
    ) -> Result<Vec<u8>, ContentError> {
        if let Some(bytes) = self.stored(id).await? {
            return Ok(bytes);
        }
        self.ensure(id, len, holders).await?;
        self.stored(id).await?.ok_or(ContentError::Store {
            id,
            reason: "it is gone again".to_owned(),
        })
    }

    async fn stored(&self, id: ContentId) -> Result<Option<Vec<u8>>, ContentError> {
        self.core.content(id).await.map_err(|error| match error {
            CoreError::Gone => ContentError::Stopped,
            CoreError::Store(error) => ContentError::Store {
                id,
                reason: error.to_string(),
            },
        })
    }

    /// Brings content into the own store. Concurrent calls for one id share one fetch.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn ensure(
        &self,
        id: ContentId,
        len: Option<u32>,
        holders: Vec<PublicKey>,
    ) -> Result<(), ContentError> {
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
                        let outcome = this.fetch(id, len, holders).await;
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

    async fn fetch(
        &self,
        id: ContentId,
        len: Option<u32>,
        holders: Vec<PublicKey>,
    ) -> Result<(), ContentError> {
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| ContentError::Stopped)?;
        let unavailable = |tried, last: String| ContentError::Unavailable { id, tried, last };
        let Some(network) = &self.network else {
            return Err(unavailable(0, "this node has no network".to_owned()));
        };
        let download = Download {
            network,
            directory: &self.directory,
            id,
            len,
        };
        let (mut last, mut tried) = ("nobody holds it".to_owned(), 0);
        // Nothing is fetched that can't be kept.
        let room = self.core.room(len.unwrap_or(0)).await;
        let room = room.map_err(|_| ContentError::Stopped)?;
        room.map_err(|reason| ContentError::NoRoom { id, reason })?;
        for round in 0..ROUNDS_MAX {
            let sources = self.sources(network, id, &holders, round > 0).await?;
            tried = sources.len();
            match download.run(sources).await {
                Ok(bytes) => {
                    let stored = self.core.put_content(id, bytes).await;
                    let stored = stored.map_err(|_| ContentError::Stopped)?;
                    stored.map_err(|reason| ContentError::Store { id, reason })?;
                    self.hold(id);
                    return Ok(());
                }
                Err(DownloadError::Sources { last: reason }) => last = reason,
                Err(error @ (DownloadError::Partial(_) | DownloadError::Io(_))) => {
                    let reason = error.to_string();
                    return Err(ContentError::Store { id, reason });
                }
            }
            tokio::time::sleep(Duration::from_millis(RETRY_MS_MIN << round)).await;
        }
        Err(unavailable(tried, last))
    }

    /// Whom to ask: holders that are known, then whoever announced it, then the committee. The routing table is
    /// asked only when the others had not got it: that may take seconds.
    async fn sources(
        &self,
        network: &Network,
        id: ContentId,
        holders: &[PublicKey],
        looks_up: bool,
    ) -> Result<Vec<PeerKey>, ContentError> {
        let key = |key: &PublicKey| PeerKey::new(key.0);
        let mut sources: Vec<PeerKey> = holders.iter().map(key).collect();
        if looks_up {
            sources.extend(network.providers(id.0).await);
        }
        let committee = self.core.query(move |node| {
            let members = node.committee().members().iter();
            members.map(|member| key(&member.key)).collect::<Vec<_>>()
        });
        sources.extend(committee.await.map_err(|_| ContentError::Stopped)?);
        let mut seen = BTreeSet::from([network.key()]);
        sources.retain(|source| seen.insert(*source));
        Ok(sources)
    }
}

/// Programs and inputs of tasks that aren't over, at most [`FOUND_MAX`]. O(entities).
fn named(state: &LeafState) -> BTreeSet<ContentId> {
    let mut ids = BTreeSet::new();
    for (_, leaf) in state.tree().iter() {
        let Ok(Entity::Task(task)) = Entity::from_bytes(&leaf.bytes) else {
            continue;
        };
        if frith_tasks::unpaid::is_over(&task) {
            continue;
        }
        ids.insert(task.spec.program);
        if let Bytes::Content { id, .. } = &task.spec.input {
            ids.insert(*id);
        }
        if ids.len() >= FOUND_MAX {
            break;
        }
    }
    ids
}
