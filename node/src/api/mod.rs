//! The node's HTTP API: JSON over HTTP/1.1 on loopback. It holds no user's key and takes signed operations.
//!
//! Invariants: every body, list and wait is bounded; an answer that isn't 2xx is an [`ErrorView`]; a request
//! whose `Host` isn't this machine is refused, so that a web page can't reach the API by rebinding its name
//! (`--api-public` lifts that). Reference: `docs/api.md`, and `/v1/openapi.json`, made from the code.
//!
//! [`ErrorView`]: crate::views::ErrorView

mod answers;
mod connections;
mod content;
mod cursor;
mod error;
mod events;
mod gate;
mod guard;
mod health;
mod history;
mod ledger;
mod logs;
mod metrics;
mod offers;
mod openapi;
mod operations;
mod router;
mod submission;
mod tasks;
#[cfg(test)]
mod tests;

pub use connections::serve;
pub use error::ApiError;
pub(crate) use error::refusal_body;
pub use router::{Api, Limits, router};
