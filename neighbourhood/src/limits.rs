//! Local bounds: what this node grants itself and its peers. Nothing here is agreed on.

use frith_ledger::units::Millis;

/// First byte of an encoded [`Operation::Signed`](frith_ledger::operation::Operation): an account's.
const SIGNED: u8 = 0;

/// Operations that wait for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occupancy {
    /// How many.
    pub operations: usize,
    /// Bytes of all of them.
    pub bytes: usize,
}

impl Occupancy {
    /// One more, of so many bytes.
    pub(crate) const fn add(&mut self, bytes: usize) {
        self.operations += 1;
        self.bytes += bytes;
    }
}

/// Every bound of the core that is a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Operations that wait for a batch; more are refused with "slow down". More than is finalised in some
    /// seconds would only wait longer, and each costs its signature check at once, when the load is highest.
    pub queue_operations_max: usize,
    /// Bytes of operations that wait for a batch.
    pub queue_bytes_max: usize,
    /// How long an operation waits for company while an earlier batch is under way, in ms.
    pub batch_delay: Millis,
    /// First pause before a lost request or batch is sent again; doubles up to `retry_max`.
    pub retry_min: Millis,
    /// Longest pause before something is sent again.
    pub retry_max: Millis,
    /// How long a founder that finds the network begun waits for reports of a quorum without itself, before it
    /// takes its host's word that it has signed nothing.
    pub founder_patience: Millis,
    /// Things wanted from peers at one time.
    pub wants_max: usize,
    /// Bytes that are served to one member in a second, twice as many at once.
    pub served_bytes_per_s: u64,
    /// Bytes that are served to one peer that isn't a member, and to all such peers together twice as
    /// many: making a megabyte of proofs costs a core some milliseconds.
    pub served_stranger_bytes_per_s: u64,
    /// Messages of instances that are still to begin, kept per peer.
    pub early_messages_max: usize,
    /// Bytes of such messages, kept per peer.
    pub early_bytes_max: usize,
    /// Epochs that a node catches up block by block; further behind it copies the state.
    pub block_sync_epochs: u64,
    /// A member that is behind a peer's head in its own epoch for so long asks for the blocks.
    pub behind: Millis,
    /// States of past epochs in memory, to prove balances and to serve copies.
    pub versions_kept: usize,
    /// Bytes of entities in one piece of a copied state.
    pub range_bytes: usize,
    /// Entities that a slot of a copied state holds on average: about a piece's worth.
    pub slot_entities: u64,
    /// Neighbouring slots that are saved at once. More: fewer and larger table files; fewer: less is lost
    /// when a copy is cut off.
    pub slots_at_once: usize,
    /// Pieces of a copied state that one peer may owe. With `range_bytes` it bounds what waits in its queue.
    pub pulls_per_peer: usize,
    /// How long a piece may take before another peer is asked.
    pub pull_patience: Millis,
    /// Peers that the core keeps a record of.
    pub peers_max: usize,
}

impl Limits {
    /// Whether an account signed this encoded operation: a user's, in contrast to a worker's or evidence.
    #[must_use]
    pub fn is_users(operation: &[u8]) -> bool {
        operation.first() == Some(&SIGNED)
    }

    /// Whether a queue that holds `queued` takes an encoded operation. An eighth is kept for workers' operations
    /// and evidence: a flood of submissions must not make a worker late with its commit. Looks at the length
    /// and the first byte only.
    #[must_use]
    pub fn admits(&self, queued: Occupancy, operation: &[u8]) -> bool {
        let users = Self::is_users(operation);
        let room = |max: usize| if users { max - max / 8 } else { max };
        queued.operations < room(self.queue_operations_max)
            && queued.bytes.saturating_add(operation.len()) <= room(self.queue_bytes_max)
    }

    /// How much of the queue operations may have that may never come to their turn or may not be paid for: an eighth. They
    /// cost nobody anything, so all of it would be held by whoever sends them.
    #[must_use]
    pub const fn unsure_max(&self) -> Occupancy {
        Occupancy {
            operations: self.queue_operations_max / 8,
            bytes: self.queue_bytes_max / 8,
        }
    }

    /// Whether a queue that holds `unsure` of these takes an encoded one.
    #[must_use]
    pub fn admits_unsure(&self, unsure: Occupancy, operation: &[u8]) -> bool {
        let max = self.unsure_max();
        unsure.operations < max.operations
            && unsure.bytes.saturating_add(operation.len()) <= max.bytes
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_operations_max: 16_384,
            queue_bytes_max: 32 * 1024 * 1024,
            batch_delay: Millis::new(5),
            retry_min: Millis::new(300),
            retry_max: Millis::new(5_000),
            founder_patience: Millis::new(4_000),
            wants_max: 1_024,
            served_bytes_per_s: 32 * 1024 * 1024,
            served_stranger_bytes_per_s: 8 * 1024 * 1024,
            early_messages_max: 128,
            early_bytes_max: 1024 * 1024,
            block_sync_epochs: 32,
            behind: Millis::new(500),
            versions_kept: 8,
            range_bytes: 512 * 1024,
            slot_entities: 1_024,
            slots_at_once: 32,
            pulls_per_peer: 8,
            pull_patience: Millis::new(2_000),
            peers_max: 1_024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::address::Address;
    use frith_ledger::credits::Credits;
    use frith_ledger::hash::Hash;
    use frith_ledger::key::SecretKey;
    use frith_ledger::operation::{
        Action, Operation, OperationBody, SignedOperation, WorkerAction, WorkerBody,
        WorkerOperation,
    };
    use frith_ledger::units::{Epoch, Nonce};
    use parity_scale_codec::Encode as _;

    fn transfer() -> Vec<u8> {
        let key = SecretKey::from_bytes(&[1; 32]);
        let body = OperationBody {
            genesis: Hash([1; 32]),
            account: key.public().address(),
            nonce: Nonce::ZERO,
            expires: Epoch::new(9),
            fee: Credits::ZERO,
            action: Action::Transfer {
                to: Address([9; 32]),
                amount: Credits::new(1),
            },
        };
        Operation::Signed(SignedOperation::sign(body, &key)).encode()
    }

    fn commitment() -> Vec<u8> {
        let body = WorkerBody {
            genesis: Hash([1; 32]),
            seat: Address([1; 32]),
            task: Address([2; 32]),
            action: WorkerAction::Commit {
                commitment: Hash([3; 32]),
                bond: Credits::ZERO,
            },
        };
        let key = SecretKey::from_bytes(&[1; 32]);
        Operation::Worker(WorkerOperation::sign(body, &key)).encode()
    }

    #[test]
    fn the_last_eighth_of_a_queue_is_for_what_accounts_did_not_sign() {
        let limits = Limits {
            queue_operations_max: 16,
            queue_bytes_max: 16_000,
            ..Limits::default()
        };
        let (signed, workers) = (transfer(), commitment());
        for (operations, bytes, takes_signed, takes_workers) in [
            (13, 0, true, true),
            (14, 0, false, true),
            (16, 0, false, false),
            (0, 14_000 - signed.len(), true, true),
            (0, 14_001 - signed.len(), false, true),
            (0, 16_001 - workers.len(), false, false),
        ] {
            let queued = Occupancy { operations, bytes };
            assert_eq!(limits.admits(queued, &signed), takes_signed, "{queued:?}");
            assert_eq!(limits.admits(queued, &workers), takes_workers, "{queued:?}");
        }
    }
}
