//! What lists and totals are read from: the tasks in order, what each seat did, how many there are of each kind.
//!
//! As the rest of the index it is a function of the tree, kept up to date by what each entity adds: a page of a list
//! reads its own entries alone, and a total reads none.

use crate::quote::quote;
use crate::unpaid::Verdict;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, Place, PlaceState, Task, TaskState, WorkerStatus};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::Epoch;
use imbl::{OrdMap, OrdSet};
use std::cmp::Reverse;
use std::ops::Bound;

/// Where a task stands in every list: the newest first, those of one epoch by their addresses. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    recorded: Reverse<Epoch>,
    address: Address,
}

impl Listed {
    const FIRST: Self = Self::new(Epoch::new(u64::MAX), Address([0; 32]));
    const LAST: Self = Self::new(Epoch::ZERO, Address([0xff; 32]));

    /// The place of the task at `address`, recorded in the root of this epoch.
    #[must_use]
    pub const fn new(recorded: Epoch, address: Address) -> Self {
        Self {
            recorded: Reverse(recorded),
            address,
        }
    }

    /// The epoch whose root records the submission.
    #[must_use]
    pub const fn recorded(&self) -> Epoch {
        self.recorded.0
    }

    /// The task's address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }
}

/// The states of a task by name, in the order of its life.
pub const TASK_STATES: [&str; 8] = [
    "submitted",
    "assigned",
    "revealing",
    "disputed",
    "arbitrating",
    "settled",
    "failed",
    "cancelled",
];

const fn number_of(state: &TaskState) -> usize {
    match state {
        TaskState::Submitted => 0,
        TaskState::Assigned { .. } => 1,
        TaskState::Revealing { .. } => 2,
        TaskState::Disputed { .. } => 3,
        TaskState::Arbitrating { .. } => 4,
        TaskState::Settled { .. } => 5,
        TaskState::Failed { .. } => 6,
        TaskState::Cancelled { .. } => 7,
    }
}

/// The name of a state.
#[must_use]
pub const fn state_name(state: &TaskState) -> &'static str {
    TASK_STATES[number_of(state)]
}

/// How many entities there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Workers that neither leave nor were slashed.
    pub workers_active: u64,
    /// All workers.
    pub workers: u64,
    /// Registrations that wait for their seats.
    pub registrations: u64,
    /// Tasks in each of [`TASK_STATES`].
    pub tasks: [u64; TASK_STATES.len()],
}

impl Counts {
    /// Each state of a task and how many are in it.
    pub fn by_state(&self) -> impl Iterator<Item = (&'static str, u64)> {
        TASK_STATES.into_iter().zip(self.tasks)
    }

    fn change(&mut self, entity: Option<&Entity>, change: impl Fn(&mut u64)) {
        match entity {
            None | Some(Entity::Account(_)) => {}
            Some(Entity::Registration(_)) => change(&mut self.registrations),
            Some(Entity::Worker(worker)) => {
                change(&mut self.workers);
                if worker.status == WorkerStatus::Active {
                    change(&mut self.workers_active);
                }
            }
            Some(Entity::Task(task)) => change(&mut self.tasks[number_of(&task.state)]),
        }
    }
}

/// What a seat did in the tasks of the present state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeatWork {
    /// Its places.
    pub places: u64,
    /// What they were paid.
    pub earned: Credits,
    /// The most that the open ones may still bring.
    pub pending: Credits,
}

/// What one place adds to the work of its seat.
#[derive(Clone, Copy, PartialEq, Eq)]
struct PlaceTrace {
    seat: Address,
    earned: Credits,
    pending: Credits,
    unpaid: bool,
}

fn traces_of(task: &Task, parameters: &Parameters) -> Vec<PlaceTrace> {
    if task.places.is_empty() {
        return Vec::new();
    }
    let verdict = Verdict::of(task);
    let most = if verdict.is_over() {
        Credits::ZERO
    } else {
        quote(parameters, &task.spec).map_or(Credits::ZERO, |quote| quote.place)
    };
    let trace = |place: &Place| PlaceTrace {
        seat: place.seat,
        earned: place.paid,
        pending: match place.state {
            PlaceState::Drawn | PlaceState::Committed | PlaceState::Revealed(_) => most,
            PlaceState::NoShow | PlaceState::Unrevealed => Credits::ZERO,
        },
        unpaid: verdict.unpaid(place).is_some(),
    };
    task.places.iter().map(trace).collect()
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Listing {
    tasks: OrdSet<Listed>,
    of_account: OrdSet<(Address, Listed)>,
    /// Seats with a place in some task.
    work: OrdMap<Address, SeatWork>,
    /// Tasks in which a seat has a place without pay.
    unpaid: OrdSet<(Address, Listed)>,
    counts: Counts,
}

fn task_of(entity: Option<&Entity>) -> Option<&Task> {
    match entity {
        Some(Entity::Task(task)) => Some(task),
        _ => None,
    }
}

impl Listing {
    /// Replaces what the entity at `address` adds.
    pub(super) fn replace(
        &mut self,
        address: Address,
        old: Option<&Entity>,
        new: Option<&Entity>,
        parameters: &Parameters,
    ) {
        self.counts
            .change(old, |count| *count = count.wrapping_sub(1));
        self.counts
            .change(new, |count| *count = count.wrapping_add(1));
        let (old, new) = (task_of(old), task_of(new));
        let rank = |task: &Task| (task.account, Listed::new(task.recorded, address));
        let (gone, come) = (old.map(rank), new.map(rank));
        if gone != come {
            if let Some((account, listed)) = gone {
                self.tasks.remove(&listed);
                self.of_account.remove(&(account, listed));
            }
            if let Some((account, listed)) = come {
                self.tasks.insert(listed);
                self.of_account.insert((account, listed));
            }
        }
        let traces = |task| traces_of(task, parameters);
        let (before, after) = (
            old.map(traces).unwrap_or_default(),
            new.map(traces).unwrap_or_default(),
        );
        if before != after {
            if let Some((_, listed)) = gone {
                before
                    .iter()
                    .for_each(|trace| self.take_away(trace, listed));
            }
            if let Some((_, listed)) = come {
                after.iter().for_each(|trace| self.add(trace, listed));
            }
        }
    }

    // Sums wrap, so that taking away is the exact opposite of adding; none exceeds what the ledger holds.
    fn add(&mut self, trace: &PlaceTrace, listed: Listed) {
        let sum = |a: Credits, b: Credits| Credits::new(a.get().wrapping_add(b.get()));
        let work = self.work.entry(trace.seat).or_default();
        *work = SeatWork {
            places: work.places.wrapping_add(1),
            earned: sum(work.earned, trace.earned),
            pending: sum(work.pending, trace.pending),
        };
        if trace.unpaid {
            self.unpaid.insert((trace.seat, listed));
        }
    }

    fn take_away(&mut self, trace: &PlaceTrace, listed: Listed) {
        let rest = |a: Credits, b: Credits| Credits::new(a.get().wrapping_sub(b.get()));
        let work = self.work.entry(trace.seat).or_default();
        *work = SeatWork {
            places: work.places.wrapping_sub(1),
            earned: rest(work.earned, trace.earned),
            pending: rest(work.pending, trace.pending),
        };
        if work.places == 0 {
            self.work.remove(&trace.seat);
        }
        if trace.unpaid {
            self.unpaid.remove(&(trace.seat, listed));
        }
    }

    /// Tasks after a place in the list, of one account or all.
    pub(super) fn tasks(
        &self,
        account: Option<Address>,
        after: Option<Listed>,
    ) -> Box<dyn Iterator<Item = Listed> + '_> {
        match account {
            Some(account) => Box::new(of(&self.of_account, account, after)),
            None => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                Box::new(self.tasks.range((from, Bound::Unbounded)).copied())
            }
        }
    }

    /// Tasks in which a seat has a place without pay, the newest first.
    pub(super) fn unpaid(&self, seat: Address) -> impl Iterator<Item = Listed> + '_ {
        of(&self.unpaid, seat, None)
    }

    pub(super) fn work(&self, seat: &Address) -> SeatWork {
        self.work.get(seat).copied().unwrap_or_default()
    }

    pub(super) const fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// The entries of one owner after a place in its list.
fn of(
    list: &OrdSet<(Address, Listed)>,
    owner: Address,
    after: Option<Listed>,
) -> impl Iterator<Item = Listed> + '_ {
    let from = after.map_or(Bound::Included((owner, Listed::FIRST)), |after| {
        Bound::Excluded((owner, after))
    });
    let entries = list.range((from, Bound::Included((owner, Listed::LAST))));
    entries.map(|(_, listed)| *listed)
}
