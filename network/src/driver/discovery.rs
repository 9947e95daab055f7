//! Discovery: the routing table, the addresses that peers name, and the dials that follow.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libp2p::kad::store::RecordStore;
use libp2p::kad::{
    Event, GetClosestPeersError, GetClosestPeersOk, GetProvidersOk, InboundRequest, ProviderRecord,
    QueryId, QueryResult, RecordKey,
};
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, identify};
use tokio::sync::oneshot;

use super::connection::Stage;
use super::run::Driver;
use crate::address::{ADDRESSES_MAX, believable, named_peer, without_peer};
use crate::key::PeerKey;
use crate::links::Protocol;
use crate::reach::Action;
use crate::swarm::KAD;

/// Provider searches at one time; one more finds nobody.
const SEARCHES_MAX: usize = 32;
/// Keys that one peer may have us remember it for.
const PROVIDED_PER_PEER_MAX: usize = 64;
/// Peers whose provider records are counted.
const PROVIDERS_MAX: usize = 1024;
/// Own records are announced again after this long, or when the routing table grew.
const REANNOUNCE: Duration = Duration::from_secs(1200);

#[derive(Default)]
pub(super) struct Discovery {
    look_ups: Vec<(QueryId, PeerKey)>,
    searches: Vec<Search>,
    announced: BTreeSet<[u8; 32]>,
    announced_to: usize,
    announced_at: Duration,
    provided: BTreeMap<PeerKey, BTreeSet<RecordKeyBytes>>,
}

type RecordKeyBytes = [u8; 32];

struct Search {
    query: QueryId,
    found: BTreeSet<PeerKey>,
    reply: oneshot::Sender<Vec<PeerKey>>,
}

impl Driver {
    pub(super) fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Dial(key) => self.dial(key, Vec::new()),
                Action::LookUp(key) => {
                    let query = self
                        .swarm
                        .behaviour_mut()
                        .kad
                        .get_closest_peers(key.to_peer_id());
                    self.discovery.look_ups.push((query, key));
                }
                Action::GiveUp(key) => self.give_up(key),
            }
        }
    }

    fn dial(&mut self, key: PeerKey, found: Vec<Multiaddr>) {
        let mut addresses = self.book.get(&key);
        addresses.extend(found);
        let dial = DialOpts::peer_id(key.to_peer_id())
            .addresses(addresses)
            .extend_addresses_through_behaviour()
            // From the listening port, two dials at once could meet as one connection with two
            // dialling ends.
            .allocate_new_port();
        if let Err(error) = self.swarm.dial(dial.build()) {
            // Already connected or dialling: that dial's end is told as an event.
            if !matches!(error, libp2p::swarm::DialError::DialPeerConditionFalse(_)) {
                self.dial_failed(key);
            }
        }
    }

    pub(super) fn dial_bootstrap(&mut self, now: Duration) {
        let greeted = &self.greeted;
        for index in self
            .bootstrap
            .due(now, greeted.len(), |key| greeted.contains_key(key))
        {
            let address = self.bootstrap.address(index).clone();
            let dial: DialOpts = match named_peer(&address) {
                Some(peer) => DialOpts::peer_id(peer)
                    .addresses(vec![address])
                    .allocate_new_port()
                    .build(),
                None => DialOpts::unknown_peer_id()
                    .address(address)
                    .allocate_new_port()
                    .build(),
            };
            self.bootstrap.dialling(dial.connection_id(), index);
            let id = dial.connection_id();
            if let Err(error) = self.swarm.dial(dial) {
                tracing::debug!(%error, "a bootstrap peer was not dialled");
                self.bootstrap.dialled(id, None);
            }
        }
    }

    /// Dials peers of the book that are no members, when there are few others.
    pub(super) fn revisit(&mut self, now: Duration) {
        let greeted = &self.greeted;
        let strangers = self.book.strangers();
        let connected = |key: &PeerKey| greeted.contains_key(key);
        for key in self.revisits.due(now, greeted.len(), strangers, connected) {
            self.dial(key, Vec::new());
        }
    }

    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received {
            connection_id,
            info,
            ..
        } = event
        else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&connection_id) else {
            return;
        };
        if !info.protocols.contains(&KAD) || !info.protocols.contains(&Protocol::PEER) {
            return;
        }
        connection.addresses = believable(&info.listen_addrs, &connection.link.address);
        self.learn_addresses(connection_id);
    }

    /// Once a connection is greeted *and* identified, its peer's addresses are worth knowing.
    pub(super) fn learn_addresses(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if !matches!(connection.stage, Stage::Greeted { .. }) || connection.addresses.is_empty() {
            return;
        }
        let (key, addresses) = (connection.peer, connection.addresses.clone());
        let kad = &mut self.swarm.behaviour_mut().kad;
        for address in &addresses {
            kad.add_address(&key.to_peer_id(), address.clone());
        }
        if let Some(peer) = self.shared.peer(&key) {
            peer.set_addresses(addresses.clone());
        }
        self.book.named(key, addresses);
    }

    /// The peer is not of this network: it has no place in the routing table.
    pub(super) fn forget_addresses(&mut self, key: PeerKey) {
        self.book.remove(&key);
        self.swarm
            .behaviour_mut()
            .kad
            .remove_peer(&key.to_peer_id());
    }

    pub(super) fn announce(&mut self, key: [u8; 32]) {
        if self.discovery.announced.len() < self.shared.limits.announced_max {
            self.discovery.announced.insert(key);
            self.provide(key);
        }
    }

    pub(super) fn withdraw(&mut self, key: [u8; 32]) {
        if self.discovery.announced.remove(&key) {
            let key = RecordKey::new(&key);
            self.swarm.behaviour_mut().kad.stop_providing(&key);
        }
    }

    fn provide(&mut self, key: [u8; 32]) {
        if let Err(error) = self
            .swarm
            .behaviour_mut()
            .kad
            .start_providing(RecordKey::new(&key))
        {
            tracing::warn!(%error, "a key could not be announced");
        }
    }

    /// A record announced to few peers is announced again when there are more.
    fn announce_again(&mut self) {
        let now = self.shared.now();
        let known = self
            .swarm
            .behaviour_mut()
            .kad
            .kbuckets()
            .map(|bucket| bucket.num_entries())
            .sum();
        if known <= self.discovery.announced_to && now < self.discovery.announced_at + REANNOUNCE {
            return;
        }
        self.discovery.announced_to = known;
        self.discovery.announced_at = now;
        for key in self.discovery.announced.clone() {
            self.provide(key);
        }
    }

    pub(super) fn find_providers(&mut self, key: [u8; 32], reply: oneshot::Sender<Vec<PeerKey>>) {
        self.discovery
            .searches
            .retain(|search| !search.reply.is_closed());
        if self.discovery.searches.len() >= SEARCHES_MAX {
            let _ = reply.send(Vec::new());
            return;
        }
        let query = self
            .swarm
            .behaviour_mut()
            .kad
            .get_providers(RecordKey::new(&key));
        self.discovery.searches.push(Search {
            query,
            found: BTreeSet::new(),
            reply,
        });
    }

    pub(super) fn on_kad(&mut self, event: Event) {
        match event {
            Event::OutboundQueryProgressed {
                id, result, step, ..
            } => self.on_query(id, result, step.last),
            Event::InboundRequest {
                request:
                    InboundRequest::AddProvider {
                        record: Some(record),
                    },
            } => {
                self.on_provider(record);
            }
            _ => {}
        }
    }

    fn on_query(&mut self, id: QueryId, result: QueryResult, last: bool) {
        match result {
            QueryResult::GetClosestPeers(result) => {
                let (Ok(GetClosestPeersOk { peers, .. })
                | Err(GetClosestPeersError::Timeout { peers, .. })) = result;
                if last
                    && let Some(at) = self
                        .discovery
                        .look_ups
                        .iter()
                        .position(|(query, _)| *query == id)
                {
                    let (_, key) = self.discovery.look_ups.swap_remove(at);
                    let peer_id = key.to_peer_id();
                    let mut found: Vec<_> = peers
                        .into_iter()
                        .filter(|peer| peer.peer_id == peer_id)
                        .flat_map(|peer| peer.addrs)
                        .collect();
                    found.truncate(ADDRESSES_MAX);
                    self.on_looked_up(key, found);
                }
            }
            QueryResult::GetProviders(result) => {
                let Some(at) = self
                    .discovery
                    .searches
                    .iter()
                    .position(|search| search.query == id)
                else {
                    return;
                };
                let search = &mut self.discovery.searches[at];
                if let Ok(GetProvidersOk::FoundProviders { providers, .. }) = result {
                    search
                        .found
                        .extend(providers.iter().filter_map(PeerKey::from_peer_id));
                }
                if last {
                    let search = self.discovery.searches.swap_remove(at);
                    // Who asked may have lost interest.
                    let _ = search.reply.send(search.found.into_iter().collect());
                }
            }
            QueryResult::Bootstrap(_) if last => self.announce_again(),
            _ => {}
        }
    }

    fn on_looked_up(&mut self, key: PeerKey, found: Vec<Multiaddr>) {
        let (now, jitter) = (self.shared.now(), self.random());
        let mut actions = Vec::new();
        let reached = !found.is_empty() || self.swarm.is_connected(&key.to_peer_id());
        self.reach
            .looked_up(now, key, reached, jitter, &mut actions);
        for action in actions {
            match action {
                Action::Dial(key) => self.dial(key, found.iter().map(without_peer).collect()),
                other => self.act(vec![other]),
            }
        }
    }

    /// Remembers a provider that says so itself, on a greeted connection, for a few keys.
    fn on_provider(&mut self, record: ProviderRecord) {
        let Some(key) = PeerKey::from_peer_id(&record.provider) else {
            return;
        };
        let Ok(name) = RecordKeyBytes::try_from(record.key.as_ref()) else {
            return;
        };
        if !self.greeted.contains_key(&key) {
            return;
        }
        let provided = &mut self.discovery.provided;
        if provided.len() >= PROVIDERS_MAX && !provided.contains_key(&key) {
            provided.retain(|key, _| self.greeted.contains_key(key));
            if provided.len() >= PROVIDERS_MAX {
                return;
            }
        }
        let names = provided.entry(key).or_default();
        if names.len() >= PROVIDED_PER_PEER_MAX && !names.contains(&name) {
            return;
        }
        names.insert(name);
        if let Err(error) = self
            .swarm
            .behaviour_mut()
            .kad
            .store_mut()
            .add_provider(record)
        {
            tracing::debug!(%error, "no room for a provider record");
        }
    }
}
