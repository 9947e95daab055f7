//! The command line: what a user types, and what they see.
//!
//! Every command gives a [`Report`]: text for people, or JSON with `--json`. Errors go to standard error and
//! say what was wrong, where, and what to do; exit codes are [`crate::failure::Exit`]. Questions are asked
//! and progress is shown on a terminal only.

mod args;
mod backup;
mod balance;
mod bench;
mod block;
mod checkpoint;
mod config;
mod consent;
mod demo;
mod devnet;
mod doctor;
mod genesis;
mod history;
mod interrupts;
mod key;
mod manual;
mod node;
mod offers;
mod orders;
mod output;
mod program;
mod result;
mod rotate;
mod run;
mod session;
mod spec;
mod task;
mod task_list;
mod terms;
mod wallet;
mod welcome;

pub use args::Cli;
pub use output::Report;

use crate::failure::{Failure, Result};
use clap::error::ErrorKind;
use std::process::ExitCode;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    if std::env::args_os().len() <= 1 && output::is_terminal() {
        return output::print(Ok(welcome::report()), false);
    }
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            let json = std::env::args_os().any(|argument| argument == "--json");
            let asked_for_help = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            if json && !asked_for_help {
                return output::print(Err(usage(&error)), true);
            }
            // When nothing can be printed nothing can be said about it either.
            let _unprintable = error.print();
            return if asked_for_help {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(2)
            };
        }
    };
    let json = cli.json;
    let session = match session::Session::new(cli.common, json) {
        Ok(session) => session,
        Err(failure) => return output::print(Err(failure), json),
    };
    output::print_then(run(&session, cli.command), json, || session.forget_told())
}

/// A wrong command line, as the failure that `--json` shows.
fn usage(error: &clap::Error) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::usage("no command is named").advise("see `frith help`");
    }
    let text = error.render().to_string();
    // What is wrong stands before the first empty line; usage hints follow it.
    let wrong = text.lines().take_while(|line| !line.trim().is_empty());
    let wrong = wrong.map(str::trim).collect::<Vec<_>>().join(" ");
    Failure::usage(wrong.trim_start_matches("error: ")).advise("see `frith help`")
}

fn run(session: &session::Session, command: args::Command) -> Result<Report> {
    match command {
        args::Command::Key(command) => key::run(session, command),
        args::Command::Node(command) => node::run(session, command),
        args::Command::Task(command) => task::run(session, command),
        args::Command::Wallet(command) => wallet::run(session, command),
        args::Command::Block(args::BlockCommand::Show { height }) => block::show(session, &height),
        args::Command::Genesis(command) => genesis::run(session, command),
        args::Command::Proof(args::ProofCommand::Verify { file }) => block::verify(session, &file),
        args::Command::Checkpoint(command) => checkpoint::run(session, command),
        args::Command::Config(command) => config::run(session, command),
        args::Command::Completions { shell } => manual::completions(shell),
        args::Command::Man { out } => manual::man(out.as_deref()),
        args::Command::Doctor(options) => doctor::run(session, &options),
        args::Command::Bench(options) => bench::run(session, &options),
        args::Command::Devnet(options) => devnet::run(session, &options),
        args::Command::Demo(options) => demo::run(session, &options),
    }
}
