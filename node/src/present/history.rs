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
            HappeningView {
                operation: Some(operation.id().to_hex()),
                refusal: refusal.map(refusal_body),
                ..ordered(account, operation)
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
        Action::Transfer { to, amount } => HappeningView {
            with: Some(to.to_string()),
            ..what("sent").moved("out", *amount)
        },
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
