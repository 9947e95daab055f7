//! Asking several peers for many pieces at once.
//!
//! 1. Pieces are asked for in their order. Each peer has a *window*: how many pieces it may owe. It begins
//!    with two, grows by one with every piece that comes, up to [`Limits::pulls_per_peer`], and falls to one
//!    when the peer is late. So a fast peer brings more, and memory and the peer's queue stay bounded.
//! 2. A piece that doesn't come in time is asked of another peer, and its late peer rests for a while that
//!    doubles. The next time, the piece has twice as long: a slow line is no reason to never end. A piece
//!    that comes late after all is taken, whoever brings it.
//! 3. A peer that says that it hasn't got a piece, or that it has served enough for now, rests for a moment.
//!    A peer whose piece was false is not asked again.
//!
//! So a peer that lies or is silent costs the pieces that it was asked for, once, and no others.

use crate::limits::Limits;
use crate::wire::Request;
use frith_ledger::key::PublicKey;
use frith_ledger::units::Millis;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Pieces that a peer may owe before it has brought any.
const WINDOW_FIRST: usize = 2;
/// Pieces asked for at one time, of all peers together.
const OPEN_MAX: usize = 64;

/// A piece that was asked for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    peer: PublicKey,
    until: Millis,
}

/// What a peer owes and how it has done.
#[derive(Debug, Clone, Copy)]
struct Source {
    owes: usize,
    window: usize,
    rests_until: Millis,
    pause: u64,
}

/// Pieces that are wanted, and of whom they were asked.
#[derive(Debug)]
pub struct Pulls {
    waiting: VecDeque<Request>,
    open: BTreeMap<Request, Asked>,
    /// How often a piece was late.
    late: BTreeMap<Request, u32>,
    sources: BTreeMap<PublicKey, Source>,
    liars: BTreeSet<PublicKey>,
    window_max: usize,
    patience: u64,
    pause_min: u64,
    pause_max: u64,
}

impl Pulls {
    /// Nothing is wanted.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            late: BTreeMap::new(),
            sources: BTreeMap::new(),
            liars: BTreeSet::new(),
            window_max: limits.pulls_per_peer.max(1),
            patience: limits.pull_patience.get().max(1),
            pause_min: limits.retry_min.get().max(1),
            pause_max: limits.retry_max.get().max(1),
        }
    }

    /// Wants exactly these, in this order; what was asked for and is still wanted stays asked.
    pub fn want(&mut self, wanted: Vec<Request>) {
        let all: BTreeSet<Request> = wanted.iter().copied().collect();
        let gone: Vec<Request> = self
            .open
            .keys()
            .filter(|request| !all.contains(request))
            .copied()
            .collect();
        for request in gone {
            self.close(&request);
        }
        self.late.retain(|request, _| all.contains(request));
        let open = &self.open;
        self.waiting = wanted
            .into_iter()
            .filter(|request| !open.contains_key(request))
            .collect();
    }

    /// A piece came and is wanted; `next` is what follows it. Its peer may owe more from now on.
    pub fn came(&mut self, request: &Request, from: &PublicKey, next: Option<Request>) {
        self.close(request);
        self.late.remove(request);
        self.waiting.retain(|waiting| waiting != request);
        let window_max = self.window_max;
        let pause = self.pause_min;
        if let Some(source) = self.sources.get_mut(from) {
            source.window = source.window.saturating_add(1).min(window_max);
            source.pause = pause;
        }
        // What is begun is ended first.
        if let Some(next) = next {
            self.waiting.push_front(next);
        }
    }

    /// `from` hasn't got it, or has served enough: it rests, and others are asked.
    pub fn refused(&mut self, now: Millis, request: &Request, from: &PublicKey) {
        if self
            .open
            .get(request)
            .is_some_and(|asked| asked.peer == *from)
        {
            self.again(request);
            self.rest(now, from);
        }
    }

    /// A piece of this peer was false: it is not asked again.
    pub fn lied(&mut self, peer: &PublicKey) {
        self.liars.insert(*peer);
        self.gone(peer);
    }

    /// Whether a piece of this peer was false.
    #[must_use]
    pub fn is_liar(&self, peer: &PublicKey) -> bool {
        self.liars.contains(peer)
    }

    /// What to ask for now, and of whom.
    pub fn due(
        &mut self,
        now: Millis,
        connected: &BTreeSet<PublicKey>,
    ) -> Vec<(PublicKey, Request)> {
        self.expire(now);
        let gone: Vec<PublicKey> = self
            .sources
            .keys()
            .filter(|peer| !connected.contains(peer))
            .copied()
            .collect();
        for peer in gone {
            self.gone(&peer);
        }
        let mut due = Vec::new();
        while self.open.len() < OPEN_MAX && !self.waiting.is_empty() {
            let Some(peer) = self.free(now, connected) else {
                break;
            };
            let Some(request) = self.waiting.pop_front() else {
                break;
            };
            let doubled = self.late.get(&request).copied().unwrap_or(0).min(8);
            let until = now.plus(self.patience << doubled);
            self.open.insert(request, Asked { peer, until });
            if let Some(source) = self.sources.get_mut(&peer) {
                source.owes += 1;
            }
            due.push((peer, request));
        }
        due
    }

    /// When something is to be looked at again.
    #[must_use]
    pub fn next(&self) -> Option<Millis> {
        let late = self.open.values().map(|asked| asked.until);
        let rested = self.sources.values().map(|source| source.rests_until);
        let rested = rested.filter(|_| !self.waiting.is_empty());
        late.chain(rested.filter(|at| *at > Millis::ZERO)).min()
    }

    /// The peer with the most room in its window.
    fn free(&mut self, now: Millis, connected: &BTreeSet<PublicKey>) -> Option<PublicKey> {
        let mut best: Option<(usize, PublicKey)> = None;
        for peer in connected {
            if self.liars.contains(peer) {
                continue;
            }
            let source = self.sources.entry(*peer).or_insert(Source {
                owes: 0,
                window: WINDOW_FIRST.min(self.window_max),
                rests_until: Millis::ZERO,
                pause: self.pause_min,
            });
            let room = source.window.saturating_sub(source.owes);
            let rests = source.rests_until > now;
            if !rests && room > 0 && best.is_none_or(|(most, _)| room > most) {
                best = Some((room, *peer));
            }
        }
        best.map(|(_, peer)| peer)
    }

    fn expire(&mut self, now: Millis) {
        for source in self.sources.values_mut() {
            if source.rests_until <= now {
                source.rests_until = Millis::ZERO;
            }
        }
        let late: Vec<(Request, PublicKey)> = self
            .open
            .iter()
            .filter(|(_, asked)| asked.until <= now)
            .map(|(request, asked)| (*request, asked.peer))
            .collect();
        for (request, peer) in late {
            *self.late.entry(request).or_insert(0) += 1;
            self.again(&request);
            if let Some(source) = self.sources.get_mut(&peer) {
                source.window = 1;
            }
            self.rest(now, &peer);
        }
    }

    fn rest(&mut self, now: Millis, peer: &PublicKey) {
        let pause_max = self.pause_max;
        if let Some(source) = self.sources.get_mut(peer)
            && source.rests_until <= now
        {
            source.rests_until = now.plus(source.pause);
            source.pause = source.pause.saturating_mul(2).min(pause_max);
        }
    }

    fn gone(&mut self, peer: &PublicKey) {
        let owed: Vec<Request> = self
            .open
            .iter()
            .filter(|(_, asked)| asked.peer == *peer)
            .map(|(request, _)| *request)
            .collect();
        for request in owed.iter().rev() {
            self.again(request);
        }
        self.sources.remove(peer);
    }

    /// It has to be asked for again, before others.
    fn again(&mut self, request: &Request) {
        if self.close(request) {
            self.waiting.push_front(*request);
        }
    }

    fn close(&mut self, request: &Request) -> bool {
        let Some(asked) = self.open.remove(request) else {
            return false;
        };
        if let Some(source) = self.sources.get_mut(&asked.peer) {
            source.owes = source.owes.saturating_sub(1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::units::Height;

    fn piece(number: u64) -> Request {
        Request::Blocks {
            from: Height::new(number),
        }
    }

    const A: PublicKey = PublicKey([1; 32]);
    const B: PublicKey = PublicKey([2; 32]);

    fn pulls(pieces: u64) -> Pulls {
        let mut pulls = Pulls::new(&Limits::default());
        pulls.want((0..pieces).map(piece).collect());
        pulls
    }

    #[test]
    fn pieces_are_asked_of_all_peers_and_whoever_delivers_is_asked_for_more() {
        let mut pulls = pulls(20);
        let both = [A, B].into();
        let first = pulls.due(Millis::ZERO, &both);
        assert_eq!(first.len(), 4, "two of each");
        assert_eq!(first.iter().filter(|(peer, _)| *peer == A).count(), 2);
        assert!(pulls.due(Millis::ZERO, &both).is_empty());
        for (_, request) in first.iter().filter(|(peer, _)| *peer == A) {
            pulls.came(request, &A, None);
        }
        let more = pulls.due(Millis::ZERO, &both);
        assert_eq!(more.len(), 4);
        assert!(more.iter().all(|(peer, _)| *peer == A));
    }

    #[test]
    fn what_a_silent_peer_owes_is_asked_of_another_and_the_silent_one_rests() {
        let mut pulls = pulls(2);
        let due = pulls.due(Millis::ZERO, &[A].into());
        assert_eq!(due, [(A, piece(0)), (A, piece(1))]);
        let later = Millis::new(60_000);
        assert!(pulls.next().is_some_and(|at| at <= later));
        let mut again = pulls.due(later, &[A, B].into());
        again.sort_unstable();
        assert_eq!(again, [(B, piece(0)), (B, piece(1))]);
        // Late, but here.
        pulls.came(&piece(0), &A, None);
        pulls.came(&piece(1), &B, None);
        assert_eq!(pulls.next(), None);
    }

    #[test]
    fn a_liar_and_one_that_is_gone_owe_nothing_any_more() {
        let mut pulls = pulls(2);
        let _asked = pulls.due(Millis::ZERO, &[A].into());
        pulls.lied(&A);
        assert!(pulls.due(Millis::ZERO, &[A].into()).is_empty());
        assert_eq!(pulls.due(Millis::ZERO, &[A, B].into()).len(), 2);
        assert!(pulls.due(Millis::ZERO, &[A].into()).is_empty(), "B is gone");
        assert_eq!(pulls.due(Millis::ZERO, &[B].into()).len(), 2);
    }

    #[test]
    fn a_rest_that_is_over_wakes_nobody() {
        let mut pulls = pulls(1_000);
        // So many peers that no more may be asked for at once.
        let many: BTreeSet<PublicKey> = (1..=40).map(|n| PublicKey([n; 32])).collect();
        let asked = pulls.due(Millis::ZERO, &many);
        assert_eq!(asked.len(), OPEN_MAX);
        let (peer, request) = asked[0];
        pulls.refused(Millis::ZERO, &request, &peer);
        assert_eq!(pulls.due(Millis::ZERO, &many).len(), 1);
        let rested = pulls.next().expect("it rests");
        let _full = pulls.due(rested, &many);
        assert!(pulls.next().is_some_and(|at| at > rested));
    }

    #[test]
    fn a_refusal_is_no_reason_to_give_a_peer_up() {
        let mut pulls = pulls(1);
        let _asked = pulls.due(Millis::ZERO, &[A].into());
        pulls.refused(Millis::ZERO, &piece(0), &A);
        assert!(pulls.due(Millis::ZERO, &[A].into()).is_empty());
        let at = pulls.next().expect("it rests for a while");
        assert_eq!(pulls.due(at, &[A].into()), [(A, piece(0))]);
    }
}
