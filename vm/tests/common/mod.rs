//! Both engines as a test sees them: link metered modules freely, call any export, read counters and memory.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod on_wasmi;
pub(crate) mod on_wasmtime;

use std::collections::BTreeMap;

use frith_vm::TrapKind;

/// A value, floats by their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    /// A null function reference.
    NullFunction,
    /// Any other function reference.
    Function,
}

/// Why a call or an instantiation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    Trap(TrapKind),
    StackOverflow,
    OutOfFuel,
    /// Imports don't match.
    Link,
    /// The engine failed otherwise: always a bug.
    Engine(String),
}

/// Counters of one module, and a hash of its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) fuel: i64,
    pub(crate) stack: i32,
    pub(crate) memory: Option<[u8; 32]>,
    /// Exported globals by name, Frith's own included.
    pub(crate) globals: BTreeMap<String, Value>,
}

/// An engine with one store, in which modules are linked by name.
pub(crate) trait Backend {
    type Instance: Clone;

    fn create() -> Self;

    /// Instantiates a metered module, sets its counters, and runs its start function.
    fn instantiate(
        &mut self,
        wasm: &[u8],
        fuel: i64,
        pages: i32,
    ) -> Result<Self::Instance, Failure>;

    fn register(&mut self, name: &str, instance: &Self::Instance);

    /// Sets the counters.
    fn refuel(&mut self, instance: &Self::Instance, fuel: i64, pages: i32);

    fn call(
        &mut self,
        instance: &Self::Instance,
        name: &str,
        arguments: &[Value],
    ) -> Result<Vec<Value>, Failure>;

    fn global(&mut self, instance: &Self::Instance, name: &str) -> Option<Value>;

    /// Names and parameter types of exported functions, Frith's own left out.
    fn functions(&mut self, instance: &Self::Instance) -> Vec<(String, Vec<Value>)>;

    fn observe(&mut self, instance: &Self::Instance) -> Observed;
}

/// Stack units of a run in tests.
pub(crate) const STACK: i32 = 1 << 18;

/// What a failed call means, by the counters that it left.
pub(crate) fn judge(trap: Option<TrapKind>, fuel: i64, stack: i32, message: String) -> Failure {
    match trap {
        _ if fuel < 0 => Failure::OutOfFuel,
        _ if stack < 0 => Failure::StackOverflow,
        Some(kind) => Failure::Trap(kind),
        None => Failure::Engine(message),
    }
}
