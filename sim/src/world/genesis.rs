//! What every simulated network begins with.

use crate::workload::Workload;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Terms;
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker};
use frith_ledger::key::Seed;
use frith_ledger::parameters::Parameters;
use frith_ledger::vrf::VrfSecret;
use frith_tasks::Rules;

/// Stake of every worker, in whole credits.
pub(crate) const STAKE: u64 = 1_000;

/// The time of day when a run begins, in ms since the Unix epoch.
pub(crate) const BEGAN_MS: u64 = 1_700_000_000_000;

/// The secret of a machine.
pub(super) fn seed_of(member: usize) -> Seed {
    Seed::from_bytes([u8::try_from(member + 1).unwrap_or(255); 32])
}

/// What a machine's worker offers: machines alternate between two engines.
pub(crate) fn terms_of(member: usize) -> Terms {
    Terms {
        engines: if member.is_multiple_of(2) { 1 } else { 2 },
        price: Credits::ZERO,
        slots: 8,
    }
}

/// The rules of a network of `members` workers; `machines` accounts of machines have money, also of those
/// that only register later.
pub(super) fn rules(members: usize, machines: usize) -> Rules {
    let worker = |member: usize| {
        let seed = seed_of(member);
        GenesisWorker {
            key: seed.worker().public().0,
            vrf: VrfSecret::from_seed(&seed.vrf()).public().0,
            account: seed.account().public().address(),
            stake: Credits::whole(STAKE),
            collateral: Credits::whole(STAKE),
            terms: terms_of(member),
        }
    };
    let account = |seed: Seed| GenesisAccount {
        address: seed.account().public().address(),
        balance: Credits::whole(1_000_000),
    };
    let owners = (0..machines).map(seed_of);
    let genesis = Genesis {
        name: "simulation".to_owned(),
        time_ms: BEGAN_MS,
        beacon: [3; 32],
        parameters: Parameters::test(),
        accounts: Workload::user_seeds()
            .into_iter()
            .chain(owners)
            .map(account)
            .collect(),
        workers: (0..members).map(worker).collect(),
    };
    match Rules::new(genesis) {
        Ok(rules) => rules,
        Err(error) => unreachable!("the simulation's genesis is fixed: {error}"),
    }
}
