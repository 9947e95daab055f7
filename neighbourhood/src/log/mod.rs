//! A replicated log: opaque commands in one order, agreed on by a committee of chosen members.
//!
//! The core of a small consensus group. It runs the same [consensus](crate::consensus) as a leaf, without
//! the ledger: nothing is executed, commands are bytes, and who may submit them is the host's business.
//! Sans-IO like the node: [`Input`]s in, [`Output`]s out, in order.
//!
//! # The protocol
//!
//! 1. A member gathers submitted commands into a batch, keeps it, and pushes it to the others.
//! 2. Who keeps a batch says so to all ([`LogMessage::Held`]). It is not signed and proves nothing: it only
//!    tells a leader that naming the batch won't make the others wait. While enough of such batches wait for
//!    the next blocks, the news are gathered for up to `held_delay`.
//! 3. The leader of a view proposes the batches that a quorum holds, in the order in which they came to it.
//! 4. A member votes for a block only when it keeps every batch in it, and none is in the chain below.
//!    The record that the vote depends on is synced after the batches were written, so a certified
//!    block's batches are as durable as its votes. What is missing is asked for by digest.
//! 5. A block is committed as in [`crate::consensus`]. The state after it is a running hash over the
//!    batches, and the number of commands.
//! 6. A member that is far behind copies committed blocks and their batches from the others.
//!
//! # Invariants
//!
//! - All members commit the same batches in the same order; no batch twice.
//! - A command is in at most one batch of the member that took it in. Given to two members it appears
//!   twice: commands that must not are to carry a number of their own.
//! - With [`Durability::Disk`] nothing is said to be final before a quorum has it on disk.
//!
//! # Limits
//!
//! At most `author_batches_max` batches of a member wait to be committed, and as many that it passed on; more are
//! kept only when a block needs them. A queue that is
//! full refuses commands with a time to come back at. Memory holds what waits and the digests under
//! way, never the log. The committee is fixed; a log is never pruned by itself.
//!
//! # Sources and deviations
//!
//! Batches apart from blocks, named by digest: Danezis, Kokoris-Kogias, Sonnino, Spiegelman, "Narwhal and
//! Tusk" (2022), section 3. There a quorum signs for each batch and voters need not hold it; here voters
//! hold it, so the votes themselves say that it is available, and no signature is made for a batch. There
//! is no inclusion rule as in [`crate::leaf`]: a faulty leader can leave commands out in its own views.

mod api;
mod blocks;
mod core;
mod gather;
mod host;
mod messages;
mod open;
mod persist;
mod pool;
mod serving;

pub use api::{
    Durability, Input, LogConfig, LogError, LogLimits, LogStatus, OpenLogError, Output, Source,
};
pub use core::Log;
pub use messages::LogMessage;

#[cfg(test)]
mod tests;
