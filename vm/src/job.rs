//! What is run ([`Job`]) and what comes of it ([`Outcome`]).
//!
//! An outcome is a pure function of module, limits and job: two honest hosts with different engines report
//! the same status, output and fuel. What depends on the host (no memory, a killed process) is a
//! [`HostError`] and never an outcome.

use parity_scale_codec::{Decode, Encode};

use crate::engine::EngineKind;
use crate::excerpt::Excerpt;
use crate::refusal::{Refusal, RefusalCode};

/// The most fuel a job may have; keeps the counter far from overflow.
pub const FUEL_LIMIT_MAX: u64 = 1 << 60;

/// The BLAKE3 context under which an outcome is hashed.
pub const OUTCOME_CONTEXT: &str = "frith v1 vm outcome";

/// One run of a module: everything the guest can see or use up.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Job {
    /// Standard input.
    pub input: Vec<u8>,
    /// Arguments; the first is the program's name by convention.
    pub args: Vec<String>,
    /// Environment, in the order the guest sees it.
    pub env: Vec<(String, String)>,
    /// Milliseconds since the Unix epoch at which the guest's clocks stand.
    pub clock: u64,
    /// Seed of the guest's randomness.
    pub seed: [u8; 32],
    /// Fuel that may be used, at most [`FUEL_LIMIT_MAX`].
    pub fuel_limit: u64,
    /// Pages of 64 KiB that memory may grow to; the module's limits bound it too.
    pub memory_limit_pages: u32,
    /// Bytes of standard output that may be written.
    pub output_limit_bytes: u32,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            input: Vec::new(),
            args: vec!["task".to_owned()],
            env: Vec::new(),
            clock: 0,
            seed: [0; 32],
            fuel_limit: 1_000_000_000,
            memory_limit_pages: 4_096,
            output_limit_bytes: 1 << 20,
        }
    }
}

/// Why the guest trapped. What some engine doesn't tell apart is one kind here: a browser has one message for memory
/// and tables, and one for divisions and conversions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum TrapKind {
    /// The `unreachable` instruction: a panic or an abort, usually.
    #[codec(index = 0)]
    Unreachable,
    /// Access beyond the end of memory, of a table or of a segment; an indirect call of an index beyond the table too.
    #[codec(index = 1)]
    OutOfBounds,
    /// An indirect call of nothing, or of a function of another type (one message in some engines).
    #[codec(index = 2)]
    IndirectCall,
    /// Integer division by zero.
    #[codec(index = 3)]
    DivisionByZero,
    /// A result that the integer type has no room for: of a division, or of a float's conversion.
    #[codec(index = 4)]
    Arithmetic,
}

impl TrapKind {
    /// What happened, in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable code reached (a panic or abort)",
            Self::OutOfBounds => "memory or table access out of bounds",
            Self::IndirectCall => "indirect call of a missing or differently typed function",
            Self::DivisionByZero => "integer division by zero",
            Self::Arithmetic => "integer overflow, or a float out of the integer's range",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Status {
    /// The program ended with this exit code; returning from the entry point is 0.
    #[codec(index = 0)]
    Exit(u32),
    /// The program trapped.
    #[codec(index = 1)]
    Trap(TrapKind),
    /// The fuel limit was reached; the fuel used is the limit.
    #[codec(index = 2)]
    OutOfFuel,
    /// Calls went deeper than the stack units allow.
    #[codec(index = 3)]
    StackOverflow,
    /// More output than the job allows.
    #[codec(index = 4)]
    OutputLimit,
    /// The module starts with more memory than the job allows. (Growing beyond it returns -1 instead.)
    #[codec(index = 5)]
    MemoryLimit,
    /// The module breaks a rule of validity.
    #[codec(index = 6)]
    Refused(RefusalCode, u32),
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Trap(kind) => write!(f, "trap: {}", kind.text()),
            Self::OutOfFuel => f.write_str("out of fuel"),
            Self::StackOverflow => f.write_str("call stack exhausted"),
            Self::OutputLimit => f.write_str("output limit exceeded"),
            Self::MemoryLimit => f.write_str("memory limit below the module's initial memory"),
            Self::Refused(code, offset) => {
                write!(
                    f,
                    "module refused: {} (code {}, at byte {offset})",
                    code.text(),
                    code.number()
                )
            }
        }
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Outcome {
    /// How it ended; agreed on.
    pub status: Status,
    /// Fuel used, at most the job's limit; agreed on.
    pub fuel: u64,
    /// Standard output up to the end, whatever the end was; agreed on.
    pub output: Vec<u8>,
    /// Standard error; for people, not agreed on.
    pub stderr: Excerpt,
    /// Pages of memory at the end, which is the most there were; not agreed on.
    pub peak_pages: u32,
}

impl Outcome {
    /// The outcome of a refused module: nothing ran, nothing is owed.
    #[must_use]
    pub fn refused(refusal: &Refusal) -> Self {
        Self {
            status: Status::Refused(refusal.code, refusal.offset),
            fuel: 0,
            output: Vec::new(),
            stderr: refusal.to_string().as_bytes().into(),
            peak_pages: 0,
        }
    }

    /// The canonical encoding of what replicas compare beside the fuel: SCALE of (status, output).
    #[must_use]
    pub fn result_bytes(&self) -> Vec<u8> {
        (&self.status, &self.output).encode()
    }

    /// BLAKE3 of [`Self::result_bytes`] under [`OUTCOME_CONTEXT`]. Fuel is not in it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        blake3::derive_key(OUTCOME_CONTEXT, &self.result_bytes())
    }
}

/// The host could not run a job. Never a result; the job can be tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// An engine failed where the guest gave it no reason to.
    #[error("{engine} failed while {doing}: {reason}")]
    Engine {
        /// Which engine.
        engine: EngineKind,
        /// What it was doing.
        doing: &'static str,
        /// What it said.
        reason: String,
    },
    /// The host had no memory to give where the job's limits allow it.
    #[error("{engine} got no memory from the host")]
    OutOfMemory {
        /// Which engine.
        engine: EngineKind,
    },
    /// This build doesn't have the engine.
    #[error("this build has no {0} engine")]
    NoEngine(EngineKind),
    /// A job asks for more than a run may have.
    #[error("fuel limit {asked} is above {FUEL_LIMIT_MAX}")]
    FuelLimit {
        /// What the job asks for.
        asked: u64,
    },
    /// A compiled module isn't what the engine expects.
    #[error("compiled module unusable: {reason}")]
    Artifact {
        /// What is wrong with it.
        reason: String,
    },
    /// A thread, process, pipe or file failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The runner process ended before it answered: it crashed, hit a resource limit, or was killed.
    #[error("the runner process ended before it answered: {how}")]
    RunnerEnded {
        /// Exit status or signal, in words.
        how: String,
    },
    /// The job was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// The runner process answered something that isn't an answer.
    #[error("the runner process broke the protocol: {reason}")]
    Protocol {
        /// What was wrong.
        reason: &'static str,
    },
    /// The runner process reports a failure of its own.
    #[error("the runner process failed: {reason}")]
    Runner {
        /// What it said.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: Status, fuel: u64, output: &[u8]) -> Outcome {
        Outcome {
            status,
            fuel,
            output: output.to_vec(),
            stderr: Excerpt::from(&[1][..]),
            peak_pages: 2,
        }
    }

    #[test]
    fn the_digest_covers_status_and_output_and_nothing_else() {
        let first = outcome(Status::Exit(0), 1, b"a");
        let mut second = outcome(Status::Exit(0), 2, b"a");
        second.stderr = Excerpt::default();
        second.peak_pages = 9;
        assert_eq!(first.digest(), second.digest());
        assert_ne!(first.digest(), outcome(Status::Exit(1), 1, b"a").digest());
        assert_ne!(first.digest(), outcome(Status::Exit(0), 1, b"b").digest());
    }

    #[test]
    fn an_outcome_decodes_to_what_was_encoded() {
        for status in [
            Status::Exit(7),
            Status::Trap(TrapKind::Arithmetic),
            Status::OutOfFuel,
            Status::Refused(RefusalCode::UnknownImport, 77),
        ] {
            let before = outcome(status, 5, b"xyz");
            let decoded = Outcome::decode(&mut &before.encode()[..]);
            assert_eq!(decoded, Ok(before));
        }
    }
}
