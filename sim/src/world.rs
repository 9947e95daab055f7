//! The clock, the queue of events, and what performs the nodes' outputs.

use crate::adversaries::{Adversary, side_of};
use crate::checkers::{Checkers, Violation};
use crate::faults::Fault;
use crate::host::Host;
use crate::network::{Cuts, Weather};
use crate::random::Random;
use crate::report::Report;
use crate::scenario::Scenario;
use crate::workload::{Workload, outcome, program, program_id};
use frith_ledger::address::Address;
use frith_ledger::block::RootRecord;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{ContentId, TaskOutcome, Terms};
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker, seat};
use frith_ledger::hash::Hash;
use frith_ledger::key::Seed;
use frith_ledger::parameters::Parameters;
use frith_ledger::store::Faults as DiskFaults;
use frith_ledger::units::Millis;
use frith_ledger::vrf::VrfSecret;
use frith_neighbourhood::{CommittedBlock, Input, Limits, Node, NodeConfig, NodeEvent, Output};
use frith_tasks::Rules;
use frith_tasks::worker::{WorkerIdentity, WorkerStep, plan};
use parity_scale_codec::Encode as _;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// After everything healed, progress is demanded within this virtual time, in ms: the longest life of a
/// task with no-shows, a hidden result and an arbitration.
const PROGRESS_MS: u64 = 120_000;
/// Mean time between operations of all users together, in ms.
const LOAD_MS: u64 = 120;

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

enum Event {
    Deliver {
        from: usize,
        host: usize,
        life: u64,
        bytes: Arc<[u8]>,
    },
    Tick {
        host: usize,
        life: u64,
    },
    Start {
        host: usize,
    },
    Fault(Fault),
    HealCuts,
    Content {
        host: usize,
        life: u64,
        id: ContentId,
    },
    Ran {
        host: usize,
        life: u64,
        task: Address,
        outcome: Box<TaskOutcome>,
    },
    Load,
}

/// A run under way.
pub struct World {
    /// What it is made of.
    pub scenario: Scenario,
    /// Machines: one a member, then the second ones of equivocators.
    pub hosts: Vec<Host>,
    /// Virtual time in ms.
    pub now: u64,
    /// Who is cut off from whom, by member.
    pub cuts: Cuts,
    /// The invariants.
    pub checkers: Checkers,
    /// The users.
    pub workload: Workload,
    /// Frames sent.
    pub frames: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Hash of everything that went in and out.
    pub trace: blake3::Hasher,
    weather: Weather,
    random: Random,
    rules: Arc<Rules>,
    queue: BTreeMap<(u64, u64), Event>,
    number: u64,
    violation: Option<Violation>,
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

fn seed_of(member: usize) -> Seed {
    Seed::from_bytes([u8::try_from(member + 1).unwrap_or(255); 32])
}

fn rules(members: usize) -> Rules {
    let worker = |member: usize| {
        let seed = seed_of(member);
        GenesisWorker {
            key: seed.worker().public().0,
            vrf: VrfSecret::from_seed(&seed.vrf()).public().0,
            account: seed.account().public().address(),
            stake: Credits::whole(1_000),
            collateral: Credits::whole(1_000),
            terms: Terms {
                engines: if member.is_multiple_of(2) { 1 } else { 2 },
                price: Credits::ZERO,
                slots: 8,
            },
        }
    };
    let account = |seed: &Seed| GenesisAccount {
        address: seed.account().public().address(),
        balance: Credits::whole(1_000_000),
    };
    let genesis = Genesis {
        name: "simulation".to_owned(),
        time_ms: 0,
        beacon: [3; 32],
        parameters: Parameters::test(),
        accounts: Workload::seeds().iter().map(account).collect(),
        workers: (0..members).map(worker).collect(),
    };
    match Rules::new(genesis) {
        Ok(rules) => rules,
        Err(error) => unreachable!("the simulation's genesis is fixed: {error}"),
    }
}

impl World {
    fn new(scenario: Scenario) -> Self {
        let members = scenario.members;
        let mut hosts: Vec<Host> = (0..members)
            .map(|member| Host::new(member, false, seed_of(member)))
            .collect();
        for (member, adversary) in &scenario.adversaries {
            if *adversary == Adversary::Equivocator {
                hosts.push(Host::new(*member, true, seed_of(*member)));
            }
        }
        let mut world = Self {
            weather: scenario.weather.clone(),
            random: Random::new(scenario.seed),
            rules: Arc::new(rules(members)),
            hosts,
            now: 0,
            cuts: Cuts::default(),
            checkers: Checkers::default(),
            workload: Workload::new(members),
            frames: 0,
            bytes: 0,
            trace: blake3::Hasher::new(),
            queue: BTreeMap::new(),
            number: 0,
            violation: None,
            scenario,
        };
        for host in 0..world.hosts.len() {
            let at = world.random.below(50);
            world.push(at, Event::Start { host });
        }
        for (at, fault) in world.scenario.faults.clone() {
            world.push(at, Event::Fault(fault));
        }
        world.push(100, Event::Load);
        world
    }

    fn push(&mut self, at: u64, event: Event) {
        self.number += 1;
        self.queue.insert((at, self.number), event);
    }

    /// Until everything heals.
    fn faults(&mut self) {
        let heal = self.scenario.heal_ms;
        while self.violation.is_none()
            && self
                .queue
                .first_key_value()
                .is_some_and(|((at, _), _)| *at < heal)
        {
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
            for _ in 0..256 {
                self.step();
            }
            if self.missing(goal).is_none() {
                return;
            }
        }
        if self.violation.is_none() {
            self.violation = self
                .missing(goal)
                .map(|what| Violation::NoProgress { what });
        }
    }

    /// What hasn't happened yet.
    fn missing(&self, epoch: u64) -> Option<String> {
        if !self.workload.is_served() {
            return Some("a user's transfer isn't executed".to_owned());
        }
        if self.checkers.open_tasks() > 0 {
            return Some(format!(
                "{} tasks haven't ended",
                self.checkers.open_tasks()
            ));
        }
        for (index, host) in self.correct() {
            let Some(node) = &host.node else {
                return Some(format!("node {index} isn't up"));
            };
            if let Some(reason) = &host.halted {
                return Some(format!("node {index} stopped again: {reason}"));
            }
            if node.epoch().get() < epoch {
                return Some(format!(
                    "node {index} is in epoch {}, not {epoch}: {:?}",
                    node.epoch(),
                    node.status()
                ));
            }
            if node.head().plus(8) < self.checkers.head() {
                return Some(format!(
                    "node {index} is at height {} of {}",
                    node.head(),
                    self.checkers.head()
                ));
            }
        }
        None
    }

    fn correct(&self) -> impl Iterator<Item = (usize, &Host)> {
        self.hosts
            .iter()
            .enumerate()
            .filter(|(_, host)| self.scenario.is_correct(host.member))
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
            let head = node.head();
            let mut height = head;
            while height.get() > 0 {
                let Some((block, ..)) = node.block(height) else {
                    break;
                };
                if self
                    .checkers
                    .block(height)
                    .is_some_and(|id| id != block.header.id())
                {
                    return Some(Violation::Lost {
                        node: index,
                        height,
                    });
                }
                height = height.minus(1);
            }
        }
        None
    }

    fn step(&mut self) {
        let Some(((at, _), event)) = self.queue.pop_first() else {
            return;
        };
        self.now = self.now.max(at);
        let lives = |hosts: &[Host], host: usize, life: u64| {
            hosts[host].is_up() && hosts[host].life == life
        };
        match event {
            Event::Deliver {
                from,
                host,
                life,
                bytes,
            } => {
                if lives(&self.hosts, host, life) {
                    let from = self.hosts[from].key();
                    self.input(
                        host,
                        Input::Message {
                            from,
                            bytes: bytes.to_vec(),
                        },
                    );
                }
            }
            Event::Tick { host, life } => {
                if lives(&self.hosts, host, life)
                    && self.hosts[host].tick_at.is_some_and(|at| at <= self.now)
                {
                    self.hosts[host].tick_at = None;
                    self.input(host, Input::Tick);
                }
            }
            Event::Start { host } => self.start(host),
            Event::Fault(fault) => fault.strike(self),
            Event::HealCuts => self.cuts.heal(),
            Event::Content { host, life, id } => {
                if lives(&self.hosts, host, life) && id == program_id() {
                    let stored = self.hosts[host]
                        .node
                        .as_mut()
                        .map(|node| node.put_content(&id, program()));
                    match stored {
                        Some(Err(error)) => self.input(
                            host,
                            Input::StorageFailed {
                                reason: error.reason,
                            },
                        ),
                        _ => self.input(host, Input::ContentArrived { id }),
                    }
                }
            }
            Event::Ran {
                host,
                life,
                task,
                outcome,
            } => {
                if lives(&self.hosts, host, life) {
                    self.hosts[host].running.remove(&task);
                    self.hosts[host].results.insert(task, *outcome);
                    self.work(host);
                }
            }
            Event::Load => self.load(),
        }
    }

    /// A user submits something to a random correct machine.
    fn load(&mut self) {
        let next = self.now + self.random.between(1, 2 * LOAD_MS);
        self.push(next, Event::Load);
        let up: Vec<usize> = self
            .correct()
            .filter(|(_, h)| h.is_up() && h.halted.is_none())
            .map(|(i, _)| i)
            .collect();
        if up.is_empty() {
            return;
        }
        let host = up[self.random.index(up.len())];
        let Some(node) = self.hosts[host].node.as_mut() else {
            return;
        };
        if matches!(node.content(&program_id()), Ok(None)) {
            // The user uploads the program before it names it.
            let life = self.hosts[host].life;
            self.push(
                self.now,
                Event::Content {
                    host,
                    life,
                    id: program_id(),
                },
            );
            return;
        }
        let Some(submission) = self
            .workload
            .next(self.now, &mut self.random, &self.rules, node)
        else {
            return;
        };
        self.input(
            host,
            Input::Submit {
                token: submission.user,
                operation: submission.bytes,
            },
        );
    }

    fn start(&mut self, index: usize) {
        if self.hosts[index].is_up() {
            return;
        }
        let host = &mut self.hosts[index];
        let config = NodeConfig {
            rules: Arc::clone(&self.rules),
            key: host.seed.worker(),
            vrf_seed: *host.seed.vrf(),
            reporter: host.seed.account().public().address(),
            founding: !host.wiped,
            entropy: self.random.bytes(),
            limits: Limits::default(),
        };
        let (disk, now) = (Box::new(host.disk.clone()), Millis::new(self.now));
        match Node::open_with_bugs(config, disk, now, self.scenario.bugs) {
            Ok(node) => {
                self.checkers.restarted(index, node.head());
                host.node = Some(node);
                host.life += 1;
            }
            Err(error) => {
                // A disk that fails now may work later; one that works must open.
                let faulty = self
                    .scenario
                    .faults
                    .iter()
                    .any(|(_, fault)| fault.loses_disk() == Some(host.member));
                if faulty && self.now < self.scenario.heal_ms {
                    self.push(self.scenario.heal_ms + 1, Event::Start { host: index });
                } else {
                    self.violation = Some(Violation::NoStart {
                        node: index,
                        reason: error.to_string(),
                    });
                }
                return;
            }
        }
        for other in 0..self.hosts.len() {
            if self.talk(index, other) && self.hosts[other].is_up() {
                let (a, b) = (self.hosts[index].key(), self.hosts[other].key());
                self.input(index, Input::Connected { peer: b });
                self.input(other, Input::Connected { peer: a });
            }
        }
        self.input(index, Input::Tick);
    }

    /// Whether two machines talk to each other at all: an equivocator's each have their own side.
    fn talk(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.hosts[a], &self.hosts[b]);
        let sided = |one: &Host, other: &Host| {
            self.scenario.adversary(one.member) != Some(Adversary::Equivocator)
                || side_of(other.member) == one.second
        };
        a.member != b.member && sided(a, b) && sided(b, a)
    }

    /// The power of a machine fails now; it starts again after `off_ms`.
    pub fn power_off(&mut self, index: usize, off_ms: u64) {
        if self.hosts[index].is_up() {
            self.off(index, off_ms);
        }
    }

    fn off(&mut self, index: usize, off_ms: u64) {
        let unsynced = self.hosts[index].disk.unsynced();
        let keep = self.random.index(unsynced + 1);
        self.hosts[index].lose_power(keep);
        if !self.is_excused(self.hosts[index].member) {
            let checked = self.checkers.power_lost(index, &self.hosts[index].disk);
            self.note(checked);
        }
        let key = self.hosts[index].key();
        for other in 0..self.hosts.len() {
            if self.talk(index, other) && self.hosts[other].is_up() {
                self.input(other, Input::Disconnected { peer: key });
            }
        }
        self.push(self.now + off_ms, Event::Start { host: index });
    }

    /// All cuts end then.
    pub fn heal_cuts_at(&mut self, at: u64) {
        self.push(at, Event::HealCuts);
    }

    fn input(&mut self, index: usize, input: Input) {
        if self.violation.is_some() {
            return;
        }
        self.trace_input(index, &input);
        let mut outputs = Vec::new();
        let Some(node) = self.hosts[index].node.as_mut() else {
            return;
        };
        node.handle(Millis::new(self.now), input, &mut outputs);
        let committed = self.perform(index, outputs.into());
        if committed {
            self.work(index);
        }
        self.schedule_tick(index);
    }

    fn schedule_tick(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        let Some(due) = host.node.as_ref().and_then(Node::next_deadline) else {
            return;
        };
        let due = due.get().max(self.now + 1);
        if host.tick_at.is_none_or(|at| due < at) {
            host.tick_at = Some(due);
            let life = host.life;
            self.push(due, Event::Tick { host: index, life });
        }
    }

    /// Performs outputs in order until the power fails. Returns whether a block was committed.
    fn perform(&mut self, index: usize, mut outputs: VecDeque<Output>) -> bool {
        let mut committed = false;
        while let Some(output) = outputs.pop_front() {
            if let Some((left, off_ms)) = self.hosts[index].dies_after {
                if left == 0 {
                    self.off(index, off_ms);
                    return false;
                }
                self.hosts[index].dies_after = Some((left - 1, off_ms));
            }
            self.trace_output(index, &output);
            let Some(node) = self.hosts[index].node.as_mut() else {
                return false;
            };
            match output {
                Output::Sync => {
                    if let Err(error) = node.sync_store() {
                        // Nothing that depends on the sync may happen.
                        let mut last = Vec::new();
                        let reason = error.reason;
                        node.handle(
                            Millis::new(self.now),
                            Input::StorageFailed { reason },
                            &mut last,
                        );
                        outputs = last
                            .into_iter()
                            .filter(|output| !matches!(output, Output::Sync))
                            .collect();
                    }
                }
                Output::Send { to, bytes, .. } => self.send(index, &to, &bytes),
                Output::Committed(block) => {
                    committed = true;
                    self.committed(index, &block);
                }
                Output::RootCommitted(record) => self.root_committed(index, &record),
                Output::NeedContent { id, .. } => {
                    let (at, life) = (
                        self.now + self.random.between(2, 60),
                        self.hosts[index].life,
                    );
                    self.push(
                        at,
                        Event::Content {
                            host: index,
                            life,
                            id,
                        },
                    );
                }
                Output::Event(NodeEvent::RecordLost { .. }) => self.forgot(index),
                Output::Event(NodeEvent::StateCopied { .. }) => {
                    let head = node.head();
                    self.checkers.restarted(index, head);
                }
                Output::Halted { reason } => self.halted(index, reason),
                _ => {}
            }
        }
        committed
    }

    fn committed(&mut self, index: usize, block: &CommittedBlock) {
        if self.scenario.is_correct(self.hosts[index].member) {
            let checked = self.checkers.committed(index, block);
            self.note(checked);
            if let Some(node) = &self.hosts[index].node {
                self.workload.committed(&block.receipts, node);
            }
        }
    }

    /// A node was shown a signature that its own disk doesn't know of.
    fn forgot(&mut self, index: usize) {
        if self.is_excused(self.hosts[index].member) {
            return;
        }
        self.note(Err(Violation::Forgot { node: index }));
    }

    /// Whether the member is corrupt, or its disk fails or is lost in this run.
    fn is_excused(&self, member: usize) -> bool {
        let lost = |(_, fault): &(u64, Fault)| fault.loses_disk() == Some(member);
        !self.scenario.is_correct(member) || self.scenario.faults.iter().any(lost)
    }

    fn root_committed(&mut self, index: usize, record: &RootRecord) {
        if self.scenario.is_correct(self.hosts[index].member) {
            let supply = self.rules.supply.get();
            let checked = self.checkers.root(index, record, supply);
            self.note(checked);
        }
    }

    fn halted(&mut self, index: usize, reason: String) {
        if !self.is_excused(self.hosts[index].member) {
            self.violation = Some(Violation::Halted {
                node: index,
                reason: reason.clone(),
            });
        }
        self.hosts[index].halted = Some(reason);
    }

    fn note(&mut self, checked: Result<(), Violation>) {
        if let Err(violation) = checked {
            self.violation.get_or_insert(violation);
        }
    }

    fn send(&mut self, index: usize, to: &frith_ledger::key::PublicKey, bytes: &Arc<[u8]>) {
        let checked = self.checkers.sent(index, bytes);
        self.note(checked);
        self.frames += 1;
        self.bytes += bytes.len() as u64;
        let member = self.hosts[index].member;
        let late = match self.scenario.adversary(member) {
            None => 0,
            Some(adversary) => match adversary.lets_out(&mut self.random, bytes) {
                Some(late) => late,
                None => return,
            },
        };
        let reached = |other: &usize| self.hosts[*other].key() == *to && self.talk(index, *other);
        let Some(host) = (0..self.hosts.len()).find(reached) else {
            return;
        };
        if !self.hosts[host].is_up() || !self.cuts.passes(member, self.hosts[host].member) {
            return;
        }
        let life = self.hosts[host].life;
        for at in self.weather.arrivals(self.now + late, &mut self.random) {
            self.push(
                at,
                Event::Deliver {
                    from: index,
                    host,
                    life,
                    bytes: Arc::clone(bytes),
                },
            );
        }
    }

    /// What the worker of a machine does next.
    fn work(&mut self, index: usize) {
        let host = &self.hosts[index];
        let Some(node) = &host.node else { return };
        let key = host.seed.worker();
        let me = WorkerIdentity {
            seat: seat(&key.public(), &Hash(self.rules.genesis.beacon)),
            key,
        };
        let steps = plan(node.state(), &self.rules, &me, &host.results, &host.running);
        for step in steps {
            match step {
                WorkerStep::Run { task, job } => {
                    let lies = self.scenario.adversary(self.hosts[index].member)
                        == Some(Adversary::WrongResult);
                    let outcome = Box::new(outcome(&job, lies.then_some(index as u64)));
                    let (at, life) = (
                        self.now + self.random.between(1, 300),
                        self.hosts[index].life,
                    );
                    self.hosts[index].running.insert(task);
                    self.push(
                        at,
                        Event::Ran {
                            host: index,
                            life,
                            task,
                            outcome,
                        },
                    );
                }
                WorkerStep::Submit(operation) => {
                    let operation = frith_ledger::operation::Operation::Worker(*operation).encode();
                    let mut outputs = Vec::new();
                    let Some(node) = self.hosts[index].node.as_mut() else {
                        return;
                    };
                    node.handle(
                        Millis::new(self.now),
                        Input::Submit {
                            token: u64::MAX,
                            operation,
                        },
                        &mut outputs,
                    );
                    // What a commit in here brings is planned at the next one.
                    let _committed = self.perform(index, outputs.into());
                }
            }
        }
        self.schedule_tick(index);
    }

    fn trace_input(&mut self, index: usize, input: &Input) {
        self.trace.update(&(self.now, index as u64).encode());
        match input {
            Input::Message { from, bytes } => self.trace.update(&from.0).update(bytes),
            other => self.trace.update(format!("{other:?}").as_bytes()),
        };
    }

    fn trace_output(&mut self, index: usize, output: &Output) {
        self.trace.update(&(index as u64).encode());
        match output {
            Output::Send { to, bytes, .. } => self.trace.update(&to.0).update(bytes),
            Output::Committed(block) => self.trace.update(&block.id.0),
            Output::RootCommitted(record) => self.trace.update(&record.id().0),
            other => self.trace.update(format!("{other:?}").as_bytes()),
        };
    }
}
