//! What an operator has to know before it costs money: judged from facts, kept, told when it changes.
//!
//! [`judge`] is a pure function from [`Facts`] to [`Alert`]s; a task gathers the facts every few seconds and after every
//! root record, which begins an epoch. An alert is *raised* when it is first true and *cleared* when it no longer is;
//! both are logged and told as events. The status lists what stands, and `/metrics` has one gauge for each code.
//! docs/operators.md says what each means and what to do; a test compares that list with [`Code::ALL`].

mod judge;
mod watch;

pub use judge::{Alert, Code, Facts, Severity, judge};
pub use watch::Alerts;
pub(super) use watch::Watch;
