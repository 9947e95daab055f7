//! Compiling costs fuel, by the size and the shape of a module, and counts in the limit.

use crate::{run_with, wasm};
use frith_vm::{Job, Limits, Status, prepare};

fn compile_fuel(body: &str) -> u64 {
    let text = format!(r#"(module (memory 1) (func (export "run") {body}))"#);
    let metered = prepare(&wasm(&text), &Limits::default()).expect("is accepted");
    metered.metadata.compile_fuel
}

#[test]
fn compiling_is_part_of_the_fuel_and_of_the_limit() {
    let text = r#"(module (func (export "run")))"#;
    let metadata = prepare(&wasm(text), &Limits::default())
        .expect("is accepted")
        .metadata;
    assert!(metadata.compile_fuel > 0 && metadata.compile_fuel < metadata.start_fuel);
    let job = |fuel_limit| Job {
        fuel_limit,
        ..Job::default()
    };
    let short = run_with(text, &job(metadata.start_fuel - 1));
    assert_eq!(
        (short.status, short.fuel),
        (Status::OutOfFuel, metadata.start_fuel - 1)
    );
    let enough = run_with(text, &job(metadata.start_fuel + 100));
    assert_eq!(enough.status, Status::Exit(0));
    assert!(enough.fuel > metadata.compile_fuel);
}

#[test]
fn what_compiles_slowly_costs_more_than_its_size() {
    // Locals that are read behind every block, and blocks that set one of them.
    let joins = |locals: u32, blocks: usize| {
        let declared = "(local".to_owned() + &" i64".repeat(locals as usize) + ")";
        let step = "(block (br_if 0 (i32.wrap_i64 (local.get 0))) (local.set 0 (local.get 1)))";
        let reads: String = (0..locals)
            .map(|n| format!("(i64.store (i32.const 0) (local.get {n}))"))
            .collect();
        compile_fuel(&format!("{declared} {} {reads}", step.repeat(blocks)))
    };
    let plain = compile_fuel(&"(i32.store (i32.const 0) (i32.const 1))".repeat(4_000));
    assert!(joins(8, 2_000) > 2 * plain, "blocks cost more than code");
    assert!(
        joins(800, 2_000) > 2 * joins(8, 2_000),
        "so do values that are live"
    );
    assert!(
        joins(8, 8_000) > 8 * joins(8, 2_000),
        "and many blocks more than few"
    );
}

#[test]
fn values_of_calls_and_targets_of_tables_are_paid_for() {
    let call = |values: usize, calls: usize| {
        let all = " i64".repeat(values);
        let first = "(i64.const 1)".repeat(values);
        let rest = "drop ".repeat(values);
        let text = format!(
            r#"(module (func $f (param{all}) (result{all}) unreachable)
                (func (export "run") {first} {} {rest}))"#,
            "(call $f) ".repeat(calls)
        );
        let metered = prepare(&wasm(&text), &Limits::default()).expect("is accepted");
        metered.metadata.compile_fuel
    };
    assert!(call(128, 200) > 20 * call(4, 200));
    let table = |targets: usize| {
        compile_fuel(&format!(
            "(block (br_table {} (i32.const 0)))",
            "0 ".repeat(targets)
        ))
    };
    // 400 for an edge.
    assert!(table(2_000) - table(1_000) >= 400_000);
}
