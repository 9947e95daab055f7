//! What peers say, and copying what was committed without this member.

use super::api::{Durability, Output, Source};
use super::core::{Log, Peer};
use super::messages::LogMessage;
use super::persist as log_store;
use crate::consensus::{ConsensusMessage, RecoverError, Report, ReportRequest};
use crate::node::Priority;
use crate::persist;
use crate::sync::Bucket;
use crate::wire::CertifiedBlocks;
use frith_ledger::block::{BatchDigest, Block, BlockId, Payload, Proposal};
use frith_ledger::codec::BoundedVec;
use frith_ledger::hash::Domain;
use frith_ledger::key::{PublicKey, Signature};
use frith_ledger::parameters::BATCH_BYTES_MAX;
use frith_ledger::store::Store as _;
use frith_ledger::units::{Height, Millis};
use parity_scale_codec::Encode as _;

/// Blocks in one answer, fewer than the wire allows: each may name many batches.
const COPIED_MAX: usize = 32;
/// A member that is so many blocks behind copies them at once, without waiting for proposals.
const COPY_GAP: u64 = 64;
/// Peers that are no members, at one time.
const STRANGERS_MAX: usize = 1024;
/// What an answer costs beside its bytes.
const ANSWER_COST: usize = 1024;

impl Log {
    pub(super) fn connected(&mut self, now: Millis, peer: PublicKey, out: &mut Vec<Output>) {
        let member = self.committee.index_of(&peer).is_some();
        if peer == self.me || (!member && self.peers.len() >= STRANGERS_MAX) {
            return;
        }
        let served = Bucket::new(self.limits.served_bytes_per_s, now);
        let head = Height::ZERO;
        self.peers.insert(peer, Peer { served, head });
        if !member {
            return;
        }
        self.send(peer, &LogMessage::Head(self.status().height), out);
        for message in self.core.certificates() {
            self.send(peer, &LogMessage::Consensus(Box::new(message)), out);
        }
        self.offer_own(peer, out);
    }

    pub(super) fn message(
        &mut self,
        now: Millis,
        from: PublicKey,
        bytes: &[u8],
        out: &mut Vec<Output>,
    ) {
        if !self.peers.contains_key(&from) {
            return;
        }
        let message = match LogMessage::from_bytes(bytes) {
            Ok(message) => message,
            Err(error) => {
                let reason = format!("a frame does not decode: {error}");
                return out.push(Output::Misbehaviour { peer: from, reason });
            }
        };
        let member = self.committee.index_of(&from);
        match (message, member) {
            (LogMessage::Submit { token, commands }, _) => {
                let commands = commands.into_inner();
                let commands = commands.into_iter().map(BoundedVec::into_inner).collect();
                let ticket = (Source::Peer(from), token);
                if let Err(error) = self.pool.submit(now, ticket, commands, &self.limits) {
                    self.send(from, &LogMessage::Refused { token, error }, out);
                }
            }
            (LogMessage::Consensus(message), Some(member)) => {
                self.call(now, out, |core, host, effects| {
                    core.message(now, host, member, *message, effects);
                });
            }
            (LogMessage::Batch(batch), Some(_)) => {
                let (author, commands) = (batch.author, batch.operations.len());
                self.batch_came(from, author, commands, bytes, out);
            }
            (LogMessage::Held(digests), Some(member)) => {
                for digest in &digests {
                    self.held(now, digest, member);
                }
            }
            (LogMessage::Head(height), Some(_)) => {
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.head = peer.head.max(height);
                }
            }
            (LogMessage::WantBatch(digest), Some(_)) => self.serve_batch(now, from, &digest, out),
            (LogMessage::WantProposal(id), Some(_)) => self.serve_proposal(from, &id, out),
            (LogMessage::WantBlocks(height), Some(_)) => self.serve_blocks(now, from, height, out),
            (LogMessage::Blocks(blocks), Some(_)) => self.blocks_came(now, from, *blocks, out),
            (LogMessage::ReportRequest(request), Some(_)) => self.report_asked(from, &request, out),
            (LogMessage::Report(report), Some(_)) => self.reported(now, from, *report, out),
            // Meant for whoever submits, or said by one who may not.
            (LogMessage::Refused { .. } | LogMessage::Finalised(_), _) | (_, None) => {}
        }
    }

    fn batch_came(
        &mut self,
        from: PublicKey,
        author: PublicKey,
        commands: usize,
        frame: &[u8],
        out: &mut Vec<Output>,
    ) {
        if commands == 0 || frame.len() > BATCH_BYTES_MAX {
            let reason = "a batch that is empty or too long".to_owned();
            return out.push(Output::Misbehaviour { peer: from, reason });
        }
        // Only the author pushes a batch. What another gives is wanted, and counts against that one.
        if author != from
            && !self
                .pool
                .is_wanted(&Domain::Batch.hasher().update(&frame[1..]).finish())
        {
            return;
        }
        let kept = self.take_in((from, author == from), author, commands, frame, Vec::new());
        self.untold.extend(kept);
    }

    fn held(&mut self, now: Millis, digest: &BatchDigest, member: u16) {
        if self.pool.get(digest).is_none() {
            let stored = log_store::arrived(&self.store, digest);
            if self.note(stored).flatten().is_some() {
                return;
            }
        }
        let committee = self.committee.clone();
        self.work |= self
            .pool
            .held(now, digest, member, &committee, &self.limits);
    }

    /// Whether `from` may be served now; counts what it is served.
    fn may_serve(&mut self, now: Millis, from: &PublicKey) -> bool {
        self.peers
            .get_mut(from)
            .is_some_and(|peer| peer.served.has_room(now))
    }

    fn charge(&mut self, from: &PublicKey, bytes: usize) {
        if let Some(peer) = self.peers.get_mut(from) {
            peer.served.take(bytes.saturating_add(ANSWER_COST));
        }
    }

    fn serve_batch(
        &mut self,
        now: Millis,
        from: PublicKey,
        digest: &BatchDigest,
        out: &mut Vec<Output>,
    ) {
        if !self.may_serve(now, &from) {
            return;
        }
        let place = log_store::arrived(&self.store, digest);
        let Some(place) = self.note(place).flatten() else {
            return;
        };
        let stored = log_store::batch_bytes(&self.store, place.at);
        let Some(encoded) = self.note(stored).flatten() else {
            return;
        };
        self.charge(&from, encoded.len());
        out.push(Output::Send {
            to: from,
            priority: Priority::Bulk,
            bytes: LogMessage::batch_frame(&encoded).into(),
        });
    }

    fn serve_proposal(&mut self, from: PublicKey, id: &BlockId, out: &mut Vec<Output>) {
        let running = self.core.proposal(id).cloned();
        let message = match running {
            Some(proposal) => {
                LogMessage::Consensus(Box::new(ConsensusMessage::Proposal(Box::new(proposal))))
            }
            // Committed and no longer a proposal, or never here: who is behind copies.
            None => LogMessage::Head(self.status().height),
        };
        self.send(from, &message, out);
    }

    fn serve_blocks(
        &mut self,
        now: Millis,
        from: PublicKey,
        height: Height,
        out: &mut Vec<Output>,
    ) {
        if !self.may_serve(now, &from) {
            return;
        }
        let Some(blocks) = self.certified_blocks(height) else {
            return self.send(from, &LogMessage::Head(self.status().height), out);
        };
        self.charge(&from, blocks.encoded_size());
        self.send(from, &LogMessage::Blocks(Box::new(blocks)), out);
    }

    /// Committed blocks from a height on, up to one that a proof is of.
    fn certified_blocks(&mut self, from: Height) -> Option<CertifiedBlocks> {
        // Between two proofs lie few blocks; past the first the answer ends with the last that fits.
        let stored = persist::entries(&self.store, from, crate::wire::BLOCKS_MAX);
        let entries = self.note(stored)?;
        let (mut blocks, mut best): (Vec<Block>, _) = (Vec::new(), None);
        for (at, (height, entry)) in entries.into_iter().enumerate() {
            if height != from.plus(u64::try_from(at).ok()?) || (at >= COPIED_MAX && best.is_some())
            {
                break;
            }
            let stored = persist::block(&self.store, &entry.id);
            blocks.push(self.note(stored).flatten()?);
            if let Some(tail) = entry.proof {
                best = Some((blocks.len(), tail.proof));
            }
        }
        let (len, proof) = best?;
        blocks.truncate(len);
        Some(CertifiedBlocks {
            blocks: BoundedVec::try_from(blocks).ok()?,
            tail: BoundedVec::new(),
            proof,
        })
    }

    /// Asks a member that is ahead for committed blocks, when proposals don't bring this one up in time.
    pub(super) fn ask_blocks(&mut self, now: Millis, out: &mut Vec<Output>) {
        let height = self.status().height;
        let far = self.core.gap() > COPY_GAP;
        let is_ahead = |key: &PublicKey, peer: &Peer| {
            self.committee.index_of(key).is_some() && (far || peer.head > height)
        };
        let ahead = self.peers.iter().filter(|(key, peer)| is_ahead(key, peer));
        let ahead: Vec<PublicKey> = ahead.map(|(key, _)| *key).collect();
        if ahead.is_empty() {
            self.copying = None;
            return;
        }
        let first = if far {
            now
        } else {
            now.plus(self.limits.retry_min.get())
        };
        let due = *self.copying.get_or_insert(first);
        if due > now || self.copied.is_some() {
            return;
        }
        self.copy_turn = self.copy_turn.wrapping_add(1);
        if let Some(peer) = ahead.get(self.copy_turn % ahead.len()) {
            self.send(*peer, &LogMessage::WantBlocks(height.next()), out);
            self.copying = Some(now.plus(self.limits.retry_max.get()));
            self.copy_asked = Some(*peer);
        }
    }

    fn blocks_came(
        &mut self,
        now: Millis,
        from: PublicKey,
        answer: CertifiedBlocks,
        out: &mut Vec<Output>,
    ) {
        if self.copying.is_none() || self.copied.is_some() {
            return;
        }
        if self.copy_asked.take_if(|asked| *asked == from).is_none() {
            return;
        }
        let (mut id, head) = self.blocks.head();
        let mut height = head.height;
        let mut fits = answer.tail.is_empty();
        for block in &answer.blocks {
            height = height.next();
            fits &= block.header.parent == id
                && block.header.height == height
                && block.header.instance == self.core.instance()
                && block.header.payload == block.payload.hash();
            id = block.header.id();
        }
        // What consensus committed meanwhile is no fault of the sender's.
        let old = answer
            .blocks
            .first()
            .is_some_and(|block| block.header.height != head.height.next());
        if old {
            return;
        }
        let proven = fits
            && answer.proof.header.id() == id
            && answer.proof.verify(&self.committee, &self.group).is_ok();
        if !proven {
            let reason = "an answer with blocks that are not proven".to_owned();
            return out.push(Output::Misbehaviour { peer: from, reason });
        }
        let holder = self.committee.index_of(&from).unwrap_or_default();
        for block in &answer.blocks {
            let Payload::Log(payload) = &block.payload else {
                continue;
            };
            for digest in &payload.batches {
                if self.pool.get(digest).is_none() {
                    self.pool.need(now, *digest, holder, &self.limits);
                    self.send(from, &LogMessage::WantBatch(*digest), out);
                }
            }
        }
        // The next are asked for as soon as these are committed.
        self.copying = Some(now);
        self.copied = Some((from, answer));
    }

    /// Commits copied blocks whose batches are here. Whether the head moved.
    pub(super) fn apply_copied(&mut self, now: Millis, out: &mut Vec<Output>) -> bool {
        let Some((from, answer)) = self.copied.take() else {
            return false;
        };
        let head = self.status().height;
        let after = answer
            .blocks
            .iter()
            .filter(|block| block.header.height > head);
        let rest: Vec<Block> = after.cloned().collect();
        let lacks = rest.iter().any(|block| match &block.payload {
            Payload::Log(payload) => payload
                .batches
                .iter()
                .any(|digest| self.pool.get(digest).is_none()),
            _ => false,
        });
        if lacks {
            self.copied = Some((from, answer));
            return false;
        }
        let mut ids = Vec::new();
        for block in rest {
            let id = block.header.id();
            // The host checks a block as it does a proposal; a certified one needs no signature.
            let proposal = Proposal {
                block,
                justify: None,
                timeout: None,
                signature: Signature([0; 64]),
            };
            let mut accepted = false;
            self.call(now, out, |_, host, _| {
                use crate::consensus::{Host as _, Verdict};
                accepted = host.check(now, &proposal, true) == Verdict::Accept;
            });
            if !accepted {
                let reason = format!("block {id} is certified and invalid here");
                self.halt(reason, out);
                return false;
            }
            ids.push(id);
        }
        if ids.is_empty() {
            return false;
        }
        let proof = answer.proof;
        self.committed(&ids, &proof, out);
        self.call(now, out, |core, host, effects| {
            // It was verified when it came.
            let _held = core.synced(now, host, &proof, effects);
        });
        true
    }

    fn report_asked(&mut self, from: PublicKey, request: &ReportRequest, out: &mut Vec<Output>) {
        if request.instance == self.core.instance()
            && let Some(report) = self.core.report(request.nonce, &from)
        {
            self.send(from, &LogMessage::Report(Box::new(report)), out);
        }
    }

    fn reported(&mut self, now: Millis, from: PublicKey, report: Report, out: &mut Vec<Output>) {
        let (kind, epoch) = (report.instance.kind, report.instance.epoch);
        if !self.recovery.report(from, report) {
            return;
        }
        let Some(collection) = self.recovery.get(kind, epoch) else {
            return;
        };
        let nonce = collection.nonce;
        let reports: Vec<Report> = collection.reports.values().cloned().collect();
        let mut result = Err(RecoverError::NotAbstaining);
        self.call(now, out, |core, host, effects| {
            result = core.recover(now, host, nonce, &reports, effects);
        });
        match result {
            Err(RecoverError::NoQuorum { .. }) => {}
            Err(RecoverError::Store(error)) => self.halt(error.to_string(), out),
            Err(RecoverError::NotAbstaining) => self.recovery.end(kind, epoch),
            Ok(()) => {
                self.recovery.end(kind, epoch);
                if self.durability == Durability::Disk {
                    let written = self.store.write(vec![persist::put_voting()]);
                    self.note(written);
                    out.push(Output::Sync);
                }
            }
        }
    }

    /// Asks members what this one may have signed, when it doesn't know.
    pub(super) fn ask_reports(&mut self, now: Millis, out: &mut Vec<Output>) {
        for (instance, nonce) in self.recovery.due(now) {
            let request = ReportRequest { instance, nonce };
            self.send_members(&LogMessage::ReportRequest(request), out);
        }
    }
}
