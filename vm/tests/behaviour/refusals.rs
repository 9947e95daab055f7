//! What is refused, by which rule, and that validation and metering always give the same answer.

use crate::{ECHO, refusal, run_bytes, run_with, wasm};
use frith_vm::{Job, Limits, RefusalCode, Status, prepare};

#[test]
fn what_breaks_a_rule_is_refused_with_the_rule() {
    for (text, code) in [
        ("(module)", RefusalCode::NoEntryPoint),
        (
            r#"(module (func (export "run") (param i32)))"#,
            RefusalCode::EntryType,
        ),
        (
            r#"(module (memory (export "_start") 1))"#,
            RefusalCode::EntryType,
        ),
        (
            r#"(module (import "a" "b" (func)) (func (export "run")))"#,
            RefusalCode::UnknownImport,
        ),
        (
            r#"(module (import "frith" "exit" (func)) (func (export "run")))"#,
            RefusalCode::ImportType,
        ),
        (
            r#"(module (import "a" "b" (memory 1)) (func (export "run")))"#,
            RefusalCode::ImportKind,
        ),
        (
            r#"(module (func (export "run")) (func (export "frith:fuel")))"#,
            RefusalCode::ReservedExport,
        ),
        (
            r#"(module (memory 4097) (func (export "run")))"#,
            RefusalCode::MemoryTooLarge,
        ),
        (
            r#"(module (table 200000 funcref) (func (export "run")))"#,
            RefusalCode::TableTooLarge,
        ),
        (
            r#"(module (func (export "run") (drop (v128.const i32x4 0 0 0 0))))"#,
            RefusalCode::Invalid,
        ),
        (
            r#"(module (table 1 externref) (func (export "run")))"#,
            RefusalCode::Invalid,
        ),
        (
            r#"(module (memory 1 1 shared) (func (export "run")))"#,
            RefusalCode::Invalid,
        ),
        (
            r#"(module (memory i64 1) (func (export "run")))"#,
            RefusalCode::Invalid,
        ),
        (
            r#"(module (func $f (return_call $f)) (func (export "run")))"#,
            RefusalCode::Invalid,
        ),
    ] {
        assert_eq!(refusal(text), code, "{text}");
    }
}

#[test]
fn too_much_of_anything_is_refused() {
    let many = |count: usize, one: &str| one.repeat(count);
    for (text, code) in [
        (
            format!(
                r#"(module (func (export "run")) {})"#,
                many(100_000, "(func)")
            ),
            RefusalCode::TooManyFunctions,
        ),
        (
            format!(
                r#"(module (func (export "run") (local {})))"#,
                many(5_000, "i32 ")
            ),
            RefusalCode::TooManyLocals,
        ),
        (
            format!(
                r#"(module (func (export "run") {} {}))"#,
                many(11_000, "block "),
                many(11_000, "end ")
            ),
            RefusalCode::NestingTooDeep,
        ),
        (
            format!(
                r#"(module (func (export "run") {} {}))"#,
                many(5_000, "i32.const 0 "),
                many(5_000, "drop ")
            ),
            RefusalCode::OperandsTooMany,
        ),
        (
            format!(
                r#"(module (func (export "run") {}))"#,
                many(1_100_000, "nop ")
            ),
            RefusalCode::FunctionTooLarge,
        ),
        (
            format!(
                r#"(module (func (export "run") (local {}) {}))"#,
                many(4_000, "i32 "),
                many(5_000, "(block)")
            ),
            RefusalCode::FunctionTooComplex,
        ),
        (
            format!(
                r#"(module (func (export "run")) {})"#,
                many(5_000, "(global i32 (i32.const 0))")
            ),
            RefusalCode::TooManyGlobals,
        ),
        (
            format!(
                r#"(module (table 1 funcref) (func (export "run")) {})"#,
                many(5_000, "(elem (i32.const 0) 0)")
            ),
            RefusalCode::TooManyElements,
        ),
    ] {
        assert_eq!(refusal(&text), code);
    }
    let large = vec![0; 17 << 20];
    assert_eq!(
        prepare(&large, &Limits::default())
            .expect_err("refused")
            .code,
        RefusalCode::ModuleTooLarge
    );
}

#[test]
fn a_refused_module_is_an_outcome_without_fuel() {
    let outcome = run_bytes(b"not wasm at all", &Job::default());
    assert_eq!(
        (outcome.status, outcome.fuel),
        (Status::Refused(RefusalCode::Invalid, 0), 0)
    );
}

#[test]
fn a_module_cut_anywhere_but_in_its_custom_sections_is_refused_and_never_panics() {
    let whole = wasm(ECHO);
    let metered = prepare(&whole, &Limits::default()).expect("valid");
    for len in 0..whole.len() {
        match prepare(&whole[..len], &Limits::default()) {
            Ok(cut) => assert_eq!(cut, metered),
            Err(refusal) => assert!(refusal.offset as usize <= len, "{refusal}"),
        }
    }
}

#[test]
fn preparing_twice_gives_the_same_module() {
    let module = wasm(ECHO);
    assert_eq!(
        prepare(&module, &Limits::default()),
        prepare(&module, &Limits::default())
    );
}

#[test]
fn the_most_complex_function_that_is_allowed_compiles() {
    // Each of many locals is set before many joins and read behind them.
    let (locals, joins) = (700, 8_000);
    let sets: String = (1..locals)
        .map(|n| format!("(local.set {n} (i32.load8_u (i32.const {n})))"))
        .collect();
    let branches = "(if (local.get 0) (then (local.set 0 (local.get 1))))".repeat(joins);
    let reads: String = (1..locals)
        .map(|n| format!("(local.set 0 (i32.add (local.get 0) (local.get {n})))"))
        .collect();
    let text = format!(
        r#"(module (memory 1) (func (export "run") (local {}) {sets} {branches} {reads}))"#,
        "i32 ".repeat(locals)
    );
    let job = Job {
        fuel_limit: 100_000_000_000,
        ..Job::default()
    };
    let outcome = run_with(&text, &job);
    assert_eq!(outcome.status, Status::Exit(0));
}

#[test]
fn operands_that_are_handed_on_are_counted() {
    // A branch with 128 values, over and over: two bytes each time, and 128 moves that join at the block's end.
    let check = |branches: usize, expected: Option<RefusalCode>| {
        let values = "i32.const 1 ".repeat(128);
        let (pushed, dropped) = ("local.get 0 br_if 0 ".repeat(branches), "drop ".repeat(128));
        let text = format!(
            r#"(module (func (export "run") (local i32)
                block (result {}) {values} {pushed} end {dropped}))"#,
            "i32 ".repeat(128)
        );
        let wasm = wat::parse_str(text).expect("valid text");
        // The memory that they take has a limit of its own.
        let limits = Limits {
            compiler_bytes: u64::MAX,
            ..Limits::default()
        };
        let refused = prepare(&wasm, &limits).err();
        assert_eq!(refused.map(|refusal| refusal.code), expected, "{branches}");
    };
    check(7_000, None);
    check(9_000, Some(RefusalCode::FunctionTooComplex));
}
