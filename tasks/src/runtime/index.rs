//! What can be found without a scan: agenda, worker keys, open jobs and lists.
//!
//! Every entity leaves *traces*, a pure function of its address, its content and the parameters. The
//! index is the union of all traces; replacing an entity replaces its traces. So the index maintained
//! block by block equals the one rebuilt from the tree.

use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{
    Entity, OpenCommitment, PlaceState, Task, TaskState, Worker, WorkerStatus,
};
use frith_ledger::key::PublicKey;
use frith_ledger::parameters::Parameters;
use frith_ledger::units::Epoch;
use imbl::{OrdMap, OrdSet};

use super::listing::Listing;
use crate::quote::quote;

/// What a seat has to do for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Run it and commit; this bond is promised.
    Drawn {
        /// What the commit must bring.
        bond: Credits,
    },
    /// Reveal, once that is open.
    Committed,
    /// Run it and say what came out.
    Arbitrator,
}

/// Where a key is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyPlace {
    /// The worker's seat, or its registration.
    pub(super) at: Address,
    /// It is the key in force there; else it will be or was. Each place has one.
    in_force: bool,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Index {
    /// Work due in blocks of this epoch and later.
    pub(super) epochs: OrdSet<(Epoch, Address)>,
    /// Registrations, by the root whose acceptance seats them.
    pub(super) seats: OrdSet<(Epoch, Address)>,
    /// Tasks, by the first root that may draw for them.
    pub(super) draws: OrdSet<(Epoch, Address)>,
    /// Where each key of a worker or a registration is.
    pub(super) keys: OrdMap<PublicKey, KeyPlace>,
    /// Open jobs by seat and task.
    pub(super) jobs: OrdMap<(Address, Address), Role>,
    /// What lists and totals are read from.
    pub(super) listing: Listing,
}

/// The traces of one entity.
#[derive(Default)]
struct Traces {
    epoch: Option<Epoch>,
    seat: Option<Epoch>,
    draw: Option<Epoch>,
    /// With whether it is in force.
    keys: Vec<(PublicKey, bool)>,
    jobs: Vec<(Address, Role)>,
}

impl Traces {
    fn of(entity: Option<&Entity>, parameters: &Parameters) -> Self {
        match entity {
            None | Some(Entity::Account(_)) => Self::default(),
            Some(Entity::Registration(registration)) => Self {
                seat: Some(
                    registration
                        .recorded
                        .plus(parameters.activation_lag)
                        .minus(1),
                ),
                keys: vec![(registration.key, true)],
                ..Self::default()
            },
            Some(Entity::Worker(worker)) => Self {
                epoch: worker_due(worker),
                keys: worker_keys(worker),
                ..Self::default()
            },
            Some(Entity::Task(task)) => Self::of_task(task, parameters),
        }
    }

    fn of_task(task: &Task, parameters: &Parameters) -> Self {
        let mut traces = Self::default();
        match &task.state {
            TaskState::Submitted => {
                traces.epoch = Some(task.spec.deadline.next());
                traces.draw = Some(task.draw_from);
            }
            TaskState::Assigned { .. } => {
                let drawn = task
                    .places
                    .iter()
                    .filter(|place| place.state == PlaceState::Drawn);
                traces.epoch = drawn.map(|place| place.commit_until.next()).min();
                if live_places(task) < usize::from(task.spec.replicas) {
                    traces.draw = Some(task.draw_from);
                    // A place drawn again may never be found; those who committed don't wait for ever.
                    traces.epoch = traces.epoch.or(Some(task.spec.deadline.next()));
                }
            }
            TaskState::Disputed { until } => {
                traces.epoch = Some(until.next());
                traces.draw = Some(task.draw_from);
            }
            TaskState::Arbitrating { until, arbitrators } => {
                traces.epoch = Some(until.next());
                let silent = arbitrators
                    .iter()
                    .filter(|arbitrator| arbitrator.verdict.is_none());
                traces.jobs = silent
                    .map(|arbitrator| (arbitrator.seat, Role::Arbitrator))
                    .collect();
            }
            TaskState::Revealing { .. }
            | TaskState::Settled { .. }
            | TaskState::Failed { .. }
            | TaskState::Cancelled { .. } => {}
        }
        if matches!(
            task.state,
            TaskState::Assigned { .. } | TaskState::Revealing { .. }
        ) {
            let bond = quote(parameters, &task.spec).map_or(Credits::ZERO, |quote| quote.bond);
            traces
                .jobs
                .extend(task.places.iter().filter_map(|place| match place.state {
                    PlaceState::Drawn => Some((place.seat, Role::Drawn { bond })),
                    PlaceState::Committed => Some((place.seat, Role::Committed)),
                    PlaceState::Revealed(_) | PlaceState::NoShow | PlaceState::Unrevealed => None,
                }));
        }
        traces
    }
}

/// Places that are drawn or committed.
pub(super) fn live_places(task: &Task) -> usize {
    let live = |state: &PlaceState| matches!(state, PlaceState::Drawn | PlaceState::Committed);
    task.places
        .iter()
        .filter(|place| live(&place.state))
        .count()
}

/// All keys that nobody else may take: the one in force, the next one, and those that were replaced.
fn worker_keys(worker: &Worker) -> Vec<(PublicKey, bool)> {
    let next = worker.next_keys().map(|(_, keys)| keys.key);
    let retired = worker.retired.iter().map(|retired| retired.key);
    let others = next.into_iter().chain(retired).map(|key| (key, false));
    std::iter::once((worker.key, true)).chain(others).collect()
}

/// When a worker's next delayed change, missed reveal or departure is due, or a retired key forgotten.
fn worker_due(worker: &Worker) -> Option<Epoch> {
    let changes = worker.pending.iter().map(|pending| pending.since);
    let reveals = worker
        .open
        .iter()
        .filter(|open| !open.revealed)
        .filter_map(|open| open.reveal_until);
    let departure = match worker.status {
        WorkerStatus::Active => None,
        WorkerStatus::Leaving { until } | WorkerStatus::Slashed { until } => {
            worker.open.is_empty().then_some(until)
        }
    };
    let forgotten = worker
        .retired
        .iter()
        .filter(|retired| !has_open(&worker.open, &retired.key))
        .map(|retired| retired.until.next());
    changes
        .chain(reveals.map(Epoch::next))
        .chain(departure)
        .chain(forgotten)
        .min()
}

/// Whether there are commitments of this key, which only it can open.
pub(super) fn has_open(open: &[OpenCommitment], key: &PublicKey) -> bool {
    open.iter().any(|open| open.key == *key)
}

impl Index {
    /// Replaces the traces of the entity at `address`.
    pub(super) fn replace(
        &mut self,
        address: Address,
        old: Option<&Entity>,
        new: Option<&Entity>,
        parameters: &Parameters,
    ) {
        let plain = |entity: Option<&Entity>| matches!(entity, None | Some(Entity::Account(_)));
        if plain(old) && plain(new) {
            return;
        }
        self.remove(address, &Traces::of(old, parameters));
        self.insert(address, Traces::of(new, parameters));
        self.listing.replace(address, old, new, parameters);
    }

    fn remove(&mut self, address: Address, traces: &Traces) {
        if let Some(epoch) = traces.epoch {
            self.epochs.remove(&(epoch, address));
        }
        if let Some(root) = traces.seat {
            self.seats.remove(&(root, address));
        }
        if let Some(root) = traces.draw {
            self.draws.remove(&(root, address));
        }
        // A registration and the worker that it becomes share the key, and either may be written first.
        for (key, _) in &traces.keys {
            if self.keys.get(key).is_some_and(|place| place.at == address) {
                self.keys.remove(key);
            }
        }
        for (seat, _) in &traces.jobs {
            self.jobs.remove(&(*seat, address));
        }
    }

    fn insert(&mut self, address: Address, traces: Traces) {
        if let Some(epoch) = traces.epoch {
            self.epochs.insert((epoch, address));
        }
        if let Some(root) = traces.seat {
            self.seats.insert((root, address));
        }
        if let Some(root) = traces.draw {
            self.draws.insert((root, address));
        }
        for (key, in_force) in traces.keys {
            let at = address;
            self.keys.insert(key, KeyPlace { at, in_force });
        }
        for (seat, role) in traces.jobs {
            self.jobs.insert((seat, address), role);
        }
    }

    /// All seats and registrations, in the order of their keys.
    pub(super) fn places(&self) -> impl Iterator<Item = Address> + '_ {
        let in_force = self.keys.values().filter(|place| place.in_force);
        in_force.map(|place| place.at)
    }

    /// The open jobs of a seat, by task.
    pub(super) fn jobs_of(&self, seat: &Address) -> impl Iterator<Item = (Address, Role)> + '_ {
        let (first, last) = ((*seat, Address([0; 32])), (*seat, Address([0xff; 32])));
        self.jobs
            .range(first..=last)
            .map(|((_, task), role)| (*task, *role))
    }

    /// Places and bonds that a seat has promised by being drawn and not yet committed to.
    pub(super) fn promised(&self, seat: &Address) -> (usize, Credits) {
        self.jobs_of(seat).fold(
            (0, Credits::ZERO),
            |(places, bonds), (_, role)| match role {
                Role::Drawn { bond } => (places + 1, bonds.add(bond).unwrap_or(bonds)),
                Role::Committed | Role::Arbitrator => (places, bonds),
            },
        )
    }
}
