//! Slashing: a worker that said two things where it may say one loses its stake at once.

use super::overlay::{Overlay, Stop};
use crate::event::TaskEvent;
use crate::refusal::Refusal;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, WorkerStatus};
use frith_ledger::message::MessageBody;
use frith_ledger::operation::Evidence;

impl Overlay<'_> {
    /// Burns the stake but for the reporter's share. What is left of the collateral returns after unbonding.
    pub(super) fn evidence(&mut self, evidence: &Evidence) -> Result<(), Stop> {
        let seat = evidence.seat;
        let mut worker = self.worker(&seat)?;
        if worker.key != evidence.key {
            return Err(Refusal::NoWorker { seat }.into());
        }
        if matches!(worker.status, WorkerStatus::Slashed { .. }) {
            return Err(Refusal::AlreadySlashed { seat }.into());
        }
        let instance = evidence.instance().ok_or(Refusal::Evidence)?;
        let (oldest, newest) = (
            self.epoch.minus(self.parameters().unbonding),
            self.epoch.next(),
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
