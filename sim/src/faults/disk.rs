//! Disks that are lost, full or failing.

use crate::world::World;
use frith_ledger::store::Faults;

pub(super) fn wipe(world: &mut World, member: usize, marked: bool, off_ms: u64) {
    world.power_off(member, off_ms);
    if let Some(host) = world.hosts.get_mut(member) {
        host.wipe(marked);
        world.checkers.disk_lost(member, marked);
    }
}

pub(super) fn fail_next_write(world: &mut World, member: usize) {
    set(world, member, |disk| Faults {
        fail_write: Some(disk.writes()),
        ..Faults::default()
    });
}

pub(super) fn fail_syncs(world: &mut World, member: usize) {
    set(world, member, |_| Faults {
        fail_syncs: true,
        ..Faults::default()
    });
}

pub(super) fn fail_reads(world: &mut World, member: usize) {
    set(world, member, |_| Faults {
        fail_reads: true,
        ..Faults::default()
    });
}

pub(super) fn fill(world: &mut World, member: usize) {
    set(world, member, |disk| Faults {
        bytes_max: Some(disk.bytes()),
        ..Faults::default()
    });
}

fn set(
    world: &mut World,
    member: usize,
    faults: impl FnOnce(&frith_ledger::store::SharedMemoryStore) -> Faults,
) {
    if let Some(host) = world.hosts.get_mut(member) {
        let faults = faults(&host.disk);
        host.disk.set_faults(faults);
    }
}
