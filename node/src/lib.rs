//! What the `frith` binary is made of; never the protocol, which lives in the crates below.
//!
//! - [`cli`] is what users type; [`client`] asks a node, signs and checks proofs; [`keystore`] keeps keys, [`agent`] one that is
//!   unlocked.
//! - [`service`] runs the core, [`worker`] its tasks, [`api`] serves what [`views`] describe.
//! - [`backup`] brings a node back, [`doctor`] checks a machine, [`measure`] says what it can do.
//! - [`failure`] is why a command failed, [`codes`] what to do about every kind of error.
//! - [`age`] and [`amounts`] put times and counts in words.
//! - [`config`] and [`node_dir`] say how a node is set up; [`devnet`] sets up many.
//!
//! Invariants of absence: the API never sees a user's key; the process that runs a stranger's program
//! ([`VM_RUNNER`]) never sees any key, setting or descriptor; nothing but a proof decides what the client
//! says of a balance.

pub mod age;
pub mod agent;
pub mod amounts;
pub mod api;
pub mod backup;
mod checked_file;
pub mod cli;
pub mod client;
pub mod codes;
pub mod config;
pub mod devnet;
pub mod doctor;
pub mod failure;
#[cfg(test)]
mod fuzz;
pub mod keystore;
pub mod measure;
pub mod node_dir;
pub mod present;
pub mod service;
mod text;
pub mod views;
pub mod worker;

/// First argument of the process that compiles and runs tasks' programs.
pub const VM_RUNNER: &str = "vm-runner";
