//! Budgets: how long a peer has to wait before its next bytes are read.
//!
//! The generic cell rate algorithm (ITU-T I.371, virtual scheduling) in nanoseconds: each charge
//! moves a theoretical time on by what it costs at the sustained rate, and whoever is more than
//! [`BURST`] ahead of the clock waits. A charge may be larger than the burst: it is taken at once
//! and waited for afterwards, so that no frame is too large to ever pass. Pure: the clock comes in
//! from outside.

use std::time::Duration;

use crate::limits::{PeerBudget, Rate};
use crate::wire::Priority;

/// How much of its rate a peer may use at once.
const BURST: Duration = Duration::from_secs(2);

/// One rate and its theoretical times.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    bytes_due: Duration,
    messages_due: Duration,
}

impl Bucket {
    /// Charges one message of `bytes` at `now` and returns how long to wait before it is read.
    pub(crate) fn charge(&mut self, now: Duration, rate: Rate, bytes: u64) -> Duration {
        let wait = self.wait(now);
        self.bytes_due = self.bytes_due.max(now) + cost(bytes, rate.bytes_per_s);
        self.messages_due = self.messages_due.max(now) + cost(1, rate.messages_per_s);
        wait
    }

    /// Charges bytes that were already sent, as of a fetch's response.
    pub(crate) fn charge_bytes(&mut self, now: Duration, rate: Rate, bytes: u64) {
        self.bytes_due = self.bytes_due.max(now) + cost(bytes, rate.bytes_per_s);
    }

    fn wait(&self, now: Duration) -> Duration {
        self.bytes_due
            .max(self.messages_due)
            .saturating_sub(BURST)
            .saturating_sub(now)
    }
}

/// The time that `units` take at `per_s`; a rate of zero counts as one.
fn cost(units: u64, per_s: u64) -> Duration {
    const NANOS: u128 = 1_000_000_000;
    let nanos = u128::from(units) * NANOS / u128::from(per_s.max(1));
    // A day is longer than any limit of this crate allows a single charge to be, and keeps the sums
    // far from overflow.
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(Duration::from_secs(86_400))
}

/// What one peer has used, per class and for fetches.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    classes: [Bucket; 3],
    fetch: Bucket,
}

impl Budget {
    pub(crate) fn charge_frame(
        &mut self,
        now: Duration,
        of: &PeerBudget,
        class: Priority,
        bytes: u64,
    ) -> Duration {
        let rate = match class {
            Priority::Consensus => of.consensus,
            Priority::Control => of.control,
            Priority::Bulk => of.bulk,
        };
        self.classes[class.index()].charge(now, rate, bytes)
    }

    pub(crate) fn charge_fetch(&mut self, now: Duration, of: &PeerBudget, bytes: u64) -> Duration {
        self.fetch.charge(now, of.fetch, bytes)
    }

    pub(crate) fn charge_response(&mut self, now: Duration, of: &PeerBudget, bytes: u64) {
        self.fetch.charge_bytes(now, of.fetch, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds messages as fast as the bucket lets them and returns when the last one passed.
    fn last_pass(rate: Rate, bytes: u64, count: usize) -> Duration {
        let mut bucket = Bucket::default();
        let mut now = Duration::ZERO;
        for _ in 0..count {
            now += bucket.charge(now, rate, bytes);
        }
        now
    }

    #[test]
    fn what_is_within_the_burst_does_not_wait() {
        assert_eq!(last_pass(Rate::new(1000, 1000), 100, 20), Duration::ZERO);
    }

    #[test]
    fn a_flood_passes_at_the_rate_of_bytes_or_of_messages() {
        // 101 messages of 100 bytes at 1000 bytes/s: the last one passes when 10,000 bytes less the
        // burst are paid for.
        assert_eq!(
            last_pass(Rate::new(1000, 1000), 100, 101),
            Duration::from_secs(8)
        );
        assert_eq!(
            last_pass(Rate::new(1_000_000, 10), 1, 101),
            Duration::from_secs(8)
        );
    }

    #[test]
    fn a_message_larger_than_the_burst_passes_and_is_paid_for_afterwards() {
        let rate = Rate::new(1000, 1000);
        let mut bucket = Bucket::default();
        assert_eq!(bucket.charge(Duration::ZERO, rate, 10_000), Duration::ZERO);
        assert_eq!(
            bucket.charge(Duration::ZERO, rate, 1),
            Duration::from_secs(8)
        );
    }

    #[test]
    fn an_idle_peer_gains_no_more_than_the_burst() {
        let rate = Rate::new(1000, 1000);
        let mut bucket = Bucket::default();
        let later = Duration::from_secs(1000);
        assert_eq!(bucket.charge(later, rate, 2000), Duration::ZERO);
        assert_eq!(bucket.charge(later, rate, 1000), Duration::ZERO);
        assert_eq!(bucket.charge(later, rate, 1), Duration::from_secs(1));
    }

    #[test]
    fn classes_do_not_share() {
        let rate = Rate::new(1000, 1000);
        let of = PeerBudget {
            consensus: rate,
            control: rate,
            bulk: rate,
            fetch: rate,
        };
        let mut budget = Budget::default();
        budget.charge_frame(Duration::ZERO, &of, Priority::Bulk, 1_000_000);
        assert!(budget.charge_frame(Duration::ZERO, &of, Priority::Bulk, 1) > Duration::ZERO);
        assert_eq!(
            budget.charge_frame(Duration::ZERO, &of, Priority::Consensus, 1000),
            Duration::ZERO
        );
        assert_eq!(budget.charge_fetch(Duration::ZERO, &of, 1), Duration::ZERO);
    }
}
