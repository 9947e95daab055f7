//! A clock that shows another time than it is. Consensus goes on by the clock that only counts forward, which stays
//! right; the times of root records are what a wrong one can harm.

use crate::random::Random;
use crate::world::World;

/// How far a clock may be off that nobody calls wrong, in ms.
pub const SKEW_MS_MAX: u64 = 1_000;
/// A clock is set wrong by so much: by a little more than the protocol tolerates or less, by minutes, by days.
const WRONG_MS: [u64; 4] = [4_500, 7_000, 300_000, 200_000_000];

/// How far a clock is off that nobody calls wrong, in ms.
pub(crate) fn skew(random: &mut Random) -> i64 {
    let ms = random.below(2 * SKEW_MS_MAX + 1).cast_signed();
    ms - SKEW_MS_MAX.cast_signed()
}

/// How far a wrong clock is off, in ms.
pub(crate) fn wrong(random: &mut Random) -> i64 {
    let ms = WRONG_MS[random.index(WRONG_MS.len())].cast_signed();
    if random.chance(500) { ms } else { -ms }
}

pub(super) fn set(world: &mut World, member: usize, off_ms: i64) {
    for host in &mut world.hosts {
        if host.member == member {
            host.clock_off_ms = off_ms;
        }
    }
}
