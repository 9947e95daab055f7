//! What a guest can call: WASI preview 1 as far as it makes sense without files, network and real time,
//! and a few functions of Frith's own for modules that don't use WASI.
//!
//! Written once over a byte slice, for all engines. Invariants: a call's effect and its fuel depend only on
//! the job, the guest's memory and what was called before; no call reads a clock, entropy or a file; no
//! allocation is larger than the guest's memory or the job's limits.
//!
//! # Charges
//!
//! Every call costs [`CALL_FUEL`], plus one unit for each [`BYTES_PER_FUEL`] bytes that the guest gets, for each
//! [`RANDOM_BYTES_PER_FUEL`] random ones and for each byte that it writes, plus [`ENTRY_FUEL`] for each entry of a list
//! (vectors, subscriptions). They are taken from the same counter that the
//! module's own code uses, before the work is done; when it goes below zero the run is over.
//!
//! # Clocks and sleeping
//!
//! The realtime clock stands at the job's time. The monotonic clock and the CPU clocks count used fuel as
//! nanoseconds. Waiting returns at once, and moves all clocks forward by the time waited for.
//!
//! # Sources
//!
//! WASI preview 1, `wasi_snapshot_preview1.witx`. Deviation: of the functions about files and sockets, those
//! that take a descriptor answer `EBADF`, all others `ENOSYS`.

mod frith;
mod memory;
mod state;
mod table;
mod wasi;

pub use state::{HostState, Stop};
pub use table::{HostFunction, ValueType, find, functions};

pub(crate) use memory::Memory;

/// Fuel of one host call.
pub const CALL_FUEL: i64 = 120;
/// Fuel of one entry of a list that a host call walks.
pub const ENTRY_FUEL: i64 = 10;
/// Bytes that the host copies to the guest for one unit of fuel.
pub const BYTES_PER_FUEL: u64 = 32;
/// Random bytes for one unit of fuel.
pub const RANDOM_BYTES_PER_FUEL: u64 = 4;
/// Bytes that the host keeps of what a guest writes, for one unit of fuel: they need memory that grows.
pub const WRITTEN_BYTES_PER_FUEL: u64 = 1;
/// Entries of a list (vectors, subscriptions) that one call may have.
pub const ENTRIES_MAX: u32 = 1_024;
