//! What a child process gives up before it touches a stranger's bytes, in this order:
//!
//! 1. [`close_descriptors`]: every descriptor but the two pipes and standard error, which is `/dev/null`;
//! 2. [`restrict`]: privileges that a program could gain, core files, written files, further descriptors;
//! 3. [`fence`]: all files and directories, TCP, sockets and processes of others (landlock);
//! 4. [`limit`]: address space, memory, CPU time, as the parent says;
//! 5. [`filter_system_calls`]: every system call that computing on memory and two pipes doesn't need (seccomp).
//!
//! Nothing of it can be taken back. The filter is what holds the line: it also stands for root, whom the limit of
//! processes doesn't bind, and covers what landlock doesn't (UDP, devices already open, new kernel interfaces). The
//! fence is the second line, should a call on the list do more than it should.
//!
//! Steps 3 and 5 need Linux; step 5 needs x86-64 or AArch64. Where one isn't to be had, [`Confinement`] says so.

#[cfg(target_os = "linux")]
mod fence;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod filter;
mod limits;

pub use confinement::{Confinement, Fence};
pub(super) use limits::{close_descriptors, limit, restrict};

mod confinement;

/// Step 3, for the calling thread and those that it starts.
pub(super) fn fence() -> Fence {
    #[cfg(target_os = "linux")]
    return fence::fence();
    #[cfg(not(target_os = "linux"))]
    Fence::None
}

/// Step 5, for all threads of the process. False when this kernel or machine has no filter for it.
pub(super) fn filter_system_calls() -> bool {
    #[cfg(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    return filter::install().is_ok();
    #[cfg(not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )))]
    false
}
