//! The API's client. Answers are bounded, times are bounded, errors keep the node's own words.

use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::views::{
    BlockView, ContentView, EntityView, ErrorBody, ErrorView, Finality, HistoryView,
    OperationRequest, OperationView, ReadyView, RootView, StatusView, SubmittedView, TaskView,
    TasksView,
};
use frith_ledger::genesis::Genesis;
use frith_ledger::parameters::CONTENT_BYTES_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};
use ureq::http::Response;
use ureq::{Agent, Body};

/// Bytes of an answer that are read; the largest is a genesis or content.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest that one request takes; the API itself answers waits after a minute.
const REQUEST_MAX: Duration = Duration::from_secs(90);
/// Longest wait of one request.
const WAIT_MS_MAX: u64 = 30_000;

/// A node, seen from outside.
#[derive(Debug, Clone)]
pub struct NodeClient {
    base: String,
    agent: Agent,
}

impl NodeClient {
    /// A client of the node whose API is at `base`: `http://127.0.0.1:4280`.
    ///
    /// # Errors
    /// Not an `http://` address.
    pub fn new(base: &str) -> Result<Self> {
        let base = base.trim_end_matches('/');
        if !base.starts_with("http://") {
            return Err(Failure::usage(format!("{base:?} is no API address"))
                .advise("it looks like http://127.0.0.1:4280; encryption is a tunnel's or a proxy's business"));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(REQUEST_MAX))
            .build();
        Ok(Self {
            base: base.to_owned(),
            agent: config.new_agent(),
        })
    }

    /// The address of the API.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    fn failed(&self, error: &ureq::Error) -> Failure {
        Failure::unreachable(format!("no answer from the node at {}: {error}", self.base)).advise(
            "is it running? start one with `frith node run`, or name another with --api (or FRITH_API, or in config.toml)",
        )
    }

    fn read(&self, response: std::result::Result<Response<Body>, ureq::Error>) -> Result<Vec<u8>> {
        let mut response = response.map_err(|error| self.failed(&error))?;
        let status = response.status().as_u16();
        let bytes = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| self.failed(&error))?;
        if (200..300).contains(&status) {
            return Ok(bytes);
        }
        let body = match serde_json::from_slice::<ErrorView>(&bytes) {
            Ok(view) => view.error,
            Err(_) => ErrorBody::new(
                Code::Http,
                format!("the node at {} answered with status {status}", self.base),
            ),
        };
        let exit = match status {
            503 | 504 => Exit::Unreachable,
            400..=499 => Exit::Refused,
            _ => Exit::Other,
        };
        Err(Failure::answered(exit, body))
    }

    fn json<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
        serde_json::from_slice(bytes).map_err(|error| {
            Failure::other(format!(
                "the answer of {} can't be read: {error}",
                self.base
            ))
            .advise("is it a Frith node of this version?")
        })
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let bytes = self.get_bytes(path)?;
        self.json(&bytes)
    }

    fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        self.read(self.agent.get(format!("{}{path}", self.base)).call())
    }

    /// `POST /v1/operations`.
    ///
    /// # Errors
    /// The node's refusal, or that it can't be reached.
    pub fn submit(&self, operation: &[u8]) -> Result<SubmittedView> {
        let request = OperationRequest {
            operation: hex::encode(operation),
        };
        let bytes = self.post("/v1/operations", &request)?;
        self.json(&bytes)
    }

    fn post(&self, path: &str, body: &impl Serialize) -> Result<Vec<u8>> {
        self.read(
            self.agent
                .post(format!("{}{path}", self.base))
                .send_json(body),
        )
    }

    /// What became of an operation; waits until it is `finality` sure, was refused, or `time` is over.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn operation(&self, id: &str, finality: Finality, time: Duration) -> Result<OperationView> {
        let wait = match finality {
            Finality::Pending => "pending",
            Finality::Local => "local",
            Finality::Final => "final",
        };
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let ms = u64::try_from(left.as_millis())
                .unwrap_or(WAIT_MS_MAX)
                .min(WAIT_MS_MAX);
            let view: OperationView =
                self.get(&format!("/v1/operations/{id}?wait={wait}&timeout_ms={ms}"))?;
            if view.finality >= finality || view.done == Some(false) || Instant::now() >= deadline {
                return Ok(view);
            }
        }
    }

    /// A task; with `time`, waits for its end for so long.
    ///
    /// # Errors
    /// No such task, or the node can't be reached.
    pub fn task(&self, address: &str, time: Option<Duration>) -> Result<TaskView> {
        let Some(time) = time else {
            return self.get(&format!("/v1/tasks/{address}"));
        };
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let ms = u64::try_from(left.as_millis())
                .unwrap_or(WAIT_MS_MAX)
                .min(WAIT_MS_MAX);
            let view: TaskView =
                self.get(&format!("/v1/tasks/{address}?ended=true&timeout_ms={ms}"))?;
            if view.ended || Instant::now() >= deadline {
                return Ok(view);
            }
        }
    }

    /// An account's tasks, or all.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn tasks(&self, account: Option<&str>) -> Result<TasksView> {
        match account {
            Some(account) => self.get(&format!("/v1/tasks?account={account}")),
            None => self.get("/v1/tasks"),
        }
    }

    /// An entity with its proof from the genesis, not yet checked: see [`super::prove`].
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn entity(&self, address: &str) -> Result<EntityView> {
        self.entity_from(address, 0)
    }

    /// An entity with its proof from a period whose root committee is known, not yet checked.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn entity_from(&self, address: &str, period: u64) -> Result<EntityView> {
        self.get(&format!("/v1/entities/{address}?period={period}"))
    }

    /// What the node's neighbourhood holds at an address now, without a proof: for nonces and warnings.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn local(&self, address: &str) -> Result<EntityView> {
        self.get(&format!("/v1/entities/{address}?proof=false"))
    }

    /// What touched an account: at most `limit` entries before the place that `before` names, newest first.
    ///
    /// # Errors
    /// The node can't be reached, or `before` isn't a place that it named.
    pub fn history(
        &self,
        account: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<HistoryView> {
        let before = before.map_or_else(String::new, |before| format!("&before={before}"));
        self.get(&format!(
            "/v1/accounts/{account}/history?limit={limit}{before}"
        ))
    }

    /// A root record; `None`: the newest.
    ///
    /// # Errors
    /// It isn't there, or the node can't be reached.
    pub fn root(&self, epoch: Option<u64>) -> Result<RootView> {
        self.get(&format!(
            "/v1/roots/{}",
            epoch.map_or_else(|| "latest".to_owned(), |epoch| epoch.to_string())
        ))
    }

    /// A block by its height; `None`: the head.
    ///
    /// # Errors
    /// It isn't there, or the node can't be reached.
    pub fn block(&self, height: Option<u64>) -> Result<BlockView> {
        self.get(&format!(
            "/v1/blocks/{}",
            height.map_or_else(|| "latest".to_owned(), |height| height.to_string())
        ))
    }

    /// The node's status.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn status(&self) -> Result<StatusView> {
        self.get("/v1/status")
    }

    /// Why nothing is to be expected of the node by this status: it has stopped taking part, or isn't ready.
    #[must_use]
    pub fn unready(&self, status: &StatusView) -> Option<Failure> {
        let base = &self.base;
        if let Some(reason) = &status.halted {
            let message = format!("the node at {base} has stopped taking part: {reason}");
            return Some(Failure::new(Exit::Unreachable, Code::Halted, message));
        }
        if status.readiness.ready {
            return None;
        }
        let reasons = status.readiness.reasons.join("; ");
        let message = format!("the node at {base} is not ready: {reasons}");
        Some(Failure::new(Exit::Unreachable, Code::NotReady, message))
    }

    /// The node's time of day in seconds since 1970, if its answers say it.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn date(&self) -> Result<Option<u64>> {
        let response = self.agent.get(format!("{}/health/live", self.base)).call();
        let response = response.map_err(|error| self.failed(&error))?;
        let date = response
            .headers()
            .get("date")
            .and_then(|date| date.to_str().ok());
        Ok(date.and_then(crate::doctor::http_date))
    }

    /// Whether the node is ready.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn ready(&self) -> Result<ReadyView> {
        let response = self.agent.get(format!("{}/health/ready", self.base)).call();
        let mut response = response.map_err(|error| self.failed(&error))?;
        let bytes = response
            .body_mut()
            .read_to_vec()
            .map_err(|error| self.failed(&error))?;
        self.json(&bytes)
    }

    /// The genesis that the node follows. Compare it with a trusted one before believing anything.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn genesis(&self) -> Result<Genesis> {
        self.get("/v1/genesis")
    }

    /// Stores content at the node.
    ///
    /// # Errors
    /// Too long, the node's disk is full, or it can't be reached.
    pub fn put_content(&self, bytes: &[u8]) -> Result<ContentView> {
        if bytes.len() > CONTENT_BYTES_MAX as usize {
            return Err(Failure::usage(format!(
                "{} bytes are more than the {CONTENT_BYTES_MAX} that content may have",
                bytes.len()
            )));
        }
        let answer = self.read(
            self.agent
                .put(format!("{}/v1/content", self.base))
                .content_type("application/octet-stream")
                .send(bytes),
        )?;
        self.json(&answer)
    }

    /// The bytes of content; checked against the id.
    ///
    /// # Errors
    /// Nobody has it, or the bytes aren't the id's.
    pub fn content(&self, id: &str) -> Result<Vec<u8>> {
        let bytes = self.get_bytes(&format!("/v1/content/{id}"))?;
        if blake3::hash(&bytes).to_hex().as_str() == id {
            Ok(bytes)
        } else {
            Err(Failure::proof(format!(
                "the bytes that {} gave are not those of content {id}",
                self.base
            )))
        }
    }
}
