//! A body for every host function that can be called again and again.

use frith_vm::host::{HostFunction, ValueType, functions};

use super::Kernel;

/// What ends the run.
pub(crate) const ENDS: [&str; 2] = ["exit", "proc_exit"];

/// Bodies of every host function that returns.
pub(crate) fn kernels() -> Vec<Kernel> {
    functions()
        .iter()
        .filter(|function| !ENDS.contains(&function.name))
        .map(|function| Kernel {
            name: format!("{}.{}", function.module, function.name),
            imports: import(function),
            statement: call(function),
        })
        .collect()
}

/// The kind of a function in WebAssembly text.
const fn kind(kind: ValueType) -> &'static str {
    match kind {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
    }
}

/// The import, under a name that no other function has.
fn import(function: &HostFunction) -> String {
    let parameters: String = function
        .params
        .iter()
        .map(|one| format!(" (param {})", kind(*one)))
        .collect();
    let result = function
        .result
        .map_or_else(String::new, |one| format!(" (result {})", kind(one)));
    let (module, name) = (function.module, function.name);
    format!("(import \"{module}\" \"{name}\" (func ${module}.{name}{parameters}{result}))\n")
}

/// A call that does what the function is for, where it is for something.
fn call(function: &HostFunction) -> String {
    let arguments: &[u32] = match function.name {
        // Pointer, length, offset.
        "input_read" => &[4_096, 64, 0],
        "output_write" => &[4_096, 0],
        "args_get" | "environ_get" => &[4_096, 8_192],
        "clock_time_get" => &[1, 0, 4_096],
        "fd_fdstat_get" | "fd_filestat_get" => &[1, 4_096],
        // One vector of nothing.
        "fd_read" => &[0, 1_024, 1, 4_096],
        "fd_write" => &[1, 1_024, 1, 4_096],
        // One clock that fires at once.
        "poll_oneoff" => &[1_024, 4_096, 1, 8_192],
        "random_get" => &[4_096, 32],
        _ => &[],
    };
    let arguments: String = function
        .params
        .iter()
        .enumerate()
        .map(|(at, one)| {
            let value = arguments.get(at).unwrap_or(&0);
            format!("{}.const {value} ", kind(*one))
        })
        .collect();
    let back = if function.result.is_some() {
        "local.get $i i32.xor local.set $i"
    } else {
        ""
    };
    format!(
        "{arguments}call ${}.{} {back}",
        function.module, function.name
    )
}
