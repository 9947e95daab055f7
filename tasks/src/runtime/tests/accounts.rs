//! What accounts order: fees, nonces, keys, money.

use super::world::{FUNDS, World, spec, user_key};
use crate::refusal::Refusal;
use crate::runtime::NONCE_AHEAD_MAX;
use frith_ledger::address::Address;
use frith_ledger::codec::BoundedVec;
use frith_ledger::credits::Credits;
use frith_ledger::hash::Hash;
use frith_ledger::key::SecretKey;
use frith_ledger::operation::{Action, Operation, OperationBody, SignedOperation};
use frith_ledger::units::{Epoch, Nonce};
use parity_scale_codec::Encode as _;

const FEE: Credits = Credits::new(20_000);

fn transfer(to: Address, amount: u64) -> Action {
    Action::Transfer {
        to,
        amount: Credits::whole(amount),
    }
}

fn signed(world: &World, user: usize, change: impl FnOnce(&mut OperationBody)) -> Operation {
    let mut body = world.body(user, transfer(Address([5; 32]), 1));
    change(&mut body);
    Operation::Signed(SignedOperation::sign(body, &world.users[user]))
}

fn admit(world: &World, operation: &Operation) -> Result<(), Refusal> {
    world.state.admit(
        &world.rules,
        world.epoch,
        operation,
        operation.encoded_size(),
    )
}

#[test]
fn a_transfer_creates_the_account_and_its_fee_goes_to_the_proposers_worker() {
    let mut world = World::new(&[1, 2, 1]);
    let (to, proposer) = (Address([5; 32]), world.worker(0).collateral);
    assert_eq!(world.act(1, transfer(to, 7)), Ok(()));
    assert_eq!(world.account(&to).balance, Credits::whole(7));
    let left = FUNDS.sub(Credits::whole(7)).and_then(|rest| rest.sub(FEE));
    assert_eq!(Ok(world.account(&world.address(1)).balance), left);
    assert_eq!(world.worker(0).collateral.sub(proposer), Ok(FEE));
    // To oneself: nothing but the fee.
    let me = world.address(2);
    assert_eq!(world.act(2, transfer(me, 3)), Ok(()));
    assert_eq!(Ok(world.account(&me).balance), FUNDS.sub(FEE));
}

#[test]
fn the_same_operation_never_executes_twice() {
    let mut world = World::new(&[1]);
    let operation = world.sign(1, transfer(Address([5; 32]), 7));
    let results = world.block(&[operation.clone(), operation.clone()]);
    let refused = Err(Refusal::Nonce {
        expected: Nonce::new(1),
        found: Nonce::ZERO,
    });
    assert_eq!(results, [Ok(()), refused.clone()]);
    assert_eq!(world.one(operation.clone()), refused);
    assert_eq!(admit(&world, &operation), refused);
    assert_eq!(world.account(&Address([5; 32])).balance, Credits::whole(7));
}

#[test]
fn an_order_that_is_not_right_changes_nothing_and_costs_nothing() {
    let mut world = World::new(&[1]);
    world.close();
    let me = world.address(1);
    let orders: Vec<(Operation, Refusal)> = vec![
        (
            signed(&world, 1, |body| body.genesis = Hash([3; 32])),
            Refusal::WrongNetwork {
                expected: world.rules.hash,
                found: Hash([3; 32]),
            },
        ),
        (
            signed(&world, 1, |body| body.nonce = Nonce::new(2_000)),
            Refusal::Nonce {
                expected: Nonce::ZERO,
                found: Nonce::new(2_000),
            },
        ),
        (
            signed(&world, 1, |body| body.expires = Epoch::ZERO),
            Refusal::Expired {
                expires: Epoch::ZERO,
                epoch: Epoch::new(1),
            },
        ),
        (
            signed(&world, 1, |body| body.expires = Epoch::new(602)),
            Refusal::ExpiryFar {
                expires: Epoch::new(602),
                latest: Epoch::new(601),
            },
        ),
        (
            signed(&world, 1, |body| body.fee = Credits::new(1_099)),
            Refusal::Fee {
                fee: Credits::new(1_099),
                needed: Credits::new(1_100),
                bytes: 242,
            },
        ),
        (
            signed(&world, 1, |body| body.fee = Credits::new(u128::MAX)),
            Refusal::Underfunded {
                held: FUNDS,
                needed: Credits::new(u128::MAX),
            },
        ),
        (
            signed(&world, 1, |body| body.account = Address([8; 32])),
            Refusal::NoAccount {
                account: Address([8; 32]),
            },
        ),
        (
            signed(&world, 1, |body| {
                body.account = user_key(2).public().address()
            }),
            {
                let account = world.address(2);
                Refusal::WrongKey { account }
            },
        ),
    ];
    let before = world.state.summary();
    for (operation, refusal) in orders {
        let Refusal::Nonce { expected, found } = refusal.clone() else {
            assert_eq!(admit(&world, &operation), Err(refusal.clone()));
            assert_eq!(
                execute_unverified(&world, &operation),
                (Err(refusal), before.hash)
            );
            continue;
        };
        assert_eq!(
            admit(&world, &operation),
            Err(Refusal::NonceAhead {
                expected,
                found,
                ahead_max: NONCE_AHEAD_MAX
            })
        );
        assert_eq!(
            execute_unverified(&world, &operation),
            (Err(refusal), before.hash)
        );
    }
    assert_eq!(world.nonce(1), Nonce::ZERO);
    assert_eq!(world.account(&me).balance, FUNDS);
}

/// As `World::one`, for operations of another network, whose signatures don't hold on this one.
fn execute_unverified(world: &World, operation: &Operation) -> (Result<(), Refusal>, Hash) {
    let block = crate::runtime::BlockContext {
        epoch: world.epoch,
        height: world.height,
        proposer: world.seat(0),
        roots: &[],
    };
    let executed = world
        .state
        .execute(&world.rules, &block, std::slice::from_ref(operation))
        .expect("a block executes");
    (
        executed.receipts[0].result.clone(),
        executed.state.summary().hash,
    )
}

#[test]
fn a_right_order_that_cannot_be_done_costs_its_fee_and_its_nonce() {
    let mut world = World::new(&[1]);
    let me = world.address(1);
    let refused = world.act(1, transfer(Address([5; 32]), 10_000));
    let held = FUNDS.sub(FEE).expect("small");
    assert_eq!(
        refused,
        Err(Refusal::Underfunded {
            held,
            needed: FUNDS
        })
    );
    assert_eq!(
        (world.nonce(1), world.account(&me).balance),
        (Nonce::new(1), held)
    );
    assert!(world.state.entity(&Address([5; 32])).is_none());
    let to_a_worker = transfer(world.seat(0), 1);
    let address = world.seat(0);
    assert_eq!(
        world.act(1, to_a_worker),
        Err(Refusal::NotAnAccount { address })
    );
    assert_eq!(
        world.act(1, transfer(Address([5; 32]), 0)),
        Err(Refusal::Nothing)
    );
    assert_eq!(world.nonce(1), Nonce::new(3));
    let poor = world.sign(1, transfer(Address([5; 32]), 10_000));
    assert!(
        matches!(admit(&world, &poor), Err(Refusal::Underfunded { .. })),
        "told before it costs anything"
    );
}

#[test]
fn operations_may_wait_for_one_another() {
    let mut world = World::new(&[1]);
    let to = Address([5; 32]);
    let second = signed(&world, 1, |body| body.nonce = Nonce::new(1));
    assert_eq!(admit(&world, &second), Ok(()));
    let first = world.sign(1, transfer(to, 2));
    assert_eq!(world.block(&[first, second]), [Ok(()), Ok(())]);
    assert_eq!(world.account(&to).balance, Credits::whole(3));
}

#[test]
fn a_rotated_key_replaces_the_old_one() {
    let mut world = World::new(&[1]);
    let new = SecretKey::from_bytes(&[77; 32]);
    assert_eq!(
        world.act(1, Action::RotateKey { key: new.public() }),
        Ok(())
    );
    let account = world.address(1);
    let old = signed(&world, 1, |_| ());
    assert_eq!(world.one(old), Err(Refusal::WrongKey { account }));
    let body = world.body(1, transfer(Address([5; 32]), 1));
    assert_eq!(
        world.one(Operation::Signed(SignedOperation::sign(body, &new))),
        Ok(())
    );
    assert_eq!(world.account(&Address([5; 32])).balance, Credits::whole(1));
}

#[test]
fn credits_sent_to_a_task_before_it_exists_come_back_with_its_escrow() {
    let mut world = World::new(&[1]);
    let submit = {
        let mut body = world.body(1, Action::SubmitTask(Box::new(spec(1, Epoch::new(5)))));
        body.nonce = Nonce::ZERO;
        Operation::Signed(SignedOperation::sign(body, &world.users[1]))
    };
    let task = Address(submit.id().0);
    assert_eq!(world.act(2, transfer(task, 3)), Ok(()));
    assert_eq!(world.one(submit), Ok(()));
    assert_eq!(world.act(1, Action::CancelTask { task }), Ok(()));
    let expected = FUNDS
        .add(Credits::whole(3))
        .and_then(|sum| sum.sub(Credits::new(2 * FEE.get())));
    assert_eq!(Ok(world.account(&world.address(1)).balance), expected);
}

#[test]
fn a_note_costs_by_its_size() {
    let mut world = World::new(&[1]);
    let note = BoundedVec::try_from(vec![0u8; 4_000]).expect("short");
    let mut body = world.body(1, Action::Note(note));
    body.fee = Credits::new(1_499);
    let cheap = Operation::Signed(SignedOperation::sign(body.clone(), &world.users[1]));
    assert!(
        matches!(world.one(cheap), Err(Refusal::Fee { needed, .. }) if needed == Credits::new(1_500))
    );
    body.fee = Credits::new(1_500);
    assert_eq!(
        world.one(Operation::Signed(SignedOperation::sign(
            body,
            &world.users[1]
        ))),
        Ok(())
    );
}

#[test]
fn every_refusal_survives_its_encoding() {
    let refusals = [
        Refusal::Amounts,
        Refusal::Nonce {
            expected: Nonce::new(5),
            found: Nonce::new(7),
        },
        Refusal::NotAnAccount {
            address: Address([1; 32]),
        },
    ];
    for refusal in refusals {
        let decoded = frith_ledger::codec::decode::<Refusal>(&refusal.encode(), 4_096);
        assert_eq!(decoded, Ok(refusal));
    }
    assert_eq!(
        Refusal::Nonce {
            expected: Nonce::new(5),
            found: Nonce::new(7)
        }
        .to_string(),
        "nonce 7, but the account's next is 5: another operation came first; fetch the nonce and sign again"
    );
}
