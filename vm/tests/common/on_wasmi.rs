//! The wasmi backend.

use frith_vm::engine::wasmi::{config, trap_kind};
use wasmi::{
    Engine, Error, Extern, ExternType, F32, F64, Func, FuncType, Global, Instance, Linker, Memory,
    MemoryType, Module, Mutability, Nullable, RefType, Store, Table, TableType, Val, ValType,
};

use super::{Backend, Failure, Observed, STACK, Value, judge};

pub(crate) struct OnWasmi {
    engine: Engine,
    store: Store<()>,
    linker: Linker<()>,
}

fn to_val(value: Value) -> Val {
    match value {
        Value::I32(value) => Val::I32(value),
        Value::I64(value) => Val::I64(value),
        Value::F32(bits) => Val::F32(F32::from_bits(bits)),
        Value::F64(bits) => Val::F64(F64::from_bits(bits)),
        Value::NullFunction | Value::Function => Val::FuncRef(Nullable::Null),
    }
}

fn from_val(value: &Val) -> Value {
    match value {
        Val::I32(value) => Value::I32(*value),
        Val::I64(value) => Value::I64(*value),
        Val::F32(value) => Value::F32(value.to_bits()),
        Val::F64(value) => Value::F64(value.to_bits()),
        Val::FuncRef(Nullable::Null) => Value::NullFunction,
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

impl OnWasmi {
    fn set(&mut self, instance: &Instance, name: &str, value: Val) {
        if let Some(global) = instance.get_global(&self.store, name) {
            global
                .set(&mut self.store, value)
                .expect("a counter is mutable");
        }
    }

    fn counters(&self, instance: &Instance) -> (i64, i32) {
        let fuel = instance
            .get_global(&self.store, "frith:fuel")
            .expect("metered");
        let stack = instance
            .get_global(&self.store, "frith:stack")
            .expect("metered");
        let fuel = fuel.get(&self.store).i64().expect("fuel is i64");
        (fuel, stack.get(&self.store).i32().expect("stack is i32"))
    }

    fn spectest(&mut self) {
        let print = |parameters: &[ValType]| FuncType::new(parameters.iter().copied(), []);
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
                .define("spectest", name, function)
                .expect("defines");
        }
        for (name, value) in [
            ("global_i32", Val::I32(666)),
            ("global_i64", Val::I64(666)),
            ("global_f32", Val::F32(F32::from(666.6))),
            ("global_f64", Val::F64(F64::from(666.6))),
        ] {
            let global = Global::new(&mut self.store, value, Mutability::Const);
            self.linker
                .define("spectest", name, global)
                .expect("defines");
        }
        let kind = TableType::new(RefType::Func, 10, Some(20));
        let table =
            Table::new(&mut self.store, kind, Nullable::<Func>::Null.into()).expect("a table");
        self.linker
            .define("spectest", "table", table)
            .expect("defines");
        let memory = Memory::new(&mut self.store, MemoryType::new(1, Some(2))).expect("a memory");
        self.linker
            .define("spectest", "memory", memory)
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
        let mut results: Vec<Val> = kind.results().iter().map(zero).map(to_val).collect();
        let outcome = function.call(&mut self.store, &arguments, &mut results);
        let (fuel, stack) = self.counters(instance);
        match outcome {
            Ok(()) if fuel < 0 => Err(Failure::OutOfFuel),
            Ok(()) => Ok(results.iter().map(from_val).collect()),
            Err(error) => Err(judge(trap(&error), fuel, stack, format!("{error:?}"))),
        }
    }
}

fn trap(error: &Error) -> Option<frith_vm::TrapKind> {
    error.as_trap_code().and_then(trap_kind)
}

impl Backend for OnWasmi {
    type Instance = Instance;

    fn create() -> Self {
        let engine = Engine::new(&config());
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
        let module =
            Module::new(&self.engine, wasm).map_err(|e| Failure::Engine(format!("{e:?}")))?;
        let instance = self
            .linker
            .instantiate_and_start(&mut self.store, &module)
            .map_err(
                |error| match frith_vm::engine::wasmi::instantiation_trap(&error) {
                    Some(kind) => Failure::Trap(kind),
                    None => Failure::Link,
                },
            )?;
        self.refuel(&instance, fuel, pages);
        if let Some(start) = instance.get_func(&self.store, "frith:start") {
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
        let memory = instance.get_memory(&self.store, "frith:memory");
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
            .get_func(&self.store, name)
            .expect("an exported function");
        self.run(instance, function, arguments)
    }

    fn global(&mut self, instance: &Instance, name: &str) -> Option<Value> {
        let global = instance.get_global(&self.store, name)?;
        Some(from_val(&global.get(&self.store)))
    }

    fn functions(&mut self, instance: &Instance) -> Vec<(String, Vec<Value>)> {
        instance
            .exports(&self.store)
            .map(|export| (export.name().to_owned(), export.ty(&self.store)))
            .filter(|(name, _)| !name.starts_with("frith:"))
            .filter_map(|(name, kind)| match kind {
                ExternType::Func(kind) => Some((name, kind.params().iter().map(zero).collect())),
                _ => None,
            })
            .collect()
    }

    fn observe(&mut self, instance: &Instance) -> Observed {
        let (fuel, stack) = self.counters(instance);
        let memory = instance.get_memory(&self.store, "frith:memory");
        let memory = memory.map(|memory| *blake3::hash(memory.data(&self.store)).as_bytes());
        let globals = instance
            .exports(&self.store)
            .filter_map(|export| {
                let name = export.name().to_owned();
                match export.into_extern() {
                    Extern::Global(global) => Some((name, from_val(&global.get(&self.store)))),
                    _ => None,
                }
            })
            .collect();
        Observed {
            fuel,
            stack,
            memory,
            globals,
        }
    }
}
