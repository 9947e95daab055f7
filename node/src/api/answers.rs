//! The bytes of answers under way: what was built counts until its reader has taken it.
//!
//! Connections are bounded, and each buffers at most [`SMALL_BYTES`] itself, so answers up to that don't count. Larger
//! ones share [`Limits::answer_bytes_max`]: who asks when that is spent is told to come again, before anything is built
//! where it is known to be large. What all readers share (the genesis, the API's description) isn't built for anybody, and
//! content has places of its own.
//!
//! [`Limits::answer_bytes_max`]: super::router::Limits::answer_bytes_max

use super::error::ApiError;
use crate::codes::Code;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Semaphore;

/// An answer of so many bytes counts for nothing: what a connection may buffer.
pub(super) const SMALL_BYTES: usize = 64 * 1024;

/// Marks an answer whose bytes all readers share.
#[derive(Clone, Copy)]
struct Shared;

/// What is left of the bytes that may be under way. Cheap to clone.
#[derive(Clone)]
pub(super) struct Answers {
    left: Arc<Semaphore>,
    max: usize,
}

impl Answers {
    /// As many bytes as that.
    pub(super) fn new(max: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        Self {
            left: Arc::new(Semaphore::new(max)),
            max,
        }
    }

    /// Bytes that are under way.
    pub(super) fn under_way(&self) -> usize {
        self.max.saturating_sub(self.left.available_permits())
    }

    /// Whether a large answer may be built.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        if self.left.available_permits() >= SMALL_BYTES.min(self.max) {
            Ok(())
        } else {
            Err(spent())
        }
    }

    /// Counts an answer until it was taken; one for which nothing is left is dropped.
    pub(super) fn count(&self, response: Response) -> Response {
        let is_shared = response.extensions().get::<Shared>().is_some();
        let size = response.body().size_hint().exact();
        let Some(size) = size.and_then(|size| usize::try_from(size).ok()) else {
            // Streams have bounds of their own.
            return response;
        };
        if is_shared || size <= SMALL_BYTES {
            return response;
        }
        // One that is larger than all takes all.
        let counted = u32::try_from(size.min(self.max)).unwrap_or(u32::MAX);
        match self.left.clone().try_acquire_many_owned(counted) {
            Ok(permit) => {
                let (parts, body) = response.into_parts();
                Response::from_parts(parts, kept(body, permit))
            }
            Err(_) => spent().into_response(),
        }
    }
}

fn spent() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        Code::Busy,
        "too many answers wait until their readers take them",
    )
}

/// An answer whose bytes all readers share.
pub(super) fn shared_json(bytes: Bytes) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (kind, bytes).into_response();
    response.extensions_mut().insert(Shared);
    response
}

/// Bytes that keep something, a place or a permit, until their reader has taken them.
pub(super) fn kept_bytes<T: Send + Unpin + 'static>(
    headers: HeaderMap,
    bytes: Bytes,
    keep: T,
) -> Response {
    (headers, kept(Body::from(bytes), keep)).into_response()
}

fn kept<T: Send + Unpin + 'static>(body: Body, keep: T) -> Body {
    Body::new(Kept { body, _keep: keep })
}

/// A body that says that it is over only when it is asked after its last bytes: the server asks again when it has room
/// for more, so all but a connection's buffer was taken by then.
struct Kept<T> {
    body: Body,
    _keep: T,
}

impl<T: Send + Unpin + 'static> HttpBody for Kept<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn an_answer_is_not_over_with_its_last_bytes_but_when_its_reader_asks_for_more() {
        let mut body = kept(Body::from("bytes"), ());
        let last = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        assert!(last.is_some_and(|frame| frame.is_ok()));
        // A server lets go of a body that is over, with all that it keeps.
        assert!(!body.is_end_stream());
        let more = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        assert!(more.is_none());
    }
}
