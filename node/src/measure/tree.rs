//! The state's tree: changed entities a second, new root included.

use crate::failure::Result;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::tree::{Change, Leaf, Version};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Entities of the tree: it fits small machines. Larger trees are a little slower (docs/benchmarks.md has a million).
const ENTITIES: u64 = 100_000;
/// Changes of one batch.
const BATCH: u64 = 10_000;
/// An account with its key, balance and nonce is about this long.
const ENTITY_BYTES: usize = 80;

/// Speed of the tree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TreeFigures {
    /// Entities in it.
    pub entities: u64,
    /// Changes a second.
    pub updates_per_s: f64,
}

/// Changes entities of a tree in memory, batch after batch, for `time`.
///
/// # Errors
/// The tree refuses what it must take: this program is broken.
pub fn tree(time: Duration) -> Result<TreeFigures> {
    let failed =
        |error: frith_ledger::tree::TreeError| super::failed("the tree")(error.to_string());
    let all = (0..ENTITIES).map(|i| change(i, 0)).collect();
    let mut version = Version::empty().apply(all).map_err(failed)?;
    let began = Instant::now();
    let (mut updates, mut round, mut spent) = (0, 0_u64, Duration::ZERO);
    while began.elapsed() < time || updates == 0 {
        round += 1;
        let changes = (0..BATCH)
            .map(|i| change((i * 99_991 + round * 7_919) % ENTITIES, round))
            .collect();
        let start = Instant::now();
        version = version.apply(changes).map_err(failed)?;
        spent += start.elapsed();
        updates += BATCH;
    }
    Ok(TreeFigures {
        entities: ENTITIES,
        updates_per_s: super::per_second(updates, spent),
    })
}

fn change(number: u64, round: u64) -> Change {
    let mut bytes = vec![0x5a; ENTITY_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..16].copy_from_slice(&round.to_le_bytes());
    Change {
        address: Address(Hash::of(Domain::Address, &number).0),
        leaf: Some(Leaf {
            bytes: bytes.into(),
            credits: Credits::whole(1_000),
            stake: Credits::ZERO,
        }),
    }
}
