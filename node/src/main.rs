//! The `frith` program: see the library's `cli` for what it can do.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: the process that runs strangers' programs must never see a key or a setting.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == frith::VM_RUNNER)
    {
        frith::worker::give_way(std::env::args_os().nth(2));
        return frith_vm::runner::main();
    }
    // Two crypto providers are linked; rustls panics unless one is chosen. An error means that it is.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    frith::cli::main()
}
