//! Real sockets on loopback, few nodes each. Tests wait on events, under one generous guard, and
//! never on time.

mod discovery;
mod faults;
mod fetching;
mod messages;
mod support;
mod twins;
