//! What tasks wrote to standard error: kept by the worker that ran them, asked for by anybody.
//!
//! 1. A worker keeps the excerpt of every run ([`RunLogs`]) for an hour, in memory, at most 64 MiB in all; the oldest go first.
//!    A restart loses them: they are for people, and `frith task run --local --as TASK` makes them again.
//! 2. Peers ask for one over `/frith/fetch/1` ([`super::content::FetchRequest::Logs`]), within the budgets of fetches.
//! 3. A node that is asked for the log of a task that it didn't run asks the workers that have or had places in it ([`ask`]),
//!    a few at one time, and passes on the first that answers: the word of one worker, which nothing proves.
//!
//! Standard error is no part of a result: replicas need not have the same, and a worker may claim any.

mod ask;
mod kept;

pub use ask::{Ran, Silent, ask, ran};
pub use kept::{KeptLog, LOG_TIME, LOGS_BYTES_MAX, RunLog, RunLogs};
