//! What instructions and host calls cost: the tables of `docs/vm.md`, written down a second time. A charge is agreed on by all
//! nodes, so none changes unnoticed.

#![cfg(feature = "native")]

mod kernels;

use frith_vm::meter::cost::cost;
use frith_vm::{EngineKind, Job, Limits, Status, prepare, run_local};
use kernels::{module, opcodes};
use wasmparser::{Operator, Parser, Payload};

type Failure = Box<dyn std::error::Error>;

/// Units of an instruction, without what its length adds: section 3.
fn units(mnemonic: &str) -> u32 {
    let (kind, name) = mnemonic.split_once('.').unwrap_or(("", mnemonic));
    let is_float = kind == "f32" || kind == "f64";
    let from_integer = name.ends_with("_i32_s")
        || name.ends_with("_i32_u")
        || name.ends_with("_i64_s")
        || name.ends_with("_i64_u");
    match (kind, name) {
        ("", "nop" | "block" | "loop" | "else" | "end" | "drop" | "unreachable") => 0,
        ("", "if" | "br" | "br_if") | ("global", "get" | "set") => 2,
        ("", "br_table") => 4,
        ("", "call") => 6,
        ("", "call_indirect") => 10,
        ("ref", "func") => 25,
        ("memory", "size") | ("table", "get" | "set" | "size") => 4,
        ("memory" | "table", "grow") => 100,
        ("memory", "fill" | "copy" | "init") => 75,
        ("table", "fill" | "copy" | "init") | ("data" | "elem", "drop") => 15,
        ("i32" | "i64", "mul" | "popcnt") => 2,
        ("i32", "div_s" | "div_u" | "rem_s" | "rem_u") => 10,
        ("i64", "div_s" | "div_u" | "rem_s" | "rem_u") => 16,
        ("i32" | "i64", _) if name.starts_with("trunc_") => 4,
        (_, _) if name.starts_with("load") || name.starts_with("store") => 6,
        (_, "div" | "sqrt") if is_float => 12,
        (_, "eq" | "ne" | "lt" | "gt" | "le" | "ge") if is_float => 2,
        (_, "add" | "sub" | "mul" | "min" | "max" | "ceil" | "floor" | "trunc" | "nearest")
            if is_float =>
        {
            3
        }
        ("f32", "demote_f64") | ("f64", "promote_f32") => 3,
        (_, _) if is_float && name.starts_with("convert_") && from_integer => 3,
        _ => 1,
    }
}

/// What `cost` says of an instruction wherever it stands in a module; more than one number would be a fault.
fn costs(wasm: &[u8], operator: &str) -> Result<Vec<u32>, Failure> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload? {
            for one in body.get_operators_reader()? {
                let one = one?;
                if format!("{one:?}").split([' ', '{']).next() == Some(operator) {
                    found.push(cost(&one));
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

#[test]
fn every_instruction_costs_what_the_specification_says() -> Result<(), Failure> {
    assert_eq!(cost(&Operator::Unreachable), units("unreachable"));
    for opcode in opcodes::all() {
        let Some(statement) = opcode.statement() else {
            continue;
        };
        let wasm = wat::parse_str(module("", &[&statement], 1))?;
        let mnemonic = opcode.mnemonic();
        assert_eq!(
            costs(&wasm, opcode.operator)?,
            [units(&mnemonic)],
            "{mnemonic}"
        );
    }
    let branches = wat::parse_str(module("", &["local.get $i if else end"], 1))?;
    for end in ["Else", "End"] {
        assert_eq!(costs(&branches, end)?, [0], "{end}");
    }
    Ok(())
}

/// Fuel that a program runs for which executes a statement so often; starting it isn't counted.
fn fuel(kind: EngineKind, statement: &str, times: usize) -> Result<u64, Failure> {
    let body = statement.repeat(times);
    let text = format!(
        r#"(module
          (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
          (import "frith" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
          (import "frith" "output_write" (func $output_write (param i32 i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "\00\10\00\00\64\00\00\00\00\10\00\00\01\00\00\00")
          (func (export "run") {body}))"#
    );
    let job = Job {
        input: vec![7; 640],
        args: vec!["a".repeat(31), "b".repeat(31)],
        fuel_limit: 100_000_000,
        output_limit_bytes: 10_000,
        ..Job::default()
    };
    let wasm = wat::parse_str(text)?;
    let start_fuel = prepare(&wasm, &Limits::default())?.metadata.start_fuel;
    let outcome = run_local(kind, &wasm, &job)?;
    assert_eq!(outcome.status, Status::Exit(0), "{statement}");
    Ok(outcome.fuel - start_fuel)
}

#[test]
fn every_host_call_costs_what_the_specification_says() -> Result<(), Failure> {
    // Two vectors stand at 0: 100 bytes, and one byte.
    for (call, arguments, expected) in [
        ("$sched_yield drop", "", 120),
        ("$args_get drop", "512 1024", 120 + 2 * 10 + 64 / 32),
        ("$input_read drop", "1024 640 0", 120 + 640 / 32),
        ("$random_get drop", "1024 40", 120 + 40 / 4),
        ("$output_write", "1024 64", 120 + 64),
        ("$fd_write drop", "1 0 1 1024", 120 + 10 + 100),
        ("$fd_write drop", "2 0 2 1024", 120 + 2 * 10 + 101),
    ] {
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let given: String = arguments
            .iter()
            .map(|one| format!("i32.const {one} "))
            .collect();
        let statement = format!("{given} call {call}\n");
        let around = u64::from(units("call")) + arguments.len() as u64;
        for kind in EngineKind::AVAILABLE {
            let more = fuel(*kind, &statement, 3)? - fuel(*kind, &statement, 2)?;
            assert_eq!(more - around, expected, "{statement} on {kind}");
        }
    }
    Ok(())
}
