//! Operations: taken, and what became of them.

use super::error::{ApiError, refusal_body};
use super::ledger::parse_address;
use super::router::Api;
use super::submission;
use crate::codes::Code;
use crate::views::{ErrorView, Finality, OperationRequest, OperationView, SubmittedView};
use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use frith_ledger::hash::Hash;
use frith_ledger::operation::OperationId;
use frith_ledger::parameters::OPERATION_BYTES_MAX;
use frith_ledger::units::{Epoch, Nonce};
use frith_neighbourhood::{OperationStatus, Slot};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::IntoParams;

/// Longest wait that a request may ask for.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(60);

/// Twice the bytes in hexadecimal, and room for the JSON around them.
const BODY_BYTES_MAX: usize = 2 * OPERATION_BYTES_MAX + 1024;

/// Takes a signed operation into the pool; as a form also contents that it names and this node lacks: first the part
/// `operation`, its SCALE encoding, then a part `content` for each. Nothing of them is taken before the operation was found
/// good.
#[utoipa::path(post, path = "/v1/operations", request_body(content((OperationRequest = "application/json"), (Vec<u8> = "application/octet-stream"), (Vec<u8> = "multipart/form-data"))), responses(
    (status = 202, description = "Taken; its fate is at /v1/operations/{id}", body = SubmittedView),
    (status = 400, description = "Not an operation, or contents that it doesn't name", body = ErrorView),
    (status = 413, description = "Larger than an operation or a content may be", body = ErrorView),
    (status = 422, description = "Refused: wrong network, nonce, expired, underfunded, …", body = ErrorView),
    (status = 503, description = "Too many operations or contents at one time", body = ErrorView),
    (status = 507, description = "No room for the contents", body = ErrorView),
))]
pub(super) async fn submit(
    State(api): State<Api>,
    request: Request,
) -> Result<(StatusCode, Json<SubmittedView>), ApiError> {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("application/json");
    if kind.starts_with("multipart/form-data") {
        let taken = submission::submit(api, request).await?;
        return Ok((StatusCode::ACCEPTED, Json(taken)));
    }
    let is_raw = kind.starts_with("application/octet-stream");
    let body = to_bytes(request.into_body(), BODY_BYTES_MAX).await;
    let body = body.map_err(|_| {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::TooLarge,
            format!("the body has more than {BODY_BYTES_MAX} bytes, or didn't come whole"),
        )
    })?;
    let operation = if is_raw {
        body.to_vec()
    } else {
        let request: OperationRequest = serde_json::from_slice(&body).map_err(|error| {
            ApiError::malformed(format!(
                "the body is not {{\"operation\": \"<hex>\"}}: {error}"
            ))
        })?;
        let text = request
            .operation
            .strip_prefix("0x")
            .unwrap_or(&request.operation);
        hex::decode(text).map_err(|error| {
            ApiError::malformed(format!("the operation is not hexadecimal: {error}"))
        })?
    };
    if operation.len() > OPERATION_BYTES_MAX {
        let message = format!(
            "the operation has {} bytes, at most {OPERATION_BYTES_MAX} are allowed",
            operation.len()
        );
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::TooLarge,
            message,
        ));
    }
    let id = api.status.core.submit(operation).await??;
    Ok((
        StatusCode::ACCEPTED,
        Json(SubmittedView { id: id.to_hex() }),
    ))
}

/// What to wait for before answering.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// Answer when it is at least this sure, or the time is over.
    wait: Option<Finality>,
    /// How long to wait in ms, at most 60,000 (10,000 unless given).
    timeout_ms: Option<u64>,
}

/// What the asker knows of the operation. A node that never saw it needs all four to say that it was never executed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Known {
    /// Its account.
    account: Option<String>,
    /// Its nonce.
    nonce: Option<u64>,
    /// An epoch in which it can't have been executed yet, as that in which it was signed, or the one before.
    since: Option<u64>,
    /// The last epoch in which it is good.
    expires: Option<u64>,
}

impl Known {
    fn slot(&self) -> Result<Option<Slot>, ApiError> {
        match (&self.account, self.nonce, self.since, self.expires) {
            (None, None, None, None) => Ok(None),
            (Some(account), Some(nonce), Some(since), Some(expires)) => Ok(Some(Slot {
                account: parse_address(account)?,
                nonce: Nonce::new(nonce),
                since: Epoch::new(since),
                expires: Epoch::new(expires),
            })),
            _ => Err(ApiError::malformed(
                "of account, nonce, since and expires some are missing: name all four or none",
            )),
        }
    }
}

impl Wait {
    pub(super) fn deadline(timeout_ms: Option<u64>) -> Instant {
        Instant::now() + Duration::from_millis(timeout_ms.unwrap_or(10_000)).min(WAIT_MAX)
    }
}

/// What became of an operation, now or when it is sure enough.
#[utoipa::path(get, path = "/v1/operations/{id}", params(("id" = String, Path, description = "The operation's id in hexadecimal"), Wait, Known), responses(
    (status = 200, description = "What is known of it; `pending` also for one that was never seen", body = OperationView),
    (status = 400, description = "Not an id, or not all that is known of the operation", body = ErrorView),
))]
pub(super) async fn status(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
    Query(known): Query<Known>,
) -> Result<Json<OperationView>, ApiError> {
    let (id, slot) = (parse_hash(&id)?, known.slot()?);
    let deadline = Wait::deadline(wait.timeout_ms);
    let target = wait.wait.unwrap_or(Finality::Pending);
    let mut progress = api.status.core.progress();
    loop {
        progress.borrow_and_update();
        let view = view(&api, id, slot).await?;
        // A refused operation is as sure as it will be useful.
        if view.finality >= target || view.done == Some(false) {
            return Ok(Json(view));
        }
        match tokio::time::timeout_at(deadline, progress.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Ok(Json(view)),
        }
    }
}

async fn view(api: &Api, id: OperationId, slot: Option<Slot>) -> Result<OperationView, ApiError> {
    // What the pool knows comes first: an operation that leaves it stands in a chain that is shown by then.
    let core = &api.status.core;
    let pooled = core.query(move |node| node.pooled(&id)).await?;
    let found = core
        .read_little(move |chain| chain.operation(&id, pooled, slot))
        .await?;
    let sure = |is_final| match is_final {
        true => Finality::Final,
        false => Finality::Local,
    };
    let pending = OperationView {
        id: id.to_hex(),
        finality: Finality::Pending,
        height: None,
        epoch: None,
        done: None,
        refusal: None,
        never_executed: false,
        waits: false,
    };
    Ok(match found {
        Some(OperationStatus::Executed(found)) => OperationView {
            finality: sure(found.is_final),
            height: Some(found.height.get()),
            epoch: Some(found.epoch.get()),
            done: Some(found.result.is_ok()),
            refusal: found.result.as_ref().err().map(refusal_body),
            ..pending
        },
        Some(OperationStatus::Never(never)) => OperationView {
            finality: sure(never.is_final),
            done: Some(false),
            refusal: Some(refusal_body(&never.refusal)),
            never_executed: true,
            ..pending
        },
        Some(OperationStatus::Pending) => OperationView {
            waits: true,
            ..pending
        },
        None => pending,
    })
}

pub(super) fn parse_hash(text: &str) -> Result<Hash, ApiError> {
    Hash::from_hex(text.strip_prefix("0x").unwrap_or(text))
        .map_err(|error| ApiError::malformed(format!("{text:?} is no id: {error}")))
}
