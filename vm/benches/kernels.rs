//! What metering costs: wall time of metered over unmetered modules under wasmtime, and wasmtime's own fuel for
//! comparison. Writes `bench-vm.json` into the target directory.
//!
//! Variants of a kernel take turns, and the shortest time of each counts, so that noise of a shared machine
//! falls on all of them alike.

#![expect(clippy::print_stdout, reason = "a benchmark's report")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use frith_vm::engine::wasmtime::config;
use frith_vm::runner::{Runner, RunnerConfig};
use frith_vm::{EngineKind, Job, Limits, engine, prepare, prepare_any};
use wasmtime::{Engine, Instance, Module, Store, TypedFunc, Val};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Rounds of each variant. They are short, so that on a busy machine some go through without interruption.
const ROUNDS: u32 = 300;
/// Least time of a round.
const ROUND: Duration = Duration::from_micros(1_500);
const FUEL: i64 = 1 << 60;

struct Kernel {
    name: &'static str,
    text: &'static str,
    has_floats: bool,
}

macro_rules! kernels {
    ($($name:literal $has_floats:literal;)*) => {
        &[$(Kernel { name: $name, text: include_str!(concat!("wat/", $name, ".wat")), has_floats: $has_floats },)*]
    };
}

const KERNELS: &[Kernel] = kernels! {
    "sieve" false;
    "matmul_i32" false;
    "fib" false;
    "sort" false;
    "mix" false;
    "copy" false;
    "table" false;
    "crc" false;
    "interpret" false;
    "matmul_f64" true;
    "mandelbrot" true;
    "nbody" true;
};

/// One way to run a kernel.
struct Variant {
    store: Store<()>,
    function: TypedFunc<i32, i64>,
    instance: Instance,
    best: Duration,
    answer: i64,
}

impl Variant {
    fn new(wasm: &[u8], consumes_fuel: bool) -> Result<Self, Failure> {
        let mut config = config();
        config.consume_fuel(consumes_fuel);
        let engine = Engine::new(&config)?;
        let module = Module::from_binary(&engine, wasm)?;
        let mut store = Store::new(&engine, ());
        if consumes_fuel {
            store.set_fuel(u64::MAX)?;
        }
        let instance = Instance::new(&mut store, &module, &[])?;
        let function = instance.get_typed_func::<i32, i64>(&mut store, "bench")?;
        Ok(Self {
            store,
            function,
            instance,
            best: Duration::MAX,
            answer: 0,
        })
    }

    fn refuel(&mut self) -> Result<(), Failure> {
        for (name, value) in [
            ("frith:fuel", Val::I64(FUEL)),
            ("frith:stack", Val::I32(1 << 18)),
        ] {
            if let Some(global) = self.instance.get_global(&mut self.store, name) {
                global.set(&mut self.store, value)?;
            }
        }
        Ok(())
    }

    fn time(&mut self, count: i32) -> Result<Duration, Failure> {
        self.refuel()?;
        let start = Instant::now();
        self.answer = self.function.call(&mut self.store, count)?;
        Ok(start.elapsed())
    }
}

struct Ratios {
    metered: f64,
    fuel: f64,
}

fn measure(kernel: &Kernel) -> Result<Ratios, Failure> {
    let wasm = wat::parse_str(kernel.text)?;
    let metered = prepare_any(&wasm, &Limits::default())?.wasm;
    let mut variants = [
        Variant::new(&wasm, false)?,
        Variant::new(&metered, false)?,
        Variant::new(&wasm, true)?,
    ];
    for variant in &mut variants {
        variant.time(3)?;
    }
    if variants
        .iter()
        .any(|variant| variant.answer != variants[0].answer)
    {
        return Err(format!("{}: the variants' answers differ", kernel.name).into());
    }
    let mut count = 1;
    while variants[0].time(count)? < ROUND {
        count *= 2;
    }
    for _ in 0..ROUNDS {
        for variant in &mut variants {
            let time = variant.time(count)?;
            variant.best = variant.best.min(time);
        }
    }
    let [plain, metered, fuel] = variants.map(|variant| variant.best.as_secs_f64());
    Ok(Ratios {
        metered: metered / plain,
        fuel: fuel / plain,
    })
}

/// How often each start is timed.
const STARTS: usize = 2_000;

/// Median time of `work`, in microseconds.
fn median_us(mut work: impl FnMut(usize) -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut times = Vec::with_capacity(STARTS);
    for turn in 0..STARTS {
        let start = Instant::now();
        work(turn)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[STARTS / 2].as_secs_f64() * 1e6)
}

/// A program that only returns; programs of different marks are different.
fn returns(mark: u8) -> Result<Vec<u8>, Failure> {
    let text = format!(
        r#"(module (memory 16) (data (i32.const 0) "hello {mark}") (func (export "run")))"#
    );
    Ok(wat::parse_str(text)?)
}

/// From a compiled module to its outcome, in this process.
fn engine_start_us() -> Result<f64, Failure> {
    let engine = engine(EngineKind::Wasmtime)?;
    let compiled = engine.compile(&prepare(&returns(0)?, &Limits::default())?)?;
    median_us(|_| {
        engine.run_here(&compiled, &Job::default())?;
        Ok(())
    })
}

/// From asking a warm runner process for a program to having its outcome: behind the filter of system calls, with a
/// message each way. With one program the process holds it already; two in turn are each read from the cache of compiled
/// modules, checked and loaded.
fn runner_us(programs: u8) -> Result<f64, Failure> {
    let programs = (0..programs).map(returns).collect::<Result<Vec<_>, _>>()?;
    let directory = tempfile::tempdir()?;
    let program = env!("CARGO_BIN_EXE_frith-vm-runner").into();
    let mut config = RunnerConfig::new(program, Vec::new(), directory.path().to_owned());
    config.jobs_per_process = u32::MAX;
    let runner = Runner::new(config)?;
    let run = |turn: usize| -> Result<(), Failure> {
        let wasm = &programs[turn % programs.len()];
        runner.run(EngineKind::Wasmtime, wasm, &Job::default())?;
        Ok(())
    };
    // Compiled once, and the process is warm.
    (0..=programs.len()).try_for_each(run)?;
    median_us(run)
}

fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

fn report() -> Result<(), Failure> {
    // Metered, and with wasmtime's own fuel: of the kernels without floats, and of those with them.
    let (mut integer, mut integer_fuel) = (Vec::new(), Vec::new());
    let (mut float, mut float_fuel) = (Vec::new(), Vec::new());
    let mut kernels = serde_json::Map::new();
    for kernel in KERNELS {
        let ratios = measure(kernel)?;
        println!(
            "{:12} metered {:.3}  wasmtime fuel {:.3}",
            kernel.name, ratios.metered, ratios.fuel
        );
        let (all_metered, all_fuel) = if kernel.has_floats {
            (&mut float, &mut float_fuel)
        } else {
            (&mut integer, &mut integer_fuel)
        };
        all_metered.push(ratios.metered);
        all_fuel.push(ratios.fuel);
        let both = serde_json::json!({ "metered": ratios.metered, "wasmtime_fuel": ratios.fuel });
        kernels.insert(kernel.name.to_owned(), both);
    }
    let result = serde_json::json!({
        "vm.metered_ratio": geometric_mean(&integer),
        "vm.float_ratio": geometric_mean(&float),
        "vm.wasmtime_fuel_ratio": geometric_mean(&integer_fuel),
        "vm.wasmtime_float_fuel_ratio": geometric_mean(&float_fuel),
        "vm.start_us": runner_us(1)?,
        "vm.load_us": runner_us(2)?,
        "vm.engine_start_us": engine_start_us()?,
        "vm.kernels": kernels,
    });
    let text = serde_json::to_string_pretty(&result)?;
    println!("{text}");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    std::fs::create_dir_all(&target)?;
    std::fs::write(target.join("bench-vm.json"), text)?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let stack = frith_vm::engine::NATIVE_STACK_BYTES;
    let thread = std::thread::Builder::new()
        .stack_size(stack)
        .spawn(report)?;
    thread.join().map_err(|_| "the benchmark panicked")?
}
