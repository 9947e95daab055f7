//! Static limits of a module. They decide validity, so all nodes must use the same ones.
//!
//! Every limit is a size or a count that is known before anything is compiled: a module is never refused
//! because something took too long, since nodes would disagree about that.

use parity_scale_codec::{Decode, Encode};
use wasmparser::WasmFeatures;

/// The bytes of one page of linear memory.
pub const PAGE_BYTES: u64 = 65_536;

/// The features that a module may use: what WebAssembly 2.0 has, without SIMD and without `externref`.
///
/// Excluded because they are nondeterministic (threads, relaxed SIMD), because their NaNs would have to be
/// made canonical at a price (SIMD; decision 043 has it), because an engine would need a garbage collector (`externref`, GC), or
/// because not every engine has them (tail calls, exceptions, memory64, multi-memory, extended constants).
pub const FEATURES: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES);

/// Limits that a module must keep to be valid.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Limits {
    /// Bytes of the module.
    pub module_bytes: u32,
    /// Types.
    pub types: u32,
    /// Imported functions.
    pub imports: u32,
    /// Functions, imported ones not counted. What compiling costs before the first byte of code.
    pub functions: u32,
    /// Tables.
    pub tables: u32,
    /// Elements that a table may ever have.
    pub table_elements: u32,
    /// Globals.
    pub globals: u32,
    /// Exports.
    pub exports: u32,
    /// Element segments.
    pub element_segments: u32,
    /// Elements of all segments together.
    pub elements: u32,
    /// Data segments.
    pub data_segments: u32,
    /// Parameters, and results, of one type.
    pub parameters: u32,
    /// Parameters and locals of one function.
    pub locals: u32,
    /// Bytes of one function's body.
    pub function_bytes: u32,
    /// Depth of nested blocks in one function.
    pub nesting: u32,
    /// Depth of nested loops in one function.
    pub loops: u32,
    /// Basic blocks of one function: what a compiler's work grows with the square of.
    pub blocks: u32,
    /// Height of the operand stack in one function.
    pub operands: u32,
    /// Targets of one `br_table`.
    pub branch_targets: u32,
    /// (Parameters + locals) × (blocks + 1) of one function, and four for each operand that is handed on to a call or a
    /// branch: a compiler's work on joining values.
    pub complexity: u32,
    /// The same, summed over all functions.
    pub complexity_total: u32,
    /// Bytes of memory that a compiler may need for one function, as [`crate::meter::compile`] reckons.
    pub compiler_bytes: u64,
    /// Bytes of one function's body once it is metered.
    pub metered_function_bytes: u32,
    /// Bytes of all functions' bodies once they are metered.
    pub metered_bytes: u32,
    /// Pages of 64 KiB that a memory may ever have.
    pub memory_pages: u32,
    /// Stack units that a run has; a frame's units are fixed by [`crate::meter`].
    pub stack_units: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            module_bytes: 16 << 20,
            types: 4_096,
            imports: 256,
            functions: 32_768,
            tables: 16,
            table_elements: 1 << 17,
            globals: 4_096,
            exports: 4_096,
            element_segments: 4_096,
            elements: 1 << 17,
            data_segments: 100_000,
            parameters: 128,
            locals: 4_096,
            function_bytes: 1 << 20,
            nesting: 10_000,
            loops: 512,
            blocks: 1 << 15,
            operands: 4_096,
            branch_targets: 65_520,
            complexity: 1 << 23,
            complexity_total: 1 << 26,
            compiler_bytes: 1 << 30,
            metered_function_bytes: 2 << 20,
            metered_bytes: 32 << 20,
            memory_pages: 4_096,
            stack_units: 1 << 18,
        }
    }
}
