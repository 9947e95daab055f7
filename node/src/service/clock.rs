//! The node's clocks: milliseconds since the process began, never backwards, and the time of day.

use frith_ledger::units::{Millis, UnixMillis};
use frith_neighbourhood::Moment;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

    /// What it and the time of day show: what a core is told.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment::new(self.now(), wall())
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

/// The time of day of this machine; zero when it stands before 1970.
#[must_use]
pub fn wall() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since.map_or(0, |since| since.as_millis());
    UnixMillis::new(u64::try_from(ms).unwrap_or(u64::MAX))
}
