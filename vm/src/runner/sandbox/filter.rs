//! The filter of system calls: a list of those that the engines, the allocator and the two pipes need.
//!
//! A call that isn't on the list fails with `EPERM` and does nothing: nothing is opened, no socket made, no process or
//! thread started, traced or signalled, no limit raised, no file sent. It fails rather than ends the process because
//! libraries try calls that they can do without, other ones in every version. Calls of another instruction set's
//! numbers end the process.
//!
//! Sources: Linux, `Documentation/userspace-api/seccomp_filter.rst`.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op,
    SeccompCondition as Condition, SeccompFilter, SeccompRule as Rule, apply_filter_all_threads,
};

/// Calls that may have any arguments.
const ANY_ARGUMENTS: &[libc::c_long] = &[
    // Memory, also that of compiled code, which is written first and executable then.
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Locks between the two threads, and their end.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    // Engines turn faults in guests' code into traps by signal handlers.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // New code must be seen by every core.
    libc::SYS_membarrier,
    // What a process may know of itself.
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    // Hash maps draw their seeds.
    libc::SYS_getrandom,
    libc::SYS_close,
    // Waiting for the parent's end; there is nothing to wait for but the three descriptors.
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// Installs the filter in every thread of this process.
pub(super) fn install() -> Result<(), Error> {
    apply_filter_all_threads(&program()?)
}

fn program() -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<Rule>> = ANY_ARGUMENTS
        .iter()
        .map(|call| (*call, Vec::new()))
        .collect();
    // The pipes and nothing else: requests on 0, answers on 1, a panic's words on 2.
    for call in [libc::SYS_read, libc::SYS_readv] {
        rules.insert(call, vec![argument(0, Len::Dword, 0)?]);
    }
    for call in [libc::SYS_write, libc::SYS_writev] {
        let ends = vec![argument(0, Len::Dword, 1)?, argument(0, Len::Dword, 2)?];
        rules.insert(call, ends);
    }
    // A process that aborts signals itself, and nobody else.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![argument(0, Len::Dword, own)?]);
    // Limits may be read.
    rules.insert(libc::SYS_prlimit64, vec![argument(2, Len::Qword, 0)?]);
    let refused = u32::try_from(libc::EPERM).unwrap_or(1);
    SeccompFilter::new(
        rules,
        SeccompAction::Errno(refused),
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

/// A call is allowed when its argument of this number has this value.
fn argument(number: u8, len: Len, value: u64) -> Result<Rule, BackendError> {
    Rule::new(vec![Condition::new(number, len, Op::Eq, value)?])
}
