//! Who takes part in the tests: keys, a genesis, what a user signs.

use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Terms;
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker};
use frith_ledger::key::SecretKey;
use frith_ledger::operation::{Action, Operation, OperationBody, SignedOperation};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::{Epoch, Nonce};
use frith_ledger::vrf::VrfSecret;
use frith_tasks::Rules;
use std::sync::Arc;

/// When the network was made.
pub(super) const GENESIS_MS: u64 = 1_700_000_000_000;

/// The money of each user.
pub(super) const FUNDS: Credits = Credits::whole(10_000);

pub(crate) fn worker_key(index: usize) -> SecretKey {
    SecretKey::from_bytes(&[u8::try_from(index + 1).unwrap_or(255); 32])
}

pub(super) fn vrf_seed(index: usize) -> [u8; 32] {
    let mut seed = [7; 32];
    seed[0] = u8::try_from(index + 1).unwrap_or(255);
    seed
}

pub(super) fn user_key(index: usize) -> SecretKey {
    SecretKey::from_bytes(&[u8::try_from(index + 128).unwrap_or(255); 32])
}

/// Rules of a genesis with so many workers and eight users.
pub(super) fn rules_with(nodes: usize, parameters: Parameters) -> Arc<Rules> {
    let users: Vec<SecretKey> = (0..8).map(user_key).collect();
    let worker = |i: usize| GenesisWorker {
        key: worker_key(i).public().0,
        vrf: VrfSecret::from_seed(&vrf_seed(i)).public().0,
        account: users[i % users.len()].public().address(),
        stake: Credits::whole(1_000),
        collateral: Credits::whole(1_000),
        terms: Terms {
            engines: 1,
            price: Credits::ZERO,
            slots: 4,
        },
    };
    let account = |key: &SecretKey| GenesisAccount {
        address: key.public().address(),
        balance: FUNDS,
    };
    let genesis = Genesis {
        name: "test".to_owned(),
        time_ms: GENESIS_MS,
        beacon: [5; 32],
        parameters,
        accounts: users.iter().map(account).collect(),
        workers: (0..nodes).map(worker).collect(),
    };
    Arc::new(Rules::new(genesis).expect("the test genesis is usable"))
}

/// Rules of a genesis with so many workers.
pub(crate) fn world_rules(nodes: usize) -> Arc<Rules> {
    rules_with(nodes, Parameters::test())
}

/// A transfer of one credit by a user.
pub(crate) fn transfer(rules: &Rules, user: usize, nonce: u64) -> Operation {
    let key = user_key(user);
    let body = OperationBody {
        genesis: rules.hash,
        account: key.public().address(),
        nonce: Nonce::new(nonce),
        expires: Epoch::new(50),
        fee: Credits::whole(1),
        action: Action::Transfer {
            to: Address([0x42; 32]),
            amount: Credits::whole(1),
        },
    };
    Operation::Signed(SignedOperation::sign(body, &key))
}
