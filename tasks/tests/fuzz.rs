//! Fuzz harnesses of the tasks' rules: what is stored or shown decodes by the rules of a decoder, and whatever
//! operations a block holds, it executes, and credits are conserved.

use std::sync::LazyLock;

use frith_fuzz::{codec, harness, value};
use frith_ledger::address::Address;
use frith_ledger::codec::decode;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, RunStatus, TaskSpec, Terms};
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker};
use frith_ledger::key::SecretKey;
use frith_ledger::operation::{Action, Operation, SignedOperation, WorkerOperation};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::{Epoch, Height, Nonce};
use frith_ledger::vrf::VrfSecret;
use frith_tasks::content::{content_id, contents, name_bytes};
use frith_tasks::quote::quote;
use frith_tasks::{
    BlockContext, LeafState, Phase, Receipt, Refusal, Rules, Side, SpecFault, TaskEvent,
};
use parity_scale_codec::Encode as _;

const MANY: usize = 1 << 20;

macro_rules! decoders {
    ($($name:ident: $type:ty;)*) => {$(
        #[test]
        fn $name() {
            harness!(|input: &[u8]| {
                codec::<$type, _>(input, MANY, |bytes| decode(bytes, MANY));
            });
        }
    )*};
}

decoders! {
    fuzz_side: Side;
    fuzz_receipt: Receipt;
    fuzz_task_event: TaskEvent;
    fuzz_phase: Phase;
    fuzz_spec_fault: SpecFault;
}

#[test]
fn fuzz_refusals_decode_and_say_something() {
    harness!(|input: &[u8]| {
        for refusal in codec::<Refusal, _>(input, MANY, |bytes| decode(bytes, MANY)) {
            assert!(!refusal.to_string().is_empty());
        }
        for status in codec::<RunStatus, _>(input, MANY, |bytes| decode(bytes, MANY)) {
            assert!(!frith_tasks::outcome::describe(status).is_empty());
        }
    });
}

#[test]
fn fuzz_bytes_are_named_by_their_hash() {
    harness!(|input: &[u8]| {
        let named = name_bytes(input);
        assert_eq!(named, name_bytes(input));
        assert_ne!(content_id(input), content_id(&[input, &[0]].concat()));
    });
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32])
}

/// Two users, three workers.
static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let worker = |number: u8| GenesisWorker {
        key: key(number).public().0,
        vrf: VrfSecret::from_seed(&[number; 32]).public().0,
        account: key(1).public().address(),
        stake: Credits::whole(100),
        collateral: Credits::whole(100),
        terms: Terms {
            engines: 3,
            price: Credits::new(1),
            slots: 4,
        },
    };
    let account = |number: u8| GenesisAccount {
        address: key(number).public().address(),
        balance: Credits::whole(10_000),
    };
    let genesis = Genesis {
        name: "fuzz".to_owned(),
        time_ms: 0,
        beacon: [2; 32],
        parameters: Parameters::test(),
        accounts: vec![account(1), account(2)],
        workers: vec![worker(11), worker(12), worker(13)],
    };
    Rules::new(genesis).expect("the genesis is usable")
});

static STATE: LazyLock<LeafState> =
    LazyLock::new(|| LeafState::genesis(&RULES).expect("the genesis is usable"));

#[test]
fn fuzz_prices_of_any_task_are_numbers_or_errors() {
    harness!(|input: &[u8]| {
        if let Some((spec, parameters)) = value::<(TaskSpec, Parameters)>(input) {
            let _ = quote(&parameters, &spec);
            let _ = quote(RULES.parameters(), &spec);
        }
    });
}

#[test]
fn fuzz_rules_of_any_genesis_are_usable_or_refused() {
    harness!(|input: &[u8]| {
        if let Some(mut genesis) = value::<Genesis>(input) {
            // Most grown parameters are refused at once: the rest is tried with sound ones too.
            let _ = Rules::new(genesis.clone());
            genesis.parameters = Parameters::test();
            if let Ok(rules) = Rules::new(genesis) {
                let state = LeafState::genesis(&rules).map(|state| state.summary().credits);
                assert!(state.is_err() || state == Ok(rules.supply));
            }
        }
    });
}

/// An operation of arbitrary content that gets past the checks of network, account and order.
fn hostile(state: &LeafState, mut operation: Operation, number: u8) -> Operation {
    match &mut operation {
        Operation::Signed(SignedOperation { body, .. }) => {
            let account = key(1 + number % 2).public().address();
            let nonce = match state.entity(&account) {
                Some(Entity::Account(account)) => account.nonce,
                _ => Nonce::ZERO,
            };
            body.genesis = RULES.hash;
            body.account = account;
            body.nonce = nonce;
            body.expires = state.epoch().plus(5);
            body.fee = Credits::whole(1);
            let seat = state.place_of(&key(11 + number % 3).public());
            match (&mut body.action, seat) {
                (
                    Action::AddStake { seat: at, .. }
                    | Action::Unstake { seat: at, .. }
                    | Action::SetTerms { seat: at, .. }
                    | Action::Leave { seat: at }
                    | Action::RotateWorker { seat: at, .. },
                    Some(seat),
                ) if number.is_multiple_of(5) => *at = seat,
                _ => {}
            }
            // Few grown keys are points.
            if let Action::RotateWorker { key: new, vrf, .. } = &mut body.action {
                *new = key(30 + number % 3).public();
                *vrf = VrfSecret::from_seed(&[number; 32]).public();
            }
        }
        Operation::Worker(WorkerOperation { body, .. }) => {
            body.genesis = RULES.hash;
            if let Some(seat) = state.place_of(&key(11 + number % 3).public()) {
                body.seat = seat;
            }
        }
        Operation::Proof(_) => {}
    }
    operation
}

fn conserved(state: &LeafState) {
    let flows = state.flows();
    let held = state.summary().credits.add(flows.burned);
    assert_eq!(
        held,
        RULES.supply.add(flows.issued),
        "credits are neither made nor lost"
    );
}

#[test]
fn fuzz_any_operations_execute_and_conserve_credits() {
    harness!(|input: &[u8]| {
        let mut state = STATE.clone();
        for (number, material) in (0_u8..).zip(input.chunks(256)).take(8) {
            let Some(operation) = value::<Operation>(material) else {
                continue;
            };
            let operation = hostile(&state, operation, number);
            let _ = contents(&operation);
            let epoch = Epoch::new(u64::from(number / 3));
            let bytes = operation.encode().len();
            let _ = state.admit(&RULES, epoch, &operation, bytes);
            let block = BlockContext {
                epoch,
                height: Height::new(u64::from(number) + 1),
                proposer: Address([0; 32]),
                roots: &[],
            };
            // Twice in one block: the second must be refused or be another's turn.
            let executed = state
                .execute(&RULES, &block, &[operation.clone(), operation])
                .expect("what a user sends is never the block's fault");
            assert_eq!(executed.receipts.len(), 2);
            state = executed.state;
            conserved(&state);
        }
    });
}
