//! What this machine can do: disk, signatures, tree, engines, consensus. Used by `frith bench` and `frith doctor`; never by a node
//! that runs.
//!
//! Each measurement takes about the time that it is given, works on data of its own, and removes what it wrote. Shared
//! machines are noisy: figures are medians or totals over the whole time, never the best moment.

mod consensus;
mod cpu;
mod crypto;
mod disk;
mod engines;
mod members;
mod overload;
mod transfers;
mod tree;

pub use consensus::{ConsensusFigures, Cores, Times, consensus};
pub use crypto::signature_checks_per_s;
pub use disk::{DiskFigures, disk};
pub use engines::{EngineFigures, KERNELS, engine_figures};
pub use overload::Overloaded;
pub use tree::{TreeFigures, tree};

use crate::failure::Failure;
use std::time::Duration;

/// A rate from a count and a time.
fn per_second(count: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

/// A measurement that could not be made.
fn failed(what: &str) -> impl Fn(String) -> Failure + '_ {
    move |reason| Failure::other(format!("cannot measure {what}: {reason}"))
}
