//! What the worker does after every commit.

use super::run::{JobRunner, RunFailure};
use crate::config::{Fault, Settings};
use crate::service::logs::RunLogs;
use crate::service::{CoreError, CoreHandle, Fetcher, seat_of};
use frith_ledger::address::Address;
use frith_ledger::entity::Entity;
use frith_ledger::key::SecretKey;
use frith_ledger::operation::{Operation, OperationId, WorkerOperation};
use frith_ledger::units::{Epoch, Height};
use frith_tasks::LeafState;
use frith_tasks::worker::{RunResult, TaskJob, WorkerIdentity, WorkerStep, open_tasks, plan};
use frith_vm::HostError;
use parity_scale_codec::Encode as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;

/// Blocks after which an operation that isn't executed yet is submitted again.
pub(super) const RESUBMIT_HEIGHTS: u64 = 16;
/// First pause after a failed run; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(500);
/// Longest pause after a failed run.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Epochs for which the fault `slow` holds a result back.
const SLOW_EPOCHS: u64 = 2;

/// What a worker needs.
pub struct WorkerConfig {
    /// The core.
    pub core: CoreHandle,
    /// Brings programs and inputs.
    pub fetcher: Fetcher,
    /// The worker's key.
    pub key: SecretKey,
    /// A misbehaviour, for demonstrations.
    pub fault: Option<Fault>,
    /// Bounds.
    pub settings: Settings,
    /// Where compiled programs are kept.
    pub cache: PathBuf,
    /// Where standard error of runs is kept.
    pub logs: RunLogs,
}

/// A run that failed, and when it is tried again.
struct Retry {
    at: Instant,
    pause: Duration,
}

/// The worker of one key.
pub struct Worker {
    core: CoreHandle,
    runner: JobRunner,
    key: SecretKey,
    fault: Option<Fault>,
    slots: usize,
    results: BTreeMap<Address, RunResult>,
    held_back: BTreeMap<Address, (Epoch, RunResult)>,
    running: BTreeMap<Address, AbortHandle>,
    retries: BTreeMap<Address, Retry>,
    submitted: BTreeMap<OperationId, Height>,
    jobs: JoinSet<Result<RunResult, RunFailure>>,
    logs: RunLogs,
}

impl Worker {
    /// A worker that has run nothing yet.
    ///
    /// # Errors
    /// The cache of compiled programs can't be used.
    pub fn new(config: WorkerConfig) -> Result<Self, HostError> {
        let WorkerConfig {
            core,
            fetcher,
            key,
            fault,
            settings,
            cache,
            logs,
        } = config;
        Ok(Self {
            runner: JobRunner::new(
                core.clone(),
                fetcher,
                &settings,
                &cache,
                (logs.clone(), fault),
            )?,
            logs,
            core,
            key,
            fault,
            slots: usize::from(settings.slots),
            results: BTreeMap::new(),
            held_back: BTreeMap::new(),
            running: BTreeMap::new(),
            retries: BTreeMap::new(),
            submitted: BTreeMap::new(),
            jobs: JoinSet::new(),
        })
    }

    /// Works until `ending` becomes true or the core is gone. Runs under way are killed then; when this returns, no
    /// process runs a task any more.
    pub async fn run(mut self, ending: watch::Receiver<bool>) {
        self.work(ending).await;
        self.jobs.shutdown().await;
        self.runner.stop().await;
    }

    async fn work(&mut self, mut ending: watch::Receiver<bool>) {
        let mut progress = self.core.progress();
        loop {
            progress.borrow_and_update();
            if self.step().await.is_err() {
                return;
            }
            let retry = self.retries.values().map(|retry| retry.at).min();
            tokio::select! {
                changed = progress.changed() => if changed.is_err() { return },
                () = ended(&mut ending) => return,
                Some(done) = self.jobs.join_next_with_id(), if !self.jobs.is_empty() => {
                    self.finished(done).await;
                }
                () = at(retry), if retry.is_some() => {}
            }
        }
    }

    /// A run is over: it finished, was given up, or broke.
    async fn finished(
        &mut self,
        done: Result<(tokio::task::Id, Result<RunResult, RunFailure>), JoinError>,
    ) {
        let (id, result) = done.unwrap_or_else(|error| (error.id(), Err(RunFailure::Lost)));
        let mut running = self.running.iter();
        // One that was given up isn't there any more.
        let Some(task) = running.find_map(|(task, run)| (run.id() == id).then_some(*task)) else {
            return;
        };
        self.running.remove(&task);
        self.core.counters().running.set(self.running.len() as u64);
        match result {
            Ok(run) => {
                let outcome = &run.outcome;
                tracing::info!(%task, engine = run.engine, status = ?outcome.status, fuel = %outcome.fuel, "task run");
                self.core.counters().runs.add(1);
                self.retries.remove(&task);
                self.core.counters().failing.set(self.retries.len() as u64);
                if self.fault == Some(Fault::Slow) {
                    let now = self
                        .core
                        .query(|node| node.epoch())
                        .await
                        .unwrap_or_default();
                    self.held_back.insert(task, (now.plus(SLOW_EPOCHS), run));
                } else {
                    self.results.insert(task, run);
                }
            }
            Err(error) => {
                self.core.counters().runs_failed.add(1);
                let pause = self
                    .retries
                    .get(&task)
                    .map_or(RETRY_MIN, |retry| (retry.pause * 2).min(RETRY_MAX));
                tracing::warn!(%task, %error, pause_ms = pause.as_millis(), "a run failed on this machine; tried again later");
                self.retries.insert(
                    task,
                    Retry {
                        at: Instant::now() + pause,
                        pause,
                    },
                );
                self.core.counters().failing.set(self.retries.len() as u64);
            }
        }
    }

    async fn step(&mut self) -> Result<(), CoreError> {
        let (state, epoch, height) = self
            .core
            .query(|node| (node.state().clone(), node.epoch(), node.head()))
            .await?;
        let Some((seat, _)) = seat_of(&state, &self.key.public()) else {
            self.give_up_but(&BTreeSet::new());
            return Ok(());
        };
        self.forget(&state, epoch);
        self.logs.expire(Instant::now());
        let me = WorkerIdentity {
            seat,
            key: self.key.clone(),
        };
        self.give_up_but(&open_tasks(&state, &me));
        let running = self.running.keys().copied().collect();
        let steps = plan(&state, self.core.rules(), &me, &self.results, &running);
        for step in steps {
            match step {
                WorkerStep::Run { task, job } => self.start(seat, task, *job),
                WorkerStep::Submit(operation) => self.submit(*operation, height).await?,
            }
        }
        Ok(())
    }

    /// Kills the runs of all tasks but these: nobody takes their results any more.
    fn give_up_but(&mut self, open: &BTreeSet<Address>) {
        self.running.retain(|task, run| {
            let wanted = open.contains(task);
            if !wanted {
                tracing::info!(%task, "the time for this task's result is over: its run is ended");
                run.abort();
            }
            wanted
        });
        self.core.counters().running.set(self.running.len() as u64);
    }

    /// Drops what belongs to tasks that ended, and lets go of what was held back.
    fn forget(&mut self, state: &LeafState, epoch: Epoch) {
        let is_open = |task: &Address| match state.entity(task) {
            Some(Entity::Task(task)) => !frith_tasks::unpaid::is_over(&task),
            _ => false,
        };
        self.results.retain(|task, _| is_open(task));
        self.retries.retain(|task, _| is_open(task));
        self.core.counters().failing.set(self.retries.len() as u64);
        for (task, (until, run)) in std::mem::take(&mut self.held_back) {
            if until <= epoch {
                self.results.insert(task, run);
            } else {
                self.held_back.insert(task, (until, run));
            }
        }
    }

    fn start(&mut self, seat: Address, task: Address, job: TaskJob) {
        let waits = self
            .retries
            .get(&task)
            .is_some_and(|retry| retry.at > Instant::now());
        let known = self.running.contains_key(&task) || self.held_back.contains_key(&task);
        if self.fault == Some(Fault::Silent) || waits || known || self.running.len() >= self.slots {
            return;
        }
        let runner = self.runner.clone();
        let engine = job.engine;
        let run = async move {
            let outcome = runner.run(seat, task, job).await;
            outcome.map(|outcome| RunResult { engine, outcome })
        };
        let run = self.jobs.spawn(run);
        self.running.insert(task, run);
        self.core.counters().running.set(self.running.len() as u64);
    }

    /// Submits an operation, and again when it wasn't executed for a while.
    async fn submit(
        &mut self,
        operation: WorkerOperation,
        height: Height,
    ) -> Result<(), CoreError> {
        let operation = Operation::Worker(operation);
        let id = operation.id();
        self.submitted
            .retain(|_, at| at.plus(RESUBMIT_HEIGHTS) > height);
        if self.submitted.contains_key(&id) {
            return Ok(());
        }
        match self.core.submit(operation.encode()).await? {
            Ok(_) => {
                self.submitted.insert(id, height);
            }
            // The next commit asks again.
            Err(error) => {
                tracing::warn!(operation = %id, %error, "an operation of the worker was refused")
            }
        }
        Ok(())
    }
}

/// Ends when the node is asked to, or nobody can ask any more.
async fn ended(ending: &mut watch::Receiver<bool>) {
    let _sender_gone = ending.wait_for(|ending| *ending).await.is_err();
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
