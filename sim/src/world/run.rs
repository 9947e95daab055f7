//! The three phases of a run, and what is demanded in the end.

use super::clock::World;
use crate::checkers::Violation;
use crate::host::Host;
use crate::network::Weather;
use crate::report::Report;
use crate::scenario::Scenario;
use frith_ledger::address::Address;
use frith_ledger::entity::{Entity, TaskState};
use frith_ledger::store::Faults as DiskFaults;
use frith_neighbourhood::Node;

/// After everything healed, progress is demanded within this virtual time, in ms: the longest life of a
/// task with no-shows, a hidden result and an arbitration.
const PROGRESS_MS: u64 = 120_000;
/// Events between two looks at what is missing.
const LOOK_EVERY: usize = 256;

/// Why a run failed, and how to see it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed} with {members} members, at {now_ms} ms: {violation}")]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Members.
    pub members: usize,
    /// Virtual time.
    pub now_ms: u64,
    /// What doesn't hold.
    pub violation: Violation,
}

/// Runs a scenario to its end.
///
/// # Errors
/// [`Failure`] with the invariant that doesn't hold.
pub fn run(scenario: Scenario) -> Result<Report, Failure> {
    let mut world = World::new(scenario);
    world.faults();
    world.heal();
    world.progress();
    world.finish()
}

/// Whether a task has ended in the state that a machine's node committed.
fn has_ended(host: &Host, task: &Address) -> bool {
    let state = host.node.as_ref().map(Node::state);
    match state.and_then(|state| state.entity(task)) {
        Some(Entity::Task(task)) => matches!(
            task.state,
            TaskState::Settled { .. } | TaskState::Failed { .. } | TaskState::Cancelled { .. }
        ),
        _ => false,
    }
}

impl World {
    /// Until everything heals.
    fn faults(&mut self) {
        let heal = self.scenario.heal_ms;
        while self.violation.is_none() && self.next_at().is_some_and(|at| at < heal) {
            self.step();
        }
        if self.violation.is_none() {
            self.now = self.now.max(heal);
        }
    }

    /// All correct machines work again, and the network loses nothing.
    fn heal(&mut self) {
        self.weather = Weather::calm();
        self.cuts.heal();
        self.workload.healed();
        for host in 0..self.hosts.len() {
            self.hosts[host].disk.set_faults(DiskFaults::default());
            self.hosts[host].dies_after = None;
            self.hosts[host].dies_at.clear();
            if self.hosts[host].halted.is_some() {
                self.off(host, 10);
            }
        }
    }

    /// Until what must happen has happened, or its time is over.
    fn progress(&mut self) {
        let until = self.now + PROGRESS_MS;
        let goal = self.epochs_of_correct().max().unwrap_or(0) + 2;
        while self.violation.is_none() && self.now < until {
            for _ in 0..LOOK_EVERY {
                self.step();
            }
            if self.missing(goal).is_none() {
                return;
            }
        }
        if self.violation.is_none() {
            let missing = self.missing(goal);
            self.violation = missing.map(|what| Violation::NoProgress { what });
        }
    }

    /// What hasn't happened yet.
    fn missing(&self, epoch: u64) -> Option<String> {
        if !self.workload.is_served() {
            return Some(format!(
                "a user's transfer isn't executed: {}",
                self.standings()
            ));
        }
        let ended = |task: &&Address| self.correct().any(|(_, host)| has_ended(host, task));
        if let Some(task) = self.checkers.open_tasks().find(|task| !ended(task)) {
            let standings = self.standings();
            return Some(format!("task {task} hasn't ended: {standings}"));
        }
        for (index, host) in self.correct() {
            let Some(node) = &host.node else {
                return Some(format!("node {index} isn't up"));
            };
            if let Some(reason) = &host.halted {
                return Some(format!("node {index} stopped again: {reason}"));
            }
            if node.epoch().get() < epoch {
                let standings = self.standings();
                return Some(format!("node {index} isn't in epoch {epoch}: {standings}"));
            }
            if node.head().plus(8) < self.checkers.head() {
                return Some(format!(
                    "node {index} is at height {} of {}",
                    node.head(),
                    self.checkers.head()
                ));
            }
            if let Some(what) = self.workload.unsettled(node) {
                return Some(format!("at node {index}, {what}"));
            }
        }
        None
    }

    /// Where every machine stands, in short.
    fn standings(&self) -> String {
        let one = |(index, host): (usize, &Host)| {
            let Some(node) = &host.node else {
                return format!("node {index} is off");
            };
            let status = node.status();
            let unready: Vec<String> = status.unready.iter().map(ToString::to_string).collect();
            format!(
                "node {index}: epoch {}, height {}, view {}, roots {}, member {:?} of {}, fit {}, {unready:?}",
                status.epoch,
                status.height,
                status.view,
                status.roots,
                status.member,
                status.members.len(),
                node.may_vote(),
            )
        };
        let all: Vec<String> = self.hosts.iter().enumerate().map(one).collect();
        all.join("; ")
    }

    fn epochs_of_correct(&self) -> impl Iterator<Item = u64> {
        self.correct()
            .filter_map(|(_, host)| host.node.as_ref())
            .map(|node| node.epoch().get())
    }

    /// Epochs that every correct node went through.
    #[must_use]
    pub fn epochs(&self) -> u64 {
        self.epochs_of_correct().min().unwrap_or(0)
    }

    fn finish(mut self) -> Result<Report, Failure> {
        if self.violation.is_none() {
            self.violation = self.lost();
        }
        match self.violation.take() {
            None => Ok(Report::new(&self)),
            Some(violation) => Err(Failure {
                seed: self.scenario.seed,
                members: self.scenario.members,
                now_ms: self.now,
                violation,
            }),
        }
    }

    /// Whether a correct node has another block, or none, where one was acknowledged as committed.
    fn lost(&mut self) -> Option<Violation> {
        for index in 0..self.hosts.len() {
            let host = &mut self.hosts[index];
            if !self.scenario.is_correct(host.member) {
                continue;
            }
            let Some(node) = &mut host.node else { continue };
            let mut height = node.head();
            while height.get() > 0 {
                let Some((block, ..)) = node.block(height) else {
                    break;
                };
                let said = self.checkers.block(height);
                if said.is_some_and(|id| id != block.header.id()) {
                    let node = index;
                    return Some(Violation::Lost { node, height });
                }
                height = height.minus(1);
            }
        }
        None
    }
}
