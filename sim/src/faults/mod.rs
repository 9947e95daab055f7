//! What goes wrong by accident. A fault strikes at its moment and ends by itself or when everything heals.
//!
//! A power loss may strike every member at once: records that were synced survive it. A wiped disk counts
//! as a faulty member for the rest of the run, and so does a disk that fails, because its node stops.

mod clock;
mod disk;
mod partition;
mod power;

pub use clock::SKEW_MS_MAX;
pub(crate) use clock::{skew, wrong};
pub use power::{KINDS, kind_of};

use crate::random::Random;
use crate::world::World;

/// An accident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The power of one machine fails after so many more of its node's outputs; it starts again later.
    Power {
        /// Which machine.
        member: usize,
        /// Outputs still performed.
        outputs: u64,
        /// Until it starts again, in ms.
        off_ms: u64,
    },
    /// The power of one machine fails as soon as a write of a kind isn't synced.
    PowerAt {
        /// Which machine.
        member: usize,
        /// Which kind of write.
        kind: &'static str,
        /// Whether the write survives; what was written after it doesn't.
        keep: bool,
        /// Until it starts again, in ms.
        off_ms: u64,
    },
    /// The power of all machines fails at one moment.
    Blackout {
        /// Until they start again, in ms.
        off_ms: u64,
    },
    /// A machine loses its disk and starts with an empty one.
    Wipe {
        /// Which machine.
        member: usize,
        /// Until it starts again, in ms.
        off_ms: u64,
    },
    /// A machine loses its disk, and its directory is made anew as if its node had never run.
    WipeUnmarked {
        /// Which machine.
        member: usize,
        /// Until it starts again, in ms.
        off_ms: u64,
    },
    /// A write fails.
    BadWrite {
        /// Which machine.
        member: usize,
    },
    /// Syncs fail from now on.
    BadSync {
        /// Which machine.
        member: usize,
    },
    /// Reads fail from now on.
    BadRead {
        /// Which machine.
        member: usize,
    },
    /// The disk is full.
    FullDisk {
        /// Which machine.
        member: usize,
    },
    /// Two parts of the network don't hear each other.
    Partition {
        /// Bit i: member i is in the second part.
        part: u64,
        /// Whether the second part still hears the first.
        one_way: bool,
        /// How long, in ms.
        for_ms: u64,
    },
    /// The clock of a machine is set to another time of day.
    Clock {
        /// Which machine.
        member: usize,
        /// How far from the right time, in ms.
        off_ms: i64,
    },
}

impl Fault {
    /// Draws the faults of a scenario; `budget` members may become faulty beside the corrupt ones. Machines
    /// of newcomers only lose their power.
    pub fn draw(
        random: &mut Random,
        (members, newcomers): (usize, usize),
        corrupt: &[usize],
        mut budget: usize,
        heal_ms: u64,
    ) -> Vec<(u64, Self)> {
        let mut spent: Vec<usize> = corrupt.to_vec();
        let mut faults = Vec::new();
        for _ in 0..random.between(1, 7) {
            let at = random.between(50, heal_ms.saturating_sub(100));
            let member = random.index(members);
            let off_ms = random.between(10, 2_500);
            let fault = match random.below(12) {
                0..=3 => Self::Power {
                    member: random.index(members + newcomers),
                    outputs: random.below(12),
                    off_ms,
                },
                4 if corrupt.is_empty() => Self::Blackout { off_ms },
                5 | 6 => Self::Partition {
                    part: random.bits(),
                    one_way: random.chance(300),
                    for_ms: random.between(100, 3_000),
                },
                kind => {
                    if !spent.contains(&member) {
                        if budget == 0 {
                            continue;
                        }
                        budget -= 1;
                        spent.push(member);
                    }
                    match kind {
                        7 => Self::BadWrite { member },
                        8 => Self::BadSync { member },
                        10 => Self::BadRead { member },
                        11 => Self::WipeUnmarked { member, off_ms },
                        9 if random.chance(300) => Self::FullDisk { member },
                        _ => Self::Wipe { member, off_ms },
                    }
                }
            };
            faults.push((at, fault));
        }
        faults.sort_by_key(|(at, _)| *at);
        faults
    }

    /// Strikes.
    pub(crate) fn strike(self, world: &mut World) {
        match self {
            Self::Power {
                member,
                outputs,
                off_ms,
            } => power::fail_after(world, member, outputs, off_ms),
            Self::PowerAt {
                member,
                kind,
                keep,
                off_ms,
            } => power::fail_at_write(world, member, kind, keep, off_ms),
            Self::Blackout { off_ms } => power::blackout(world, off_ms),
            Self::Wipe { member, off_ms } => disk::wipe(world, member, true, off_ms),
            Self::WipeUnmarked { member, off_ms } => disk::wipe(world, member, false, off_ms),
            Self::BadWrite { member } => disk::fail_next_write(world, member),
            Self::BadSync { member } => disk::fail_syncs(world, member),
            Self::BadRead { member } => disk::fail_reads(world, member),
            Self::FullDisk { member } => disk::fill(world, member),
            Self::Partition {
                part,
                one_way,
                for_ms,
            } => partition::cut(world, part, one_way, for_ms),
            Self::Clock { member, off_ms } => clock::set(world, member, off_ms),
        }
    }

    /// The member whose clock is set wrong.
    #[must_use]
    pub const fn sets_clock(self) -> Option<usize> {
        match self {
            Self::Clock { member, .. } => Some(member),
            _ => None,
        }
    }

    /// The member whose disk is lost or fails, so that its node may not come back by itself.
    #[must_use]
    pub const fn loses_disk(self) -> Option<usize> {
        match self {
            Self::Wipe { member, .. }
            | Self::WipeUnmarked { member, .. }
            | Self::BadWrite { member }
            | Self::BadSync { member }
            | Self::BadRead { member }
            | Self::FullDisk { member } => Some(member),
            Self::Power { .. }
            | Self::PowerAt { .. }
            | Self::Blackout { .. }
            | Self::Clock { .. }
            | Self::Partition { .. } => None,
        }
    }
}
