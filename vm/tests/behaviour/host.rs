//! What the host gives and takes: streams, clocks, randomness, and refusals of bad pointers.

use crate::{ECHO, run, run_with};
use frith_vm::{Excerpt, Job, Status};

#[test]
fn input_reaches_the_guest_and_output_the_outcome() {
    let input = b"the quick brown fox jumps over the lazy dog".to_vec();
    let outcome = run_with(
        ECHO,
        &Job {
            input: input.clone(),
            ..Job::default()
        },
    );
    assert_eq!((outcome.status, outcome.output), (Status::Exit(0), input));
}

#[test]
fn more_output_than_allowed_ends_the_run_and_keeps_what_was_written() {
    let job = Job {
        input: vec![b'x'; 100],
        output_limit_bytes: 20,
        ..Job::default()
    };
    let outcome = run_with(ECHO, &job);
    assert_eq!(
        (outcome.status, outcome.output.len()),
        (Status::OutputLimit, 14)
    );
}

#[test]
fn frith_imports_read_input_and_write_output_without_wasi() {
    let outcome = run_with(
        r#"(module
            (import "frith" "input_len" (func $len (result i32)))
            (import "frith" "input_read" (func $read (param i32 i32 i32) (result i32)))
            (import "frith" "output_write" (func $write (param i32 i32)))
            (memory 1)
            (func (export "run") (result i32)
                (call $write (i32.const 0) (call $read (i32.const 0) (i32.const 100) (i32.const 2)))
                (drop (call $read (i32.const -1) (i32.const 100) (i32.const 0)))
                (call $len)))"#,
        &Job {
            input: b"abcdef".to_vec(),
            ..Job::default()
        },
    );
    assert_eq!(
        (outcome.status, outcome.output.as_slice()),
        (Status::Exit(6), b"cdef".as_slice())
    );
}

#[test]
fn clocks_stand_at_the_jobs_time_and_randomness_follows_the_seed() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "frith" "output_write" (func $write (param i32 i32)))
        (memory 1)
        (func (export "run")
            (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 0)))
            (drop (call $random (i32.const 8) (i32.const 32)))
            (call $write (i32.const 0) (i32.const 40))))"#;
    let job = |seed| Job {
        clock: 1_700_000_000_123,
        seed: [seed; 32],
        ..Job::default()
    };
    let (one, same, other) = (
        run_with(text, &job(1)),
        run_with(text, &job(1)),
        run_with(text, &job(2)),
    );
    assert_eq!(one.output[..8], 1_700_000_000_123_000_000_u64.to_le_bytes());
    assert_eq!(one.output, same.output);
    assert_ne!(one.output, other.output);
}

#[test]
fn sleeping_returns_at_once_and_moves_the_clocks() {
    let outcome = run(r#"(module
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory 1)
        (func (export "run") (result i32)
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (i64.const 60000000000))
            (if (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)) (then unreachable))
            (if (i32.ne (i32.load (i32.const 200)) (i32.const 1)) (then unreachable))
            (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 300)))
            (i32.wrap_i64 (i64.div_u (i64.load (i32.const 300)) (i64.const 1000000000)))))"#);
    assert_eq!(outcome.status, Status::Exit(60));
}

#[test]
fn bad_guest_pointers_are_efault_and_unknown_descriptors_ebadf() {
    let outcome = run(r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (memory 1)
        (func $expect (param i32 i32) (if (i32.ne (local.get 0) (local.get 1)) (then unreachable)))
        (func (export "run")
            (call $expect (call $write (i32.const 1) (i32.const 65532) (i32.const 1) (i32.const 0)) (i32.const 21))
            (call $expect (call $write (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 8))
            (call $expect (call $prestat (i32.const 3) (i32.const 0)) (i32.const 8))
            (call $expect (call $seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 0)) (i32.const 70))
            (call $expect (call $close (i32.const 1)) (i32.const 0))
            (call $expect (call $close (i32.const 1)) (i32.const 8))
            (call $expect (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 8))))"#);
    assert_eq!(outcome.status, Status::Exit(0));
}

#[test]
fn the_beginning_and_the_end_of_standard_error_are_kept_and_what_lies_between_is_counted() {
    let program = ECHO.replace("$write (i32.const 1)", "$write (i32.const 2)");
    for bytes in [0, 5, 100_000, 300_000] {
        let input: Vec<u8> = (0..bytes).map(|at: u32| (at % 251) as u8).collect();
        let job = Job {
            input: input.clone(),
            ..Job::default()
        };
        let outcome = run_with(&program, &job);
        assert_eq!(
            (outcome.status, &outcome.output[..]),
            (Status::Exit(0), &[][..])
        );
        assert_eq!(outcome.stderr, Excerpt::from(&input[..]));
        let last = outcome
            .stderr
            .tail()
            .last()
            .or(outcome.stderr.head().last());
        assert_eq!(last, input.last(), "the last words of {bytes} bytes");
    }
}
