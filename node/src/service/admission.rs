//! Whether the core would take an operation, found out without the core.
//!
//! The core tells after every round how much waits for a batch. Who submits looks there first, so an operation
//! that is told to come back later costs the core's thread nothing: no command, no wake-up, no
//! decoding. A view that is a round old is harmless either way: the core looks again itself, and an operation that
//! was refused too early comes back.

use frith_neighbourhood::{Limits, Occupancy, SubmitError};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How full the core's queue was after its last round. Relaxed: nothing else is ordered by it.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    operations: AtomicUsize,
    bytes: AtomicUsize,
}

impl Admission {
    /// Of a core with these bounds, whose queue is empty.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            operations: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// The core tells what waits.
    pub fn publish(&self, queued: Occupancy) {
        self.operations.store(queued.operations, Ordering::Relaxed);
        self.bytes.store(queued.bytes, Ordering::Relaxed);
    }

    /// Whether an encoded operation is worth a command to the core.
    ///
    /// # Errors
    /// [`SubmitError::Overloaded`], as the core would answer.
    pub fn check(&self, operation: &[u8]) -> Result<(), SubmitError> {
        let queued = Occupancy {
            operations: self.operations.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        };
        if self.limits.admits(queued, operation) {
            Ok(())
        } else {
            Err(SubmitError::Overloaded {
                retry_ms: self.limits.retry_max.get(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_turned_away_while_the_queue_was_full_last() {
        let limits = Limits {
            queue_operations_max: 8,
            ..Limits::default()
        };
        let retry_ms = limits.retry_max.get();
        let admission = Admission::new(limits);
        let (of_account, of_worker) = ([0; 100], [1; 100]);
        let waits = |operations| Occupancy {
            operations,
            bytes: 0,
        };
        assert_eq!(admission.check(&of_account), Ok(()));
        admission.publish(waits(7));
        let refused = Err(SubmitError::Overloaded { retry_ms });
        assert_eq!(admission.check(&of_account), refused);
        assert_eq!(admission.check(&of_worker), Ok(()));
        admission.publish(waits(8));
        assert_eq!(admission.check(&of_worker), refused);
        admission.publish(waits(6));
        assert_eq!(admission.check(&of_account), Ok(()));
    }
}
