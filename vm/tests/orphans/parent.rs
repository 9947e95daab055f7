//! A parent that can be killed in the middle of a job: says its runner's process id and then runs for ever.
//!
//! `frith-vm-parent <cache> <program> [<argument>…]`.

#![expect(
    clippy::print_stdout,
    reason = "its one line is what the test waits for"
)]

use std::process::ExitCode;

use frith_vm::runner::{CpuAllowance, Runner, RunnerConfig};
use frith_vm::{EngineKind, HostError, Job};

/// `(module (func (export "run") (loop (br 0))))`.
const ENDLESS: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x07\x01\x03run\0\0\x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), HostError> {
    let mut next = || arguments.next().unwrap_or_default();
    let (cache, program) = (next().into(), next().into());
    let mut config = RunnerConfig::new(program, arguments.collect(), cache);
    // Within the hour that a process has: the one that is told is not replaced for the long job.
    config.cpu = CpuAllowance {
        seconds_max: 600,
        ..CpuAllowance::default()
    };
    let runner = Runner::new(config)?;
    let job = |fuel_limit| Job {
        fuel_limit,
        ..Job::default()
    };
    // Compiles; the process that comes after it stays.
    runner.run(EngineKind::Wasmtime, ENDLESS, &job(1_000_000))?;
    println!("{}", runner.kill_handle().process_id().unwrap_or_default());
    runner.run(EngineKind::Wasmtime, ENDLESS, &job(1 << 60))?;
    Ok(())
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
