//! What a unit of fuel costs: nanoseconds of CPU time for every instruction, every host function and the kernels of an
//! attacker, on every engine. Writes `bench-spread.json` into the target directory.
//!
//! A figure is the time of many turns of a kernel less that of one, over the fuel of the same difference, so that starting
//! and setting up don't count. Each is the shortest of several rounds: others' work on the machine only adds.

#![expect(clippy::print_stdout, reason = "a benchmark's report")]

#[path = "../../tests/kernels/mod.rs"]
mod kernels;
mod list;
#[path = "kernels.rs"]
mod spread;

use std::path::PathBuf;
use std::time::Duration;

use frith_vm::engine::Engine;
use frith_vm::{EngineKind, Job, Limits, Status, engine, prepare};
use spread::{Counts, Kernel};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Least time of a round of many turns.
const ROUND: Duration = Duration::from_millis(4);
const ROUNDS: u32 = 5;

/// CPU time of this thread.
fn cpu_time() -> Result<Duration, Failure> {
    // The kernel brings the count up to date when it decides who runs.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text
        .split_whitespace()
        .next()
        .ok_or("no time in schedstat")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// Fuel and nanoseconds of one turn.
#[derive(Debug, Clone, Copy)]
struct Turn {
    fuel: f64,
    ns: f64,
}

impl Turn {
    fn ns_per_fuel(self) -> f64 {
        self.ns / self.fuel
    }
}

fn measure(engine: &dyn Engine, kernel: &Kernel) -> Result<Turn, Failure> {
    let wasm = wat::parse_str(kernel.text())?;
    let compiled = engine.compile(&prepare(&wasm, &Limits::default())?)?;
    let run = |turns: u32| -> Result<(u64, Duration), Failure> {
        let mut input = vec![1; 1 << 20];
        input[..4].copy_from_slice(&turns.to_le_bytes());
        let job = Job {
            input,
            args: vec!["argument".to_owned(); 16],
            fuel_limit: 1 << 50,
            output_limit_bytes: u32::MAX,
            ..Job::default()
        };
        let begun = cpu_time()?;
        let outcome = engine.run_here(&compiled, &job)?;
        let time = cpu_time()?.saturating_sub(begun);
        match outcome.status {
            Status::Exit(_) => Ok((outcome.fuel, time)),
            other => Err(format!("ended with {other}").into()),
        }
    };
    let (once_fuel, mut once) = run(1)?;
    let mut turns = 2;
    let (fuel, mut many) = loop {
        let (fuel, time) = run(turns)?;
        if time > once * 3 / 2 + ROUND || turns >= kernel.turns_max {
            break (fuel, time);
        }
        turns = turns.saturating_mul(3).min(kernel.turns_max);
    };
    for _ in 1..ROUNDS {
        once = once.min(run(1)?.1);
        many = many.min(run(turns)?.1);
    }
    let more = f64::from(turns - 1);
    Ok(Turn {
        fuel: (fuel - once_fuel) as f64 / more,
        ns: many.saturating_sub(once).as_nanos() as f64 / more,
    })
}

/// The dearest and the cheapest of an engine's kernels.
struct Ends<'a> {
    dearest: (&'a str, f64),
    cheapest: (&'a str, f64),
    dearest_large: (&'a str, f64),
}

fn ends<'a>(kernels: &'a [Kernel], turns: &[Turn]) -> Ends<'a> {
    let mut ends = Ends {
        dearest: ("", 0.0),
        cheapest: ("", f64::MAX),
        dearest_large: ("", 0.0),
    };
    for (kernel, turn) in kernels.iter().zip(turns) {
        let one = (kernel.name.as_str(), turn.ns_per_fuel());
        let larger = |than: (&'a str, f64)| if one.1 > than.1 { one } else { than };
        if kernel.counts == Counts::Large {
            ends.dearest_large = larger(ends.dearest_large);
            continue;
        }
        ends.dearest = larger(ends.dearest);
        if kernel.counts == Counts::Both && one.1 < ends.cheapest.1 {
            ends.cheapest = one;
        }
    }
    ends
}

fn report() -> Result<(), Failure> {
    let wanted = std::env::args()
        .nth(1)
        .filter(|name| !name.starts_with('-'))
        .unwrap_or_default();
    let kernels: Vec<Kernel> = list::all()
        .into_iter()
        .filter(|kernel| kernel.name.contains(&wanted))
        .collect();
    let mut figures = serde_json::Map::new();
    let mut listed = serde_json::Map::new();
    for kind in EngineKind::AVAILABLE {
        let engine = engine(*kind)?;
        let mut turns = Vec::with_capacity(kernels.len());
        for kernel in &kernels {
            let turn = measure(engine.as_ref(), kernel)
                .map_err(|error| format!("{kind}, {}: {error}", kernel.name))?;
            println!(
                "{kind:9} {:8.3} ns a unit  {:12.1} ns {:10.1} fuel a turn  {}",
                turn.ns_per_fuel(),
                turn.ns,
                turn.fuel,
                kernel.name
            );
            let entry = listed
                .entry(kernel.name.clone())
                .or_insert_with(|| serde_json::json!({ "fuel": turn.fuel }));
            entry[kind.name()] = turn.ns_per_fuel().into();
            turns.push(turn);
        }
        let Ends {
            dearest,
            cheapest,
            dearest_large,
        } = ends(&kernels, &turns);
        println!(
            "{kind}: dearest {dearest:?}, cheapest {cheapest:?}, dearest beyond 1 MiB {dearest_large:?}"
        );
        figures.insert(
            format!("vm.fuel_spread.{kind}"),
            (dearest.1 / cheapest.1).into(),
        );
        figures.insert(
            format!("vm.fuel_spread_256m.{kind}"),
            (dearest.1.max(dearest_large.1) / cheapest.1).into(),
        );
        figures.insert(format!("vm.fuel_dearest_ns.{kind}"), dearest.1.into());
        figures.insert(
            format!("vm.fuel_dearest_256m_ns.{kind}"),
            dearest_large.1.max(dearest.1).into(),
        );
    }
    figures.insert("vm.fuel_kernels".to_owned(), listed.into());
    let text = serde_json::to_string_pretty(&figures)?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    std::fs::create_dir_all(&target)?;
    std::fs::write(target.join("bench-spread.json"), text)?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let thread = std::thread::Builder::new()
        .stack_size(frith_vm::engine::NATIVE_STACK_BYTES)
        .spawn(report)?;
    thread.join().map_err(|_| "the benchmark panicked")?
}
