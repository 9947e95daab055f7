//! From what the user typed to a task's description.

use super::args::SpecArgs;
use crate::failure::{Failure, Result};
use frith_ledger::codec::{BoundedBytes, BoundedVec};
use frith_ledger::entity::{Bytes, TaskSpec};
use frith_ledger::parameters::{CONTENT_BYTES_MAX, MODULE_BYTES_MAX, Parameters};
use frith_ledger::units::{Epoch, Fuel};
use frith_tasks::content::{content_id, name_bytes};
use frith_vm::{Limits, Metadata, Refusal};
use std::io::Read as _;
use std::path::Path;

/// Fuel that a run may use beyond what starting takes, when nothing is said.
const RUN_FUEL: u64 = 1_000_000_000;

/// A task and the bytes that it names.
pub(super) struct Prepared {
    /// The description; its deadline is relative to epoch 0 until it is set.
    pub(super) spec: TaskSpec,
    /// The program.
    pub(super) program: Vec<u8>,
    /// Standard input.
    pub(super) input: Vec<u8>,
    /// What the workers' static rules say of the program, and what starting it takes.
    pub(super) metadata: std::result::Result<Metadata, Refusal>,
}

/// Reads the files and checks what can be checked without a network.
///
/// # Errors
/// A file that is missing or too long, or an argument that no task can have.
pub(super) fn prepare(args: &SpecArgs, parameters: &Parameters, now: Epoch) -> Result<Prepared> {
    let program = read(&args.program, u64::from(MODULE_BYTES_MAX), "program")?;
    let input = match &args.input {
        None => Vec::new(),
        Some(path) => read(path, u64::from(CONTENT_BYTES_MAX), "input")?,
    };
    if !args.env.iter().all(|entry| {
        entry
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty())
    }) {
        return Err(Failure::usage(
            "an environment entry is not of the form NAME=value",
        ));
    }
    let metered = frith_vm::prepare(&program, &Limits::default());
    let metadata = metered.map(|metered| metered.metadata);
    let start_fuel = metadata.as_ref().map_or(0, |known| known.start_fuel);
    let fuel_max = args.fuel.unwrap_or(start_fuel.saturating_add(RUN_FUEL));
    let spec = TaskSpec {
        program: content_id(&program),
        program_len: u32::try_from(program.len()).map_err(Failure::other)?,
        input: name_bytes(&input),
        arguments: texts(&args.args, "argument")?,
        environment: texts(&args.env, "environment entry")?,
        fuel_max: Fuel::new(fuel_max),
        price: args.price,
        replicas: args.replicas,
        memory_pages: args.memory_pages.unwrap_or(parameters.memory_pages_max),
        result_max: args.result_max,
        deadline: now.plus(args.deadline),
    };
    Ok(Prepared {
        spec,
        program,
        input,
        metadata,
    })
}

impl Prepared {
    /// The input's bytes when they are content.
    pub(super) fn input_content(&self) -> Option<&[u8]> {
        matches!(self.spec.input, Bytes::Content { .. }).then_some(self.input.as_slice())
    }
}

/// Lists of texts as a task's description bounds them.
fn texts(given: &[String], what: &str) -> Result<BoundedVec<BoundedBytes<1024>, 32>> {
    let items: Vec<BoundedBytes<1024>> = given
        .iter()
        .map(|text| {
            text.clone()
                .into_bytes()
                .try_into()
                .map_err(|error| Failure::usage(format!("{what} {text:?}: {error} (bytes)")))
        })
        .collect::<Result<_>>()?;
    items
        .try_into()
        .map_err(|error| Failure::usage(format!("{what}s: {error}")))
}

fn read(path: &Path, max: u64, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a full file from one that is too long.
    let done = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(max + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(max + 1).read_to_end(&mut bytes))
    };
    done.map_err(|error| Failure::file("read", path, error))?;
    if bytes.len() as u64 > max {
        return Err(Failure::usage(format!(
            "the {what} {} has more than the {max} bytes that a task's may have",
            path.display()
        )));
    }
    Ok(bytes)
}
