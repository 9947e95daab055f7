//! Machines: starting, losing power, getting inputs, ticking.

use super::clock::{Event, World};
use crate::adversaries::{Adversary, side_of};
use crate::checkers::Violation;
use crate::faults::kind_of;
use crate::host::Host;
use frith_neighbourhood::{Input, Limits, Node, NodeConfig};
use std::sync::Arc;

impl World {
    /// A machine is switched on.
    pub(super) fn start(&mut self, index: usize) {
        if self.hosts[index].is_up() {
            return;
        }
        let host = &mut self.hosts[index];
        let config = NodeConfig {
            rules: Arc::clone(&self.rules),
            key: host.seed.worker(),
            vrf_seed: *host.seed.vrf(),
            reporter: host.seed.account().public().address(),
            founding: !host.marked && host.member < self.scenario.members,
            entropy: self.random.bytes(),
            limits: Limits::default(),
        };
        let disk = Box::new(host.disk.clone());
        let at = self.moment(index);
        let host = &mut self.hosts[index];
        match Node::open_with_bugs(config, disk, at, self.scenario.bugs_of(host.member)) {
            Ok(node) => {
                self.checkers.restarted(index, node.head());
                host.node = Some(node);
                host.life += 1;
            }
            Err(error) => {
                self.did_not_start(index, error.to_string());
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

    /// A disk that fails now may work later; one that works must open.
    fn did_not_start(&mut self, index: usize, reason: String) {
        let loses = self.scenario.loses_disk(self.hosts[index].member);
        if loses && self.now < self.scenario.heal_ms {
            self.push(self.scenario.heal_ms + 1, Event::Start { host: index });
        } else {
            self.violation = Some(Violation::NoStart {
                node: index,
                reason,
            });
        }
    }

    /// Whether two machines talk to each other at all: an equivocator's each have their own side.
    pub(super) fn talk(&self, a: usize, b: usize) -> bool {
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

    pub(super) fn off(&mut self, index: usize, off_ms: u64) {
        let unsynced = self.hosts[index].disk.unsynced();
        let keep = self.random.index(unsynced + 1);
        self.off_keeping(index, keep, off_ms);
    }

    /// The power fails when a write of the kind that was chosen isn't synced. Whether it did.
    pub(super) fn strikes_at_write(&mut self, index: usize) -> bool {
        if self.hosts[index].dies_at.is_empty() {
            return false;
        }
        let batches = self.hosts[index].disk.unsynced_keys();
        let position = |kind: &str| {
            batches.iter().position(|batch| {
                let mut kinds = batch.iter().map(|(table, key)| kind_of(*table, key));
                kinds.any(|other| other == kind)
            })
        };
        let strikes = &self.hosts[index].dies_at;
        let due = strikes.iter().enumerate();
        let mut due = due.filter_map(|(nth, (kind, ..))| Some((nth, position(kind)?)));
        let Some((nth, at)) = due.next() else {
            return false;
        };
        let (_, keep, off_ms) = self.hosts[index].dies_at.remove(nth);
        self.off_keeping(index, at + usize::from(keep), off_ms);
        true
    }

    fn off_keeping(&mut self, index: usize, keep: usize, off_ms: u64) {
        let lost = self.hosts[index]
            .disk
            .unsynced_keys()
            .into_iter()
            .skip(keep);
        self.losses.note(lost.flatten());
        self.hosts[index].lose_power(keep);
        if !self.scenario.is_excused(self.hosts[index].member) {
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

    /// A node gets an input, and what it wants done is done.
    pub(super) fn input(&mut self, index: usize, input: Input) {
        if self.violation.is_some() {
            return;
        }
        self.trace_input(index, &input);
        let mut outputs = Vec::new();
        let at = self.moment(index);
        let Some(node) = self.hosts[index].node.as_mut() else {
            return;
        };
        node.handle(at, input, &mut outputs);
        let committed = self.perform(index, outputs.into());
        if committed {
            self.work(index);
        }
        self.schedule_tick(index);
    }

    pub(super) fn schedule_tick(&mut self, index: usize) {
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
}
