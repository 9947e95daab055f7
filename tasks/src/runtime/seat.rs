//! What happens at a worker's seat: orders of its account, the worker's own operations, messages of tasks.

use super::overlay::{Overlay, Stop, full};
use super::rotate::forget_keys;
use crate::event::TaskEvent;
use crate::refusal::Refusal;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{
    Entity, OpenCommitment, PendingChange, TaskOutcome, Terms, Worker, WorkerChange, WorkerStatus,
};
use frith_ledger::key::PublicKey;
use frith_ledger::message::MessageBody;
use frith_ledger::operation::{WorkerAction, WorkerOperation, result_commitment};
use frith_ledger::units::Epoch;

/// Collateral that isn't waiting to become stake.
pub(super) fn own_collateral(worker: &Worker) -> Credits {
    worker
        .pending
        .iter()
        .fold(worker.collateral, |rest, pending| match pending.change {
            WorkerChange::AddStake(stake) => rest.sub(stake).unwrap_or(Credits::ZERO),
            WorkerChange::Terms(_) | WorkerChange::Keys(_) => rest,
        })
}

fn active(worker: &Worker, seat: Address) -> Result<(), Stop> {
    match worker.status {
        WorkerStatus::Active => Ok(()),
        WorkerStatus::Leaving { until } | WorkerStatus::Slashed { until } => {
            Err(Refusal::NotActive { seat, until }.into())
        }
    }
}

/// What opens a commitment, and whose it must be.
struct Opened<'a> {
    key: PublicKey,
    outcome: &'a TaskOutcome,
    salt: &'a [u8; 32],
}

impl Overlay<'_> {
    /// The worker at `seat`, for an order of `account`: it must pay for it.
    pub(super) fn owned(&mut self, account: Address, seat: Address) -> Result<Box<Worker>, Stop> {
        let worker = self.worker(&seat)?;
        if worker.account != account {
            return Err(Refusal::NotYours {
                address: seat,
                account,
            }
            .into());
        }
        active(&worker, seat)?;
        Ok(worker)
    }

    pub(super) fn set_worker(&mut self, seat: Address, worker: Box<Worker>) {
        self.set(seat, Some(Entity::Worker(worker)));
    }

    pub(super) fn deliver_seat(
        &mut self,
        to: Address,
        mut worker: Worker,
        value: Credits,
    ) -> Result<(), Stop> {
        let found = self.vacate(&to)?;
        worker.collateral = value.sub(worker.stake)?.add(found)?;
        self.event(TaskEvent::Seated {
            key: worker.key,
            seat: to,
        });
        self.set_worker(to, Box::new(worker));
        Ok(())
    }

    pub(super) fn deliver_stake(
        &mut self,
        from: Address,
        to: Address,
        value: Credits,
        stake: Credits,
        since: Epoch,
    ) -> Result<(), Stop> {
        let mut worker = self.owned(from, to)?;
        worker.collateral = worker.collateral.add(value)?;
        if !stake.is_zero() {
            let change = PendingChange {
                since,
                change: WorkerChange::AddStake(stake),
            };
            worker.pending.push(change).map_err(full(to))?;
        }
        self.set_worker(to, worker);
        Ok(())
    }

    pub(super) fn deliver_unstake(
        &mut self,
        from: Address,
        to: Address,
        asked: Credits,
    ) -> Result<(), Stop> {
        let mut worker = self.owned(from, to)?;
        let (_, promised) = self.index.promised(&to);
        let free = own_collateral(&worker)
            .sub(promised)
            .unwrap_or(Credits::ZERO);
        if asked > free {
            return Err(Refusal::CollateralBound { free, asked }.into());
        }
        worker.collateral = worker.collateral.sub(asked)?;
        self.set_worker(to, worker);
        self.send(to, from, asked, MessageBody::Value);
        Ok(())
    }

    pub(super) fn deliver_terms(
        &mut self,
        from: Address,
        to: Address,
        terms: Terms,
        since: Epoch,
    ) -> Result<(), Stop> {
        let mut worker = self.owned(from, to)?;
        let change = PendingChange {
            since,
            change: WorkerChange::Terms(terms),
        };
        worker.pending.push(change).map_err(full(to))?;
        self.set_worker(to, worker);
        Ok(())
    }

    pub(super) fn deliver_leave(&mut self, from: Address, to: Address) -> Result<(), Stop> {
        let mut worker = self.owned(from, to)?;
        let until = self.epoch.plus(self.parameters().unbonding);
        worker.status = WorkerStatus::Leaving { until };
        // Stake that was still to come stays collateral; all of it returns.
        worker.pending.retain(|_| false);
        self.event(TaskEvent::Leaving { seat: to, until });
        self.set_worker(to, worker);
        Ok(())
    }

    /// A worker's own operation. Its key must be in force at the seat, or have been while it still answers:
    /// what was drawn for a key, or committed to by it, is that key's alone.
    pub(super) fn worker_operation(&mut self, operation: &WorkerOperation) -> Result<(), Stop> {
        let body = &operation.body;
        if body.genesis != self.rules.hash {
            return Err(Refusal::WrongNetwork {
                expected: self.rules.hash,
                found: body.genesis,
            }
            .into());
        }
        let worker = self.worker(&body.seat)?;
        let key = operation.key;
        if !worker.acts_with(&key) {
            return Err(Refusal::NoWorker { seat: body.seat }.into());
        }
        match &body.action {
            WorkerAction::Commit { commitment, bond } => {
                let open = OpenCommitment {
                    task: body.task,
                    key,
                    commitment: *commitment,
                    reveal_until: None,
                    revealed: false,
                };
                self.commit(body.seat, worker, open, *bond)
            }
            WorkerAction::Reveal { outcome, salt } => {
                let found = Opened { key, outcome, salt };
                self.reveal(body.seat, worker, body.task, &found)
            }
            WorkerAction::Verdict { outcome } => {
                let verdict = MessageBody::Verdict {
                    key,
                    outcome: outcome.clone(),
                };
                self.send(body.seat, body.task, Credits::ZERO, verdict);
                Ok(())
            }
        }
    }

    fn commit(
        &mut self,
        seat: Address,
        mut worker: Box<Worker>,
        open: OpenCommitment,
        bond: Credits,
    ) -> Result<(), Stop> {
        let (task, key, commitment) = (open.task, open.key, open.commitment);
        if worker.open.iter().any(|open| open.task == task) {
            return Err(Refusal::AlreadyCommitted { task }.into());
        }
        let free = own_collateral(&worker);
        if bond > free {
            return Err(Refusal::CollateralBound { free, asked: bond }.into());
        }
        worker.collateral = worker.collateral.sub(bond)?;
        worker.open.push(open).map_err(full(seat))?;
        self.set_worker(seat, worker);
        self.send(seat, task, bond, MessageBody::Commit { key, commitment });
        Ok(())
    }

    fn reveal(
        &mut self,
        seat: Address,
        mut worker: Box<Worker>,
        task: Address,
        found: &Opened<'_>,
    ) -> Result<(), Stop> {
        let (Opened { key, outcome, salt }, epoch) = (found, self.epoch);
        let open = worker
            .open
            .as_mut_slice()
            .iter_mut()
            .find(|open| open.task == task && !open.revealed);
        let open = open.ok_or(Refusal::NotCommitted { task })?;
        if open.key != *key {
            return Err(Refusal::OtherKey { task, seat }.into());
        }
        let until = open.reveal_until.ok_or(Refusal::RevealsClosed { task })?;
        if epoch > until {
            return Err(Refusal::TooLate { task, until, epoch }.into());
        }
        if open.commitment != result_commitment(&task, key, outcome, salt) {
            return Err(Refusal::Commitment { task }.into());
        }
        open.revealed = true;
        self.set_worker(seat, worker);
        self.send(
            seat,
            task,
            Credits::ZERO,
            MessageBody::Reveal {
                outcome: (*outcome).clone(),
            },
        );
        Ok(())
    }

    pub(super) fn deliver_reveals_open(
        &mut self,
        from: Address,
        to: Address,
        until: Epoch,
    ) -> Result<(), Stop> {
        let mut worker = self.worker(&to)?;
        for open in worker
            .open
            .as_mut_slice()
            .iter_mut()
            .filter(|open| open.task == from)
        {
            open.reveal_until = Some(until);
        }
        self.set_worker(to, worker);
        Ok(())
    }

    pub(super) fn deliver_closed(
        &mut self,
        from: Address,
        to: Address,
        value: Credits,
        paid: Option<bool>,
    ) -> Result<(), Stop> {
        let mut worker = self.worker(&to)?;
        worker.open.retain(|open| open.task != from);
        worker.collateral = worker.collateral.add(value)?;
        match paid {
            Some(true) => worker.tasks_paid = worker.tasks_paid.saturating_add(1),
            Some(false) => worker.tasks_lost = worker.tasks_lost.saturating_add(1),
            None => {}
        }
        self.set_worker(to, worker);
        Ok(())
    }

    /// Burns the penalty, as far as the collateral goes. A worker that left has nothing to burn.
    pub(super) fn deliver_no_show(&mut self, to: Address, penalty: Credits) -> Result<(), Stop> {
        let Some(Entity::Worker(worker)) = self.get(&to)?.as_deref().cloned() else {
            return Ok(());
        };
        let mut worker = worker;
        let burned = penalty.min(worker.collateral);
        worker.collateral = worker.collateral.sub(burned)?;
        self.set_worker(to, worker);
        self.burn(burned)
    }

    /// Delayed changes, missed reveals and departures of the worker at `seat`, and retired keys to forget.
    pub(super) fn worker_due(&mut self, seat: Address) -> Result<(), Stop> {
        let (mut worker, epoch) = (self.worker(&seat)?, self.epoch);
        let due: Vec<PendingChange> = worker
            .pending
            .iter()
            .filter(|change| change.since <= epoch)
            .cloned()
            .collect();
        worker.pending.retain(|change| change.since > epoch);
        for change in due {
            match change.change {
                WorkerChange::Terms(terms) => worker.terms = terms,
                WorkerChange::AddStake(stake) => {
                    // Penalties may have taken a part of what was to become stake.
                    let stake = stake.min(worker.collateral);
                    worker.collateral = worker.collateral.sub(stake)?;
                    worker.stake = worker.stake.add(stake)?;
                }
                WorkerChange::Keys(keys) => self.replace_keys(seat, &mut worker, keys)?,
            }
        }
        let missed = |open: &OpenCommitment| {
            !open.revealed && open.reveal_until.is_some_and(|until| until < epoch)
        };
        for open in worker.open.iter().filter(|open| missed(open)) {
            self.send(seat, open.task, Credits::ZERO, MessageBody::Unrevealed);
            worker.tasks_lost = worker.tasks_lost.saturating_add(1);
        }
        worker.open.retain(|open| !missed(open));
        forget_keys(&mut worker, epoch);
        let gone = match worker.status {
            WorkerStatus::Active => false,
            WorkerStatus::Leaving { until } | WorkerStatus::Slashed { until } => {
                until <= epoch && worker.open.is_empty()
            }
        };
        if gone {
            let value = worker.stake.add(worker.collateral)?;
            self.send(
                seat,
                worker.account,
                value,
                MessageBody::Left { key: worker.key },
            );
            self.set(seat, None);
        } else {
            self.set_worker(seat, worker);
        }
        Ok(())
    }
}
