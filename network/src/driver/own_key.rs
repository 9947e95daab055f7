//! Does another process hold this node's key? Pure.
//!
//! The swarm ends every connection to its own key before any hello. A node may reach *itself* that
//! way, through an address of its own that others told it: then a dial and an arrival end at about
//! the same time. A dial that met the own key while nothing arrived, or an arrival without a dial,
//! is another process. Who dials always sees the key; who is dialled may only see a broken
//! handshake. When two such processes dial each other at the same moment each takes it for itself;
//! a later dial tells.

use std::time::Duration;

/// How long a dial and an arrival of the same connection may lie apart.
const PAIR_WITHIN: Duration = Duration::from_secs(3);
/// Most remembered; the rest is of no further use.
const REMEMBERED_MAX: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct OwnKey {
    /// Dials that met the own key.
    dials: Vec<Duration>,
    /// Arrivals that failed, and whether it was because of the own key.
    arrivals: Vec<(Duration, bool)>,
}

impl OwnKey {
    pub(crate) fn dialled(&mut self, now: Duration) {
        if self.dials.len() < REMEMBERED_MAX {
            self.dials.push(now);
        }
    }

    pub(crate) fn arrived(&mut self, now: Duration, own_key: bool) {
        if self.arrivals.len() < REMEMBERED_MAX {
            self.arrivals.push((now, own_key));
        }
    }

    /// Judges what is older than the window; true if another process holds the key.
    pub(crate) fn is_elsewhere(&mut self, now: Duration) -> bool {
        let mut elsewhere = false;
        while let Some(&dial) = self
            .dials
            .first()
            .filter(|dial| **dial + PAIR_WITHIN <= now)
        {
            self.dials.remove(0);
            let pair = self
                .arrivals
                .iter()
                .position(|(at, _)| at.abs_diff(dial) <= PAIR_WITHIN);
            match pair {
                Some(index) => {
                    self.arrivals.remove(index);
                }
                None => elsewhere = true,
            }
        }
        // An arrival is judged after every dial that could be its pair.
        let oldest_dial = self.dials.first().copied();
        self.arrivals.retain(|(at, own_key)| {
            let waits = *at + PAIR_WITHIN > now
                || oldest_dial.is_some_and(|dial| at.abs_diff(dial) <= PAIR_WITHIN);
            elsewhere |= !waits && *own_key;
            waits
        });
        elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dials: &[u64], arrivals: &[(u64, bool)], elsewhere: bool) {
        let mut own_key = OwnKey::default();
        for at in dials {
            own_key.dialled(Duration::from_secs(*at));
        }
        for (at, own) in arrivals {
            own_key.arrived(Duration::from_secs(*at), *own);
        }
        let found = (0..20).any(|second| own_key.is_elsewhere(Duration::from_secs(second)));
        assert_eq!(found, elsewhere, "{dials:?} {arrivals:?}");
    }

    #[test]
    fn who_meets_itself_is_alone_and_who_meets_its_key_elsewhere_is_not() {
        check(&[], &[], false);
        check(&[1], &[(1, true)], false);
        check(&[1], &[(2, false)], false);
        check(&[1], &[], true);
        check(&[], &[(1, true)], true);
        check(&[], &[(1, false)], false);
        check(&[1, 9], &[(1, true)], true);
        check(&[1], &[(1, true), (9, true)], true);
    }
}
