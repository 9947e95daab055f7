//! The host's side of one run: input, output, descriptors, clock, randomness, and the fuel of a call.

use super::memory::Fault;
use super::{BYTES_PER_FUEL, CALL_FUEL, ENTRY_FUEL, RANDOM_BYTES_PER_FUEL, WRITTEN_BYTES_PER_FUEL};
use crate::excerpt::{Excerpt, Growing};
use crate::job::Job;

/// The BLAKE3 context that turns a job's seed into its stream of random bytes.
const RANDOM_CONTEXT: &str = "frith v1 vm guest randomness";

/// A host call ends the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The guest asked to end with this code.
    #[error("exit {0}")]
    Exit(u32),
    /// The fuel counter went below zero.
    #[error("out of fuel")]
    OutOfFuel,
    /// The guest wrote more than it may.
    #[error("output limit exceeded")]
    OutputLimit,
}

/// State of the host during one run.
#[derive(Debug)]
pub struct HostState {
    pub(super) input: Vec<u8>,
    pub(super) input_at: usize,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<String>,
    pub(super) closed: [bool; 3],
    clock_ns: u64,
    waited_ns: u64,
    random: blake3::OutputReader,
    output: Vec<u8>,
    output_bytes_max: usize,
    stderr: Growing,
    fuel_limit: i64,
    fuel: i64,
}

impl HostState {
    /// The state at the start of `job`.
    #[must_use]
    pub fn new(job: &Job) -> Self {
        Self {
            input: job.input.clone(),
            input_at: 0,
            args: job.args.clone(),
            env: job
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            closed: [false; 3],
            clock_ns: job.clock.saturating_mul(1_000_000),
            waited_ns: 0,
            random: blake3::Hasher::new_derive_key(RANDOM_CONTEXT)
                .update(&job.seed)
                .finalize_xof(),
            output: Vec::new(),
            output_bytes_max: job.output_limit_bytes as usize,
            stderr: Growing::default(),
            fuel_limit: i64::try_from(job.fuel_limit).unwrap_or(i64::MAX),
            fuel: 0,
        }
    }

    /// What was written to standard output and standard error.
    #[must_use]
    pub fn into_written(self) -> (Vec<u8>, Excerpt) {
        (self.output, self.stderr.into())
    }

    /// Takes over the counter for a call and charges the call itself.
    pub(super) fn enter(&mut self, fuel: i64) -> Result<(), Stop> {
        self.fuel = fuel;
        self.charge(CALL_FUEL)
    }

    /// Gives the counter back.
    pub(super) fn leave(&mut self) -> i64 {
        self.fuel
    }

    fn charge(&mut self, units: i64) -> Result<(), Stop> {
        self.fuel = self.fuel.saturating_sub(units);
        if self.fuel < 0 {
            Err(Stop::OutOfFuel)
        } else {
            Ok(())
        }
    }

    fn charge_each(&mut self, bytes: u64, bytes_per_fuel: u64) -> Result<(), Stop> {
        self.charge(i64::try_from(bytes / bytes_per_fuel).unwrap_or(i64::MAX))
    }

    /// For bytes that the guest gets.
    pub(super) fn charge_bytes(&mut self, bytes: u64) -> Result<(), Stop> {
        self.charge_each(bytes, BYTES_PER_FUEL)
    }

    /// For random bytes.
    pub(super) fn charge_random(&mut self, bytes: u64) -> Result<(), Stop> {
        self.charge_each(bytes, RANDOM_BYTES_PER_FUEL)
    }

    /// For bytes that the guest writes.
    pub(super) fn charge_written(&mut self, bytes: u64) -> Result<(), Stop> {
        self.charge_each(bytes, WRITTEN_BYTES_PER_FUEL)
    }

    pub(super) fn charge_entries(&mut self, entries: u32) -> Result<(), Stop> {
        self.charge(i64::from(entries) * ENTRY_FUEL)
    }

    pub(super) fn realtime_ns(&self) -> u64 {
        self.clock_ns.saturating_add(self.waited_ns)
    }

    pub(super) fn monotonic_ns(&self) -> u64 {
        let used = u64::try_from(self.fuel_limit.saturating_sub(self.fuel)).unwrap_or(0);
        self.waited_ns.saturating_add(used)
    }

    pub(super) fn wait_ns(&mut self, ns: u64) {
        self.waited_ns = self.waited_ns.saturating_add(ns);
    }

    pub(super) fn fill_random(&mut self, bytes: &mut [u8]) {
        self.random.fill(bytes);
    }

    pub(super) fn is_open(&self, descriptor: u32) -> bool {
        self.closed
            .get(descriptor as usize)
            .is_some_and(|closed| !closed)
    }

    /// How many more bytes standard output takes; more is [`Stop::OutputLimit`].
    pub(super) fn check_output(&self, bytes: u64) -> Result<(), Stop> {
        let room = self.output_bytes_max.saturating_sub(self.output.len());
        if bytes > room as u64 {
            Err(Stop::OutputLimit)
        } else {
            Ok(())
        }
    }

    pub(super) fn write_output(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.check_output(bytes.len() as u64)?;
        self.output.extend_from_slice(bytes);
        Ok(())
    }

    /// Keeps the beginning and the end; the guest is not told about the rest.
    pub(super) fn write_stderr(&mut self, bytes: &[u8]) {
        self.stderr.push(bytes);
    }
}

/// Why a WASI call didn't succeed: it answers an error number, or the run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The call answers this error.
    Errno(Errno),
    /// The run ends.
    Stop(Stop),
}

/// WASI error numbers in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Errno {
    Success = 0,
    BadDescriptor = 8,
    Fault = 21,
    Invalid = 28,
    NotSupported = 52,
    NoSeeking = 70,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Fault> for Failure {
    fn from(_: Fault) -> Self {
        Self::Errno(Errno::Fault)
    }
}

/// What a WASI function answers: 0, an error number, or the end of the run.
pub(super) fn answer(result: Result<(), Failure>) -> Result<u32, Stop> {
    match result {
        Ok(()) => Ok(Errno::Success as u32),
        Err(Failure::Errno(errno)) => Ok(errno as u32),
        Err(Failure::Stop(stop)) => Err(stop),
    }
}
