//! The log: its state, its entry points, and how an input ends.

use super::api::{Durability, Input, LogError, LogLimits, LogStatus, Output, Source};
use super::blocks::LogBlocks;
use super::gather::Gathered;
use super::host::LogHost;
use super::messages::{HELD_MAX, LogMessage, TOKENS_MAX};
use super::persist::{self as log_store, Arrived, StoredHead};
use super::pool::{LogPool, Share, Ticket};
use crate::consensus::{Consensus, Effect};
use crate::node::Priority;
use crate::persist;
use crate::recovery::Recovery;
use crate::sync::Bucket;
use crate::wire::CertifiedBlocks;
use frith_ledger::block::{Batch, BatchDigest, BlockId, ChainKind, Payload};
use frith_ledger::certificate::{CommitProof, Committee};
use frith_ledger::codec::BoundedVec;
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::key::PublicKey;
use frith_ledger::store::{Store, StoreError, Table, Write};
use frith_ledger::units::{Epoch, Height, Millis, View};
use parity_scale_codec::Encode as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rounds in which consequences of one input are worked off before the host gets its turn.
const ROUNDS_MAX: usize = 64;

/// Blocks that were proposed and aren't committed yet, while all goes well.
const BLOCKS_OPEN: usize = 3;

/// A connected peer.
pub(super) struct Peer {
    pub(super) served: Bucket,
    pub(super) head: Height,
}

/// One member of a replicated log. See the module.
pub struct Log {
    pub(super) group: Hash,
    pub(super) committee: Arc<Committee>,
    pub(super) me: PublicKey,
    pub(super) index: u16,
    pub(super) durability: Durability,
    pub(super) limits: LogLimits,
    pub(super) store: Gathered,
    pub(super) core: Consensus,
    pub(super) blocks: LogBlocks,
    pub(super) pool: LogPool,
    pub(super) recovery: Recovery,
    pub(super) peers: BTreeMap<PublicKey, Peer>,
    pub(super) lacking: BTreeMap<BlockId, (u16, BTreeSet<BatchDigest>)>,
    pub(super) saved: BTreeSet<View>,
    /// Batches that are kept here, which the others weren't told, and when they are to be told.
    pub(super) untold: Vec<BatchDigest>,
    pub(super) untold_due: Option<Millis>,
    /// Blocks that were copied and wait for their batches.
    pub(super) copied: Option<(PublicKey, CertifiedBlocks)>,
    /// While a member is ahead: when to ask for committed blocks, whose turn it is, and who was asked and hasn't answered.
    pub(super) copying: Option<Millis>,
    pub(super) copy_turn: usize,
    pub(super) copy_asked: Option<PublicKey>,
    pub(super) failed: Option<StoreError>,
    pub(super) halted: Option<String>,
    pub(super) work: bool,
    pub(super) resumed: Vec<Output>,
}

impl Log {
    /// Applies `input` at `now` and appends what is to be done to `out`, in order.
    pub fn handle(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) {
        out.append(&mut self.resumed);
        let before = out.len();
        if let Some(reason) = &self.halted {
            if let Input::Submit { token, .. } = input {
                let error = LogError::Halted {
                    reason: reason.clone(),
                };
                out.push(Output::Refused { token, error });
            }
            return;
        }
        match input {
            Input::Connected { peer } => self.connected(now, peer, out),
            Input::Disconnected { peer } => {
                self.peers.remove(&peer);
            }
            Input::Message { from, bytes } => self.message(now, from, &bytes, out),
            Input::Submit { token, commands } => {
                let ticket = (Source::Host, token);
                if let Err(error) = self.pool.submit(now, ticket, commands, &self.limits) {
                    out.push(Output::Refused { token, error });
                }
            }
            Input::Tick => {
                if self.core.next_deadline().is_some_and(|due| due <= now) {
                    self.call(now, out, |core, host, effects| {
                        core.tick(now, host, effects);
                    });
                }
            }
            Input::StorageFailed { reason } => {
                self.halt(format!("the store failed: {reason}"), out);
            }
        }
        self.settle(now, out);
        if let Err(error) = self.store.flush() {
            // Nothing may leave that depends on what isn't written.
            out.truncate(before);
            self.halt(error.to_string(), out);
        }
    }

    /// When [`Input::Tick`] is due at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        if self.halted.is_some() {
            return None;
        }
        [
            self.core.next_deadline(),
            self.pool.due(&self.limits),
            self.pool.next_ask(),
            self.untold_due,
            // Blocks that are here wait for their batches, which are wanted.
            self.copying.filter(|_| self.copied.is_none()),
            self.recovery.next().filter(|_| !self.peers.is_empty()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Makes every write so far durable: performs [`Output::Sync`].
    ///
    /// # Errors
    /// [`StoreError`]; tell the log by [`Input::StorageFailed`].
    pub fn sync_store(&mut self) -> Result<(), StoreError> {
        self.store.sync()
    }

    /// The commands of a batch that is kept or committed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn batch(&self, digest: &BatchDigest) -> Result<Option<Batch>, StoreError> {
        let Some(place) = log_store::arrived(&self.store, digest)? else {
            return Ok(None);
        };
        Ok(log_store::batches(&self.store, place.at, 1)?
            .into_iter()
            .find(|(at, _)| *at == place.at)
            .map(|(_, batch)| batch))
    }

    /// How the log is.
    #[must_use]
    pub fn status(&self) -> LogStatus {
        let (_, head) = self.blocks.head();
        let (waiting, queue_bytes) = self.pool.counts();
        LogStatus {
            height: head.height,
            commands: head.state.entities,
            state: head.state.hash,
            view: self.core.view(),
            waiting,
            queue_bytes,
            signs: self.core.signs(),
        }
    }

    fn settle(&mut self, now: Millis, out: &mut Vec<Output>) {
        for _ in 0..ROUNDS_MAX {
            if let Some(error) = self.failed.take() {
                self.halt(error.to_string(), out);
            }
            if self.halted.is_some() {
                return;
            }
            let mut moved = self.make_batch(now, out);
            moved |= self.retry_lacking(now, out);
            moved |= self.apply_copied(now, out);
            if std::mem::take(&mut self.work) {
                self.call(now, out, |core, host, effects| {
                    core.work(now, host, effects)
                });
                moved = true;
            }
            if !moved {
                break;
            }
        }
        self.ask_batches(now, out);
        self.tell_held(now, out);
        self.ask_reports(now, out);
        self.ask_blocks(now, out);
    }

    /// Asks for batches that are wanted.
    fn ask_batches(&mut self, now: Millis, out: &mut Vec<Output>) {
        if self.pool.next_ask().is_none_or(|due| due > now) {
            return;
        }
        let members = self.committee.members();
        let connected: BTreeSet<u16> = (0..)
            .zip(members)
            .filter(|(_, member)| self.peers.contains_key(&member.key))
            .map(|(index, _)| index)
            .collect();
        let asks = self.pool.asks(now, members.len(), &connected, &self.limits);
        for (digest, member) in asks {
            if let Some(member) = self.committee.get(member) {
                self.send(member.key, &LogMessage::WantBatch(digest), out);
            }
        }
    }

    /// Says which batches are kept here: at once while a leader may need to know, else gathered.
    fn tell_held(&mut self, now: Millis, out: &mut Vec<Output>) {
        // What is committed meanwhile no leader needs to hear of.
        self.untold.retain(|digest| self.pool.get(digest).is_some());
        if self.untold.is_empty() {
            self.untold_due = None;
            return;
        }
        let due = *self
            .untold_due
            .get_or_insert(now.plus(self.limits.held_delay.get()));
        let blocks = self.committee.members().len().saturating_add(BLOCKS_OPEN);
        let enough = self.limits.block_batches.saturating_mul(blocks);
        let urgent = self.pool.ready(&self.committee).nth(enough).is_none();
        if urgent || due <= now || self.untold.len() >= HELD_MAX {
            self.untold_due = None;
            for some in std::mem::take(&mut self.untold).chunks(HELD_MAX) {
                if let Ok(held) = BoundedVec::try_from(some.to_vec()) {
                    self.send_members(&LogMessage::Held(held), out);
                }
            }
        }
    }

    /// Makes an own batch when it is time. Whether it did.
    fn make_batch(&mut self, now: Millis, out: &mut Vec<Output>) -> bool {
        if self.pool.due(&self.limits).is_none_or(|due| due > now) {
            return false;
        }
        let (batch, tickets) = self.pool.take(now, &self.limits);
        let commands = batch.operations.len();
        let frame: Arc<[u8]> = LogMessage::Batch(batch).encode().into();
        self.take_in((self.me, true), self.me, commands, &frame, tickets);
        for member in self.committee.members() {
            if self.peers.contains_key(&member.key) {
                out.push(Output::Send {
                    to: member.key,
                    priority: Priority::Bulk,
                    bytes: frame.clone(),
                });
            }
        }
        true
    }

    /// Keeps the batch that is all of `frame` but its first byte. Its digest; `None` when it was here or can't
    /// be kept.
    pub(super) fn take_in(
        &mut self,
        share: Share,
        author: PublicKey,
        commands: usize,
        frame: &[u8],
        tickets: Vec<(Ticket, usize)>,
    ) -> Option<BatchDigest> {
        let encoded = frame.get(1..)?;
        let digest = Domain::Batch.hasher().update(encoded).finish();
        let here = log_store::arrived(&self.store, &digest);
        if self.note(here)?.is_some() {
            return None;
        }
        // Not what is only said to be kept: whoever says so chooses how much.
        let exempt = share == (self.me, true) || self.pool.is_needed(&digest);
        if !exempt && !self.pool.has_room(&share, &self.limits) {
            return None;
        }
        let at = self.pool.next_at();
        let place = Arrived {
            at,
            committed: None,
        };
        let writes = vec![
            log_store::put_batch(at, encoded.to_vec()),
            log_store::put_arrived(&digest, &place),
        ];
        let written = self.store.write(writes);
        self.note(written)?;
        self.keep(digest, share, (author, at, commands), tickets);
        Some(digest)
    }

    pub(super) fn keep(
        &mut self,
        digest: BatchDigest,
        share: Share,
        (author, at, commands): (PublicKey, u64, usize),
        tickets: Vec<(Ticket, usize)>,
    ) {
        let commands = u64::try_from(commands).unwrap_or(u64::MAX);
        let here = (&*self.committee, self.index);
        self.pool
            .keep(digest, share, (author, at, commands), tickets, here);
        for (_, lacking) in self.lacking.values_mut() {
            lacking.remove(&digest);
        }
        self.work = true;
    }

    /// Has consensus look again at blocks that lack nothing any more. Whether there were any.
    fn retry_lacking(&mut self, now: Millis, out: &mut Vec<Output>) -> bool {
        let complete = self
            .lacking
            .iter()
            .filter(|(_, (_, lacks))| lacks.is_empty());
        let complete: Vec<BlockId> = complete.map(|(id, _)| *id).collect();
        for id in &complete {
            self.lacking.remove(id);
            self.call(now, out, |core, host, effects| {
                core.retry(now, host, *id, effects);
            });
        }
        !complete.is_empty()
    }

    /// Lets go of wants that no block needs any more.
    fn release(&mut self) {
        let lacks = self.lacking.values().flat_map(|(_, lacks)| lacks);
        let mut needed: BTreeSet<BatchDigest> = lacks.copied().collect();
        for block in self.copied.iter().flat_map(|(_, answer)| &answer.blocks) {
            if let Payload::Log(payload) = &block.payload {
                needed.extend(payload.batches.iter().copied());
            }
        }
        self.pool.release(&needed);
    }

    /// Calls consensus, and does what it wants.
    pub(super) fn call(
        &mut self,
        now: Millis,
        out: &mut Vec<Output>,
        call: impl FnOnce(&mut Consensus, &mut LogHost<'_>, &mut Vec<Effect>),
    ) {
        let before: BTreeSet<BlockId> = self.lacking.keys().copied().collect();
        let mut effects = Vec::new();
        let mut host = LogHost {
            store: &mut self.store,
            blocks: &mut self.blocks,
            pool: &self.pool,
            committee: &self.committee,
            block_batches: self.limits.block_batches,
            lacking: &mut self.lacking,
            saved: &mut self.saved,
            failed: &mut self.failed,
        };
        call(&mut self.core, &mut host, &mut effects);
        for (id, (proposer, lacks)) in &self.lacking {
            if !before.contains(id) {
                for digest in lacks {
                    self.pool.need(now, *digest, *proposer, &self.limits);
                }
            }
        }
        for effect in effects {
            if self.halted.is_some() {
                return;
            }
            self.perform(now, effect, out);
        }
    }

    fn perform(&mut self, now: Millis, effect: Effect, out: &mut Vec<Output>) {
        match effect {
            Effect::Sync => {
                if self.durability == Durability::Disk {
                    out.push(Output::Sync);
                }
            }
            Effect::Send { to, message } => {
                if let Some(member) = self.committee.get(to) {
                    let message = LogMessage::Consensus(Box::new(message));
                    self.send(member.key, &message, out);
                }
            }
            Effect::Broadcast(message) => {
                self.send_members(&LogMessage::Consensus(Box::new(message)), out);
            }
            Effect::Committed { blocks, proof } => self.committed(&blocks, &proof, out),
            Effect::FetchBlock { id, from } => {
                if let Some(member) = self.committee.get(from) {
                    self.send(member.key, &LogMessage::WantProposal(id), out);
                }
            }
            Effect::PeerFault { member, fault } => {
                if let Some(member) = self.committee.get(member) {
                    out.push(Output::Misbehaviour {
                        peer: member.key,
                        reason: fault.to_string(),
                    });
                }
            }
            Effect::Offence(offence) => {
                if let Some(member) = self.committee.get(offence.member()) {
                    out.push(Output::Misbehaviour {
                        peer: member.key,
                        reason: "it signed two things that exclude each other".to_owned(),
                    });
                }
            }
            Effect::Dropped(id) => {
                self.blocks.forget(&id);
                if self.lacking.remove(&id).is_some() {
                    self.release();
                }
            }
            Effect::RecordLost { .. } => self.recovery.begin(now, self.core.instance()),
            Effect::Rejoined => {}
            Effect::Diverged { block, reason } => {
                let reason =
                    format!("a quorum certified block {block}, which is invalid here: {reason}");
                self.halt(reason, out);
            }
            Effect::Halt(error) => self.halt(error.to_string(), out),
        }
    }

    /// Blocks are committed, the last by `proof`.
    pub(super) fn committed(
        &mut self,
        blocks: &[BlockId],
        proof: &CommitProof,
        out: &mut Vec<Output>,
    ) {
        let (mut writes, mut through): (Vec<Write>, Vec<Ticket>) = (Vec::new(), Vec::new());
        let mut told = Vec::new();
        for (at, id) in blocks.iter().enumerate() {
            let before = self.blocks.head().1.state.entities;
            let Some(entry) = self.blocks.commit(*id) else {
                return self.halt(format!("block {id} is committed but does not follow"), out);
            };
            let Some(block) = &entry.block else { continue };
            let place = persist::ChainEntry {
                id: *id,
                epoch: Epoch::ZERO,
                proof: (at + 1 == blocks.len()).then(|| persist::Tail {
                    headers: Vec::new(),
                    proof: proof.clone(),
                }),
            };
            writes.extend(persist::put_block(entry.height, block, &place));
            for digest in &entry.batches {
                if let Some((at, tickets)) = self.pool.committed(digest) {
                    let committed = Some(entry.height);
                    let place = Arrived { at, committed };
                    writes.push(log_store::put_arrived(digest, &place));
                    through.extend(tickets);
                }
            }
            if !entry.batches.is_empty() {
                told.push(Output::Committed {
                    height: entry.height,
                    first: before,
                    batches: entry.batches,
                });
            }
        }
        let (id, head) = self.blocks.head();
        writes.push(log_store::put_head(&StoredHead {
            id,
            height: head.height,
            state: head.state,
            floor: self.pool.floor(),
        }));
        let later = self.saved.split_off(&proof.header.view.next());
        for view in std::mem::replace(&mut self.saved, later) {
            writes.push(Write::Delete {
                table: Table::Safety,
                key: persist::proposal_key(ChainKind::Leaf, Epoch::ZERO, view),
            });
        }
        let written = self.store.write(writes);
        if self.note(written).is_some() {
            out.extend(told);
            self.tell_final(through, out);
            self.work = true;
        }
    }

    /// Tells whoever submitted them that commands are final.
    fn tell_final(&self, through: Vec<Ticket>, out: &mut Vec<Output>) {
        let mut by_source: BTreeMap<Source, Vec<u64>> = BTreeMap::new();
        for (source, token) in through {
            by_source.entry(source).or_default().push(token);
        }
        for (source, tokens) in by_source {
            match source {
                Source::Host => out.push(Output::Finalised { tokens }),
                Source::Peer(peer) => {
                    for tokens in tokens.chunks(TOKENS_MAX) {
                        let tokens = BoundedVec::try_from(tokens.to_vec()).unwrap_or_default();
                        self.send(peer, &LogMessage::Finalised(tokens), out);
                    }
                }
            }
        }
    }

    pub(super) fn note<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        result
            .map_err(|error| self.failed.get_or_insert(error).clone())
            .ok()
    }

    pub(super) fn halt(&mut self, reason: String, out: &mut Vec<Output>) {
        if self.halted.is_none() {
            out.push(Output::Halted {
                reason: reason.clone(),
            });
            self.halted = Some(reason);
        }
    }

    pub(super) fn send(&self, to: PublicKey, message: &LogMessage, out: &mut Vec<Output>) {
        if self.peers.contains_key(&to) {
            out.push(Output::Send {
                to,
                priority: priority(message),
                bytes: message.encode().into(),
            });
        }
    }

    /// Sends to all connected members.
    pub(super) fn send_members(&self, message: &LogMessage, out: &mut Vec<Output>) {
        let bytes: Arc<[u8]> = message.encode().into();
        for member in self.committee.members() {
            if self.peers.contains_key(&member.key) {
                out.push(Output::Send {
                    to: member.key,
                    priority: priority(message),
                    bytes: bytes.clone(),
                });
            }
        }
    }

    /// Says which own batches wait: whoever lacks one asks for it.
    pub(super) fn offer_own(&self, to: PublicKey, out: &mut Vec<Output>) {
        let own: Vec<BatchDigest> = self.pool.own().copied().take(HELD_MAX).collect();
        if let Ok(held) = BoundedVec::try_from(own)
            && !held.is_empty()
        {
            self.send(to, &LogMessage::Held(held), out);
        }
    }
}

const fn priority(message: &LogMessage) -> Priority {
    match message {
        LogMessage::Consensus(_) => Priority::Consensus,
        LogMessage::Batch(_) | LogMessage::Blocks(_) | LogMessage::Submit { .. } => Priority::Bulk,
        LogMessage::Held(_)
        | LogMessage::Head(_)
        | LogMessage::WantBatch(_)
        | LogMessage::WantProposal(_)
        | LogMessage::WantBlocks(_)
        | LogMessage::ReportRequest(_)
        | LogMessage::Report(_)
        | LogMessage::Refused { .. }
        | LogMessage::Finalised(_) => Priority::Control,
    }
}
