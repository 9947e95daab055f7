//! What happens, as it happens: server-sent events.

use super::error::ApiError;
use super::router::Api;
use crate::codes::Code;
use crate::views::{ErrorView, EventView};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use std::convert::Infallible;
use std::sync::Arc;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

/// Blocks, roots and tasks from now on, one JSON object an event. Who reads too slowly gets a `lagged`.
#[utoipa::path(get, path = "/v1/events", responses(
    (status = 200, description = "A stream of events", body = EventView, content_type = "text/event-stream"),
    (status = 503, description = "Too many streams", body = ErrorView),
))]
pub(super) async fn stream(
    State(api): State<Api>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let permit = Arc::clone(&api.streams).try_acquire_owned().map_err(|_| {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Busy,
            "too many event streams at one time",
        )
    })?;
    let mut ending = api.ending.clone();
    let ended = async move {
        let _sender_gone = ending.wait_for(|ending| *ending).await.is_err();
    };
    let stream = BroadcastStream::new(api.status.core.events())
        .map(|event| match event {
            Ok(event) => event,
            Err(BroadcastStreamRecvError::Lagged(skipped)) => EventView::Lagged { skipped },
        })
        .map(move |event| {
            // The permit lives as long as the stream.
            let _permit = &permit;
            Ok(Event::default().json_data(&event).unwrap_or_default())
        })
        .take_until(ended);
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}
