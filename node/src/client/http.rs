//! The API's client. Answers are bounded, times are bounded, errors keep the node's own words.

use crate::codes::Code;
use crate::failure::{Exit, Failure, Result};
use crate::views::{
    BlockView, ContentView, EntityView, ErrorBody, ErrorView, Finality, HistoryView, LogView,
    OffersView, OperationRequest, OperationView, ReadyView, RootView, StatusView, SubmittedView,
    TaskView, TasksView,
};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::genesis::Genesis;
use frith_ledger::parameters::CONTENT_BYTES_MAX;
use frith_neighbourhood::Slot;
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

    /// The same, with contents that the operation names: sent when the node lacks one, and only then.
    ///
    /// # Errors
    /// The node's refusal, or that it can't be reached.
    pub fn submit_with(&self, operation: &[u8], contents: &[&[u8]]) -> Result<SubmittedView> {
        match self.submit(operation) {
            Err(refused) if refused.code == Code::MissingContent.name() && !contents.is_empty() => {
                let form = Form::of(operation, contents);
                let bytes = self.read(
                    self.agent
                        .post(format!("{}/v1/operations", self.base))
                        .content_type(&form.kind)
                        .send(&form.body[..]),
                )?;
                self.json(&bytes)
            }
            answer => answer,
        }
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
        self.await_operation(id, "", finality, time)
    }

    /// The same of an operation of which more is known, so that also a node that never saw it can say when it is over.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn fate(
        &self,
        id: &str,
        slot: &Slot,
        finality: Finality,
        time: Duration,
    ) -> Result<OperationView> {
        let Slot {
            account,
            nonce,
            since,
            expires,
        } = slot;
        let known = format!("&account={account}&nonce={nonce}&since={since}&expires={expires}");
        self.await_operation(id, &known, finality, time)
    }

    fn await_operation(
        &self,
        id: &str,
        known: &str,
        finality: Finality,
        time: Duration,
    ) -> Result<OperationView> {
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
            let path = format!("/v1/operations/{id}?wait={wait}&timeout_ms={ms}{known}");
            let view: OperationView = self.get(&path)?;
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

    /// What a task wrote to standard error, as the worker at `seat`, or any, tells it.
    ///
    /// # Errors
    /// Nobody who was asked keeps it, or the node can't be reached.
    pub fn logs(&self, address: &Address, seat: Option<&Address>) -> Result<LogView> {
        let asked = seat.map_or_else(String::new, |seat| format!("?seat={seat}"));
        self.get(&format!("/v1/tasks/{address}/logs{asked}"))
    }

    /// A page of an account's tasks, or of all: at most `limit` after the place that `cursor` names, the newest first.
    ///
    /// # Errors
    /// The node can't be reached, or `cursor` isn't a place that one named.
    pub fn tasks(
        &self,
        account: Option<&str>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<TasksView> {
        let account = account.map_or_else(String::new, |account| format!("&account={account}"));
        let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        self.get(&format!("/v1/tasks?limit={limit}{account}{cursor}"))
    }

    /// The tasks after a place, at most `limit`, asked for `page` by page; `next` is set when there are more.
    ///
    /// # Errors
    /// As [`Self::tasks`].
    pub fn all_tasks(
        &self,
        account: Option<&str>,
        cursor: Option<String>,
        limit: usize,
        page: usize,
    ) -> Result<TasksView> {
        let (mut tasks, mut next) = (Vec::new(), cursor);
        loop {
            let room = page.min(limit.saturating_sub(tasks.len())).max(1);
            let part = self.tasks(account, next.as_deref(), room)?;
            // A page without entries would never lead on.
            let is_over = part.next.is_none() || part.tasks.is_empty();
            tasks.extend(part.tasks);
            next = part.next;
            if is_over || tasks.len() >= limit {
                return Ok(TasksView { tasks, next });
            }
        }
    }

    /// How many workers would take a task of this price and bond.
    ///
    /// # Errors
    /// The node can't be reached.
    pub fn offers(&self, price: Credits, bond: Credits, replicas: u8) -> Result<OffersView> {
        self.get(&format!(
            "/v1/offers?price={price}&bond={bond}&replicas={replicas}"
        ))
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

    /// What touched an account: at most `limit` entries below a height, or before the place that an answer named, newest
    /// first.
    ///
    /// # Errors
    /// The node can't be reached, or `before` is neither.
    pub fn history(
        &self,
        account: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<HistoryView> {
        let before = before.map_or_else(String::new, |before| match before.parse::<u64>() {
            Ok(height) => format!("&before={height}"),
            Err(_) => format!("&cursor={before}"),
        });
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

    /// Stores content at the node by itself, which one whose API is public refuses.
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

/// An operation and its contents as `multipart/form-data` (RFC 7578).
struct Form {
    kind: String,
    body: Vec<u8>,
}

impl Form {
    fn of(operation: &[u8], contents: &[&[u8]]) -> Self {
        // Nobody finds bytes that hold the hash of themselves.
        let mut hasher = blake3::Hasher::new();
        for part in std::iter::once(&operation).chain(contents) {
            hasher.update(part);
        }
        let boundary = hasher.finalize().to_hex();
        let mut body = Vec::new();
        let parts = std::iter::once(("operation", operation));
        for (name, bytes) in parts.chain(contents.iter().map(|bytes| ("content", *bytes))) {
            let head =
                format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Self {
            kind: format!("multipart/form-data; boundary={boundary}"),
            body,
        }
    }
}
