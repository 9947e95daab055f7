//! wasmi: an interpreter. Its own fuel is off: the module meters itself. It runs wherever Rust does.
//!
//! Its value stack is on the heap, so it needs no native stack for deep calls; both of its own stack limits
//! are above what the module's stack units can use up. Growing keeps some native stack until the run ends, and the metered
//! code bounds how often it happens (decision 046). A compiled module is saved as the metered WebAssembly
//! itself: translating it is as fast as loading anything else would be.

use std::sync::Arc;

use ::wasmi::errors::{
    ErrorKind, HostError as WasmiHostError, InstantiationError, MemoryError, TableError,
};
use ::wasmi::{
    Caller, CompilationMode, Config, Engine as Native, Error, FuncType, Global, Instance, Linker,
    Memory, Module, ResourceLimiter, Store, TrapCode, Val, ValType,
};
use wasmi_core::LimiterError;

use super::{Compiled, Counters, End, Engine, EngineKind, Plan, conclude, failed_start, plan};
use crate::host::{self, HostFunction, HostState, Stop, ValueType};
use crate::job::{HostError, Job, Outcome, TrapKind};
use crate::meter::{
    Entry, FAILED_EXPORT, FUEL_EXPORT, MEMORY_EXPORT, Metadata, Metered, PAGES_EXPORT,
    STACK_EXPORT, START_EXPORT,
};

/// Call depth; stack units allow at most 2^18 / 48 frames, covered ones counted by who accounts for them.
const CALL_DEPTH_MAX: usize = 1 << 14;
/// Bytes of the value stack, in the worst case some 16 for each stack unit.
const VALUE_STACK_BYTES: usize = 16 << 20;

/// The wasmi engine.
pub struct Wasmi {
    native: Native,
    linker: Linker<State>,
}

/// A translated module, and the bytes it came from.
#[derive(Clone)]
pub(crate) struct Code {
    linker: Linker<State>,
    module: Module,
    wasm: Arc<[u8]>,
}

struct State {
    host: HostState,
    fuel: Option<Global>,
    memory: Option<Memory>,
    limiter: Limiter,
}

/// Notes when the host can't give memory that the guest may have.
#[derive(Debug, Default)]
struct Limiter {
    failed: bool,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _: usize,
        _: usize,
        _: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        _: usize,
        _: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: &MemoryError) -> Result<(), LimiterError> {
        if matches!(error, MemoryError::OutOfSystemMemory) {
            self.failed = true;
            return Err(LimiterError::ResourceLimiterDeniedAllocation);
        }
        Ok(())
    }

    fn table_grow_failed(&mut self, error: &TableError) -> Result<(), LimiterError> {
        if matches!(error, TableError::OutOfSystemMemory) {
            self.failed = true;
            return Err(LimiterError::ResourceLimiterDeniedAllocation);
        }
        Ok(())
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        1
    }
}

impl WasmiHostError for Stop {}

fn failure(doing: &'static str, error: &impl std::fmt::Display) -> HostError {
    HostError::Engine {
        engine: EngineKind::Wasmi,
        doing,
        reason: error.to_string(),
    }
}

/// The engine's settings: the allowed features, nothing that meters.
#[must_use]
pub fn config() -> Config {
    let mut config = Config::default();
    config
        .wasm_tail_call(false)
        .wasm_multi_memory(false)
        .wasm_extended_const(false)
        .wasm_custom_page_sizes(false)
        .consume_fuel(false)
        .compilation_mode(CompilationMode::Eager)
        .set_max_recursion_depth(CALL_DEPTH_MAX)
        .set_max_stack_height(VALUE_STACK_BYTES);
    config
}

impl Wasmi {
    /// A new engine.
    ///
    /// # Errors
    ///
    /// [`HostError::Engine`] when linking fails; it doesn't.
    pub fn new() -> Result<Self, HostError> {
        let native = Native::new(&config());
        let mut linker = Linker::new(&native);
        for function in host::functions() {
            let kind = FuncType::new(
                function.params.iter().map(value_type),
                function.result.iter().map(value_type),
            );
            linker
                .func_new(
                    function.module,
                    function.name,
                    kind,
                    move |caller, arguments, results| {
                        call_host(function, caller, arguments, results)
                    },
                )
                .map_err(|error| failure("linking", &error))?;
        }
        Ok(Self { native, linker })
    }

    fn translate(&self, wasm: &[u8], metadata: &Metadata) -> Result<Compiled, HostError> {
        let module =
            Module::new(&self.native, wasm).map_err(|error| failure("translating", &error))?;
        let code = Code {
            linker: self.linker.clone(),
            module,
            wasm: wasm.into(),
        };
        Ok(Compiled {
            metadata: Arc::new(metadata.clone()),
            code: super::Code::Wasmi(code),
        })
    }
}

impl Engine for Wasmi {
    fn kind(&self) -> EngineKind {
        EngineKind::Wasmi
    }

    fn compile(&self, metered: &Metered) -> Result<Compiled, HostError> {
        self.translate(&metered.wasm, &metered.metadata)
    }

    #[cfg(feature = "native")]
    fn run(&self, compiled: &Compiled, job: &Job) -> Result<Outcome, HostError> {
        super::on_large_stack(self.kind(), || self.run_here(compiled, job))?
    }

    /// Without threads; there wasmi keeps nothing on the native stack.
    #[cfg(not(feature = "native"))]
    fn run(&self, compiled: &Compiled, job: &Job) -> Result<Outcome, HostError> {
        self.run_here(compiled, job)
    }

    fn run_here(&self, compiled: &Compiled, job: &Job) -> Result<Outcome, HostError> {
        let code = code(compiled)?;
        let metadata = &compiled.metadata;
        let plan = match plan(metadata, job)? {
            Ok(plan) => plan,
            Err(outcome) => return Ok(outcome),
        };
        let state = State {
            host: HostState::new(job),
            fuel: None,
            memory: None,
            limiter: Limiter::default(),
        };
        let mut store = Store::new(&self.native, state);
        store.limiter(|state| &mut state.limiter);
        let instance = match code.linker.instantiate_and_start(&mut store, &code.module) {
            Ok(instance) => instance,
            Err(error) => {
                return match instantiation_trap(&error) {
                    Some(kind) => Ok(failed_start(metadata, kind)),
                    None => Err(classify(&store, "instantiating", &error)),
                };
            }
        };
        let globals = Globals::set(&mut store, instance, &plan)?;
        let end = execute(&mut store, instance, metadata)?;
        let counters = globals.counters(&store)?;
        conclude(
            EngineKind::Wasmi,
            job,
            end,
            counters,
            store.into_data().host,
        )
    }

    fn save(&self, compiled: &Compiled) -> Result<Vec<u8>, HostError> {
        Ok(code(compiled)?.wasm.to_vec())
    }

    fn load(&self, bytes: &[u8], metadata: &Metadata) -> Result<Compiled, HostError> {
        self.translate(bytes, metadata)
            .map_err(|error| HostError::Artifact {
                reason: error.to_string(),
            })
    }
}

fn value_type(kind: &ValueType) -> ValType {
    match kind {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
    }
}

fn code(compiled: &Compiled) -> Result<&Code, HostError> {
    match &compiled.code {
        super::Code::Wasmi(code) => Ok(code),
        #[cfg(feature = "native")]
        super::Code::Wasmtime(_) => Err(HostError::Artifact {
            reason: "compiled by another engine".to_owned(),
        }),
    }
}

fn classify(store: &Store<State>, doing: &'static str, error: &Error) -> HostError {
    let no_memory = matches!(
        error.kind(),
        ErrorKind::Memory(MemoryError::OutOfSystemMemory)
            | ErrorKind::Table(TableError::OutOfSystemMemory)
            | ErrorKind::Instantiation(
                InstantiationError::FailedToInstantiateMemory(_)
                    | InstantiationError::FailedToInstantiateTable(_)
            )
    );
    if store.data().limiter.failed || no_memory {
        return HostError::OutOfMemory {
            engine: EngineKind::Wasmi,
        };
    }
    failure(doing, error)
}

/// The canonical kind of a trap while segments are copied; `None` for other failures.
#[must_use]
pub fn instantiation_trap(error: &Error) -> Option<TrapKind> {
    match error.kind() {
        ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) => {
            Some(TrapKind::OutOfBounds)
        }
        _ => error.as_trap_code().and_then(trap_kind),
    }
}

/// Start function, then entry point.
fn execute(
    store: &mut Store<State>,
    instance: Instance,
    metadata: &Metadata,
) -> Result<End, HostError> {
    if metadata.has_start {
        let end = call(store, instance, START_EXPORT, false)?;
        if !matches!(end, End::Returned(_)) {
            return Ok(end);
        }
    }
    match metadata.entry.name() {
        Some(name) => call(store, instance, name, metadata.entry == Entry::RunWithCode),
        None => Ok(End::Returned(0)),
    }
}

fn call(
    store: &mut Store<State>,
    instance: Instance,
    name: &str,
    answers: bool,
) -> Result<End, HostError> {
    let result = if answers {
        let function = instance.get_typed_func::<(), i32>(&*store, name);
        function
            .map_err(|error| failure("finding an export", &error))?
            .call(&mut *store, ())
    } else {
        let function = instance.get_typed_func::<(), ()>(&*store, name);
        function
            .map_err(|error| failure("finding an export", &error))?
            .call(&mut *store, ())
            .map(|()| 0)
    };
    match result {
        Ok(code) => Ok(End::Returned(code as u32)),
        Err(error) => {
            if let Some(stop) = error.downcast_ref::<Stop>() {
                return Ok(End::Stopped(*stop));
            }
            match error.as_trap_code().and_then(trap_kind) {
                Some(kind) => Ok(End::Trapped(kind)),
                None => Err(classify(store, "running", &error)),
            }
        }
    }
}

/// The canonical kind of a trap; `None` for traps that a metered module can't cause.
#[must_use]
pub fn trap_kind(trap: TrapCode) -> Option<TrapKind> {
    match trap {
        TrapCode::UnreachableCodeReached => Some(TrapKind::Unreachable),
        TrapCode::MemoryOutOfBounds | TrapCode::TableOutOfBounds => Some(TrapKind::OutOfBounds),
        TrapCode::IndirectCallToNull | TrapCode::BadSignature => Some(TrapKind::IndirectCall),
        TrapCode::IntegerDivisionByZero => Some(TrapKind::DivisionByZero),
        TrapCode::IntegerOverflow | TrapCode::BadConversionToInteger => Some(TrapKind::Arithmetic),
        _ => None,
    }
}

/// The globals that metering added.
struct Globals {
    fuel: Global,
    stack: Global,
    failed: Global,
    memory: Option<Memory>,
}

impl Globals {
    /// Finds the globals, sets them for a run, and tells the host functions where fuel and memory are.
    fn set(store: &mut Store<State>, instance: Instance, plan: &Plan) -> Result<Self, HostError> {
        let missing = |name: &str| HostError::Artifact {
            reason: format!("export `{name}` is missing"),
        };
        let find = |store: &mut Store<State>, name| {
            let found = instance.get_global(&*store, name);
            found.ok_or_else(|| missing(name))
        };
        let fuel = find(store, FUEL_EXPORT)?;
        let stack = find(store, STACK_EXPORT)?;
        let failed = find(store, FAILED_EXPORT)?;
        let memory = instance.get_memory(&*store, MEMORY_EXPORT);
        let set = |store: &mut Store<State>, global: Global, value| {
            global
                .set(store, value)
                .map_err(|error| failure("setting a counter", &error))
        };
        set(store, fuel, Val::I64(plan.fuel))?;
        set(store, stack, Val::I32(plan.stack))?;
        if let Some(pages) = instance.get_global(&*store, PAGES_EXPORT) {
            set(store, pages, Val::I32(plan.pages as i32))?;
        }
        store.data_mut().fuel = Some(fuel);
        store.data_mut().memory = memory;
        Ok(Self {
            fuel,
            stack,
            failed,
            memory,
        })
    }

    fn counters(&self, store: &Store<State>) -> Result<Counters, HostError> {
        let wrong = || HostError::Artifact {
            reason: "a counter has another type".to_owned(),
        };
        Ok(Counters {
            fuel: self.fuel.get(store).i64().ok_or_else(wrong)?,
            stack: self.stack.get(store).i32().ok_or_else(wrong)?,
            failed: self.failed.get(store).i32().ok_or_else(wrong)? != 0,
            pages: self.memory.map_or(0, |memory| {
                u32::try_from(memory.size(store)).unwrap_or(u32::MAX)
            }),
        })
    }
}

/// A host call: hands the guest's memory and counter to the function, and puts the counter back.
fn call_host(
    function: &HostFunction,
    mut caller: Caller<'_, State>,
    arguments: &[Val],
    results: &mut [Val],
) -> Result<(), Error> {
    let mut words = [0_u64; 9];
    for (word, argument) in words.iter_mut().zip(arguments) {
        *word = match argument {
            Val::I32(value) => u64::from(*value as u32),
            Val::I64(value) => *value as u64,
            _ => 0,
        };
    }
    let global = caller
        .data()
        .fuel
        .ok_or_else(|| Error::new("no fuel counter"))?;
    let mut fuel = global.get(&caller).i64().unwrap_or(i64::MIN);
    let words = &words[..arguments.len().min(9)];
    let answer = match caller.data().memory {
        Some(memory) => {
            let (bytes, state) = memory.data_and_store_mut(&mut caller);
            function.call(&mut state.host, bytes, &mut fuel, words)
        }
        None => function.call(&mut caller.data_mut().host, &mut [], &mut fuel, words),
    };
    global.set(&mut caller, Val::I64(fuel))?;
    let value = answer.map_err(Error::host)?;
    if let (Some(slot), Some(kind)) = (results.first_mut(), function.result) {
        *slot = match kind {
            ValueType::I32 => Val::I32(value as i32),
            ValueType::I64 => Val::I64(value as i64),
        };
    }
    Ok(())
}
