//! Virtual time, the queue of events, and what each event does.

use super::genesis::{BEGAN_MS, rules, seed_of};
use super::losses::Losses;
use crate::adversaries::Adversary;
use crate::checkers::{Checkers, Violation};
use crate::faults::Fault;
use crate::host::Host;
use crate::network::{Cuts, Weather};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::workload::{Workload, program, program_id};
use frith_ledger::address::Address;
use frith_ledger::entity::ContentId;
use frith_ledger::units::{Millis, UnixMillis};
use frith_neighbourhood::{Input, Moment};
use frith_tasks::Rules;
use frith_tasks::worker::RunResult;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Mean time between operations of all users together, in ms.
const LOAD_MS: u64 = 120;

/// Something that happens at a moment. What is meant for a machine's earlier life is dropped.
pub(super) enum Event {
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
        run: Box<RunResult>,
    },
    Load,
}

/// A run under way.
pub struct World {
    /// What it is made of.
    pub scenario: Scenario,
    /// Machines: one a member of the genesis, one a newcomer, then the second ones of equivocators.
    pub hosts: Vec<Host>,
    /// Virtual time in ms.
    pub now: u64,
    /// Who is cut off from whom, by machine.
    pub cuts: Cuts,
    /// The invariants.
    pub checkers: Checkers,
    /// The users and the owners of workers.
    pub workload: Workload,
    /// Frames sent.
    pub frames: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Power losses.
    pub losses: Losses,
    /// Hash of everything that went in and out.
    pub trace: blake3::Hasher,
    pub(super) weather: Weather,
    pub(super) random: Random,
    pub(super) rules: Arc<Rules>,
    queue: BTreeMap<(u64, u64), Event>,
    number: u64,
    pub(super) violation: Option<Violation>,
}

impl World {
    /// A run that has not begun.
    pub(super) fn new(scenario: Scenario) -> Self {
        let machines = scenario.members + scenario.newcomers;
        let rules = rules(scenario.members, machines);
        let machine = |member, second| Host::new(member, second, seed_of(member), rules.hash);
        let mut hosts: Vec<Host> = (0..machines).map(|member| machine(member, false)).collect();
        for (member, adversary) in &scenario.adversaries {
            if *adversary == Adversary::Equivocator {
                hosts.push(machine(*member, true));
            }
        }
        for host in &mut hosts {
            host.clock_off_ms = scenario.skews.get(host.member).copied().unwrap_or_default();
        }
        let faulty = |member| scenario.is_excused(member) || scenario.loses_time(member);
        let owners = (0..machines).map(|member| (seed_of(member), faulty(member)));
        let mut world = Self {
            weather: scenario.weather.clone(),
            random: Random::new(scenario.seed),
            rules: Arc::new(rules),
            hosts,
            now: 0,
            cuts: Cuts::default(),
            checkers: Checkers::default(),
            workload: Workload::new(scenario.members, owners),
            frames: 0,
            bytes: 0,
            losses: Losses::default(),
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

    /// What the clocks of a machine show.
    pub(super) fn moment(&self, host: usize) -> Moment {
        let wall = (BEGAN_MS + self.now).saturating_add_signed(self.hosts[host].clock_off_ms);
        Moment::new(Millis::new(self.now), UnixMillis::new(wall))
    }

    pub(super) fn push(&mut self, at: u64, event: Event) {
        self.number += 1;
        self.queue.insert((at, self.number), event);
    }

    /// When the next event is due.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    fn lives(&self, host: usize, life: u64) -> bool {
        self.hosts[host].is_up() && self.hosts[host].life == life
    }

    /// The next event happens.
    pub(super) fn step(&mut self) {
        let Some(((at, _), event)) = self.queue.pop_first() else {
            return;
        };
        self.now = self.now.max(at);
        match event {
            Event::Deliver {
                from,
                host,
                life,
                bytes,
            } if self.lives(host, life) => {
                let from = self.hosts[from].key();
                let bytes = bytes.to_vec();
                self.input(host, Input::Message { from, bytes });
            }
            Event::Tick { host, life } if self.lives(host, life) => {
                if self.hosts[host].tick_at.is_some_and(|at| at <= self.now) {
                    self.hosts[host].tick_at = None;
                    self.input(host, Input::Tick);
                }
            }
            Event::Content { host, life, id } if self.lives(host, life) => {
                self.content_came(host, id);
            }
            Event::Ran {
                host,
                life,
                task,
                run,
            } if self.lives(host, life) => {
                self.hosts[host].running.remove(&task);
                self.hosts[host].results.insert(task, *run);
                self.work(host);
            }
            Event::Start { host } => self.start(host),
            Event::Fault(fault) => fault.strike(self),
            Event::HealCuts => self.cuts.heal(),
            Event::Load => self.load(),
            Event::Deliver { .. }
            | Event::Tick { .. }
            | Event::Content { .. }
            | Event::Ran { .. } => {}
        }
    }

    fn content_came(&mut self, host: usize, id: ContentId) {
        if id != program_id() {
            return;
        }
        let program = program();
        let len = u32::try_from(program.len()).unwrap_or(u32::MAX);
        let stored = self.hosts[host]
            .node
            .as_mut()
            .map(|node| node.put_content(&id, program));
        let input = match stored {
            Some(Err(error)) => Input::StorageFailed {
                reason: error.reason,
            },
            _ => Input::ContentArrived { id, len },
        };
        self.input(host, input);
    }

    /// A user or owner submits something to a random correct machine.
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
        for machine in 0..self.scenario.members + self.scenario.newcomers {
            let fit = self.hosts[machine]
                .node
                .as_ref()
                .is_some_and(|node| node.may_vote());
            self.workload.note_fit(machine, fit);
        }
        let Some(node) = self.hosts[host].node.as_mut() else {
            return;
        };
        if matches!(node.content(&program_id()), Ok(None)) {
            // The user uploads the program before it names it.
            let (life, id) = (self.hosts[host].life, program_id());
            self.push(self.now, Event::Content { host, life, id });
            return;
        }
        let submission = self
            .workload
            .next(self.now, &mut self.random, &self.rules, node);
        if let Some(submission) = submission {
            let (token, operation) = (submission.client, submission.bytes);
            self.input(host, Input::Submit { token, operation });
        }
    }

    /// All cuts end then.
    pub fn heal_cuts_at(&mut self, at: u64) {
        self.push(at, Event::HealCuts);
    }

    /// The machines of members that follow the protocol.
    pub(super) fn correct(&self) -> impl Iterator<Item = (usize, &Host)> {
        self.hosts
            .iter()
            .enumerate()
            .filter(|(_, host)| self.scenario.is_correct(host.member))
    }

    pub(super) fn note(&mut self, checked: Result<(), Violation>) {
        if let Err(violation) = checked {
            self.violation.get_or_insert(violation);
        }
    }
}
