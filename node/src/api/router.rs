//! The routes, and what holds for all of them: sizes, times, how many at once.

use super::answers::Answers;
use super::error::ApiError;
use super::submission::{SUBMISSION_BYTES_MAX, Uploading};
use super::{
    content, events, guard, health, history, ledger, logs, metrics, offers, openapi, operations,
    tasks,
};
use crate::service::logs::RunLogs;
use crate::service::{Fetcher, StatusSource};
use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post, put};
use frith_ledger::parameters::CONTENT_BYTES_MAX;
use frith_ledger::store::StoreError;
use frith_neighbourhood::Snapshot;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Bounds of the API.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests served at one time; one more is told to come again.
    pub requests_max: usize,
    /// Event streams at one time.
    pub streams_max: usize,
    /// Contents on their way in or out at one time.
    pub contents_max: usize,
    /// Bytes of large answers that are built and not taken yet; beyond, who asks is told to come again.
    pub answer_bytes_max: usize,
    /// Logs of tasks that other nodes are asked for at one time.
    pub logs_max: usize,
    /// Longest that a request may take, waiting included.
    pub request_time_max: Duration,
    /// Connections at one time; one more waits in the system's queue.
    pub connections_max: usize,
    /// Longest that a connection may wait for a request's head, also between two requests. Longer than clients keep
    /// theirs (`ureq` 15 s), so that nobody sends a request into a connection that is being closed.
    pub header_time_max: Duration,
    /// Longest that a connection may take nothing of what is written to it.
    pub write_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_max: 256,
            streams_max: 32,
            contents_max: 8,
            answer_bytes_max: 64 << 20,
            logs_max: 4,
            request_time_max: Duration::from_secs(70),
            connections_max: 512,
            header_time_max: Duration::from_secs(30),
            write_time_max: Duration::from_secs(30),
        }
    }
}

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    /// Asks the core, the network and the worker.
    pub status: StatusSource,
    /// Brings content.
    pub fetcher: Fetcher,
    /// What this node's own runs wrote to standard error.
    pub logs: RunLogs,
    /// Whether names other than this machine's are served.
    pub public: bool,
    /// Permits of [`Limits::requests_max`].
    pub(super) requests: Arc<Semaphore>,
    /// Permits of [`Limits::streams_max`].
    pub(super) streams: Arc<Semaphore>,
    /// Permits of [`Limits::contents_max`].
    pub(super) contents: Arc<Semaphore>,
    /// Accounts whose contents are on their way with an operation.
    pub(super) uploading: Uploading,
    /// What is left of [`Limits::answer_bytes_max`].
    pub(super) answers: Answers,
    /// The genesis as it is served, once it was asked for.
    pub(super) genesis: Arc<OnceLock<Bytes>>,
    /// Permits of [`Limits::logs_max`].
    pub(super) logs_asked: Arc<Semaphore>,
    /// The rest of the bounds.
    pub(super) limits: Limits,
    /// Becomes true at shutdown, which ends the event streams.
    pub(super) ending: watch::Receiver<bool>,
}

impl Api {
    /// The shared parts.
    #[must_use]
    pub fn new(
        status: StatusSource,
        fetcher: Fetcher,
        logs: RunLogs,
        public: bool,
        limits: Limits,
        ending: watch::Receiver<bool>,
    ) -> Self {
        Self {
            status,
            fetcher: fetcher.for_users(),
            logs,
            public,
            requests: Arc::new(Semaphore::new(limits.requests_max)),
            streams: Arc::new(Semaphore::new(limits.streams_max)),
            contents: Arc::new(Semaphore::new(limits.contents_max)),
            uploading: Uploading::default(),
            answers: Answers::new(limits.answer_bytes_max),
            genesis: Arc::default(),
            logs_asked: Arc::new(Semaphore::new(limits.logs_max)),
            limits,
            ending,
        }
    }

    /// Asks the committed chain something that may have a large answer, beside the core.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.answers.check()?;
        Ok(self.status.core.read(question).await?)
    }
}

/// The whole API.
pub fn router(api: Api) -> Router {
    let operation = DefaultBodyLimit::max(SUBMISSION_BYTES_MAX);
    let bulk = DefaultBodyLimit::max(CONTENT_BYTES_MAX as usize);
    Router::new()
        .route("/v1/operations", post(operations::submit).layer(operation))
        .route("/v1/operations/{id}", get(operations::status))
        .route("/v1/entities/{address}", get(ledger::entity))
        .route("/v1/accounts/{address}/history", get(history::page))
        .route("/v1/tasks", get(tasks::list))
        .route("/v1/tasks/{address}", get(tasks::status))
        .route("/v1/offers", get(offers::count))
        .route("/v1/tasks/{address}/logs", get(logs::of_task))
        .route("/v1/roots/{epoch}", get(ledger::root))
        .route("/v1/blocks/{height}", get(ledger::block))
        .route("/v1/genesis", get(ledger::genesis))
        .route("/v1/status", get(health::status))
        .route("/v1/content", put(content::put).layer(bulk))
        .route("/v1/content/{id}", get(content::get))
        .route("/v1/events", get(events::stream))
        .route("/v1/openapi.json", get(openapi::document))
        .route("/metrics", get(metrics::scrape))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(guard::unknown)
        .method_not_allowed_fallback(guard::method)
        .layer(middleware::from_fn_with_state(api.clone(), guard::guard))
        .with_state(api)
}
