//! Compiles and runs modules in processes of their own, which hold no keys and can be killed.
//!
//! # The processes
//!
//! [`Runner`] (the parent's side) starts `program arguments…` with an empty environment, `/` as its working
//! directory, and pipes for standard input and output only. [`main`] (the child's side) must be the first
//! thing the program does. It
//!
//! 1. has the kernel kill it when its parent ends (Linux),
//! 2. closes every descriptor above 2,
//! 3. gives up gaining privileges, core files, writing files,
//! 4. fences itself off from all files, TCP and other processes (landlock, as far as the kernel has it), and starts
//!    a thread that ends the process when the parent's end of standard input closes, and the one thread with the large stack
//!    that does the work,
//! 5. takes the limits of address space, data and CPU time from the first message, and sets them,
//! 6. has the kernel refuse every system call but the few that computing on memory and the two pipes needs (seccomp),
//! 7. says how far this machine could do 4 and 6 ([`Confinement`]), and takes requests.
//!
//! The child never opens a file: compiled modules go through the parent, over the pipes.
//!
//! Compiling happens in a process that ends afterwards, so what a hostile module does to a compiler touches
//! only its own compiled form. Running happens in a process that serves up to `jobs_per_process` jobs, each
//! in a fresh store.
//!
//! A child ends with its parent, also in the middle of a job: the kernel kills it (`spawner` keeps the thread that the kernel
//! goes by), and it watches its pipe (`lifeline`). Should both fail, [`CpuAllowance`] bounds what the job's fuel may take.
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
//! job starts a new child. Deadlines are the caller's: [`Cancel::cancel`] ends a job, wherever it is.
//!
//! # Limits
//!
//! The filter stands on Linux on x86-64 and AArch64, the fence on Linux from 5.13 on. What is left to a child that was
//! taken over: its own memory and CPU time, lies about the jobs it gets, and the kernel's code behind thirty calls.

mod cache;
mod cancel;
mod child;
mod cpu;
mod lifeline;
mod parent;
mod protocol;
mod sandbox;
mod spawner;

pub use cancel::Cancel;
pub use child::{main, main_after};
pub use cpu::CpuAllowance;
pub use parent::{KillHandle, Runner, RunnerConfig};
pub use protocol::{FRAME_BYTES_MAX, Resources};
pub use sandbox::{Confinement, Fence};
