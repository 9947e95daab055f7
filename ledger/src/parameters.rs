//! What all nodes of a network agree on, fixed by the genesis and hashed into it.
//!
//! What only one node decides (ports, cache sizes, caps) is in the node's configuration instead.

use crate::credits::Credits;
use crate::hash::{Domain, Hash};
use parity_scale_codec::{Decode, Encode};

/// Bytes of an encoded operation.
pub const OPERATION_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an encoded batch: its operations and at most this much framing.
pub const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Operations in one batch.
pub const BATCH_OPERATIONS_MAX: usize = 4096;
/// Batches that one block includes.
pub const BLOCK_BATCHES_MAX: usize = 64;
/// Certified batches that wait for a block at once; also the longest list that a vote carries.
pub const OWED_MAX: usize = 256;
/// Members of a committee.
pub const MEMBERS_MAX: usize = 512;
/// Leaves that one root record names. More leaves go through branch blocks.
pub const CLAIMS_MAX: usize = 16;
/// Replicas of a task.
pub const REPLICAS_MAX: usize = 16;
/// Arbitrators of a task.
pub const ARBITRATORS_MAX: usize = 15;
/// Tasks that a worker holds at once, at the most.
pub const SLOTS_MAX: usize = 64;
/// Keys of a worker that were replaced and still answer for what they signed. A worker with so many is
/// given no new key until one of them is forgotten.
pub const RETIRED_KEYS_MAX: usize = 4;
/// Bytes of a result or an input that stand in the ledger itself.
pub const INLINE_BYTES_MAX: usize = 4096;
/// Bytes of an encoded entity.
pub const ENTITY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a program.
pub const MODULE_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Where short epochs end to bound how far clocks may differ, in ms. Smaller: a proposal that a busy machine delays, or a clock that was
/// set by the network's time alone, costs a view.
pub const CLOCK_TOLERANCE_MS_MIN: u64 = 5_000;
/// Bytes of a task's input or result that is kept as content.
pub const CONTENT_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// The agreed parameters.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Version of the protocol. A node that doesn't know it stops voting.
    pub protocol: u32,
    /// Length of an epoch in ms. Shorter: quicker tasks, more root records.
    pub epoch_ms: u64,
    /// First view timeout in ms; above the network's round trip and two disk syncs.
    pub view_timeout_ms: u64,
    /// Where the back-off of view timeouts ends, in ms.
    pub view_timeout_ms_max: u64,
    /// A: epochs between a registration (or a change of stake, keys or terms) and its effect.
    pub activation_lag: u64,
    /// Epochs that a root committee sits.
    pub period: u64,
    /// T: workers that each half of a leaf must hold before it splits.
    pub neighbourhood_min: u32,
    /// Seats of the root committee; all active workers when there are fewer.
    pub committee: u32,
    /// Largest voting weight of one member, in microcredits of stake.
    pub weight_max: Credits,
    /// Least stake of a worker.
    pub stake_min: Credits,
    /// Epochs between leaving and the return of the stake.
    pub unbonding: u64,
    /// Fee of every signed operation.
    pub fee_base: Credits,
    /// Fee for each started 1,024 bytes of a signed operation.
    pub fee_per_kib: Credits,
    /// Most epochs that an operation may name as its expiry, from now.
    pub expiry_max: u64,
    /// Bond of a worker for a task: this many thousandths of its largest pay.
    pub bond_per_mille: u32,
    /// Least bond of a worker for a task.
    pub bond_min: Credits,
    /// Pay of a worker for taking a task, beside its fuel.
    pub task_fee: Credits,
    /// Thousandths of the task fee that a drawn worker which never commits loses from its collateral.
    pub no_show_per_mille: u32,
    /// Thousandths of a burned bond or stake that go to who reported or decided.
    pub reporter_per_mille: u32,
    /// Epochs after the draw in which results are committed.
    pub commit_epochs: u64,
    /// Epochs for reveals.
    pub reveal_epochs: u64,
    /// Epochs for an arbitration.
    pub arbitration_epochs: u64,
    /// Most fuel that a task may ask for.
    pub task_fuel_max: u64,
    /// Most memory of a task, in 64 KiB pages.
    pub memory_pages_max: u32,
    /// K: epochs for which states and roots are kept, so that proofs against them can be served.
    pub retained_epochs: u64,
    /// D: hops of messages inside one block.
    pub message_hops_max: u32,
    /// Bytes of operations in one block.
    pub block_bytes_max: u32,
    /// Certified batches of one author that may wait for a block.
    pub author_batches_max: u32,
}

impl Parameters {
    /// A network of strangers: 10 s epochs, a day's unbonding and more.
    #[must_use]
    pub const fn mainnet() -> Self {
        Self {
            protocol: 1,
            epoch_ms: 10_000,
            view_timeout_ms: 2_000,
            view_timeout_ms_max: 60_000,
            activation_lag: 8,
            period: 8_640,
            neighbourhood_min: 32,
            committee: 400,
            weight_max: Credits::whole(1_000_000),
            stake_min: Credits::whole(1_000),
            unbonding: 120_960,
            fee_base: Credits::new(1_000),
            fee_per_kib: Credits::new(100),
            expiry_max: 8_640,
            bond_per_mille: 2_000,
            bond_min: Credits::whole(1),
            task_fee: Credits::new(10_000),
            no_show_per_mille: 1_000,
            reporter_per_mille: 50,
            commit_epochs: 2,
            reveal_epochs: 4,
            arbitration_epochs: 8,
            task_fuel_max: 1_000_000_000_000,
            memory_pages_max: 4_096,
            retained_epochs: 8_640,
            message_hops_max: 8,
            block_bytes_max: 1024 * 1024,
            author_batches_max: 8,
        }
    }

    /// A few nodes on one machine: 1 s epochs, short lags.
    #[must_use]
    pub const fn devnet() -> Self {
        Self {
            epoch_ms: 1_000,
            view_timeout_ms: 500,
            view_timeout_ms_max: 8_000,
            period: 60,
            neighbourhood_min: 4,
            stake_min: Credits::whole(100),
            unbonding: 30,
            expiry_max: 600,
            task_fuel_max: 100_000_000_000,
            retained_epochs: 128,
            ..Self::mainnet()
        }
    }

    /// Tests and simulations: as a devnet, with shorter lags and histories.
    #[must_use]
    pub const fn test() -> Self {
        Self {
            activation_lag: 3,
            period: 4,
            unbonding: 4,
            retained_epochs: 16,
            ..Self::devnet()
        }
    }

    /// The hash that the genesis commits to.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(Domain::Parameters, self)
    }

    /// How far a record's time may lie from the clock of a member that votes for it, in ms: an epoch, and at least
    /// [`CLOCK_TOLERANCE_MS_MIN`].
    #[must_use]
    pub const fn clock_tolerance_ms(&self) -> u64 {
        if self.epoch_ms > CLOCK_TOLERANCE_MS_MIN {
            self.epoch_ms
        } else {
            CLOCK_TOLERANCE_MS_MIN
        }
    }

    /// The least fee of a signed operation of `bytes` bytes.
    #[must_use]
    pub fn fee(&self, bytes: usize) -> Credits {
        let kib = u128::try_from(bytes.div_ceil(1024)).unwrap_or(u128::MAX);
        Credits::new(
            self.fee_base
                .get()
                .saturating_add(self.fee_per_kib.get().saturating_mul(kib)),
        )
    }
}

const _: () = assert!(
    OPERATION_BYTES_MAX + 1024 <= BATCH_BYTES_MAX,
    "the largest operation must fit a batch"
);
const _: () = assert!(
    2 * BATCH_BYTES_MAX <= Parameters::mainnet().block_bytes_max as usize,
    "a full batch must fit a block, or it would be owed for ever"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_differ_in_their_hashes_and_survive_their_encoding() {
        let presets = [
            Parameters::mainnet(),
            Parameters::devnet(),
            Parameters::test(),
        ];
        for (i, preset) in presets.iter().enumerate() {
            assert_eq!(
                crate::codec::decode(&preset.encode(), 4096).as_ref(),
                Ok(preset)
            );
            assert!(
                presets[i + 1..]
                    .iter()
                    .all(|other| other.hash() != preset.hash())
            );
        }
    }
}
