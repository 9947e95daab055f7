//! What accounts order: checks, fee, nonce, and the action at the account itself.

use super::overlay::{Overlay, Stop, full};
use super::spec::check_action;
use crate::event::TaskEvent;
use crate::quote::quote;
use crate::refusal::Refusal;
use crate::rules::Rules;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Account, Entity, Registration, TaskSpec, WorkerKeys, WorkerSeat};
use frith_ledger::genesis::registration_address;
use frith_ledger::key::PublicKey;
use frith_ledger::message::MessageBody;
use frith_ledger::operation::{Action, OperationBody, SignedOperation};
use frith_ledger::units::Epoch;

/// Everything that must be right before a signed operation of `bytes` bytes may cost a fee, but for
/// its nonce.
pub(super) fn check_order(
    rules: &Rules,
    epoch: Epoch,
    account: Option<&Account>,
    operation: &SignedOperation,
    bytes: usize,
) -> Result<(), Refusal> {
    let (body, parameters) = (&operation.body, rules.parameters());
    if body.genesis != rules.hash {
        return Err(Refusal::WrongNetwork {
            expected: rules.hash,
            found: body.genesis,
        });
    }
    let account = account.ok_or(Refusal::NoAccount {
        account: body.account,
    })?;
    let right_key = account.key.map_or_else(
        || operation.key.address() == body.account,
        |key| key == operation.key,
    );
    if !right_key {
        return Err(Refusal::WrongKey {
            account: body.account,
        });
    }
    if epoch > body.expires {
        return Err(Refusal::Expired {
            expires: body.expires,
            epoch,
        });
    }
    let latest = epoch.plus(parameters.expiry_max);
    if body.expires > latest {
        return Err(Refusal::ExpiryFar {
            expires: body.expires,
            latest,
        });
    }
    let needed = parameters.fee(bytes);
    if body.fee < needed {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        return Err(Refusal::Fee {
            fee: body.fee,
            needed,
            bytes,
        });
    }
    if account.balance < body.fee {
        return Err(Refusal::Underfunded {
            held: account.balance,
            needed: body.fee,
        });
    }
    Ok(())
}

/// What an action takes from the account beside the fee.
pub(super) fn cost(rules: &Rules, action: &Action) -> Result<Credits, Refusal> {
    Ok(match action {
        Action::Transfer { amount, .. } => *amount,
        Action::RegisterWorker {
            stake, collateral, ..
        }
        | Action::AddStake {
            stake, collateral, ..
        } => stake.add(*collateral)?,
        Action::SubmitTask(spec) => quote(rules.parameters(), spec)?.escrow,
        _ => Credits::ZERO,
    })
}

impl Overlay<'_> {
    /// Takes the fee and uses the nonce, if the order is right.
    pub(super) fn charge(&mut self, operation: &SignedOperation, bytes: usize) -> Result<(), Stop> {
        let body = &operation.body;
        let account = match self.get(&body.account)?.as_deref() {
            Some(Entity::Account(account)) => Some(account.clone()),
            _ => None,
        };
        check_order(self.rules, self.epoch, account.as_ref(), operation, bytes)?;
        let mut account = account.ok_or(Refusal::NoAccount {
            account: body.account,
        })?;
        if body.nonce != account.nonce {
            return Err(Refusal::Nonce {
                expected: account.nonce,
                found: body.nonce,
            }
            .into());
        }
        account.balance = account.balance.sub(body.fee)?;
        account.nonce = account.nonce.next();
        self.set(body.account, Some(Entity::Account(account)));
        Ok(())
    }

    /// Does what the account ordered. `id` is the operation's id as an address: of a submitted task.
    pub(super) fn act(&mut self, body: &OperationBody, id: Address) -> Result<(), Stop> {
        check_action(self.parameters(), self.epoch, &body.action)?;
        let me = body.account;
        let value = self.take(&me, &body.action)?;
        let since = self.epoch.plus(self.parameters().activation_lag);
        match &body.action {
            Action::Transfer { to, .. } => self.send(me, *to, value, MessageBody::Value),
            Action::RegisterWorker { .. } => self.register(me, &body.action)?,
            Action::AddStake { seat, stake, .. } => {
                self.send(
                    me,
                    *seat,
                    value,
                    MessageBody::AddStake {
                        stake: *stake,
                        since,
                    },
                );
            }
            Action::Unstake { seat, collateral } => {
                self.send(
                    me,
                    *seat,
                    value,
                    MessageBody::Unstake {
                        collateral: *collateral,
                    },
                );
            }
            Action::SetTerms { seat, terms } => {
                self.send(
                    me,
                    *seat,
                    value,
                    MessageBody::SetTerms {
                        terms: terms.clone(),
                        since,
                    },
                );
            }
            Action::Leave { seat } => self.send(me, *seat, value, MessageBody::Leave),
            Action::SubmitTask(spec) => self.submit(me, id, value, spec),
            Action::CancelTask { task } => self.send(me, *task, value, MessageBody::Cancel),
            Action::RotateKey { key } => {
                if let Some(mut account) = self.account(&me)? {
                    account.key = Some(*key);
                    self.set(me, Some(Entity::Account(account)));
                }
            }
            Action::Note(_) => {}
            Action::RotateWorker { seat, key, vrf, .. } => {
                self.check_free(key)?;
                let keys = WorkerKeys {
                    key: *key,
                    vrf: *vrf,
                };
                self.send(me, *seat, value, MessageBody::RotateWorker { keys, since });
            }
        }
        Ok(())
    }

    /// Whether no worker or registration has, had not long ago, or will have this key.
    fn check_free(&self, key: &PublicKey) -> Result<(), Refusal> {
        match self.index.keys.get(key) {
            None => Ok(()),
            Some(place) => Err(Refusal::KeyInUse {
                key: *key,
                at: place.at,
            }),
        }
    }

    /// Takes what the action costs from the account.
    fn take(&mut self, me: &Address, action: &Action) -> Result<Credits, Stop> {
        let needed = cost(self.rules, action)?;
        if needed.is_zero() {
            return Ok(needed);
        }
        let mut account = self
            .account(me)?
            .ok_or(Refusal::NoAccount { account: *me })?;
        account.balance = account
            .balance
            .sub(needed)
            .map_err(|_| Refusal::Underfunded {
                held: account.balance,
                needed,
            })?;
        self.set(*me, Some(Entity::Account(account)));
        Ok(needed)
    }

    fn submit(&mut self, me: Address, task: Address, escrow: Credits, spec: &TaskSpec) {
        self.event(TaskEvent::Submitted {
            task,
            account: me,
            escrow,
        });
        self.send(
            me,
            task,
            escrow,
            MessageBody::Submit(Box::new(spec.clone())),
        );
    }

    /// Puts a registration beside the account. Its stake and collateral are taken already.
    fn register(&mut self, me: Address, action: &Action) -> Result<(), Stop> {
        let Action::RegisterWorker {
            key,
            vrf,
            stake,
            collateral,
            terms,
            ..
        } = action
        else {
            return Ok(());
        };
        self.check_free(key)?;
        let place = registration_address(&me, key);
        let found = self.vacate(&place)?;
        let registration = Registration {
            account: me,
            key: *key,
            vrf: *vrf,
            stake: *stake,
            collateral: collateral.add(found)?,
            terms: terms.clone(),
            recorded: self.epoch,
        };
        let mut account = self
            .account(&me)?
            .ok_or(Refusal::NoAccount { account: me })?;
        account
            .workers
            .push(WorkerSeat {
                key: *key,
                seat: None,
            })
            .map_err(full(me))?;
        self.set(me, Some(Entity::Account(account)));
        self.set(place, Some(Entity::Registration(registration)));
        Ok(())
    }
}
