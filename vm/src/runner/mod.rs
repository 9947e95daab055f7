//! Compiles and runs modules in processes of their own, which hold no keys and can be killed.
//!
//! # The processes
//!
//! [`Runner`] (the parent's side) starts `program arguments…` with an empty environment, `/` as its working
//! directory, and pipes for standard input and output only. [`main`] (the child's side) must be the first
//! thing the program does. It
//!
//! 1. closes every descriptor above 2,
//! 2. gives up gaining privileges, core files, writing files and starting processes or threads, beyond the one
//!    thread with the large stack that does the work,
//! 3. takes the limits of address space, data and CPU time from the first message, and then requests.
//!
//! Compiling happens in a process that ends afterwards, so what a hostile module does to a compiler touches
//! only its own compiled form. Running happens in a process that serves up to `jobs_per_process` jobs, each
//! in a fresh store.
//!
//! # Messages
//!
//! Length-prefixed (`u32`, little-endian) SCALE, at most [`FRAME_BYTES_MAX`]; a frame's memory grows with
//! what arrives. The parent checks an answer against its job: a hijacked child can lie about its own job's
//! result, and nothing else.
//!
//! # Cache
//!
//! The parent keeps compiled modules in a private directory, named by a hash of module, limits, metering and
//! engine version, each with a keyed BLAKE3 hash over name and content (the key is a file in the directory).
//! A file that is cut short, changed or renamed doesn't verify; it is deleted and compiled anew, never loaded.
//! The oldest files go when the directory is too large.
//!
//! # Failures
//!
//! A child that crashes, is killed or runs into a limit makes [`crate::HostError`], never an outcome; the next
//! job starts a new child. Deadlines are the caller's: [`KillHandle::kill`] ends the job that runs.
//!
//! # Limits
//!
//! There is no system call filter: a child that was taken over could open sockets and read world-readable files.

mod cache;
mod child;
mod parent;
mod protocol;
mod sandbox;

pub use child::main;
pub use parent::{KillHandle, Runner, RunnerConfig};
pub use protocol::{FRAME_BYTES_MAX, Resources};
