//! A whole network on one machine: real node processes with their own directories, keys and ports.
//!
//! [`plan`] makes the keys and the genesis, [`Devnet`] starts, kills and ends the processes.
//!
//! **Not for money**: all keys come from phrases that stand in this file, and all key files open with the
//! passphrase `devnet`. A devnet's genesis says so in its name.

mod plan;
mod processes;

pub use plan::{Plan, PlanOptions, WALLETS, load, plan};
pub use processes::{Devnet, DevnetOptions, PASSPHRASE, environment};
