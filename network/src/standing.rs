//! Who misbehaved, and who is banned until when. Pure.
//!
//! A peer's score rises with each penalty and falls by one a second. At the limit the peer is
//! banned. The number of scores is bounded: when there is no room, the lowest gives way.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::key::PeerKey;

/// Most peers whose score is remembered.
const SCORES_MAX: usize = 4096;

#[derive(Debug)]
pub(crate) struct Standing {
    penalty_max: u32,
    ban: Duration,
    scores: BTreeMap<PeerKey, Score>,
    banned: BTreeMap<PeerKey, Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Score {
    weight: u32,
    at: Duration,
}

impl Score {
    fn now(self, now: Duration) -> u32 {
        let fallen = u32::try_from(now.saturating_sub(self.at).as_secs()).unwrap_or(u32::MAX);
        self.weight.saturating_sub(fallen)
    }
}

impl Standing {
    pub(crate) const fn new(penalty_max: u32, ban: Duration) -> Self {
        Self {
            penalty_max,
            ban,
            scores: BTreeMap::new(),
            banned: BTreeMap::new(),
        }
    }

    /// Adds `weight` to the peer's score; true if that bans it (now, and not before).
    pub(crate) fn penalise(&mut self, now: Duration, key: PeerKey, weight: u32) -> bool {
        let score = self
            .scores
            .get(&key)
            .map_or(0, |score| score.now(now))
            .saturating_add(weight);
        if score < self.penalty_max {
            self.make_room(now);
            self.scores.insert(
                key,
                Score {
                    weight: score,
                    at: now,
                },
            );
            return false;
        }
        self.scores.remove(&key);
        if self.banned.len() >= SCORES_MAX {
            self.banned.pop_first();
        }
        self.banned.insert(key, now + self.ban).is_none()
    }

    pub(crate) fn is_banned(&self, now: Duration, key: &PeerKey) -> bool {
        self.banned.get(key).is_some_and(|until| *until > now)
    }

    /// Forgets what is over and returns whose ban ended.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<PeerKey> {
        self.scores.retain(|_, score| score.now(now) > 0);
        let over: Vec<_> = self
            .banned
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in &over {
            self.banned.remove(key);
        }
        over
    }

    fn make_room(&mut self, now: Duration) {
        if self.scores.len() < SCORES_MAX {
            return;
        }
        if let Some(key) = self
            .scores
            .iter()
            .min_by_key(|(_, score)| score.now(now))
            .map(|(key, _)| *key)
        {
            self.scores.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PeerKey = PeerKey::new([1; 32]);

    fn standing() -> Standing {
        Standing::new(100, Duration::from_secs(600))
    }

    #[test]
    fn repeated_penalties_ban_for_a_while() {
        let mut standing = standing();
        assert!(!standing.penalise(Duration::ZERO, KEY, 60));
        assert!(!standing.is_banned(Duration::ZERO, &KEY));
        assert!(standing.penalise(Duration::from_secs(1), KEY, 60));
        assert!(standing.is_banned(Duration::from_secs(600), &KEY));
        assert!(standing.expire(Duration::from_secs(600)).is_empty());
        assert_eq!(standing.expire(Duration::from_secs(601)), [KEY]);
        assert!(!standing.is_banned(Duration::from_secs(601), &KEY));
    }

    #[test]
    fn rare_penalties_are_forgiven() {
        let mut standing = standing();
        for minute in 0..10 {
            assert!(!standing.penalise(Duration::from_secs(60 * minute), KEY, 60));
        }
    }

    #[test]
    fn scores_are_bounded() {
        let mut standing = standing();
        for i in 0..2 * SCORES_MAX {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&i.to_le_bytes());
            standing.penalise(Duration::ZERO, PeerKey::new(key), 1);
        }
        assert_eq!(standing.scores.len(), SCORES_MAX);
    }
}
