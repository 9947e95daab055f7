//! A deliberate attempt to break out of the runner process: every act is refused there, and succeeds elsewhere.

#![cfg(all(
    feature = "native",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use frith_vm::runner::{Runner, RunnerConfig};
use frith_vm::{EngineKind, HostError, Job};

type Failure = Box<dyn std::error::Error>;

/// A key file, a listener, and the program that goes for them.
struct Scene {
    directory: tempfile::TempDir,
    listener: TcpListener,
}

impl Scene {
    fn new() -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("key"), b"secret")?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        Ok(Self {
            directory,
            listener,
        })
    }

    fn arguments(&self, mode: &str) -> Result<Vec<String>, Failure> {
        let secret = self.directory.path().join("key").display().to_string();
        let port = self.listener.local_addr()?.port().to_string();
        Ok(vec![
            mode.to_owned(),
            secret,
            port,
            std::process::id().to_string(),
        ])
    }

    fn left_behind(&self) -> bool {
        self.directory.path().join("left-behind").exists()
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_frith-vm-escape");

fn answer() -> Vec<u8> {
    wat::parse_str(r#"(module (func (export "run") (result i32) (i32.const 7)))"#).expect("parses")
}

fn runner(program: &str, arguments: Vec<String>, directory: &Path) -> Result<Runner, HostError> {
    Runner::new(RunnerConfig::new(
        program.into(),
        arguments,
        directory.join("cache"),
    ))
}

/// Name and end of each attempt.
fn ends(report: &str) -> Vec<(String, String)> {
    let split = |line: &str| {
        let (name, end) = line.split_once('\t')?;
        Some((name.to_owned(), end.to_owned()))
    };
    report.lines().filter_map(split).collect()
}

#[test]
fn code_that_broke_out_reaches_neither_files_nor_network_nor_processes() -> Result<(), Failure> {
    let scene = Scene::new()?;
    let runner = runner(PROGRAM, scene.arguments("runner")?, scene.directory.path())?;
    let told = runner.run(EngineKind::Wasmtime, &answer(), &Job::default());
    let Err(HostError::Runner { reason: report }) = told else {
        return Err(format!("no report: {told:?}").into());
    };
    let ends = ends(&report);
    assert!(ends.len() >= 15, "{report}");
    for (name, end) in &ends {
        assert!(end.contains("Operation not permitted"), "{name}: {end}");
    }
    assert!(!scene.left_behind());
    Ok(())
}

#[test]
fn the_same_attempts_succeed_without_the_sandbox() -> Result<(), Failure> {
    let scene = Scene::new()?;
    let output = Command::new(PROGRAM)
        .args(scene.arguments("free")?)
        .output()?;
    let ends = ends(&String::from_utf8(output.stdout)?);
    assert!(ends.len() >= 15);
    for (name, end) in &ends {
        assert_eq!(end, "done", "{name}");
    }
    assert!(scene.left_behind());
    Ok(())
}

#[test]
fn a_runner_says_how_it_is_confined() -> Result<(), Failure> {
    let scene = Scene::new()?;
    let program = env!("CARGO_BIN_EXE_frith-vm-runner");
    let runner = runner(program, Vec::new(), scene.directory.path())?;
    assert_eq!(runner.confinement(), None);
    for kind in EngineKind::AVAILABLE {
        runner.run(*kind, &answer(), &Job::default())?;
    }
    let confinement = runner.confinement().ok_or("it was started")?;
    assert!(confinement.system_calls, "{confinement:?}");
    let process = runner.kill_handle().process_id().ok_or("it stays")?;
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let filtered = |line: &str| line.split_whitespace().eq(["Seccomp:", "2"]);
    assert!(status.lines().any(filtered), "{status}");
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let status = std::fs::read_to_string(thread?.path().join("status"))?;
        assert!(status.lines().any(filtered), "{status}");
    }
    Ok(())
}
