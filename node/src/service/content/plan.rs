//! Which slice is asked of which source. Pure: times and answers come from outside.

use std::collections::{BTreeMap, VecDeque};

/// Slices of one content that one source may owe: four contents at one time are then what it serves at once.
pub const WINDOW_MAX: usize = 2;
/// Times that a source may be slow or busy before it is left out.
const STRIKES_MAX: u32 = 3;

/// Groups to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// What went wrong with a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Its bytes were not the content's: it is asked no more.
    Bad,
    /// It hasn't got the content: it is asked no more.
    Lacks,
    /// It took too long, or was busy.
    Slow,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    owes: usize,
    window: usize,
    strikes: u32,
}

/// Slices of one content, and its sources.
#[derive(Debug)]
pub struct Plan<S> {
    waiting: VecDeque<Job>,
    owed: usize,
    sources: BTreeMap<S, Source>,
}

impl<S: Ord + Copy> Plan<S> {
    /// These slices of these sources.
    #[must_use]
    pub fn new(jobs: impl IntoIterator<Item = Job>, sources: impl IntoIterator<Item = S>) -> Self {
        let source = Source {
            owes: 0,
            window: 1,
            strikes: 0,
        };
        Self {
            waiting: jobs.into_iter().collect(),
            owed: 0,
            sources: sources.into_iter().map(|key| (key, source)).collect(),
        }
    }

    /// What to ask next, of whom: the source with the most room.
    pub fn ask(&mut self) -> Option<(S, Job)> {
        let room = |source: &Source| source.window.saturating_sub(source.owes);
        let (key, source) = self
            .sources
            .iter_mut()
            .filter(|(_, source)| room(source) > 0)
            .max_by_key(|(_, source)| room(source))?;
        let job = self.waiting.pop_front()?;
        source.owes += 1;
        self.owed += 1;
        Some((*key, job))
    }

    /// A slice came and held: its source may owe one more.
    pub fn came(&mut self, from: &S) {
        self.owed = self.owed.saturating_sub(1);
        if let Some(source) = self.sources.get_mut(from) {
            source.owes = source.owes.saturating_sub(1);
            source.window = (source.window + 1).min(WINDOW_MAX);
            source.strikes = 0;
        }
    }

    /// A slice didn't come, or didn't hold: `job`, what is missing of it, is asked again, of others first.
    pub fn failed(&mut self, from: &S, job: Job, failure: Failure) {
        self.owed = self.owed.saturating_sub(1);
        self.waiting.push_front(job);
        let Some(source) = self.sources.get_mut(from) else {
            return;
        };
        source.owes = source.owes.saturating_sub(1);
        source.window = 1;
        source.strikes += 1;
        if failure != Failure::Slow || source.strikes >= STRIKES_MAX {
            self.sources.remove(from);
        }
    }

    /// Whether every slice came.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.owed == 0
    }

    /// Whether nobody is left to ask.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.owed == 0 && self.sources.is_empty() && !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(count: u32) -> impl Iterator<Item = Job> {
        (0..count).map(|first| Job { first, count: 1 })
    }

    #[test]
    fn slices_are_asked_of_all_sources_and_whoever_brings_is_asked_for_more() {
        let mut plan = Plan::new(jobs(9), ['a', 'b']);
        let first: Vec<char> = std::iter::from_fn(|| plan.ask()).map(|(s, _)| s).collect();
        assert_eq!(first.len(), 2);
        assert_ne!(first[0], first[1]);
        plan.came(&'a');
        let more: Vec<char> = std::iter::from_fn(|| plan.ask()).map(|(s, _)| s).collect();
        assert_eq!(more, ['a', 'a']);
        assert!(!plan.is_done() && !plan.is_stuck());
    }

    #[test]
    fn who_lied_is_asked_no_more_and_its_slice_is_asked_of_another() {
        let mut plan = Plan::new(jobs(1), ['a']);
        let (source, job) = plan.ask().expect("a slice");
        plan.failed(&source, job, Failure::Bad);
        assert_eq!(plan.ask(), None);
        assert!(plan.is_stuck());
        let mut plan = Plan::new(jobs(2), ['a', 'b']);
        let (liar, job) = plan.ask().expect("a slice");
        let (honest, _) = plan.ask().expect("a slice");
        plan.failed(&liar, job, Failure::Bad);
        plan.came(&honest);
        assert_eq!(plan.ask(), Some((honest, job)));
        plan.came(&honest);
        assert!(plan.is_done());
    }

    #[test]
    fn who_is_slow_three_times_in_a_row_is_left_out() {
        let mut plan = Plan::new(jobs(1), ['a']);
        for _ in 0..STRIKES_MAX {
            let (source, job) = plan.ask().expect("it is asked again");
            plan.failed(&source, job, Failure::Slow);
        }
        assert!(plan.is_stuck());
    }
}
