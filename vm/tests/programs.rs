//! Programs that other people's compilers made run alike on every engine, in the process that runs strangers' programs.
//!
//! `tests/programs/README.md` says what they are and how they were made.

#![cfg(feature = "native")]

use std::path::{Path, PathBuf};

use frith_vm::runner::{Runner, RunnerConfig};
use frith_vm::{EngineKind, Job, Outcome, Status};

type Failure = Box<dyn std::error::Error>;

const PROGRAMS: &[&str] = &[
    "go-hello",
    "go-calls",
    "go-digest",
    "c-states",
    "c-long",
    "cpp-words",
    "zig-words",
    "as-words",
    "rust-states",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs")
}

fn file(name: &str) -> Result<Vec<u8>, Failure> {
    let path = folder().join(name);
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// One program on every engine: the outcomes are equal, and the first is answered.
fn run(runner: &Runner, wasm: &[u8], job: &Job) -> Result<Outcome, Failure> {
    let mut first: Option<Outcome> = None;
    for kind in EngineKind::AVAILABLE {
        let outcome = runner.run(*kind, wasm, job)?;
        match &first {
            Some(first) => assert_eq!(*first, outcome, "{kind}"),
            None => first = Some(outcome),
        }
    }
    first.ok_or_else(|| "no engine".into())
}

#[test]
fn programs_of_other_compilers_run_alike_on_every_engine() -> Result<(), Failure> {
    let cache = tempfile::tempdir()?;
    let runner = Runner::new(RunnerConfig::new(
        env!("CARGO_BIN_EXE_frith-vm-runner").into(),
        Vec::new(),
        cache.path().to_owned(),
    ))?;
    let job = Job {
        input: file("input.txt")?,
        fuel_limit: 1_000_000_000_000,
        ..Job::default()
    };
    for program in PROGRAMS {
        let wasm = file(&format!("{program}.wasm"))?;
        let outcome = run(&runner, &wasm, &job).map_err(|error| format!("{program}: {error}"))?;
        let said = String::from_utf8_lossy(outcome.stderr.head());
        assert_eq!(outcome.status, Status::Exit(0), "{program}: {said}");
        let expected = file(&format!("{program}.out"))?;
        assert_eq!(
            String::from_utf8_lossy(&outcome.output),
            String::from_utf8_lossy(&expected),
            "{program}"
        );
    }
    Ok(())
}

#[test]
fn every_program_of_the_folder_is_tried() -> Result<(), Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        found.extend(name.strip_suffix(".wasm").map(str::to_owned));
    }
    found.sort();
    let mut tried = PROGRAMS.to_vec();
    tried.sort_unstable();
    assert_eq!(found, tried);
    Ok(())
}
