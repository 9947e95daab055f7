//! Descriptors, privileges and resource limits.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::runner::protocol::Resources;

/// Closes every descriptor above standard error. Call it before anything else is opened.
pub(in crate::runner) fn close_descriptors() {
    for descriptor in open_descriptors() {
        if descriptor > 2 {
            // Already closed is fine: the list itself was read through one of them.
            let _ = nix::unistd::close(descriptor);
        }
    }
}

/// Numbers of this process's open descriptors.
fn open_descriptors() -> Vec<i32> {
    let Ok(directory) = std::fs::read_dir("/proc/self/fd") else {
        // Without /proc: as many as there could be, within reason.
        let most = getrlimit(Resource::Nofile)
            .current
            .unwrap_or(1 << 16)
            .min(1 << 16);
        return (0..most as i32).collect();
    };
    directory
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// Gives up what no job needs: privileges, core files, written files, more descriptors.
pub(in crate::runner) fn restrict() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_no_new_privs().map_err(io::Error::from)?;
    lower(Resource::Core, 0)?;
    lower(Resource::Fsize, 0)?;
    lower(Resource::Nofile, 16)
}

/// Sets the limits that the parent wants. No process or thread can be started afterwards; the kernel doesn't hold root
/// to that, the filter of system calls does.
pub(in crate::runner) fn limit(resources: &Resources) -> io::Result<()> {
    lower(Resource::As, resources.address_space_bytes)?;
    lower(Resource::Data, resources.data_bytes)?;
    lower(Resource::Cpu, resources.cpu_seconds)?;
    lower(Resource::Nproc, 0)
}

/// Lowers a limit for good; one that is lower already stays.
fn lower(resource: Resource, value: u64) -> io::Result<()> {
    let value = getrlimit(resource)
        .maximum
        .map_or(value, |maximum| maximum.min(value));
    setrlimit(
        resource,
        Rlimit {
            current: Some(value),
            maximum: Some(value),
        },
    )
    .map_err(io::Error::from)
}
