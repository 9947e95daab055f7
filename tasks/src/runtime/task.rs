//! A task until its reveals are complete: submission, cancelling, commits, reveals, deadlines.
//!
//! ```text
//! Submitted ─draw→ Assigned ─all committed, or the window ended→ Revealing ─all equal→ Settled
//!     │                │ ↺ a place left empty is drawn again        │
//!     │                └─too few→ Failed                            └─else→ Disputed ─draw→ Arbitrating
//!     └─cancel→ Cancelled, deadline→ Failed                                    │ verdict→ Settled
//!                                                                              └ none→ Failed
//! ```

use super::overlay::{Overlay, Stop};
use crate::event::TaskEvent;
use crate::quote::quote;
use crate::refusal::{Phase, Refusal};
use frith_ledger::address::Address;
use frith_ledger::codec::BoundedVec;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{
    Bytes, Entity, FailReason, OutcomeId, PLACES_MAX, PlaceState, Task, TaskOutcome, TaskSpec,
    TaskState,
};
use frith_ledger::hash::Hash;
use frith_ledger::key::PublicKey;
use frith_ledger::message::MessageBody;
use frith_ledger::parameters::INLINE_BYTES_MAX;
use frith_ledger::units::UnixMillis;

/// Draws of one place, at the most, counting the first.
const DRAWS_PER_PLACE: usize = 4;

/// Where a task is, in one word.
const fn phase(task: &Task) -> Phase {
    match task.state {
        TaskState::Submitted => Phase::Submitted,
        TaskState::Assigned { .. } => Phase::Assigned,
        TaskState::Revealing { .. } => Phase::Revealing,
        TaskState::Disputed { .. } => Phase::Disputed,
        TaskState::Arbitrating { .. } => Phase::Arbitrating,
        TaskState::Settled { .. } => Phase::Settled,
        TaskState::Failed { .. } => Phase::Failed,
        TaskState::Cancelled { .. } => Phase::Cancelled,
    }
}

pub(super) const fn wrong_phase_refusal(address: Address, task: &Task) -> Refusal {
    Refusal::TaskPhase {
        task: address,
        phase: phase(task),
    }
}

pub(super) fn wrong_phase(address: Address, task: &Task) -> Stop {
    wrong_phase_refusal(address, task).into()
}

/// Whether a run within the task's limits can end so. Output has one form only: inline when it fits.
pub(super) fn is_possible(spec: &TaskSpec, outcome: &TaskOutcome) -> bool {
    let len = match &outcome.output {
        Bytes::Inline(bytes) => bytes.len(),
        Bytes::Content { len, .. } if *len as usize > INLINE_BYTES_MAX => *len as usize,
        Bytes::Content { .. } => return false,
    };
    outcome.fuel <= spec.fuel_max && len <= spec.result_max as usize
}

fn count(task: &Task, state: &PlaceState) -> usize {
    task.places
        .iter()
        .filter(|place| place.state == *state)
        .count()
}

/// Whether empty places may be drawn again: the next root comes before the deadline, and draws are bounded.
pub(super) fn may_redraw(task: &Task, missing: usize, next_epoch_in_time: bool) -> bool {
    let places_max = PLACES_MAX.min(DRAWS_PER_PLACE * usize::from(task.spec.replicas));
    next_epoch_in_time && task.places.len() + missing <= places_max
}

impl Overlay<'_> {
    pub(super) fn set_task(&mut self, address: Address, task: Box<Task>) {
        self.set(address, Some(Entity::Task(task)));
    }

    pub(super) fn deliver_submit(
        &mut self,
        from: Address,
        to: Address,
        value: Credits,
        spec: TaskSpec,
    ) -> Result<(), Stop> {
        let found = self.vacate(&to)?;
        let task = Task {
            account: from,
            spec,
            escrow: value.add(found)?,
            recorded: self.epoch,
            drawn: None,
            clock: UnixMillis::ZERO,
            seed: Hash::ZERO,
            draws: 0,
            draw_from: self.epoch.next(),
            places: BoundedVec::new(),
            state: TaskState::Submitted,
        };
        self.set_task(to, Box::new(task));
        Ok(())
    }

    pub(super) fn deliver_cancel(&mut self, from: Address, to: Address) -> Result<(), Stop> {
        let mut task = self.task(&to)?;
        if task.account != from {
            return Err(Refusal::NotYours {
                address: to,
                account: from,
            }
            .into());
        }
        if task.state != TaskState::Submitted {
            return Err(wrong_phase(to, &task));
        }
        task.state = TaskState::Cancelled { epoch: self.epoch };
        self.event(TaskEvent::Cancelled { task: to });
        self.refund(to, &mut task)?;
        self.set_task(to, task);
        Ok(())
    }

    pub(super) fn deliver_commit(
        &mut self,
        from: Address,
        to: Address,
        value: Credits,
        key: &PublicKey,
    ) -> Result<(), Stop> {
        let mut task = self.task(&to)?;
        let TaskState::Assigned { .. } = task.state else {
            return Err(wrong_phase(to, &task));
        };
        let needed = quote(self.parameters(), &task.spec)?.bond;
        if value != needed {
            return Err(Refusal::Bond {
                task: to,
                found: value,
                needed,
            }
            .into());
        }
        let epoch = self.epoch;
        let mut places = task.places.as_mut_slice().iter_mut();
        let place = places.find(|place| place.seat == from && place.state == PlaceState::Drawn);
        let place = place.ok_or(Refusal::NotDrawn {
            task: to,
            seat: from,
        })?;
        if place.key != *key {
            return Err(Refusal::OtherKey {
                task: to,
                seat: from,
            }
            .into());
        }
        if epoch > place.commit_until {
            return Err(Refusal::TooLate {
                task: to,
                until: place.commit_until,
                epoch,
            }
            .into());
        }
        place.state = PlaceState::Committed;
        place.bond = value;
        self.event(TaskEvent::Committed {
            task: to,
            seat: from,
            bond: value,
        });
        self.after_commits(to, task)
    }

    /// Opens the reveals, waits, or gives up, as the places stand.
    pub(super) fn after_commits(
        &mut self,
        address: Address,
        mut task: Box<Task>,
    ) -> Result<(), Stop> {
        let (replicas, committed) = (
            usize::from(task.spec.replicas),
            count(&task, &PlaceState::Committed),
        );
        if committed < replicas {
            let missing = replicas.saturating_sub(committed);
            let waits = count(&task, &PlaceState::Drawn) > 0
                || may_redraw(&task, missing, self.epoch < task.spec.deadline);
            if waits {
                self.set_task(address, task);
                return Ok(());
            }
            if committed * 2 <= replicas {
                return self.fail(address, task, FailReason::NoWorkers);
            }
        }
        let until = self.epoch.plus(self.parameters().reveal_epochs);
        task.state = TaskState::Revealing {
            reveal_until: until,
            first: None,
        };
        self.event(TaskEvent::RevealsOpen {
            task: address,
            until,
        });
        for place in task
            .places
            .iter()
            .filter(|place| place.state == PlaceState::Committed)
        {
            self.send(
                address,
                place.seat,
                Credits::ZERO,
                MessageBody::RevealsOpen { until },
            );
        }
        self.set_task(address, task);
        Ok(())
    }

    pub(super) fn deliver_reveal(
        &mut self,
        from: Address,
        to: Address,
        outcome: TaskOutcome,
    ) -> Result<(), Stop> {
        let mut task = self.task(&to)?;
        if !is_possible(&task.spec, &outcome) {
            return Err(Refusal::Impossible { task: to }.into());
        }
        let id = outcome.id();
        self.mark_committed(to, &mut task, from, PlaceState::Revealed(id))?;
        let TaskState::Revealing { first, .. } = &mut task.state else {
            return Err(wrong_phase(to, &task));
        };
        first.get_or_insert(outcome);
        self.event(TaskEvent::Revealed {
            task: to,
            seat: from,
            outcome: id,
        });
        self.after_reveals(to, task)
    }

    pub(super) fn deliver_unrevealed(&mut self, from: Address, to: Address) -> Result<(), Stop> {
        let mut task = self.task(&to)?;
        self.mark_committed(to, &mut task, from, PlaceState::Unrevealed)?;
        self.event(TaskEvent::Unrevealed {
            task: to,
            seat: from,
        });
        self.after_reveals(to, task)
    }

    fn mark_committed(
        &self,
        address: Address,
        task: &mut Task,
        seat: Address,
        state: PlaceState,
    ) -> Result<(), Stop> {
        if !matches!(task.state, TaskState::Revealing { .. }) {
            return Err(wrong_phase(address, task));
        }
        let mut places = task.places.as_mut_slice().iter_mut();
        let place = places.find(|place| place.seat == seat && place.state == PlaceState::Committed);
        place
            .ok_or(Refusal::NotDrawn {
                task: address,
                seat,
            })?
            .state = state;
        Ok(())
    }

    /// Settles when the reveals agree, calls arbitrators when they don't, waits while some are to come.
    fn after_reveals(&mut self, address: Address, mut task: Box<Task>) -> Result<(), Stop> {
        if count(&task, &PlaceState::Committed) > 0 {
            self.set_task(address, task);
            return Ok(());
        }
        let revealed: Vec<OutcomeId> = task
            .places
            .iter()
            .filter_map(|place| match place.state {
                PlaceState::Revealed(outcome) => Some(outcome),
                _ => None,
            })
            .collect();
        let TaskState::Revealing {
            first: Some(first), ..
        } = &task.state
        else {
            return self.fail(address, task, FailReason::NoReveals);
        };
        let agreed = revealed.windows(2).all(|pair| pair[0] == pair[1]);
        if agreed && revealed.len() * 2 > usize::from(task.spec.replicas) {
            let outcome = first.clone();
            return self.settle(address, task, outcome, &[]);
        }
        let lag = super::spec::DRAW_LAG;
        task.state = TaskState::Disputed {
            until: self
                .epoch
                .plus(lag)
                .plus(self.parameters().arbitration_epochs),
        };
        task.draw_from = self.epoch.next();
        self.event(TaskEvent::Disputed { task: address });
        self.set_task(address, task);
        Ok(())
    }

    /// Deadlines of the task at `address` that have passed.
    pub(super) fn task_due(&mut self, address: Address) -> Result<(), Stop> {
        let task = self.task(&address)?;
        let epoch = self.epoch;
        match &task.state {
            TaskState::Submitted if task.spec.deadline < epoch => {
                self.fail(address, task, FailReason::NoWorkers)
            }
            TaskState::Assigned { .. } => self.no_shows(address, task),
            TaskState::Disputed { until } | TaskState::Arbitrating { until, .. }
                if *until < epoch =>
            {
                self.fail(address, task, FailReason::NoVerdict)
            }
            _ => Ok(()),
        }
    }

    /// Gives up places that were not committed to in time. They are drawn again by the root that records this.
    fn no_shows(&mut self, address: Address, mut task: Box<Task>) -> Result<(), Stop> {
        let (epoch, parameters) = (self.epoch, self.parameters());
        let penalty = parameters
            .task_fee
            .scaled(u128::from(parameters.no_show_per_mille), 1_000);
        let penalty = penalty.unwrap_or(parameters.task_fee);
        let mut silent = Vec::new();
        for place in task.places.as_mut_slice() {
            if place.state == PlaceState::Drawn && place.commit_until < epoch {
                place.state = PlaceState::NoShow;
                place.lost = penalty;
                silent.push(place.seat);
            }
        }
        for seat in &silent {
            self.event(TaskEvent::NoShow {
                task: address,
                seat: *seat,
                penalty,
            });
            self.send(
                address,
                *seat,
                Credits::ZERO,
                MessageBody::NoShow { penalty },
            );
        }
        if !silent.is_empty() && task.draw_from < epoch {
            task.draw_from = epoch;
        }
        self.after_commits(address, task)
    }
}
