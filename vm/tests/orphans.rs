//! A runner lives no longer than its parent, however that ends and whatever the runner does.

#![cfg(all(feature = "native", target_os = "linux"))]

mod processes;

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use processes::{children, ends_within, wait_until_busy};
use rustix::process::{Pid, Signal, kill_process};

type Failure = Box<dyn std::error::Error>;

/// Hundredths of a second of CPU time that no process has left whose parent is gone.
const GOES_ON_TICKS: u64 = 1_000;

/// A parent in the middle of a job, and the process that it knows as its runner.
struct Scene {
    _directory: tempfile::TempDir,
    parent: Child,
    runner: u32,
}

impl Scene {
    fn start(program: &str, arguments: &[&str]) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let mut parent = Command::new(env!("CARGO_BIN_EXE_frith-vm-parent"))
            .arg(directory.path())
            .arg(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let told = parent.stdout.take().ok_or("no pipe")?;
        BufReader::new(told).read_line(&mut line)?;
        let runner = line.trim().parse()?;
        Ok(Self {
            _directory: directory,
            parent,
            runner,
        })
    }

    fn signal(&mut self, signal: Signal) -> Result<(), Failure> {
        let parent = Pid::from_raw(self.parent.id().cast_signed()).ok_or("no process")?;
        kill_process(parent, signal)?;
        assert!(!self.parent.wait()?.success());
        Ok(())
    }
}

impl Drop for Scene {
    /// A test that failed leaves no endless job behind.
    fn drop(&mut self) {
        let _ = self.parent.kill();
        let _ = self.parent.wait();
    }
}

/// Waits for a process's end; one that goes on is killed and the test fails.
fn check_ends(process: u32) {
    if !ends_within(process, GOES_ON_TICKS) {
        let orphan = Pid::from_raw(process.cast_signed()).expect("a process");
        kill_process(orphan, Signal::KILL).expect("it goes on");
        panic!("process {process} outlived its parent");
    }
}

#[test]
fn a_runner_ends_with_its_parent_in_the_middle_of_a_job() -> Result<(), Failure> {
    for signal in [Signal::KILL, Signal::TERM, Signal::HUP, Signal::INT] {
        let mut scene = Scene::start(env!("CARGO_BIN_EXE_frith-vm-runner"), &[])?;
        wait_until_busy(scene.runner);
        scene.signal(signal)?;
        check_ends(scene.runner);
    }
    Ok(())
}

#[test]
fn a_runner_whose_pipe_somebody_else_holds_ends_by_its_parents_death() -> Result<(), Failure> {
    let mut scene = Scene::start(env!("CARGO_BIN_EXE_frith-vm-runner"), &[])?;
    let pipe = format!("/proc/{}/fd/0", scene.runner);
    let held: File = OpenOptions::new().write(true).open(pipe)?;
    wait_until_busy(scene.runner);
    scene.signal(Signal::KILL)?;
    check_ends(scene.runner);
    drop(held);
    Ok(())
}

#[test]
fn a_runner_whose_own_parent_lives_ends_when_its_pipe_closes() -> Result<(), Failure> {
    // A shell between the two; the exit afterwards keeps it from becoming the runner itself.
    let script = concat!(env!("CARGO_BIN_EXE_frith-vm-runner"), "; exit $?");
    let mut scene = Scene::start("/bin/sh", &["-c", script])?;
    let shell = scene.runner;
    let runner = *children(shell).first().ok_or("the shell has no child")?;
    wait_until_busy(runner);
    scene.signal(Signal::KILL)?;
    check_ends(runner);
    check_ends(shell);
    Ok(())
}
