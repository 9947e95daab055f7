//! What a worker does next: a pure function of the committed state.
//!
//! Nothing has to be remembered: the salt of a commitment comes from the worker's secret and the task,
//! and a result that was lost is found again by running the task again. So a worker that crashed goes on
//! where the ledger says that it stands.

use crate::quote::quote;
use crate::rules::Rules;
use crate::runtime::{LeafState, Role};
use frith_ledger::address::Address;
use frith_ledger::entity::{
    Bytes, ContentId, Entity, PlaceState, Task, TaskOutcome, TaskState, Worker,
};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::key::{PublicKey, SecretKey};
use frith_ledger::operation::{WorkerAction, WorkerBody, WorkerOperation, result_commitment};
use frith_ledger::units::{Epoch, Fuel};
use std::collections::{BTreeMap, BTreeSet};

/// Name of the program as it sees it: its first argument.
pub const PROGRAM_NAME: &str = "task";

/// Who works.
#[derive(Debug, Clone)]
pub struct WorkerIdentity {
    /// Where its Worker entity is.
    pub seat: Address,
    /// Its key.
    pub key: SecretKey,
}

/// Something for the worker to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerStep {
    /// Run this program and keep the outcome.
    Run {
        /// The task.
        task: Address,
        /// What to run.
        job: Box<TaskJob>,
    },
    /// Send this operation.
    Submit(Box<WorkerOperation>),
}

/// What a run of a task gave, and on which engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunResult {
    /// The engine; what the worker is drawn for later may be another.
    pub engine: u8,
    /// What came out.
    pub outcome: TaskOutcome,
}

/// A run of a task's program: everything that the program can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskJob {
    /// The module.
    pub program: ContentId,
    /// Its size in bytes.
    pub program_len: u32,
    /// Standard input.
    pub input: Bytes,
    /// Arguments, [`PROGRAM_NAME`] first.
    pub arguments: Vec<String>,
    /// Environment.
    pub environment: Vec<(String, String)>,
    /// The guest's clock, in ms since the Unix epoch.
    pub clock_ms: u64,
    /// Seed of the guest's randomness.
    pub seed: Hash,
    /// Most fuel.
    pub fuel_max: Fuel,
    /// Most memory, in 64 KiB pages.
    pub memory_pages: u32,
    /// Most bytes of standard output.
    pub output_max: u32,
    /// The engine that it was drawn for.
    pub engine: u8,
}

impl TaskJob {
    /// The run of `task` on `engine`. The clock stands at the time of the record that drew it first.
    #[must_use]
    pub fn new(task: &Task, engine: u8) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let spec = &task.spec;
        let mut arguments = vec![PROGRAM_NAME.to_owned()];
        arguments.extend(spec.arguments.iter().map(|argument| text(argument)));
        let environment = spec.environment.iter().map(|entry| {
            let entry = text(entry);
            entry.split_once('=').map_or_else(
                || (entry.clone(), String::new()),
                |(n, v)| (n.to_owned(), v.to_owned()),
            )
        });
        Self {
            program: spec.program,
            program_len: spec.program_len,
            input: spec.input.clone(),
            arguments,
            environment: environment.collect(),
            clock_ms: task.clock.get(),
            seed: task.seed,
            fuel_max: spec.fuel_max,
            memory_pages: spec.memory_pages,
            output_max: spec.result_max,
            engine,
        }
    }
}

/// The salt of a worker's commitment to a task.
#[must_use]
pub fn salt(key: &SecretKey, task: &Address) -> [u8; 32] {
    Domain::ResultSalt
        .hasher()
        .update(&*key.to_bytes())
        .update(&task.0)
        .finish()
        .0
}

/// What the worker should do now, by task: run what it was drawn for, commit, reveal, decide.
///
/// `results` holds outcomes of runs so far, `running` the tasks that run already. A party of a dispute that becomes
/// its arbitrator may be drawn for another engine; it runs the task again then. Calling it again before
/// its operations are executed gives the same operations again: their effect is one. Cost: the open jobs
/// of the seat.
#[must_use]
pub fn plan(
    state: &LeafState,
    rules: &Rules,
    me: &WorkerIdentity,
    results: &BTreeMap<Address, RunResult>,
    running: &BTreeSet<Address>,
) -> Vec<WorkerStep> {
    let step = |turn: OpenTurn| {
        let OpenTurn {
            address,
            role,
            task,
            engine,
        } = turn;
        match results.get(&address).filter(|run| run.engine == engine) {
            Some(run) => action(rules, me, &address, &task, &run.outcome, role).map(|action| {
                let body = WorkerBody {
                    genesis: rules.hash,
                    seat: me.seat,
                    task: address,
                    action,
                };
                WorkerStep::Submit(Box::new(WorkerOperation::sign(body, &me.key)))
            }),
            None if running.contains(&address) => None,
            None => Some(WorkerStep::Run {
                task: address,
                job: Box::new(TaskJob::new(&task, engine)),
            }),
        }
    };
    open_turns(state, me).into_iter().filter_map(step).collect()
}

/// The tasks whose outcome the ledger still takes from this worker: a run of any other is for nothing. Cost: the open
/// jobs of the seat.
#[must_use]
pub fn open_tasks(state: &LeafState, me: &WorkerIdentity) -> BTreeSet<Address> {
    let turns = open_turns(state, me).into_iter();
    turns.map(|turn| turn.address).collect()
}

/// A task that waits for something of this worker.
struct OpenTurn {
    address: Address,
    role: Role,
    task: Box<Task>,
    engine: u8,
}

/// Where it is this worker's turn, in the order of its jobs.
fn open_turns(state: &LeafState, me: &WorkerIdentity) -> Vec<OpenTurn> {
    let Some(Entity::Worker(worker)) = state.entity(&me.seat) else {
        return Vec::new();
    };
    let key = me.key.public();
    if !worker.acts_with(&key) {
        return Vec::new();
    }
    let turn = Turn {
        epoch: state.epoch(),
        seat: &me.seat,
        key: &key,
    };
    let open = |(address, role): (Address, Role)| {
        let Some(Entity::Task(task)) = state.entity(&address) else {
            return None;
        };
        let engine = engine(&task, &me.seat, role)?;
        let is_open = turn.is_open(&task, &worker, &address, role);
        is_open.then_some(OpenTurn {
            address,
            role,
            task,
            engine,
        })
    };
    state
        .jobs_of(&me.seat)
        .into_iter()
        .filter_map(open)
        .collect()
}

/// The open jobs of a seat that are this key's, by task: what was drawn for another key of the worker is
/// that key's. Cost: the open jobs of the seat.
#[must_use]
pub fn jobs_of_key(state: &LeafState, seat: &Address, key: &PublicKey) -> Vec<(Address, Role)> {
    let mine = |task: &Task| match &task.state {
        TaskState::Arbitrating { arbitrators, .. } => {
            let mut arbitrators = arbitrators.iter();
            arbitrators.any(|own| own.seat == *seat && own.key == *key)
        }
        _ => {
            let mut places = task.places.iter();
            places.any(|place| place.seat == *seat && place.key == *key)
        }
    };
    let mut jobs = state.jobs_of(seat);
    jobs.retain(
        |(address, _)| matches!(state.entity(address), Some(Entity::Task(task)) if mine(&task)),
    );
    jobs
}

/// The engine that the seat was drawn for in this role.
fn engine(task: &Task, seat: &Address, role: Role) -> Option<u8> {
    match (&task.state, role) {
        (TaskState::Arbitrating { arbitrators, .. }, Role::Arbitrator) => {
            let mut arbitrators = arbitrators.iter();
            arbitrators
                .find(|arbitrator| arbitrator.seat == *seat)
                .map(|arbitrator| arbitrator.engine)
        }
        _ => {
            let mut places = task.places.iter();
            places
                .find(|place| place.seat == *seat && place.state != PlaceState::NoShow)
                .map(|place| place.engine)
        }
    }
}

/// Who asks whether something is to be done, and when. What was drawn for another key of the worker isn't.
struct Turn<'a> {
    epoch: Epoch,
    seat: &'a Address,
    key: &'a PublicKey,
}

impl Turn<'_> {
    /// Whether it is this key's turn and the time isn't over.
    fn is_open(&self, task: &Task, worker: &Worker, address: &Address, role: Role) -> bool {
        let epoch = self.epoch;
        match role {
            Role::Drawn { .. } => task.places.iter().any(|place| {
                place.seat == *self.seat
                    && place.key == *self.key
                    && place.state == PlaceState::Drawn
                    && epoch <= place.commit_until
            }),
            Role::Committed => worker.open.iter().any(|open| {
                open.task == *address
                    && open.key == *self.key
                    && !open.revealed
                    && open.reveal_until.is_some_and(|until| epoch <= until)
            }),
            Role::Arbitrator => match &task.state {
                TaskState::Arbitrating { until, arbitrators } => {
                    let mut own = arbitrators.iter().filter(|own| own.seat == *self.seat);
                    epoch <= *until && own.any(|own| own.key == *self.key)
                }
                _ => false,
            },
        }
    }
}

fn action(
    rules: &Rules,
    me: &WorkerIdentity,
    address: &Address,
    task: &Task,
    outcome: &TaskOutcome,
    role: Role,
) -> Option<WorkerAction> {
    let salt = salt(&me.key, address);
    Some(match role {
        Role::Drawn { .. } => WorkerAction::Commit {
            commitment: result_commitment(address, &me.key.public(), outcome, &salt),
            bond: quote(rules.parameters(), &task.spec).ok()?.bond,
        },
        Role::Committed => WorkerAction::Reveal {
            outcome: outcome.clone(),
            salt,
        },
        Role::Arbitrator => WorkerAction::Verdict {
            outcome: outcome.clone(),
        },
    })
}
