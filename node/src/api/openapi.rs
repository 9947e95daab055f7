//! The API's description, made from its code.

use super::{content, events, health, history, ledger, metrics, operations, tasks};
use crate::views;
use axum::Json;
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

/// The OpenAPI document.
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
