//! Twins: every way in which a few rounds can be cut and led, with a member that runs twice.
//!
//! Bano, Sonnino, Chursin, Perelman, Li, Ching, Malkhi: "Twins: BFT Systems Made Robust" (2020). A faulty member
//! is two correct processes with one key that don't know of each other, so it equivocates, forgets and splits
//! without a line of faulty code. A *scenario* gives each round a partition of the processes and a leader. A
//! message of view v is delivered in round v (or in the round that it is sent in, when that is later), inside the
//! sender's part, or never. After the last round the network is whole: no fork may ever show, and all correct
//! members must commit again.
//!
//! - [`cluster`]: the real consensus core of each process, on rounds instead of time;
//! - [`search`]: all scenarios of a committee of four, and random ones of a larger one.
//!
//! What is checked is the consensus core alone: payloads are numbers, disks never fail, signatures are real.

pub mod cluster;
mod host;
pub mod search;
