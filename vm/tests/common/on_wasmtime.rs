//! The wasmtime backend. Calls run on a thread with the engine's stack size.

use frith_vm::engine::wasmtime::{config, trap_kind};
use wasmtime::{
    Engine, Extern, ExternType, Func, FuncType, Global, GlobalType, Instance, Linker, Memory,
    MemoryType, Module, Mutability, Ref, RefType, Store, Table, TableType, Trap, Val, ValType,
};

use super::{Backend, Failure, Observed, STACK, Value, judge};

pub(crate) struct OnWasmtime {
    engine: Engine,
    store: Store<()>,
    linker: Linker<()>,
}

fn to_val(value: Value) -> Val {
    match value {
        Value::I32(value) => Val::I32(value),
        Value::I64(value) => Val::I64(value),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::NullFunction | Value::Function => Val::FuncRef(None),
    }
}

fn from_val(value: &Val) -> Value {
    match value {
        Val::I32(value) => Value::I32(*value),
        Val::I64(value) => Value::I64(*value),
        Val::F32(bits) => Value::F32(*bits),
        Val::F64(bits) => Value::F64(*bits),
        Val::FuncRef(None) => Value::NullFunction,
        _ => Value::Function,
    }
}

fn zero(kind: &ValType) -> Value {
    match kind {
        ValType::I32 => Value::I32(0),
        ValType::I64 => Value::I64(0),
        ValType::F32 => Value::F32(0),
        ValType::F64 => Value::F64(0),
        _ => Value::NullFunction,
    }
}

impl OnWasmtime {
    fn set(&mut self, instance: &Instance, name: &str, value: Val) {
        if let Some(global) = instance.get_global(&mut self.store, name) {
            global
                .set(&mut self.store, value)
                .expect("a counter is mutable");
        }
    }

    fn counters(&mut self, instance: &Instance) -> (i64, i32) {
        let fuel = instance
            .get_global(&mut self.store, "frith:fuel")
            .expect("metered");
        let stack = instance
            .get_global(&mut self.store, "frith:stack")
            .expect("metered");
        let fuel = fuel.get(&mut self.store).i64().expect("fuel is i64");
        (
            fuel,
            stack.get(&mut self.store).i32().expect("stack is i32"),
        )
    }

    fn spectest(&mut self) {
        let engine = self.engine.clone();
        let print = |parameters: &[ValType]| FuncType::new(&engine, parameters.iter().cloned(), []);
        for (name, kind) in [
            ("print", print(&[])),
            ("print_i32", print(&[ValType::I32])),
            ("print_i64", print(&[ValType::I64])),
            ("print_f32", print(&[ValType::F32])),
            ("print_f64", print(&[ValType::F64])),
            ("print_i32_f32", print(&[ValType::I32, ValType::F32])),
            ("print_f64_f64", print(&[ValType::F64, ValType::F64])),
        ] {
            let function = Func::new(&mut self.store, kind, |_, _, _| Ok(()));
            self.linker
                .define(&mut self.store, "spectest", name, function)
                .expect("defines");
        }
        for (name, value) in [
            ("global_i32", Val::I32(666)),
            ("global_i64", Val::I64(666)),
            ("global_f32", Val::F32(666.6_f32.to_bits())),
            ("global_f64", Val::F64(666.6_f64.to_bits())),
        ] {
            let kind = GlobalType::new(zero_type(&value), Mutability::Const);
            let global = Global::new(&mut self.store, kind, value).expect("a global");
            self.linker
                .define(&mut self.store, "spectest", name, global)
                .expect("defines");
        }
        let table = TableType::new(RefType::FUNCREF, 10, Some(20));
        let table = Table::new(&mut self.store, table, Ref::Func(None)).expect("a table");
        self.linker
            .define(&mut self.store, "spectest", "table", table)
            .expect("defines");
        let memory = Memory::new(&mut self.store, MemoryType::new(1, Some(2))).expect("a memory");
        self.linker
            .define(&mut self.store, "spectest", "memory", memory)
            .expect("defines");
    }

    fn run(
        &mut self,
        instance: &Instance,
        function: Func,
        arguments: &[Value],
    ) -> Result<Vec<Value>, Failure> {
        let kind = function.ty(&self.store);
        let arguments: Vec<Val> = arguments.iter().copied().map(to_val).collect();
        let mut results = vec![Val::I32(0); kind.results().len()];
        let store = &mut self.store;
        let outcome = std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(72 << 20)
                .spawn_scoped(scope, || function.call(store, &arguments, &mut results))
                .expect("a thread")
                .join()
                .expect("no panic")
        });
        let (fuel, stack) = self.counters(instance);
        match outcome {
            Ok(()) if fuel < 0 => Err(Failure::OutOfFuel),
            Ok(()) => Ok(results.iter().map(from_val).collect()),
            Err(error) => {
                let trap = error.downcast_ref::<Trap>().copied().and_then(trap_kind);
                Err(judge(trap, fuel, stack, format!("{error:?}")))
            }
        }
    }
}

fn zero_type(value: &Val) -> ValType {
    match value {
        Val::I32(_) => ValType::I32,
        Val::I64(_) => ValType::I64,
        Val::F32(_) => ValType::F32,
        _ => ValType::F64,
    }
}

impl Backend for OnWasmtime {
    type Instance = Instance;

    fn create() -> Self {
        let engine = Engine::new(&config()).expect("an engine");
        let mut linker = Linker::new(&engine);
        linker.allow_shadowing(true);
        let mut backend = Self {
            store: Store::new(&engine, ()),
            linker,
            engine,
        };
        backend.spectest();
        backend
    }

    fn instantiate(&mut self, wasm: &[u8], fuel: i64, pages: i32) -> Result<Instance, Failure> {
        let module = Module::from_binary(&self.engine, wasm)
            .map_err(|e| Failure::Engine(format!("{e:?}")))?;
        let instance = self
            .linker
            .instantiate(&mut self.store, &module)
            .map_err(
                |error| match error.downcast_ref::<Trap>().copied().and_then(trap_kind) {
                    Some(kind) => Failure::Trap(kind),
                    None => Failure::Link,
                },
            )?;
        self.refuel(&instance, fuel, pages);
        if let Some(start) = instance.get_func(&mut self.store, "frith:start") {
            self.run(&instance, start, &[])?;
        }
        Ok(instance)
    }

    fn register(&mut self, name: &str, instance: &Instance) {
        self.linker
            .instance(&mut self.store, name, *instance)
            .expect("registers");
    }

    fn refuel(&mut self, instance: &Instance, fuel: i64, pages: i32) {
        self.set(instance, "frith:fuel", Val::I64(fuel));
        self.set(instance, "frith:stack", Val::I32(STACK));
        // As a run has it: no more than the memory may ever have, which is another's where it is imported.
        let memory = instance.get_memory(&mut self.store, "frith:memory");
        let most = memory.and_then(|memory| memory.ty(&self.store).maximum());
        let most = most.and_then(|most| i32::try_from(most).ok());
        let pages = most.map_or(pages, |most| pages.min(most));
        self.set(instance, "frith:pages", Val::I32(pages));
    }

    fn call(
        &mut self,
        instance: &Instance,
        name: &str,
        arguments: &[Value],
    ) -> Result<Vec<Value>, Failure> {
        let function = instance
            .get_func(&mut self.store, name)
            .expect("an exported function");
        self.run(instance, function, arguments)
    }

    fn global(&mut self, instance: &Instance, name: &str) -> Option<Value> {
        let global = instance.get_global(&mut self.store, name)?;
        Some(from_val(&global.get(&mut self.store)))
    }

    fn functions(&mut self, instance: &Instance) -> Vec<(String, Vec<Value>)> {
        let exports: Vec<(String, Extern)> = instance
            .exports(&mut self.store)
            .map(|e| (e.name().to_owned(), e.into_extern()))
            .collect();
        exports
            .into_iter()
            .filter(|(name, _)| !name.starts_with("frith:"))
            .filter_map(|(name, item)| match item.ty(&self.store) {
                ExternType::Func(kind) => {
                    Some((name, kind.params().map(|kind| zero(&kind)).collect()))
                }
                _ => None,
            })
            .collect()
    }

    fn observe(&mut self, instance: &Instance) -> Observed {
        let (fuel, stack) = self.counters(instance);
        let memory = instance.get_memory(&mut self.store, "frith:memory");
        let memory = memory.map(|memory| *blake3::hash(memory.data(&self.store)).as_bytes());
        let exports: Vec<(String, Extern)> = instance
            .exports(&mut self.store)
            .map(|e| (e.name().to_owned(), e.into_extern()))
            .collect();
        let globals = exports
            .into_iter()
            .filter_map(|(name, item)| Some((name, item.into_global()?)))
            .map(|(name, global)| (name, from_val(&global.get(&mut self.store))))
            .collect();
        Observed {
            fuel,
            stack,
            memory,
            globals,
        }
    }
}
