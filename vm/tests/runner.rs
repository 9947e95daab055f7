//! The runner process: what it can't see, what it can't use, and that its end is never a result.

#![cfg(feature = "native")]

mod processes;

use std::os::fd::AsRawFd;
use std::path::Path;

use frith_vm::runner::{Cancel, Runner, RunnerConfig};
use frith_vm::{EngineKind, HostError, Job, Limits, RefusalCode, Status, prepare, run_local};

use processes::{is_zombie, ticks, wait_until_busy};

type Failure = Box<dyn std::error::Error>;

fn config(directory: &Path) -> RunnerConfig {
    RunnerConfig::new(
        env!("CARGO_BIN_EXE_frith-vm-runner").into(),
        Vec::new(),
        directory.to_owned(),
    )
}

fn answer(code: u32) -> Vec<u8> {
    let text = format!(r#"(module (func (export "run") (result i32) (i32.const {code})))"#);
    wat::parse_str(text).expect("parses")
}

fn endless() -> Vec<u8> {
    wat::parse_str(r#"(module (func (export "run") (loop (br 0))))"#).expect("parses")
}

fn forever() -> Job {
    Job {
        fuel_limit: 1 << 60,
        ..Job::default()
    }
}

#[test]
fn a_job_has_the_same_outcome_in_the_runner_as_in_process() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let runner = Runner::new(config(directory.path()))?;
    for kind in EngineKind::AVAILABLE {
        for code in [3, 4, 3] {
            let wasm = answer(code);
            let outcome = runner.run(*kind, &wasm, &Job::default())?;
            assert_eq!(outcome, run_local(*kind, &wasm, &Job::default())?);
        }
    }
    Ok(())
}

#[test]
fn a_refused_module_is_an_outcome_of_the_runner_too() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let outcome = Runner::new(config(directory.path()))?.run(
        EngineKind::Wasmtime,
        b"garbage",
        &Job::default(),
    )?;
    assert_eq!(outcome.status, Status::Refused(RefusalCode::Invalid, 0));
    Ok(())
}

#[test]
fn what_its_fuel_does_not_cover_is_not_compiled() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let runner = Runner::new(config(directory.path()))?;
    let wasm = wat::parse_str(r#"(module (memory 2) (func (export "run")))"#)?;
    let start_fuel = prepare(&wasm, &Limits::default())?.metadata.start_fuel;
    let files = || std::fs::read_dir(directory.path()).map(Iterator::count);
    let poor = Job {
        fuel_limit: start_fuel - 1,
        ..Job::default()
    };
    let narrow = Job {
        memory_limit_pages: 1,
        ..Job::default()
    };
    for kind in EngineKind::AVAILABLE {
        for (job, status, fuel) in [
            (&poor, Status::OutOfFuel, poor.fuel_limit),
            (&narrow, Status::MemoryLimit, 0),
        ] {
            let outcome = runner.run(*kind, &wasm, job)?;
            assert_eq!((outcome.status, outcome.fuel), (status, fuel));
            assert_eq!(outcome, run_local(*kind, &wasm, job)?);
        }
    }
    assert_eq!(files()?, 1, "a key and no compiled module");
    let enough = runner.run(EngineKind::Wasmtime, &wasm, &Job::default())?;
    assert_eq!(enough.status, Status::Exit(0));
    assert_eq!(files()?, 2, "a key and a compiled module");
    // Compiled already, it ends in the same way.
    assert_eq!(
        runner.run(EngineKind::Wasmtime, &wasm, &poor)?,
        run_local(EngineKind::Wasmtime, &wasm, &poor)?
    );
    Ok(())
}

#[test]
fn a_process_stays_for_several_jobs_and_a_compiled_module_for_the_next_runner()
-> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let runner = Runner::new(config(directory.path()))?;
    let kill = runner.kill_handle();
    runner.run(EngineKind::Wasmtime, &answer(1), &Job::default())?;
    let first = kill.process_id();
    runner.run(EngineKind::Wasmtime, &answer(1), &Job::default())?;
    assert!(first.is_some());
    assert_eq!(kill.process_id(), first);
    let files = || std::fs::read_dir(directory.path()).map(Iterator::count);
    assert_eq!(files()?, 2, "a key and a compiled module");
    drop(runner);
    let next = Runner::new(config(directory.path()))?;
    assert_eq!(
        next.run(EngineKind::Wasmtime, &answer(1), &Job::default())?
            .status,
        Status::Exit(1)
    );
    assert_eq!(files()?, 2);
    Ok(())
}

#[test]
fn a_program_runs_where_nothing_can_be_kept() -> Result<(), Failure> {
    let nowhere = Runner::new(RunnerConfig {
        cache_directory: None,
        ..config(Path::new(""))
    })?;
    for _ in 0..2 {
        let outcome = nowhere.run(EngineKind::Wasmtime, &answer(5), &Job::default())?;
        assert_eq!(outcome.status, Status::Exit(5));
        assert_eq!(nowhere.unkept(), None, "nobody asked for it");
    }
    // The directory goes away after it was opened, as a disk that fills up does.
    let directory = tempfile::tempdir()?;
    let runner = Runner::new(config(directory.path()))?;
    directory.close()?;
    for engine in [EngineKind::Wasmtime, EngineKind::Wasmi] {
        let outcome = runner.run(engine, &answer(6), &Job::default())?;
        assert_eq!(outcome.status, Status::Exit(6));
        assert!(runner.unkept().is_some(), "it says so");
    }
    // What an ended process had loaded is compiled again.
    let kill = runner.kill_handle();
    kill.kill();
    while kill.process_id().is_some_and(|id| !is_zombie(id)) {
        std::thread::yield_now();
    }
    let outcome = runner.run(EngineKind::Wasmi, &answer(6), &Job::default())?;
    assert_eq!(outcome.status, Status::Exit(6));
    Ok(())
}

#[test]
fn a_damaged_compiled_module_is_compiled_anew() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let run = || -> Result<_, Failure> {
        Ok(Runner::new(config(directory.path()))?
            .run(EngineKind::Wasmtime, &answer(9), &Job::default())?
            .status)
    };
    assert_eq!(run()?, Status::Exit(9));
    let compiled = std::fs::read_dir(directory.path())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some())
        .ok_or("no compiled module")?;
    let whole = std::fs::read(&compiled)?;
    for damaged in [&whole[..whole.len() / 2], &[], &[&whole[..], b"x"].concat()] {
        std::fs::write(&compiled, damaged)?;
        assert_eq!(run()?, Status::Exit(9));
        assert_eq!(std::fs::read(&compiled)?.len(), whole.len());
    }
    Ok(())
}

#[test]
fn a_killed_process_is_a_host_error_and_the_next_job_runs() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut config = config(directory.path());
    // Within the hour that a process has: the one that is killed is not replaced for the long job.
    config.cpu.seconds_max = 600;
    let runner = Runner::new(config)?;
    runner.run(
        EngineKind::Wasmtime,
        &endless(),
        &Job {
            fuel_limit: 1_000_000,
            ..Job::default()
        },
    )?;
    let kill = runner.kill_handle();
    let warm = kill.process_id().ok_or("no process")?;
    let result = std::thread::scope(|scope| {
        let job = scope.spawn(|| runner.run(EngineKind::Wasmtime, &endless(), &forever()));
        wait_until_busy(warm);
        kill.kill();
        job.join()
    });
    let result = result.map_err(|_| "the job panicked")?;
    assert!(
        matches!(result, Err(HostError::RunnerEnded { .. })),
        "{result:?}"
    );
    assert_eq!(
        runner
            .run(EngineKind::Wasmtime, &answer(2), &Job::default())?
            .status,
        Status::Exit(2)
    );
    Ok(())
}

#[test]
fn a_process_that_was_killed_while_idle_is_replaced() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let runner = Runner::new(config(directory.path()))?;
    runner.run(EngineKind::Wasmi, &answer(1), &Job::default())?;
    let kill = runner.kill_handle();
    let before = kill.process_id();
    kill.kill();
    while kill.process_id().is_some_and(|id| !is_zombie(id)) {
        std::thread::yield_now();
    }
    assert_eq!(
        runner
            .run(EngineKind::Wasmi, &answer(1), &Job::default())?
            .status,
        Status::Exit(1)
    );
    assert_ne!(kill.process_id(), before);
    Ok(())
}

#[test]
fn the_process_has_no_environment_no_inherited_descriptor_and_no_new_privileges()
-> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    // A descriptor that is inherited: duplicated without the close-on-exec flag.
    let secret = std::fs::File::create(directory.path().join("secret"))?;
    let inherited = rustix::io::dup(&secret)?;
    let runner = Runner::new(config(&directory.path().join("cache")))?;
    runner.run(EngineKind::Wasmtime, &answer(1), &Job::default())?;
    let process = runner.kill_handle().process_id().ok_or("no process")?;
    assert!(inherited.as_raw_fd() > 2);
    let proc = Path::new("/proc").join(process.to_string());
    assert_eq!(std::fs::read(proc.join("environ"))?, b"");
    assert_eq!(std::fs::read_link(proc.join("cwd"))?, Path::new("/"));
    let mut descriptors: Vec<String> = std::fs::read_dir(proc.join("fd"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    descriptors.sort();
    assert_eq!(descriptors, ["0", "1", "2"]);
    let status = std::fs::read_to_string(proc.join("status"))?;
    assert!(
        status
            .lines()
            .any(|line| line.split_whitespace().eq(["NoNewPrivs:", "1"])),
        "{status}"
    );
    Ok(())
}

#[test]
fn the_memory_cap_of_the_process_is_a_host_error_and_not_a_result() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut config = config(directory.path());
    config.resources.data_bytes = 160 << 20;
    let runner = Runner::new(config)?;
    let bomb = wat::parse_str(
        r#"(module (memory 1) (func (export "run") (result i32)
            (loop $l (br_if $l (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) (memory.size)))"#,
    )?;
    for kind in EngineKind::AVAILABLE {
        let result = runner.run(*kind, &bomb, &Job::default());
        assert!(result.is_err(), "{kind}: {result:?}");
        let small = Job {
            memory_limit_pages: 100,
            ..Job::default()
        };
        assert_eq!(runner.run(*kind, &bomb, &small)?.status, Status::Exit(65));
    }
    Ok(())
}

#[test]
fn the_cpu_cap_of_the_process_ends_it() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut config = config(directory.path());
    config.resources.cpu_seconds = 1;
    let result = Runner::new(config)?.run(EngineKind::Wasmtime, &endless(), &forever());
    assert!(
        matches!(result, Err(HostError::RunnerEnded { .. })),
        "{result:?}"
    );
    Ok(())
}

#[test]
fn a_program_that_is_no_runner_is_a_host_error() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut config = config(directory.path());
    config.program = "/bin/true".into();
    let result = Runner::new(config.clone())?.run(EngineKind::Wasmi, &answer(1), &Job::default());
    assert!(
        matches!(
            result,
            Err(HostError::RunnerEnded { .. } | HostError::Io { .. })
        ),
        "{result:?}"
    );
    config.program = "/no/such/program".into();
    let result = Runner::new(config)?.run(EngineKind::Wasmi, &answer(1), &Job::default());
    assert!(matches!(result, Err(HostError::Io { .. })), "{result:?}");
    Ok(())
}

/// The soft and the hard limit of a process's CPU time, in seconds.
fn cpu_limits(process: u32) -> Result<(u64, u64), Failure> {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits"))?;
    let line = limits.lines().find(|line| line.starts_with("Max cpu time"));
    let mut fields = line.ok_or("no such limit")?.split_whitespace().skip(3);
    let mut next = || -> Result<u64, Failure> { Ok(fields.next().ok_or("no field")?.parse()?) };
    Ok((next()?, next()?))
}

#[test]
fn a_job_has_cpu_time_by_its_fuel_and_the_process_has_more_for_the_next() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut config = config(directory.path());
    config.cpu.fuel_per_second = 1_000;
    config.cpu.start_seconds = 100;
    let runner = Runner::new(config)?;
    let job = |fuel_limit| Job {
        fuel_limit,
        ..Job::default()
    };
    for (fuel, seconds) in [(1_000_000, 1_100), (5_000, 105), (900_000, 1_000)] {
        runner.run(EngineKind::Wasmtime, &answer(1), &job(fuel))?;
        let process = runner.kill_handle().process_id().ok_or("no process")?;
        let (soft, hard) = cpu_limits(process)?;
        // Begun seconds of the jobs before count whole.
        assert!((seconds..seconds + 100).contains(&soft), "{fuel}: {soft}");
        assert_eq!(hard, 3_600);
    }
    Ok(())
}

#[test]
fn a_job_has_its_cpu_time_beyond_what_the_jobs_before_it_have_used() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let runner = Runner::new(RunnerConfig {
        jobs_per_process: u32::MAX,
        ..config(directory.path())
    })?;
    let job = Job {
        fuel_limit: 20_000_000,
        ..Job::default()
    };
    let run = || runner.run(EngineKind::Wasmtime, &endless(), &job);
    run()?;
    let process = runner.kill_handle().process_id().ok_or("no process")?;
    let first = cpu_limits(process)?.0;
    // A whole second more than it had used when the first limit was set.
    let begun = ticks(process);
    while ticks(process) < begun + 110 {
        run()?;
    }
    run()?;
    assert_eq!(runner.kill_handle().process_id(), Some(process));
    let last = cpu_limits(process)?.0;
    assert!(last > first, "{last} after {first}");
    Ok(())
}

#[test]
fn a_job_that_is_slower_than_its_fuel_allows_is_ended_long_before_the_process_limit()
-> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut config = config(directory.path());
    config.cpu.fuel_per_second = u64::MAX;
    config.cpu.start_seconds = 1;
    let runner = Runner::new(config)?;
    let result = runner.run(EngineKind::Wasmtime, &endless(), &forever());
    assert!(
        matches!(&result, Err(HostError::RunnerEnded { how }) if how.contains("CPU time")),
        "{result:?}"
    );
    let next = runner.run(EngineKind::Wasmtime, &answer(2), &Job::default())?;
    assert_eq!(next.status, Status::Exit(2));
    Ok(())
}

#[test]
fn a_process_without_cpu_time_for_the_next_job_is_replaced() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut config = config(directory.path());
    config.resources.cpu_seconds = 100;
    config.cpu.start_seconds = 100;
    let runner = Runner::new(config)?;
    let kill = runner.kill_handle();
    let mut before = None;
    for _ in 0..2 {
        runner.run(EngineKind::Wasmtime, &answer(1), &Job::default())?;
        assert_ne!(kill.process_id(), before);
        before = kill.process_id();
    }
    Ok(())
}

#[test]
fn a_process_outlives_the_thread_that_asked_for_it() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let runner = Runner::new(config(directory.path()))?;
    let run = || runner.run(EngineKind::Wasmtime, &answer(1), &Job::default());
    let first = std::thread::scope(|scope| scope.spawn(run).join());
    first.map_err(|_| "the job panicked")??;
    let process = runner.kill_handle().process_id().ok_or("no process")?;
    run()?;
    assert_eq!(runner.kill_handle().process_id(), Some(process));
    Ok(())
}

/// Waits for a process's end, as long as that may take on a busy machine.
#[expect(
    clippy::disallowed_methods,
    reason = "what must end is waited for against a deadline"
)]
fn has_ended(process: u32) -> bool {
    let begin = std::time::Instant::now();
    while !is_zombie(process) {
        if begin.elapsed() > std::time::Duration::from_secs(60) {
            return false;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    true
}

#[test]
fn a_cancelled_job_ends_before_it_begins_or_while_it_runs_and_the_next_one_runs()
-> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut config = config(directory.path());
    // One process has time for all jobs here, whatever their fuel.
    config.cpu.fuel_per_second = u64::MAX;
    config.cpu.start_seconds = config.resources.cpu_seconds / 2;
    let runner = Runner::new(config)?;
    let run =
        |cancel: &Cancel| runner.run_until(EngineKind::Wasmtime, &endless(), &forever(), cancel);
    let cancel = Cancel::default();
    cancel.cancel();
    let before = run(&cancel);
    assert!(matches!(before, Err(HostError::Cancelled)), "{before:?}");
    assert_eq!(runner.kill_handle().process_id(), None, "nothing began");

    let cancel = Cancel::default();
    let during = std::thread::scope(|scope| {
        let job = scope.spawn(|| run(&cancel));
        // Whichever process it is that compiles or runs.
        while runner.kill_handle().process_id().is_none() {
            std::thread::yield_now();
        }
        cancel.cancel();
        job.join()
    });
    let during = during.map_err(|_| "the job panicked")?;
    assert!(matches!(during, Err(HostError::Cancelled)), "{during:?}");

    // In the process that has the module already, so that nothing else begins in which it could be noticed.
    let brief = Job {
        fuel_limit: 1_000_000,
        ..Job::default()
    };
    let ran = runner.run(EngineKind::Wasmtime, &endless(), &brief)?;
    assert_eq!(ran.status, Status::OutOfFuel);
    let process = runner.kill_handle().process_id().ok_or("it stays")?;
    let cancel = Cancel::default();
    let (killed, running) = std::thread::scope(|scope| {
        let job = scope.spawn(|| run(&cancel));
        wait_until_busy(process);
        cancel.cancel();
        let killed = has_ended(process);
        runner.kill_handle().kill();
        (killed, job.join())
    });
    assert!(killed, "its process went on");
    let running = running.map_err(|_| "the job panicked")?;
    assert!(matches!(running, Err(HostError::Cancelled)), "{running:?}");

    let cancel = Cancel::default();
    let wasm = answer(2);
    let after = runner.run_until(EngineKind::Wasmtime, &wasm, &Job::default(), &cancel)?;
    assert_eq!(after.status, Status::Exit(2));
    let process = runner.kill_handle().process_id().ok_or("it stays")?;
    cancel.cancel();
    assert!(!is_zombie(process), "who is late ends nobody else's job");
    Ok(())
}
