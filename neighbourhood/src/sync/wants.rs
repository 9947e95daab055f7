//! What this node wants from others, whom it asked, and when it asks the next.

use crate::limits::Limits;
use crate::wire::Request;
use frith_ledger::key::PublicKey;
use frith_ledger::units::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// Peers that are named first for one thing.
const PREFERRED_MAX: usize = 16;

/// Something wanted.
#[derive(Debug, Clone)]
pub struct Want {
    /// Who should have it, asked first.
    preferred: Vec<PublicKey>,
    asked: Option<PublicKey>,
    turn: usize,
    at: Millis,
    pause: u64,
}

/// Everything wanted.
#[derive(Debug)]
pub struct Wants {
    wants: BTreeMap<Request, Want>,
    retry_min: u64,
    retry_max: u64,
    max: usize,
}

impl Wants {
    /// Nothing is wanted.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let retry_min = limits.retry_min.get().max(1);
        let retry_max = limits.retry_max.get().max(retry_min);
        Self {
            wants: BTreeMap::new(),
            retry_min,
            retry_max,
            max: limits.wants_max,
        }
    }

    /// Wants something, of `from` first. Asked for at once when it is new.
    pub fn want(
        &mut self,
        now: Millis,
        request: Request,
        from: impl IntoIterator<Item = PublicKey>,
    ) {
        let full = self.wants.len() >= self.max;
        let retry_min = self.retry_min;
        let want = match self.wants.entry(request) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(_) if full => return,
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Want {
                preferred: Vec::new(),
                asked: None,
                turn: 0,
                at: now,
                pause: retry_min,
            }),
        };
        for peer in from {
            if want.preferred.len() < PREFERRED_MAX && !want.preferred.contains(&peer) {
                if want.turn >= want.preferred.len() {
                    // Others were asked meanwhile: now there is one who should have it.
                    want.turn = want.preferred.len();
                    want.at = want.at.min(now.plus(retry_min));
                }
                want.preferred.push(peer);
            }
        }
    }

    /// How many things are wanted of `peer` first.
    #[must_use]
    pub fn count_of(&self, peer: &PublicKey) -> usize {
        self.wants
            .values()
            .filter(|want| want.preferred.first() == Some(peer))
            .count()
    }

    /// Whether it is wanted.
    #[must_use]
    pub fn has(&self, request: &Request) -> bool {
        self.wants.contains_key(request)
    }

    /// It came, or isn't wanted any more. Whether it was.
    pub fn done(&mut self, request: &Request) -> bool {
        self.wants.remove(request).is_some()
    }

    /// Drops what `keep` refuses.
    pub fn retain(&mut self, mut keep: impl FnMut(&Request) -> bool) {
        self.wants.retain(|request, _| keep(request));
    }

    /// `peer` doesn't have it: the next is asked soon.
    pub fn refused(&mut self, now: Millis, request: &Request, peer: &PublicKey) {
        if let Some(want) = self.wants.get_mut(request)
            && want.asked == Some(*peer)
        {
            want.at = want.at.min(now.plus(self.retry_min / 8 + 1));
        }
    }

    /// What to ask now, of whom. Peers in `connected` only.
    pub fn due(
        &mut self,
        now: Millis,
        connected: &BTreeSet<PublicKey>,
    ) -> Vec<(PublicKey, Request)> {
        let mut due = Vec::new();
        if connected.is_empty() {
            return due;
        }
        for (request, want) in &mut self.wants {
            if want.at > now {
                continue;
            }
            let first: Vec<PublicKey> = want
                .preferred
                .iter()
                .filter(|p| connected.contains(p))
                .copied()
                .collect();
            let peer = match first.get(want.turn) {
                Some(peer) => Some(*peer),
                None => {
                    let others = connected.iter().filter(|peer| !first.contains(peer));
                    let all: Vec<&PublicKey> = others.chain(first.iter()).collect();
                    let at = want.turn.saturating_sub(first.len()) % all.len().max(1);
                    all.get(at).map(|peer| **peer)
                }
            };
            let Some(peer) = peer else { continue };
            want.turn += 1;
            want.asked = Some(peer);
            want.at = now.plus(want.pause);
            want.pause = want.pause.saturating_mul(2).min(self.retry_max);
            due.push((peer, *request));
        }
        due
    }

    /// When something is to be asked.
    #[must_use]
    pub fn next(&self) -> Option<Millis> {
        self.wants.values().map(|want| want.at).min()
    }

    /// How much is wanted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wants.len()
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wants.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::units::Height;

    #[test]
    fn who_should_have_it_is_asked_first_and_others_after_a_pause() {
        let mut wants = Wants::new(&Limits::default());
        let [a, b, c] = [1, 2, 3].map(|key| PublicKey([key; 32]));
        let request = Request::Blocks {
            from: Height::new(1),
        };
        let connected = [a, b].into();
        wants.want(Millis::ZERO, request, [b]);
        assert_eq!(wants.due(Millis::ZERO, &connected), [(b, request)]);
        assert!(wants.due(Millis::new(1), &connected).is_empty());
        assert_eq!(wants.due(Millis::new(10_000), &connected), [(a, request)]);
        wants.want(Millis::new(10_000), request, [c]);
        assert_eq!(
            wants.due(Millis::new(10_300), &[a, b, c].into()),
            [(c, request)],
            "who should have it is asked soon, also when others were meanwhile"
        );
        wants.refused(Millis::new(10_000), &request, &c);
        assert!(wants.next().is_some_and(|at| at < Millis::new(10_100)));
        assert!(wants.done(&request) && !wants.done(&request));
    }
}
