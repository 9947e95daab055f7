//! Every instruction and every host function, again and again, in the confined process: all engines end alike, with the
//! same fuel. What an engine keeps of its native stack with each execution adds up here to more than there is.
//!
//! `FRITH_VM_ROUNDS` sets how often each is executed (`make repeat`: ten million).

#![cfg(feature = "native")]

mod kernels;

use std::path::Path;

use frith_vm::engine::NATIVE_STACK_BYTES;
use frith_vm::runner::{Runner, RunnerConfig};
use frith_vm::{EngineKind, HostError, Job, Outcome, Status};
use kernels::{Kernel, hosts, module, opcodes};

type Failure = Box<dyn std::error::Error>;

/// The least that a call which is never returned from takes of the stack: an address, and eight bytes that align it.
const FRAME_BYTES_MIN: usize = 16;

/// Rounds of each instruction, unless the environment says otherwise: more than the stack has frames of the smallest kind.
const ROUNDS: u32 = (NATIVE_STACK_BYTES / FRAME_BYTES_MIN + 100_000) as u32;

/// The environment's rounds.
fn asked_rounds() -> Option<u32> {
    std::env::var("FRITH_VM_ROUNDS").ok()?.parse().ok()
}

fn job() -> Job {
    Job {
        input: vec![7; 64],
        args: vec!["one".to_owned(), "two".to_owned()],
        env: vec![("NAME".to_owned(), "value".to_owned())],
        fuel_limit: 1 << 50,
        ..Job::default()
    }
}

/// Runs `modules` one after the other on each engine, the engines side by side, and says where they don't agree on an
/// outcome that returned.
fn disagreements(modules: &[(String, Vec<u8>)]) -> Result<Vec<String>, Failure> {
    let directory = tempfile::tempdir()?;
    let outcomes = std::thread::scope(|scope| {
        let engines: Vec<_> = EngineKind::AVAILABLE
            .iter()
            .map(|kind| scope.spawn(|| outcomes(*kind, modules, directory.path())))
            .collect();
        let ended = engines
            .into_iter()
            .map(|engine| engine.join().map_err(|_| "an engine's thread panicked"));
        ended.collect::<Result<Vec<_>, _>>()
    })?;
    let mut found = Vec::new();
    for (at, (name, _)) in modules.iter().enumerate() {
        let all: Vec<_> = outcomes.iter().filter_map(|list| list.get(at)).collect();
        let equal = all.iter().all(|one| match (one, all.first()) {
            (Ok(one), Some(Ok(first))) => one == first && matches!(one.status, Status::Exit(_)),
            _ => false,
        });
        if !equal {
            found.push(format!("{name}: {all:?}"));
        }
    }
    Ok(found)
}

fn outcomes(
    kind: EngineKind,
    modules: &[(String, Vec<u8>)],
    directory: &Path,
) -> Vec<Result<Outcome, HostError>> {
    let run = |wasm: &[u8], runner: &Runner| runner.run(kind, wasm, &job());
    let config = RunnerConfig::new(
        env!("CARGO_BIN_EXE_frith-vm-runner").into(),
        Vec::new(),
        directory.join(kind.name()),
    );
    match Runner::new(config) {
        Ok(runner) => modules.iter().map(|(_, wasm)| run(wasm, &runner)).collect(),
        Err(error) => vec![Err(error)],
    }
}

fn assemble(kernel: &Kernel, rounds: u32) -> Result<(String, Vec<u8>), Failure> {
    let text = module(&kernel.imports, &[&kernel.statement], rounds);
    let wasm = wat::parse_str(text).map_err(|error| format!("{}: {error}", kernel.name))?;
    Ok((kernel.name.clone(), wasm))
}

#[test]
fn every_instruction_that_a_module_may_have_is_repeated() -> Result<(), Failure> {
    let around = wat::parse_str(module("", &[""], 1))?;
    for opcode in opcodes::all() {
        let Some(statement) = opcode.statement() else {
            assert!(opcodes::WITHOUT.contains(&opcode.operator), "{opcode:?}");
            continue;
        };
        let wasm = wat::parse_str(module("", &[&statement], 1))
            .map_err(|error| format!("{opcode:?}: {error}"))?;
        let times = count(&wasm, opcode.operator)? - count(&around, opcode.operator)?;
        // The function that returns stands outside of the loop that calls it.
        let is_there = times >= kernels::COPIES || statement.contains("$returns");
        assert!(
            is_there,
            "`{statement}` in a loop has {opcode:?} {times} times"
        );
    }
    Ok(())
}

/// How often an instruction stands in a module.
fn count(wasm: &[u8], operator: &str) -> Result<u32, Failure> {
    let mut times = 0;
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        if let wasmparser::Payload::CodeSectionEntry(body) = payload? {
            for one in body.get_operators_reader()? {
                let text = format!("{:?}", one?);
                times += u32::from(text.split([' ', '{']).next() == Some(operator));
            }
        }
    }
    Ok(times)
}

#[test]
fn every_instruction_repeats_alike_on_every_engine() -> Result<(), Failure> {
    let rounds = asked_rounds().unwrap_or(ROUNDS);
    let modules = opcodes::kernels()
        .iter()
        .map(|kernel| assemble(kernel, rounds))
        .collect::<Result<Vec<_>, _>>()?;
    let found = disagreements(&modules)?;
    assert!(
        found.is_empty(),
        "{} of {}:\n{}",
        found.len(),
        modules.len(),
        found.join("\n")
    );
    Ok(())
}

/// Each in a module of its own when the environment asks for rounds; else all in one, which together call as often.
#[test]
fn every_host_function_repeats_alike_on_every_engine() -> Result<(), Failure> {
    let kernels = hosts::kernels();
    let modules = match asked_rounds() {
        Some(rounds) => kernels
            .iter()
            .map(|kernel| assemble(kernel, rounds))
            .collect::<Result<Vec<_>, _>>()?,
        None => {
            let imports: String = kernels
                .iter()
                .map(|kernel| kernel.imports.as_str())
                .collect();
            let bodies: Vec<_> = kernels
                .iter()
                .map(|kernel| kernel.statement.as_str())
                .collect();
            let rounds = ROUNDS / u32::try_from(kernels.len())?;
            vec![(
                "all host functions".to_owned(),
                wat::parse_str(module(&imports, &bodies, rounds))?,
            )]
        }
    };
    let found = disagreements(&modules)?;
    assert!(
        found.is_empty(),
        "{} of {}:\n{}",
        found.len(),
        modules.len(),
        found.join("\n")
    );
    Ok(())
}
