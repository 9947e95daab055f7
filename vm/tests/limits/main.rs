//! The deepest, longest and widest modules that the limits allow pass validation, metering, compiling and running on
//! every engine, in the process that has a runner's stack and memory; one step beyond, they are refused.

#![cfg(feature = "native")]

mod shapes;

use frith_vm::runner::{Runner, RunnerConfig};
use frith_vm::{EngineKind, Job, Limits, Outcome, RefusalCode, Status, prepare};
use shapes::{
    Code, Frame, changed_in_loops, long, looked_up, module, nested, switch, table_of_branches,
};
use wasm_encoder::Instruction;

type Failure = Box<dyn std::error::Error>;

fn refusal(wasm: &[u8]) -> Option<RefusalCode> {
    let verdict = prepare(wasm, &Limits::default());
    verdict.err().map(|refusal| refusal.code)
}

/// Whether every engine runs it to its end, alike.
fn runs(wasm: &[u8]) -> Result<(), Failure> {
    let cache = tempfile::tempdir()?;
    let program = env!("CARGO_BIN_EXE_frith-vm-runner").into();
    let runner = Runner::new(RunnerConfig::new(
        program,
        Vec::new(),
        cache.path().to_owned(),
    ))?;
    let job = Job {
        fuel_limit: 1_000_000_000_000,
        ..Job::default()
    };
    let mut outcomes: Vec<Outcome> = Vec::new();
    for kind in EngineKind::AVAILABLE {
        let outcome = runner.run(*kind, wasm, &job);
        outcomes.push(outcome.map_err(|error| format!("{kind}: {error}"))?);
    }
    for outcome in &outcomes {
        assert_eq!(outcome.status, Status::Exit(0));
        assert_eq!(outcome, &outcomes[0]);
    }
    Ok(())
}

/// The limit is where it is said to be, and what keeps it runs.
fn check(allowed: &[u8], beyond: &[u8], code: RefusalCode) -> Result<(), Failure> {
    assert_eq!(refusal(beyond), Some(code));
    assert_eq!(refusal(allowed), None);
    runs(allowed)
}

fn one(code: Code) -> Vec<u8> {
    module(&[code], 0)
}

/// The largest number that `make` makes a valid module of, and the least that it doesn't.
fn boundary(mut valid: u32, mut refused: u32, make: impl Fn(u32) -> Vec<u8>) -> [Vec<u8>; 2] {
    assert_eq!(refusal(&make(valid)), None);
    assert!(refusal(&make(refused)).is_some());
    while refused - valid > 1 {
        let middle = valid + (refused - valid) / 2;
        match refusal(&make(middle)) {
            None => valid = middle,
            Some(_) => refused = middle,
        }
    }
    [make(valid), make(refused)]
}

#[test]
fn blocks_nest_as_deep_as_is_allowed() -> Result<(), Failure> {
    let depth = Limits::default().nesting;
    let make = |depth| one(nested(Frame::Block, depth));
    check(&make(depth), &make(depth + 1), RefusalCode::NestingTooDeep)
}

#[test]
fn loops_nest_as_deep_as_is_allowed() -> Result<(), Failure> {
    let loops = Limits::default().loops;
    // The function's own frame is one more.
    let make = |loops| one(nested(Frame::Loop, loops + 1));
    check(&make(loops), &make(loops + 1), RefusalCode::NestingTooDeep)
}

#[test]
fn ifs_nest_as_deep_as_is_allowed() -> Result<(), Failure> {
    let depth = Limits::default().nesting;
    let make = |depth| one(nested(Frame::If, depth));
    check(&make(depth), &make(depth + 1), RefusalCode::NestingTooDeep)
}

#[test]
fn a_switch_has_as_many_arms_as_blocks_may_nest() -> Result<(), Failure> {
    let frames = Limits::default().nesting;
    let make = |frames| one(switch(frames - 1));
    check(
        &make(frames),
        &make(frames + 1),
        RefusalCode::NestingTooDeep,
    )
}

#[test]
fn a_table_of_branches_is_as_long_as_is_allowed() -> Result<(), Failure> {
    let targets = Limits::default().branch_targets;
    let make = |targets| one(table_of_branches(targets));
    check(
        &make(targets),
        &make(targets + 1),
        RefusalCode::TooManyTargets,
    )
}

#[test]
fn a_function_is_as_long_as_is_allowed() -> Result<(), Failure> {
    let bytes = Limits::default().function_bytes as usize;
    // Three bytes say what locals there are, and one ends the body.
    let make = |bytes: usize| {
        let mut code = long(false, bytes - 4);
        while code.body.0.len() < bytes - 4 {
            code.body.put(&Instruction::Nop);
        }
        one(code)
    };
    check(
        &make(bytes),
        &make(bytes + 1),
        RefusalCode::FunctionTooLarge,
    )
}

#[test]
fn a_metered_function_is_as_long_as_is_allowed() -> Result<(), Failure> {
    let nothing = || long(true, 0);
    let make = |calls: u32| module(&[nothing(), long(true, 2 * calls as usize)], 0);
    let [allowed, beyond] = boundary(1_000, Limits::default().function_bytes / 2 - 10, make);
    check(&allowed, &beyond, RefusalCode::TooLargeMetered)
}

#[test]
fn a_module_has_as_many_data_segments_as_is_allowed() -> Result<(), Failure> {
    let segments = Limits::default().data_segments;
    let (allowed, beyond) = (module(&[], segments), module(&[], segments + 1));
    check(&allowed, &beyond, RefusalCode::TooManyDataSegments)
}

#[test]
fn a_function_has_as_many_blocks_as_is_allowed() -> Result<(), Failure> {
    let make = |joins| one(looked_up(4, joins));
    let [allowed, beyond] = boundary(100, 100_000, make);
    check(&allowed, &beyond, RefusalCode::TooManyBlocks)
}

#[test]
fn what_a_compiler_has_no_memory_for_is_refused() -> Result<(), Failure> {
    // The engine with the compiler would take 3.5 GB for it.
    let greedy = one(changed_in_loops(4_000, 500));
    assert_eq!(refusal(&greedy), Some(RefusalCode::FunctionTooComplex));
    let [allowed, beyond] = boundary(1, 512, |loops| one(changed_in_loops(2_000, loops)));
    check(&allowed, &beyond, RefusalCode::FunctionTooComplex)
}
