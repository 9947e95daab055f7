//! `frith task`.

use super::WaitArgs;
use crate::config::Engine;
use clap::builder::ArgPredicate;
use clap::{Arg, Args, Subcommand};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use std::path::PathBuf;

/// `frith task`
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// What a task can cost at most, or why nobody would take it. Nothing is signed.
    Quote {
        /// The task.
        #[command(flatten)]
        spec: SpecArgs,
        /// Price a module that workers will refuse.
        #[arg(long)]
        unchecked: bool,
    },
    /// Submit a task: shows the most that it can cost, and asks on a terminal.
    Submit {
        /// The task.
        #[command(flatten)]
        spec: SpecArgs,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
        /// Submit a module that workers will refuse. They are paid for refusing it.
        #[arg(long)]
        unchecked: bool,
        /// How sure the submission must be; `final` waits for the task's result under a committed root.
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Where a task is in its life: who ran it, on which engine, what it paid.
    Status {
        /// The task's address.
        task: String,
        /// Wait until it has ended, at most for so many seconds.
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u64>,
    },
    /// A task's result, checked by its proof.
    Result {
        /// The task's address.
        task: Address,
        /// Write it here instead of to standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Longest wait for the proof, in seconds.
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        timeout: u64,
    },
    /// What a task wrote to standard error, as one worker tells it: kept for an hour, part of no result.
    Logs {
        /// The task's address.
        task: Address,
        /// Ask the worker at this seat (see `task status`) instead of any.
        #[arg(long, value_name = "ADDRESS")]
        seat: Option<Address>,
    },
    /// Your tasks, newest first.
    List {
        /// Everybody's.
        #[arg(long)]
        all: bool,
        /// Most tasks that are shown [default: all]
        #[arg(long, value_name = "TASKS")]
        limit: Option<usize>,
        /// Where an earlier list ended, as it said.
        #[arg(long, value_name = "PLACE")]
        cursor: Option<String>,
    },
    /// Take a task back before it is drawn.
    Cancel {
        /// The task's address.
        task: Address,
        /// How long to wait.
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Run a program, or a task that there is, on this machine as a worker would. Nothing is sent anywhere.
    #[command(mut_arg("program", unless_as_task))]
    Run {
        /// Needed: a task elsewhere is `task submit`.
        #[arg(long, required = true)]
        local: bool,
        /// Run what this task runs, with its input, arguments, environment, clock, seed and limits from the ledger.
        #[arg(long = "as", id = AS_TASK, value_name = "TASK", conflicts_with_all = SPEC_ARGS)]
        as_task: Option<Address>,
        /// The task.
        #[command(flatten)]
        spec: SpecArgs,
        /// The engine.
        #[arg(long, value_enum, default_value = "wasmtime")]
        engine: Engine,
        /// Write the result here instead of to standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// The argument that names a task in place of [`SpecArgs`].
const AS_TASK: &str = "as_task";
/// Everything in [`SpecArgs`].
const SPEC_ARGS: [&str; 10] = [
    "program",
    "input",
    "args",
    "env",
    "fuel",
    "price",
    "replicas",
    "memory_pages",
    "result_max",
    "deadline",
];

/// The program is needed unless a task names it; then no file does.
fn unless_as_task(program: Arg) -> Arg {
    program
        .required(false)
        .required_unless_present(AS_TASK)
        .default_value_if(AS_TASK, ArgPredicate::IsPresent, "of the task")
}

/// What a task asks for.
#[derive(Debug, Clone, Args)]
pub struct SpecArgs {
    /// The program: a WebAssembly module of the WASI preview 1 kind.
    pub program: PathBuf,
    /// A file with the program's standard input (`-`: this command's) [default: empty]
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// An argument of the program; repeat for more.
    #[arg(long = "arg", value_name = "TEXT", allow_hyphen_values = true)]
    pub args: Vec<String>,
    /// An environment entry, NAME=value; repeat for more.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Most fuel that a run may use [default: what compiling and starting the program takes, and 1,000,000,000]
    #[arg(long)]
    pub fuel: Option<u64>,
    /// Credits for 1,000,000 fuel of each replica.
    #[arg(long, default_value = "0.001")]
    pub price: Credits,
    /// How many workers run it; their results must be equal.
    #[arg(long, default_value_t = 3)]
    pub replicas: u8,
    /// Most memory, in pages of 64 KiB [default: what the network allows]
    #[arg(long)]
    pub memory_pages: Option<u32>,
    /// Most bytes of the result.
    #[arg(long, default_value_t = 1 << 20)]
    pub result_max: u32,
    /// Epochs from now within which workers must be found.
    #[arg(long, default_value_t = 20)]
    pub deadline: u64,
}
