//! Real processes: what a task wrote to standard error, asked of any node, and the same task run here.

mod support;

use frith::config::Fault;
use serde_json::{Value, json};
use std::process::Output;
use support::{Outcome, PATIENCE, World, answer, check_refused, frith};

/// Its result is the clock and the randomness that it sees; then 200 KiB of standard error and last words.
const TALKER: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "the end\n")
    (func $say (param $to i32) (param $at i32) (param $bytes i32)
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $bytes))
        (drop (call $write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func (export "_start") (local $said i32)
        (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 16)))
        (drop (call $random (i32.const 24) (i32.const 16)))
        (call $say (i32.const 1) (i32.const 16) (i32.const 24))
        (memory.fill (i32.const 1024) (i32.const 120) (i32.const 1024))
        (loop $more
            (call $say (i32.const 2) (i32.const 1024) (i32.const 1024))
            (local.set $said (i32.add (local.get $said) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $said) (i32.const 200))))
        (call $say (i32.const 2) (i32.const 100) (i32.const 8))))"#;

/// What an excerpt of the talker's standard error is.
fn check_excerpt(stderr: &Value) -> Outcome {
    let part = 64 << 10;
    assert_eq!(stderr["left_out_bytes"], 200 * 1024 + 8 - 2 * part);
    let text = |name: &str| stderr[name].as_str().ok_or("a text");
    assert_eq!(text("head")?, "x".repeat(64 << 10));
    let tail = text("tail")?;
    assert_eq!(tail.len(), 64 << 10);
    assert!(tail.ends_with("xxthe end\n"));
    Ok(())
}

impl World {
    /// The same, of another node.
    fn call_at(&self, node: usize, args: &[&str]) -> Outcome<Output> {
        let api = self.devnet.node(node)?.base().to_owned();
        frith(&self.home, &api, "", args)
    }

    /// The node whose worker ran the task, and the seat.
    fn worker_of(&self, task: &str) -> Outcome<(usize, String)> {
        let ended = self.devnet.node(0)?.task(task, Some(PATIENCE))?;
        let mut places = ended.places.iter();
        let ran = places.find(|place| place.found.is_some());
        let seat = ran.ok_or("a place with a result")?.seat.clone();
        for node in 0..self.devnet.nodes() {
            let status = self.devnet.node(node)?.status()?;
            if status.worker.is_some_and(|worker| worker.seat == seat) {
                return Ok((node, seat));
            }
        }
        Err("nobody has the seat".into())
    }
}

#[test]
fn a_tasks_last_words_are_had_from_any_node_until_its_worker_is_gone() -> Outcome {
    let mut world = World::start()?;
    let task = world.submit(TALKER, &["--replicas", "1"])?;
    let (worker, seat) = world.worker_of(&task)?;
    for node in 0..world.devnet.nodes() {
        let fetched = world.call_at(node, &["task", "logs", &task])?;
        assert_eq!(fetched.stderr, b"", "JSON has all of it");
        let log = answer(&fetched)?;
        assert_eq!(
            (&log["seat"], &log["status"]),
            (&json!(seat), &json!("exit 0"))
        );
        assert_eq!(log["key"].is_null(), node == worker, "who told it");
        check_excerpt(&log["stderr"])?;
        let line = ["task", "logs", &task, "--seat", &seat];
        let of_seat = answer(&world.call_at(node, &line)?)?;
        assert_eq!(of_seat["stderr"], log["stderr"]);
    }
    let other = (worker + 1) % world.devnet.nodes();
    let status = world.devnet.node(other)?.status()?;
    let own = status.worker.ok_or("a seat")?.seat;
    let not_there = world.call_at(worker, &["task", "logs", &task, "--seat", &own])?;
    check_refused(&not_there, 3, "no_log", "no worker that is known here")?;
    world.devnet.kill(worker)?;
    let gone = world.call_at(other, &["task", "logs", &task])?;
    check_refused(&gone, 3, "no_log", &seat)?;
    world.devnet.stop()?;
    Ok(())
}

#[test]
fn a_task_runs_here_with_the_clock_and_the_seed_that_it_ran_with() -> Outcome {
    let world = World::start()?;
    let task = world.submit(
        TALKER,
        &["--arg", "here", "--env", "A=b", "--replicas", "1"],
    )?;
    let ended = world.devnet.node(0)?.task(&task, Some(PATIENCE))?;
    let there = ended.outcome.ok_or("a result")?;
    answer(&world.call("", &["task", "result", &task])?)?;
    for engine in ["wasmtime", "wasmi"] {
        let line = ["task", "run", "--local", "--as", &task, "--engine", engine];
        let here = answer(&world.call("", &line)?)?;
        assert_eq!(here["agrees"], true, "{here}");
        assert_eq!(here["output"], json!(there.output));
        assert_eq!(here["outcome"]["fuel"], there.fuel);
        check_excerpt(&here["stderr"])?;
    }
    let program = world.directory.path().join("program.wasm");
    let program = program.to_str().ok_or("a path")?;
    let both = ["task", "run", "--local", "--as", &task, program];
    assert_eq!(world.call("", &both)?.status.code(), Some(2));
    let neither = ["task", "run", "--local"];
    assert_eq!(world.call("", &neither)?.status.code(), Some(2));
    // A run of another clock and seed has another result.
    let fresh = answer(&world.call("", &["task", "run", "--local", program])?)?;
    assert_ne!(fresh["output"], json!(there.output));
    check_excerpt(&fresh["stderr"])?;
    world.devnet.stop()?;
    Ok(())
}

#[test]
fn a_result_that_is_not_what_the_task_gives_here_is_said_to_be_another() -> Outcome {
    let world = World::start_with(1, [(0, Fault::WrongResult)].into(), "")?;
    let task = world.submit(TALKER, &["--replicas", "1"])?;
    let ended = world.devnet.node(0)?.task(&task, Some(PATIENCE))?;
    assert_eq!(ended.state, "settled", "nobody contradicts a lone liar");
    answer(&world.call("", &["task", "result", &task])?)?;
    let here = answer(&world.call("", &["task", "run", "--local", "--as", &task])?)?;
    assert_eq!(here["agrees"], false, "{here}");
    world.devnet.stop()?;
    Ok(())
}
