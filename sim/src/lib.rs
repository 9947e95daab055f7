//! A discrete-event simulator of whole neighbourhood cores: virtual time, one seed, faults, checkers and
//! adversaries. It never opens a socket or a file, reads a clock or starts a thread.
//!
//! A run has three phases. While the *faults* of the scenario strike, only safety is demanded, after every
//! event. Then everything *heals*: all correct nodes are up, nothing is lost. Last, *progress* is demanded
//! within a bounded virtual time. A seed names a run entirely: run twice, it gives the same trace hash.
//!
//! - [`scenario`]: what a seed stands for: members, faults, adversaries, weather;
//! - [`world`]: the clock, the queue of events, the machines, and what performs their nodes' outputs;
//! - [`host`]: one machine: its disk, its node, its life;
//! - [`network`]: delay, loss, duplicates, partitions;
//! - [`faults`], [`adversaries`]: what goes wrong by accident and on purpose;
//! - [`checkers`]: the invariants;
//! - [`workload`]: users who transfer and submit tasks, owners whose workers come and go;
//! - [`twins`]: the consensus core alone, in every way in which a few rounds can be cut and led;
//! - [`report`]: what a run says in the end.

pub mod adversaries;
pub mod checkers;
pub mod faults;
pub mod host;
pub mod network;
pub mod random;
pub mod report;
pub mod scenario;
pub mod twins;
pub mod workload;
pub mod world;

pub use report::Report;
pub use scenario::Scenario;
pub use world::{Failure, run};
