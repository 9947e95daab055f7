//! What instances want done: messages, committed blocks, records, evidence.

use super::api::{CommittedBlock, Misbehaviour, NodeEvent, Output};
use super::core::{Node, RootRun};
use crate::consensus::{Consensus, Effect};
use crate::leaf::{LeafEntry, LeafHost};
use crate::persist::{self, ChainEntry, Closing, Tail};
use crate::root::RootHost;
use crate::wire::{PeerMessage, Request};
use frith_ledger::block::{BlockId, ChainKind, Instance, Payload};
use frith_ledger::certificate::{CommitProof, Committee};
use frith_ledger::light::CertifiedRoot;
use frith_ledger::operation::{Evidence, Offence, Operation, OperationId, ProofOperation};
use frith_ledger::store::Write;
use frith_ledger::units::Millis;
use frith_tasks::Receipt;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An instance that effects came from, which may have ended meanwhile.
struct Source {
    instance: Instance,
    committee: Arc<Committee>,
}

impl Node {
    /// Calls the leaf's host alone.
    pub(super) fn leaf_host<R>(&mut self, call: impl FnOnce(&mut LeafHost<'_>) -> R) -> R {
        let seat = self.seat();
        call(&mut LeafHost {
            rules: &self.rules,
            store: &mut *self.store,
            blocks: &mut self.leaf.blocks,
            pool: &self.pool,
            roots: &self.roots,
            seat,
            missing: &mut self.missing,
            failed: &mut self.failed,
        })
    }

    /// Calls the leaf's instance, and does what it wants.
    pub(super) fn leaf_call(
        &mut self,
        now: Millis,
        out: &mut Vec<Output>,
        call: impl FnOnce(&mut Consensus, &mut LeafHost<'_>, &mut Vec<Effect>),
    ) {
        let seat = self.seat();
        let mut effects = Vec::new();
        let mut host = LeafHost {
            rules: &self.rules,
            store: &mut *self.store,
            blocks: &mut self.leaf.blocks,
            pool: &self.pool,
            roots: &self.roots,
            seat,
            missing: &mut self.missing,
            failed: &mut self.failed,
        };
        call(&mut self.leaf.core, &mut host, &mut effects);
        let source = Source {
            instance: self.leaf.blocks.instance,
            committee: self.leaf.blocks.committee.clone(),
        };
        self.perform(now, &source, effects, out);
    }

    /// Calls the root's instance, when one runs, and does what it wants.
    pub(super) fn root_call(
        &mut self,
        now: Millis,
        out: &mut Vec<Output>,
        call: impl FnOnce(&mut Consensus, &mut RootHost<'_>, &mut Vec<Effect>),
    ) {
        let Some(RootRun { core, blocks }) = &mut self.root else {
            return;
        };
        let source = Source {
            instance: blocks.instance,
            committee: blocks.committee.clone(),
        };
        let mut effects = Vec::new();
        let tolerance_ms = self.rules.parameters().clock_tolerance_ms();
        #[cfg(any(test, feature = "planted-bugs"))]
        let tolerance_ms = if self.faults.any_time {
            u64::MAX
        } else {
            tolerance_ms
        };
        let mut host = RootHost {
            genesis: self.rules.hash,
            store: &mut *self.store,
            blocks,
            vrf: &self.vrf,
            wall: self.wall,
            tolerance_ms,
            clocks_differ: None,
        };
        call(core, &mut host, &mut effects);
        if let Some(differ) = host.clocks_differ
            && !std::mem::replace(&mut blocks.clock_told, true)
        {
            Self::event(NodeEvent::ClocksDiffer(differ), out);
        }
        self.perform(now, &source, effects, out);
    }

    fn perform(
        &mut self,
        now: Millis,
        source: &Source,
        effects: Vec<Effect>,
        out: &mut Vec<Output>,
    ) {
        let (kind, epoch) = (source.instance.kind, source.instance.epoch);
        for effect in effects {
            if self.halted.is_some() || self.failed.is_some() {
                return;
            }
            match effect {
                Effect::Sync => out.push(Output::Sync),
                Effect::Send { to, message } => {
                    if let Some(member) = source.committee.get(to) {
                        let message = PeerMessage::Consensus {
                            kind,
                            epoch,
                            message: Box::new(message),
                        };
                        self.send(member.key, &message, out);
                    }
                }
                Effect::Broadcast(message) => {
                    let message = PeerMessage::Consensus {
                        kind,
                        epoch,
                        message: Box::new(message),
                    };
                    self.send_members(&source.committee, &message, out);
                }
                Effect::Committed { blocks, proof } => match kind {
                    // The instance ended with its closing block; empty blocks after it are nobody's news.
                    ChainKind::Leaf if source.instance != self.leaf.blocks.instance => {}
                    ChainKind::Leaf => self.leaf_committed(now, &blocks, &proof, out),
                    ChainKind::Root => self.root_committed(now, &blocks, &proof, out),
                },
                Effect::Offence(offence) => self.report_offence(now, source, *offence, out),
                Effect::FetchBlock { id, from } => {
                    if let Some(member) = source.committee.get(from) {
                        let request = Request::Proposal { kind, epoch, id };
                        self.send(member.key, &PeerMessage::Request(request), out);
                    }
                }
                Effect::PeerFault { member, fault } => {
                    if let Some(member) = source.committee.get(member) {
                        let kind = Misbehaviour::Consensus(fault.to_string());
                        out.push(Output::Misbehaviour {
                            peer: member.key,
                            kind,
                        });
                    }
                }
                Effect::Dropped(id) => match kind {
                    ChainKind::Leaf => self.leaf.blocks.forget(&id),
                    ChainKind::Root => {
                        if let Some(root) = &mut self.root {
                            root.blocks.forget(&id);
                        }
                    }
                },
                Effect::RecordLost { shown } => {
                    Self::event(NodeEvent::RecordLost { view: shown }, out);
                    self.unfound();
                    // Another start must not believe the record either.
                    let Instance { kind, epoch, .. } = source.instance;
                    self.write(vec![persist::delete_safety(kind, epoch)]);
                    out.push(Output::Sync);
                    self.recovery.begin(now, source.instance);
                    let reason = format!(
                        "a member shows a signature of this key in view {shown}: the data directory is an older copy"
                    );
                    Self::event(NodeEvent::Recovering { reason }, out);
                }
                Effect::Rejoined => Self::event(NodeEvent::Recovered, out),
                Effect::Diverged { block, reason } => {
                    self.halt(
                        format!(
                            "a quorum certified block {block}, which is invalid here: {reason}"
                        ),
                        out,
                    );
                }
                Effect::Halt(error) => self.halt(error.to_string(), out),
            }
        }
    }

    /// Blocks of the leaf are committed, the last by `proof`.
    fn leaf_committed(
        &mut self,
        now: Millis,
        blocks: &[BlockId],
        proof: &CommitProof,
        out: &mut Vec<Output>,
    ) {
        let mut tail = Vec::new();
        let closing = blocks
            .iter()
            .position(|id| self.leaf.blocks.get(id).is_some_and(|entry| entry.closes()));
        if let Some(at) = closing {
            let after = blocks.get(at + 1..).unwrap_or_default();
            let headers = after
                .iter()
                .filter_map(|id| self.leaf.blocks.get(id)?.block.as_ref());
            tail = headers.map(|block| block.header.clone()).collect();
        }
        let last = closing.unwrap_or(blocks.len().saturating_sub(1));
        // Block sync may have committed some of them, and waits for what the next one names.
        let after = u64::try_from(blocks.len()).unwrap_or(u64::MAX);
        let base = proof.header.height.minus(after);
        let known = usize::try_from(self.chain.head.minus(base.get()).get()).unwrap_or(usize::MAX);
        for (at, id) in blocks.iter().enumerate().take(last + 1).skip(known) {
            let proof = (at == last).then(|| Tail {
                headers: std::mem::take(&mut tail),
                proof: proof.clone(),
            });
            if !self.commit_block(now, *id, proof, out) {
                return;
            }
        }
    }

    /// Commits one executed block on the head. Ends the epoch when it is the closing block. Whether it
    /// could.
    pub(super) fn commit_block(
        &mut self,
        now: Millis,
        id: BlockId,
        proof: Option<Tail>,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(entry) = self.leaf.blocks.commit(id) else {
            self.halt(
                format!(
                    "block {id} is committed but does not follow block {}",
                    self.chain.head
                ),
                out,
            );
            return false;
        };
        let Some(block) = entry.block.clone() else {
            return false;
        };
        let epoch = block.header.instance.epoch;
        let place = ChainEntry {
            id,
            epoch,
            proof: proof.clone(),
        };
        let mut writes = Vec::from(persist::put_block(entry.height, &block, &place));
        self.receipt_writes(&entry, &mut writes);
        writes.extend(self.history_writes(&entry));
        if let Some(payload) = entry.payload() {
            for digest in self.pool.included(&payload.batches) {
                writes.extend(persist::delete_held(&digest));
            }
        }
        self.chain.advance(id, entry.height, entry.state.clone());
        let closes = entry.closes();
        if closes {
            writes.extend(self.close(&entry, id, proof.as_ref().map(|tail| &tail.proof)));
        }
        if !self.write(writes) {
            return false;
        }
        let direct = proof
            .filter(|tail| tail.headers.is_empty())
            .map(|tail| Box::new(tail.proof));
        out.push(Output::Sync);
        out.push(Output::Committed(Box::new(CommittedBlock {
            id,
            height: entry.height,
            epoch,
            block,
            receipts: entry.receipts.clone(),
            events: entry.events.clone(),
            proof: direct,
        })));
        (self.work, self.tell_observers) = (true, true);
        if closes {
            self.hand_over(now, out);
        }
        true
    }

    /// A receipt never replaces an earlier success: a block may repeat an operation, which is refused then.
    fn receipt_writes(&mut self, entry: &LeafEntry, writes: &mut Vec<Write>) {
        let mut receipts: BTreeMap<OperationId, &Receipt> = BTreeMap::new();
        for receipt in &entry.receipts {
            let first = receipts.entry(receipt.operation).or_insert(receipt);
            if first.result.is_err() && receipt.result.is_ok() {
                *first = receipt;
            }
        }
        for (id, receipt) in receipts {
            if receipt.result.is_err() {
                let before = persist::receipt(&*self.store, &id);
                if self
                    .note(before)
                    .flatten()
                    .is_some_and(|(_, result)| result.is_ok())
                {
                    continue;
                }
            }
            writes.push(persist::put_receipt(entry.height, receipt));
        }
    }

    fn close(&mut self, entry: &LeafEntry, id: BlockId, proof: Option<&CommitProof>) -> Vec<Write> {
        let Some(payload) = entry.payload() else {
            return Vec::new();
        };
        let Some(claim) = payload.claim.clone() else {
            return Vec::new();
        };
        let closing = Closing {
            epoch: claim.epoch,
            id,
            height: entry.height,
            claim,
            owed: payload.owed.to_vec(),
            proof: proof.cloned(),
        };
        let mut writes = self.chain.close(closing);
        writes.extend(self.closing_writes());
        writes
    }

    /// The root's instance committed its record.
    fn root_committed(
        &mut self,
        now: Millis,
        blocks: &[BlockId],
        proof: &CommitProof,
        out: &mut Vec<Output>,
    ) {
        let Some(root) = &self.root else { return };
        let carrier = blocks
            .iter()
            .find(|id| **id == proof.header.id())
            .and_then(|id| root.blocks.get(id));
        let Some(entry) = carrier.filter(|entry| entry.carries) else {
            return;
        };
        let Some(payload) = entry.payload.clone() else {
            return;
        };
        let payload = Payload::Root(Box::new((*payload).clone()));
        self.adopt_root(
            now,
            CertifiedRoot {
                payload,
                proof: proof.clone(),
            },
            out,
        );
    }

    /// Takes the next root record. Whether it was taken.
    pub(super) fn adopt_root(
        &mut self,
        now: Millis,
        root: CertifiedRoot,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(record) = root.record().cloned() else {
            return false;
        };
        let epoch = record.epoch;
        let mine = self
            .chain
            .closing
            .as_ref()
            .filter(|closing| closing.epoch == epoch);
        if mine.is_some_and(|closing| record.leaves.iter().all(|leaf| leaf.closing != closing.id)) {
            let verified = self
                .roots
                .clone()
                .adopt(&self.rules, &self.committees, root)
                .is_ok();
            if verified {
                self.halt(format!("the root record of epoch {epoch} names another closing block than was committed here"), out);
            }
            return false;
        }
        let next = match self
            .roots
            .adopt(&self.rules, &self.committees, root.clone())
        {
            Ok(next) => next,
            Err(_) => return false,
        };
        let mut writes = vec![persist::put_root(epoch, &root)];
        if let Some((period, committee)) = next {
            writes.push(persist::put_root_committee(period, &committee));
            self.committees.put_root(period, committee);
        }
        if !self.write(writes) {
            return false;
        }
        if self
            .root
            .as_ref()
            .is_some_and(|run| run.blocks.epoch() <= epoch)
        {
            self.root = None;
        }
        self.recovery.end(ChainKind::Root, epoch);
        out.push(Output::Sync);
        out.push(Output::RootCommitted(Box::new(record)));
        (self.work, self.retry, self.tell_all) = (true, true, true);
        // Behind by more than one record: the instance of the leaf's last closing may begin now.
        if self.root.is_none()
            && self
                .chain
                .closing
                .as_ref()
                .is_some_and(|c| c.epoch == epoch.next())
        {
            self.begin_root(now, self.recovery.clean);
        }
        true
    }

    fn report_offence(
        &mut self,
        now: Millis,
        source: &Source,
        offence: Offence,
        out: &mut Vec<Output>,
    ) {
        let Some(member) = source.committee.get(offence.member()) else {
            return;
        };
        let evidence = Evidence {
            seat: member.seat,
            key: member.key,
            reporter: self.reporter,
            offence,
        };
        let operation = Operation::Proof(ProofOperation::Evidence(Box::new(evidence)));
        Self::event(NodeEvent::Offence { member: member.key }, out);
        // Refused when the state knows of it already.
        let _queued = self.submit_operation(now, operation);
    }

    /// Lets the instances do what the last input made possible. Whether anything was done.
    pub(super) fn run_instances(&mut self, now: Millis, out: &mut Vec<Output>) -> bool {
        self.watch_clock(now);
        let mut moved = false;
        if std::mem::take(&mut self.begun) {
            moved = true;
            self.deliver_early(now, out);
        }
        if std::mem::take(&mut self.retry) {
            moved = true;
            for block in self.leaf.blocks.take_waiting() {
                self.leaf_call(now, out, |core, host, effects| {
                    core.retry(now, host, block, effects)
                });
            }
        }
        if self.leaf.core.next_deadline().is_some_and(|at| at <= now) {
            moved = true;
            self.leaf_call(now, out, |core, host, effects| {
                core.tick(now, host, effects)
            });
        }
        if self
            .root
            .as_ref()
            .and_then(|root| root.core.next_deadline())
            .is_some_and(|at| at <= now)
        {
            moved = true;
            self.root_call(now, out, |core, host, effects| {
                core.tick(now, host, effects)
            });
        }
        if std::mem::take(&mut self.work) {
            moved = true;
            self.leaf_call(now, out, |core, host, effects| {
                core.work(now, host, effects)
            });
            self.root_call(now, out, |core, host, effects| {
                core.work(now, host, effects)
            });
        }
        moved
    }
}
