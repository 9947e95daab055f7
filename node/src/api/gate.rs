//! A request's body of which no more is read ahead than its handler has room for.
//!
//! The parser of forms buffers whatever its stream has, up to the whole body, before it looks at the first part. Behind a
//! gate the stream has at most a window of bytes that the handler hasn't taken yet.

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// How many bytes may still be read. Relaxed: one task reads and takes.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<AtomicUsize>);

impl Gate {
    /// A gate through which so many bytes pass before any of them is taken. One piece of a body more may pass.
    pub(super) fn new(window: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(window)))
    }

    /// The body behind this gate.
    pub(super) fn before(&self, body: Body) -> Body {
        Body::new(Gated {
            body,
            gate: self.clone(),
        })
    }

    /// So many bytes were taken.
    pub(super) fn taken(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether nothing more is read until something is taken.
    pub(super) fn is_shut(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn passed(&self, bytes: usize) {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(bytes), Ordering::Relaxed);
    }
}

struct Gated {
    body: Body,
    gate: Gate,
}

impl HttpBody for Gated {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.gate.is_shut() {
            // Nobody is woken: the task that waits here is the one that takes, and it asks again after that.
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            self.gate.passed(bytes.len());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
