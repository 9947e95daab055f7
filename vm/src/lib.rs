//! Frith's virtual machine: validates, meters and runs WebAssembly so that every engine gives the same answer.
//! It never talks to a network, holds a key, or decides whether a module is acceptable by how long it takes.
//!
//! - [`meter::prepare`] validates a module by static rules ([`Limits`]) and instruments it: fuel, stack,
//!   memory limit, canonical NaNs. A module that breaks a rule gets a [`Refusal`], which is a result.
//! - [`mod@engine`] has the engines behind one trait; all of them run the instrumented module.
//! - [`host`] is what a guest can call: WASI preview 1 as far as it makes sense without files and network.
//! - [`runner`] compiles and runs in a process of its own, without keys, environment and descriptors.
//!
//! The specification is `docs/vm.md`; the modules' own documentation has the details.

pub mod engine;
mod excerpt;
pub mod host;
mod job;
mod limits;
pub mod meter;
mod refusal;
#[cfg(feature = "native")]
pub mod runner;
mod validate;

pub use engine::{EngineKind, engine, run_local};
pub use excerpt::{EXCERPT_PART_BYTES, Excerpt};
pub use job::{FUEL_LIMIT_MAX, HostError, Job, OUTCOME_CONTEXT, Outcome, Status, TrapKind};
pub use limits::{FEATURES, Limits, PAGE_BYTES};
pub use meter::{Entry, MemoryShape, Metadata, Metered, prepare, prepare_any};
pub use refusal::{Refusal, RefusalCode};
pub use validate::accepts;
