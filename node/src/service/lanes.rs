//! What waits for the core, in the order in which it gets its turn.
//!
//! Votes, proposals and acknowledgements go first: all others wait for what comes of them, and they take little time. Then
//! batches of others, whose operations are further than those that are still to be batched, then submissions. Checking the
//! signatures of what may wait never delays what is about to be final. None goes without a turn: what is urgent lets others
//! by from time to time, and submissions share with the rest.
//!
//! What has begun to take long ends the round, so that what it brought about leaves.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Inputs that one round takes: what one sync of the disk is shared by.
const ROUND_MAX: usize = 128;
/// How long a round goes on taking inputs.
const ROUND_TIME: Duration = Duration::from_millis(5);
/// Urgent inputs in a row while others wait.
const URGENT_MAX: usize = 32;
/// Submissions that go between two inputs of [`Lane::Rest`] while such wait: some are checked in the time of one batch.
const SUBMISSIONS_MAX: usize = 8;

/// How soon an input gets its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// What takes little time and others wait for.
    Urgent,
    /// Batches, sync, questions.
    Rest,
    /// Operations to batch.
    Submission,
}

/// Inputs that wait, and the round that takes them.
#[derive(Debug)]
pub struct Lanes<T> {
    urgent: VecDeque<T>,
    rest: VecDeque<T>,
    submissions: VecDeque<T>,
    /// Urgent ones since one of the others, and submissions since one of the rest.
    passed: (usize, usize),
    taken: usize,
    began: Instant,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            urgent: VecDeque::new(),
            rest: VecDeque::new(),
            submissions: VecDeque::new(),
            passed: (0, 0),
            taken: 0,
            began: Instant::now(),
        }
    }
}

impl<T> Lanes<T> {
    /// Something more waits.
    pub fn push(&mut self, lane: Lane, input: T) {
        match lane {
            Lane::Urgent => self.urgent.push_back(input),
            Lane::Rest => self.rest.push_back(input),
            Lane::Submission => self.submissions.push_back(input),
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.urgent.len() + self.rest.len() + self.submissions.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A round begins.
    pub fn begin(&mut self) {
        self.taken = 0;
        self.began = Instant::now();
    }

    /// The next of this round; `None` when it ends or nothing waits.
    pub fn take(&mut self) -> Option<T> {
        if self.taken >= ROUND_MAX || (self.taken > 0 && self.began.elapsed() >= ROUND_TIME) {
            return None;
        }
        let next = self.pop();
        self.taken += usize::from(next.is_some());
        next
    }

    fn pop(&mut self) -> Option<T> {
        let others = !self.rest.is_empty() || !self.submissions.is_empty();
        if (!others || self.passed.0 < URGENT_MAX)
            && let Some(next) = self.urgent.pop_front()
        {
            self.passed.0 += 1;
            return Some(next);
        }
        self.passed.0 = 0;
        let turn = self.passed.1 < SUBMISSIONS_MAX && !self.submissions.is_empty();
        if turn || self.rest.is_empty() {
            self.passed.1 += 1;
            return self.submissions.pop_front();
        }
        self.passed.1 = 0;
        self.rest.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(lanes: &mut Lanes<char>, count: usize) -> String {
        (0..count).filter_map(|_| lanes.pop()).collect()
    }

    fn waiting(urgent: usize, rest: usize, submissions: usize) -> Lanes<char> {
        let mut lanes = Lanes::default();
        for (lane, name, count) in [
            (Lane::Submission, 's', submissions),
            (Lane::Rest, 'r', rest),
            (Lane::Urgent, 'u', urgent),
        ] {
            (0..count).for_each(|_| lanes.push(lane, name));
        }
        lanes
    }

    #[test]
    fn what_is_urgent_goes_first_and_lets_others_by() {
        let got = order(&mut waiting(100, 2, 0), 100);
        assert_eq!(got.find('r'), Some(URGENT_MAX));
        assert_eq!(order(&mut waiting(3, 1, 1), 3), "uuu");
    }

    #[test]
    fn neither_batches_nor_submissions_keep_the_other_out() {
        let got = order(&mut waiting(0, 50, 1_000), 500);
        let batches = got.chars().filter(|name| *name == 'r').count();
        assert_eq!(batches, 50);
        let got = order(&mut waiting(0, 1_000, 50), 500);
        let submissions = got.chars().filter(|name| *name == 's').count();
        assert_eq!(submissions, 50);
        assert_eq!(order(&mut waiting(0, 0, 3), 9), "sss");
    }

    #[test]
    fn a_round_ends_with_its_inputs_or_its_time_but_takes_one() {
        let mut lanes = waiting(0, 0, ROUND_MAX + 1);
        lanes.begin();
        lanes.began = Instant::now() + Duration::from_secs(60);
        assert_eq!(std::iter::from_fn(|| lanes.take()).count(), ROUND_MAX);
        lanes.begin();
        assert_eq!(lanes.take(), Some('s'));
        let mut late = waiting(0, 0, 2);
        late.begin();
        assert!(late.take().is_some());
        late.began -= ROUND_TIME;
        assert_eq!(late.take(), None);
        assert_eq!(late.len(), 1);
    }
}
