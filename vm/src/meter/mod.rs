//! Metering: one pass that turns a valid module into the module that every engine runs.
//!
//! The pass ([`prepare`]) adds fuel, stack and memory accounting, and makes NaNs canonical. Since the result is an ordinary
//! module, engines need no agreement beyond WebAssembly's own semantics: what they compute is equal, fuel
//! included. Nothing of an engine's own fuel, stack or NaN settings takes part.
//!
//! # What is added to the module
//!
//! - Global `frith:fuel` (`i64`, mutable, exported): fuel left. The host sets it before the start function.
//! - Global `frith:stack` (`i32`, mutable, exported): stack units left.
//! - Global `frith:pages` (`i32`, mutable, exported, with a memory): pages that memory may have.
//! - A global (`i64`, mutable, not exported) that stays zero; `emit.rs` says what for, twice.
//! - A global (`i32`, mutable, not exported) with how often tables may grow yet.
//! - Global `frith:failed` (`i32`, mutable, exported), zero: set to 1 where memory or a table didn't grow although its
//!   limit allows it, which the host alone can be the reason of. The code traps then, and the run has no result.
//! - Export `frith:memory` of the memory, export `frith:start` of the start function (whose section goes, so
//!   that the host can set the counters first).
//! - Indices of types, functions, tables, globals and segments stay; what is new comes after the old.
//!   Custom sections are dropped. Maxima of memory and tables are lowered to the limits.
//!
//! # Fuel
//!
//! 1. A function keeps the counter in a local, loaded from the global on entry.
//! 2. Every basic block takes its charge, the sum of its instructions' costs ([`cost`]), when it is entered.
//!    A function's first block and a loop's header end the run if less is left: they set the global to -1 and
//!    trap. Code that cannot be reached has no charge.
//! 3. The local is written back (spilled) before calls, on every exit, and before instructions that can trap other
//!    than by going out of bounds; it is read again after calls.
//! 4. Memory and table instructions that work on a length charge for it before they run, and check.
//!
//! **The counter decides first.** However a run ends, if the global is below zero the status is out-of-fuel
//! and the fuel used is the limit. Else, if the stack global is below zero, it is a stack overflow. An access
//! out of bounds, of memory or of a table, uses up the whole limit: the counter isn't spilled before loads and stores, as
//! that would cost every program what only a broken one needs, and an engine may say no more than "out of bounds". All
//! other endings report the exact counter.
//!
//! # Stack
//!
//! A frame's units are `48 + 8 × (2 × parameters + locals + highest operand stack) + body bytes / 8`. A run has
//! [`crate::Limits::stack_units`]. Engines get native stacks so large that this always fails first
//! (`stack.rs` has the arithmetic).
//!
//! # NaNs
//!
//! The result of an arithmetic float instruction whose NaN bits WebAssembly leaves open is replaced by the
//! canonical NaN when it is one, before its bits can be observed. Operands of further arithmetic, of
//! comparisons and of conversions to integers don't observe bits, nor do locals only read by such; there the
//! replacement is left out (`nan.rs`). `neg`, `abs`, `copysign`, loads, stores and reinterpretations work on
//! bits and stay as they are.
//!
//! # Growing
//!
//! `memory.grow` and `table.grow` reach the engine only when something is added within the limits, so at most
//! once for each page, and tables [`TABLE_GROWTHS`] times in a run. By nothing the answer is the size, else -1,
//! which WebAssembly allows at any time. An engine may keep something of its native stack each time (decision 046).
//!
//! # An engine's weaknesses
//!
//! One integer store form that makes wasmi panic and one selection that it gets wrong are kept from it (`emit.rs`, decision 045).
//!
//! # Cost
//!
//! Linear in the module's bytes, about 50 ms for 1 MiB; code grows by about a third.

mod assemble;
pub mod compile;
pub mod cost;
mod emit;
mod live;
mod nan;
mod scan;
pub(crate) mod stack;
mod walk;

pub use assemble::{Entry, MemoryShape, Metadata, Metered, prepare, prepare_any};

pub(crate) use scan::{FunctionPlan, Scanner};

/// Export name of the fuel counter.
pub const FUEL_EXPORT: &str = "frith:fuel";
/// Export name of the stack counter.
pub const STACK_EXPORT: &str = "frith:stack";
/// Export name of the mark that the host gave no memory or table elements where the limit allows them.
pub const FAILED_EXPORT: &str = "frith:failed";
/// Export name of the memory limit.
pub const PAGES_EXPORT: &str = "frith:pages";
/// Export name of the memory.
pub const MEMORY_EXPORT: &str = "frith:memory";
/// Export name of the start function.
pub const START_EXPORT: &str = "frith:start";
/// What no export of a submitted module may begin with.
pub const RESERVED_PREFIX: &str = "frith:";

/// Raised with every change of what metering emits or charges; part of the id of compiled modules.
pub const METER_VERSION: u32 = 3;

/// How often a run may grow its tables, all of them together. wasmi keeps some 170 bytes of the native stack for each,
/// and as much for each growing of the memory.
pub const TABLE_GROWTHS: i32 = 4_096;

const _: () = assert!(
    (TABLE_GROWTHS as usize + 4_096) * 512 <= crate::engine::NATIVE_STACK_BYTES / 8,
    "what growing leaves on the native stack must be a small part of it"
);
