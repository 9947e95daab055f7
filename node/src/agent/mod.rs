//! The agent: a process that holds one unlocked account key and signs operations with it, so that not every command
//! pays for scrypt; never more than that key, never after its time, and it gives the key to nobody.
//!
//! # Invariants
//!
//! - The key leaves the agent's memory in no direction: requests carry operations, answers carry signatures. It signs
//!   operations of its own account only; no vote, no consent, no bytes that somebody else hashed.
//! - Only processes of the same user are answered: the folder of the socket is the owner's alone (0700), the socket too
//!   (0600), and the system says who is at the other end before a byte is read.
//! - The key's memory is overwritten when the agent ends: told to lock, at the end of its time, or by SIGTERM, SIGINT and
//!   SIGHUP. No core file, no debugger of the same user (`harden`); kept from swap where the system allows it.
//! - Whoever asks pays little and can take little: `FRAME_BYTES_MAX` a request, `CONNECTIONS_MAX` at a time,
//!   `REQUEST_TIME_MAX` each.
//!
//! # Steps
//!
//! 1. `frith key unlock` takes the passphrase, pays for scrypt once, starts this program again as the agent with an empty
//!    environment, and hands it the key through a pipe ([`Hand`]).
//! 2. The agent leaves the terminal's session, hardens itself, binds `<home>/agent/<key>.sock`, says that it is ready,
//!    and serves one request a connection.
//! 3. A command that needs a signature asks the agent of its key, if there is one, checks the signature, and goes on. If
//!    none answers, it asks for the passphrase as ever.
//!
//! # Limits
//!
//! Who can run programs as the same user can have operations signed while the key is unlocked, as they could read what is
//! typed on the terminal. The worker's key has no agent: a node takes it once per start (docs/decisions/060).

mod client;
mod hold;
mod server;
mod wire;

pub use client::{Agent, AgentError, all, socket_path};
pub use hold::{Hand, Started, run, start};
pub use wire::Described;
