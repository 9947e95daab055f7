//! Lists and totals against a scan of the tree that knows nothing of the index.

use crate::quote::quote;
use crate::rules::Rules;
use crate::runtime::{LeafState, Listed, SeatWork};
use crate::unpaid::{Verdict, is_over};
use frith_ledger::address::Address;
use frith_ledger::entity::{Entity, Place, PlaceState, Task, TaskState, WorkerStatus};
use frith_ledger::units::Epoch;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a place brought no pay, told from what its worker got: no right result is worth nothing here.
fn brought_nothing(task: &Task, place: &Place) -> bool {
    match place.state {
        PlaceState::NoShow | PlaceState::Unrevealed => true,
        PlaceState::Drawn => is_over(task),
        PlaceState::Committed => false,
        PlaceState::Revealed(_) => is_over(task) && place.paid.is_zero(),
    }
}

/// Checks every list and total of a state.
pub(super) fn check(state: &LeafState, rules: &Rules) {
    let mut tasks: Vec<(Epoch, Address, Box<Task>)> = Vec::new();
    let (mut workers, mut active, mut registrations) = (0, 0, 0);
    for (address, leaf) in state.tree().iter() {
        match Entity::from_bytes(&leaf.bytes).expect("an entity") {
            Entity::Account(_) => {}
            Entity::Registration(_) => registrations += 1,
            Entity::Worker(worker) => {
                workers += 1;
                active += u64::from(worker.status == WorkerStatus::Active);
            }
            Entity::Task(task) => tasks.push((task.recorded, address, task)),
        }
    }
    let counts = state.counts();
    assert_eq!(
        (counts.workers, counts.workers_active, counts.registrations),
        (workers, active, registrations)
    );
    let settled = |task: &Task| matches!(task.state, TaskState::Settled { .. });
    let expected = tasks.iter().filter(|(.., task)| settled(task)).count() as u64;
    let found = counts.by_state().find(|(name, _)| *name == "settled");
    assert_eq!(found, Some(("settled", expected)));
    assert_eq!(counts.tasks.iter().sum::<u64>(), tasks.len() as u64);

    tasks.sort_by_key(|(recorded, address, _)| (u64::MAX - recorded.get(), *address));
    check_lists(state, &tasks);
    check_work(state, rules, &tasks);
}

fn check_lists(state: &LeafState, tasks: &[(Epoch, Address, Box<Task>)]) {
    let accounts: BTreeSet<Address> = tasks.iter().map(|(.., task)| task.account).collect();
    for owner in std::iter::once(None).chain(accounts.into_iter().map(Some)) {
        let mine = tasks
            .iter()
            .filter(|(.., task)| owner.is_none_or(|owner| owner == task.account))
            .map(|(recorded, address, _)| Listed::new(*recorded, *address));
        let expected: Vec<Listed> = mine.collect();
        let all: Vec<Listed> = state.tasks(owner, None).collect();
        assert_eq!(all, expected);
        // Pages of any beginning are the rest of the list.
        for (at, listed) in expected.iter().enumerate().step_by(3) {
            let rest: Vec<Listed> = state.tasks(owner, Some(*listed)).collect();
            assert_eq!(rest, expected[at + 1..]);
        }
    }
}

fn check_work(state: &LeafState, rules: &Rules, tasks: &[(Epoch, Address, Box<Task>)]) {
    let mut work: BTreeMap<Address, SeatWork> = BTreeMap::new();
    let mut unpaid: BTreeMap<Address, Vec<Address>> = BTreeMap::new();
    for (_, address, task) in tasks {
        let most = quote(rules.parameters(), &task.spec)
            .expect("was accepted")
            .place;
        for place in task.places.iter() {
            let entry = work.entry(place.seat).or_default();
            entry.places += 1;
            entry.earned = entry.earned.add(place.paid).expect("fits");
            let open = !matches!(place.state, PlaceState::NoShow | PlaceState::Unrevealed);
            if open && !is_over(task) {
                entry.pending = entry.pending.add(most).expect("fits");
            }
            assert_eq!(
                Verdict::of(task).unpaid(place).is_some(),
                brought_nothing(task, place)
            );
            if brought_nothing(task, place) {
                let list = unpaid.entry(place.seat).or_default();
                if list.last() != Some(address) {
                    list.push(*address);
                }
            }
        }
    }
    for (seat, expected) in &work {
        assert_eq!(state.work_of(seat), *expected);
        let found: Vec<Address> = state
            .unpaid_of(*seat)
            .map(|listed| listed.address())
            .collect();
        assert_eq!(found, unpaid.remove(seat).unwrap_or_default());
    }
    assert_eq!(state.work_of(&Address([9; 32])), SeatWork::default());
}
