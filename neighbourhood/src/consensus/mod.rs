//! One consensus instance.

mod certify;
mod chain;
mod core;
mod leader;
mod messages;
mod pacemaker;
mod proposals;
mod recovery;
mod safety;
mod setup;
mod tally;
mod tree;
mod verified;

pub use self::chain::FETCH_DEPTH;
pub use self::core::Consensus;
pub use self::messages::{ConsensusMessage, Effect, Fault, Proven};
pub use self::recovery::{RecoverError, Report, ReportRequest};
pub use self::safety::SafetyRecord;
#[cfg(any(test, feature = "planted-bugs"))]
pub use self::setup::Faults;
pub use self::setup::{Base, Head, Host, Parent, Setup, Verdict};

#[cfg(test)]
mod tests;
