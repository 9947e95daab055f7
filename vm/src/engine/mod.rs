//! The engines, behind one trait. Each runs metered modules and must give the same [`Outcome`] for the same
//! job, but for standard error and memory figures.
//!
//! How a run goes, on every engine:
//!
//! 1. Memory: more initial pages than the job allows is [`Status::MemoryLimit`], without fuel.
//! 2. Starting costs the module's start fuel; less than that is [`Status::OutOfFuel`].
//! 3. Instantiation copies segments. A trap there costs the start fuel and nothing more.
//! 4. The counters are set; the start function runs, if there is one, then the entry point.
//! 5. `conclude` turns the end and the counters into status and fuel, by the rules of [`crate::meter`].
//!
//! Growing memory or tables fails in the guest (-1) only by the limits that the metered code checks itself. When
//! the host has no memory to give, that is [`HostError::OutOfMemory`] and not an outcome: some engines say so, and with
//! those that don't the metered code leaves a mark and ends.

pub mod wasmi;
#[cfg(feature = "native")]
pub mod wasmtime;

use std::sync::Arc;

use parity_scale_codec::{Decode, Encode};

use crate::excerpt::Excerpt;
use crate::host::{HostState, Stop};
use crate::job::{FUEL_LIMIT_MAX, HostError, Job, Outcome, Status, TrapKind};
use crate::limits::Limits;
use crate::meter::{Metadata, Metered, prepare};

/// Which engine. The number is part of the protocol: workers register the engines they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum EngineKind {
    /// wasmtime with Cranelift: compiles to machine code.
    #[codec(index = 0)]
    Wasmtime = 0,
    /// wasmi: interprets.
    #[codec(index = 1)]
    Wasmi = 1,
    /// V8: Chromium's and its relatives' engine.
    #[codec(index = 2)]
    V8 = 2,
    /// SpiderMonkey: Firefox's engine.
    #[codec(index = 3)]
    SpiderMonkey = 3,
    /// JavaScriptCore: Safari's engine.
    #[codec(index = 4)]
    JavaScriptCore = 4,
}

impl EngineKind {
    /// Every engine, in order of its number.
    pub const ALL: &[EngineKind] = &[
        EngineKind::Wasmtime,
        EngineKind::Wasmi,
        EngineKind::V8,
        EngineKind::SpiderMonkey,
        EngineKind::JavaScriptCore,
    ];

    /// The engines that this build can run.
    pub const AVAILABLE: &[EngineKind] = if cfg!(feature = "native") {
        &[EngineKind::Wasmtime, EngineKind::Wasmi]
    } else {
        &[EngineKind::Wasmi]
    };

    /// The name that people see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wasmtime => "wasmtime",
            Self::Wasmi => "wasmi",
            Self::V8 => "v8",
            Self::SpiderMonkey => "spidermonkey",
            Self::JavaScriptCore => "javascriptcore",
        }
    }

    /// The number that stands for it in a worker's terms (as a bit), in places and in arbitrators.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The engine with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The engine of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl std::fmt::Display for EngineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// An engine: turns metered modules into something that runs.
pub trait Engine: Send + Sync {
    /// Which engine this is.
    fn kind(&self) -> EngineKind;

    /// Compiles a module. May take seconds and hundreds of MiB for the largest ones.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the engine fails on a module that is valid.
    fn compile(&self, metered: &Metered) -> Result<Compiled, HostError>;

    /// Runs a compiled module once, in a state of its own. Returns within the time that the fuel limit allows.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the host fails; never because of what the guest does.
    fn run(&self, compiled: &Compiled, job: &Job) -> Result<Outcome, HostError>;

    /// [`Engine::run`] on the calling thread, whose stack must have [`NATIVE_STACK_BYTES`].
    ///
    /// # Errors
    ///
    /// As [`Engine::run`]; and [`HostError::Engine`] where the stack turns out too small.
    fn run_here(&self, compiled: &Compiled, job: &Job) -> Result<Outcome, HostError>;

    /// The compiled module as bytes that [`Engine::load`] takes, on this machine and version.
    ///
    /// # Errors
    ///
    /// [`HostError`] when the engine can't.
    fn save(&self, compiled: &Compiled) -> Result<Vec<u8>, HostError>;

    /// The compiled module that [`Engine::save`] made into bytes.
    ///
    /// The bytes may be machine code that will run as it is, so they must come from a file or process that
    /// the caller trusts as much as itself: the runner checks a keyed hash and loads inside its own process.
    ///
    /// # Errors
    ///
    /// [`HostError::Artifact`] when the bytes are of another version or cut short.
    fn load(&self, bytes: &[u8], metadata: &Metadata) -> Result<Compiled, HostError>;
}

/// A compiled module of one of the engines; cheap to clone, shared by runs.
#[derive(Clone)]
pub struct Compiled {
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) code: Code,
}

/// The engine's part of a compiled module.
#[derive(Clone)]
pub(crate) enum Code {
    #[cfg(feature = "native")]
    Wasmtime(self::wasmtime::Code),
    Wasmi(self::wasmi::Code),
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled")
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

/// Native stack that [`Engine::run_here`] needs: 256 bytes for each of the module's stack units
/// ([`crate::meter`] says why that is enough), and room for host calls.
pub const NATIVE_STACK_BYTES: usize = GUEST_STACK_BYTES + (2 << 20);
/// The part of the native stack that the guest may use.
pub(crate) const GUEST_STACK_BYTES: usize = 64 << 20;

impl EngineKind {
    /// Names what a compiled module depends on besides the module: the engine's version and the target.
    #[must_use]
    pub fn version(self) -> String {
        let version = match self {
            Self::Wasmtime => "48",
            Self::Wasmi => "2",
            // A browser's engine compiles for itself.
            Self::V8 | Self::SpiderMonkey | Self::JavaScriptCore => "",
        };
        format!(
            "{self} {version} {} {}",
            std::env::consts::ARCH,
            std::env::consts::OS
        )
    }
}

/// A new engine of this kind. Costs some 100 µs; keep it.
///
/// # Errors
///
/// [`HostError::NoEngine`] when this build doesn't have it, [`HostError::Engine`] when it can't start.
pub fn engine(kind: EngineKind) -> Result<Box<dyn Engine>, HostError> {
    match kind {
        #[cfg(feature = "native")]
        EngineKind::Wasmtime => Ok(Box::new(self::wasmtime::Wasmtime::new()?)),
        EngineKind::Wasmi => Ok(Box::new(self::wasmi::Wasmi::new()?)),
        other => Err(HostError::NoEngine(other)),
    }
}

/// Runs `work` on a thread whose stack holds the deepest guest.
#[cfg(feature = "native")]
pub(crate) fn on_large_stack<T: Send>(
    engine: EngineKind,
    work: impl FnOnce() -> T + Send,
) -> Result<T, HostError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(NATIVE_STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|source| HostError::Io {
                doing: "starting a thread",
                source,
            })?;
        thread.join().map_err(|_| HostError::Engine {
            engine,
            doing: "running",
            reason: "panicked".to_owned(),
        })
    })
}

/// Validates, meters, compiles and runs a module in this very process, under the default [`Limits`].
///
/// For tests and for trusted programs; a stranger's module belongs into a [`crate::runner`].
///
/// # Errors
///
/// [`HostError`] when the host fails. A refused module is an outcome.
pub fn run_local(kind: EngineKind, wasm: &[u8], job: &Job) -> Result<Outcome, HostError> {
    let metered = match prepare(wasm, &Limits::default()) {
        Ok(metered) => metered,
        Err(refusal) => return Ok(Outcome::refused(&refusal)),
    };
    let engine = engine(kind)?;
    let compiled = engine.compile(&metered)?;
    engine.run(&compiled, job)
}

/// How the guest's code ended, before the counters are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The entry point returned; with this exit code if it has one.
    Returned(u32),
    /// A host call ended the run.
    Stopped(Stop),
    /// A trap, also those that the metered code makes.
    Trapped(TrapKind),
}

/// The counters at the end of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) fuel: i64,
    pub(crate) stack: i32,
    pub(crate) pages: u32,
    /// The host couldn't grow something.
    pub(crate) failed: bool,
}

/// What a run begins with; see the steps in the module's documentation.
pub(crate) struct Plan {
    /// Value of the fuel global.
    pub(crate) fuel: i64,
    /// Value of the stack global.
    pub(crate) stack: i32,
    /// Value of the page global.
    pub(crate) pages: u32,
}

/// Steps 1 and 2: what the counters start with, or the outcome if nothing has to run.
pub(crate) fn plan(metadata: &Metadata, job: &Job) -> Result<Result<Plan, Outcome>, HostError> {
    if job.fuel_limit > FUEL_LIMIT_MAX {
        return Err(HostError::FuelLimit {
            asked: job.fuel_limit,
        });
    }
    let nothing = |status, fuel| Outcome {
        status,
        fuel,
        output: Vec::new(),
        stderr: Excerpt::default(),
        peak_pages: 0,
    };
    let memory = metadata.memory;
    if memory.is_some_and(|memory| memory.initial > job.memory_limit_pages) {
        return Ok(Err(nothing(Status::MemoryLimit, 0)));
    }
    let Some(fuel) = job.fuel_limit.checked_sub(metadata.start_fuel) else {
        return Ok(Err(nothing(Status::OutOfFuel, job.fuel_limit)));
    };
    Ok(Ok(Plan {
        fuel: i64::try_from(fuel).unwrap_or(i64::MAX),
        stack: i32::try_from(metadata.stack_units).unwrap_or(i32::MAX),
        pages: memory.map_or(0, |memory| memory.maximum.min(job.memory_limit_pages)),
    }))
}

/// Step 3 failed: the outcome of a trap while instantiating.
pub(crate) fn failed_start(metadata: &Metadata, kind: TrapKind) -> Outcome {
    Outcome {
        status: Status::Trap(kind),
        fuel: metadata.start_fuel,
        output: Vec::new(),
        stderr: Excerpt::default(),
        peak_pages: metadata.memory.map_or(0, |memory| memory.initial),
    }
}

/// Step 5: status and fuel from the end and the counters. The counter decides first, unless the host failed.
pub(crate) fn conclude(
    engine: EngineKind,
    job: &Job,
    end: End,
    counters: Counters,
    state: HostState,
) -> Result<Outcome, HostError> {
    if counters.failed {
        return Err(HostError::OutOfMemory { engine });
    }
    let left = u64::try_from(counters.fuel).ok();
    let used = left.map_or(job.fuel_limit, |left| job.fuel_limit.saturating_sub(left));
    let (status, fuel) = match end {
        _ if left.is_none() => (Status::OutOfFuel, used),
        _ if counters.stack < 0 => (Status::StackOverflow, used),
        End::Stopped(Stop::OutOfFuel) => (Status::OutOfFuel, job.fuel_limit),
        End::Stopped(Stop::Exit(code)) | End::Returned(code) => (Status::Exit(code), used),
        End::Stopped(Stop::OutputLimit) => (Status::OutputLimit, used),
        End::Trapped(TrapKind::OutOfBounds) => {
            (Status::Trap(TrapKind::OutOfBounds), job.fuel_limit)
        }
        End::Trapped(kind) => (Status::Trap(kind), used),
    };
    let (output, stderr) = state.into_written();
    Ok(Outcome {
        status,
        fuel,
        output,
        stderr,
        peak_pages: counters.pages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_the_host_failed_has_no_outcome_however_it_ended() {
        let job = Job::default();
        for end in [
            End::Returned(0),
            End::Stopped(Stop::Exit(0)),
            End::Trapped(TrapKind::Unreachable),
        ] {
            for fuel in [5, -1] {
                let conclude = |failed| {
                    let counters = Counters {
                        fuel,
                        stack: 1,
                        pages: 1,
                        failed,
                    };
                    let state = HostState::new(&job);
                    super::conclude(EngineKind::V8, &job, end, counters, state)
                };
                assert!(conclude(false).is_ok());
                let failed = conclude(true);
                assert!(
                    matches!(
                        failed,
                        Err(HostError::OutOfMemory {
                            engine: EngineKind::V8
                        })
                    ),
                    "{failed:?}"
                );
            }
        }
    }

    #[test]
    fn an_engine_is_its_number_and_its_name() {
        for (number, kind) in (0..).zip(EngineKind::ALL) {
            assert_eq!(kind.encode(), [number]);
            assert_eq!(EngineKind::from_number(number), Some(*kind));
            assert_eq!(EngineKind::from_name(kind.name()), Some(*kind));
        }
        assert_eq!(EngineKind::from_number(5), None);
        assert_eq!(EngineKind::from_name("browser"), None);
    }
}
