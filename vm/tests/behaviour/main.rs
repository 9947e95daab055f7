//! What a task sees, on every engine. Every check runs on both engines and demands equal outcomes.

#![cfg(feature = "native")]

mod compiling;
mod growing;
mod host;
mod refusals;
mod runs;

use frith_vm::{EngineKind, Job, Limits, Outcome, RefusalCode, prepare, run_local};

pub(crate) fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the test's module parses")
}

/// Runs on every engine; the outcomes must be equal.
pub(crate) fn run_bytes(wasm: &[u8], job: &Job) -> Outcome {
    let mut outcomes = EngineKind::AVAILABLE
        .iter()
        .map(|kind| run_local(*kind, wasm, job).expect("the host works"));
    let first = outcomes.next().expect("an engine");
    for other in outcomes {
        assert_eq!(first, other);
    }
    first
}

pub(crate) fn run_with(text: &str, job: &Job) -> Outcome {
    run_bytes(&wasm(text), job)
}

pub(crate) fn run(text: &str) -> Outcome {
    run_with(text, &Job::default())
}

pub(crate) fn refusal(text: &str) -> RefusalCode {
    prepare(&wasm(text), &Limits::default())
        .expect_err("refused")
        .code
}

/// Copies its input to its output.
pub(crate) const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (loop $again
            (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 7))
            (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
            (i32.store (i32.const 4) (i32.load (i32.const 8)))
            (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)) (then unreachable))
            (br_if $again (i32.load (i32.const 8))))))"#;
