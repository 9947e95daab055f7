//! A budget that fills with time.

use frith_ledger::units::Millis;

/// So many bytes a second, twice as many at once.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    per_s: u64,
    left: u64,
    at: Millis,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub const fn new(per_s: u64, now: Millis) -> Self {
        Self {
            per_s,
            left: per_s.saturating_mul(2),
            at: now,
        }
    }

    /// Whether anything is left; what is taken then may be more, and is owed.
    pub fn has_room(&mut self, now: Millis) -> bool {
        let passed = now.minus(self.at.get()).get();
        self.at = self.at.max(now);
        let filled = self
            .left
            .saturating_add(passed.saturating_mul(self.per_s) / 1000);
        self.left = filled.min(self.per_s.saturating_mul(2));
        self.left > 0
    }

    /// Takes `bytes`.
    pub fn take(&mut self, bytes: usize) {
        self.left = self
            .left
            .saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bucket_fills_with_time() {
        let mut bucket = Bucket::new(1000, Millis::ZERO);
        assert!(bucket.has_room(Millis::ZERO));
        bucket.take(5000);
        assert!(!bucket.has_room(Millis::ZERO));
        assert!(bucket.has_room(Millis::new(10)));
    }
}
