//! What a Frith task is to the program inside it; never what the network does with the result.
//!
//! A task is a WebAssembly program of the WASI preview 1 kind (`wasm32-wasip1`). Its world is small and the same for
//! every worker that runs it:
//!
//! - standard input is the task's input, standard output its result, and the exit status is part of the result;
//! - standard error is for the one who tries the program out: it is no part of the result;
//! - arguments and environment come from the task; argument 0 is the program's name, as everywhere;
//! - the realtime clock stands still, and randomness is derived from the task and the beacon that assigned it;
//! - there are no sockets and no files.
//!
//! A program needs nothing of this crate: one that reads standard input and writes standard output is a task. The crate
//! adds what most tasks want anyway: bounded input, typed `key=value` parameters, an output whose failures are not lost,
//! a reproducible random generator, and errors that become documented exit statuses.
//!
//! ```no_run
//! use frith_guest::{Failure, Task};
//! use std::io::Write;
//!
//! fn main() -> std::process::ExitCode {
//!     frith_guest::run(double)
//! }
//!
//! fn double(task: &mut Task<'_>) -> Result<(), Failure> {
//!     let mut params = task.params()?;
//!     let n = params.take_in("n", 21, 0..=1_000u64)?;
//!     params.finish()?;
//!     writeln!(task.output(), "{}", n * 2)?;
//!     Ok(())
//! }
//! ```
//!
//! The same function runs natively, without a node or an engine, in a unit test: see [`Trial`].
//!
//! # Exit statuses
//!
//! | status | meaning |
//! | --- | --- |
//! | 0 | the result on standard output is complete |
//! | 1 | the program failed ([`Failure::program`]) |
//! | 2 | a parameter was missing, unknown or out of range |
//! | 3 | the input was too long, unreadable or not what the program reads |
//! | 4 | the result could not be written |
//! | 5 | the host gave no randomness |
//! | 16–125 | the program's own ([`Failure::with_status`]) |
//!
//! A panic is none of these: it traps, and the trap is the task's result. Statuses above 125 are refused by WASI hosts.
//!
//! # Determinism
//!
//! Workers are paid when their results are equal byte for byte. A WASI program has nothing to read that differs between
//! workers, floats included (WebAssembly fixes their arithmetic, and the ledger's instrumentation fixes NaNs). What is
//! left is randomness on purpose: iteration over `std::collections::HashMap` follows the random seed, so it is equal
//! among the workers of one task and differs between two tasks. Programs whose result should not depend on the task's
//! identity use `BTreeMap`, and no [`Task::random`].
//!
//! Sources: WASI snapshot preview 1 (witx revision of 2020-12-10).

mod failure;
mod input;
pub mod limits;
mod output;
mod params;
mod random;
mod task;
mod trial;

pub use failure::{Failure, STATUS_OWN_MAX, STATUS_OWN_MIN};
pub use output::Output;
pub use params::Params;
pub use random::Random;
pub use task::{Task, run};
pub use trial::Trial;
