//! Content: programs, inputs and results by their BLAKE3.

use super::error::ApiError;
use super::operations::parse_hash;
use super::router::Api;
use crate::codes::Code;
use crate::views::{ContentView, ErrorView};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use frith_ledger::hash::Hash;
use futures::StreamExt as _;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// One of the places for contents on their way, each of which may have 16 MiB. Taken before a body is read, and kept until
/// one is written.
pub(super) struct Place(OwnedSemaphorePermit);

impl FromRequestParts<Api> for Place {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let place = Arc::clone(&api.contents).try_acquire_owned();
        place.map(Self).map_err(|_| {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Busy,
                "too many contents are on their way at one time",
            )
        })
    }
}

/// Stores bytes at this node, for a task that names them. Other members fetch them from here.
#[utoipa::path(put, path = "/v1/content", request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 201, description = "Stored", body = ContentView),
    (status = 413, description = "More than 16 MiB", body = ErrorView),
    (status = 503, description = "Too many contents at one time", body = ErrorView),
    (status = 507, description = "No room for it", body = ErrorView),
))]
pub(super) async fn put(
    State(api): State<Api>,
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
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.len().to_string()),
    ];
    let whole = futures::stream::iter([Ok::<_, Infallible>(bytes)]);
    let kept = whole.chain(futures::stream::poll_fn(move |_| {
        // The place is free when all has been taken.
        let _place = &place.0;
        std::task::Poll::Ready(None)
    }));
    Ok((headers, Body::from_stream(kept)).into_response())
}
