//! What `frith doctor` looks at: this machine, a data directory, the network, the node that runs. It measures and judges;
//! it changes nothing, and needs no passphrase.
//!
//! A [`Check`] says what was measured, whether that is in order, and what to do when it isn't. The bounds stand beside
//! each check, with their reasons. What can't be measured here is a warning, never in order by default.

mod check;
mod clock;
mod directory;
mod machine;
mod network;
mod peers;

pub use check::{Check, State};
pub use clock::clock;
pub(crate) use clock::http_date;
pub use directory::{directory, keys};
pub use machine::{disk, memory, processors, versions};
pub use network::{node, ports, reached};
pub use peers::peers;
