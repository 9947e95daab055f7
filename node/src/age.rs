//! How old a root record is, in words: what it says may have changed since.

use crate::amounts::span;
use frith_ledger::parameters::Parameters;
use frith_ledger::units::UnixMillis;

/// A record is late when it is older than so many epochs, and than a minute.
const LATE_EPOCHS: u64 = 10;
const LATE_MS_MIN: u64 = 60_000;

/// How old a record is by this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    time: UnixMillis,
    now: UnixMillis,
    late_ms: u64,
    ahead_ms: u64,
}

impl Age {
    /// The age at `now` of a record of `time`.
    #[must_use]
    pub fn of(time: UnixMillis, now: UnixMillis, parameters: &Parameters) -> Self {
        let late = parameters.epoch_ms.saturating_mul(LATE_EPOCHS);
        Self {
            time,
            now,
            late_ms: late.max(LATE_MS_MIN),
            ahead_ms: parameters.clock_tolerance_ms(),
        }
    }

    /// The record's time.
    #[must_use]
    pub const fn time(&self) -> UnixMillis {
        self.time
    }

    /// In milliseconds; none for a record of a later time.
    #[must_use]
    pub const fn ms(&self) -> u64 {
        self.now.get().saturating_sub(self.time.get())
    }

    /// What to say when the record is far behind, or this machine's clock is.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let ahead = self.time.get().saturating_sub(self.now.get());
        if ahead > self.ahead_ms {
            return Some(format!(
                "the record's time is {} ahead of this machine's clock: set the clock (`frith doctor` checks it)",
                span(ahead)
            ));
        }
        (self.ms() > self.late_ms).then(|| {
            format!(
                "the newest record that the node shows is {} old, and what it says may have changed since: the network stands \
                 still, the node doesn't follow it (ask another one with --api), or this machine's clock is ahead",
                span(self.ms())
            )
        })
    }
}

impl std::fmt::Display for Age {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} old", span(self.ms()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_record_and_one_of_the_future_are_warned_of() {
        let parameters = Parameters::mainnet();
        let at = |time: u64| Age::of(UnixMillis::new(time), UnixMillis::new(500_000), &parameters);
        assert_eq!((at(400_000).ms(), at(400_000).warning()), (100_000, None));
        assert_eq!(at(400_000).to_string(), "1 min old");
        let late = at(399_999).warning().expect("more than ten epochs");
        assert!(late.contains("1 min old"), "{late}");
        assert_eq!((at(510_000).ms(), at(510_000).warning()), (0, None));
        let ahead = at(510_001).warning().expect("more than is tolerated");
        assert!(ahead.contains("10 s ahead"), "{ahead}");
        let short = Parameters::test();
        let age = Age::of(UnixMillis::new(440_000), UnixMillis::new(500_000), &short);
        assert_eq!(
            age.warning(),
            None,
            "a minute is no delay, however short the epochs"
        );
    }
}
