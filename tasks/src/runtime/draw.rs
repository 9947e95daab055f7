//! Who runs a task, and who decides about it: draws by stake over the opening state.
//!
//! Draw i of a task is `opening.draw(H(beacon, task, i))`: the state and the beacon stand in a root
//! record, so anyone can check it. i counts through all draws of the task. Repeats are skipped, and so is
//! who doesn't fit; whether a worker is still active, free and able to pay the bond is asked of the
//! present state. Engines check one another: a worker is drawn for the one of its engines that the fewest run
//! so far, and in the first half of the attempts no engine may take more than half of the places (rounded
//! up); in the second half any engine will do. Arbitrators are drawn for engines likewise, with the places
//! counted among those who run the task.

use super::index::{Index, live_places};
use super::overlay::{Overlay, Stop, full, read};
use super::seat::own_collateral;
use super::task::may_redraw;
use crate::event::TaskEvent;
use crate::quote::quote;
use frith_ledger::address::Address;
use frith_ledger::codec::BoundedVec;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{
    Arbitrator, Entity, Place, PlaceState, Task, TaskState, Terms, Worker, WorkerStatus,
};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::parameters::ARBITRATORS_MAX;
use std::collections::{BTreeMap, BTreeSet};

/// Attempts for each replica (or arbitrator) in one draw.
const ATTEMPTS_PER_PLACE: u32 = 64;
/// Engines that terms can name.
const ENGINES: usize = 8;

/// A worker as the opening state has it, and as it is.
struct Candidate {
    then: Box<Worker>,
    now: Box<Worker>,
}

/// How many run a task on each engine.
#[derive(Default)]
struct Spread([usize; ENGINES]);

impl Spread {
    fn add(&mut self, engine: u8) {
        if let Some(count) = self.0.get_mut(usize::from(engine)) {
            *count += 1;
        }
    }

    /// The engine of `terms` that the fewest run, and how many that are; the lowest number among equals.
    fn rarest(&self, terms: &Terms) -> Option<(u8, usize)> {
        (0_u8..)
            .zip(self.0)
            .filter(|(engine, _)| terms.engines >> engine & 1 == 1)
            .min_by_key(|(engine, count)| (*count, *engine))
    }
}

impl FromIterator<u8> for Spread {
    fn from_iter<I: IntoIterator<Item = u8>>(engines: I) -> Self {
        let mut spread = Self::default();
        engines.into_iter().for_each(|engine| spread.add(engine));
        spread
    }
}

/// Whether a worker, as the opening state has it and as it is, has a slot and collateral for one more task with this bond.
pub(super) fn has_room(
    index: &Index,
    seat: &Address,
    (then, now): (&Worker, &Worker),
    bond: Credits,
) -> bool {
    let (drawn, promised) = index.promised(seat);
    let held = drawn.saturating_add(now.open.len());
    let needed = promised.add(bond);
    held < usize::from(then.terms.slots) && needed.is_ok_and(|needed| needed <= own_collateral(now))
}

impl Overlay<'_> {
    /// Whether draws can be made: this epoch's root is accepted, so that its beacon is known.
    pub(super) fn can_draw(&self) -> bool {
        self.roots == self.epoch && self.roots.get() > 0
    }

    /// The seat that attempt `attempt` of `task` draws.
    fn seat_drawn(&self, task: &Address, attempt: u32) -> Option<Address> {
        self.opening
            .draw(&Hash::of(Domain::Draw, &(self.beacon, task, attempt)))
    }

    /// The worker at `seat` in the opening state, if it is active there and now; with its present self.
    fn active_worker(&mut self, seat: &Address) -> Result<Option<Candidate>, Stop> {
        let Some(Entity::Worker(then)) = read(&self.opening, seat)? else {
            return Ok(None);
        };
        let Some(Entity::Worker(now)) = self.get(seat)?.as_deref().cloned() else {
            return Ok(None);
        };
        let both = then.status == WorkerStatus::Active && now.status == WorkerStatus::Active;
        Ok(both.then_some(Candidate { then, now }))
    }

    /// Draws what the task at `address` waits for.
    pub(super) fn draw_due(&mut self, address: Address) -> Result<(), Stop> {
        let task = self.task(&address)?;
        match task.state {
            TaskState::Submitted => self.assign(address, task),
            TaskState::Assigned { .. } => self.assign_again(address, task),
            TaskState::Disputed { .. } => self.call_arbitrators(address, task),
            _ => Ok(()),
        }
    }

    /// The first draw: all places or none.
    fn assign(&mut self, address: Address, mut task: Box<Task>) -> Result<(), Stop> {
        let wanted = usize::from(task.spec.replicas);
        let places = self.draw_places(address, &mut task, wanted)?;
        if places.len() < wanted || self.epoch > task.spec.deadline {
            task.draw_from = self.roots;
            self.set_task(address, task);
            return Ok(());
        }
        task.drawn = Some(self.epoch);
        task.clock = self.time;
        task.seed = Hash::of(Domain::TaskSeed, &(self.beacon, address));
        self.add_places(address, &mut task, places, false)?;
        self.set_task(address, task);
        Ok(())
    }

    /// Fills places that were left empty, as many as can be.
    fn assign_again(&mut self, address: Address, mut task: Box<Task>) -> Result<(), Stop> {
        let missing = usize::from(task.spec.replicas).saturating_sub(live_places(&task));
        if may_redraw(&task, missing, self.epoch <= task.spec.deadline) {
            let places = self.draw_places(address, &mut task, missing)?;
            self.add_places(address, &mut task, places, true)?;
        }
        task.draw_from = self.roots;
        self.after_commits(address, task)
    }

    fn add_places(
        &mut self,
        address: Address,
        task: &mut Task,
        places: Vec<Place>,
        again: bool,
    ) -> Result<(), Stop> {
        if places.is_empty() {
            return Ok(());
        }
        task.state = TaskState::Assigned {
            commit_until: self.epoch.plus(self.parameters().commit_epochs),
        };
        for place in places {
            self.event(TaskEvent::Drawn {
                task: address,
                seat: place.seat,
                engine: place.engine,
                again,
            });
            task.places.push(place).map_err(full(address))?;
        }
        Ok(())
    }

    /// At most `wanted` new places; the task's count of draws goes on.
    fn draw_places(
        &mut self,
        address: Address,
        task: &mut Task,
        wanted: usize,
    ) -> Result<Vec<Place>, Stop> {
        let bond = quote(self.parameters(), &task.spec)?.bond;
        let commit_until = self.epoch.plus(self.parameters().commit_epochs);
        let engine_max = usize::from(task.spec.replicas).div_ceil(2);
        let attempts = ATTEMPTS_PER_PLACE.saturating_mul(u32::from(task.spec.replicas));
        let mut skipped: BTreeSet<Address> = task.places.iter().map(|place| place.seat).collect();
        let live =
            |place: &&Place| matches!(place.state, PlaceState::Drawn | PlaceState::Committed);
        let mut spread: Spread = task.places.iter().filter(live).map(|p| p.engine).collect();
        let mut places: Vec<Place> = Vec::new();
        for attempt in 0..attempts {
            if places.len() == wanted {
                break;
            }
            let Some(seat) = self.seat_drawn(&address, task.draws) else {
                break;
            };
            task.draws = task.draws.wrapping_add(1);
            if skipped.contains(&seat) {
                continue;
            }
            let Some(Candidate { then, now }) = self.active_worker(&seat)? else {
                skipped.insert(seat);
                continue;
            };
            let Some((engine, used)) = spread.rarest(&then.terms) else {
                skipped.insert(seat);
                continue;
            };
            let takes = then.terms.price <= task.spec.price;
            if !takes || !has_room(&self.index, &seat, (&*then, &*now), bond) {
                skipped.insert(seat);
                continue;
            }
            if used >= engine_max && attempt < attempts / 2 {
                // Not skipped for good: once the quota of attempts is over, any engine will do.
                continue;
            }
            skipped.insert(seat);
            spread.add(engine);
            places.push(Place {
                seat,
                key: now.key,
                account: now.account,
                engine,
                commit_until,
                state: PlaceState::Drawn,
                bond: Credits::ZERO,
                paid: Credits::ZERO,
                lost: Credits::ZERO,
            });
        }
        Ok(places)
    }

    /// Draws min(15, all) active workers, each for an engine.
    fn call_arbitrators(&mut self, address: Address, mut task: Box<Task>) -> Result<(), Stop> {
        let pool = self.arbitrators_from(&task)?;
        let chosen = self.choose(&address, &mut task, &pool);
        task.draw_from = self.roots;
        if !chosen.is_empty() {
            let mut arbitrators = BoundedVec::new();
            for (seat, engine) in chosen {
                let worker = self.worker(&seat)?;
                let arbitrator = Arbitrator {
                    seat,
                    key: worker.key,
                    account: worker.account,
                    engine,
                    verdict: None,
                };
                arbitrators.push(arbitrator).map_err(full(address))?;
            }
            let until = self.epoch.plus(self.parameters().arbitration_epochs);
            let count = u32::try_from(arbitrators.len()).unwrap_or(u32::MAX);
            self.event(TaskEvent::Arbitrating {
                task: address,
                arbitrators: count,
                until,
            });
            task.state = TaskState::Arbitrating { until, arbitrators };
        }
        self.set_task(address, task);
        Ok(())
    }

    /// The active workers with the terms that the opening state has. The task's parties are left out when enough
    /// others remain.
    fn arbitrators_from(&mut self, task: &Task) -> Result<BTreeMap<Address, Terms>, Stop> {
        let mut active = BTreeMap::new();
        let seats: Vec<Address> = self.index.places().collect();
        for seat in seats {
            if let Some(candidate) = self.active_worker(&seat)? {
                active.insert(seat, candidate.then.terms);
            }
        }
        let parties: BTreeSet<Address> = task.places.iter().map(|place| place.seat).collect();
        let mut others = active.clone();
        others.retain(|seat, _| !parties.contains(seat));
        Ok(if others.len() >= ARBITRATORS_MAX {
            others
        } else {
            active
        })
    }

    /// All of a small pool; of a larger one, [`ARBITRATORS_MAX`] by stake (fewer when the attempts run out). Each with
    /// the engine that the fewest of the places and of those before it run.
    fn choose(
        &self,
        address: &Address,
        task: &mut Task,
        pool: &BTreeMap<Address, Terms>,
    ) -> BTreeMap<Address, u8> {
        let ran = |place: &&Place| place.state != PlaceState::NoShow;
        let places: Vec<u8> = task.places.iter().filter(ran).map(|p| p.engine).collect();
        let engine_max = (places.len() + ARBITRATORS_MAX).div_ceil(2);
        let mut spread: Spread = places.into_iter().collect();
        let mut chosen = BTreeMap::new();
        if pool.len() <= ARBITRATORS_MAX {
            // Who has least choice goes first, so that the others can make up for it.
            let mut all: Vec<(&Address, &Terms)> = pool.iter().collect();
            all.sort_by_key(|(seat, terms)| (terms.engines.count_ones(), **seat));
            for (seat, terms) in all {
                if let Some((engine, _)) = spread.rarest(terms) {
                    spread.add(engine);
                    chosen.insert(*seat, engine);
                }
            }
            return chosen;
        }
        let attempts = u32::try_from(ARBITRATORS_MAX)
            .unwrap_or(u32::MAX)
            .saturating_mul(ATTEMPTS_PER_PLACE);
        for attempt in 0..attempts {
            if chosen.len() == ARBITRATORS_MAX {
                break;
            }
            let Some(seat) = self.seat_drawn(address, task.draws) else {
                break;
            };
            task.draws = task.draws.wrapping_add(1);
            let terms = pool.get(&seat).filter(|_| !chosen.contains_key(&seat));
            let Some((engine, used)) = terms.and_then(|terms| spread.rarest(terms)) else {
                continue;
            };
            if used < engine_max || attempt >= attempts / 2 {
                spread.add(engine);
                chosen.insert(seat, engine);
            }
        }
        chosen
    }
}
