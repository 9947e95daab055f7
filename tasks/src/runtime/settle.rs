//! The end of a task: pay, bonds, burning, refunds, verdicts. Each end state is reached once and left
//! never, so that nothing is paid twice.

use super::overlay::{Overlay, Stop};
use super::task::{is_possible, wrong_phase};
use crate::event::{Loss, TaskEvent};
use crate::quote::pay;
use crate::refusal::Refusal;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{
    Arbitrator, FailReason, OutcomeId, Place, PlaceState, Task, TaskOutcome, TaskState,
};
use frith_ledger::key::PublicKey;
use frith_ledger::message::MessageBody;
use std::collections::BTreeMap;

impl Overlay<'_> {
    /// Sends what is left in escrow back to who submitted the task.
    pub(super) fn refund(&mut self, address: Address, task: &mut Task) -> Result<(), Stop> {
        let amount = std::mem::take(&mut task.escrow);
        if !amount.is_zero() {
            self.event(TaskEvent::Refunded {
                task: address,
                account: task.account,
                amount,
            });
            self.send(address, task.account, amount, MessageBody::Value);
        }
        Ok(())
    }

    /// Pays the places that found `outcome`, takes the bonds of the others, and ends the task.
    ///
    /// Of the lost bonds, the arbitrators who said so share the reporter's part; the rest is burned.
    pub(super) fn settle(
        &mut self,
        address: Address,
        mut task: Box<Task>,
        outcome: TaskOutcome,
        arbitrators: &[Arbitrator],
    ) -> Result<(), Stop> {
        let (id, parameters) = (outcome.id(), self.parameters());
        let wage = pay(parameters, &task.spec, outcome.fuel)?;
        self.event(TaskEvent::Settled {
            task: address,
            outcome: id,
        });
        let mut lost = Credits::ZERO;
        let mut escrow = task.escrow;
        for place in task.places.as_mut_slice() {
            match place.state {
                PlaceState::Revealed(found) if found == id => {
                    escrow = escrow.sub(wage)?;
                    place.paid = wage;
                    let bond = std::mem::take(&mut place.bond);
                    let (seat, account) = (place.seat, place.account);
                    self.event(TaskEvent::Paid {
                        task: address,
                        seat,
                        account,
                        amount: wage,
                    });
                    self.send(address, account, wage, MessageBody::Value);
                    self.send(
                        address,
                        seat,
                        bond,
                        MessageBody::Closed { paid: Some(true) },
                    );
                }
                PlaceState::Revealed(_) => {
                    lost = lost.add(self.lose(address, place, Loss::WrongResult))?;
                    self.send(
                        address,
                        place.seat,
                        Credits::ZERO,
                        MessageBody::Closed { paid: Some(false) },
                    );
                }
                PlaceState::Unrevealed => {
                    lost = lost.add(self.lose(address, place, Loss::NotRevealed))?
                }
                PlaceState::Drawn | PlaceState::Committed | PlaceState::NoShow => {}
            }
        }
        task.escrow = escrow;
        self.share(address, lost, arbitrators, id)?;
        task.state = TaskState::Settled {
            outcome,
            epoch: self.epoch,
        };
        self.refund(address, &mut task)?;
        self.set_task(address, task);
        Ok(())
    }

    /// Ends a task without a result: escrow and bonds go back, but for the bonds of who hid a result.
    pub(super) fn fail(
        &mut self,
        address: Address,
        mut task: Box<Task>,
        reason: FailReason,
    ) -> Result<(), Stop> {
        self.event(TaskEvent::Failed {
            task: address,
            reason,
        });
        let mut lost = Credits::ZERO;
        for place in task.places.as_mut_slice() {
            match place.state {
                PlaceState::Committed | PlaceState::Revealed(_) => {
                    let bond = std::mem::take(&mut place.bond);
                    self.send(
                        address,
                        place.seat,
                        bond,
                        MessageBody::Closed { paid: None },
                    );
                }
                PlaceState::Unrevealed => {
                    lost = lost.add(self.lose(address, place, Loss::NotRevealed))?
                }
                PlaceState::Drawn | PlaceState::NoShow => {}
            }
        }
        self.burn(lost)?;
        task.state = TaskState::Failed {
            reason,
            epoch: self.epoch,
        };
        self.refund(address, &mut task)?;
        self.set_task(address, task);
        Ok(())
    }

    fn lose(&mut self, task: Address, place: &mut Place, loss: Loss) -> Credits {
        let amount = std::mem::take(&mut place.bond);
        place.lost = amount;
        self.event(TaskEvent::BondLost {
            task,
            seat: place.seat,
            amount,
            loss,
        });
        amount
    }

    /// Splits the reporter's part of `lost` among the arbitrators who found `outcome`; burns the rest.
    fn share(
        &mut self,
        task: Address,
        lost: Credits,
        arbitrators: &[Arbitrator],
        outcome: OutcomeId,
    ) -> Result<(), Stop> {
        let right: Vec<&Arbitrator> = arbitrators
            .iter()
            .filter(|arbitrator| arbitrator.verdict == Some(outcome))
            .collect();
        let per_mille = u128::from(self.parameters().reporter_per_mille.min(1_000));
        let heads = u128::try_from(right.len()).unwrap_or(u128::MAX);
        let amount = lost
            .scaled(per_mille, heads.saturating_mul(1_000))
            .unwrap_or(Credits::ZERO);
        let mut rest = lost;
        for arbitrator in right {
            if amount.is_zero() {
                break;
            }
            rest = rest.sub(amount)?;
            let (seat, account) = (arbitrator.seat, arbitrator.account);
            self.event(TaskEvent::Rewarded {
                task,
                seat,
                account,
                amount,
            });
            self.send(task, account, amount, MessageBody::Value);
        }
        self.burn(rest)
    }

    /// An arbitrator's finding. More than two thirds of them by count decide; when no outcome can get
    /// there any more, there is no verdict.
    pub(super) fn deliver_verdict(
        &mut self,
        from: Address,
        to: Address,
        key: &PublicKey,
        outcome: &TaskOutcome,
    ) -> Result<(), Stop> {
        let mut task = self.task(&to)?;
        if !is_possible(&task.spec, outcome) {
            return Err(Refusal::Impossible { task: to }.into());
        }
        let (id, epoch) = (outcome.id(), self.epoch);
        let TaskState::Arbitrating { until, arbitrators } = &mut task.state else {
            return Err(wrong_phase(to, &task));
        };
        if epoch > *until {
            return Err(Refusal::TooLate {
                task: to,
                until: *until,
                epoch,
            }
            .into());
        }
        let own = arbitrators
            .as_mut_slice()
            .iter_mut()
            .find(|arbitrator| arbitrator.seat == from);
        let own = own.ok_or(Refusal::NotDrawn {
            task: to,
            seat: from,
        })?;
        if own.key != *key {
            return Err(Refusal::OtherKey {
                task: to,
                seat: from,
            }
            .into());
        }
        if own.verdict.is_some() {
            return Err(Refusal::AlreadyDecided {
                task: to,
                seat: from,
            }
            .into());
        }
        own.verdict = Some(id);
        let arbitrators: Vec<Arbitrator> = arbitrators.iter().cloned().collect();
        self.event(TaskEvent::Verdict {
            task: to,
            seat: from,
            outcome: id,
        });
        let decides = |votes: usize| votes * 3 > arbitrators.len() * 2;
        let mut votes: BTreeMap<OutcomeId, usize> = BTreeMap::new();
        for verdict in arbitrators
            .iter()
            .filter_map(|arbitrator| arbitrator.verdict)
        {
            *votes.entry(verdict).or_default() += 1;
        }
        let silent = arbitrators.len().saturating_sub(votes.values().sum());
        let best = votes.values().max().copied().unwrap_or(0);
        if decides(votes.get(&id).copied().unwrap_or(0)) {
            self.settle(to, task, outcome.clone(), &arbitrators)
        } else if decides(best + silent) {
            self.set_task(to, task);
            Ok(())
        } else {
            self.fail(to, task, FailReason::NoVerdict)
        }
    }
}
