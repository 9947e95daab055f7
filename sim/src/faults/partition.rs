//! Partitions, symmetric or one way.

use crate::world::World;

pub(super) fn cut(world: &mut World, part: u64, one_way: bool, for_ms: u64) {
    let second = |member: usize| part >> (member % 64) & 1 == 1;
    let count = world.hosts.len();
    for from in 0..count {
        for to in 0..count {
            let crosses = second(from) != second(to);
            if crosses && !(one_way && second(to)) {
                world.cuts.cut(from, to);
            }
        }
    }
    world.heal_cuts_at(world.now + for_ms);
}
