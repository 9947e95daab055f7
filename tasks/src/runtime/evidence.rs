//! Slashing: a worker that said two things where it may say one loses its stake at once.

use super::overlay::{Overlay, Stop};
use crate::event::TaskEvent;
use crate::refusal::Refusal;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, Worker, WorkerStatus};
use frith_ledger::key::PublicKey;
use frith_ledger::message::MessageBody;
use frith_ledger::operation::Evidence;
use frith_ledger::units::Epoch;

/// The last epoch for whose instances a key of the worker answers; `None` when it isn't the worker's.
pub(super) fn answers_until(worker: &Worker, key: &PublicKey) -> Option<Epoch> {
    if worker.key == *key {
        return Some(Epoch::new(u64::MAX));
    }
    worker.retired_key(key).map(|retired| retired.last)
}

impl Overlay<'_> {
    /// Burns the stake but for the reporter's share. What is left of the collateral returns after unbonding.
    pub(super) fn evidence(&mut self, evidence: &Evidence) -> Result<(), Stop> {
        let seat = evidence.seat;
        let mut worker = self.worker(&seat)?;
        // A key that was replaced answers for the epochs in which it could be a member.
        let last = answers_until(&worker, &evidence.key).ok_or(Refusal::NoWorker { seat })?;
        if matches!(worker.status, WorkerStatus::Slashed { .. }) {
            return Err(Refusal::AlreadySlashed { seat }.into());
        }
        let instance = evidence.instance().ok_or(Refusal::Evidence)?;
        let (oldest, newest) = (
            self.epoch.minus(self.parameters().unbonding),
            self.epoch.next().min(last),
        );
        if instance.epoch < oldest || instance.epoch > newest {
            return Err(Refusal::EvidenceAge {
                epoch: instance.epoch,
                oldest,
                newest,
            }
            .into());
        }
        // Rare and dear: checked here again, whatever the caller did.
        evidence
            .verify(&self.rules.hash)
            .map_err(|_| Refusal::Evidence)?;
        let per_mille = u128::from(self.parameters().reporter_per_mille.min(1_000));
        let reward = worker
            .stake
            .scaled(per_mille, 1_000)
            .unwrap_or(Credits::ZERO);
        let burned = worker.stake.sub(reward)?;
        worker.stake = Credits::ZERO;
        worker.status = WorkerStatus::Slashed {
            until: self.epoch.plus(self.parameters().unbonding),
        };
        worker.pending.retain(|_| false);
        self.set(seat, Some(Entity::Worker(worker)));
        self.burn(burned)?;
        self.event(TaskEvent::Slashed {
            seat,
            burned,
            reporter: evidence.reporter,
            reward,
        });
        if !reward.is_zero() {
            self.send(seat, evidence.reporter, reward, MessageBody::Value);
        }
        Ok(())
    }
}
