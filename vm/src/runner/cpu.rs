//! The CPU time of children: how much a job may use, and how the parent has the kernel see to it.
//!
//! The limit is set from outside, before each job, so a child that was taken over can't raise it, and it stands also when
//! the parent is gone. It counts whole seconds of the process: a job's begins where the jobs before it ended.

use std::io;

use super::protocol::Resources;
use crate::job::Job;

/// How much CPU time jobs and compilations may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuAllowance {
    /// Fuel that every engine burns at least in a second: a tenth of what the slowest was measured at. More lets a job that is
    /// stuck go on for longer, less ends jobs on slow machines.
    pub fuel_per_second: u64,
    /// Seconds of a job beside its fuel: loading the module, getting memory.
    pub start_seconds: u64,
    /// Seconds of one compilation: some times what the worst modules took.
    pub compile_seconds: u64,
    /// Seconds that nothing may exceed, however much fuel it has.
    pub seconds_max: u64,
}

impl Default for CpuAllowance {
    fn default() -> Self {
        Self {
            fuel_per_second: 2_000_000,
            start_seconds: 30,
            compile_seconds: 900,
            seconds_max: u64::MAX,
        }
    }
}

impl CpuAllowance {
    /// Seconds of a job.
    #[must_use]
    pub fn of_job(&self, job: &Job) -> u64 {
        let burning = job.fuel_limit.div_ceil(self.fuel_per_second.max(1));
        self.start_seconds
            .saturating_add(burning)
            .min(self.seconds_max)
    }

    /// Seconds of a compilation.
    #[must_use]
    pub fn of_compiling(&self) -> u64 {
        self.compile_seconds.min(self.seconds_max)
    }
}

/// Whether a child has CPU time left for so many seconds more.
pub(super) fn has_left(process: u32, seconds: u64, resources: &Resources) -> bool {
    used(process).is_ok_and(|used| used.saturating_add(seconds) <= resources.cpu_seconds)
}

/// Lets a child use so many seconds from now on, within what its process may use in all.
#[cfg(target_os = "linux")]
pub(super) fn allow(process: u32, seconds: u64, resources: &Resources) -> io::Result<()> {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
    // What the child set when it began.
    let own = getrlimit(Resource::Cpu).maximum.unwrap_or(u64::MAX);
    let hard = resources.cpu_seconds.min(own);
    let limit = Rlimit {
        current: Some(used(process)?.saturating_add(seconds).min(hard)),
        maximum: Some(hard),
    };
    let process = Pid::from_raw(process.cast_signed());
    prlimit(process, Resource::Cpu, limit)?;
    Ok(())
}

/// Seconds that a child has used, rounded up.
#[cfg(target_os = "linux")]
fn used(process: u32) -> io::Result<u64> {
    use nix::time::clock_getcpuclockid;
    let clock = clock_getcpuclockid(nix::unistd::Pid::from_raw(process.cast_signed()))?;
    let used = clock.now()?;
    let seconds = u64::try_from(used.tv_sec()).unwrap_or(0);
    Ok(seconds + u64::from(used.tv_nsec() > 0))
}

/// Elsewhere the limit of the whole process has to do.
#[cfg(not(target_os = "linux"))]
pub(super) fn allow(_process: u32, _seconds: u64, _resources: &Resources) -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn used(_process: u32) -> io::Result<u64> {
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_time_by_its_fuel_and_never_more_than_the_most() {
        let check = |fuel_limit, seconds_max, expected| {
            let cpu = CpuAllowance {
                seconds_max,
                ..CpuAllowance::default()
            };
            let job = Job {
                fuel_limit,
                ..Job::default()
            };
            assert_eq!(cpu.of_job(&job), expected, "{fuel_limit}");
        };
        check(0, u64::MAX, 30);
        check(1, u64::MAX, 31);
        check(1_000_000_000, u64::MAX, 530);
        check(u64::MAX, u64::MAX, 30 + u64::MAX.div_ceil(2_000_000));
        check(1_000_000_000, 300, 300);
    }
}
