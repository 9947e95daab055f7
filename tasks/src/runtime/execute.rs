//! One block: roots, due work, operations, fees. See the module above for the order.

use super::overlay::{Overlay, Start};
use super::state::LeafState;
use crate::event::{Receipt, TaskEvent};
use crate::refusal::Refusal;
use crate::rules::Rules;
use frith_ledger::address::Address;
use frith_ledger::block::{Flows, RootRecord};
use frith_ledger::credits::Credits;
use frith_ledger::entity::Entity;
use frith_ledger::hash::Hash;
use frith_ledger::operation::{Operation, ProofOperation};
use frith_ledger::tree::{Summary, TreeError};
use frith_ledger::units::{Epoch, Height, UnixMillis};
use parity_scale_codec::Encode as _;

/// What execution needs to know of a block beside its operations.
#[derive(Debug, Clone, Copy)]
pub struct BlockContext<'a> {
    /// The epoch of its instance.
    pub epoch: Epoch,
    /// Its height.
    pub height: Height,
    /// The proposer's seat: fees go to the worker there.
    pub proposer: Address,
    /// Root records that it accepts, in order. At most one, of the epoch before.
    pub roots: &'a [RootRecord],
}

/// The state after a block and what happened in it.
#[derive(Debug, Clone)]
pub struct Executed {
    /// The state.
    pub state: LeafState,
    /// One for each operation, in order.
    pub receipts: Vec<Receipt>,
    /// What happened, in order.
    pub events: Vec<TaskEvent>,
}

/// Why a block can't be executed: it breaks a rule that its proposer knows, or our bug. Never for
/// what a user sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// A block of an epoch that is over.
    #[error("a block of epoch {found} on a state of epoch {state}")]
    Epoch {
        /// The block's.
        found: Epoch,
        /// The state's.
        state: Epoch,
    },
    /// A root record out of turn, or of another state.
    #[error(
        "root record {found} cannot be accepted in epoch {epoch}: {expected} is next, and it must name the state at the end of its epoch"
    )]
    Root {
        /// The record's epoch.
        found: Epoch,
        /// The next one expected.
        expected: Epoch,
        /// The block's epoch.
        epoch: Epoch,
    },
    /// The tree holds what is no entity.
    #[error("the entity at {address} cannot be read: {reason}")]
    Corrupt {
        /// Where.
        address: Address,
        /// The decoder's words.
        reason: String,
    },
    /// A chain of messages is longer than any may be.
    #[error("a message to {to} is one hop too far")]
    Hops {
        /// Its receiver.
        to: Address,
    },
    /// Due work was refused.
    #[error("the work due at {address} was refused: {refusal}")]
    Due {
        /// Where.
        address: Address,
        /// Why.
        refusal: Box<Refusal>,
    },
    /// Due work is still due after it was done.
    #[error("the work due at {address} does not end")]
    Stuck {
        /// Where.
        address: Address,
    },
    /// The tree refused the changes.
    #[error("the state cannot be changed: {0}")]
    Tree(#[from] TreeError),
    /// Credits were created or lost.
    #[error("credits and burned credits no longer add up to what the genesis says")]
    Conservation,
}

impl LeafState {
    /// Executes a block. The caller has verified every signature ([`Operation::verify`]).
    ///
    /// A refused operation gives a receipt and nothing else, except that a signed one which was in order
    /// itself pays its fee and uses its nonce. Cost: a few µs an operation and one batch of the tree.
    ///
    /// # Errors
    /// [`ExecuteError`]; the state is unchanged then.
    pub fn execute(
        &self,
        rules: &Rules,
        block: &BlockContext<'_>,
        operations: &[Operation],
    ) -> Result<Executed, ExecuteError> {
        if block.epoch < self.epoch {
            return Err(ExecuteError::Epoch {
                found: block.epoch,
                state: self.epoch,
            });
        }
        let opening = if block.epoch > self.epoch {
            self.tree.clone()
        } else {
            self.opening.clone()
        };
        let (roots, beacon, time) = self.accept(block, &opening.summary())?;
        let start = Start {
            epoch: block.epoch,
            tree: self.tree.clone(),
            opening: opening.clone(),
            roots,
            beacon,
            time,
            index: self.index.clone(),
            flows: self.flows,
        };
        let mut overlay = Overlay::new(rules, start);
        overlay.do_due()?;
        let mut receipts = Vec::with_capacity(operations.len());
        let mut fees = Credits::ZERO;
        for operation in operations {
            let result = overlay.operation(operation, &mut fees)?;
            receipts.push(Receipt {
                operation: operation.id(),
                result,
            });
        }
        overlay.pay_fees(block.proposer, fees)?;
        let (tree, index, flows, events) = overlay.finish()?;
        check_conservation(rules, &tree.summary(), &flows)?;
        let executed = u64::try_from(operations.len()).unwrap_or(u64::MAX);
        let operations = self.operations.saturating_add(executed);
        let state = Self {
            tree,
            opening,
            epoch: block.epoch,
            roots,
            beacon,
            time,
            flows,
            operations,
            index,
        };
        Ok(Executed {
            state,
            receipts,
            events,
        })
    }

    /// The next expected root, and the beacon and the time of the newest, after the block's records.
    fn accept(
        &self,
        block: &BlockContext<'_>,
        opening: &Summary,
    ) -> Result<(Epoch, Hash, UnixMillis), ExecuteError> {
        let (mut roots, mut beacon, mut time) = (self.roots, self.beacon, self.time);
        for record in block.roots {
            if record.epoch != roots
                || record.epoch.next() != block.epoch
                || record.state != *opening
            {
                return Err(ExecuteError::Root {
                    found: record.epoch,
                    expected: roots,
                    epoch: block.epoch,
                });
            }
            (roots, beacon, time) = (record.epoch.next(), record.beacon, record.time);
        }
        Ok((roots, beacon, time))
    }
}

fn check_conservation(rules: &Rules, state: &Summary, flows: &Flows) -> Result<(), ExecuteError> {
    match flows.conserve(state.credits, rules.supply) {
        Ok(true) => Ok(()),
        _ => Err(ExecuteError::Conservation),
    }
}

impl Overlay<'_> {
    fn operation(
        &mut self,
        operation: &Operation,
        fees: &mut Credits,
    ) -> Result<Result<(), Refusal>, ExecuteError> {
        match operation {
            Operation::Signed(signed) => {
                let bytes = operation.encoded_size();
                match self.attempt(|overlay| overlay.charge(signed, bytes))? {
                    Ok(()) => {
                        *fees = fees
                            .add(signed.body.fee)
                            .map_err(|_| ExecuteError::Conservation)?
                    }
                    Err(refusal) => return Ok(Err(refusal)),
                }
                let task = Address(operation.id().0);
                self.attempt(|overlay| overlay.act(&signed.body, task))
            }
            Operation::Worker(worker) => self.attempt(|overlay| overlay.worker_operation(worker)),
            Operation::Proof(ProofOperation::Evidence(evidence)) => {
                self.attempt(|overlay| overlay.evidence(evidence))
            }
        }
    }

    /// Fees are collateral of the proposer's worker; burned when it is gone.
    fn pay_fees(&mut self, proposer: Address, fees: Credits) -> Result<(), ExecuteError> {
        if fees.is_zero() {
            return Ok(());
        }
        let paid = self.attempt(|overlay| {
            let Some(Entity::Worker(worker)) = overlay.get(&proposer)?.as_deref().cloned() else {
                return overlay.burn(fees);
            };
            let mut worker = worker;
            worker.collateral = worker.collateral.add(fees)?;
            overlay.set(proposer, Some(Entity::Worker(worker)));
            Ok(())
        })?;
        paid.map_err(|refusal| ExecuteError::Due {
            address: proposer,
            refusal: Box::new(refusal),
        })
    }
}
