//! The parent's side: children, their jobs, and killing them.

use std::io::{BufReader, BufWriter};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cache::{Cache, Id};
use super::cancel::Cancel;
use super::cpu::{CpuAllowance, CpuTime};
use super::protocol::{Artifact, CUT_SHORT, Request, Resources, Response, receive, send};
use super::sandbox::Confinement;
use super::spawner;
use crate::engine::EngineKind;
use crate::job::{FUEL_LIMIT_MAX, HostError, Job, Outcome};
use crate::limits::Limits;

/// How a [`Runner`] starts its processes and where it keeps compiled modules.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// The program whose `main` calls [`super::main`] first, when started with `arguments`.
    pub program: PathBuf,
    /// Arguments that make it a runner.
    pub arguments: Vec<String>,
    /// Directory of compiled modules; this user's own, made if missing. `None`: none are kept.
    pub cache_directory: Option<PathBuf>,
    /// Bytes that compiled modules may take there.
    pub cache_bytes_max: u64,
    /// Static limits of modules; the same on all nodes.
    pub limits: Limits,
    /// What a process may use.
    pub resources: Resources,
    /// What of a process's CPU time one job may use.
    pub cpu: CpuAllowance,
    /// Jobs that a process runs before a new one takes its place.
    pub jobs_per_process: u32,
}

impl RunnerConfig {
    /// The defaults: 1 GiB of compiled modules, 32 jobs a process.
    #[must_use]
    pub fn new(program: PathBuf, arguments: Vec<String>, cache_directory: PathBuf) -> Self {
        Self {
            program,
            arguments,
            cache_directory: Some(cache_directory),
            cache_bytes_max: 1 << 30,
            limits: Limits::default(),
            resources: Resources::default(),
            cpu: CpuAllowance::default(),
            jobs_per_process: 32,
        }
    }
}

/// Runs jobs one after another in child processes. Blocking; for parallel jobs have several, on one directory.
#[derive(Debug)]
pub struct Runner {
    config: RunnerConfig,
    cache: Option<Cache>,
    warm: Mutex<Option<Process>>,
    current: KillHandle,
    confinement: Mutex<Option<Confinement>>,
    unkept: Mutex<Option<String>>,
}

/// Kills the process that works for a [`Runner`] at the moment, if there is one; to end a job for good, whichever process it
/// is in, there is [`Cancel`]. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct KillHandle(Arc<Mutex<Option<Child>>>);

impl KillHandle {
    /// Kills the process. The job that runs, if one does, ends with [`HostError::RunnerEnded`].
    pub fn kill(&self) {
        if let Some(child) = self.lock().as_mut() {
            // It may have ended by itself.
            let _ = child.kill();
        }
    }

    /// The process id of the child, if one is running.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.lock().as_ref().map(Child::id)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the child that is no longer wanted, and says how it ended.
    fn reap(&self) -> String {
        match self.lock().take() {
            Some(mut child) => {
                let _ = child.kill();
                child
                    .wait()
                    .map_or_else(|error| error.to_string(), how_ended)
            }
            None => "already ended".to_owned(),
        }
    }
}

/// How a child ended, in words.
fn how_ended(status: ExitStatus) -> String {
    if status.signal() == Some(rustix::process::Signal::XCPU.as_raw()) {
        return format!("{status}: it used all the CPU time that its fuel may take");
    }
    status.to_string()
}

/// One call of [`Runner::run_until`].
struct Run<'a> {
    engine: EngineKind,
    id: Id,
    wasm: &'a [u8],
    job: &'a Job,
    cancel: &'a Cancel,
}

/// A child process with its pipes.
#[derive(Debug)]
struct Process {
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
    cpu: CpuTime,
    jobs: u32,
    loaded: Option<(EngineKind, Id)>,
}

impl Runner {
    /// A runner; no process is started yet.
    ///
    /// # Errors
    ///
    /// [`HostError::Io`] when the directory of compiled modules can't be used.
    pub fn new(config: RunnerConfig) -> Result<Self, HostError> {
        let directory = config.cache_directory.as_deref();
        let cache = directory.map(|directory| Cache::open(directory, config.cache_bytes_max));
        let cache = cache.transpose()?;
        Ok(Self {
            config,
            cache,
            warm: Mutex::new(None),
            current: KillHandle::default(),
            confinement: Mutex::new(None),
            unkept: Mutex::new(None),
        })
    }

    /// Why the module that was compiled last could not be kept: it is compiled again the next time. `None` when it was.
    #[must_use]
    pub fn unkept(&self) -> Option<String> {
        self.unkept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What kills the job that runs.
    #[must_use]
    pub fn kill_handle(&self) -> KillHandle {
        self.current.clone()
    }

    /// How the process that was started last is confined; none before the first.
    #[must_use]
    pub fn confinement(&self) -> Option<Confinement> {
        *self
            .confinement
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Validates, meters, compiles (or finds compiled) and runs a module. Blocks; other calls wait.
    ///
    /// # Errors
    ///
    /// [`HostError`] when a process fails or is killed, or the disk does. A refused module is an outcome.
    pub fn run(&self, engine: EngineKind, wasm: &[u8], job: &Job) -> Result<Outcome, HostError> {
        self.run_until(engine, wasm, job, &Cancel::default())
    }

    /// The same, for a job that can be ended by `cancel`.
    ///
    /// # Errors
    ///
    /// As [`Runner::run`], and [`HostError::Cancelled`].
    pub fn run_until(
        &self,
        engine: EngineKind,
        wasm: &[u8],
        job: &Job,
        cancel: &Cancel,
    ) -> Result<Outcome, HostError> {
        if job.fuel_limit > FUEL_LIMIT_MAX {
            return Err(HostError::FuelLimit {
                asked: job.fuel_limit,
            });
        }
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        let _begun = cancel.begin(&self.current)?;
        let run = Run {
            engine,
            id: Id::new(engine, &self.config.limits, wasm),
            wasm,
            job,
            cancel,
        };
        match self.run_one(&mut warm, &run) {
            // Its process was killed, whatever that looks like from here.
            Err(_) if cancel.is_cancelled() => Err(HostError::Cancelled),
            result => result,
        }
    }

    fn run_one(&self, warm: &mut Option<Process>, run: &Run<'_>) -> Result<Outcome, HostError> {
        if !self.can_serve(warm.as_mut(), run.job) {
            self.retire(warm);
        }
        let is_loaded = warm
            .as_ref()
            .is_some_and(|process| process.loaded == Some((run.engine, run.id)));
        let mut artifact = match &self.cache {
            Some(cache) if !is_loaded => cache.get(run.id),
            _ => None,
        };
        let mut fresh = false;
        if artifact.is_none() && !is_loaded {
            self.retire(warm);
            artifact = match self.compile(run)? {
                Ok(artifact) => Some(artifact),
                Err(outcome) => return Ok(outcome),
            };
            fresh = true;
        }
        match self.run_artifact(warm, run, artifact) {
            Err(HostError::Artifact { .. }) if !fresh => {
                // Of another version of the engine, most likely.
                if let Some(cache) = &self.cache {
                    cache.remove(run.id);
                }
                self.retire(warm);
                match self.compile(run)? {
                    Ok(artifact) => self.run_artifact(warm, run, Some(artifact)),
                    Err(outcome) => Ok(outcome),
                }
            }
            result => result,
        }
    }

    /// Whether the child, if there is one, lives and has CPU time left for the job, which it then may use.
    fn can_serve(&self, warm: Option<&mut Process>, job: &Job) -> bool {
        let seconds = self.config.cpu.of_job(job);
        let lives = |child: &mut Child| matches!(child.try_wait(), Ok(None));
        let lives = self.current.lock().as_mut().is_some_and(lives);
        lives && warm.is_some_and(|process| process.cpu.allow(seconds).unwrap_or(false))
    }

    /// Ends the warm process.
    fn retire(&self, warm: &mut Option<Process>) {
        if warm.take().is_some() {
            self.current.reap();
        }
    }

    /// Compiles in a process that ends afterwards, and keeps the result.
    fn compile(&self, run: &Run<'_>) -> Result<Result<Artifact, Outcome>, HostError> {
        let mut process = self.start(self.config.cpu.of_job(run.job), run.cancel)?;
        let request = Request::Compile {
            engine: run.engine,
            limits: self.config.limits.clone(),
            wasm: run.wasm.to_vec(),
            fuel_limit: run.job.fuel_limit,
            memory_limit_pages: run.job.memory_limit_pages,
        };
        let response = self.ask(&mut process, &request);
        drop(process);
        self.current.reap();
        match response? {
            Response::Compiled(artifact) => {
                // A full disk is no reason not to run what has been compiled.
                let kept = self
                    .cache
                    .as_ref()
                    .map(|cache| cache.put(run.id, &artifact));
                *self.unkept.lock().unwrap_or_else(PoisonError::into_inner) =
                    kept.and_then(Result::err).map(|error| error.to_string());
                Ok(Ok(artifact))
            }
            Response::Refused(refusal) => Ok(Err(Outcome::refused(&refusal))),
            Response::Done(outcome) if is_possible(&outcome, run.job) => Ok(Err(outcome)),
            Response::Failed(reason) | Response::BadArtifact(reason) => {
                Err(HostError::Runner { reason })
            }
            Response::Ready(_) | Response::Done(_) => Err(HostError::Protocol {
                reason: "unexpected answer",
            }),
        }
    }

    fn run_artifact(
        &self,
        warm: &mut Option<Process>,
        run: &Run<'_>,
        module: Option<Artifact>,
    ) -> Result<Outcome, HostError> {
        let mut process = match warm.take() {
            // It may use what the job needs already.
            Some(process) => process,
            None => self.start(self.config.cpu.of_job(run.job), run.cancel)?,
        };
        let request = Request::Run {
            engine: run.engine,
            module,
            job: Box::new(run.job.clone()),
        };
        let response = self.ask(&mut process, &request);
        process.jobs += 1;
        process.loaded = Some((run.engine, run.id));
        let keep = matches!(response, Ok(Response::Done(_)))
            && process.jobs < self.config.jobs_per_process;
        if keep {
            *warm = Some(process);
        } else {
            drop(process);
            self.current.reap();
        }
        match response? {
            Response::Done(outcome) if is_possible(&outcome, run.job) => Ok(outcome),
            Response::Done(_) => {
                self.retire(warm);
                Err(HostError::Protocol {
                    reason: "an outcome beyond the job's limits",
                })
            }
            Response::BadArtifact(reason) => Err(HostError::Artifact { reason }),
            Response::Failed(reason) => Err(HostError::Runner { reason }),
            _ => Err(HostError::Protocol {
                reason: "unexpected answer",
            }),
        }
    }

    /// Starts a child, has it set its limits, and lets it use so many seconds of CPU time, or what a process may in all.
    fn start(&self, seconds: u64, cancel: &Cancel) -> Result<Process, HostError> {
        let mut command = Command::new(&self.config.program);
        command
            .args(&self.config.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = spawner::spawn(command).map_err(|source| HostError::Io {
            doing: "starting the runner process",
            source,
        })?;
        let id = child.id();
        let pipes = child.stdin.take().zip(child.stdout.take());
        *self.current.lock() = Some(child);
        // Who cancelled before this child was there couldn't kill it.
        if cancel.is_cancelled() {
            self.current.reap();
            return Err(HostError::Cancelled);
        }
        let process = pipes
            .ok_or(HostError::Protocol { reason: "no pipes" })
            .and_then(|pipes| self.set_up(id, pipes, seconds));
        if process.is_err() {
            self.current.reap();
        }
        process
    }

    /// Has a new child set its limits, and limits its CPU time from outside.
    fn set_up(
        &self,
        child: u32,
        (input, output): (ChildStdin, ChildStdout),
        seconds: u64,
    ) -> Result<Process, HostError> {
        let limiting = |source| HostError::Io {
            doing: "limiting the runner's CPU time",
            source,
        };
        let mut process = Process {
            input: BufWriter::new(input),
            output: BufReader::new(output),
            cpu: CpuTime::of(child, &self.config.resources).map_err(limiting)?,
            jobs: 0,
            loaded: None,
        };
        let limits = Request::Setup(self.config.resources.clone());
        match self.ask(&mut process, &limits)? {
            Response::Ready(confinement) => {
                *self
                    .confinement
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(confinement);
                // A process that may use less than this in all has that.
                process.cpu.allow(seconds).map_err(limiting)?;
                Ok(process)
            }
            Response::Failed(reason) => Err(HostError::Runner { reason }),
            _ => Err(HostError::Protocol {
                reason: "unexpected answer",
            }),
        }
    }

    /// One request and its answer; an ended child is [`HostError::RunnerEnded`].
    fn ask(&self, process: &mut Process, request: &Request) -> Result<Response, HostError> {
        let answer = send(&mut process.input, request).and_then(|()| receive(&mut process.output));
        match answer {
            Ok(Some(response)) => Ok(response),
            Ok(None) | Err(HostError::Io { .. } | HostError::Protocol { reason: CUT_SHORT }) => {
                Err(HostError::RunnerEnded {
                    how: self.current.reap(),
                })
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.current.reap();
    }
}

/// Whether an honest child could have answered this.
fn is_possible(outcome: &Outcome, job: &Job) -> bool {
    outcome.fuel <= job.fuel_limit
        && outcome.output.len() <= job.output_limit_bytes as usize
        && outcome.stderr.is_possible()
}
