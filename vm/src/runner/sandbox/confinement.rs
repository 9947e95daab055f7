//! How well a runner process is confined on this machine.

use parity_scale_codec::{Decode, Encode};

/// What holds a runner process, beside its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Confinement {
    /// System calls beyond computing on memory and two pipes are refused (seccomp).
    pub system_calls: bool,
    /// Files, TCP and other processes are out of reach (landlock).
    pub fence: Fence,
}

/// How much of the fence the kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Fence {
    /// Nothing: another system, a kernel before 5.13, or one that was started without landlock.
    #[codec(index = 0)]
    None,
    /// Files at least; an older kernel.
    #[codec(index = 1)]
    Partly,
    /// Files, TCP, abstract sockets and signals.
    #[codec(index = 2)]
    Whole,
}

impl Confinement {
    /// What is missing, for people; none when nothing is.
    #[must_use]
    pub const fn lacks(&self) -> Option<&'static str> {
        match (self.system_calls, self.fence) {
            (true, Fence::Whole) => None,
            (true, Fence::Partly) => Some("landlock is of an older kernel"),
            (true, Fence::None) => Some("no landlock"),
            (false, Fence::Whole | Fence::Partly) => Some("no filter of system calls"),
            (false, Fence::None) => Some("neither a filter of system calls nor landlock"),
        }
    }
}
