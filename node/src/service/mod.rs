//! The running node: one thread that owns the core, and everything that talks to it.
//!
//! [`core`](Core) is a thread that owns [`frith_neighbourhood::node::Node`] and its store. It takes
//! [`Command`]s from a bounded queue, gives them to the core, and performs the core's outputs in order. What
//! a core writes is durable before what depends on it is sent: the first `Sync` of a round syncs all that
//! the round wrote, and everything after it goes out after it.
//!
//! Everything else holds a [`CoreHandle`]: the HTTP API, the worker, the fetcher, the network's events.
//! Queues are bounded; who is too fast waits.

mod admission;
mod alerts;
mod assemble;
mod clock;
pub mod content;
mod core;
mod counters;
mod disk;
mod due;
mod equivocate;
mod handle;
mod lanes;
pub mod logs;
mod network;
mod peers;
mod status;
mod throttle;
mod wanted;

pub use admission::Admission;
pub use alerts::{Alert, Alerts, Code, Facts, Severity, judge};
pub use assemble::{Service, ServiceConfig, Stopped};
pub use clock::{Clock, wall};
pub use content::{ContentError, Fetcher, Served};
pub use core::{Core, Outbound};
pub use counters::{Count, Counters};
pub use disk::DiskGuard;
pub use due::Due;
pub use handle::{Command, CoreError, CoreHandle, Progress};
pub use lanes::{Lane, Lanes};
pub use network::{Forwarded, NetworkOutbound, forward};
pub(crate) use status::seat_of;
pub use status::{StatusSource, resident_bytes};
pub use throttle::Throttle;
pub use wanted::Wanted;
