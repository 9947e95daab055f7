//! What the core can be asked, and the handle to ask it with.

use super::admission::Admission;
use super::content::{Kept, Own};
use super::counters::Counters;
use crate::views::EventView;
use frith_ledger::entity::ContentId;
use frith_ledger::operation::OperationId;
use frith_ledger::store::StoreError;
use frith_neighbourhood::{ContentReader, Input, Node, Snapshot, SubmitError};
use frith_tasks::Rules;
use std::sync::Arc;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};

/// Commands that wait for the core at the most.
pub(super) const COMMANDS_MAX: usize = 512;
/// Events that a slow reader of the event stream may be behind.
pub(super) const EVENTS_MAX: usize = 1024;

/// Questions of the chain that are answered beside the core at one time; each may read some mebibytes.
pub(super) const READS_MAX: usize = 4;
/// The same of questions that read a block or two.
pub(super) const LITTLE_READS_MAX: usize = 4;

/// Something for the core to do.
pub enum Command {
    /// An input of the protocol.
    Input(Input),
    /// An operation of a user or of the own worker.
    Submit {
        /// SCALE of the operation.
        operation: Vec<u8>,
        /// Answered once the pool took or refused it.
        reply: oneshot::Sender<Result<OperationId, SubmitError>>,
    },
    /// Content whose id was checked; stored and told to the core.
    Content {
        /// BLAKE3 of the bytes.
        id: ContentId,
        /// The bytes.
        bytes: Vec<u8>,
        /// Answered once it is stored.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// A question; runs on the core's thread, so it must be quick.
    Query(Box<dyn FnOnce(&mut Node) + Send>),
    /// The end: finish, sync, close the store.
    Stop,
}

/// The length of content, as operations name it.
pub(super) fn content_len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// What changes with every commit. Waiting on it is how others wait for the chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Height of the committed head.
    pub height: u64,
    /// Root records committed.
    pub roots: u64,
    /// Whether the core says that it is ready.
    pub ready: bool,
    /// Why it stopped voting for good.
    pub halted: Option<String>,
}

/// Why the core doesn't answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoreError {
    /// It has stopped.
    #[error("the node is shutting down")]
    Gone,
    /// What the answer needs can't be read: it isn't known whether it is there.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A way to talk to the core. Cheap to clone.
#[derive(Clone)]
pub struct CoreHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) chain: watch::Receiver<Arc<Snapshot>>,
    pub(super) reads: Arc<Semaphore>,
    pub(super) little_reads: Arc<Semaphore>,
    pub(super) events: broadcast::Sender<EventView>,
    pub(super) rules: Arc<Rules>,
    pub(super) counters: Arc<Counters>,
    pub(super) admission: Arc<Admission>,
    pub(super) contents: Arc<Own>,
}

impl CoreHandle {
    /// Gives an input to the core; waits while its queue is full.
    ///
    /// # Errors
    /// [`CoreError`].
    pub async fn input(&self, input: Input) -> Result<(), CoreError> {
        self.commands
            .send(Command::Input(input))
            .await
            .map_err(|_| CoreError::Gone)
    }

    /// Submits an encoded operation: `Ok(Err(_))` is a refusal. While the queue is full that costs some
    /// nanoseconds here and nothing at the core.
    ///
    /// # Errors
    /// [`CoreError`].
    pub async fn submit(
        &self,
        operation: Vec<u8>,
    ) -> Result<Result<OperationId, SubmitError>, CoreError> {
        let place = match self.admission.enter(&operation) {
            Ok(place) => place,
            Err(overloaded) => {
                self.counters.overloaded.add(1);
                return Ok(Err(overloaded));
            }
        };
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Submit { operation, reply })
            .await
            .map_err(|_| CoreError::Gone)?;
        place.sent();
        answer.await.map_err(|_| CoreError::Gone)
    }

    /// Stores content; the caller has checked that `id` is the BLAKE3 of `bytes`. What is begun goes on when nobody
    /// waits for it any more.
    ///
    /// # Errors
    /// [`CoreError`]; inside, the store's own words.
    pub async fn put_content(
        &self,
        id: ContentId,
        bytes: Vec<u8>,
    ) -> Result<Result<(), String>, CoreError> {
        let this = self.clone();
        let stored = tokio::spawn(async move { this.store_content(id, bytes).await });
        stored.await.map_err(|_| CoreError::Gone)?
    }

    async fn store_content(
        &self,
        id: ContentId,
        bytes: Vec<u8>,
    ) -> Result<Result<(), String>, CoreError> {
        let len = content_len(&bytes);
        let kept = self.contents.keep(id, bytes).await;
        let (bytes, _turn) = match kept.map_err(|_| CoreError::Gone)? {
            Ok((Kept::ByCore(bytes), turn)) => (bytes, turn),
            Ok((Kept::Beside, _)) => {
                self.input(Input::ContentArrived { id, len }).await?;
                return Ok(Ok(()));
            }
            Err(refused) => return Ok(Err(refused)),
        };
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Content { id, bytes, reply })
            .await
            .map_err(|_| CoreError::Gone)?;
        answer.await.map_err(|_| CoreError::Gone)
    }

    /// Whether there is room for content of so many bytes; inside, why not.
    ///
    /// # Errors
    /// [`CoreError`].
    pub async fn room(&self, len: u32) -> Result<Result<(), String>, CoreError> {
        let room = self.contents.room(len).await;
        room.map_err(|_| CoreError::Gone)
    }

    /// Content of the own store; `None` when it isn't there. Read beside the core, which goes on meanwhile.
    ///
    /// # Errors
    /// [`CoreError`]; the core goes on after [`CoreError::Store`].
    pub async fn content(&self, id: ContentId) -> Result<Option<Vec<u8>>, CoreError> {
        let read = self.contents.get(id).await;
        Ok(read.map_err(|_| CoreError::Gone)??)
    }

    /// Reads content on a thread of the caller's.
    #[must_use]
    pub fn contents(&self) -> &ContentReader {
        &self.contents.reader
    }

    /// Asks the core something.
    ///
    /// # Errors
    /// [`CoreError`]; after [`CoreError::Store`] the node takes no further part.
    pub async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Node) -> T + Send + 'static,
    ) -> Result<T, CoreError> {
        let (reply, answer) = oneshot::channel();
        let ask = Box::new(move |node: &mut Node| {
            let answer = question(node);
            // What can't be read looks like what isn't there.
            let answer = match node.store_failure() {
                Some(error) => Err(error.clone().into()),
                None => Ok(answer),
            };
            // Who asked may have gone away; then nobody needs the answer.
            let _nobody_waits = reply.send(answer);
        });
        self.commands
            .send(Command::Query(ask))
            .await
            .map_err(|_| CoreError::Gone)?;
        answer.await.map_err(|_| CoreError::Gone)?
    }

    /// The committed chain, at least as new as what [`Self::progress`] has said. Costs the core nothing.
    #[must_use]
    pub fn chain(&self) -> Arc<Snapshot> {
        self.chain.borrow().clone()
    }

    /// Asks the committed chain something that takes a while or reads the store, on a thread beside the core. Waits for
    /// its turn; who goes away meanwhile leaves no work behind.
    ///
    /// # Errors
    /// [`CoreError`]; the node takes no further part after [`CoreError::Store`].
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, CoreError> {
        self.read_in(&self.reads, question).await
    }

    /// The same of something that takes little time: it doesn't wait behind what may take more.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_little<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, CoreError> {
        self.read_in(&self.little_reads, question).await
    }

    async fn read_in<T: Send + 'static>(
        &self,
        turns: &Arc<Semaphore>,
        question: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, CoreError> {
        let turn = turns.clone().acquire_owned().await;
        let chain = self.chain();
        let answer = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            question(&chain)
        });
        match answer.await.map_err(|_| CoreError::Gone)? {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let reason = error.to_string();
                self.input(Input::StorageFailed { reason }).await?;
                Err(error.into())
            }
        }
    }

    /// Tells an event to all who listen.
    pub(super) fn tell(&self, event: EventView) {
        // An error means that nobody listens.
        let _nobody_listens = self.events.send(event);
    }

    /// Where the chain stands; changes wake who waits on it.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<EventView> {
        self.events.subscribe()
    }

    /// What is counted since the start.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// What the network agrees on.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Tells the core to end. Returns at once; its thread ends when it has synced.
    pub async fn stop(&self) {
        // An error means that it has ended already.
        let _gone = self.commands.send(Command::Stop).await;
    }
}
