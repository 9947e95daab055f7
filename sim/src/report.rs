//! What a run says in the end.

use crate::world::World;
use serde::Serialize;
use std::collections::BTreeMap;

/// Figures of one run that held.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Members.
    pub members: usize,
    /// Virtual time in ms.
    pub virtual_ms: u64,
    /// Epochs that every correct node went through.
    pub epochs: u64,
    /// Committed blocks.
    pub blocks: u64,
    /// Frames sent.
    pub frames: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Bytes a member and epoch.
    pub bytes_per_member_and_epoch: u64,
    /// Operations executed.
    pub operations: u64,
    /// Tasks that ended.
    pub tasks: usize,
    /// Workers that were registered.
    pub registered: u64,
    /// Workers that were given the key of another machine.
    pub rotated: u64,
    /// Workers that left.
    pub left: u64,
    /// Power losses.
    pub power_losses: u64,
    /// Power losses that took unsynced writes, by kind of write.
    pub writes_lost: BTreeMap<&'static str, u64>,
    /// Forks: a run with one fails.
    pub forks: u64,
    /// Hash of everything that went in and out, in order: equal for equal seeds.
    pub trace: String,
}

impl Report {
    pub(crate) fn new(world: &World) -> Self {
        let epochs = world.epochs();
        let share = epochs
            .max(1)
            .saturating_mul(world.hosts.len().max(1) as u64);
        Self {
            seed: world.scenario.seed,
            members: world.scenario.members,
            virtual_ms: world.now,
            epochs,
            blocks: world.checkers.head().get(),
            frames: world.frames,
            bytes: world.bytes,
            bytes_per_member_and_epoch: world.bytes / share,
            operations: world.workload.executed(),
            tasks: world.checkers.ended_tasks(),
            registered: world.workload.moves().registered,
            rotated: world.workload.moves().rotated,
            left: world.workload.moves().left,
            power_losses: world.losses.count,
            writes_lost: world.losses.kinds.clone(),
            forks: 0,
            trace: world.trace.finalize().to_hex().to_string(),
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "seed {}: {} members, {} ms, {} epochs, {} blocks, {} operations, {} tasks, {} workers came, {} got another key, \
             {} left, {} power losses, {} frames, {} bytes per member and epoch, no fork",
            self.seed,
            self.members,
            self.virtual_ms,
            self.epochs,
            self.blocks,
            self.operations,
            self.tasks,
            self.registered,
            self.rotated,
            self.left,
            self.power_losses,
            self.frames,
            self.bytes_per_member_and_epoch
        )
    }
}
