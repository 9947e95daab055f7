//! Whether an operation may enter a batch: what can be said of it before its turn.

use super::evidence::answers_until;
use super::rotate::check_rotation;
use super::signed::{check_order, cost};
use super::spec::check_action;
use super::state::LeafState;
use super::task::wrong_phase_refusal;
use crate::refusal::Refusal;
use crate::rules::Rules;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Account, Entity, PlaceState, Task, TaskState, Worker, WorkerStatus};
use frith_ledger::key::PublicKey;
use frith_ledger::operation::{
    Action, Evidence, Operation, ProofOperation, SignedOperation, WorkerAction, WorkerOperation,
};
use frith_ledger::units::Epoch;

/// How far a nonce may be ahead of the account's: operations sent one after the other without waiting.
pub const NONCE_AHEAD_MAX: u64 = 1024;

/// The most that a signed operation takes from its account: the fee, and what its action moves or holds back.
///
/// # Errors
/// [`Refusal`]: amounts that don't add up.
pub fn most_taken(rules: &Rules, operation: &SignedOperation) -> Result<Credits, Refusal> {
    let body = &operation.body;
    Ok(cost(rules, &body.action)?.add(body.fee)?)
}

impl LeafState {
    /// Whether `operation`, of `bytes` encoded bytes, may enter a batch now.
    ///
    /// The nonce may be ahead by [`NONCE_AHEAD_MAX`]; then what comes before may still change the balance, and
    /// only execution decides. Signatures aren't checked.
    ///
    /// # Errors
    /// [`Refusal`]: it would be refused now, and waiting won't help.
    pub fn admit(
        &self,
        rules: &Rules,
        epoch: Epoch,
        operation: &Operation,
        bytes: usize,
    ) -> Result<(), Refusal> {
        match operation {
            Operation::Signed(signed) => self.admit_signed(rules, epoch, signed, bytes),
            Operation::Worker(worker) => self.admit_worker(rules, epoch, worker),
            Operation::Proof(ProofOperation::Evidence(evidence)) => self.admit_evidence(evidence),
        }
    }

    fn account(&self, address: &Address) -> Option<Account> {
        match self.entity(address) {
            Some(Entity::Account(account)) => Some(account),
            _ => None,
        }
    }

    fn admit_signed(
        &self,
        rules: &Rules,
        epoch: Epoch,
        operation: &SignedOperation,
        bytes: usize,
    ) -> Result<(), Refusal> {
        let body = &operation.body;
        let account = self.account(&body.account);
        check_order(rules, epoch, account.as_ref(), operation, bytes)?;
        let account = account.ok_or(Refusal::NoAccount {
            account: body.account,
        })?;
        if body.nonce < account.nonce {
            return Err(Refusal::Nonce {
                expected: account.nonce,
                found: body.nonce,
            });
        }
        if body.nonce.get() - account.nonce.get() > NONCE_AHEAD_MAX {
            let (expected, found) = (account.nonce, body.nonce);
            return Err(Refusal::NonceAhead {
                expected,
                found,
                ahead_max: NONCE_AHEAD_MAX,
            });
        }
        check_action(rules.parameters(), epoch, &body.action)?;
        if body.nonce == account.nonce {
            let needed = most_taken(rules, operation)?;
            if account.balance < needed {
                return Err(Refusal::Underfunded {
                    held: account.balance,
                    needed,
                });
            }
            self.admit_action(&body.account, &body.action)?;
        }
        Ok(())
    }

    /// What the state says of the action of an account whose turn it is.
    fn admit_action(&self, account: &Address, action: &Action) -> Result<(), Refusal> {
        match action {
            Action::Transfer { to, .. } => match self.entity(to) {
                None | Some(Entity::Account(_)) => Ok(()),
                Some(_) => Err(Refusal::NotAnAccount { address: *to }),
            },
            Action::RegisterWorker { key, .. } => self.admit_key(key),
            Action::RotateWorker { seat, key, .. } => {
                let worker = self.admit_owner(account, seat)?;
                check_rotation(*seat, &worker)?;
                self.admit_key(key)
            }
            Action::AddStake { seat, .. }
            | Action::Unstake { seat, .. }
            | Action::SetTerms { seat, .. }
            | Action::Leave { seat } => self.admit_owner(account, seat).map(drop),
            Action::CancelTask { task: address } => {
                let task = self.task(address)?;
                if task.account != *account {
                    return Err(Refusal::NotYours {
                        address: *address,
                        account: *account,
                    });
                }
                if task.state == TaskState::Submitted {
                    Ok(())
                } else {
                    Err(wrong_phase_refusal(*address, &task))
                }
            }
            Action::SubmitTask(_) | Action::RotateKey { .. } | Action::Note(_) => Ok(()),
        }
    }

    fn admit_key(&self, key: &PublicKey) -> Result<(), Refusal> {
        match self.place_of(key) {
            None => Ok(()),
            Some(at) => Err(Refusal::KeyInUse { key: *key, at }),
        }
    }

    fn admit_owner(&self, account: &Address, seat: &Address) -> Result<Box<Worker>, Refusal> {
        let Some(Entity::Worker(worker)) = self.entity(seat) else {
            return Err(Refusal::NoWorker { seat: *seat });
        };
        match worker.status {
            _ if worker.account != *account => Err(Refusal::NotYours {
                address: *seat,
                account: *account,
            }),
            WorkerStatus::Active => Ok(worker),
            WorkerStatus::Leaving { until } | WorkerStatus::Slashed { until } => {
                Err(Refusal::NotActive { seat: *seat, until })
            }
        }
    }

    fn task(&self, address: &Address) -> Result<Box<Task>, Refusal> {
        match self.entity(address) {
            Some(Entity::Task(task)) => Ok(task),
            _ => Err(Refusal::NoTask { task: *address }),
        }
    }

    fn admit_worker(
        &self,
        rules: &Rules,
        epoch: Epoch,
        operation: &WorkerOperation,
    ) -> Result<(), Refusal> {
        let body = &operation.body;
        if body.genesis != rules.hash {
            return Err(Refusal::WrongNetwork {
                expected: rules.hash,
                found: body.genesis,
            });
        }
        let no_worker = Refusal::NoWorker { seat: body.seat };
        let Some(Entity::Worker(worker)) = self.entity(&body.seat) else {
            return Err(no_worker);
        };
        let key = operation.key;
        if !worker.acts_with(&key) {
            return Err(no_worker);
        }
        let (address, task) = (body.task, self.task(&body.task)?);
        let not_drawn = Refusal::NotDrawn {
            task: address,
            seat: body.seat,
        };
        let other_key = Refusal::OtherKey {
            task: address,
            seat: body.seat,
        };
        let place = task.places.iter().find(|place| place.seat == body.seat);
        let at = |state: &PlaceState| place.is_some_and(|place| place.state == *state);
        let others = place.is_some_and(|place| place.key != key);
        match (&body.action, &task.state) {
            (WorkerAction::Commit { .. } | WorkerAction::Reveal { .. }, _)
                if others && (at(&PlaceState::Drawn) || at(&PlaceState::Committed)) =>
            {
                Err(other_key)
            }
            (WorkerAction::Commit { .. }, TaskState::Assigned { .. }) if at(&PlaceState::Drawn) => {
                Ok(())
            }
            (WorkerAction::Reveal { .. }, TaskState::Assigned { .. })
                if at(&PlaceState::Committed) =>
            {
                Ok(())
            }
            (WorkerAction::Reveal { .. }, TaskState::Revealing { reveal_until, .. })
                if at(&PlaceState::Committed) =>
            {
                let (task, until) = (address, *reveal_until);
                if epoch > until {
                    Err(Refusal::TooLate { task, until, epoch })
                } else {
                    Ok(())
                }
            }
            (WorkerAction::Verdict { .. }, TaskState::Arbitrating { arbitrators, .. }) => {
                match arbitrators
                    .iter()
                    .find(|arbitrator| arbitrator.seat == body.seat)
                {
                    None => Err(not_drawn),
                    Some(own) if own.key != key => Err(other_key),
                    Some(own) if own.verdict.is_some() => Err(Refusal::AlreadyDecided {
                        task: address,
                        seat: body.seat,
                    }),
                    Some(_) => Ok(()),
                }
            }
            (WorkerAction::Commit { .. }, TaskState::Assigned { .. })
            | (
                WorkerAction::Reveal { .. },
                TaskState::Assigned { .. } | TaskState::Revealing { .. },
            ) => Err(not_drawn),
            _ => Err(wrong_phase_refusal(address, &task)),
        }
    }

    fn admit_evidence(&self, evidence: &Evidence) -> Result<(), Refusal> {
        let seat = evidence.seat;
        let Some(Entity::Worker(worker)) = self.entity(&seat) else {
            return Err(Refusal::NoWorker { seat });
        };
        answers_until(&worker, &evidence.key).ok_or(Refusal::NoWorker { seat })?;
        if matches!(worker.status, WorkerStatus::Slashed { .. }) {
            return Err(Refusal::AlreadySlashed { seat });
        }
        evidence.instance().map(drop).ok_or(Refusal::Evidence)
    }
}
