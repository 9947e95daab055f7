//! Content: programs, inputs and results by their BLAKE3.

use super::answers::kept_bytes;
use super::error::ApiError;
use super::operations::parse_hash;
use super::router::Api;
use crate::codes::Code;
use crate::views::{ContentView, ErrorView};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use frith_ledger::hash::Hash;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// One of the places for contents on their way, each of which may have 16 MiB. Taken before a body is read, and kept until
/// one is written.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl FromRequestParts<Api> for Place {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        Self::take(api)
    }
}

impl Place {
    /// A place, if there is one.
    pub(super) fn take(api: &Api) -> Result<Self, ApiError> {
        let place = Arc::clone(&api.contents).try_acquire_owned();
        place.map(|_permit| Self { _permit }).map_err(|_| {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Busy,
                "too many contents are on their way at one time",
            )
        })
    }
}

/// Refuses an upload by itself where anybody may ask: strangers' contents come with the operation that pays for them.
pub(super) struct Unpaid(());

impl FromRequestParts<Api> for Unpaid {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        if api.public {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                Code::NeedsOperation,
                "this node takes content only together with an operation that names it",
            ));
        }
        Ok(Self(()))
    }
}

/// Stores bytes at this node, for a task that names them. Other members fetch them from here.
#[utoipa::path(put, path = "/v1/content", request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 201, description = "Stored", body = ContentView),
    (status = 403, description = "The API is public: send it with the operation that names it", body = ErrorView),
    (status = 413, description = "More than 16 MiB", body = ErrorView),
    (status = 503, description = "Too many contents at one time", body = ErrorView),
    (status = 507, description = "No room for it", body = ErrorView),
))]
pub(super) async fn put(
    State(api): State<Api>,
    _unpaid: Unpaid,
    place: Place,
    body: Bytes,
) -> Result<(StatusCode, Json<ContentView>), ApiError> {
    // Whoever goes away leaves an upload behind, which keeps its place.
    let stored = tokio::spawn(store(api, place, body));
    stored.await.map_err(ApiError::internal)?
}

async fn store(
    api: Api,
    _place: Place,
    body: Bytes,
) -> Result<(StatusCode, Json<ContentView>), ApiError> {
    let (id, bytes) =
        tokio::task::spawn_blocking(move || (Hash(*blake3::hash(&body).as_bytes()), body.to_vec()))
            .await
            .map_err(ApiError::internal)?;
    let len = bytes.len() as u64;
    api.status
        .core
        .put_content(id, bytes)
        .await?
        .map_err(|reason| {
            ApiError::new(
                StatusCode::INSUFFICIENT_STORAGE,
                Code::Store,
                format!("the content could not be stored: {reason}"),
            )
        })?;
    api.fetcher.hold(id);
    Ok((
        StatusCode::CREATED,
        Json(ContentView {
            id: id.to_hex(),
            len,
        }),
    ))
}

/// The bytes of content, from this node or from a member that holds them. Check them against the id.
#[utoipa::path(get, path = "/v1/content/{id}", params(("id" = String, Path, description = "BLAKE3 of the bytes, in hexadecimal")), responses(
    (status = 200, description = "The bytes", content_type = "application/octet-stream"),
    (status = 404, description = "Nobody that is connected holds them", body = ErrorView),
    (status = 503, description = "Too many contents at one time", body = ErrorView),
))]
pub(super) async fn get(
    State(api): State<Api>,
    place: Place,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = parse_hash(&id)?;
    // Whoever goes away leaves a fetch behind, which keeps its place.
    let got = tokio::spawn(async move {
        let got = api.fetcher.get(id, None, Vec::new()).await;
        (got, place)
    });
    let (got, place) = got.await.map_err(ApiError::internal)?;
    let bytes = got?;
    let mut headers = HeaderMap::new();
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, octets);
    // The place is free when all has been taken.
    Ok(kept_bytes(headers, Bytes::from(bytes), place))
}
