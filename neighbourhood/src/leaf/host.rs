//! What the leaf's consensus asks: proposals, checks, known batches, whether there is work.

use super::blocks::{LeafBlocks, LeafEntry, Missing};
use crate::consensus::{Host, Parent, SafetyRecord, Verdict};
use crate::persist;
use crate::pool::{Held, Pool};
use crate::roots::Roots;
use frith_ledger::address::Address;
use frith_ledger::block::{
    BatchDigest, Block, BlockId, ChainKind, LeafPayload, Owed, Payload, Proposal, RootRecord,
};
use frith_ledger::certificate::{QuorumCertificate, TimeoutCertificate};
use frith_ledger::operation::Operation;
use frith_ledger::parameters::{BLOCK_BATCHES_MAX, OWED_MAX};
use frith_ledger::store::{Store, StoreError};
use frith_ledger::tree::Summary;
use frith_ledger::units::{Epoch, Millis};
use frith_tasks::{BlockContext, Executed, Rules};
use std::collections::BTreeSet;

/// The leaf's side of its consensus, for one call.
pub struct LeafHost<'a> {
    /// What all agree on.
    pub rules: &'a Rules,
    /// Where things are kept.
    pub store: &'a mut dyn Store,
    /// The epoch's blocks.
    pub blocks: &'a mut LeafBlocks,
    /// The op pool.
    pub pool: &'a Pool,
    /// The root records.
    pub roots: &'a Roots,
    /// This node's seat, when it is a member.
    pub seat: Option<Address>,
    /// What was found to be missing.
    pub missing: &'a mut Missing,
    /// The store failed in a call that can't say so.
    pub failed: &'a mut Option<StoreError>,
}

/// Why a block can't be executed.
#[derive(Debug)]
pub enum Fault {
    /// Something isn't here; it was noted in [`Missing`].
    Missing,
    /// The block is wrong.
    Invalid(String),
}

/// Certificates that justify a block.
type Grounds<'a> = (
    Option<&'a QuorumCertificate>,
    Option<&'a TimeoutCertificate>,
);

impl LeafHost<'_> {
    fn elapsed(&self, now: Millis) -> u64 {
        now.minus(self.blocks.entered.get()).get()
    }

    fn is_over(&self, now: Millis) -> bool {
        self.elapsed(now) >= self.rules.parameters().epoch_ms
    }

    /// Where root records end that a block of this epoch may accept.
    fn roots_known(&self) -> Epoch {
        self.roots.next().min(self.blocks.epoch())
    }

    fn records(&mut self, from: Epoch, to: Epoch) -> Result<Vec<RootRecord>, Fault> {
        let mut records = Vec::new();
        for epoch in from.get()..to.get() {
            match self.roots.record(Epoch::new(epoch)) {
                Some(record) => records.push(record.clone()),
                None => {
                    self.missing.root = Some(Epoch::new(epoch));
                    return Err(Fault::Missing);
                }
            }
        }
        Ok(records)
    }

    fn batch(&mut self, digest: &BatchDigest) -> Option<Held> {
        match self.pool.batch(self.store, digest) {
            Ok(Some(held)) => Some(held),
            Ok(None) => {
                self.missing.batches.insert(*digest);
                None
            }
            Err(error) => {
                *self.failed = Some(error);
                None
            }
        }
    }

    /// The longest run of what is owed that fits; `None` when a batch of it isn't here.
    fn owed_run(&mut self, owed: &[Owed]) -> Option<Vec<Held>> {
        let bytes_max =
            usize::try_from(self.rules.parameters().block_bytes_max).unwrap_or(usize::MAX);
        let (mut run, mut bytes) = (Vec::new(), 0_usize);
        for owed in owed.iter().take(BLOCK_BATCHES_MAX) {
            let held = self.batch(&owed.batch)?;
            bytes = bytes.saturating_add(held.bytes);
            if bytes > bytes_max {
                break;
            }
            if self.lacks_contents(&held) {
                return None;
            }
            run.push(held);
        }
        Some(run)
    }

    /// Whether a content that the batch names isn't here; notes which.
    fn lacks_contents(&mut self, held: &Held) -> bool {
        let lacks = self
            .pool
            .get(&held.digest)
            .is_some_and(|waiting| !waiting.complete);
        if lacks {
            self.missing.contents.extend(
                held.contents
                    .iter()
                    .map(|(id, len)| (*id, (*len, held.digest))),
            );
        }
        lacks
    }

    /// Adds certified batches that nobody is owed, as many as fit.
    fn fill(&mut self, parent: &BlockId, run: &mut Vec<Held>) {
        let bytes_max =
            usize::try_from(self.rules.parameters().block_bytes_max).unwrap_or(usize::MAX);
        let mut bytes: usize = run.iter().map(|held| held.bytes).sum();
        let taken: BTreeSet<BatchDigest> = run.iter().map(|held| held.digest).collect();
        for digest in self.pool.certified() {
            if run.len() >= BLOCK_BATCHES_MAX {
                break;
            }
            if taken.contains(digest) || self.blocks.has_included(parent, digest) {
                continue;
            }
            let Some(waiting) = self.pool.get(digest) else {
                continue;
            };
            if bytes.saturating_add(waiting.held.bytes) <= bytes_max {
                bytes += waiting.held.bytes;
                run.push(waiting.held.clone());
            }
        }
    }

    fn execute(
        &self,
        parent: &LeafEntry,
        proposer: Address,
        records: &[RootRecord],
        batches: &[Held],
    ) -> Result<Executed, String> {
        let context = BlockContext {
            epoch: self.blocks.epoch(),
            height: parent.height.next(),
            proposer,
            roots: records,
        };
        let joined: Vec<Operation>;
        let operations: &[Operation] = match batches {
            [one] => &one.operations,
            many => {
                joined = many
                    .iter()
                    .flat_map(|held| held.operations.iter().cloned())
                    .collect();
                &joined
            }
        };
        parent
            .state
            .execute(self.rules, &context, operations)
            .map_err(|error| error.to_string())
    }

    /// Executes a block on its parent, which was executed. With `grounds` the inclusion rule is
    /// checked, and that contents are here; without, a quorum has done so.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn run(&mut self, block: &Block, grounds: Option<Grounds<'_>>) -> Result<LeafEntry, Fault> {
        let invalid = |reason: &str| Fault::Invalid(reason.to_owned());
        let header = &block.header;
        let parent = self
            .blocks
            .get(&header.parent)
            .cloned()
            .ok_or_else(|| invalid("its parent is unknown"))?;
        if header.payload != block.payload.hash() {
            return Err(invalid("its header names another payload"));
        }
        if header.height != parent.height.next() {
            return Err(invalid("its height is not its parent's and one"));
        }
        let entry = match &block.payload {
            Payload::Root(_) => return Err(invalid("a root record in a leaf")),
            Payload::Log(_) => return Err(invalid("a log's block in a leaf")),
            Payload::Empty if !parent.closed => {
                return Err(invalid("an empty block before the closing block"));
            }
            Payload::Leaf(_) if parent.closed => {
                return Err(invalid("operations after the closing block"));
            }
            Payload::Empty => LeafEntry {
                block: Some(block.clone()),
                parent: header.parent,
                height: header.height,
                state: parent.state.clone(),
                receipts: Vec::new(),
                events: Vec::new(),
                owed: parent.owed.clone(),
                closed: true,
                moves: false,
            },
            Payload::Leaf(payload) => self.run_payload(block, payload, &parent, grounds)?,
        };
        if entry.state.summary() != header.state {
            return Err(invalid("its state is not what its operations give"));
        }
        Ok(entry)
    }

    fn run_payload(
        &mut self,
        block: &Block,
        payload: &LeafPayload,
        parent: &LeafEntry,
        grounds: Option<Grounds<'_>>,
    ) -> Result<LeafEntry, Fault> {
        let invalid = |reason: &str| Fault::Invalid(reason.to_owned());
        let header = &block.header;
        let (epoch, accepted) = (self.blocks.epoch(), parent.state.roots());
        if payload.roots < accepted || payload.roots > epoch {
            return Err(invalid("it accepts root records out of order"));
        }
        if payload.claim.is_some() && payload.roots != epoch {
            return Err(invalid("it closes the epoch without the last root record"));
        }
        if let Some((justify, timeout)) = grounds {
            self.check_inclusion(&header.parent, payload, justify, timeout)?;
        }
        let records = self.records(accepted, payload.roots)?;
        let mut batches = Vec::with_capacity(payload.batches.len());
        for digest in &payload.batches {
            batches.extend(self.batch(digest));
        }
        if batches.len() < payload.batches.len() {
            return Err(Fault::Missing);
        }
        let proposer = self
            .blocks
            .committee
            .get(header.proposer)
            .ok_or_else(|| invalid("no such proposer"))?;
        let seat = proposer.seat;
        // Fees go to the proposer: another member's block with the same payload has another state.
        let made = (self.seat == Some(seat))
            .then(|| self.blocks.recall(&header.parent, &header.payload))
            .flatten();
        let executed = match made {
            Some(executed) => executed,
            None => self
                .execute(parent, seat, &records, &batches)
                .map_err(Fault::Invalid)?,
        };
        if payload
            .claim
            .as_ref()
            .is_some_and(|claim| *claim != executed.state.claim(epoch))
        {
            return Err(invalid("its claim is not what the state gives"));
        }
        let closed = payload.claim.is_some();
        let moves = closed
            || !payload.batches.is_empty()
            || payload.roots != accepted
            || executed.state.summary() != parent.state.summary();
        Ok(LeafEntry {
            block: Some(block.clone()),
            parent: header.parent,
            height: header.height,
            state: executed.state,
            receipts: executed.receipts,
            events: executed.events,
            owed: payload.owed.to_vec(),
            closed,
            moves,
        })
    }

    fn check_inclusion(
        &mut self,
        parent: &BlockId,
        payload: &LeafPayload,
        justify: Option<&QuorumCertificate>,
        timeout: Option<&TimeoutCertificate>,
    ) -> Result<(), Fault> {
        let invalid = |reason: &str| Err(Fault::Invalid(reason.to_owned()));
        let owed = self.blocks.owed_before(parent, justify, timeout);
        let distinct: BTreeSet<&BatchDigest> = payload.batches.iter().collect();
        if distinct.len() < payload.batches.len()
            || payload
                .batches
                .iter()
                .any(|batch| self.blocks.has_included(parent, batch))
        {
            return invalid("it includes a batch twice");
        }
        let run = self.owed_run(&owed).ok_or(Fault::Missing)?;
        let must = run.iter().map(|held| held.digest);
        if !payload.batches.iter().copied().take(run.len()).eq(must) {
            return invalid("it leaves out batches that it owes, or takes them out of order");
        }
        if run.len() < owed.len() && payload.batches.len() > run.len() {
            return invalid("it includes other batches before those it owes");
        }
        if *payload.owed != owed[run.len()..] {
            return invalid("its list of what is owed is wrong");
        }
        let mut bytes = 0_usize;
        let mut complete = true;
        for digest in &payload.batches {
            let Some(held) = self.batch(digest) else {
                complete = false;
                continue;
            };
            bytes = bytes.saturating_add(held.bytes);
            complete &= !self.lacks_contents(&held);
        }
        if bytes > usize::try_from(self.rules.parameters().block_bytes_max).unwrap_or(usize::MAX) {
            return invalid("it includes more bytes than a block may");
        }
        if complete {
            Ok(())
        } else {
            Err(Fault::Missing)
        }
    }

    /// Whether the entry closes the epoch before half of it passed here.
    fn too_early(&self, now: Millis, entry: &LeafEntry) -> bool {
        entry.closes() && self.elapsed(now) < self.rules.parameters().epoch_ms / 2
    }
}

impl Host for LeafHost<'_> {
    fn propose(&mut self, now: Millis, on: &Parent<'_>) -> Option<(Payload, Summary)> {
        let parent = self.blocks.get(&on.id)?.clone();
        if parent.closed {
            return self
                .blocks
                .moves(&on.id)
                .then(|| (Payload::Empty, parent.state.summary()));
        }
        let epoch = self.blocks.epoch();
        let owed = self.blocks.owed_before(&on.id, on.justify, on.timeout);
        let mut run = self.owed_run(&owed)?;
        let rest = owed.get(run.len()..).unwrap_or_default().to_vec();
        if rest.is_empty() {
            self.fill(&on.id, &mut run);
        }
        let roots = self.roots_known().max(parent.state.roots());
        let closing = self.is_over(now) && roots == epoch;
        if run.is_empty() && !closing && !self.has_work(now, &on.id) {
            return None;
        }
        let records = self.records(parent.state.roots(), roots).ok()?;
        let executed = self.execute(&parent, self.seat?, &records, &run).ok()?;
        let batches: Vec<BatchDigest> = run.iter().map(|held| held.digest).collect();
        let claim = closing.then(|| executed.state.claim(epoch));
        let payload = LeafPayload {
            roots,
            batches: batches.try_into().ok()?,
            owed: rest.try_into().ok()?,
            claim,
        };
        let payload = Payload::Leaf(payload);
        let summary = executed.state.summary();
        self.blocks.remember(on.id, payload.hash(), executed);
        Some((payload, summary))
    }

    fn check(&mut self, now: Millis, proposal: &Proposal, certified: bool) -> Verdict {
        let id = proposal.block.header.id();
        let known = self.blocks.get(&id).cloned();
        let entry = match known {
            Some(entry) => entry,
            None => {
                let grounds = (proposal.justify.as_ref(), proposal.timeout.as_ref());
                match self.run(&proposal.block, (!certified).then_some(grounds)) {
                    Ok(entry) => self.blocks.put(id, entry),
                    Err(Fault::Missing) => {
                        self.blocks.wait(id);
                        return Verdict::Wait;
                    }
                    Err(Fault::Invalid(reason)) => return Verdict::Reject { reason },
                }
                match self.blocks.get(&id) {
                    Some(entry) => entry.clone(),
                    None => return Verdict::Wait,
                }
            }
        };
        if !certified && self.too_early(now, &entry) {
            self.blocks.wait(id);
            return Verdict::Abstain;
        }
        Verdict::Accept
    }

    fn known(&self, head: &BlockId) -> Vec<BatchDigest> {
        let fresh = self
            .pool
            .certified()
            .filter(|digest| !self.blocks.has_included(head, digest));
        fresh.take(OWED_MAX).copied().collect()
    }

    fn has_work(&self, now: Millis, head: &BlockId) -> bool {
        let Some(entry) = self.blocks.get(head) else {
            return true;
        };
        if entry.closed {
            return self.blocks.moves(head);
        }
        let (epoch, accepted) = (self.blocks.epoch(), entry.state.roots());
        let known = self.roots_known();
        let wants_root =
            || (accepted.get()..known.get()).any(|root| entry.state.wants_root(Epoch::new(root)));
        self.blocks.moves(head)
            || !entry.owed.is_empty()
            || (self.is_over(now) && known == epoch)
            || entry.state.has_due(epoch)
            || wants_root()
            || self
                .pool
                .certified()
                .any(|digest| !self.blocks.has_included(head, digest))
    }

    fn save(
        &mut self,
        record: &SafetyRecord,
        proposal: Option<&Proposal>,
    ) -> Result<(), StoreError> {
        let epoch = self.blocks.epoch();
        let mut writes = vec![persist::put_safety(ChainKind::Leaf, epoch, record)];
        writes.extend(
            proposal.map(|proposal| persist::put_proposal(ChainKind::Leaf, epoch, proposal)),
        );
        self.store.write(writes)
    }
}
