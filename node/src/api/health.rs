//! Whether the node lives, is ready, and how it does.

use super::error::ApiError;
use super::router::Api;
use crate::views::{ErrorView, ReadyView, StatusView};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

/// The node on one screen.
#[utoipa::path(get, path = "/v1/status", responses(
    (status = 200, description = "The node's status", body = StatusView),
    (status = 503, description = "Shutting down", body = ErrorView),
))]
pub(super) async fn status(State(api): State<Api>) -> Result<Json<StatusView>, ApiError> {
    Ok(Json(api.status.status().await?))
}

/// Whether the process serves at all.
#[utoipa::path(get, path = "/health/live", responses((status = 200, description = "It lives")))]
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// Whether the node votes, sees a quorum, and is up to date.
#[utoipa::path(get, path = "/health/ready", responses(
    (status = 200, description = "Ready", body = ReadyView),
    (status = 503, description = "Not ready, and why", body = ReadyView),
))]
pub(super) async fn ready(
    State(api): State<Api>,
) -> Result<(StatusCode, Json<ReadyView>), ApiError> {
    let view = api.status.readiness().await?;
    let status = if view.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok((status, Json(view)))
}
