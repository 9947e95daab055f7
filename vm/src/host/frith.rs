//! Frith's own host functions, for modules that want input and output without WASI (import module `frith`).
//!
//! - `input_len() -> i32`: bytes of input.
//! - `input_read(pointer, length, offset) -> i32`: copies input from `offset`; answers how many bytes, or -1
//!   when the pointer is bad.
//! - `output_write(pointer, length)`: appends to the output. A bad pointer writes nothing.
//! - `exit(code)`: ends the run.

use super::memory::Memory;
use super::state::{HostState, Stop};
use super::table::Arguments;

/// The argument at `index` as `u32`; the types were checked when the module was validated.
pub(super) fn word(arguments: Arguments<'_>, index: usize) -> u32 {
    arguments.get(index).copied().unwrap_or(0) as u32
}

pub(super) fn exit(
    _: &mut HostState,
    _: &mut Memory<'_>,
    arguments: Arguments<'_>,
) -> Result<u32, Stop> {
    Err(Stop::Exit(word(arguments, 0)))
}

pub(super) fn input_len(
    state: &mut HostState,
    _: &mut Memory<'_>,
    _: Arguments<'_>,
) -> Result<u32, Stop> {
    Ok(u32::try_from(state.input.len()).unwrap_or(u32::MAX))
}

pub(super) fn input_read(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    arguments: Arguments<'_>,
) -> Result<u32, Stop> {
    let (at, len, offset) = (word(arguments, 0), word(arguments, 1), word(arguments, 2));
    let left = state.input.len().saturating_sub(offset as usize);
    let len = len.min(u32::try_from(left).unwrap_or(u32::MAX));
    state.charge_bytes(u64::from(len))?;
    let Ok(target) = memory.slice_mut(at, len) else {
        return Ok(u32::MAX);
    };
    let start = (offset as usize).min(state.input.len());
    target.copy_from_slice(&state.input[start..start + len as usize]);
    Ok(len)
}

pub(super) fn output_write(
    state: &mut HostState,
    memory: &mut Memory<'_>,
    arguments: Arguments<'_>,
) -> Result<u32, Stop> {
    let (at, len) = (word(arguments, 0), word(arguments, 1));
    state.charge_written(u64::from(len))?;
    if let Ok(bytes) = memory.slice(at, len) {
        state.write_output(bytes)?;
    }
    Ok(0)
}
