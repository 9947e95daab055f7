//! Power losses: the node dies between two outputs, and a prefix of the unsynced writes survives.

use crate::world::World;

/// The machine dies once its node's next outputs are performed up to `outputs` of them.
pub(super) fn fail_after(world: &mut World, member: usize, outputs: u64, off_ms: u64) {
    if let Some(host) = world.hosts.get_mut(member)
        && host.is_up()
    {
        host.dies_after = Some((outputs, off_ms));
    }
}

/// All machines die now.
pub(super) fn blackout(world: &mut World, off_ms: u64) {
    for member in 0..world.hosts.len() {
        world.power_off(member, off_ms);
    }
}
