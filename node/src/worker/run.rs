//! One run of a task in the runner process.

use crate::config::{Fault, Settings};
use crate::service::logs::{RunLog, RunLogs};
use crate::service::{ContentError, CoreHandle, Fetcher};
use frith_ledger::address::Address;
use frith_ledger::codec::BoundedBytes;
use frith_ledger::entity::{Bytes, RunStatus, TaskOutcome};
use frith_ledger::units::Fuel;
use frith_tasks::outcome::task_outcome;
use frith_tasks::worker::TaskJob;
use frith_vm::runner::{Cancel, Runner, RunnerConfig};
use frith_vm::{EngineKind, HostError, Job, Outcome};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Seconds of CPU time that a run may have beyond the longest that it may take.
const CPU_MARGIN_S: u64 = 10;

/// Why a run gave no result. Always the host's side; never the program's.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    /// Program or input can't be had.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The machine failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// It took longer than the settings allow.
    #[error(
        "the run took more than the {seconds} s of run_seconds_max and was ended; raise it if this machine may take so long: a result that isn't committed in time is lost all the same"
    )]
    TooLong {
        /// What is allowed.
        seconds: u64,
    },
    /// This build can't run what was asked.
    #[error("this build has no engine number {0}")]
    Engine(u8),
    /// The result can't be kept.
    #[error("the result can't be stored: {0}")]
    Store(String),
    /// The run's thread ended.
    #[error("the run ended without an answer")]
    Lost,
}

/// Runs tasks in processes of their own, several at a time. Cheap to clone.
#[derive(Clone)]
pub struct JobRunner {
    core: CoreHandle,
    fetcher: Fetcher,
    runners: Arc<Runners>,
    run_max: Duration,
    logs: RunLogs,
    fault: Option<Fault>,
}

/// One runner for each slot; a run takes one and gives it back.
struct Runners {
    free: Mutex<Vec<Runner>>,
    /// One for each slot; who has one finds a free runner.
    permits: Arc<Semaphore>,
    slots: u32,
    told: Once,
    told_unkept: Once,
}

/// Ends a run that nobody waits for any more.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Runners {
    fn free(&self) -> MutexGuard<'_, Vec<Runner>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs once how this machine confines the process that runs tasks.
    fn tell_confinement(&self, runner: &Runner) {
        let Some(confinement) = runner.confinement() else {
            return;
        };
        self.told.call_once(|| match confinement.lacks() {
            None => tracing::info!("tasks run behind a filter of system calls and landlock"),
            Some(lacks) => {
                tracing::warn!(lacks, "tasks run with less confinement than there could be")
            }
        });
    }

    /// Logs once that compiled programs can't be kept, which costs time and no result.
    fn tell_unkept(&self, runner: &Runner) {
        if let Some(reason) = runner.unkept() {
            self.told_unkept.call_once(|| {
                tracing::warn!(
                    reason,
                    "programs are compiled for every run: none can be kept"
                );
            });
        }
    }
}

impl JobRunner {
    /// A runner with the settings' bounds; compiled programs are kept in `cache`, what runs write to standard error in `logs`.
    ///
    /// # Errors
    /// The cache's directory can't be used, or this program's own path isn't known.
    pub fn new(
        core: CoreHandle,
        fetcher: Fetcher,
        settings: &Settings,
        cache: &Path,
        (logs, fault): (RunLogs, Option<Fault>),
    ) -> Result<Self, HostError> {
        let mut config = runner_config(cache, settings.runner_memory_mib, settings.runner_nice)?;
        // The clock ends a run before; this is for one whose node is gone.
        config.cpu.seconds_max = settings.run_seconds_max.saturating_add(CPU_MARGIN_S);
        if settings.disk_mib_max > 0 {
            // A quarter of the quota at the most.
            config.cache_bytes_max = config.cache_bytes_max.min(settings.disk_mib_max << 18);
        }
        let slots = usize::from(settings.slots);
        let free = (0..slots)
            .map(|_| Runner::new(config.clone()))
            .collect::<Result<_, _>>()?;
        let runners = Arc::new(Runners {
            free: Mutex::new(free),
            permits: Arc::new(Semaphore::new(slots)),
            slots: u32::from(settings.slots),
            told: Once::new(),
            told_unkept: Once::new(),
        });
        Ok(Self {
            core,
            fetcher,
            runners,
            run_max: Duration::from_secs(settings.run_seconds_max),
            logs,
            fault,
        })
    }

    /// Runs a task once, for the place of the worker at `seat`.
    ///
    /// # Errors
    /// [`RunFailure`]: try again later.
    pub async fn run(
        &self,
        seat: Address,
        task: Address,
        job: TaskJob,
    ) -> Result<TaskOutcome, RunFailure> {
        if self.fault == Some(Fault::Lazy) {
            return Ok(guess());
        }
        let engine = EngineKind::from_number(job.engine)
            .filter(|engine| EngineKind::AVAILABLE.contains(engine))
            .ok_or(RunFailure::Engine(job.engine))?;
        let program = self.fetcher.get(job.program, None, Vec::new()).await?;
        let input = match &job.input {
            Bytes::Inline(inline) => inline.to_vec(),
            Bytes::Content { id, len } => self.fetcher.get(*id, Some(*len), Vec::new()).await?,
        };
        let run = self
            .in_process(engine, program, vm_job(&job, input))
            .await?;
        let outcome = task_outcome(&run);
        let log = RunLog {
            seat,
            engine: job.engine,
            status: outcome.status,
            fuel: outcome.fuel,
            stderr: run.stderr,
        };
        self.logs.keep(task, log, Instant::now());
        if self.fault == Some(Fault::WrongResult) {
            return Ok(spoil(outcome));
        }
        if let Bytes::Content { id, .. } = &outcome.output {
            let stored = self
                .core
                .put_content(*id, run.output)
                .await
                .map_err(|_| RunFailure::Lost)?;
            stored.map_err(RunFailure::Store)?;
        }
        Ok(outcome)
    }

    /// Runs it in a process, which is killed when this is dropped.
    async fn in_process(
        &self,
        engine: EngineKind,
        program: Vec<u8>,
        job: Job,
    ) -> Result<Outcome, RunFailure> {
        let permits = Arc::clone(&self.runners.permits);
        let permit = permits.acquire_owned().await;
        let permit = permit.map_err(|_| RunFailure::Lost)?;
        let runner = self.runners.free().pop().ok_or(RunFailure::Lost)?;
        let runners = Arc::clone(&self.runners);
        let ends = CancelOnDrop(Cancel::default());
        let cancel = ends.0.clone();
        let mut run = tokio::task::spawn_blocking(move || {
            let result = runner.run_until(engine, &program, &job, &cancel);
            runners.tell_confinement(&runner);
            runners.tell_unkept(&runner);
            runners.free().push(runner);
            // Not before: the next run finds the runner.
            drop(permit);
            result
        });
        // The end of the time kills the process; the task's next run begins anew.
        tokio::select! {
            done = &mut run => return Ok(done.map_err(|_| RunFailure::Lost)??),
            () = tokio::time::sleep(self.run_max) => ends.0.cancel(),
        }
        // A run that ended in the same moment has its result; every other was ended by this.
        let seconds = self.run_max.as_secs();
        let ended = run.await.map_err(|_| RunFailure::Lost)?;
        ended.map_err(|_| RunFailure::TooLong { seconds })
    }

    /// Waits until the runs that nobody waits for any more have ended, and ends the idle processes. No run begins
    /// afterwards.
    pub async fn stop(&self) {
        if let Ok(all) = self.runners.permits.acquire_many(self.runners.slots).await {
            all.forget();
        }
        let idle = std::mem::take(&mut *self.runners.free());
        // Each is killed and waited for.
        let _ended = tokio::task::spawn_blocking(move || drop(idle)).await;
    }
}

/// How runner processes are started: this program again, as [`crate::VM_RUNNER`].
///
/// # Errors
/// This program's own path isn't known.
pub(crate) fn runner_config(
    cache: &Path,
    memory_mib: u64,
    nice: u8,
) -> Result<RunnerConfig, HostError> {
    let program = std::env::current_exe().map_err(|source| HostError::Io {
        doing: "finding this program",
        source,
    })?;
    let mut config = RunnerConfig::new(
        program,
        vec![crate::VM_RUNNER.to_owned(), nice.to_string()],
        cache.to_owned(),
    );
    config.resources.data_bytes = memory_mib << 20;
    Ok(config)
}

/// What the machine is asked to run.
pub(crate) fn vm_job(job: &TaskJob, input: Vec<u8>) -> Job {
    Job {
        input,
        args: job.arguments.clone(),
        env: job.environment.clone(),
        clock: job.clock_ms,
        seed: job.seed.0,
        fuel_limit: job.fuel_max.get(),
        memory_limit_pages: job.memory_pages,
        output_limit_bytes: job.output_max,
    }
}

/// Lets others go first, as much as the argument after [`crate::VM_RUNNER`] says. For the runner process itself.
pub fn give_way(nice: Option<std::ffi::OsString>) {
    let nice = nice
        .and_then(|text| text.to_str()?.parse::<i32>().ok())
        .unwrap_or(0);
    // Whoever refuses it runs with the niceness of its parent: slower for others, never wrong.
    let _refused = rustix::process::setpriority_process(None, nice);
}

/// The fault `lazy`: what nobody ran gave nothing, for nothing.
fn guess() -> TaskOutcome {
    TaskOutcome {
        status: RunStatus::Exit(0),
        fuel: Fuel::new(0),
        output: Bytes::Inline(BoundedBytes::default()),
    }
}

/// The fault `wrong-result`: another output, with the same status and fuel.
fn spoil(mut outcome: TaskOutcome) -> TaskOutcome {
    let mut bytes = match outcome.output {
        Bytes::Inline(inline) => inline.into_inner(),
        Bytes::Content { .. } => Vec::new(),
    };
    match bytes.first_mut() {
        Some(first) => *first ^= 0xff,
        None => bytes.push(b'?'),
    }
    outcome.output = Bytes::Inline(BoundedBytes::try_from(bytes).unwrap_or_default());
    outcome
}
