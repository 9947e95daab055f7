//! How many bytes a second this node gives away: one bucket for all content that it serves.
//!
//! The bucket fills at its rate and holds a second's worth. Who takes more than there is gets a moment at which it may
//! go on; moments are given in the order of asking. Who would have to wait longer than [`WAIT_MAX`] is refused and takes
//! nothing: it would be gone by then, and so nobody can run up a debt. Consensus, batches and sync don't go through it: a node that
//! couldn't afford those has no business voting.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait: askers are patient for 5 s (`content::Download`). A slice of 256 KiB takes 4 s at the least rate.
const WAIT_MAX: Duration = Duration::from_millis(4500);
/// What the bucket holds at the most, in time at its rate.
const HELD: Duration = Duration::from_secs(1);

/// A bucket of bytes.
#[derive(Debug)]
pub struct Throttle {
    bytes_per_s: u64,
    /// When all that was given is paid for.
    paid: Mutex<Option<Instant>>,
}

impl Throttle {
    /// A bucket of so many bytes a second; 0 for no bound.
    #[must_use]
    pub fn new(bytes_per_s: u64) -> Self {
        Self {
            bytes_per_s,
            paid: Mutex::new(None),
        }
    }

    /// Waits until `bytes` may be given; `false` at once when that would be too late.
    #[must_use]
    pub async fn take(&self, bytes: u64) -> bool {
        let now = Instant::now();
        let Some(until) = self.reserve(now, bytes) else {
            return false;
        };
        if until > now {
            tokio::time::sleep_until(until.into()).await;
        }
        true
    }

    /// Takes `bytes` at `now`; when they may be given.
    fn reserve(&self, now: Instant, bytes: u64) -> Option<Instant> {
        if self.bytes_per_s == 0 {
            return Some(now);
        }
        let price = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64);
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        // What was not used for longer than a second is lost.
        let earliest = now.checked_sub(HELD).unwrap_or(now);
        let until = paid.map_or(earliest, |paid| paid.max(earliest)) + price;
        if until.saturating_duration_since(now) > WAIT_MAX {
            return None;
        }
        *paid = Some(until);
        Some(until.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn however_much_is_asked_for_at_once_the_rate_holds() {
        let throttle = Throttle::new(10 * MIB);
        let now = Instant::now();
        let given: Vec<Instant> = (0..1000)
            .filter_map(|_| throttle.reserve(now, MIB))
            .collect();
        // A second's worth at once, then ten a second, and nobody waits who would be gone by then.
        assert_eq!(given.len(), 10 + 45);
        let took = given.iter().max().map(|last| last.duration_since(now));
        let took = took.map(|took| took.as_secs_f64());
        assert!(
            took.is_some_and(|took| (4.49..=4.51).contains(&took)),
            "{took:?}"
        );
        // The refused owe nothing.
        let later = now + Duration::from_millis(4600);
        assert_eq!(throttle.reserve(later, MIB), Some(later));
    }

    #[test]
    fn what_was_not_used_is_kept_for_a_second_and_no_longer() {
        let throttle = Throttle::new(MIB);
        let now = Instant::now();
        assert_eq!(throttle.reserve(now, MIB), Some(now));
        let later = now + Duration::from_secs(100);
        assert_eq!(throttle.reserve(later, MIB), Some(later));
        let next = later + Duration::from_secs(1);
        assert_eq!(throttle.reserve(later, MIB), Some(next));
    }

    #[test]
    fn without_a_bound_nobody_waits() {
        let now = Instant::now();
        assert_eq!(Throttle::new(0).reserve(now, u64::MAX), Some(now));
    }
}
