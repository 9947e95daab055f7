//! How runs end, what they cost, what stops them, and what NaNs look like.

use crate::{run, run_with, wasm};
use frith_vm::{Job, Limits, Status, TrapKind, prepare};

const LIMIT: u64 = 1_000_000_000;

#[test]
fn returning_is_exit_zero_and_run_may_answer_a_code() {
    assert_eq!(
        run(r#"(module (func (export "_start")))"#).status,
        Status::Exit(0)
    );
    assert_eq!(
        run(r#"(module (func (export "run")))"#).status,
        Status::Exit(0)
    );
    assert_eq!(
        run(r#"(module (func (export "run") (result i32) i32.const 7))"#).status,
        Status::Exit(7)
    );
}

#[test]
fn proc_exit_ends_the_run_with_its_code() {
    let outcome = run(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (func (export "_start") (call $exit (i32.const 42)) unreachable))"#,
    );
    assert_eq!(outcome.status, Status::Exit(42));
}

#[test]
fn every_trap_has_its_kind_and_only_those_out_of_bounds_use_up_the_limit() {
    for (body, kind) in [
        ("unreachable", TrapKind::Unreachable),
        (
            "(drop (i32.div_u (i32.const 1) (local.get 0)))",
            TrapKind::DivisionByZero,
        ),
        (
            "(drop (i32.rem_s (i32.const 1) (local.get 0)))",
            TrapKind::DivisionByZero,
        ),
        (
            "(drop (i64.div_s (i64.const 0x8000000000000000) (i64.const -1)))",
            TrapKind::Arithmetic,
        ),
        (
            "(drop (i32.trunc_f64_s (f64.const nan)))",
            TrapKind::Arithmetic,
        ),
        (
            "(drop (i32.trunc_f64_u (f64.const 1e10)))",
            TrapKind::Arithmetic,
        ),
        (
            "(call_indirect (type $f) (i32.const 9))",
            TrapKind::OutOfBounds,
        ),
        (
            "(call_indirect (type $f) (i32.const 0))",
            TrapKind::IndirectCall,
        ),
        (
            "(call_indirect (type $f) (i32.const 1))",
            TrapKind::IndirectCall,
        ),
        ("(drop (i32.load (i32.const 65533)))", TrapKind::OutOfBounds),
        (
            "(i64.store (i32.const -1) (i64.const 0))",
            TrapKind::OutOfBounds,
        ),
        (
            "(memory.fill (i32.const 65530) (i32.const 0) (i32.const 7))",
            TrapKind::OutOfBounds,
        ),
        (
            "(table.set (i32.const 5) (ref.null func))",
            TrapKind::OutOfBounds,
        ),
        ("(drop (table.get (i32.const 5)))", TrapKind::OutOfBounds),
        (
            "(table.fill (i32.const 4) (ref.null func) (i32.const 2))",
            TrapKind::OutOfBounds,
        ),
        (
            "(table.copy (i32.const 4) (i32.const 0) (i32.const 2))",
            TrapKind::OutOfBounds,
        ),
    ] {
        let outcome = run(&format!(
            r#"(module (type $f (func)) (memory 1) (table 5 funcref) (elem (i32.const 1) $g)
                (func $g (param i32))
                (func (export "run") (local i32) {body}))"#
        ));
        assert_eq!(outcome.status, Status::Trap(kind), "{body}");
        assert_eq!(
            outcome.fuel == LIMIT,
            kind == TrapKind::OutOfBounds,
            "{body}: {}",
            outcome.fuel
        );
    }
}

#[test]
fn an_infinite_loop_runs_out_of_fuel_and_uses_exactly_the_limit() {
    let job = Job {
        fuel_limit: 5_000_000,
        ..Job::default()
    };
    for body in [
        "(loop (br 0))",
        "(loop (loop (br 1)))",
        "(loop (br_if 0 (i32.const 1)))",
    ] {
        let outcome = run_with(&format!(r#"(module (func (export "run") {body}))"#), &job);
        assert_eq!(
            (outcome.status, outcome.fuel),
            (Status::OutOfFuel, 5_000_000),
            "{body}"
        );
    }
}

#[test]
fn fuel_is_charged_for_what_ran_whatever_the_path() {
    let text = r#"(module (func (export "run") (local $i i32)
        (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const COUNT))))))"#;
    let fuel = |count: u32| run(&text.replace("COUNT", &count.to_string())).fuel;
    let each = fuel(2) - fuel(1);
    // Numbers of one length, since compiling costs by bytes too.
    assert_eq!(fuel(61) - fuel(1), 60 * each);
    assert!(each >= 8, "{each}");
}

#[test]
fn every_fuel_limit_below_the_use_is_out_of_fuel_and_the_use_itself_is_enough() {
    let text = r#"(module (memory 1) (func $f (param i32) (result i32)
            (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
                (else (i32.add (call $f (i32.sub (local.get 0) (i32.const 1)))
                    (call $f (i32.sub (local.get 0) (i32.const 2)))))))
        (func (export "run") (result i32) (memory.fill (i32.const 0) (i32.const 1) (i32.const 4000))
            (call $f (i32.const 7))))"#;
    let used = run(text).fuel;
    for fuel_limit in (used - 700)..used {
        let outcome = run_with(
            text,
            &Job {
                fuel_limit,
                ..Job::default()
            },
        );
        assert_eq!(
            (outcome.status, outcome.fuel),
            (Status::OutOfFuel, fuel_limit)
        );
    }
    let enough = run_with(
        text,
        &Job {
            fuel_limit: used,
            ..Job::default()
        },
    );
    assert_eq!((enough.status, enough.fuel), (Status::Exit(13), used));
}

#[test]
fn deep_recursion_is_a_stack_overflow_before_any_engine_overflows() {
    let many_locals: String = (0..4_000).map(|_| "i64 ").collect();
    // Values that stay live across the call, so that a frame is as large as it gets.
    let sums: String = (1..200)
        .map(|n| format!("(i64.mul (local.get 0) (i64.const {n}))"))
        .collect();
    let adds = "(i64.add) ".repeat(199);
    let many_parameters = "(param".to_owned() + &" i64".repeat(128) + ")";
    let passed_on: String = (0..128).map(|n| format!("(local.get {n})")).collect();
    let given = "(i64.const 1)".repeat(128);
    for function in [
        "(func $f (call $f))".to_owned(),
        format!("(func $f (local {many_locals}) (call $f))"),
        "(func $f (call_indirect (type $t) (i32.const 0)))".to_owned(),
        format!("(func $h {many_parameters} {passed_on} (call $h)) (func $f {given} (call $h))"),
        format!(
            "(func $g (param i64) (result i64) (call $g (local.get 0)) {sums} {adds}) (func $f (drop (call $g (i64.const 3))))"
        ),
    ] {
        let outcome = run(&format!(
            r#"(module (type $t (func)) (table 1 funcref) (elem (i32.const 0) $f) {function}
                (func (export "run") (call $f)))"#
        ));
        assert_eq!(outcome.status, Status::StackOverflow);
        assert!(outcome.fuel < LIMIT);
    }
}

#[test]
fn growing_memory_beyond_the_jobs_limit_answers_minus_one() {
    let text = r#"(module (memory 1 3000)
        (func (export "run") (result i32)
            (if (i32.ne (memory.grow (i32.const 9)) (i32.const 1)) (then unreachable))
            (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
            (if (i32.ne (memory.grow (i32.const -1)) (i32.const -1)) (then unreachable))
            (if (i32.ne (memory.grow (i32.const 0)) (i32.const 10)) (then unreachable))
            (memory.size)))"#;
    let outcome = run_with(
        text,
        &Job {
            memory_limit_pages: 10,
            ..Job::default()
        },
    );
    assert_eq!((outcome.status, outcome.peak_pages), (Status::Exit(10), 10));
    let too_small = run_with(
        text,
        &Job {
            memory_limit_pages: 0,
            ..Job::default()
        },
    );
    assert_eq!((too_small.status, too_small.fuel), (Status::MemoryLimit, 0));
}

#[test]
fn a_memory_bomb_stops_at_the_limit() {
    let outcome = run(r#"(module (memory 1) (func (export "run") (result i32)
            (loop $l (br_if $l (i32.ne (memory.grow (i32.const 7)) (i32.const -1)))) (memory.size)))"#);
    assert_eq!(outcome.status, Status::Exit(4_096));
}

#[test]
fn growing_a_table_stops_at_the_limit_and_costs_by_length() {
    let outcome = run(
        r#"(module (table 1 funcref) (func (export "run") (result i32)
            (loop $l (br_if $l (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1)))) (table.size)))"#,
    );
    assert_eq!(outcome.status, Status::Exit(131_001));
    assert!(outcome.fuel > 131_000, "{}", outcome.fuel);
}

#[test]
fn a_selection_by_a_comparison_with_zero_is_right_on_every_engine() {
    let conditions = [
        ("local.get $x i32.eqz", [1, 2]),
        ("local.get $x i32.const 0 i32.eq", [1, 2]),
        ("i32.const 0 local.get $x i32.eq", [1, 2]),
        ("local.get $x i32.const 0 i32.ne", [2, 1]),
        ("i32.const 0 local.get $x i32.ne", [2, 1]),
        ("local.get $x i32.eqz i32.eqz", [2, 1]),
        ("local.get $x i32.const 0 i32.ne i32.eqz", [1, 2]),
        ("local.get $x i32.eqz nop", [1, 2]),
        ("local.get $x i32.eqz i32.const 3 drop", [1, 2]),
        ("block (result i32) local.get $x i32.eqz end", [1, 2]),
    ];
    for (condition, answers) in conditions {
        for select in ["select", "select (result i32)"] {
            for (x, answer) in [0, 9].into_iter().zip(answers) {
                let outcome = run(&format!(
                    r#"(module (memory 1) (func (export "run") (result i32) (local $x i32) (local $y i32)
                        i32.const {x} local.set $x
                        i32.const 5 i32.const 0 i32.load i32.add local.set $y
                        i32.const 1 i32.const 2 {condition} {select}
                        local.get $y i32.const 5 i32.sub i32.add))"#
                ));
                assert_eq!(
                    outcome.status,
                    Status::Exit(answer),
                    "{condition} {select}, {x}"
                );
            }
        }
    }
}

#[test]
fn tables_grow_so_often_and_memory_by_pages_and_growing_by_nothing_answers_the_size() {
    let text = |grow: &str, size: &str, step: &str| {
        let answer = size.replace("$b", "$a");
        format!(
            r#"(module (memory 1) (table $a 3 funcref) (table $b 5 funcref)
            (func $grow (param i32) (result i32) {grow})
            (func (export "run") (result i32) (local $n i32)
                (loop $l
                    (drop (call $grow (i32.const {step})))
                    (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 500000))))
                (if (i32.ne (call $grow (i32.const 0)) ({answer})) (then unreachable))
                ({size})))"#
        )
    };
    let table = "(drop (table.grow $b (ref.null func) (local.get 0))) (table.grow $a (ref.null func) (local.get 0))";
    let memory = "(memory.grow (local.get 0))";
    for (grow, size, step, expected) in [
        (table, "table.size $a", "1", 3 + 2_048),
        (table, "table.size $b", "0", 5),
        (table, "table.size $a", "1000000", 3),
        (memory, "memory.size", "1", 4_096),
        (memory, "memory.size", "0", 1),
        (memory, "memory.size", "-1", 1),
    ] {
        let outcome = run(&text(grow, size, step));
        assert_eq!(outcome.status, Status::Exit(expected), "{size} by {step}");
    }
}

#[test]
fn bulk_instructions_are_charged_by_length_before_they_run() {
    let text = |length: u32| {
        format!(
            r#"(module (memory 200) (func (export "run")
            (memory.fill (i32.const 0) (i32.const 1) (i32.const {length}))))"#
        )
    };
    // Numbers of one length, since compiling costs by bytes too.
    let (less, more) = (run(&text(2_000_000)).fuel, run(&text(10_000_000)).fuel);
    assert_eq!(more - less, 250_000);
}

#[test]
fn start_functions_are_metered_and_run_before_the_entry_point() {
    let ordered = r#"(module (global $g (mut i32) (i32.const 0)) (start $s)
        (func $s (global.set $g (i32.const 5))) (func (export "run") (result i32) (global.get $g)))"#;
    assert_eq!(run(ordered).status, Status::Exit(5));
    let endless = r#"(module (start $s) (func $s (loop (br 0))) (func (export "run")))"#;
    assert_eq!(run(endless).status, Status::OutOfFuel);
}

#[test]
fn segments_that_do_not_fit_are_a_trap_for_the_price_of_starting() {
    for text in [
        r#"(module (memory 1) (data (i32.const 65535) "ab") (func (export "run")))"#,
        r#"(module (table 1 funcref) (elem (i32.const 1) 0) (func (export "run")))"#,
    ] {
        let outcome = run(text);
        assert_eq!(outcome.status, Status::Trap(TrapKind::OutOfBounds));
        let metered = prepare(&wasm(text), &Limits::default()).expect("is accepted");
        assert_eq!(outcome.fuel, metered.metadata.start_fuel);
    }
}

#[test]
fn nans_are_canonical_wherever_their_bits_show() {
    // Each expression makes a NaN whose bits engines are free to choose; `x` is a NaN with a payload.
    let x = "(f64.reinterpret_i64 (i64.const 0x7ff0000000000abc))";
    let y = "(f32.reinterpret_i32 (i32.const 0xff800abc))";
    let wide = [
        format!("(f64.add {x} (f64.const 1))"),
        "(f64.sub (f64.const inf) (f64.const inf))".to_owned(),
        "(f64.mul (f64.const 0) (f64.const -inf))".to_owned(),
        "(f64.div (f64.const 0) (f64.const -0))".to_owned(),
        "(f64.sqrt (f64.const -1))".to_owned(),
        format!("(f64.min {x} (f64.const 1))"),
        format!("(f64.max (f64.const 1) {x})"),
        format!("(f64.ceil {x})"),
        format!("(f64.floor {x})"),
        format!("(f64.trunc {x})"),
        format!("(f64.nearest {x})"),
        format!("(f64.promote_f32 {y})"),
        format!("(local.tee 0 (f64.add {x} {x}))"),
        format!(
            "(block (result f64) (local.set 0 (f64.add {x} {x})) (local.set 1 (local.get 0)) (local.get 1))"
        ),
        format!("(select (f64.add {x} {x}) (f64.const 0) (i32.const 1))"),
        format!("(call $id (f64.mul {x} {x}))"),
        format!("(f64.mul (f64.add {x} {x}) (f64.const 2))"),
    ];
    for expression in &wide {
        let outcome = run(&format!(
            r#"(module (func $id (param f64) (result f64) (local.get 0))
                (func (export "run") (result i32) (local f64 f64)
                (i64.ne (i64.reinterpret_f64 {expression}) (i64.const 0x7ff8000000000000))))"#
        ));
        assert_eq!(outcome.status, Status::Exit(0), "{expression}");
    }
    let narrow = [
        format!("(f32.add {y} (f32.const 1))"),
        format!("(f32.demote_f64 {x})"),
        "(f32.sqrt (f32.const -4))".to_owned(),
        format!("(f32.nearest {y})"),
    ];
    for expression in &narrow {
        let outcome = run(&format!(
            r#"(module (func (export "run") (result i32)
                (i32.ne (i32.reinterpret_f32 {expression}) (i32.const 0x7fc00000))))"#
        ));
        assert_eq!(outcome.status, Status::Exit(0), "{expression}");
    }
    // Bitwise instructions keep the bits that they are given.
    let kept = run(&format!(
        r#"(module (func (export "run") (result i32)
            (i64.ne (i64.reinterpret_f64 (f64.neg (f64.abs {x}))) (i64.const 0xfff0000000000abc))))"#
    ));
    assert_eq!(kept.status, Status::Exit(0));
}

/// wasmi 2.0 by itself panics on some of these: value and address are one register, the offset has more than 16 bits
/// (decision 045). `run` runs on every engine and compares.
#[test]
fn an_address_can_be_stored_at_itself_however_far_the_offset() {
    let values = [
        "(local.get $x)",
        "(local.tee $x (i32.add (local.get $x) (i32.const 4)))",
        "(block (result i32) (local.get $x))",
        "(select (local.get $x) (local.get $y) (i32.const 1))",
        "(i32.add (local.get $x) (i32.const 0))",
        "(i32.wrap_i64 (i64.extend_i32_u (local.get $x)))",
        "(local.get $x) (nop)",
        "(i32.const 9)",
        "(i32.load (local.get $x))",
        "(i32.mul (local.get $x) (local.get $x))",
    ];
    for store in ["i32.store", "i32.store8", "i32.store16"] {
        for address in &values[..7] {
            for value in values {
                let text = format!(
                    r#"(module (memory 4) (func (export "run") (result i32) (local $x i32) (local $y i32)
                        (local.set $x (i32.add (memory.size) (i32.const 20)))
                        {address} {value} ({store} offset=70000)
                        (i32.load offset=70000 (local.get $x))))"#
                );
                let status = run(&text).status;
                assert!(
                    matches!(status, Status::Exit(_)),
                    "{store} {address} {value}: {status:?}"
                );
            }
        }
    }
}
