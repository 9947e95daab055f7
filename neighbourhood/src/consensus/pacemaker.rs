//! When to give up on a view.
//!
//! The timer runs only while there is something to decide, so an idle instance is silent. Its length
//! doubles with each view that ended without a certificate since the last *commit*, up to a limit. A
//! certificate alone doesn't shorten it: two views in a row must fit, or they would never both
//! succeed when a round trip is longer than the first timeout.

use frith_ledger::units::{Millis, View};

/// Doublings are counted no further.
const DOUBLINGS_MAX: u32 = 20;

/// The timer of the current view.
#[derive(Debug, Clone)]
pub(super) struct Pacemaker {
    first: Millis,
    last: Millis,
    /// Views that timed out since the last commit.
    failures: u32,
    /// How often the current view's timeout was sent.
    sent: u32,
    sent_at: Millis,
    deadline: Option<Millis>,
    /// The current view.
    pub(super) view: View,
}

impl Pacemaker {
    pub(super) fn new(first: Millis, last: Millis, view: View) -> Self {
        let first = first.max(Millis::new(1));
        let last = last.max(first);
        Self {
            first,
            last,
            failures: 0,
            sent: 0,
            sent_at: Millis::ZERO,
            deadline: None,
            view,
        }
    }

    /// Enters a later view. `failed`: the view before ended without a certificate.
    pub(super) fn enter(&mut self, view: View, failed: bool) {
        self.view = view;
        self.sent = 0;
        self.deadline = None;
        if failed {
            self.failures = (self.failures + 1).min(DOUBLINGS_MAX);
        }
    }

    /// Something was committed: the timeout suffices.
    pub(super) fn committed(&mut self) {
        self.failures = 0;
    }

    /// Starts the timer when something is to be decided, stops it when not.
    pub(super) fn run(&mut self, now: Millis, wanted: bool) {
        if !wanted {
            self.deadline = None;
        } else if self.deadline.is_none() {
            self.deadline = Some(now.plus(self.length()));
        }
    }

    /// The timeout of the current view was sent (again).
    pub(super) fn sent(&mut self, now: Millis) {
        self.sent = (self.sent + 1).min(DOUBLINGS_MAX);
        self.sent_at = now;
        self.deadline = Some(now.plus(self.length()));
    }

    /// Whether this view was given up.
    pub(super) fn gave_up(&self) -> bool {
        self.sent > 0
    }

    /// Whether the timeout was sent long enough ago to be sent again to who may have missed it.
    pub(super) fn may_repeat(&self, now: Millis) -> bool {
        self.gave_up() && now >= self.sent_at.plus(self.pause())
    }

    /// The least time between two unasked-for repetitions to one member.
    pub(super) fn pause(&self) -> u64 {
        (self.first.get() / 2).max(1)
    }

    /// Whether the timer has run out. It starts anew then.
    pub(super) fn expires(&mut self, now: Millis) -> bool {
        self.deadline.take_if(|deadline| *deadline <= now).is_some()
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.deadline
    }

    fn length(&self) -> u64 {
        let doublings = (self.failures + self.sent.saturating_sub(1)).min(DOUBLINGS_MAX);
        self.first
            .get()
            .saturating_mul(1 << doublings)
            .min(self.last.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(pacemaker: &mut Pacemaker) -> Option<u64> {
        pacemaker.run(Millis::ZERO, true);
        pacemaker.deadline().map(Millis::get)
    }

    #[test]
    fn timeouts_double_until_a_commit_and_not_past_the_limit() {
        let mut pacemaker = Pacemaker::new(Millis::new(100), Millis::new(350), View::new(1));
        assert_eq!(length(&mut pacemaker), Some(100));
        pacemaker.enter(View::new(2), true);
        assert_eq!(length(&mut pacemaker), Some(200));
        pacemaker.enter(View::new(3), false);
        assert_eq!(length(&mut pacemaker), Some(200));
        pacemaker.enter(View::new(4), true);
        assert_eq!(length(&mut pacemaker), Some(350));
        pacemaker.committed();
        pacemaker.enter(View::new(5), false);
        assert_eq!(length(&mut pacemaker), Some(100));
    }

    #[test]
    fn an_idle_view_has_no_deadline() {
        let mut pacemaker = Pacemaker::new(Millis::new(100), Millis::new(100), View::new(1));
        pacemaker.run(Millis::ZERO, true);
        pacemaker.run(Millis::ZERO, false);
        assert_eq!(pacemaker.deadline(), None);
    }
}
