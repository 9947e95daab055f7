//! The runner process as a program of its own: for tests, and for nodes that don't bring a subcommand for it.

fn main() -> std::process::ExitCode {
    frith_vm::runner::main()
}
