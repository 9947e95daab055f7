//! What a task may use: the ledger's parameters at genesis, as far as a program's author needs them.
//!
//! The ledger's own parameters decide; these are their values on the networks that exist, so that a program can refuse
//! early and in words.

/// Longest input that a task can name, in bytes (16 MiB).
pub const INPUT_BYTES_MAX: usize = 16 << 20;
/// Longest result that a task can have, in bytes (16 MiB).
pub const RESULT_BYTES_MAX: usize = 16 << 20;
/// Longest result that the ledger keeps in its own state, in bytes (4 KiB). Longer ones are content, kept by workers.
pub const RESULT_INLINE_BYTES_MAX: usize = 4 << 10;
/// Longest program, in bytes of WebAssembly before instrumentation (16 MiB).
pub const MODULE_BYTES_MAX: usize = 16 << 20;
/// Most memory that a program can have, in bytes (256 MiB).
pub const MEMORY_BYTES_MAX: usize = 256 << 20;

const _: () = assert!(
    INPUT_BYTES_MAX + RESULT_BYTES_MAX < MEMORY_BYTES_MAX,
    "a program must be able to hold its input and its result"
);
