//! The node's clock: milliseconds since the process began, never backwards.

use frith_ledger::units::Millis;
use std::time::{Duration, Instant};

/// A monotonic clock. Cores take its readings; they never read a clock themselves.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time on it.
    #[must_use]
    pub fn now(&self) -> Millis {
        Millis::new(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// How long until `at`; nothing when it has passed.
    #[must_use]
    pub fn until(&self, at: Millis) -> Duration {
        // A moment more than asked: waking before the deadline would only mean waking again.
        Duration::from_millis(at.get()).saturating_sub(self.0.elapsed())
    }

    /// Time since its beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
