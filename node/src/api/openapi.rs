//! The API's description, made from its code.

use super::answers::shared_json;
use super::error::ApiError;
use super::{content, events, health, history, ledger, logs, metrics, offers, operations, tasks};
use crate::views;
use axum::body::Bytes;
use axum::response::Response;
use std::sync::LazyLock;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Frith node",
        description = "The HTTP API of a Frith node. Amounts are decimal strings in credits; hashes and SCALE bytes are hexadecimal.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        operations::submit,
        operations::status,
        ledger::entity,
        history::page,
        ledger::root,
        ledger::block,
        ledger::genesis,
        tasks::status,
        tasks::list,
        offers::count,
        logs::of_task,
        content::put,
        content::get,
        events::stream,
        health::status,
        health::live,
        health::ready,
        metrics::scrape,
    ),
    components(schemas(views::ErrorView, views::EventView, views::Finality))
)]
struct Document;

/// The document, made once.
static DOCUMENT: LazyLock<Result<Bytes, String>> = LazyLock::new(|| {
    let text = serde_json::to_vec(&Document::openapi());
    text.map(Bytes::from).map_err(|error| error.to_string())
});

/// The OpenAPI document.
pub(super) async fn document() -> Result<Response, ApiError> {
    match &*DOCUMENT {
        Ok(bytes) => Ok(shared_json(bytes.clone())),
        Err(error) => Err(ApiError::internal(error)),
    }
}
