//! The worker: runs the tasks that it is drawn for, and says what it found.
//!
//! After every commit [`frith_tasks::worker::plan`] says what is next: runs to start, operations to submit.
//!
//! 1. A run takes program and input (from the own store, else from other members, checked by BLAKE3) to the
//!    runner process, on the engine that the place was drawn for.
//! 2. What it gives is kept in memory until the task ends. A crash loses nothing: salts are derived, and
//!    running again gives the same result.
//! 3. A result longer than the ledger takes becomes content in the own store, from where others fetch it.
//! 4. What fails on the host's side is never a result: the run is tried again, with growing pauses.
//!
//! Limits: `slots` runs at one time, each at most `run_seconds_max`; one submission of each operation every
//! `RESUBMIT_HEIGHTS` blocks.

mod run;
mod step;

pub use run::{JobRunner, RunFailure, give_way};
pub(crate) use run::{runner_config, vm_job};
pub use step::{Worker, WorkerConfig};
