//! One content from several sources at once.

use super::plan::{Failure, Plan};
use super::slice::{FetchRequest, FetchResponse, SliceError, length_of};
use super::{Job, Partial, PartialError};
use bytes::Bytes;
use frith_ledger::codec::decode;
use frith_ledger::entity::ContentId;
use frith_network::{FetchError, Network, PeerKey};
use parity_scale_codec::Encode as _;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;

/// Sources of one content.
pub const SOURCES_MAX: usize = 16;
/// How long a slice may take before another source is asked: 256 KiB at half a megabit a second.
const SLICE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a busy source is left alone.
const BUSY_PAUSE: Duration = Duration::from_millis(200);
/// What a source is penalised with whose bytes are not the content's.
const PENALTY: u32 = 50;

/// A content to be fetched.
#[derive(Clone, Copy)]
pub struct Download<'a> {
    /// By which.
    pub network: &'a Network,
    /// Where it is kept until it is whole.
    pub directory: &'a Path,
    /// Which.
    pub id: ContentId,
    /// Its bytes, when they are known; else a source proves them.
    pub len: Option<u32>,
}

/// Why content didn't come. What did is kept.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// No source has it, or all that had failed.
    #[error("no source is left, the last said: {last}")]
    Sources {
        /// What the last source said.
        last: String,
    },
    /// It can't be kept.
    #[error(transparent)]
    Partial(#[from] PartialError),
    /// It can't be written.
    #[error("cannot keep what came: {0}")]
    Io(#[from] std::io::Error),
}

/// What a source said.
type Answer = Result<FetchResponse, (Failure, String)>;

impl Download<'_> {
    /// Fetches it from `sources`, at most [`SOURCES_MAX`] of them.
    ///
    /// # Errors
    /// [`DownloadError`].
    pub async fn run(&self, mut sources: Vec<PeerKey>) -> Result<Vec<u8>, DownloadError> {
        sources.truncate(SOURCES_MAX);
        let len = match self.len {
            Some(len) => len,
            None => self.length(&mut sources).await?,
        };
        let mut partial = Partial::open(self.directory, self.id, len)?;
        let mut plan = Plan::new(partial.jobs(), sources);
        let mut last = "nobody is known".to_owned();
        let mut owed: JoinSet<(PeerKey, Job, Answer)> = JoinSet::new();
        loop {
            while let Some((peer, job)) = plan.ask() {
                let asked = ask(self.network.clone(), peer, self.id, job);
                owed.spawn(async move { (peer, job, asked.await) });
            }
            if plan.is_done() {
                break;
            }
            let Some(answered) = owed.join_next().await else {
                return Err(DownloadError::Sources { last });
            };
            let Ok((peer, job, answer)) = answered else {
                continue;
            };
            let taken = answer.and_then(|response| match partial.take(job, &response) {
                Ok(()) => Ok(Ok(())),
                Err(SliceError::Io(error)) => Ok(Err(error)),
                Err(SliceError::Bad(reason)) => Err((Failure::Bad, reason)),
                // An honest source of another length looks the same as a liar: only a hash shows who is wrong.
                Err(error @ SliceError::Length { .. }) => Err((Failure::Lacks, error.to_string())),
            });
            match taken {
                Ok(Ok(())) => plan.came(&peer),
                Ok(Err(error)) => return Err(error.into()),
                Err((failure, reason)) => {
                    self.blame(peer, failure, &reason);
                    plan.failed(&peer, job, failure);
                    last = reason;
                }
            }
            if plan.is_stuck() {
                return Err(DownloadError::Sources { last });
            }
        }
        let whole = partial.finish()?;
        whole.ok_or_else(|| DownloadError::Sources {
            last: "what was kept changed on the disk".to_owned(),
        })
    }

    fn blame(&self, peer: PeerKey, failure: Failure, reason: &str) {
        if failure == Failure::Bad {
            tracing::warn!(%peer, content = %self.id, reason, "a source sent other bytes than the content's");
            self.network.penalise(peer, PENALTY);
        }
    }

    /// Asks one source after another for the last group, which proves the length. Who hasn't got it, or lies, is
    /// left out of `sources`.
    async fn length(&self, sources: &mut Vec<PeerKey>) -> Result<u32, DownloadError> {
        let mut last = "nobody is known".to_owned();
        let end = Job {
            first: u32::MAX,
            count: 1,
        };
        while let Some(peer) = sources.first().copied() {
            let answer = ask(self.network.clone(), peer, self.id, end).await;
            let length = answer.and_then(|response| {
                length_of(&self.id, &response).map_err(|error| (Failure::Bad, error.to_string()))
            });
            match length {
                Ok(len) => return Ok(len),
                Err((failure, reason)) => {
                    self.blame(peer, failure, &reason);
                    sources.remove(0);
                    last = reason;
                }
            }
        }
        Err(DownloadError::Sources { last })
    }
}

/// Asks a source for a slice.
async fn ask(network: Network, peer: PeerKey, id: ContentId, job: Job) -> Answer {
    let request = FetchRequest::Content {
        id,
        first: job.first,
        count: u8::try_from(job.count).unwrap_or(u8::MAX),
    };
    let asked = network.fetch(peer, Bytes::from(request.encode()));
    let answer = tokio::time::timeout(SLICE_PATIENCE, asked).await;
    let answer = answer.unwrap_or(Err(FetchError::Timeout));
    match answer {
        Ok(bytes) => decode(&bytes, FetchResponse::BYTES_MAX)
            .map_err(|error| (Failure::Bad, error.to_string())),
        Err(error @ (FetchError::Busy | FetchError::Timeout)) => {
            if error == FetchError::Busy {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            Err((Failure::Slow, error.to_string()))
        }
        Err(error) => Err((Failure::Lacks, error.to_string())),
    }
}
