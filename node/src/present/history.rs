//! An account's history.

use crate::api::refusal_body;
use crate::views::{Finality, HappeningView};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::operation::{Action, Operation, SignedOperation};
use frith_neighbourhood::{Happening, HistoryBlock};
use frith_tasks::TaskEvent;

/// One entry of an account's history.
#[must_use]
pub fn happening(account: &Address, block: &HistoryBlock, happening: &Happening) -> HappeningView {
    let view = match happening {
        Happening::Operation { operation, result } => {
            let refusal = result.as_ref().and_then(|result| result.as_ref().err());
            let view = ordered(account, operation);
            HappeningView {
                operation: Some(operation.id().to_hex()),
                // What was refused has moved nothing.
                direction: view.direction.filter(|_| refusal.is_none()),
                refusal: refusal.map(refusal_body),
                ..view
            }
        }
        Happening::Event(event) => happened(event),
    };
    HappeningView {
        height: block.height.get(),
        epoch: block.epoch.get(),
        finality: Some(if block.is_final {
            Finality::Final
        } else {
            Finality::Local
        }),
        ..view
    }
}

fn what(what: &str) -> HappeningView {
    HappeningView {
        what: what.to_owned(),
        ..HappeningView::default()
    }
}

impl HappeningView {
    fn moved(mut self, direction: &str, amount: Credits) -> Self {
        self.direction = Some(direction.to_owned());
        self.amount = Some(amount.to_string());
        self
    }

    fn at(mut self, seat: &Address) -> Self {
        self.seat = Some(seat.to_string());
        self
    }

    fn of(mut self, task: &Address) -> Self {
        self.task = Some(task.to_string());
        self
    }
}

/// What an account ordered, before it stands in a block.
#[must_use]
pub fn order(signed: &SignedOperation) -> HappeningView {
    let operation = Operation::Signed(signed.clone());
    HappeningView {
        operation: Some(operation.id().to_hex()),
        ..ordered(&signed.body.account, &operation)
    }
}

/// An operation, seen from the account.
fn ordered(account: &Address, operation: &Operation) -> HappeningView {
    match operation {
        Operation::Signed(signed) if signed.body.account == *account => HappeningView {
            fee: Some(signed.body.fee.to_string()),
            ..own(signed, operation)
        },
        Operation::Signed(signed) => match &signed.body.action {
            Action::Transfer { amount, .. } => HappeningView {
                with: Some(signed.body.account.to_string()),
                ..what("received").moved("in", *amount)
            },
            _ => what("named"),
        },
        Operation::Worker(_) => what("named"),
        Operation::Proof(_) => what("reported"),
    }
}

/// What the account itself ordered.
fn own(signed: &SignedOperation, operation: &Operation) -> HappeningView {
    let sum = |a: &Credits, b: &Credits| a.add(*b).unwrap_or(*a);
    match &signed.body.action {
        Action::Transfer { to, amount } => {
            // It went out and came in again: the account has what it had.
            let direction = if *to == signed.body.account {
                "self"
            } else {
                "out"
            };
            HappeningView {
                with: Some(to.to_string()),
                ..what("sent").moved(direction, *amount)
            }
        }
        Action::RegisterWorker {
            stake, collateral, ..
        } => what("registered").moved("out", sum(stake, collateral)),
        Action::AddStake {
            seat,
            stake,
            collateral,
        } => what("staked").at(seat).moved("out", sum(stake, collateral)),
        Action::Unstake { seat, collateral } => what("unstaked").at(seat).moved("in", *collateral),
        Action::SetTerms { seat, .. } => what("terms").at(seat),
        Action::Leave { seat } => what("left").at(seat),
        // A task lives at the id of its submission; the escrow is an entry of its own.
        Action::SubmitTask(_) => what("submitted").of(&Address(operation.id().0)),
        Action::CancelTask { task } => what("cancelled").of(task),
        Action::RotateKey { .. } => what("rotated"),
        Action::RotateWorker { seat, .. } => what("worker_key").at(seat),
        Action::Note(_) => what("note"),
    }
}

/// What happened to a task or a worker of the account.
fn happened(event: &TaskEvent) -> HappeningView {
    match event {
        TaskEvent::Submitted { task, escrow, .. } => what("escrow").of(task).moved("out", *escrow),
        TaskEvent::Paid {
            task, seat, amount, ..
        } => what("paid").of(task).at(seat).moved("in", *amount),
        TaskEvent::Rewarded {
            task, seat, amount, ..
        } => what("rewarded").of(task).at(seat).moved("in", *amount),
        TaskEvent::Refunded { task, amount, .. } => what("refunded").of(task).moved("in", *amount),
        TaskEvent::Left { seat, amount, .. } => what("returned").at(seat).moved("in", *amount),
        TaskEvent::Slashed { seat, reward, .. } => what("evidence").at(seat).moved("in", *reward),
        _ => what("named"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::hash::Hash;
    use frith_ledger::key::SecretKey;
    use frith_ledger::operation::OperationBody;
    use frith_ledger::units::{Epoch, Height, Nonce};
    use frith_tasks::Refusal;

    const AMOUNT: Credits = Credits::new(1_500_000);

    /// What `account` sees of a transfer of the account of the key of 1s.
    fn seen(account: Address, to: Address, result: Result<(), Refusal>) -> HappeningView {
        let key = SecretKey::from_bytes(&[1; 32]);
        let body = OperationBody {
            genesis: Hash::ZERO,
            account: key.public().address(),
            nonce: Nonce::ZERO,
            expires: Epoch::new(9),
            fee: Credits::new(10),
            action: Action::Transfer { to, amount: AMOUNT },
        };
        let operation = Box::new(Operation::Signed(SignedOperation::sign(body, &key)));
        let block = HistoryBlock {
            height: Height::new(1),
            epoch: Epoch::ZERO,
            is_final: true,
            happenings: Vec::new(),
        };
        let result = Some(result);
        happening(
            &account,
            &block,
            &Happening::Operation { operation, result },
        )
    }

    #[test]
    fn a_transfer_to_oneself_moves_nothing_and_one_that_was_refused_neither() {
        let me = SecretKey::from_bytes(&[1; 32]).public().address();
        let other = Address([9; 32]);
        let check = |view: &HappeningView, what: &str, direction: Option<&str>| {
            assert_eq!(
                (view.what.as_str(), view.direction.as_deref()),
                (what, direction)
            );
            assert_eq!(view.amount.as_deref(), Some("1.5"));
        };
        check(&seen(me, other, Ok(())), "sent", Some("out"));
        check(&seen(other, other, Ok(())), "received", Some("in"));
        let own = seen(me, me, Ok(()));
        check(&own, "sent", Some("self"));
        assert_eq!(own.fee.as_deref(), Some("0.00001"), "which it cost");
        let refused = seen(me, other, Err(Refusal::Nothing));
        check(&refused, "sent", None);
        assert!(refused.refusal.is_some());
    }
}
