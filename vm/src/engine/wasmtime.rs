//! wasmtime with Cranelift. Its own fuel, epochs and NaN settings are off: the module meters itself.
//!
//! A run has a thread of its own, whose stack is far larger than the module's stack units can use up.
//! Linear memory is reserved as address space, so growing never moves it.

use std::sync::Arc;

use ::wasmtime::{
    Caller, Config, Engine as Native, Extern, FuncType, Global, Instance, InstancePre, Linker,
    Memory, Module, OptLevel, ResourceLimiter, Store, Trap, Val, ValType,
};

use super::{
    Compiled, Counters, End, Engine, EngineKind, GUEST_STACK_BYTES, NATIVE_STACK_BYTES, Plan,
    conclude, failed_start, on_large_stack, plan,
};
use crate::host::{self, HostFunction, HostState, Stop, ValueType};
use crate::job::{HostError, Job, Outcome, TrapKind};
use crate::meter::{
    FAILED_EXPORT, FUEL_EXPORT, MEMORY_EXPORT, Metadata, Metered, PAGES_EXPORT, STACK_EXPORT,
    START_EXPORT,
};

/// The wasmtime engine.
pub struct Wasmtime {
    native: Native,
    linker: Linker<State>,
}

/// A compiled module with its imports resolved.
#[derive(Clone)]
pub(crate) struct Code(InstancePre<State>);

/// What a store holds: the host's side, and handles into the instance.
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
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> ::wasmtime::Result<bool> {
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: ::wasmtime::Error) -> ::wasmtime::Result<()> {
        self.failed = true;
        Err(error)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> ::wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn table_grow_failed(&mut self, _: ::wasmtime::Error) -> ::wasmtime::Result<()> {
        Ok(())
    }
}

fn failure(doing: &'static str, error: &::wasmtime::Error) -> HostError {
    HostError::Engine {
        engine: EngineKind::Wasmtime,
        doing,
        reason: format!("{error:#}"),
    }
}

/// The engine's settings: the allowed features, nothing that meters or interrupts, and no files or threads.
#[must_use]
pub fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_tail_call(false)
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_extended_const(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .cranelift_nan_canonicalization(false)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(false)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .async_stack_size(NATIVE_STACK_BYTES)
        .max_wasm_stack(GUEST_STACK_BYTES);
    config
}

impl Wasmtime {
    /// A new engine.
    ///
    /// # Errors
    ///
    /// [`HostError::Engine`] when the machine isn't supported.
    pub fn new() -> Result<Self, HostError> {
        let native = Native::new(&config()).map_err(|error| failure("starting", &error))?;
        let mut linker = Linker::new(&native);
        for function in host::functions() {
            let kind = FuncType::new(
                &native,
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

    fn link(&self, module: &Module, metadata: Arc<Metadata>) -> Result<Compiled, HostError> {
        let code = self
            .linker
            .instantiate_pre(module)
            .map_err(|error| failure("linking", &error))?;
        Ok(Compiled {
            metadata,
            code: super::Code::Wasmtime(Code(code)),
        })
    }
}

impl Engine for Wasmtime {
    fn kind(&self) -> EngineKind {
        EngineKind::Wasmtime
    }

    fn compile(&self, metered: &Metered) -> Result<Compiled, HostError> {
        let module = Module::from_binary(&self.native, &metered.wasm)
            .map_err(|error| failure("compiling", &error))?;
        self.link(&module, Arc::new(metered.metadata.clone()))
    }

    fn run(&self, compiled: &Compiled, job: &Job) -> Result<Outcome, HostError> {
        on_large_stack(self.kind(), || run_here(compiled, job))?
    }

    fn run_here(&self, compiled: &Compiled, job: &Job) -> Result<Outcome, HostError> {
        run_here(compiled, job)
    }

    fn save(&self, compiled: &Compiled) -> Result<Vec<u8>, HostError> {
        code(compiled)?
            .0
            .module()
            .serialize()
            .map_err(|error| failure("serializing", &error))
    }

    #[expect(
        unsafe_code,
        reason = "wasmtime can't check compiled code; the caller vouches for the bytes (Engine::load)"
    )]
    fn load(&self, bytes: &[u8], metadata: &Metadata) -> Result<Compiled, HostError> {
        // SAFETY: `Engine::load` requires bytes that the engine made itself: the runner hands over what an
        // earlier child of the same program compiled, after checking its keyed hash, and only a process that
        // holds no keys executes it. wasmtime refuses bytes of other versions, settings or targets.
        let module = unsafe { Module::deserialize(&self.native, bytes) };
        let module = module.map_err(|error| HostError::Artifact {
            reason: format!("{error:#}"),
        })?;
        self.link(&module, Arc::new(metadata.clone()))
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
        super::Code::Wasmtime(code) => Ok(code),
        super::Code::Wasmi(_) => Err(HostError::Artifact {
            reason: "compiled by another engine".to_owned(),
        }),
    }
}

/// Runs on the calling thread, whose stack must be large ([`on_large_stack`]).
fn run_here(compiled: &Compiled, job: &Job) -> Result<Outcome, HostError> {
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
    let mut store = Store::new(code.0.module().engine(), state);
    store.limiter(|state| &mut state.limiter);
    let instance = match code.0.instantiate(&mut store) {
        Ok(instance) => instance,
        Err(error) => {
            return match error.downcast_ref::<Trap>().copied().and_then(trap_kind) {
                Some(kind) => Ok(failed_start(metadata, kind)),
                None => Err(classify(&store, "instantiating", &error)),
            };
        }
    };
    let globals = Globals::set(&mut store, instance, &plan)?;
    let end = execute(&mut store, instance, metadata)?;
    let counters = globals.counters(&mut store)?;
    conclude(
        EngineKind::Wasmtime,
        job,
        end,
        counters,
        store.into_data().host,
    )
}

fn classify(store: &Store<State>, doing: &'static str, error: &::wasmtime::Error) -> HostError {
    if store.data().limiter.failed || error.is::<::wasmtime::OutOfMemory>() {
        return HostError::OutOfMemory {
            engine: EngineKind::Wasmtime,
        };
    }
    failure(doing, error)
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
        Some(name) => call(
            store,
            instance,
            name,
            metadata.entry == crate::meter::Entry::RunWithCode,
        ),
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
        let function = instance.get_typed_func::<(), i32>(&mut *store, name);
        function
            .map_err(|error| failure("finding an export", &error))?
            .call(&mut *store, ())
    } else {
        let function = instance.get_typed_func::<(), ()>(&mut *store, name);
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
            match error.downcast_ref::<Trap>().copied().and_then(trap_kind) {
                Some(kind) => Ok(End::Trapped(kind)),
                None => Err(classify(store, "running", &error)),
            }
        }
    }
}

/// The canonical kind of a trap; `None` for traps that a metered module can't cause.
#[must_use]
pub fn trap_kind(trap: Trap) -> Option<TrapKind> {
    match trap {
        Trap::UnreachableCodeReached => Some(TrapKind::Unreachable),
        Trap::MemoryOutOfBounds | Trap::TableOutOfBounds => Some(TrapKind::OutOfBounds),
        Trap::IndirectCallToNull | Trap::BadSignature => Some(TrapKind::IndirectCall),
        Trap::IntegerDivisionByZero => Some(TrapKind::DivisionByZero),
        Trap::IntegerOverflow | Trap::BadConversionToInteger => Some(TrapKind::Arithmetic),
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
            let found = instance.get_global(&mut *store, name);
            found.ok_or_else(|| missing(name))
        };
        let fuel = find(store, FUEL_EXPORT)?;
        let stack = find(store, STACK_EXPORT)?;
        let failed = find(store, FAILED_EXPORT)?;
        let memory = match instance.get_export(&mut *store, MEMORY_EXPORT) {
            Some(Extern::Memory(memory)) => Some(memory),
            _ => None,
        };
        let set = |store: &mut Store<State>, global: Global, value| {
            global
                .set(store, value)
                .map_err(|error| failure("setting a counter", &error))
        };
        set(store, fuel, Val::I64(plan.fuel))?;
        set(store, stack, Val::I32(plan.stack))?;
        if let Some(pages) = instance.get_global(&mut *store, PAGES_EXPORT) {
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

    fn counters(&self, store: &mut Store<State>) -> Result<Counters, HostError> {
        let wrong = || HostError::Artifact {
            reason: "a counter has another type".to_owned(),
        };
        Ok(Counters {
            fuel: self.fuel.get(&mut *store).i64().ok_or_else(wrong)?,
            stack: self.stack.get(&mut *store).i32().ok_or_else(wrong)?,
            failed: self.failed.get(&mut *store).i32().ok_or_else(wrong)? != 0,
            pages: self.memory.map_or(0, |memory| {
                u32::try_from(memory.size(&*store)).unwrap_or(u32::MAX)
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
) -> ::wasmtime::Result<()> {
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
        .ok_or_else(|| ::wasmtime::Error::msg("no fuel counter"))?;
    let mut fuel = global.get(&mut caller).i64().unwrap_or(i64::MIN);
    let words = &words[..arguments.len().min(9)];
    let answer = match caller.data().memory {
        Some(memory) => {
            let (bytes, state) = memory.data_and_store_mut(&mut caller);
            function.call(&mut state.host, bytes, &mut fuel, words)
        }
        None => function.call(&mut caller.data_mut().host, &mut [], &mut fuel, words),
    };
    global.set(&mut caller, Val::I64(fuel))?;
    let value = answer.map_err(::wasmtime::Error::new)?;
    if let (Some(slot), Some(kind)) = (results.first_mut(), function.result) {
        *slot = match kind {
            ValueType::I32 => Val::I32(value as i32),
            ValueType::I64 => Val::I64(value as i64),
        };
    }
    Ok(())
}
