//! Content: programs, inputs and results by their BLAKE3.

use super::error::ApiError;
use super::operations::parse_hash;
use super::router::Api;
use crate::codes::Code;
use crate::views::{ContentView, ErrorView};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use frith_ledger::hash::Hash;

/// Stores bytes at this node, for a task that names them. Other members fetch them from here.
#[utoipa::path(put, path = "/v1/content", request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 201, description = "Stored", body = ContentView),
    (status = 413, description = "More than 16 MiB", body = ErrorView),
))]
pub(super) async fn put(
    State(api): State<Api>,
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
))]
pub(super) async fn get(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = parse_hash(&id)?;
    let bytes = api.fetcher.get(id, None, Vec::new()).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}
