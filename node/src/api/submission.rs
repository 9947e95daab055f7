//! An operation together with the contents that it names, in one request of the form `multipart/form-data`.
//!
//! 1. The first part, `operation`, is the SCALE encoding of the operation. It is checked as if it were submitted, but for
//!    the contents that this node lacks: signature, network, nonce, expiry, balance. No more was read by then than such an
//!    operation may have. Where anybody may ask, it must come to its turn after what waits here, and the balance must cover
//!    all of it.
//! 2. Each further part, `content`, is one of those contents. No more bytes of it are taken than the operation names, and
//!    none that it doesn't name.
//! 3. When all are there the operation is checked again, they are stored, and it is submitted, whether or not whoever sent
//!    them is still there.
//!
//! One request of an account is served at a time, so what is stored was named by an operation that is queued right after
//! it: strangers pay a fee for every content. Limits: an account that spends its balance by another way, before its
//! operations that wait here come to their turn, leaves contents behind that only a fee of that one was paid for.

use super::content::Place;
use super::error::ApiError;
use super::gate::Gate;
use super::router::Api;
use crate::codes::Code;
use crate::views::SubmittedView;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::StatusCode;
use frith_ledger::address::Address;
use frith_ledger::codec::decode;
use frith_ledger::entity::ContentId;
use frith_ledger::hash::Hash;
use frith_ledger::operation::Operation;
use frith_ledger::parameters::{CONTENT_BYTES_MAX, OPERATION_BYTES_MAX};
use frith_neighbourhood::SubmitError;
use frith_tasks::content::contents;
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

/// Contents that an operation names at the most: a program and its input.
const CONTENTS_MAX: usize = 2;
/// Bytes of such a request: the parts, and the lines between them.
pub(super) const SUBMISSION_BYTES_MAX: usize =
    OPERATION_BYTES_MAX + CONTENTS_MAX * CONTENT_BYTES_MAX as usize + 4096;

/// Bytes of a form that are read ahead: an operation, and the lines around it.
const AHEAD_BYTES_MAX: usize = OPERATION_BYTES_MAX + 4096;

/// Accounts whose contents are on their way. At most as many as there are places for contents.
#[derive(Clone, Default)]
pub(super) struct Uploading(Arc<Mutex<BTreeSet<Address>>>);

/// The turn of an account; the next begins when it ends.
struct Turn {
    uploading: Uploading,
    account: Address,
}

impl Uploading {
    fn accounts(&self) -> std::sync::MutexGuard<'_, BTreeSet<Address>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, account: Address) -> Result<Turn, ApiError> {
        if !self.accounts().insert(account) {
            return Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Busy,
                "another submission of this account is on its way with its contents",
            ));
        }
        let uploading = self.clone();
        Ok(Turn { uploading, account })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.uploading.accounts().remove(&self.account);
    }
}

/// A form of which no more is read ahead than [`AHEAD_BYTES_MAX`].
struct Form {
    parts: Multipart,
    gate: Gate,
}

impl Form {
    async fn of(api: &Api, request: Request) -> Result<Self, ApiError> {
        let gate = Gate::new(AHEAD_BYTES_MAX);
        let request = request.map(|body| gate.before(body));
        let parts = Multipart::from_request(request, api).await;
        let parts = parts.map_err(|error| ApiError::malformed(error.body_text()))?;
        Ok(Self { parts, gate })
    }

    /// The next part, if it has this name, and the gate before it.
    async fn part(&mut self, name: &str) -> Result<Option<(Field<'_>, &Gate)>, ApiError> {
        let part = open(&self.gate, self.parts.next_field()).await?;
        match part {
            Some(part) if part.name() != Some(name) => Err(ApiError::malformed(format!(
                "a part of the form is named {:?}, expected is {name:?}",
                part.name().unwrap_or_default()
            ))),
            part => Ok(part.map(|part| (part, &self.gate))),
        }
    }

    /// Reads what is left and keeps nothing of it.
    async fn leave(&mut self) -> Result<(), ApiError> {
        while let Some(mut part) = open(&self.gate, self.parts.next_field()).await? {
            while let Some(chunk) = open(&self.gate, part.chunk()).await? {
                self.gate.taken(chunk.len());
            }
        }
        Ok(())
    }
}

/// What comes of a form; a failure when nothing can come any more, since the gate is shut and nothing of what has passed it
/// can be taken.
async fn open<T>(
    gate: &Gate,
    work: impl Future<Output = Result<T, MultipartError>>,
) -> Result<T, ApiError> {
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(done.map_err(unreadable)),
        Poll::Pending if gate.is_shut() => Poll::Ready(Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::TooLarge,
            format!("the form has {AHEAD_BYTES_MAX} bytes that are no part"),
        ))),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Takes an operation and the contents that this node lacks.
pub(super) async fn submit(api: Api, request: Request) -> Result<SubmittedView, ApiError> {
    let mut form = Form::of(&api, request).await?;
    let first = form.part("operation").await?;
    let first = first
        .ok_or_else(|| ApiError::malformed("the first part of the form is not the operation"))?;
    let bytes = read(first, OPERATION_BYTES_MAX).await?;
    let operation: Operation = decode(&bytes, OPERATION_BYTES_MAX)
        .map_err(|error| ApiError::malformed(format!("not an operation: {error}")))?;
    let lacking = lacking(&api, &bytes).await?;
    let turn = match &operation {
        Operation::Signed(signed) if !lacking.is_empty() => {
            Some(api.uploading.begin(signed.body.account)?)
        }
        _ => None,
    };
    if !lacking.is_empty() {
        will_pay(&api, &bytes).await?;
    }
    let named: BTreeMap<ContentId, u32> = contents(&operation).into_iter().collect();
    // Each has a place before its bytes are taken.
    let places = if lacking.is_empty() { 0 } else { named.len() };
    let places = (0..places)
        .map(|_| Place::take(&api))
        .collect::<Result<Vec<_>, _>>()?;
    let len = lacking
        .values()
        .fold(0_u32, |sum, len| sum.saturating_add(*len));
    api.status.core.room(len).await?.map_err(no_room)?;
    let taken = take(&mut form, &named, &lacking).await?;
    // What comes now is sent for nothing, and isn't kept; who sends it must not find the connection closed.
    form.leave().await?;
    // Who goes away now has paid for what is stored all the same.
    let stored = tokio::spawn(async move {
        let _kept = (turn, places);
        store(&api, bytes, taken).await
    });
    stored.await.map_err(ApiError::internal)?
}

/// Stores contents that are all there, and submits the operation that names them.
async fn store(
    api: &Api,
    bytes: Vec<u8>,
    taken: BTreeMap<ContentId, Vec<u8>>,
) -> Result<SubmittedView, ApiError> {
    // What came meanwhile may have taken its nonce or its money.
    let still = lacking(api, &bytes).await?;
    if !still.is_empty() {
        will_pay(api, &bytes).await?;
    }
    for (id, content) in taken {
        if still.contains_key(&id) {
            let stored = api.status.core.put_content(id, content).await?;
            stored.map_err(no_room)?;
            api.fetcher.hold(id);
        }
    }
    let id = api.status.core.submit(bytes).await??;
    Ok(SubmittedView { id: id.to_hex() })
}

/// The contents that an operation names and this node lacks, with their lengths; or why it would be refused.
async fn lacking(api: &Api, bytes: &[u8]) -> Result<BTreeMap<ContentId, u32>, ApiError> {
    let operation = bytes.to_vec();
    let lacking = api.status.core.query(move |node| node.lacks(&operation));
    Ok(lacking.await??.into_iter().collect())
}

/// Where anybody may ask: that an operation will pay for the contents that it brings.
async fn will_pay(api: &Api, bytes: &[u8]) -> Result<(), ApiError> {
    if !api.public {
        return Ok(());
    }
    let operation = bytes.to_vec();
    let covers = api.status.core.query(move |node| node.covers(&operation));
    Ok(covers.await??)
}

/// Reads parts behind the operation until all that is lacking is there.
async fn take(
    form: &mut Form,
    named: &BTreeMap<ContentId, u32>,
    lacking: &BTreeMap<ContentId, u32>,
) -> Result<BTreeMap<ContentId, Vec<u8>>, ApiError> {
    let longest = named.values().copied().max().unwrap_or_default() as usize;
    let mut taken = BTreeMap::new();
    while let Some((id, len)) = lacking.iter().find(|(id, _)| !taken.contains_key(*id)) {
        let Some(part) = form.part("content").await? else {
            let (id, len) = (*id, *len);
            return Err(SubmitError::MissingContent { id, len }.into());
        };
        let bytes = read(part, longest).await?;
        let hash = move || (Hash(*blake3::hash(&bytes).as_bytes()), bytes);
        let hashed = tokio::task::spawn_blocking(hash).await;
        let (id, bytes) = hashed.map_err(ApiError::internal)?;
        if named
            .get(&id)
            .is_none_or(|len| *len as usize != bytes.len())
        {
            return Err(ApiError::malformed(format!(
                "the operation doesn't name content {id} of {} bytes",
                bytes.len()
            )));
        }
        if lacking.contains_key(&id) {
            taken.insert(id, bytes);
        }
    }
    Ok(taken)
}

/// The bytes of a part, at most `max`.
async fn read((mut part, gate): (Field<'_>, &Gate), max: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = open(gate, part.chunk()).await? {
        gate.taken(chunk.len());
        if bytes.len() + chunk.len() > max {
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Code::TooLarge,
                format!("a part of the form has more than the {max} bytes that it may have"),
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn unreadable(error: MultipartError) -> ApiError {
    let code = match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        _ => Code::Malformed,
    };
    ApiError::new(error.status(), code, error.body_text())
}

fn no_room(reason: String) -> ApiError {
    ApiError::new(
        StatusCode::INSUFFICIENT_STORAGE,
        Code::Store,
        format!("the content could not be stored: {reason}"),
    )
}
