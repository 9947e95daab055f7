//! One connected peer, however many connections lead to it: its queues, its budget, its counters,
//! and the tasks that read and write its streams.

mod greeting;
mod queue;
mod state;
mod streams;

pub(crate) use greeting::{GreetError, accept, greet};
pub(crate) use state::Peer;
pub(crate) use streams::{StreamEnd, read_frames, read_payload, write_frames};
