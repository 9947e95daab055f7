//! Operations of one account and nonce: one is taken, and of the others it is said that they never were executed.

use super::world::World;
use crate::{Input, Limits, NeverExecuted, NodeEvent, OperationStatus, Slot, SubmitError};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::operation::{Action, Operation, OperationId};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::{Epoch, Nonce};
use frith_tasks::Refusal;
use parity_scale_codec::Encode as _;

const TO: Address = Address([0x42; 32]);

/// A transfer of user 0 that differs from others by its amount.
fn transfer(world: &World, nonce: u64, expires: u64, credits: u64) -> Operation {
    let amount = Credits::whole(credits);
    world.operation(0, nonce, expires, Action::Transfer { to: TO, amount })
}

fn answer(
    world: &mut World,
    node: usize,
    operation: &Operation,
) -> Result<OperationId, SubmitError> {
    let operation = operation.encode();
    world.input(
        node,
        Input::Submit {
            token: 0,
            operation,
        },
    );
    world.hosts[node]
        .results
        .pop()
        .expect("an answer comes at once")
}

fn account(world: &World) -> Address {
    world.users[0].public().address()
}

fn slot(world: &World, nonce: u64, since: u64, expires: u64) -> Slot {
    Slot {
        account: account(world),
        nonce: Nonce::new(nonce),
        since: Epoch::new(since),
        expires: Epoch::new(expires),
    }
}

fn status(
    world: &mut World,
    node: usize,
    id: &OperationId,
    slot: Option<Slot>,
) -> Option<OperationStatus> {
    let node = world.hosts[node].node.as_mut().expect("it runs");
    node.operation(id, slot)
}

fn by_nonce(status: Option<&OperationStatus>) -> bool {
    let Some(OperationStatus::Never(NeverExecuted { refusal, .. })) = status else {
        return false;
    };
    matches!(refusal, Refusal::Nonce { .. })
}

#[test]
fn a_second_operation_of_an_account_and_nonce_is_refused_and_names_the_first() {
    let mut world = World::new(4);
    let (first, second) = (transfer(&world, 0, 50, 1), transfer(&world, 0, 50, 2));
    let taken = NonceTaken::of(&world, &first);
    let free = |world: &World| world.node(0).free_nonce(&account(world)).get();
    assert_eq!(free(&world), 0);
    assert_eq!(answer(&mut world, 0, &first), Ok(first.id()));
    assert_eq!(free(&world), 1, "what waits has used its nonce");
    // While it waits, while it is in a batch under way, and when it is executed.
    assert_eq!(answer(&mut world, 0, &second), taken.refusal());
    let under_way = |w: &World| w.node(0).status().batches.0 > 0;
    assert!(world.run_until(3_000, under_way));
    assert_eq!(world.nonce(0, 0), Nonce::ZERO);
    assert_eq!(answer(&mut world, 0, &second), taken.refusal());
    assert_eq!(free(&world), 1);
    assert!(world.run_until(3_000, |w| w.nonce(0, 0).get() == 1));
    let refused = answer(&mut world, 0, &second);
    assert!(
        matches!(refused, Err(SubmitError::Refused(Refusal::Nonce { .. }))),
        "{refused:?}"
    );
    assert_eq!(world.balance(0, &TO), Credits::whole(1));
    // The next nonce is free again, for another batch.
    let third = transfer(&world, 1, 50, 3);
    assert_eq!(answer(&mut world, 0, &third), Ok(third.id()));
    assert!(world.run_until(5_000, |w| w.nonce(3, 0).get() == 2));
    assert_eq!(world.balance(3, &TO), Credits::whole(4));
    world.check();
}

/// What a node says while an operation holds its nonce.
struct NonceTaken {
    account: Address,
    by: OperationId,
}

impl NonceTaken {
    fn of(world: &World, holder: &Operation) -> Self {
        let (account, by) = (account(world), holder.id());
        Self { account, by }
    }

    fn refusal(&self) -> Result<OperationId, SubmitError> {
        Err(SubmitError::NonceTaken {
            account: self.account,
            nonce: Nonce::ZERO,
            by: self.by,
        })
    }
}

#[test]
fn operations_that_may_never_be_paid_for_have_a_small_share_of_the_queue() {
    let limits = Limits {
        queue_operations_max: 32,
        ..Limits::default()
    };
    let mut world = World::with(4, Parameters::test(), limits);
    let is_full =
        |answer: &Result<_, SubmitError>| matches!(answer, Err(SubmitError::Overloaded { .. }));
    // Nonce 0 doesn't come, so all of them would wait for it and cost nothing.
    let mut taken = 0;
    for nonce in 1..=20 {
        let operation = transfer(&world, nonce, 50, 1);
        let answer = answer(&mut world, 0, &operation);
        assert!(answer.is_ok() || is_full(&answer), "{answer:?}");
        taken += usize::from(answer.is_ok());
    }
    assert_eq!(taken, 4, "an eighth");
    // Nor does more than the balance count for more.
    let all = world.balance(0, &account(&world));
    let half = Action::Transfer {
        to: TO,
        amount: Credits::new(all.get() / 2),
    };
    let dear: Vec<Operation> = (0..3)
        .map(|nonce| world.operation(1, nonce, 50, half.clone()))
        .collect();
    let answers: Vec<_> = dear
        .iter()
        .map(|operation| answer(&mut world, 0, operation))
        .collect();
    assert!(answers[0].is_ok(), "{answers:?}");
    assert!(answers[1..].iter().all(is_full), "{answers:?}");
    // Who sends what has its turn is served, and fills the gap.
    let first = transfer(&world, 0, 50, 1);
    assert_eq!(answer(&mut world, 0, &first), Ok(first.id()));
    assert!(world.run_until(5_000, |w| w.nonce(0, 0).get() == 5
        && w.nonce(0, 1).get() == 1));
    let next = transfer(&world, 6, 50, 1);
    assert_eq!(
        answer(&mut world, 0, &next),
        Ok(next.id()),
        "there is room again"
    );
    world.check();
}

#[test]
fn of_two_with_one_nonce_at_two_nodes_one_is_executed_and_the_other_is_told() {
    let mut world = World::new(4);
    let operations = [transfer(&world, 0, 50, 1), transfer(&world, 0, 50, 2)];
    for (node, operation) in operations.iter().enumerate() {
        assert_eq!(answer(&mut world, node, operation), Ok(operation.id()));
    }
    world.run(5_000);
    assert_eq!(world.nonce(2, 0).get(), 1);
    let slot = slot(&world, 0, 0, 50);
    for node in 0..4 {
        let found = operations
            .each_ref()
            .map(|operation| status(&mut world, node, &operation.id(), Some(slot)));
        let executed = |found: &Option<OperationStatus>| matches!(found, Some(OperationStatus::Executed(done)) if done.result.is_ok());
        let refused = |found: &Option<OperationStatus>| {
            by_nonce(found.as_ref())
                || matches!(found, Some(OperationStatus::Executed(done)) if done.result.is_err())
        };
        assert_eq!(
            found.iter().filter(|found| executed(found)).count(),
            1,
            "{found:?}"
        );
        assert_eq!(
            found.iter().filter(|found| refused(found)).count(),
            1,
            "{found:?}"
        );
    }
    world.check();
}

#[test]
fn what_expired_or_whose_nonce_was_used_was_never_executed_also_where_nobody_saw_it() {
    let mut world = World::new(4);
    let now = world.epoch(0);
    // Waits for a nonce that comes after its time.
    let waits = transfer(&world, 1, now + 2, 5);
    assert_eq!(answer(&mut world, 0, &waits), Ok(waits.id()));
    assert_eq!(
        status(&mut world, 0, &waits.id(), None),
        Some(OperationStatus::Pending)
    );
    assert!(world.run_until(10_000, |w| (0..4).all(|n| w.epoch(n) > now + 2)));
    for (node, known) in [(0, None), (2, Some(slot(&world, 1, now, now + 2)))] {
        let found = status(&mut world, node, &waits.id(), known);
        let Some(OperationStatus::Never(never)) = &found else {
            panic!("node {node}: {found:?}");
        };
        assert!(
            matches!(never.refusal, Refusal::Expired { .. }),
            "{never:?}"
        );
    }
    assert_eq!(
        status(&mut world, 2, &waits.id(), None),
        None,
        "it never saw it"
    );
    // One that nobody got, and another that used its nonce.
    let lost = transfer(&world, 0, now + 60, 6);
    let known = slot(&world, 0, now, now + 60);
    assert_eq!(
        status(&mut world, 1, &lost.id(), Some(known)),
        None,
        "it may still come"
    );
    world.transfer(3, 0, 0, TO);
    assert!(world.run_until(5_000, |w| (0..4).all(|n| w.nonce(n, 0).get() == 1)));
    assert!(by_nonce(
        status(&mut world, 1, &lost.id(), Some(known)).as_ref()
    ));
    world.run(3_000);
    let found = status(&mut world, 1, &lost.id(), Some(known));
    let is_final = |found: &Option<OperationStatus>| matches!(found, Some(OperationStatus::Never(never)) if never.is_final);
    assert!(is_final(&found), "{found:?}");
    let found = status(&mut world, 0, &waits.id(), None);
    assert!(is_final(&found), "{found:?}");
    world.check();
}

#[test]
fn a_node_that_copied_the_state_does_not_say_never_of_what_others_executed_before() {
    let limits = Limits {
        block_sync_epochs: 2,
        ..Limits::default()
    };
    let mut world = World::with(4, Parameters::test(), limits);
    let early = world.transfer(0, 0, 0, TO);
    assert!(world.run_until(20_000, |w| w.epoch(0) >= 7));
    world.crash(3, 0);
    world.hosts[3].store.wipe();
    world.start(3, false);
    let copied = |w: &World| {
        let copied = |event: &NodeEvent| matches!(event, NodeEvent::StateCopied { .. });
        w.hosts[3].events.iter().any(copied) && w.node(3).head() >= w.node(0).head()
    };
    assert!(world.run_until(30_000, copied));
    let known = slot(&world, 0, 0, 100);
    assert_eq!(
        world.nonce(3, 0).get(),
        1,
        "it knows that the nonce was used"
    );
    assert_eq!(
        status(&mut world, 3, &early, Some(known)),
        None,
        "and not by what"
    );
    let at_others = status(&mut world, 0, &early, Some(known));
    assert!(matches!(at_others, Some(OperationStatus::Executed(_))));
    // Of what was signed since then it can tell, also after a start.
    let now = world.epoch(3) + 1;
    assert!(world.run_until(5_000, |w| w.epoch(3) > now));
    let lost = transfer(&world, 1, now + 50, 9);
    world.transfer(3, 0, 1, TO);
    assert!(world.run_until(5_000, |w| w.nonce(3, 0).get() == 2));
    let since_then = slot(&world, 1, now, now + 50);
    for _ in 0..2 {
        let found = status(&mut world, 3, &lost.id(), Some(since_then));
        assert!(by_nonce(found.as_ref()), "{found:?}");
        assert_eq!(status(&mut world, 3, &early, Some(known)), None);
        world.run(3_000);
        world.crash(3, usize::MAX);
        world.start(3, false);
        assert!(world.run_until(20_000, |w| w.nonce(3, 0).get() == 2));
    }
}
