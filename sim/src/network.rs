//! The network: how long a frame takes, whether it comes, how often, and who is cut off from whom.
//!
//! Delays are drawn for each frame, so frames overtake one another. Loss and duplicates are stronger than
//! what a transport over TCP shows; a core that withstands them withstands reconnections.

use crate::random::Random;
use std::collections::BTreeSet;

/// What the network does to frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weather {
    /// Shortest delay in ms.
    pub delay_ms_min: u64,
    /// Longest ordinary delay in ms.
    pub delay_ms_max: u64,
    /// Of 1,000 frames, so many take up to ten times the longest delay.
    pub straggler_per_mille: u64,
    /// Of 1,000 frames, so many are lost.
    pub loss_per_mille: u64,
    /// Of 1,000 frames, so many come twice.
    pub duplicate_per_mille: u64,
}

impl Weather {
    /// A good local network.
    #[must_use]
    pub const fn calm() -> Self {
        Self {
            delay_ms_min: 1,
            delay_ms_max: 10,
            straggler_per_mille: 0,
            loss_per_mille: 0,
            duplicate_per_mille: 0,
        }
    }

    /// Anything from calm to a tenth of all frames lost.
    pub fn random(random: &mut Random) -> Self {
        Self {
            delay_ms_min: 1,
            delay_ms_max: random.between(5, 120),
            straggler_per_mille: random.below(30),
            loss_per_mille: if random.chance(500) {
                0
            } else {
                random.below(100)
            },
            duplicate_per_mille: random.below(60),
        }
    }

    /// When copies of a frame sent at `now` arrive: none, one or two moments.
    pub fn arrivals(&self, now: u64, random: &mut Random) -> Vec<u64> {
        if random.chance(self.loss_per_mille) {
            return Vec::new();
        }
        let copies = if random.chance(self.duplicate_per_mille) {
            2
        } else {
            1
        };
        (0..copies)
            .map(|_| {
                let delay = random.between(self.delay_ms_min, self.delay_ms_max);
                let stretch = if random.chance(self.straggler_per_mille) {
                    random.between(2, 10)
                } else {
                    1
                };
                now + delay * stretch
            })
            .collect()
    }
}

/// Directions in which nothing passes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cuts(BTreeSet<(usize, usize)>);

impl Cuts {
    /// Whether frames from `from` reach `to`.
    #[must_use]
    pub fn passes(&self, from: usize, to: usize) -> bool {
        !self.0.contains(&(from, to))
    }

    /// Cuts one direction.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.0.insert((from, to));
    }

    /// Everything passes again.
    pub fn heal(&mut self) {
        self.0.clear();
    }
}
