//! The static cost table: fuel of every instruction.
//!
//! One unit is about what one simple integer instruction costs compiled code. The numbers are a compromise
//! between compiled and interpreted engines, found by what `benches/spread` measures (decision 047); they are part of
//! the protocol ([`super::METER_VERSION`]).

use wasmparser::Operator;

/// Fuel of entering a function, beside its locals and first block.
pub const FUNCTION_ENTRY: u32 = 4;
/// Locals that one unit of fuel sets to zero on entry.
pub const LOCALS_PER_FUEL: u32 = 4;
/// Fuel of each entry of a loop's header.
pub const LOOP_ENTRY: u32 = 1;
/// `memory.fill`, `copy` and `init`: two to this power is how many bytes cost one unit.
pub const BULK_SHIFT: u32 = 5;
/// Elements of tables and of their segments: two to this power is how many cost one unit.
pub const TABLE_ELEMENT_SHIFT: u32 = 1;
/// Fuel of one page of memory, at the start or by `memory.grow`, as a power of two.
pub const PAGE_SHIFT: u32 = 13;

/// Fuel of one instruction, charged with its basic block; length-dependent charges come on top.
#[must_use]
pub fn cost(operator: &Operator<'_>) -> u32 {
    use Operator as O;
    match operator {
        O::Nop | O::Block { .. } | O::Loop { .. } | O::Else | O::End | O::Drop | O::Unreachable => {
            0
        }
        _ if is_access(operator) => 6,
        O::GlobalGet { .. }
        | O::GlobalSet { .. }
        | O::If { .. }
        | O::Br { .. }
        | O::BrIf { .. }
        | O::I32Mul
        | O::I64Mul => 2,
        O::BrTable { .. }
        | O::TableGet { .. }
        | O::TableSet { .. }
        | O::MemorySize { .. }
        | O::TableSize { .. } => 4,
        O::Call { .. } => 6,
        O::I32Popcnt | O::I64Popcnt => 2,
        O::RefFunc { .. } => 25,
        O::CallIndirect { .. } => 10,
        O::I32DivS | O::I32DivU | O::I32RemS | O::I32RemU => 10,
        O::I64DivS | O::I64DivU | O::I64RemS | O::I64RemU => 16,
        O::F32Div | O::F64Div | O::F32Sqrt | O::F64Sqrt => 12,
        _ if super::nan::is_arithmetic(operator) => 3,
        O::F32Eq
        | O::F32Ne
        | O::F32Lt
        | O::F32Gt
        | O::F32Le
        | O::F32Ge
        | O::F64Eq
        | O::F64Ne
        | O::F64Lt
        | O::F64Gt
        | O::F64Le
        | O::F64Ge => 2,
        O::F32ConvertI32S
        | O::F32ConvertI32U
        | O::F32ConvertI64S
        | O::F32ConvertI64U
        | O::F64ConvertI32S
        | O::F64ConvertI32U
        | O::F64ConvertI64S
        | O::F64ConvertI64U => 3,
        O::I32TruncF32S
        | O::I32TruncF32U
        | O::I32TruncF64S
        | O::I32TruncF64U
        | O::I64TruncF32S
        | O::I64TruncF32U
        | O::I64TruncF64S
        | O::I64TruncF64U
        | O::I32TruncSatF32S
        | O::I32TruncSatF32U
        | O::I32TruncSatF64S
        | O::I32TruncSatF64U
        | O::I64TruncSatF32S
        | O::I64TruncSatF32U
        | O::I64TruncSatF64S
        | O::I64TruncSatF64U => 4,
        O::MemoryGrow { .. } | O::TableGrow { .. } => 100,
        O::MemoryFill { .. } | O::MemoryCopy { .. } | O::MemoryInit { .. } => 75,
        O::TableFill { .. }
        | O::TableCopy { .. }
        | O::TableInit { .. }
        | O::DataDrop { .. }
        | O::ElemDrop { .. } => 15,
        _ => 1,
    }
}

/// Whether an instruction loads from memory or stores to it.
pub(super) fn is_access(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::I32Load { .. }
            | O::I64Load { .. }
            | O::F32Load { .. }
            | O::F64Load { .. }
            | O::I32Load8S { .. }
            | O::I32Load8U { .. }
            | O::I32Load16S { .. }
            | O::I32Load16U { .. }
            | O::I64Load8S { .. }
            | O::I64Load8U { .. }
            | O::I64Load16S { .. }
            | O::I64Load16U { .. }
            | O::I64Load32S { .. }
            | O::I64Load32U { .. }
            | O::I32Store { .. }
            | O::I64Store { .. }
            | O::F32Store { .. }
            | O::F64Store { .. }
            | O::I32Store8 { .. }
            | O::I32Store16 { .. }
            | O::I64Store8 { .. }
            | O::I64Store16 { .. }
            | O::I64Store32 { .. }
    )
}
