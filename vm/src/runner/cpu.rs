//! The CPU time of children: how much a job may use, and how the parent has the kernel see to it.
//!
//! The limit is set from outside, before each job, so a child that was taken over can't raise it, and it stands also when
//! the parent is gone. It counts whole seconds of the process: a job's begins where the jobs before it ended. Most jobs use
//! no whole second, so the limit of the job before mostly is the next one's too, and the kernel isn't told again.

use std::io;

use super::protocol::Resources;
use crate::job::Job;

/// How much CPU time jobs and compiling their modules may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuAllowance {
    /// Fuel that every engine burns at least in a second: a tenth of what the slowest was measured at. More lets a job that is
    /// stuck go on for longer, less ends jobs on slow machines.
    pub fuel_per_second: u64,
    /// Seconds of a job beside its fuel: metering or loading the module, getting memory.
    pub start_seconds: u64,
    /// Seconds that nothing may exceed, however much fuel it has.
    pub seconds_max: u64,
}

impl Default for CpuAllowance {
    fn default() -> Self {
        Self {
            fuel_per_second: 2_000_000,
            start_seconds: 30,
            seconds_max: u64::MAX,
        }
    }
}

impl CpuAllowance {
    /// Seconds of a job, and of compiling its module, which is part of its fuel.
    #[must_use]
    pub fn of_job(&self, job: &Job) -> u64 {
        let burning = job.fuel_limit.div_ceil(self.fuel_per_second.max(1));
        self.start_seconds
            .saturating_add(burning)
            .min(self.seconds_max)
    }
}

/// The CPU time of one child, as its parent sees and limits it.
#[derive(Debug)]
pub(super) struct CpuTime {
    #[cfg(target_os = "linux")]
    process: nix::unistd::Pid,
    #[cfg(target_os = "linux")]
    clock: nix::time::ClockId,
    /// Seconds that the process may have in all.
    hard: u64,
    /// The limit that the kernel has, once one was set from here.
    soft: Option<u64>,
}

#[cfg(target_os = "linux")]
impl CpuTime {
    /// Of a child that has set its own limits and has no job yet.
    pub(super) fn of(process: u32, resources: &Resources) -> io::Result<Self> {
        use rustix::process::{Resource, getrlimit};
        let process = nix::unistd::Pid::from_raw(process.cast_signed());
        // What the child set when it began.
        let own = getrlimit(Resource::Cpu).maximum.unwrap_or(u64::MAX);
        Ok(Self {
            process,
            clock: nix::time::clock_getcpuclockid(process)?,
            hard: resources.cpu_seconds.min(own),
            soft: None,
        })
    }

    /// Lets the child use so many seconds from now on, or what its process has left; whether that is all of them.
    ///
    /// Costs one system call, and a second one when the limit must change.
    pub(super) fn allow(&mut self, seconds: u64) -> io::Result<bool> {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let wanted = self.used()?.saturating_add(seconds);
        let soft = wanted.min(self.hard);
        if self.soft != Some(soft) {
            let limit = Rlimit {
                current: Some(soft),
                maximum: Some(self.hard),
            };
            prlimit(Pid::from_raw(self.process.as_raw()), Resource::Cpu, limit)?;
            self.soft = Some(soft);
        }
        Ok(wanted == soft)
    }

    /// Seconds that the child has used, rounded up.
    fn used(&self) -> io::Result<u64> {
        let used = nix::time::clock_gettime(self.clock)?;
        let seconds = u64::try_from(used.tv_sec()).unwrap_or(0);
        Ok(seconds + u64::from(used.tv_nsec() > 0))
    }
}

/// Elsewhere the limit of the whole process has to do.
#[cfg(not(target_os = "linux"))]
impl CpuTime {
    pub(super) fn of(_process: u32, resources: &Resources) -> io::Result<Self> {
        Ok(Self {
            hard: resources.cpu_seconds,
            soft: None,
        })
    }

    pub(super) fn allow(&mut self, seconds: u64) -> io::Result<bool> {
        self.soft = Some(seconds.min(self.hard));
        Ok(self.soft == Some(seconds))
    }
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
