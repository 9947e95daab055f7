//! A task as its program sees it, and the wrapper around `main`.

use crate::input::{into_text, read_bounded};
use crate::{Failure, Output, Params, Random};
use std::ffi::OsString;
use std::fmt;
use std::io::{Read, Write};
use std::process::ExitCode;

/// The task that a program computes: arguments and input to read, the result to write.
pub struct Task<'a> {
    arguments: Vec<OsString>,
    input: Box<dyn Read + 'a>,
    output: Output<'a>,
    log: Box<dyn Write + 'a>,
    seeds: Seeds,
}

/// Where the seeds of random streams come from.
#[derive(Debug)]
enum Seeds {
    Host,
    Trial(Random),
}

/// Runs a program as the whole of `main`: flushes its result, reports a failure on standard error, and gives the exit
/// status of the crate's table.
///
/// What a failed program wrote before it failed stays part of the result.
pub fn run(program: impl FnOnce(&mut Task<'_>) -> Result<(), Failure>) -> ExitCode {
    let mut task = Task {
        arguments: std::env::args_os().skip(1).collect(),
        input: Box::new(std::io::stdin()),
        output: Output::new(std::io::stdout()),
        log: Box::new(std::io::stderr()),
        seeds: Seeds::Host,
    };
    ExitCode::from(task.run(program))
}

impl<'a> Task<'a> {
    /// A task for a trial: nothing of the process is touched.
    pub(crate) fn of_trial(
        arguments: &[String],
        input: &'a [u8],
        result: &'a mut Vec<u8>,
        log: &'a mut Vec<u8>,
        seed: [u8; 32],
    ) -> Self {
        Self {
            arguments: arguments.iter().map(OsString::from).collect(),
            input: Box::new(input),
            output: Output::new(result),
            log: Box::new(log),
            seeds: Seeds::Trial(Random::from_seed(seed)),
        }
    }

    /// Runs `program` and gives its exit status.
    pub(crate) fn run(&mut self, program: impl FnOnce(&mut Self) -> Result<(), Failure>) -> u8 {
        let outcome = program(self);
        let flushed = self.output.finish().map_err(Failure::Output);
        match outcome.and(flushed) {
            Ok(()) => 0,
            Err(failure) => {
                self.log(format_args!("error: {failure}"));
                failure.status()
            }
        }
    }

    /// The arguments after the program's name.
    ///
    /// # Errors
    ///
    /// [`Failure::Parameter`] if one is not UTF-8.
    pub fn arguments(&self) -> Result<Vec<&str>, Failure> {
        self.arguments
            .iter()
            .map(|word| {
                word.to_str()
                    .ok_or_else(|| Failure::parameter(word.to_string_lossy(), "is not UTF-8"))
            })
            .collect()
    }

    /// The arguments as `key=value` parameters.
    ///
    /// # Errors
    ///
    /// As [`Params::parse`], or if an argument is not UTF-8.
    pub fn params(&self) -> Result<Params, Failure> {
        Params::parse(self.arguments()?)
    }

    /// The rest of the input, at most `bytes_max` bytes of it. Memory is taken as the input comes.
    ///
    /// # Errors
    ///
    /// [`Failure::InputTooLong`] if there is more, [`Failure::Input`] if it can't be read.
    pub fn input(&mut self, bytes_max: usize) -> Result<Vec<u8>, Failure> {
        read_bounded(&mut *self.input, bytes_max)
    }

    /// The rest of the input as text, at most `bytes_max` bytes of it.
    ///
    /// # Errors
    ///
    /// As [`Task::input`]; [`Failure::Input`] also says where the input stops being UTF-8.
    pub fn text(&mut self, bytes_max: usize) -> Result<String, Failure> {
        into_text(self.input(bytes_max)?)
    }

    /// Where the result goes.
    pub fn output(&mut self) -> &mut Output<'a> {
        &mut self.output
    }

    /// A random stream, seeded from task and beacon. Each call gives another one, in an order that is part of the
    /// program: every worker gets the same.
    ///
    /// # Errors
    ///
    /// [`Failure::Randomness`] if the host has none.
    pub fn random(&mut self) -> Result<Random, Failure> {
        match &mut self.seeds {
            Seeds::Host => Random::seeded(),
            Seeds::Trial(source) => {
                let mut seed = [0; 32];
                source.fill(&mut seed);
                Ok(Random::from_seed(seed))
            }
        }
    }

    /// Writes a line to standard error, which is no part of the result: progress, findings, whatever helps the one who
    /// tries the program out. It costs fuel like any other code.
    pub fn log(&mut self, line: impl fmt::Display) {
        // A log that can't be written must not change the result.
        let _ = writeln!(self.log, "{line}");
    }
}

impl fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("arguments", &self.arguments)
            .field("output", &self.output)
            .field("seeds", &self.seeds)
            .finish_non_exhaustive()
    }
}
