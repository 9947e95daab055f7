//! An operation together with the contents that it names, in one request of the form `multipart/form-data`.
//!
//! 1. The first part, `operation`, is the SCALE encoding of the operation. It is checked as if it were submitted, but for
//!    the contents that this node lacks: signature, network, nonce, expiry, balance. Nothing else was read by then.
//! 2. Each further part, `content`, is one of those contents. No more bytes of it are taken than the operation names, and
//!    none that it doesn't name.
//! 3. When all are there the operation is checked again, they are stored, and it is submitted.
//!
//! One request of an account is served at a time, so what is stored was named by an operation that is queued right after
//! it: strangers pay a fee for every content. Limits: an operation of the same account that takes another way between the
//! last check and the submission leaves contents behind that only a fee of that one was paid for.

use super::content::Place;
use super::error::ApiError;
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
use std::sync::{Arc, Mutex, PoisonError};

/// Contents that an operation names at the most: a program and its input.
const CONTENTS_MAX: usize = 2;
/// Bytes of such a request: the parts, and the lines between them.
pub(super) const SUBMISSION_BYTES_MAX: usize =
    OPERATION_BYTES_MAX + CONTENTS_MAX * CONTENT_BYTES_MAX as usize + 4096;

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

/// Takes an operation and the contents that this node lacks.
pub(super) async fn submit(api: Api, request: Request) -> Result<SubmittedView, ApiError> {
    let parts = Multipart::from_request(request, &api).await;
    let mut parts = parts.map_err(|error| ApiError::malformed(error.body_text()))?;
    let first = parts.next_field().await.map_err(unreadable)?;
    let first = part_named(first, "operation")?
        .ok_or_else(|| ApiError::malformed("the first part of the form is not the operation"))?;
    let bytes = read(first, OPERATION_BYTES_MAX).await?;
    let operation: Operation = decode(&bytes, OPERATION_BYTES_MAX)
        .map_err(|error| ApiError::malformed(format!("not an operation: {error}")))?;
    let lacking = lacking(&api, &bytes).await?;
    let _turn = match &operation {
        Operation::Signed(signed) if !lacking.is_empty() => {
            Some(api.uploading.begin(signed.body.account)?)
        }
        _ => None,
    };
    let named: BTreeMap<ContentId, u32> = contents(&operation).into_iter().collect();
    // Each has a place before its bytes are taken.
    let places = if lacking.is_empty() { 0 } else { named.len() };
    let _places = (0..places)
        .map(|_| Place::take(&api))
        .collect::<Result<Vec<_>, _>>()?;
    let len = lacking
        .values()
        .fold(0_u32, |sum, len| sum.saturating_add(*len));
    api.status.core.room(len).await?.map_err(no_room)?;
    let taken = take(&mut parts, &named, &lacking).await?;
    // What comes now is sent for nothing, and isn't kept; who sends it must not find the connection closed.
    while parts.next_field().await.map_err(unreadable)?.is_some() {}
    // What came meanwhile may have taken its nonce or its money.
    let still = self::lacking(&api, &bytes).await?;
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

/// Reads parts behind the operation until all that is lacking is there.
async fn take(
    parts: &mut Multipart,
    named: &BTreeMap<ContentId, u32>,
    lacking: &BTreeMap<ContentId, u32>,
) -> Result<BTreeMap<ContentId, Vec<u8>>, ApiError> {
    let longest = named.values().copied().max().unwrap_or_default() as usize;
    let mut taken = BTreeMap::new();
    while let Some((id, len)) = lacking.iter().find(|(id, _)| !taken.contains_key(*id)) {
        let part = parts.next_field().await.map_err(unreadable)?;
        let Some(part) = part_named(part, "content")? else {
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

/// A part that has to have this name.
fn part_named<'a>(part: Option<Field<'a>>, name: &str) -> Result<Option<Field<'a>>, ApiError> {
    match part {
        Some(part) if part.name() != Some(name) => Err(ApiError::malformed(format!(
            "a part of the form is named {:?}, expected is {name:?}",
            part.name().unwrap_or_default()
        ))),
        part => Ok(part),
    }
}

/// The bytes of a part, at most `max`.
async fn read(mut part: Field<'_>, max: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
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
