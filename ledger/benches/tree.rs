//! Measures the tree at a million entities and writes `bench-tree.json` into the target folder.
//!
//! `cargo bench --profile dev -p frith-ledger --bench tree`
//!
//! - `tree.updates_per_s`: changes of existing entities a second, applied in batches of 10,000, new
//!   root included; the median of the batches.
//! - `tree.proof_bytes`: mean size of an encoded inclusion proof.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::tree::{Change, Leaf, Version};
use parity_scale_codec::Encode as _;
use std::path::PathBuf;
use std::time::Instant;

const ENTITIES: u64 = 1_000_000;
const BATCH: u64 = 10_000;
const BATCHES: u64 = 25;
const PROOFS: u64 = 2_000;
/// An account with its key, balance and nonce is about this long.
const ENTITY_BYTES: usize = 80;

fn main() -> std::io::Result<()> {
    let start = Instant::now();
    let mut version = Version::empty()
        .apply((0..ENTITIES).map(|i| change(i, 0)).collect())
        .map_err(failed)?;
    eprintln!(
        "{ENTITIES} entities built in {:.2} s",
        start.elapsed().as_secs_f64()
    );
    let mut rates: Vec<f64> = Vec::new();
    for round in 1..=BATCHES {
        // Spread over the whole tree and different in every round; made before the clock starts.
        let changes: Vec<Change> = (0..BATCH)
            .map(|i| change((i * 99_991 + round * 7_919) % ENTITIES, round))
            .collect();
        let start = Instant::now();
        let next = version.apply(changes).map_err(failed)?;
        rates.push(BATCH as f64 / start.elapsed().as_secs_f64());
        version = next;
    }
    rates.sort_by(f64::total_cmp);
    let updates_per_s = rates[rates.len() / 2];
    let (proof_bytes, prove_us, verify_us) = proofs(&version)?;
    eprintln!(
        "{updates_per_s:.0} updates/s, from {:.0} to {:.0}",
        rates[0],
        rates[rates.len() - 1]
    );
    eprintln!(
        "{proof_bytes:.0} bytes a proof, {prove_us:.2} µs to make, {verify_us:.2} µs to verify"
    );
    let json = format!(
        "{{\"tree.updates_per_s\":{updates_per_s:.0},\"tree.proof_bytes\":{proof_bytes:.0}}}\n"
    );
    let path = target().join("bench-tree.json");
    std::fs::write(&path, json)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// An entity's address and content follow from its number and the round that wrote it.
fn change(number: u64, round: u64) -> Change {
    let address = Address(Hash::of(Domain::Address, &number).0);
    let mut bytes = vec![0x5a; ENTITY_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..16].copy_from_slice(&round.to_le_bytes());
    let credits = Credits::whole(1_000 + number % 1_000);
    // Every thousandth is a worker.
    let stake = if number.is_multiple_of(1_000) {
        Credits::whole(500)
    } else {
        Credits::ZERO
    };
    Change {
        address,
        leaf: Some(Leaf {
            bytes: bytes.into(),
            credits,
            stake,
        }),
    }
}

/// Mean bytes of a proof, and the microseconds to make and to verify one.
fn proofs(version: &Version) -> std::io::Result<(f64, f64, f64)> {
    let addresses: Vec<Address> = (0..PROOFS).map(|i| change(i * 499, 0).address).collect();
    let start = Instant::now();
    let proofs: Vec<_> = addresses
        .iter()
        .map(|address| version.prove(address))
        .collect();
    let made = start.elapsed().as_secs_f64();
    let root = version.summary();
    let start = Instant::now();
    for (proof, address) in proofs.iter().zip(&addresses) {
        if proof.verify(&root, address).map_err(failed)?.is_none() {
            return Err(failed("an entity is missing"));
        }
    }
    let verified = start.elapsed().as_secs_f64();
    let bytes: usize = proofs.iter().map(|proof| proof.encode().len()).sum();
    let count = proofs.len() as f64;
    Ok((
        bytes as f64 / count,
        made * 1e6 / count,
        verified * 1e6 / count,
    ))
}

fn failed(error: impl ToString) -> std::io::Error {
    std::io::Error::other(error.to_string())
}

/// Where build results go: as cargo was told, else beside the workspace.
fn target() -> PathBuf {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"));
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(default, PathBuf::from)
}
