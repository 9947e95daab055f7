//! Whether the core would take an operation, found out without the core.
//!
//! The core tells after every round how much waits for a batch, and when it takes a submission in hand. Who submits
//! looks there first, so an operation that is told to come back later costs the core's thread nothing: no command,
//! no wake-up, no decoding. And few submissions are on their way to the core at one time, so that votes and
//! proposals, which come by the same way, never stand behind thousands of signature checks.
//!
//! A view that is a round old is harmless either way: the core looks again itself, and an operation that was
//! refused too early comes back.

use frith_neighbourhood::{Limits, Occupancy, SubmitError};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Users' operations that are on their way to the core at one time: some milliseconds of signature checks.
const UNDER_WAY_MAX: usize = 64;

/// How full the core's queue was after its last round. Relaxed: nothing else is ordered by it.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    operations: AtomicUsize,
    bytes: AtomicUsize,
    under_way: AtomicUsize,
}

/// An operation's place on the way to the core. Given back when it is dropped before [`Place::sent`].
#[derive(Debug)]
#[must_use]
pub struct Place<'a>(&'a Admission);

impl Place<'_> {
    /// The core has it now, and says [`Admission::taken`].
    pub fn sent(self) {
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken();
    }
}

impl Admission {
    /// Of a core with these bounds, whose queue is empty.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            operations: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        }
    }

    /// The core tells what waits.
    pub fn publish(&self, queued: Occupancy) {
        self.operations.store(queued.operations, Ordering::Relaxed);
        self.bytes.store(queued.bytes, Ordering::Relaxed);
    }

    /// The core takes a submission in hand.
    pub fn taken(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// What waited when the core told last.
    #[must_use]
    pub fn queued(&self) -> Occupancy {
        Occupancy {
            operations: self.operations.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// Whether the core's queue, when it told last, took such an operation.
    #[must_use]
    pub fn has_room(&self, operation: &[u8]) -> bool {
        self.limits.admits(self.queued(), operation)
    }

    /// A place for an encoded operation on the way to the core.
    ///
    /// # Errors
    /// [`SubmitError::Overloaded`], as the core would answer.
    pub fn enter(&self, operation: &[u8]) -> Result<Place<'_>, SubmitError> {
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let place = Place(self);
        let retry = if !self.has_room(operation) {
            self.limits.retry_max
        } else if before >= UNDER_WAY_MAX && Limits::is_users(operation) {
            self.limits.retry_min
        } else {
            return Ok(place);
        };
        Err(SubmitError::Overloaded {
            retry_ms: retry.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_ACCOUNT: [u8; 100] = [0; 100];
    const OF_WORKER: [u8; 100] = [1; 100];

    fn enters(admission: &Admission, operation: &[u8]) -> bool {
        admission.enter(operation).is_ok()
    }

    #[test]
    fn operations_are_turned_away_while_the_queue_was_full_last() {
        let admission = Admission::new(Limits {
            queue_operations_max: 8,
            ..Limits::default()
        });
        for (operations, of_account, of_worker) in [
            (0, true, true),
            (7, false, true),
            (8, false, false),
            (6, true, true),
        ] {
            admission.publish(Occupancy {
                operations,
                bytes: 0,
            });
            assert_eq!(enters(&admission, &OF_ACCOUNT), of_account, "{operations}");
            assert_eq!(enters(&admission, &OF_WORKER), of_worker, "{operations}");
        }
    }

    #[test]
    fn users_operations_on_the_way_are_bounded_and_make_room_when_they_are_taken_or_given_up() {
        let admission = Admission::new(Limits::default());
        for _ in 0..UNDER_WAY_MAX {
            admission.enter(&OF_ACCOUNT).expect("has a place").sent();
        }
        assert!(!enters(&admission, &OF_ACCOUNT));
        assert!(enters(&admission, &OF_WORKER));
        admission.taken();
        // It gives its place back at once, since nothing is sent.
        assert!(enters(&admission, &OF_ACCOUNT));
        assert!(enters(&admission, &OF_ACCOUNT));
    }
}
