//! Where peers were reached: the addresses that members are dialled at, and that are given back at the next start, so
//! that a node finds its peers without anybody's help. Pure; whoever starts the network keeps the text.
//!
//! What a peer can do to it is little:
//!
//! - An address enters when this node itself dialled it and the connection there was secured with that key
//!   (*proven*), or when a *member* named it on its own secured connection. A stranger's word is not kept.
//! - Each peer has at most [`ADDRESSES_MAX`] addresses here. Strangers are at most [`STRANGERS_MAX`], and of one site
//!   of the internet at most [`SITE_MAX`]. One that was reached by this process does not give way to newer ones; one
//!   that is only remembered from an earlier process does.
//! - Every dial names its key, so that at a wrong address nobody else is taken for the peer.
//!
//! What was remembered of a peer gives way as soon as it is there again. Snapshots are taken soon after a member's
//! addresses changed and seldom otherwise, and in the long run no more often than every [`SNAPSHOT_EACH`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::address::{ADDRESSES_MAX, Site, dialable, named_peer, site, without_peer};
use crate::key::PeerKey;

/// Most strangers that are remembered.
const STRANGERS_MAX: usize = 32;
/// Most strangers of one site.
const SITE_MAX: usize = 4;
/// Most addresses of one peer that this node dialled itself.
const PROVEN_MAX: usize = 2;
/// Most peers of a snapshot, members first; taken from an earlier process no more than these.
const SNAPSHOT_PEERS_MAX: usize = 128;
/// Most addresses of one peer in a snapshot.
const SNAPSHOT_ADDRESSES_MAX: usize = 4;
/// What is taken from an earlier process; a snapshot has no more.
pub(crate) const KNOWN_MAX: usize = SNAPSHOT_PEERS_MAX * SNAPSHOT_ADDRESSES_MAX;
/// Between two snapshots, at the least and in the long run.
const SNAPSHOT_MIN: Duration = Duration::from_millis(100);
const SNAPSHOT_EACH: Duration = Duration::from_secs(10);
/// How far the long run may be ahead: 16 snapshots.
const SNAPSHOT_BURST: Duration = Duration::from_secs(160);
/// How long a change that only strangers are concerned by waits for its snapshot.
const SNAPSHOT_LAZY: Duration = Duration::from_secs(600);
/// A book of fewer peers than this takes its snapshot at once, whoever they are.
const FEW: usize = 4;

/// The addresses of members and of some strangers.
#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: BTreeMap<PeerKey, Entry>,
    members: BTreeSet<PeerKey>,
    /// Counts what is learnt, so that the newest is known.
    turn: u64,
    change: Change,
    /// When the snapshots so far are paid for.
    paid_at: Duration,
    taken_at: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    #[default]
    None,
    Lazy,
    Urgent,
}

#[derive(Debug, Default)]
struct Entry {
    /// Where this process reached the peer, the latest first.
    proven: Vec<Multiaddr>,
    /// What the peer named, a member.
    named: Vec<Multiaddr>,
    /// From an earlier process.
    remembered: Vec<Multiaddr>,
    /// The book's turn when something was last learnt; zero for what is only remembered.
    turn: u64,
}

impl Entry {
    fn addresses(&self) -> impl Iterator<Item = &Multiaddr> {
        let others = self.named.iter().chain(&self.remembered);
        let others = others.filter(|address| !self.proven.contains(address));
        self.proven.iter().chain(others).take(ADDRESSES_MAX)
    }

    fn site(&self) -> Option<Site> {
        self.addresses().find_map(site)
    }
}

impl Book {
    /// A book of what an earlier process knew: addresses that end in their peer's key. Others are passed over, and so
    /// is this node's own key.
    pub(crate) fn new(known: impl IntoIterator<Item = Multiaddr>, own: PeerKey) -> Self {
        let mut book = Self::default();
        for address in known.into_iter().take(KNOWN_MAX) {
            let key = named_peer(&address).and_then(|peer| PeerKey::from_peer_id(&peer));
            let Some(key) = key.filter(|key| *key != own) else {
                continue;
            };
            let address = without_peer(&address);
            let full = book.entries.len() >= SNAPSHOT_PEERS_MAX && !book.entries.contains_key(&key);
            if full || !dialable(&address) {
                continue;
            }
            let remembered = &mut book.entries.entry(key).or_default().remembered;
            if remembered.len() < ADDRESSES_MAX && !remembered.contains(&address) {
                remembered.push(address);
            }
        }
        book
    }

    /// Where to dial a peer, the best first.
    pub(crate) fn get(&self, key: &PeerKey) -> Vec<Multiaddr> {
        let entry = self.entries.get(key);
        entry.map_or_else(Vec::new, |entry| entry.addresses().cloned().collect())
    }

    /// Who is here that is no member.
    pub(crate) fn strangers(&self) -> impl Iterator<Item = PeerKey> {
        let keys = self.entries.keys().copied();
        keys.filter(|key| !self.members.contains(key))
    }

    /// This node dialled `address`, and the peer with this key answered there.
    pub(crate) fn proven(&mut self, key: PeerKey, address: &Multiaddr) {
        let address = without_peer(address);
        if !dialable(&address) || !self.has_room(key, &address) {
            return;
        }
        self.learn(key, |entry| {
            entry.proven.retain(|known| *known != address);
            entry.proven.insert(0, address);
            entry.proven.truncate(PROVEN_MAX);
        });
    }

    /// The peer named these addresses on its own connection. Kept of a member only.
    pub(crate) fn named(&mut self, key: PeerKey, addresses: Vec<Multiaddr>) {
        if self.members.contains(&key) && !addresses.is_empty() {
            self.learn(key, |entry| entry.named = addresses);
        }
    }

    /// The peer is not of this network.
    pub(crate) fn remove(&mut self, key: &PeerKey) {
        if self.entries.remove(key).is_some() {
            self.change = self.change.max(Change::Lazy);
        }
    }

    /// Replaces the set of members. What others named is forgotten.
    pub(crate) fn set_members(&mut self, members: BTreeSet<PeerKey>) {
        self.members = members;
        for (key, entry) in &mut self.entries {
            if !self.members.contains(key) {
                entry.named.clear();
            }
        }
        self.entries
            .retain(|_, entry| entry.addresses().next().is_some());
        while self.strangers().count() > STRANGERS_MAX {
            let Some(oldest) = self.strangers().min_by_key(|key| self.entries[key].turn) else {
                break;
            };
            self.remove(&oldest);
        }
    }

    /// What the next process should know, if it is time to keep it: addresses that end in their peer's key, of members
    /// first, at most [`KNOWN_MAX`].
    pub(crate) fn snapshot(&mut self, now: Duration) -> Option<Vec<Multiaddr>> {
        if self.next_snapshot()? > now {
            return None;
        }
        self.paid_at = self.paid_at.max(now) + SNAPSHOT_EACH;
        self.taken_at = Some(now);
        self.last_snapshot()
    }

    /// The same at the end, when there is no later time; `None` if nothing changed.
    pub(crate) fn last_snapshot(&mut self) -> Option<Vec<Multiaddr>> {
        if std::mem::take(&mut self.change) == Change::None {
            return None;
        }
        let mut peers: Vec<_> = self.entries.iter().collect();
        peers.sort_by_key(|(key, entry)| {
            let stranger = !self.members.contains(key);
            (
                stranger,
                entry.proven.is_empty() && stranger,
                u64::MAX - entry.turn,
            )
        });
        let of_peer = |(key, entry): (&PeerKey, &Entry)| {
            let peer = key.to_peer_id();
            let addresses: Vec<_> = entry
                .addresses()
                .take(SNAPSHOT_ADDRESSES_MAX)
                .cloned()
                .collect();
            addresses
                .into_iter()
                .map(move |address| address.with(Protocol::P2p(peer)))
        };
        let peers = peers.into_iter().take(SNAPSHOT_PEERS_MAX);
        Some(peers.flat_map(of_peer).collect())
    }

    /// When [`Book::snapshot`] has something.
    pub(crate) fn next_snapshot(&self) -> Option<Duration> {
        let paid = self.paid_at.saturating_sub(SNAPSHOT_BURST);
        let pause = match (self.change, self.taken_at) {
            (Change::None, _) => return None,
            (Change::Lazy, taken_at) => taken_at.unwrap_or_default() + SNAPSHOT_LAZY,
            (Change::Urgent, None) => Duration::ZERO,
            (Change::Urgent, Some(taken_at)) => taken_at + SNAPSHOT_MIN,
        };
        Some(paid.max(pause))
    }

    fn learn(&mut self, key: PeerKey, change: impl FnOnce(&mut Entry)) {
        let urgent = self.members.contains(&key) || self.entries.len() < FEW;
        self.turn += 1;
        let entry = self.entries.entry(key).or_default();
        let before: Vec<_> = entry.addresses().cloned().collect();
        entry.turn = self.turn;
        entry.remembered.clear();
        change(entry);
        if !entry.addresses().eq(&before) {
            let change = if urgent { Change::Urgent } else { Change::Lazy };
            self.change = self.change.max(change);
        }
    }

    /// Whether a peer may enter, if need be in the place of a stranger that is only remembered.
    fn has_room(&mut self, key: PeerKey, address: &Multiaddr) -> bool {
        if self.members.contains(&key) || self.entries.contains_key(&key) {
            return true;
        }
        let site = site(address);
        let of_site = self.strangers().filter(|key| {
            site.is_some() && self.entries[key].turn > 0 && self.entries[key].site() == site
        });
        if of_site.count() >= SITE_MAX {
            return false;
        }
        if self.strangers().count() < STRANGERS_MAX {
            return true;
        }
        let mut strangers = self.strangers();
        let Some(remembered) = strangers.find(|key| self.entries[key].turn == 0) else {
            return false;
        };
        drop(strangers);
        self.remove(&remembered);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: PeerKey = PeerKey::new([0xff; 32]);

    fn key(number: u8) -> PeerKey {
        PeerKey::new([number; 32])
    }

    fn at(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    /// An address of peer `number` at a site of its own.
    fn home(number: u8) -> Multiaddr {
        at(&format!("/ip4/9.9.{number}.9/tcp/4200"))
    }

    fn named(number: u8, address: Multiaddr) -> Multiaddr {
        address.with(Protocol::P2p(key(number).to_peer_id()))
    }

    fn known(number: u8) -> Multiaddr {
        named(number, home(number))
    }

    fn members(numbers: &[u8]) -> BTreeSet<PeerKey> {
        numbers.iter().copied().map(key).collect()
    }

    #[test]
    fn of_a_stranger_only_what_this_node_dialled_is_kept_and_of_a_member_what_it_named_too() {
        let mut book = Book::new([], OWN);
        book.named(key(1), vec![home(1)]);
        assert!(book.get(&key(1)).is_empty());
        book.proven(key(1), &known(1));
        assert_eq!(book.get(&key(1)), [home(1)]);
        book.set_members(members(&[2]));
        book.named(key(2), vec![home(2), home(3)]);
        book.proven(key(2), &home(3));
        assert_eq!(book.get(&key(2)), [home(3), home(2)]);
        book.set_members(members(&[]));
        assert_eq!(book.get(&key(2)), [home(3)]);
        assert_eq!(
            book.last_snapshot(),
            Some(vec![named(2, home(3)), known(1)])
        );
    }

    #[test]
    fn what_an_earlier_process_knew_gives_way_to_what_is_learnt() {
        let mut book = Book::new([known(1), named(1, home(2))], OWN);
        assert_eq!(book.get(&key(1)), [home(1), home(2)]);
        assert_eq!(book.strangers().collect::<Vec<_>>(), [key(1)]);
        book.set_members(members(&[1]));
        assert_eq!(book.strangers().count(), 0);
        assert_eq!(book.get(&key(1)), [home(1), home(2)]);
        book.named(key(1), vec![home(3)]);
        assert_eq!(book.get(&key(1)), [home(3)]);
    }

    #[test]
    fn only_addresses_that_can_be_dialled_and_name_another_key_are_taken_from_an_earlier_process() {
        let own = home(1).with(Protocol::P2p(OWN.to_peer_id()));
        let unnamed = home(1);
        let no_port = named(1, at("/ip4/9.9.9.9/tcp/0"));
        let name = named(1, at("/dns4/localhost/tcp/1"));
        let other_kind = home(1).with(Protocol::P2p(libp2p::PeerId::random()));
        let book = Book::new([own, unnamed, no_port, name, other_kind], OWN);
        assert_eq!(book.strangers().count(), 0);
    }

    #[test]
    fn no_peer_has_more_than_its_addresses_and_no_snapshot_more_than_its_peers() {
        let many = (1..=255).map(|port: u16| named(1, at(&format!("/ip4/9.9.9.9/tcp/{port}"))));
        let mut book = Book::new(many, OWN);
        assert_eq!(book.get(&key(1)).len(), ADDRESSES_MAX);
        let all: Vec<u8> = (0..200).collect();
        book.set_members(members(&all));
        for number in all {
            book.named(key(number), (1..=8).map(home).collect());
        }
        let snapshot = book.last_snapshot().expect("there are changes");
        assert_eq!(snapshot.len(), KNOWN_MAX);
        assert_eq!(Book::new(snapshot, OWN).entries.len(), SNAPSHOT_PEERS_MAX);
    }

    #[test]
    fn strangers_do_not_push_out_who_was_reached_before_but_who_is_only_remembered() {
        let mut book = Book::new([known(100), known(101)], OWN);
        for number in 0..40 {
            book.proven(key(number), &home(number));
        }
        let strangers: Vec<_> = book.strangers().collect();
        assert_eq!(
            strangers,
            (0..STRANGERS_MAX as u8).map(key).collect::<Vec<_>>()
        );
        // A member needs no room.
        book.set_members(members(&[200]));
        book.proven(key(200), &home(200));
        assert_eq!(book.get(&key(200)), [home(200)]);
    }

    #[test]
    fn one_site_has_few_places_however_many_keys_it_makes() {
        for (address, expected) in [
            ("/ip4/9.9.9.9/tcp/4200", SITE_MAX),
            ("/ip6/2001:db8::1/udp/4200/quic-v1", SITE_MAX),
            ("/ip4/127.0.0.1/tcp/4200", 20),
        ] {
            let mut book = Book::new([], OWN);
            for number in 0..20 {
                book.proven(key(number), &at(address));
            }
            assert_eq!(book.strangers().count(), expected, "{address}");
        }
    }

    #[test]
    fn members_come_first_in_a_snapshot_then_who_was_reached_last() {
        let mut book = Book::new([known(9)], OWN);
        book.set_members(members(&[5]));
        book.named(key(5), vec![home(5)]);
        book.proven(key(1), &home(1));
        book.proven(key(2), &home(2));
        let snapshot = book.last_snapshot();
        assert_eq!(snapshot, Some(vec![known(5), known(2), known(1), known(9)]));
        assert_eq!(book.last_snapshot(), None);
    }

    #[test]
    fn a_member_s_change_is_kept_at_once_and_changes_without_end_every_ten_seconds() {
        let mut book = Book::new([], OWN);
        book.set_members(members(&[1]));
        let mut taken = Vec::new();
        for second in 0..1000 {
            let now = Duration::from_secs(second);
            book.named(key(1), vec![home((second % 200) as u8)]);
            if book.snapshot(now).is_some() {
                taken.push(second);
            }
        }
        assert_eq!(taken[..16], (0..16).collect::<Vec<_>>());
        assert!(taken.len() <= 16 + 100 + 1, "{}", taken.len());
        book.named(key(1), vec![home(201)]);
        assert!(book.next_snapshot() < Some(Duration::from_secs(1011)));
    }

    #[test]
    fn a_stranger_s_change_waits_when_there_are_others() {
        let mut book = Book::new([], OWN);
        for number in 0..FEW as u8 {
            book.proven(key(number), &home(number));
            assert!(
                book.snapshot(Duration::from_secs(u64::from(number)))
                    .is_some()
            );
        }
        book.proven(key(9), &home(9));
        assert_eq!(book.next_snapshot(), Some(Duration::from_secs(603)));
        // What says nothing new is no change.
        let mut book = Book::new([known(1)], OWN);
        book.proven(key(1), &home(1));
        assert_eq!(book.next_snapshot(), None);
    }
}
