//! The list of host functions: module, name, type. A module may import these and nothing else.

use super::state::HostState;
use super::{Memory, Stop, frith, wasi};

/// A number type as host functions use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
}

use ValueType::{I32, I64};

/// Arguments as 64-bit words; `i32` values are zero-extended.
pub(crate) type Arguments<'a> = &'a [u64];
pub(crate) type Body = fn(&mut HostState, &mut Memory<'_>, Arguments<'_>) -> Result<u32, Stop>;

/// One function of the host.
#[derive(Debug)]
pub struct HostFunction {
    /// The import's module.
    pub module: &'static str,
    /// The import's name.
    pub name: &'static str,
    /// Types of the parameters.
    pub params: &'static [ValueType],
    /// Type of the result, if it has one.
    pub result: Option<ValueType>,
    body: Body,
}

impl HostFunction {
    /// Calls the function: charges `fuel`, then reads and writes `memory` (empty when the guest has none).
    ///
    /// Returns the result's value; meaningless when [`Self::result`] is `None`.
    ///
    /// # Errors
    ///
    /// [`Stop`] when the run ends here.
    pub fn call(
        &self,
        state: &mut HostState,
        memory: &mut [u8],
        fuel: &mut i64,
        arguments: &[u64],
    ) -> Result<u64, Stop> {
        let result = match state.enter(*fuel) {
            Ok(()) => (self.body)(state, &mut Memory::new(memory), arguments),
            Err(stop) => Err(stop),
        };
        *fuel = state.leave();
        result.map(u64::from)
    }
}

const WASI: &str = "wasi_snapshot_preview1";

const fn wasi(name: &'static str, params: &'static [ValueType], body: Body) -> HostFunction {
    HostFunction {
        module: WASI,
        name,
        params,
        result: Some(I32),
        body,
    }
}

const fn own(
    name: &'static str,
    params: &'static [ValueType],
    result: Option<ValueType>,
    body: Body,
) -> HostFunction {
    HostFunction {
        module: "frith",
        name,
        params,
        result,
        body,
    }
}

static FUNCTIONS: &[HostFunction] = &[
    own("exit", &[I32], None, frith::exit),
    own("input_len", &[], Some(I32), frith::input_len),
    own("input_read", &[I32, I32, I32], Some(I32), frith::input_read),
    own("output_write", &[I32, I32], None, frith::output_write),
    wasi("args_get", &[I32, I32], wasi::args_get),
    wasi("args_sizes_get", &[I32, I32], wasi::args_sizes_get),
    wasi("clock_res_get", &[I32, I32], wasi::clock_res_get),
    wasi("clock_time_get", &[I32, I64, I32], wasi::clock_time_get),
    wasi("environ_get", &[I32, I32], wasi::environ_get),
    wasi("environ_sizes_get", &[I32, I32], wasi::environ_sizes_get),
    wasi("fd_advise", &[I32, I64, I64, I32], wasi::bad_descriptor),
    wasi("fd_allocate", &[I32, I64, I64], wasi::bad_descriptor),
    wasi("fd_close", &[I32], wasi::fd_close),
    wasi("fd_datasync", &[I32], wasi::fd_sync),
    wasi("fd_fdstat_get", &[I32, I32], wasi::fd_fdstat_get),
    wasi("fd_fdstat_set_flags", &[I32, I32], wasi::fd_sync),
    wasi(
        "fd_fdstat_set_rights",
        &[I32, I64, I64],
        wasi::bad_descriptor,
    ),
    wasi("fd_filestat_get", &[I32, I32], wasi::fd_filestat_get),
    wasi("fd_filestat_set_size", &[I32, I64], wasi::bad_descriptor),
    wasi(
        "fd_filestat_set_times",
        &[I32, I64, I64, I32],
        wasi::bad_descriptor,
    ),
    wasi("fd_pread", &[I32, I32, I32, I64, I32], wasi::no_seeking),
    wasi(
        "fd_prestat_dir_name",
        &[I32, I32, I32],
        wasi::bad_descriptor,
    ),
    wasi("fd_prestat_get", &[I32, I32], wasi::bad_descriptor),
    wasi("fd_pwrite", &[I32, I32, I32, I64, I32], wasi::no_seeking),
    wasi("fd_read", &[I32, I32, I32, I32], wasi::fd_read),
    wasi(
        "fd_readdir",
        &[I32, I32, I32, I64, I32],
        wasi::bad_descriptor,
    ),
    wasi("fd_renumber", &[I32, I32], wasi::bad_descriptor),
    wasi("fd_seek", &[I32, I64, I32, I32], wasi::no_seeking),
    wasi("fd_sync", &[I32], wasi::fd_sync),
    wasi("fd_tell", &[I32, I32], wasi::no_seeking),
    wasi("fd_write", &[I32, I32, I32, I32], wasi::fd_write),
    wasi(
        "path_create_directory",
        &[I32, I32, I32],
        wasi::bad_descriptor,
    ),
    wasi(
        "path_filestat_get",
        &[I32, I32, I32, I32, I32],
        wasi::bad_descriptor,
    ),
    wasi(
        "path_filestat_set_times",
        &[I32, I32, I32, I32, I64, I64, I32],
        wasi::bad_descriptor,
    ),
    wasi(
        "path_link",
        &[I32, I32, I32, I32, I32, I32, I32],
        wasi::bad_descriptor,
    ),
    wasi(
        "path_open",
        &[I32, I32, I32, I32, I32, I64, I64, I32, I32],
        wasi::bad_descriptor,
    ),
    wasi(
        "path_readlink",
        &[I32, I32, I32, I32, I32, I32],
        wasi::bad_descriptor,
    ),
    wasi(
        "path_remove_directory",
        &[I32, I32, I32],
        wasi::bad_descriptor,
    ),
    wasi(
        "path_rename",
        &[I32, I32, I32, I32, I32, I32],
        wasi::bad_descriptor,
    ),
    wasi(
        "path_symlink",
        &[I32, I32, I32, I32, I32],
        wasi::not_supported,
    ),
    wasi("path_unlink_file", &[I32, I32, I32], wasi::bad_descriptor),
    wasi("poll_oneoff", &[I32, I32, I32, I32], wasi::poll_oneoff),
    HostFunction {
        module: WASI,
        name: "proc_exit",
        params: &[I32],
        result: None,
        body: frith::exit,
    },
    wasi("proc_raise", &[I32], wasi::not_supported),
    wasi("random_get", &[I32, I32], wasi::random_get),
    wasi("sched_yield", &[], wasi::sched_yield),
    wasi("sock_accept", &[I32, I32, I32], wasi::bad_descriptor),
    wasi(
        "sock_recv",
        &[I32, I32, I32, I32, I32, I32],
        wasi::bad_descriptor,
    ),
    wasi(
        "sock_send",
        &[I32, I32, I32, I32, I32],
        wasi::bad_descriptor,
    ),
    wasi("sock_shutdown", &[I32, I32], wasi::bad_descriptor),
];

/// Every host function, in order of module and name (`frith` first).
#[must_use]
pub fn functions() -> &'static [HostFunction] {
    FUNCTIONS
}

/// The host function that an import means.
#[must_use]
pub fn find(module: &str, name: &str) -> Option<&'static HostFunction> {
    FUNCTIONS
        .iter()
        .find(|function| function.module == module && function.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_listed_in_order_and_once() {
        let names: Vec<_> = FUNCTIONS.iter().map(|f| (f.module, f.name)).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
