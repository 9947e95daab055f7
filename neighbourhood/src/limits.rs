//! Local bounds: what this node grants itself and its peers. Nothing here is agreed on.

use frith_ledger::units::Millis;

/// Every bound of the core that is a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Operations that wait for a batch; more are refused with "slow down".
    pub queue_operations_max: usize,
    /// Bytes of operations that wait for a batch.
    pub queue_bytes_max: usize,
    /// How long an operation waits for company while an earlier batch is under way, in ms.
    pub batch_delay: Millis,
    /// First pause before a lost request or batch is sent again; doubles up to `retry_max`.
    pub retry_min: Millis,
    /// Longest pause before something is sent again.
    pub retry_max: Millis,
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

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_operations_max: 65_536,
            queue_bytes_max: 32 * 1024 * 1024,
            batch_delay: Millis::new(5),
            retry_min: Millis::new(300),
            retry_max: Millis::new(5_000),
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
