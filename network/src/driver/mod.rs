//! The one task that owns the swarm: connections, hellos, discovery, dialling.
//!
//! It never waits for the node or for a stream: events that the node has not room for wait in a
//! queue of its own, and when that is long the swarm is not polled until it is short again.
//! Everything that reads or writes a stream is a task of its own and belongs to its connection: it
//! ends with it.

mod bootstrap;
mod commands;
mod connection;
mod discovery;
mod greeting;
mod own_key;
mod run;

pub(crate) use commands::Command;
pub(crate) use run::{Beginning, Driver};
