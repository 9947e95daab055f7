//! Random modules from wasm-smith, metered, on both engines: equal results, traps, fuel, stack, memory, globals.
//!
//! `FRITH_VM_SEEDS` sets how many seeds run (400 without it), `FRITH_VM_FIRST_SEED` where they begin.

#![cfg(feature = "native")]

mod common;

use arbitrary::Unstructured;
use common::on_wasmi::OnWasmi;
use common::on_wasmtime::OnWasmtime;
use common::{Backend, Failure, Observed, Value};
use frith_vm::{Limits, prepare_any};
use wasm_smith::{Config, InstructionKind, InstructionKinds, Module};

const FUEL: i64 = 300_000;
const PAGES: i32 = 64;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn bytes_of(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; 12 << 10];
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn config(seed: u64) -> Config {
    use InstructionKind as K;
    let kinds = match seed % 4 {
        // Mostly arithmetic, so that floats and their NaNs meet.
        0 => InstructionKinds::new(&[K::Numeric, K::Variable, K::Control, K::Parametric]),
        1 => InstructionKinds::new(&[
            K::Numeric,
            K::Variable,
            K::MemoryInt,
            K::Memory,
            K::Parametric,
        ]),
        _ => InstructionKinds::all(),
    };
    Config {
        allowed_instructions: kinds,
        export_everything: true,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        compact_imports_enabled: false,
        max_data_segments: 5,
        max_element_segments: 5,
        max_funcs: 12,
        max_globals: 12,
        max_imports: 0,
        max_instructions: 300,
        max_memories: 1,
        max_memory32_bytes: 64 << 16,
        max_table_elements: 500,
        max_tables: 3,
        max_types: 12,
        memory64_enabled: false,
        min_funcs: 3,
        min_memories: u32::from(!seed.is_multiple_of(3)),
        min_tables: u32::from(!seed.is_multiple_of(2)),
        reference_types_enabled: seed % 5 == 4,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

/// Arguments that like edges: NaNs with payloads, infinities, extreme integers.
fn arguments(kinds: &[Value], random: &mut blake3::OutputReader) -> Vec<Value> {
    let mut word = || {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    };
    let mut pick = |edges: [u64; 7]| {
        let (which, other) = (word() % 9, word());
        edges.get(which as usize).copied().unwrap_or(other)
    };
    kinds
        .iter()
        .map(|kind| match kind {
            Value::I32(_) => {
                Value::I32(pick([0, 1, u64::MAX, 1 << 31, 0x7fff_ffff, 65_535, 64]) as i32)
            }
            Value::I64(_) => {
                Value::I64(pick([0, 1, u64::MAX, 1 << 63, u64::MAX >> 1, 1 << 32, 64]) as i64)
            }
            Value::F32(_) => Value::F32(pick([
                0,
                0x8000_0000,
                0x7f80_0000,
                0xffc0_0000,
                0x7fa0_0001,
                0xff80_0001,
                0x4f00_0000,
            ]) as u32),
            Value::F64(_) => Value::F64(pick([
                0,
                1 << 63,
                0x7ff0 << 48,
                0xfff8 << 48,
                0x7ff4_0000_0000_0001,
                0xfff0_0000_0000_0001,
                0x41e0 << 48,
            ])),
            other => *other,
        })
        .collect()
}

#[derive(Debug, PartialEq)]
struct Trace {
    start: Option<Failure>,
    calls: Vec<(String, Result<Vec<Value>, Failure>, Observed)>,
}

fn trace<B: Backend>(wasm: &[u8], seed: u64) -> Trace {
    let mut backend = B::create();
    let mut trace = Trace {
        start: None,
        calls: Vec::new(),
    };
    let instance = match backend.instantiate(wasm, FUEL, PAGES) {
        Ok(instance) => instance,
        Err(failure) => {
            trace.start = Some(failure);
            return trace;
        }
    };
    let mut functions = backend.functions(&instance);
    functions.sort_by(|left, right| left.0.cmp(&right.0));
    let mut random = blake3::Hasher::new_derive_key("arguments")
        .update(&seed.to_le_bytes())
        .finalize_xof();
    for (name, kinds) in functions {
        for _ in 0..2 {
            backend.refuel(&instance, FUEL, PAGES);
            let outcome = backend.call(&instance, &name, &arguments(&kinds, &mut random));
            trace
                .calls
                .push((name.clone(), outcome, backend.observe(&instance)));
        }
    }
    trace
}

#[test]
fn random_modules_give_equal_results_fuel_traps_and_memory_on_both_engines() {
    let (first, count) = (
        number("FRITH_VM_FIRST_SEED", 0),
        number("FRITH_VM_SEEDS", 400),
    );
    let (mut modules, mut calls, mut refused) = (0_u32, [0_u32; 4], 0_u32);
    for seed in first..first + count {
        let bytes = bytes_of(seed);
        let Ok(module) = Module::new(config(seed), &mut Unstructured::new(&bytes)) else {
            continue;
        };
        let metered = match prepare_any(&module.to_bytes(), &Limits::default()) {
            Ok(metered) => metered,
            Err(refusal) => {
                assert!(
                    refusal.reason.contains("gc types are disallowed"),
                    "seed {seed}: {refusal}"
                );
                refused += 1;
                continue;
            }
        };
        modules += 1;
        let compiled = trace::<OnWasmtime>(&metered.wasm, seed);
        let interpreted = trace::<OnWasmi>(&metered.wasm, seed);
        assert_eq!(compiled, interpreted, "seed {seed}");
        for (name, outcome, _) in &compiled.calls {
            calls[match outcome {
                Ok(_) => 0,
                Err(Failure::Trap(_)) => 1,
                Err(Failure::OutOfFuel) => 2,
                Err(Failure::StackOverflow) => 3,
                Err(other) => panic!("seed {seed}, {name}: {other:?}"),
            }] += 1;
        }
    }
    eprintln!(
        "{modules} modules ({refused} refused); calls returned, trapped, out of fuel, too deep: {calls:?}"
    );
    assert!(
        modules * 2 > count as u32,
        "only {modules} of {count} modules ran"
    );
    assert!(
        count < 400 || calls.iter().take(3).all(|count| *count > 0),
        "not every ending was seen: {calls:?}"
    );
}
