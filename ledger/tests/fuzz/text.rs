//! Text that people and files give: addresses, amounts, hashes, a genesis file.

use std::sync::LazyLock;

use frith_fuzz::{harness, json, text};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::hash::Hash;
use frith_ledger::parameters::Parameters;

use crate::world::WORLD;

#[test]
fn fuzz_address_text() {
    static EXAMPLES: LazyLock<[String; 2]> =
        LazyLock::new(|| [Address([7; 32]), Address([255; 32])].map(|a| a.to_string()));
    harness!(|input: &[u8]| {
        for address in text::<Address>(input, &*EXAMPLES) {
            assert!(address.to_string().starts_with("frith1"));
        }
    });
}

#[test]
fn fuzz_amount_text() {
    static EXAMPLES: LazyLock<[String; 4]> = LazyLock::new(|| {
        [
            "12.5",
            "0.000001",
            "340282366920938463463374607431768.211455",
            "00.10",
        ]
        .map(String::from)
    });
    harness!(|input: &[u8]| {
        text::<Credits>(input, &*EXAMPLES);
    });
}

#[test]
fn fuzz_hash_text() {
    static EXAMPLES: LazyLock<[String; 1]> = LazyLock::new(|| [Hash([0xa7; 32]).to_hex()]);
    harness!(|input: &[u8]| {
        text::<Hash>(input, &*EXAMPLES);
    });
}

#[test]
fn fuzz_genesis_file() {
    static EXAMPLES: LazyLock<[String; 1]> =
        LazyLock::new(
            || [serde_json::to_string(&WORLD.genesis).expect("a genesis can be written")],
        );
    harness!(|input: &[u8]| {
        let parse = |text: &str| serde_json::from_str::<frith_ledger::genesis::Genesis>(text);
        for genesis in json(input, &*EXAMPLES, parse) {
            // Sums that don't fit, keys that are none, addresses twice: refused, and nothing worse.
            if let Ok(committee) = genesis.committee() {
                assert_eq!(
                    genesis.state().map(|state| state.summary().entities > 0),
                    Ok(!committee.members().is_empty() || !genesis.accounts.is_empty())
                );
            }
        }
    });
}

#[test]
fn fuzz_parameters_file() {
    static EXAMPLES: LazyLock<[String; 2]> = LazyLock::new(|| {
        [Parameters::mainnet(), Parameters::test()]
            .map(|p| serde_json::to_string(&p).expect("parameters can be written"))
    });
    harness!(|input: &[u8]| {
        json(input, &*EXAMPLES, |text| {
            serde_json::from_str::<Parameters>(text)
        });
    });
}
