//! Power losses: the node dies between two outputs, and a prefix of the unsynced writes survives.

use crate::world::World;
use frith_ledger::store::Table;

/// Kinds of writes, each with what it is called in a report.
pub const KINDS: [&str; 16] = [
    "genesis",
    "founding",
    "voting",
    "closing",
    "committee",
    "root committee",
    "held",
    "safety record",
    "proposal",
    "block",
    "chain",
    "batch",
    "root",
    "receipt",
    "tree",
    "stale",
];

/// What kind of record has this key.
#[must_use]
pub fn kind_of(table: Table, key: &[u8]) -> &'static str {
    match table {
        Table::Meta if key.starts_with(b"genesis") => "genesis",
        Table::Meta if key.starts_with(b"founding") => "founding",
        Table::Meta if key.starts_with(b"voting") => "voting",
        Table::Meta if key.starts_with(b"closing/") => "closing",
        Table::Meta if key.starts_with(b"committee/") => "committee",
        Table::Meta if key.starts_with(b"roots/") => "root committee",
        Table::Meta if key.starts_with(b"held/") => "held",
        // Kind, epoch, 0; longer keys are of proposals.
        Table::Safety if key.len() == 10 => "safety record",
        Table::Safety => "proposal",
        Table::Blocks => "block",
        Table::Chain => "chain",
        Table::Batches => "batch",
        Table::Roots => "root",
        Table::Receipts => "receipt",
        Table::Nodes => "tree",
        Table::Stale => "stale",
        Table::Meta | Table::Content | Table::Work | Table::History => "other",
    }
}

/// The machine dies once its node's next outputs are performed up to `outputs` of them.
pub(super) fn fail_after(world: &mut World, member: usize, outputs: u64, off_ms: u64) {
    if let Some(host) = world.hosts.get_mut(member)
        && host.is_up()
    {
        host.dies_after = Some((outputs, off_ms));
    }
}

/// The machine dies as soon as a write of this kind isn't synced, in this life or the next.
pub(super) fn fail_at_write(
    world: &mut World,
    member: usize,
    kind: &'static str,
    keep: bool,
    off_ms: u64,
) {
    if let Some(host) = world.hosts.get_mut(member) {
        host.dies_at.push((kind, keep, off_ms));
    }
}

/// All machines die now.
pub(super) fn blackout(world: &mut World, off_ms: u64) {
    for member in 0..world.hosts.len() {
        world.power_off(member, off_ms);
    }
}
