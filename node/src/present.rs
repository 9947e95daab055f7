//! From the ledger's types to what the API shows. Pure functions of committed state.

mod history;

pub use history::{happening, order};

use crate::amounts::grouped;
use crate::views::{
    AccountView, ArbitratorView, ChangeView, Entity as EntityJson, EventView, ExcerptView,
    FoundView, ListedTaskView, NextKeyView, OutcomeView, PlaceView, RegistrationView,
    RetiredKeyView, SeatView, SpecView, SummaryView, TaskView, TermsView, WorkerView,
};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{
    Bytes, Entity, FailReason, OutcomeId, PendingChange, Place, PlaceState, RunStatus, Task,
    TaskOutcome, TaskSpec, TaskState, Terms, Worker, WorkerChange, WorkerStatus,
};
use frith_ledger::tree::Summary;
use frith_ledger::units::Epoch;
use frith_tasks::TaskEvent;
use frith_tasks::outcome::describe;
use frith_tasks::runtime::state_name;
use frith_tasks::unpaid::{Verdict, is_over};
use frith_vm::{EngineKind, Excerpt};

/// The engine's name, as it stands in options and answers.
#[must_use]
pub fn engine_name(engine: u8) -> String {
    EngineKind::from_number(engine)
        .map_or_else(|| format!("engine {engine}"), |kind| kind.name().to_owned())
}

/// The names of the engines in a bit set.
#[must_use]
pub fn engine_names(engines: u8) -> Vec<String> {
    (0..8)
        .filter(|bit| engines >> bit & 1 == 1)
        .map(engine_name)
        .collect()
}

/// A summary.
#[must_use]
pub fn summary(summary: &Summary) -> SummaryView {
    SummaryView {
        hash: summary.hash.to_hex(),
        credits: summary.credits.to_string(),
        stake: summary.stake.to_string(),
        entities: summary.entities,
    }
}

/// Any entity.
#[must_use]
pub fn entity(address: &Address, entity: &Entity) -> EntityJson {
    match entity {
        Entity::Account(account) => EntityJson::Account(AccountView {
            balance: account.balance.to_string(),
            nonce: account.nonce.get(),
            key: account.key.map(|key| key.to_string()),
            workers: account
                .workers
                .iter()
                .map(|worker| SeatView {
                    key: worker.key.to_string(),
                    seat: worker.seat.map(|seat| seat.to_string()),
                })
                .collect(),
        }),
        Entity::Registration(registration) => EntityJson::Registration(RegistrationView {
            account: registration.account.to_string(),
            key: registration.key.to_string(),
            stake: registration.stake.to_string(),
            collateral: registration.collateral.to_string(),
            terms: terms(&registration.terms),
            recorded: registration.recorded.get(),
        }),
        Entity::Worker(found) => EntityJson::Worker(worker(found)),
        Entity::Task(found) => EntityJson::Task(Box::new(task(address, found))),
    }
}

/// What a worker offers.
#[must_use]
pub fn terms(terms: &Terms) -> TermsView {
    TermsView {
        engines: engine_names(terms.engines),
        price: terms.price.to_string(),
        slots: terms.slots,
    }
}

/// A worker.
#[must_use]
pub fn worker(worker: &Worker) -> WorkerView {
    let (status, until) = match worker.status {
        WorkerStatus::Active => ("active", None),
        WorkerStatus::Leaving { until } => ("leaving", Some(until.get())),
        WorkerStatus::Slashed { until } => ("slashed", Some(until.get())),
    };
    WorkerView {
        key: worker.key.to_string(),
        account: worker.account.to_string(),
        stake: worker.stake.to_string(),
        collateral: worker.collateral.to_string(),
        terms: terms(&worker.terms),
        status: status.to_owned(),
        until,
        open: worker
            .open
            .iter()
            .map(|open| open.task.to_string())
            .collect(),
        tasks_paid: worker.tasks_paid,
        tasks_lost: worker.tasks_lost,
        changes: worker.pending.iter().filter_map(change).collect(),
        next_key: worker.next_keys().map(|(since, keys)| NextKeyView {
            key: keys.key.to_string(),
            since: since.get(),
        }),
        retired_keys: worker
            .retired
            .iter()
            .map(|retired| RetiredKeyView {
                key: retired.key.to_string(),
                last: retired.last.get(),
                until: retired.until.get(),
            })
            .collect(),
    }
}

/// A change of stake or terms; one of keys stands in a field of its own.
fn change(pending: &PendingChange) -> Option<ChangeView> {
    let (terms, stake) = match &pending.change {
        WorkerChange::Terms(new) => (Some(terms(new)), None),
        WorkerChange::AddStake(stake) => (None, Some(stake.to_string())),
        WorkerChange::Keys(_) => return None,
    };
    Some(ChangeView {
        since: pending.since.get(),
        terms,
        stake,
    })
}

/// A task with its places.
#[must_use]
pub fn task(address: &Address, task: &Task) -> TaskView {
    let arbitrators = match &task.state {
        TaskState::Arbitrating { arbitrators, .. } => arbitrators
            .iter()
            .map(|a| ArbitratorView {
                seat: a.seat.to_string(),
                engine: engine_name(a.engine),
                verdict: a.verdict.as_ref().map(found),
            })
            .collect(),
        _ => Vec::new(),
    };
    let verdict = Verdict::of(task);
    TaskView {
        address: address.to_string(),
        account: task.account.to_string(),
        state: state_name(&task.state).to_owned(),
        explanation: explanation(task),
        ended: is_over(task),
        epoch: epoch_of(task).map(Epoch::get),
        spec: spec(&task.spec),
        escrow: task.escrow.to_string(),
        paid: paid(task).to_string(),
        recorded: task.recorded.get(),
        drawn: task.drawn.map(Epoch::get),
        clock_ms: task.drawn.map(|_| task.clock.get()),
        places: task.places.iter().map(|p| place(p, &verdict)).collect(),
        arbitrators,
        outcome: settled(task).map(outcome),
    }
}

/// A task as lists show it: no more bytes for long arguments, inputs and results than for short ones.
#[must_use]
pub fn listed_task(address: &Address, task: &Task) -> ListedTaskView {
    ListedTaskView {
        address: address.to_string(),
        account: task.account.to_string(),
        state: state_name(&task.state).to_owned(),
        explanation: explanation(task),
        ended: is_over(task),
        epoch: epoch_of(task).map(Epoch::get),
        program: task.spec.program.to_hex(),
        fuel_max: task.spec.fuel_max.get(),
        price: task.spec.price.to_string(),
        replicas: task.spec.replicas,
        escrow: task.escrow.to_string(),
        paid: paid(task).to_string(),
        recorded: task.recorded.get(),
        drawn: task.drawn.map(Epoch::get),
        outcome: settled(task).map(|settled| OutcomeView {
            output: None,
            ..outcome(settled)
        }),
    }
}

/// The last epoch of the present state, or the one in which the task ended.
const fn epoch_of(task: &Task) -> Option<Epoch> {
    match &task.state {
        TaskState::Submitted => None,
        TaskState::Assigned { commit_until } => Some(*commit_until),
        TaskState::Revealing { reveal_until, .. } => Some(*reveal_until),
        TaskState::Disputed { until } | TaskState::Arbitrating { until, .. } => Some(*until),
        TaskState::Settled { epoch, .. }
        | TaskState::Failed { epoch, .. }
        | TaskState::Cancelled { epoch } => Some(*epoch),
    }
}

fn paid(task: &Task) -> Credits {
    Credits::new(task.places.iter().map(|place| place.paid.get()).sum())
}

const fn settled(task: &Task) -> Option<&TaskOutcome> {
    match &task.state {
        TaskState::Settled { outcome, .. } => Some(outcome),
        _ => None,
    }
}

fn explanation(task: &Task) -> String {
    match &task.state {
        TaskState::Submitted => {
            format!(
                "waits for its workers to be drawn; recorded in the root of epoch {}",
                task.recorded
            )
        }
        TaskState::Assigned { commit_until } => {
            format!("workers run it and commit until epoch {commit_until}")
        }
        TaskState::Revealing { reveal_until, .. } => {
            format!("workers open their results until epoch {reveal_until}")
        }
        TaskState::Disputed { until } => {
            format!("results differ, or too few came: who decides is drawn, until epoch {until}")
        }
        TaskState::Arbitrating { until, arbitrators } => {
            format!(
                "results differ: {} workers decide until epoch {until}",
                arbitrators.len()
            )
        }
        TaskState::Settled { epoch, .. } => format!("settled in epoch {epoch}; workers are paid"),
        TaskState::Failed { reason, epoch } => {
            let reason = match reason {
                FailReason::NoWorkers => "not enough workers fit its engines, price and slots",
                FailReason::NoReveals => "nobody revealed a result",
                FailReason::NoVerdict => "the arbitrators reached no verdict",
            };
            format!(
                "ended in epoch {epoch} without a result: {reason}; what was not used went back"
            )
        }
        TaskState::Cancelled { epoch } => {
            format!("cancelled in epoch {epoch}; the escrow went back")
        }
    }
}

/// What a task asks for.
#[must_use]
pub fn spec(spec: &TaskSpec) -> SpecView {
    SpecView {
        program: spec.program.to_hex(),
        program_len: spec.program_len,
        input_len: bytes_len(&spec.input),
        arguments: spec
            .arguments
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect(),
        fuel_max: spec.fuel_max.get(),
        price: spec.price.to_string(),
        replicas: spec.replicas,
        memory_pages: spec.memory_pages,
        result_max: spec.result_max,
        deadline: spec.deadline.get(),
    }
}

fn bytes_len(bytes: &Bytes) -> u64 {
    match bytes {
        Bytes::Inline(inline) => inline.len() as u64,
        Bytes::Content { len, .. } => u64::from(*len),
    }
}

/// What a run gave.
#[must_use]
pub fn outcome(outcome: &TaskOutcome) -> OutcomeView {
    let (output, content) = match &outcome.output {
        Bytes::Inline(inline) => (Some(hex::encode(&**inline)), None),
        Bytes::Content { id, .. } => (None, Some(id.to_hex())),
    };
    OutcomeView {
        status: describe(outcome.status),
        success: outcome.status == RunStatus::Exit(0),
        fuel: outcome.fuel.get(),
        output_len: bytes_len(&outcome.output),
        output,
        content,
    }
}

/// What is kept of a text.
#[must_use]
pub fn excerpt(excerpt: &Excerpt) -> ExcerptView {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (head, tail) = (excerpt.head(), excerpt.tail());
    match excerpt.left_out() {
        // One text: where it was cut is no place in it.
        0 => ExcerptView {
            head: text(&[head, tail].concat()),
            ..ExcerptView::default()
        },
        left_out_bytes => ExcerptView {
            head: text(head),
            left_out_bytes,
            tail: text(tail),
        },
    }
}

/// The same in one text for people, which says what was left out.
#[must_use]
pub fn excerpt_text(excerpt: &ExcerptView) -> String {
    let ExcerptView {
        head,
        left_out_bytes,
        tail,
    } = excerpt;
    if *left_out_bytes == 0 {
        return head.clone();
    }
    let left_out = grouped(*left_out_bytes);
    format!("{head}\n[… {left_out} bytes left out …]\n{tail}")
}

/// An outcome that is known by its hash.
fn found(outcome: &OutcomeId) -> FoundView {
    FoundView {
        result: outcome.hash.to_hex(),
        fuel: outcome.fuel.get(),
    }
}

fn place(place: &Place, verdict: &Verdict) -> PlaceView {
    let (state, outcome) = match &place.state {
        PlaceState::Drawn => ("drawn", None),
        PlaceState::Committed => ("committed", None),
        PlaceState::Revealed(outcome) => ("revealed", Some(found(outcome))),
        PlaceState::NoShow => ("no_show", None),
        PlaceState::Unrevealed => ("unrevealed", None),
    };
    PlaceView {
        seat: place.seat.to_string(),
        key: place.key.to_string(),
        account: place.account.to_string(),
        engine: engine_name(place.engine),
        state: state.to_owned(),
        found: outcome,
        bond: place.bond.to_string(),
        paid: place.paid.to_string(),
        lost: place.lost.to_string(),
        unpaid: verdict.unpaid(place).map(|reason| reason.to_string()),
    }
}

/// Something that happened to a task or a worker.
#[must_use]
pub fn event(event: &TaskEvent, height: u64) -> EventView {
    type Parts<'a> = (
        &'static str,
        Option<&'a Address>,
        Option<&'a Address>,
        Option<Credits>,
    );
    let (what, task, seat, amount): Parts<'_> = match event {
        TaskEvent::Submitted { task, escrow, .. } => ("submitted", Some(task), None, Some(*escrow)),
        TaskEvent::Drawn { task, seat, .. } => ("drawn", Some(task), Some(seat), None),
        TaskEvent::Committed { task, seat, bond } => {
            ("committed", Some(task), Some(seat), Some(*bond))
        }
        TaskEvent::NoShow {
            task,
            seat,
            penalty,
        } => ("no_show", Some(task), Some(seat), Some(*penalty)),
        TaskEvent::RevealsOpen { task, .. } => ("reveals_open", Some(task), None, None),
        TaskEvent::Revealed { task, seat, .. } => ("revealed", Some(task), Some(seat), None),
        TaskEvent::Unrevealed { task, seat } => ("unrevealed", Some(task), Some(seat), None),
        TaskEvent::Disputed { task } => ("disputed", Some(task), None, None),
        TaskEvent::Arbitrating { task, .. } => ("arbitrating", Some(task), None, None),
        TaskEvent::Verdict { task, seat, .. } => ("verdict", Some(task), Some(seat), None),
        TaskEvent::Settled { task, .. } => ("settled", Some(task), None, None),
        TaskEvent::Paid {
            task, seat, amount, ..
        } => ("paid", Some(task), Some(seat), Some(*amount)),
        TaskEvent::BondLost {
            task, seat, amount, ..
        } => ("bond_lost", Some(task), Some(seat), Some(*amount)),
        TaskEvent::Rewarded {
            task, seat, amount, ..
        } => ("rewarded", Some(task), Some(seat), Some(*amount)),
        TaskEvent::Refunded { task, amount, .. } => ("refunded", Some(task), None, Some(*amount)),
        TaskEvent::Failed { task, .. } => ("failed", Some(task), None, None),
        TaskEvent::Cancelled { task } => ("cancelled", Some(task), None, None),
        TaskEvent::Seated { seat, .. } => ("seated", None, Some(seat), None),
        TaskEvent::Leaving { seat, .. } => ("leaving", None, Some(seat), None),
        TaskEvent::Left { seat, amount, .. } => ("left", None, Some(seat), Some(*amount)),
        TaskEvent::Slashed { seat, burned, .. } => ("slashed", None, Some(seat), Some(*burned)),
        TaskEvent::Rotating { seat, .. } => ("rotating", None, Some(seat), None),
        TaskEvent::Rotated { seat, .. } => ("rotated", None, Some(seat), None),
    };
    EventView::Task {
        what: what.to_owned(),
        task: task.map(Address::to_string),
        seat: seat.map(Address::to_string),
        amount: amount.map(|amount| amount.to_string()),
        height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_of_standard_error_is_said_where_it_was() {
        let check = |text: &[u8], expected: &str| {
            let shown = excerpt_text(&excerpt(&text.into()));
            assert_eq!(shown, expected);
        };
        check(b"", "");
        check(b"all of it\n", "all of it\n");
        let part = frith_vm::EXCERPT_PART_BYTES;
        let (head, tail) = ("a".repeat(part), "z".repeat(part));
        check(format!("{head}{tail}").as_bytes(), &format!("{head}{tail}"));
        check(
            format!("{head}{}{tail}", "-".repeat(12_345)).as_bytes(),
            &format!("{head}\n[… 12 345 bytes left out …]\n{tail}"),
        );
    }
}
