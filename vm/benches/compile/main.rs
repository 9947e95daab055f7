//! What compiling takes and what it costs: modules that try to be slow, and programs of honest compilers.
//!
//! `FRITH_BOMB` picks shapes and programs by a part of their names, `FRITH_BOMB_KIB` says how long their functions are.

#![expect(clippy::print_stdout, reason = "a benchmark's report")]

mod bombs;
mod calls;
mod flow;
mod many;
mod module;
mod plain;

use bombs::SHAPES;
use frith_vm::meter::compile::NS_PER_FUEL;
use frith_vm::{EngineKind, Limits, Metered, engine, prepare};
use peak_alloc::PeakAlloc;
use std::path::{Path, PathBuf};

/// Counts the memory that compiling takes.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// KiB of the functions of most shapes.
const KIB: usize = 64;
/// KiB of those whose instructions move 128 values each.
const WIDE_KIB: usize = 3;

/// What compiling one module took and cost, in seconds of a core.
struct Figures {
    /// Validating and metering, which nobody pays for.
    metered: f64,
    /// wasmtime's compiler.
    compiled: f64,
    /// The most memory that it held, in MiB.
    peak_mib: f64,
    /// What it made, in MiB.
    code_mib: f64,
    /// wasmi's translation.
    translated: f64,
    /// What the fuel buys.
    bought: f64,
    fuel: u64,
}

impl Figures {
    fn ratio(&self) -> f64 {
        self.compiled.max(self.translated) / self.bought
    }
}

/// Seconds of processor time that this thread has had.
fn processor_time() -> Result<f64, Failure> {
    // The kernel brings the count up to date when it decides who runs.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().ok_or("no figure")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// Figures of a module; the words of the refusal when it breaks a rule.
fn measure(wasm: &[u8]) -> Result<Result<Figures, String>, Failure> {
    let before = processor_time()?;
    let metered = match prepare(wasm, &Limits::default()) {
        Ok(metered) => metered,
        Err(refusal) => return Ok(Err(refusal.to_string())),
    };
    let metered_s = processor_time()? - before;
    MEMORY.reset_peak_usage();
    let held = MEMORY.current_usage_as_mb();
    let (compiled, code_bytes) = compile(EngineKind::Wasmtime, &metered)?;
    let peak_mib = f64::from(MEMORY.peak_usage_as_mb() - held);
    let fuel = metered.metadata.compile_fuel;
    Ok(Ok(Figures {
        metered: metered_s,
        compiled,
        peak_mib,
        code_mib: code_bytes as f64 / f64::from(1 << 20),
        translated: compile(EngineKind::Wasmi, &metered)?.0,
        bought: (fuel * NS_PER_FUEL) as f64 / 1e9,
        fuel,
    }))
}

/// Seconds that compiling took, and bytes of what it made.
fn compile(kind: EngineKind, metered: &Metered) -> Result<(f64, usize), Failure> {
    let engine = engine(kind)?;
    let before = processor_time()?;
    let compiled = engine.compile(metered)?;
    let seconds = processor_time()? - before;
    Ok((seconds, engine.save(&compiled)?.len()))
}

fn print(name: &str, figures: &Figures) {
    println!(
        "{:5.2} {name:36} compiled in {:8.3} s with {:5.0} MiB to {:5.1} MiB, translated in {:6.3} s, metered in {:5.3} s, bought {:8.3} s ({} fuel)",
        figures.ratio(),
        figures.compiled,
        figures.peak_mib,
        figures.code_mib,
        figures.translated,
        figures.metered,
        figures.bought,
        figures.fuel,
    );
}

/// Figures of every shape that is wanted.
fn hostile() -> Result<Vec<(&'static str, Figures)>, Failure> {
    let wanted = std::env::var("FRITH_BOMB").unwrap_or_default();
    let said = std::env::var("FRITH_BOMB_KIB").ok();
    let said = said.and_then(|text| text.parse::<usize>().ok());
    let mut all = Vec::new();
    for shape in SHAPES.iter().filter(|shape| shape.name.contains(&wanted)) {
        let usual = if shape.name.contains("128") {
            WIDE_KIB
        } else {
            KIB
        };
        let size = said.unwrap_or(usual) * 1024;
        match measure(&(shape.make)(size, 1).build())? {
            Ok(figures) => {
                print(shape.name, &figures);
                all.push((shape.name, figures));
            }
            Err(refusal) => println!("      {}: {refusal}", shape.name),
        }
    }
    Ok(all)
}

/// Figures of the programs that compilers made, as they lie in the tree.
fn honest() -> Result<Vec<Figures>, Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "wasm"))
        .collect();
    files.sort();
    let mut all = Vec::new();
    let wanted = std::env::var("FRITH_BOMB").unwrap_or_default();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if !name.contains(&wanted) {
            continue;
        }
        let figures = measure(&std::fs::read(&file)?)??;
        print(&name, &figures);
        all.push(figures);
    }
    Ok(all)
}

fn report() -> Result<(), Failure> {
    let (hostile, honest) = (hostile()?, honest()?);
    let worst = |value: fn(&Figures) -> f64| {
        let all = hostile.iter().map(|(_, figures)| figures);
        all.map(value).fold(0.0, f64::max)
    };
    let dearest = honest.iter().map(|figures| 1.0 / figures.ratio());
    let result = serde_json::json!({
        "vm.compile_worst_s": worst(|figures| figures.compiled),
        "vm.compile_worst_ratio": worst(Figures::ratio),
        "vm.compile_worst_mib": worst(|figures| figures.peak_mib),
        "vm.translate_worst_s": worst(|figures| figures.translated),
        "vm.meter_worst_s": worst(|figures| figures.metered),
        "vm.compile_honest_price": dearest.fold(0.0, f64::max),
    });
    let text = serde_json::to_string_pretty(&result)?;
    println!("{text}");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    std::fs::create_dir_all(&target)?;
    std::fs::write(target.join("bench-compile.json"), text)?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let thread = std::thread::Builder::new()
        .stack_size(frith_vm::engine::NATIVE_STACK_BYTES)
        .spawn(report)?;
    thread.join().map_err(|_| "the benchmark panicked")?
}
