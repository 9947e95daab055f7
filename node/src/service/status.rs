//! What `GET /v1/status`, `/health/ready` and `/metrics` say.

use super::alerts::Alerts;
use super::clock::{Clock, wall};
use super::handle::{CoreError, CoreHandle};
use crate::age::Age;
use crate::present;
use crate::views::{
    KeyState, LedgerView, MemberView, OwnKeyView, ReachedView, ReadyView, StatusView, UnpaidView,
    WorkStatusView,
};
use frith_ledger::address::Address;
use frith_ledger::entity::{Entity, Worker};
use frith_ledger::key::PublicKey;
use frith_neighbourhood::Unready;
use frith_network::{Direction, Link, Network};
use frith_tasks::LeafState;
use frith_tasks::runtime::Role;
use frith_tasks::unpaid::Verdict;
use frith_tasks::worker::jobs_of_key;

/// Places without pay that a status lists.
const UNPAID_MAX: usize = 20;

/// Where the parts of a status come from.
#[derive(Clone)]
pub struct StatusSource {
    /// The core.
    pub core: CoreHandle,
    /// The network, if there is one.
    pub network: Option<Network>,
    /// The worker's key.
    pub key: PublicKey,
    /// Since the start.
    pub clock: Clock,
    /// The fault it was started with.
    pub fault: Option<&'static str>,
    /// What its operator has to know.
    pub alerts: Alerts,
}

impl StatusSource {
    /// The whole status. Linear in the members of the committee, whatever there is in the state.
    ///
    /// # Errors
    /// [`CoreError`].
    pub async fn status(&self) -> Result<StatusView, CoreError> {
        let core = self.core.query(|node| node.status()).await?;
        let chain = self.core.chain();
        let members: Vec<MemberView> = core
            .members
            .iter()
            .map(|member| MemberView {
                key: member.key.to_string(),
                seat: member.seat.to_string(),
                connected: member.connected,
                height: member.height.map(frith_ledger::units::Height::get),
            })
            .collect();
        let votes = core.member.is_some() || core.root_member;
        let worker = work(chain.state(), &self.key, votes).map(|work| WorkStatusView {
            runs: self.core.counters().runs.get(),
            running: self.core.counters().running.get(),
            ..work
        });
        let parameters = self.core.rules().parameters();
        let age = Age::of(core.record_time, wall(), parameters);
        Ok(StatusView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            network: self.core.rules().genesis.name.clone(),
            genesis: self.core.rules().hash.to_hex(),
            readiness: ready_view(&core.unready),
            peers: core.peers as u64,
            members: members.len() as u64,
            members_seen: members.iter().filter(|member| member.connected).count() as u64,
            committee: members,
            epoch: core.epoch.get(),
            view: core.view.get(),
            height: core.height.get(),
            roots: core.roots.get(),
            record_time_ms: core.record_time.get(),
            record_age_ms: age.ms(),
            record_warning: age.warning(),
            pool: core.queued as u64,
            ledger: ledger(chain.state()),
            key: self.key.to_string(),
            fault: self.fault.map(str::to_owned),
            alerts: self.alerts.standing(),
            worker,
            listening: self.network.as_ref().map_or_else(Vec::new, |network| {
                network
                    .listen_addresses()
                    .iter()
                    .map(ToString::to_string)
                    .collect()
            }),
            reached: self.network.as_ref().map(reached),
            resident_bytes: resident_bytes(),
            uptime_s: self.clock.elapsed().as_secs(),
            halted: core.halted,
        })
    }

    /// Whether the node is ready. Constant time.
    ///
    /// # Errors
    /// [`CoreError`].
    pub async fn readiness(&self) -> Result<ReadyView, CoreError> {
        let unready = self.core.query(|node| node.unready()).await?;
        Ok(ready_view(&unready))
    }
}

fn reached(network: &Network) -> ReachedView {
    let peers = network.connected();
    let count = |counts: &dyn Fn(&Link) -> bool| {
        let reached = peers.iter().filter(|peer| peer.links.iter().any(counts));
        reached.count() as u64
    };
    ReachedView {
        by_peers: count(&|link| link.direction == Direction::Inbound),
        from_outside: count(&Link::came_from_outside),
    }
}

fn ready_view(unready: &[Unready]) -> ReadyView {
    ReadyView {
        ready: unready.is_empty(),
        reasons: unready.iter().map(ToString::to_string).collect(),
    }
}

/// The seat of the worker that has, will have or had this key; `None` while it is only registered.
pub(crate) fn seat_of(state: &LeafState, key: &PublicKey) -> Option<(Address, Worker)> {
    let address = state.place_of(key)?;
    match state.entity(&address) {
        Some(Entity::Worker(worker)) => Some((address, *worker)),
        _ => None,
    }
}

/// How a key stands at its worker.
fn own_key(worker: &Worker, key: &PublicKey, votes: bool, jobs: &[(Address, Role)]) -> OwnKeyView {
    let next = worker.next_keys();
    let view = OwnKeyView {
        state: KeyState::InForce,
        other: next.map(|(_, keys)| keys.key.to_string()),
        since: next.map(|(since, _)| since.get()),
        last: None,
        votes,
        open: jobs.len() as u64,
        may_stop: false,
    };
    if worker.key == *key {
        return view;
    }
    let other = Some(worker.key.to_string());
    match worker.retired_key(key) {
        Some(retired) => OwnKeyView {
            state: KeyState::Retired,
            other,
            since: None,
            last: Some(retired.last.get()),
            may_stop: !votes && jobs.is_empty(),
            ..view
        },
        None => OwnKeyView {
            state: KeyState::Next,
            other,
            ..view
        },
    }
}

fn work(state: &LeafState, key: &PublicKey, votes: bool) -> Option<WorkStatusView> {
    let (seat, worker) = seat_of(state, key)?;
    let jobs = jobs_of_key(state, &seat, key);
    let done = state.work_of(&seat);
    Some(WorkStatusView {
        seat: seat.to_string(),
        worker: present::worker(&worker),
        own_key: own_key(&worker, key, votes, &jobs),
        tasks_seen: done.places,
        runs: 0,
        running: 0,
        earned: done.earned.to_string(),
        pending: done.pending.to_string(),
        unpaid: unpaid(state, seat),
    })
}

/// The newest places of a seat that brought no pay.
fn unpaid(state: &LeafState, seat: Address) -> Vec<UnpaidView> {
    let mut found = Vec::new();
    for listed in state.unpaid_of(seat).take(UNPAID_MAX) {
        let Some(Entity::Task(task)) = state.entity(&listed.address()) else {
            continue;
        };
        let verdict = Verdict::of(&task);
        let places = task.places.iter().filter(|place| place.seat == seat);
        found.extend(places.filter_map(|place| {
            Some(UnpaidView {
                task: listed.address().to_string(),
                reason: verdict.unpaid(place)?.to_string(),
                lost: place.lost.to_string(),
            })
        }));
    }
    found.truncate(UNPAID_MAX);
    found
}

/// What the neighbourhood's state holds, by the counts that commits keep up to date.
fn ledger(state: &LeafState) -> LedgerView {
    let counts = state.counts();
    let by_state = counts.by_state();
    LedgerView {
        entities: state.summary().entities,
        workers: counts.workers,
        workers_active: counts.workers_active,
        registrations: counts.registrations,
        tasks: by_state
            .map(|(name, count)| (name.to_owned(), count))
            .collect(),
    }
}

/// Bytes of memory that this process holds; 0 where the system doesn't tell.
#[must_use]
pub fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| {
            text.split_ascii_whitespace()
                .nth(1)
                .and_then(|pages| pages.parse::<u64>().ok())
        })
        .unwrap_or(0);
    pages.saturating_mul(rustix::param::page_size() as u64)
}
