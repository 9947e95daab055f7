//! The peers to begin with. Pure.
//!
//! Each address is dialled at the start, and then, with doubling pauses, as long as no peer is
//! connected at all. Every [`REVISIT`] one is dialled although there are peers, so that two parts
//! of a network that lost each other meet again.
//!
//! [`Revisits`] does the like with peers that the book knows and that are no members: each is dialled once while there
//! are fewer than [`PEERS_WANTED`] peers, and again, with doubling pauses, as long as there is none at all. Few at one
//! time: a book full of what is gone must not become a flood of dials.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;

use crate::key::PeerKey;

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// With fewer peers than these the book's are dialled too.
const PEERS_WANTED: usize = 4;
/// Peers of the book dialled at one time.
const REVISITED_MAX: usize = 8;
/// How often one address is dialled although there are peers.
const REVISIT: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Bootstrap {
    places: Vec<Place>,
    dials: BTreeMap<ConnectionId, usize>,
    revisit_at: Duration,
}

#[derive(Debug)]
struct Place {
    address: Multiaddr,
    /// Who answered there last.
    peer: Option<PeerKey>,
    failures: u32,
    next_at: Duration,
}

impl Bootstrap {
    pub(crate) fn new(addresses: impl IntoIterator<Item = Multiaddr>) -> Self {
        let place = |address| Place {
            address,
            peer: None,
            failures: 0,
            next_at: Duration::ZERO,
        };
        Self {
            places: addresses.into_iter().map(place).collect(),
            dials: BTreeMap::new(),
            revisit_at: REVISIT,
        }
    }

    /// Where to dial now. `connected` says whether a peer is.
    pub(crate) fn due(
        &mut self,
        now: Duration,
        peers: usize,
        connected: impl Fn(&PeerKey) -> bool,
    ) -> Vec<usize> {
        let revisit = now >= self.revisit_at;
        if revisit {
            self.revisit_at = now + REVISIT;
        }
        let mut due = Vec::new();
        for (index, place) in self.places.iter_mut().enumerate() {
            let never_met = place.peer.is_none() && place.failures == 0;
            let wanted = never_met || peers == 0 || (revisit && due.is_empty());
            if wanted && place.next_at <= now && !place.peer.as_ref().is_some_and(&connected) {
                place.next_at = now + pause(place.failures);
                place.failures = place.failures.saturating_add(1);
                due.push(index);
            }
        }
        due
    }

    pub(crate) fn address(&self, index: usize) -> &Multiaddr {
        &self.places[index].address
    }

    pub(crate) fn dialling(&mut self, connection: ConnectionId, index: usize) {
        self.dials.insert(connection, index);
    }

    /// The dial ended: at a peer, or nowhere.
    pub(crate) fn dialled(&mut self, connection: ConnectionId, peer: Option<PeerKey>) {
        let Some(place) = self
            .dials
            .remove(&connection)
            .and_then(|index| self.places.get_mut(index))
        else {
            return;
        };
        place.peer = peer.or(place.peer);
    }

    /// The peer said hello: where it was dialled there is no failure to wait for.
    pub(crate) fn met(&mut self, peer: PeerKey) {
        for place in self
            .places
            .iter_mut()
            .filter(|place| place.peer == Some(peer))
        {
            place.failures = 0;
        }
    }

    /// When [`Bootstrap::due`] may have something; `None` while there are peers.
    pub(crate) fn next_deadline(&self, peers: usize) -> Option<Duration> {
        let next = self.places.iter().map(|place| place.next_at).min()?;
        Some(if peers == 0 { next } else { self.revisit_at })
    }
}

/// When peers of the book that are no members are dialled.
#[derive(Debug, Default)]
pub(crate) struct Revisits(BTreeMap<PeerKey, Revisit>);

#[derive(Debug, Default)]
struct Revisit {
    failures: u32,
    next_at: Duration,
}

impl Revisits {
    /// Whom of the `strangers` to dial now; to be asked about once a second. `connected` says whether one is a peer.
    pub(crate) fn due(
        &mut self,
        now: Duration,
        peers: usize,
        strangers: impl Iterator<Item = PeerKey>,
        connected: impl Fn(&PeerKey) -> bool,
    ) -> Vec<PeerKey> {
        if peers >= PEERS_WANTED {
            return Vec::new();
        }
        let strangers: BTreeSet<_> = strangers.collect();
        self.0.retain(|key, _| strangers.contains(key));
        let mut due = Vec::new();
        for key in strangers.into_iter().filter(|key| !connected(key)) {
            let revisit = self.0.entry(key).or_default();
            if revisit.next_at <= now && (peers == 0 || revisit.failures == 0) {
                due.push((revisit.failures, key));
            }
        }
        // Who was tried least comes first, so that nobody waits behind those that never answer.
        due.sort_unstable();
        due.truncate(REVISITED_MAX);
        for (failures, key) in &due {
            let next_at = now + pause(*failures);
            let failures = failures.saturating_add(1);
            self.0.insert(*key, Revisit { failures, next_at });
        }
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// The peer said hello: its pauses begin anew.
    pub(crate) fn met(&mut self, peer: &PeerKey) {
        if let Some(revisit) = self.0.get_mut(peer) {
            revisit.failures = 1;
        }
    }
}

fn pause(failures: u32) -> Duration {
    PAUSE_MIN
        .saturating_mul(1 << failures.min(16))
        .min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PeerKey = PeerKey::new([1; 32]);

    fn bootstrap() -> Bootstrap {
        Bootstrap::new(["/ip4/127.0.0.1/tcp/1".parse().expect("a multiaddress")])
    }

    #[test]
    fn a_place_is_dialled_ever_more_rarely_while_there_are_no_peers() {
        let mut bootstrap = bootstrap();
        let mut pauses = Vec::new();
        let mut now = Duration::ZERO;
        for _ in 0..8 {
            assert_eq!(bootstrap.due(now, 0, |_| false), [0]);
            let next = bootstrap
                .next_deadline(0)
                .expect("a place is dialled again");
            pauses.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_place_whose_peer_is_connected_is_not_dialled() {
        let mut bootstrap = bootstrap();
        let connection = ConnectionId::new_unchecked(1);
        assert_eq!(bootstrap.due(Duration::ZERO, 0, |_| false), [0]);
        bootstrap.dialling(connection, 0);
        bootstrap.dialled(connection, Some(KEY));
        assert!(bootstrap.due(REVISIT, 1, |_| true).is_empty());
    }

    #[test]
    fn only_a_hello_ends_the_pauses() {
        let mut bootstrap = bootstrap();
        for (second, pause) in [(0, 1), (1, 2), (3, 4)] {
            let (now, connection) = (
                Duration::from_secs(second),
                ConnectionId::new_unchecked(second as usize),
            );
            assert_eq!(bootstrap.due(now, 0, |_| false), [0]);
            bootstrap.dialling(connection, 0);
            bootstrap.dialled(connection, Some(KEY));
            assert_eq!(
                bootstrap.next_deadline(0),
                Some(now + Duration::from_secs(pause))
            );
        }
        bootstrap.met(KEY);
        assert_eq!(bootstrap.due(Duration::from_secs(7), 0, |_| false), [0]);
        assert_eq!(bootstrap.next_deadline(0), Some(Duration::from_secs(8)));
    }

    #[test]
    fn with_peers_a_place_is_only_revisited() {
        let mut bootstrap = bootstrap();
        let connection = ConnectionId::new_unchecked(1);
        assert_eq!(bootstrap.due(Duration::ZERO, 5, |_| false), [0]);
        bootstrap.dialling(connection, 0);
        bootstrap.dialled(connection, Some(KEY));
        assert!(bootstrap.due(REVISIT / 2, 5, |_| false).is_empty());
        assert_eq!(bootstrap.next_deadline(5), Some(REVISIT));
        assert_eq!(bootstrap.due(REVISIT, 5, |_| false), [0]);
    }

    #[test]
    fn who_is_known_is_dialled_once_while_there_are_few_peers_and_again_while_there_are_none() {
        let keys = [KEY, PeerKey::new([2; 32])];
        let mut revisits = Revisits::default();
        let mut due = |second, peers| {
            let now = Duration::from_secs(second);
            revisits.due(now, peers, keys.into_iter(), |key| peers > 0 && *key == KEY)
        };
        assert!(due(0, PEERS_WANTED).is_empty());
        assert_eq!(due(0, 1), [keys[1]]);
        assert!(due(100, 1).is_empty());
        assert_eq!(due(100, 0), keys);
        // KEY at 101, 103, 107, 115 and 131, the other one at 102, 106, 114 and 130.
        let dialled: Vec<_> = (100..160).map(|second| due(second, 0).len()).collect();
        assert_eq!(dialled.iter().sum::<usize>(), 5 + 4);
    }

    #[test]
    fn a_known_peer_that_says_hello_and_goes_is_not_dialled_without_a_pause() {
        let mut revisits = Revisits::default();
        let mut dials = 0;
        for second in 0..60 {
            let now = Duration::from_secs(second);
            dials += revisits.due(now, 0, [KEY].into_iter(), |_| false).len();
            revisits.met(&KEY);
        }
        assert_eq!(dials, 31);
    }

    #[test]
    fn a_book_of_peers_that_are_gone_is_no_flood_of_dials_and_each_has_its_turn() {
        let keys = (0..128).map(|number| PeerKey::new([number; 32]));
        let mut revisits = Revisits::default();
        let mut dialled = BTreeSet::new();
        for second in 0..16 {
            let now = Duration::from_secs(second);
            let due = revisits.due(now, 0, keys.clone(), |_| false);
            assert_eq!(due.len(), REVISITED_MAX);
            dialled.extend(due);
        }
        assert_eq!(dialled.len(), 128);
    }
}
