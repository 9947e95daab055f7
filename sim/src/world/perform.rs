//! Performing what a node wants done, in order, until its power fails.

use super::clock::{Event, World};
use crate::checkers::Violation;
use frith_ledger::block::RootRecord;
use frith_ledger::key::PublicKey;
use frith_ledger::store::StoreError;
use frith_neighbourhood::{CommittedBlock, Input, Misbehaviour, NodeEvent, Output};
use parity_scale_codec::Encode as _;
use std::collections::VecDeque;
use std::sync::Arc;

impl World {
    /// Performs outputs in order until the power fails. Returns whether a block was committed.
    pub(super) fn perform(&mut self, index: usize, mut outputs: VecDeque<Output>) -> bool {
        let mut committed = false;
        while let Some(output) = outputs.pop_front() {
            if let Some((left, off_ms)) = self.hosts[index].dies_after {
                if left == 0 {
                    self.off(index, off_ms);
                    return false;
                }
                self.hosts[index].dies_after = Some((left - 1, off_ms));
            }
            if self.strikes_at_write(index) {
                return false;
            }
            self.trace_output(index, &output);
            let Some(node) = self.hosts[index].node.as_mut() else {
                return false;
            };
            match output {
                Output::Sync => {
                    if let Err(error) = node.sync_store() {
                        outputs = self.sync_failed(index, error);
                    }
                }
                Output::Committed(block) => {
                    committed = true;
                    self.committed(index, &block);
                }
                other => self.perform_one(index, other),
            }
        }
        committed
    }

    /// Nothing that depends on the sync may happen. What is still to be done.
    fn sync_failed(&mut self, index: usize, error: StoreError) -> VecDeque<Output> {
        let mut last = Vec::new();
        let at = self.moment(index);
        if let Some(node) = self.hosts[index].node.as_mut() {
            let reason = error.reason;
            let input = Input::StorageFailed { reason };
            node.handle(at, input, &mut last);
        }
        last.retain(|output| !matches!(output, Output::Sync));
        last.into()
    }

    fn perform_one(&mut self, index: usize, output: Output) {
        match output {
            Output::Send { to, bytes, .. } => self.send(index, &to, &bytes),
            Output::RootCommitted(record) => self.root_committed(index, &record),
            Output::NeedContent { id, .. } => {
                let at = self.now + self.random.between(2, 60);
                let (host, life) = (index, self.hosts[index].life);
                self.push(at, Event::Content { host, life, id });
            }
            Output::Event(NodeEvent::RecordLost { .. }) => self.forgot(index),
            Output::Event(NodeEvent::StateCopied { .. }) => {
                let head = self.hosts[index].node.as_ref().map(|node| node.head());
                self.checkers.restarted(index, head.unwrap_or_default());
            }
            Output::Halted { reason } => self.halted(index, reason),
            Output::Misbehaviour { peer, kind } => self.blamed(index, &peer, &kind),
            _ => {}
        }
    }

    fn committed(&mut self, index: usize, block: &CommittedBlock) {
        if self.scenario.is_correct(self.hosts[index].member) {
            let checked = self.checkers.committed(index, block, self.now);
            self.note(checked);
            if let Some(node) = &self.hosts[index].node {
                self.workload.committed(&block.receipts, node);
            }
        }
    }

    /// A node was shown a signature that its own disk doesn't know of.
    fn forgot(&mut self, index: usize) {
        if !self.scenario.is_excused(self.hosts[index].member) {
            self.note(Err(Violation::Forgot { node: index }));
        }
    }

    /// A node says that a peer broke the protocol: the network would ban it.
    fn blamed(&mut self, index: usize, peer: &PublicKey, kind: &Misbehaviour) {
        let excused = |member| self.scenario.is_excused(member);
        let accused = self.hosts.iter().find(|host| host.key() == *peer);
        let Some(accused) = accused.map(|host| host.member) else {
            return;
        };
        if !excused(accused) && !excused(self.hosts[index].member) {
            self.note(Err(Violation::Blamed {
                node: index,
                peer: accused,
                what: kind.to_string(),
            }));
        }
    }

    fn root_committed(&mut self, index: usize, record: &RootRecord) {
        if self.scenario.is_correct(self.hosts[index].member) {
            let supply = self.rules.supply.get();
            let checked = self.checkers.root(index, record, supply, self.now);
            self.note(checked);
        }
    }

    fn halted(&mut self, index: usize, reason: String) {
        if !self.scenario.is_excused(self.hosts[index].member) {
            self.violation = Some(Violation::Halted {
                node: index,
                reason: reason.clone(),
            });
        }
        self.hosts[index].halted = Some(reason);
    }

    fn send(&mut self, index: usize, to: &PublicKey, bytes: &Arc<[u8]>) {
        let member = self.hosts[index].member;
        let standing = (
            self.scenario.is_correct(member),
            self.scenario.is_excused(member),
        );
        let checked = self.checkers.sent(index, standing, bytes);
        self.note(checked);
        self.frames += 1;
        self.bytes += bytes.len() as u64;
        let reached = |other: &usize| self.hosts[*other].key() == *to && self.talk(index, *other);
        let Some(host) = (0..self.hosts.len()).find(reached) else {
            return;
        };
        let frames = match self.scenario.adversary(member) {
            None => vec![(0, Arc::clone(bytes))],
            Some(adversary) => {
                let malice = &mut self.hosts[index].malice;
                adversary.sends(malice, &mut self.random, host, bytes)
            }
        };
        if !self.hosts[host].is_up() || !self.cuts.passes(member, self.hosts[host].member) {
            return;
        }
        let life = self.hosts[host].life;
        for (late, bytes) in frames {
            for at in self.weather.arrivals(self.now + late, &mut self.random) {
                let frame = Event::Deliver {
                    from: index,
                    host,
                    life,
                    bytes: Arc::clone(&bytes),
                };
                self.push(at, frame);
            }
        }
    }

    pub(super) fn trace_input(&mut self, index: usize, input: &Input) {
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
