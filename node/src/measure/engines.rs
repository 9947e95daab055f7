//! Fuel a second by engine: programs without an end, stopped by their fuel, in the process that runs tasks.

use super::failed;
use crate::failure::Result;
use frith_vm::runner::{Runner, RunnerConfig};
use frith_vm::{EngineKind, Job, Outcome, Status};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The programs: name and text.
pub const KERNELS: [(&str, &str); 4] = [
    ("integers", include_str!("kernels/integers.wat")),
    ("memory", include_str!("kernels/memory.wat")),
    ("floats", include_str!("kernels/floats.wat")),
    ("calls", include_str!("kernels/calls.wat")),
];

/// Fuel of the first run; it doubles until a run is long enough.
const FUEL_FIRST: u64 = 1 << 20;

/// Speed of an engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineFigures {
    /// Its name.
    pub engine: String,
    /// Fuel a second on one core, by program.
    pub kernels: BTreeMap<&'static str, f64>,
    /// Their geometric mean: what an even mix would use.
    pub fuel_per_s: f64,
}

/// Runs every program on `engine`, each for about a quarter of `time`.
///
/// # Errors
/// A runner process that fails, or a program that ends otherwise than it must.
pub fn engine_figures(
    config: &RunnerConfig,
    engine: EngineKind,
    name: &str,
    time: Duration,
) -> Result<EngineFigures> {
    let doing = failed("an engine");
    let runner = Runner::new(config.clone()).map_err(|error| doing(error.to_string()))?;
    let each = time / u32::try_from(KERNELS.len()).unwrap_or(1);
    let mut kernels = BTreeMap::new();
    for (kernel, text) in KERNELS {
        let module = wat::parse_str(text).map_err(|error| doing(error.to_string()))?;
        // What starting costs isn't run.
        let metered = frith_vm::prepare(&module, &config.limits);
        let start_fuel = metered
            .map_err(|refusal| doing(refusal.to_string()))?
            .metadata
            .start_fuel;
        let run = |fuel: u64| -> Result<Duration> {
            let job = Job {
                fuel_limit: start_fuel.saturating_add(fuel),
                ..Job::default()
            };
            let start = Instant::now();
            let outcome: Outcome = runner
                .run(engine, &module, &job)
                .map_err(|error| doing(error.to_string()))?;
            if outcome.status != Status::OutOfFuel {
                return Err(doing(format!("{kernel} ended with {}", outcome.status)));
            }
            Ok(start.elapsed())
        };
        // The first run compiles.
        let mut fuel = FUEL_FIRST;
        run(fuel)?;
        let mut took = run(fuel)?;
        while took < each / 3 {
            fuel *= 2;
            took = run(fuel)?;
        }
        kernels.insert(kernel, super::per_second(fuel, took));
    }
    let logs: f64 = kernels.values().map(|rate: &f64| rate.ln()).sum();
    Ok(EngineFigures {
        engine: name.to_owned(),
        fuel_per_s: (logs / kernels.len() as f64).exp(),
        kernels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_vm::{Limits, engine, prepare};

    #[test]
    fn every_program_runs_until_its_fuel_ends_on_every_engine() {
        let check = || {
            for (name, text) in KERNELS {
                let module = wat::parse_str(text).expect("is WebAssembly");
                let module = prepare(&module, &Limits::default()).expect("is valid");
                let job = Job {
                    fuel_limit: 10_000_000,
                    ..Job::default()
                };
                for kind in [EngineKind::Wasmtime, EngineKind::Wasmi] {
                    let engine = engine(kind).expect("is built in");
                    let compiled = engine.compile(&module).expect("compiles");
                    let outcome = engine.run_here(&compiled, &job).expect("runs");
                    assert_eq!(outcome.status, Status::OutOfFuel, "{name} on {kind:?}");
                }
            }
        };
        let thread = std::thread::Builder::new().stack_size(frith_vm::engine::NATIVE_STACK_BYTES);
        thread.spawn(check).expect("starts").join().expect("holds");
    }
}
