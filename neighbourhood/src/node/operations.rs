//! The op pool at work: operations, batches, acknowledgements, contents.

use super::api::{Misbehaviour, Output, SubmitError};
use super::core::Node;
use crate::persist;
use crate::pool::{Held, Means, Queued, Repeat};
use crate::wire::{Ack, PeerMessage, Request};
use frith_ledger::address::Address;
use frith_ledger::block::{BatchDigest, ChainKind, SignedBatch};
use frith_ledger::certificate::AvailabilityCertificate;
use frith_ledger::codec::decode;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{ContentId, Entity};
use frith_ledger::key::PublicKey;
use frith_ledger::operation::{Operation, OperationId};
use frith_ledger::parameters::OPERATION_BYTES_MAX;
use frith_ledger::store::Table;
use frith_ledger::units::{Millis, Nonce};
use frith_tasks::content::contents;
use frith_tasks::runtime::most_taken;
use frith_tasks::{LeafState, Refusal, Rules};
use parity_scale_codec::Encode as _;
use std::collections::BTreeSet;

/// Members that an operation is forwarded to by a node that can't make batches.
const FORWARDED_TO: usize = 2;
/// Contents asked for at one time.
const CONTENTS_MAX: usize = 256;
/// Contents remembered to be here.
const CONTENTS_HELD_MAX: usize = 4096;

/// The nonce of an account; 0 where there is none.
pub(super) fn nonce_of(state: &LeafState, account: &Address) -> Nonce {
    match state.entity(account) {
        Some(Entity::Account(account)) => account.nonce,
        _ => Nonce::ZERO,
    }
}

/// What an account can pay with, and in which turn.
pub(super) fn means_of(state: &LeafState, account: &Address) -> Means {
    match state.entity(account) {
        Some(Entity::Account(account)) => Means {
            nonce: account.nonce,
            balance: account.balance,
        },
        _ => Means {
            nonce: Nonce::ZERO,
            balance: Credits::ZERO,
        },
    }
}

/// The account, nonce and most that a signed operation takes.
fn claim(rules: &Rules, operation: &Operation) -> Option<(Address, Nonce, Credits)> {
    let Operation::Signed(signed) = operation else {
        return None;
    };
    // What can't be added up is covered by no balance.
    let takes = most_taken(rules, signed).unwrap_or(Credits::new(u128::MAX));
    Some((signed.body.account, signed.body.nonce, takes))
}

impl Node {
    fn author_batches_max(&self) -> usize {
        usize::try_from(self.rules.parameters().author_batches_max)
            .unwrap_or(usize::MAX)
            .max(1)
    }

    /// Takes in an encoded operation.
    pub(super) fn submit(
        &mut self,
        now: Millis,
        bytes: Vec<u8>,
    ) -> Result<OperationId, SubmitError> {
        let operation: Operation = decode(&bytes, OPERATION_BYTES_MAX)?;
        self.queue_operation(now, operation, bytes)
    }

    /// Takes in an operation made here.
    pub(super) fn submit_operation(
        &mut self,
        now: Millis,
        operation: Operation,
    ) -> Result<OperationId, SubmitError> {
        let bytes = operation.encode();
        self.queue_operation(now, operation, bytes)
    }

    fn queue_operation(
        &mut self,
        now: Millis,
        operation: Operation,
        bytes: Vec<u8>,
    ) -> Result<OperationId, SubmitError> {
        let id = operation.id();
        if !self.is_new(&operation, &bytes)? {
            return Ok(id);
        }
        if let Some((id, len)) = self.missing(&operation)?.first().copied() {
            return Err(SubmitError::MissingContent { id, len });
        }
        let claim = claim(&self.rules, &operation);
        let (account, _, takes) = claim.unwrap_or_default();
        let means = means_of(&self.chain.state, &account);
        let queued = Queued {
            id,
            bytes,
            operation,
            takes,
        };
        let pushed = self.pool.push(now, self.chain.epoch, queued, &means);
        debug_assert!(pushed.is_ok(), "it was seen that its nonce is free");
        Ok(id)
    }

    /// Whether nothing that waits here has the nonce of an operation.
    fn has_free_nonce(&self, operation: &Operation) -> Result<(), SubmitError> {
        let Operation::Signed(signed) = operation else {
            return Ok(());
        };
        let (account, nonce) = (signed.body.account, signed.body.nonce);
        match self.pool.holder(&account, nonce) {
            Some(by) => Err(SubmitError::NonceTaken { account, nonce, by }),
            None => Ok(()),
        }
    }

    /// That an operation would come to its turn and be paid for, as far as the state and what waits here can tell; or why
    /// not.
    fn is_sure(&self, operation: &Operation) -> Result<(), Refusal> {
        let Some((account, found, takes)) = claim(&self.rules, operation) else {
            return Ok(());
        };
        let means = means_of(&self.chain.state, &account);
        let (expected, left) = self.pool.queue.sure_to(&account, &means);
        if found != expected {
            return Err(Refusal::NonceAhead {
                expected,
                found,
                ahead_max: 0,
            });
        }
        if takes > left {
            let before = means.balance.sub(left)?;
            return Err(Refusal::Underfunded {
                held: means.balance,
                needed: before.add(takes)?,
            });
        }
        Ok(())
    }

    /// Whether an operation neither waits nor was executed; or why it can't be taken, whatever contents are here.
    fn is_new(&mut self, operation: &Operation, bytes: &[u8]) -> Result<bool, SubmitError> {
        let id = operation.id();
        if self.pool.has_operation(&id) {
            return Ok(false);
        }
        // Before anything that costs more than decoding: who is overloaded can't afford to find out more.
        if !self.limits.admits(self.queued(), bytes) {
            return Err(SubmitError::Overloaded {
                retry_ms: self.limits.retry_max.get(),
            });
        }
        let before = persist::receipt(&*self.store, &id);
        let done = self
            .note(before)
            .flatten()
            .is_some_and(|(_, result)| result.is_ok());
        if done {
            return Ok(false);
        }
        self.chain
            .state
            .admit(&self.rules, self.chain.epoch, operation, bytes.len())?;
        self.has_free_nonce(operation)?;
        let unsure = self.pool.queue.unsure();
        if self.is_sure(operation).is_err() && !self.limits.admits_unsure(unsure, bytes) {
            return Err(SubmitError::Overloaded {
                retry_ms: self.limits.retry_max.get(),
            });
        }
        operation
            .verify(&self.rules.hash)
            .map_err(|_| SubmitError::Signature)?;
        Ok(true)
    }

    /// The contents that an operation names and that aren't here, with the lengths that it names.
    fn missing(&mut self, operation: &Operation) -> Result<Vec<(ContentId, u32)>, SubmitError> {
        let mut missing = Vec::new();
        for (id, len) in contents(operation) {
            match self.content_len(&id) {
                None => missing.push((id, len)),
                // Others would ask for what nobody has.
                Some(held) if held != len => {
                    return Err(SubmitError::ContentLength { id, len, held });
                }
                Some(_) => {}
            }
        }
        Ok(missing)
    }

    /// The contents that an encoded operation names and that aren't here, with the lengths that it names; none for one
    /// that waits or was executed.
    ///
    /// # Errors
    /// [`SubmitError`]: why it would be refused if they were here.
    pub fn lacks(&mut self, bytes: &[u8]) -> Result<Vec<(ContentId, u32)>, SubmitError> {
        if let Some(reason) = &self.halted {
            return Err(SubmitError::Halted {
                reason: reason.clone(),
            });
        }
        let operation: Operation = decode(bytes, OPERATION_BYTES_MAX)?;
        if self.is_new(&operation, bytes)? {
            self.missing(&operation)
        } else {
            Ok(Vec::new())
        }
    }

    /// That an encoded operation which doesn't wait here would come to its turn and be paid for, together with what waits
    /// before it: what a stranger's contents are taken for.
    ///
    /// # Errors
    /// [`SubmitError`]: something before it is missing, or the balance doesn't cover it.
    pub fn covers(&self, bytes: &[u8]) -> Result<(), SubmitError> {
        let operation: Operation = decode(bytes, OPERATION_BYTES_MAX)?;
        Ok(self.is_sure(&operation)?)
    }

    /// An operation that another node can't batch itself.
    pub(super) fn forwarded(&mut self, now: Millis, from: PublicKey, bytes: Vec<u8>) {
        let member = self.members.contains(&from);
        let room = self.peers.may_serve(now, &from, member);
        self.peers
            .served(&from, member, bytes.len().saturating_mul(8));
        if room && self.seat().is_some() {
            // The sender's client sees by the receipt what became of it.
            let _queued = self.submit(now, bytes);
        }
    }

    /// How long a content is that is here. Reads all of one whose length was never noted.
    fn content_len(&mut self, id: &ContentId) -> Option<u32> {
        if let Some(len) = self.contents_held.get(id) {
            return Some(*len);
        }
        let noted = persist::content_len(&*self.store, id);
        if let Some(len) = self.note(noted).flatten() {
            self.remember_content(*id, len);
            return Some(len);
        }
        let stored = self.store.get(Table::Content, &id.0);
        let held = self.note(stored).flatten()?;
        let len = u32::try_from(held.len()).ok()?;
        self.write(vec![persist::put_content_len(id, len)]);
        self.remember_content(*id, len);
        Some(len)
    }

    fn remember_content(&mut self, id: ContentId, len: u32) {
        if self.contents_held.len() >= CONTENTS_HELD_MAX {
            self.contents_held.pop_first();
        }
        self.contents_held.insert(id, len);
    }

    /// The contents that a batch names and that aren't here with the length that it names.
    pub(super) fn lacking(&mut self, held: &Held) -> Vec<(ContentId, u32)> {
        held.contents
            .iter()
            .filter(|(id, len)| self.content_len(id) != Some(*len))
            .copied()
            .collect()
    }

    /// Content came: batches that waited for it may be complete.
    pub(super) fn content_arrived(
        &mut self,
        (id, len): (ContentId, u32),
        now: Millis,
        out: &mut Vec<Output>,
    ) {
        if self.contents_held.get(&id) != Some(&len) {
            self.write(vec![persist::put_content_len(&id, len)]);
            self.remember_content(id, len);
        }
        self.contents_asked.remove(&id);
        let waiting: Vec<Held> = self
            .pool
            .incomplete()
            .filter(|held| held.contents.iter().any(|(c, _)| *c == id))
            .cloned()
            .collect();
        for held in waiting {
            if self.lacking(&held).is_empty() {
                self.completed(now, &held, out);
            }
        }
    }

    /// All that a batch names is here.
    fn completed(&mut self, now: Millis, held: &Held, out: &mut Vec<Output>) {
        self.pool.set_complete(&held.digest);
        out.push(Output::Sync);
        self.acknowledge(now, held, out);
        (self.work, self.retry) = (true, true);
    }

    /// Asks the host for contents that waiting batches name.
    pub(super) fn ask_contents(&mut self, now: Millis, out: &mut Vec<Output>) {
        let waiting: Vec<Held> = self.pool.incomplete().cloned().collect();
        let named: BTreeSet<ContentId> = waiting
            .iter()
            .flat_map(|held| held.contents.iter().map(|c| c.0))
            .collect();
        self.contents_asked.retain(|id, _| named.contains(id));
        for held in waiting {
            let lacking = self.lacking(&held);
            if lacking.is_empty() {
                // It came without a word of the host's.
                self.completed(now, &held, out);
            }
            for (id, len) in lacking {
                if self.contents_held.contains_key(&id) {
                    // Here, with another length: nobody has what the batch names, and nobody acknowledges it.
                    continue;
                }
                let due = self.contents_asked.get(&id).is_none_or(|at| *at <= now);
                if !due
                    || (self.contents_asked.len() >= CONTENTS_MAX
                        && !self.contents_asked.contains_key(&id))
                {
                    continue;
                }
                self.contents_asked
                    .insert(id, now.plus(self.limits.retry_max.get()));
                let mut holders = vec![held.author];
                holders.extend(
                    self.peers
                        .connected()
                        .iter()
                        .filter(|peer| **peer != held.author)
                        .copied(),
                );
                out.push(Output::NeedContent { id, len, holders });
            }
        }
    }

    /// Makes batches while it may. Whether one was made.
    pub(super) fn make_batches(&mut self, now: Millis, out: &mut Vec<Output>) -> bool {
        if self.seat().is_none() {
            return self.forward_all(out);
        }
        let (own_max, delay) = (self.author_batches_max(), self.limits.batch_delay);
        let mut made = false;
        while self
            .pool
            .make_at(now, own_max, delay)
            .is_some_and(|at| at <= now)
        {
            let state = self.chain.state.clone();
            let means = |account: &Address| means_of(&state, account);
            let Some(signed) = self.pool.make(&self.rules.hash, &self.key, means, now) else {
                break;
            };
            let Ok(held) = Held::trusted(&signed) else {
                break;
            };
            if !self.write(persist::put_held(&held.digest, &signed, self.chain.epoch).into()) {
                break;
            }
            made = true;
            out.push(Output::Sync);
            let complete = self.lacking(&held).is_empty();
            self.pool
                .hold(now, held.clone(), self.chain.epoch, complete);
            let committee = self.leaf.blocks.committee.clone();
            self.send_members(&committee, &PeerMessage::Batch(Box::new(signed)), out);
            if complete {
                self.acknowledge(now, &held, out);
            }
        }
        made
    }

    /// This node is no member: its operations go to members.
    fn forward_all(&mut self, out: &mut Vec<Output>) -> bool {
        let committee = self.leaf.blocks.committee.clone();
        let members = committee.members().iter().map(|member| member.key);
        let members: Vec<PublicKey> = members
            .filter(|key| self.peers.connected().contains(key))
            .collect();
        if members.is_empty() {
            return false;
        }
        let given = self.pool.give_up_own();
        let mut operations: Vec<(OperationId, Vec<u8>)> = self
            .pool
            .queue
            .drain()
            .into_iter()
            .map(|queued| (queued.id, queued.bytes))
            .collect();
        let mut writes = Vec::new();
        for (digest, held) in &given {
            operations.extend(
                held.operations
                    .iter()
                    .map(|operation| (operation.id(), operation.encode())),
            );
            writes.extend(persist::delete_held(digest));
        }
        self.write(writes);
        for (id, bytes) in &operations {
            let first = usize::from(id.0[0]) % members.len();
            let Ok(message) = bytes.clone().try_into().map(PeerMessage::Submit) else {
                continue;
            };
            for to in members
                .iter()
                .cycle()
                .skip(first)
                .take(FORWARDED_TO.min(members.len()))
            {
                self.send(*to, &message, out);
            }
        }
        false
    }

    /// When a batch is to be made or repeated.
    pub(super) fn next_batch(&self) -> Option<Millis> {
        let make = self.pool.make_at(
            Millis::ZERO,
            self.author_batches_max(),
            self.limits.batch_delay,
        );
        let make = if self.seat().is_some() { make } else { None };
        super::api::earlier(make, self.pool.next_repeat())
    }

    /// Repeats what may have been lost.
    pub(super) fn repeat_batches(&mut self, now: Millis, out: &mut Vec<Output>) {
        if self.pool.next_repeat().is_none_or(|at| at > now) {
            return;
        }
        let committee = self.leaf.blocks.committee.clone();
        let members = u16::try_from(committee.members().len()).unwrap_or(u16::MAX);
        for repeat in self.pool.repeat(now, &self.leaf.blocks.instance, members) {
            match repeat {
                Repeat::Certified(certificate) => {
                    self.send_members(&committee, &PeerMessage::Certified(certificate), out);
                }
                Repeat::Offer(digest, missing) => {
                    if let Some(held) = self.pool.get(&digest).map(|waiting| waiting.held.clone()) {
                        self.acknowledge(now, &held, out);
                    }
                    for member in missing.iter().filter_map(|index| committee.get(*index)) {
                        self.send(member.key, &PeerMessage::Offer(digest), out);
                    }
                }
            }
        }
    }

    /// Acknowledges a batch that is held whole: to its author, or to itself.
    fn acknowledge(&mut self, now: Millis, held: &Held, out: &mut Vec<Output>) {
        let instance = self.leaf.blocks.instance;
        let Some(index) = self.index_in(&self.leaf.blocks.committee) else {
            return;
        };
        let hash = AvailabilityCertificate::signing_hash(&self.rules.hash, &instance, &held.digest);
        let ack = Ack {
            instance,
            batch: held.digest,
            signature: self.key.sign(&hash),
        };
        if held.author == self.me {
            self.count_ack(now, index, &ack, out);
        } else {
            self.send(held.author, &PeerMessage::Ack(ack), out);
        }
    }

    /// A member sends a batch, its own or one that was asked for.
    pub(super) fn batch_offered(
        &mut self,
        now: Millis,
        from: PublicKey,
        signed: &SignedBatch,
        out: &mut Vec<Output>,
    ) {
        if signed.batch.author == from {
            self.take_batch(now, from, signed, false, out);
        }
    }

    /// Verifies and stores a batch. What was `asked` for is taken from anyone and beyond the author's
    /// quota.
    pub(super) fn take_batch(
        &mut self,
        now: Millis,
        from: PublicKey,
        signed: &SignedBatch,
        asked: bool,
        out: &mut Vec<Output>,
    ) {
        let digest = signed.batch.digest();
        if let Some(waiting) = self.pool.get(&digest) {
            let held = waiting.held.clone();
            if waiting.complete && held.author == from {
                self.acknowledge(now, &held, out);
            }
            return;
        }
        let author = signed.batch.author;
        let member = self.leaf.blocks.committee.index_of(&author).is_some();
        if !asked && (!member || !self.pool.has_room(&author, self.author_batches_max())) {
            return;
        }
        let stored = persist::batch(&*self.store, &digest);
        if self.note(stored).flatten().is_some() {
            // It stands in a committed block already.
            if self.peers.may_nudge(now, &from) {
                self.send(from, &PeerMessage::Status(self.status_message()), out);
            }
            return;
        }
        let held = match Held::verify(signed, &self.rules.hash) {
            Ok(held) => held,
            Err(fault) => {
                if asked {
                    self.wants.want(now, Request::Batch(digest), []);
                    self.wants.refused(now, &Request::Batch(digest), &from);
                }
                return Self::misbehaved(from, Misbehaviour::Batch(fault), out);
            }
        };
        let complete = self.lacking(&held).is_empty();
        if !self.write(persist::put_held(&digest, signed, self.chain.epoch).into()) {
            return;
        }
        self.pool
            .hold(now, held.clone(), self.chain.epoch, complete);
        (self.retry, self.work) = (true, true);
        if complete && member {
            out.push(Output::Sync);
            self.acknowledge(now, &held, out);
        }
    }

    /// An author asks for an acknowledgement again.
    pub(super) fn offer(
        &mut self,
        now: Millis,
        from: PublicKey,
        digest: BatchDigest,
        out: &mut Vec<Output>,
    ) {
        if let Some(waiting) = self.pool.get(&digest) {
            let (held, complete) = (waiting.held.clone(), waiting.complete);
            if complete && held.author == from {
                self.acknowledge(now, &held, out);
            }
            return;
        }
        let stored = persist::batch(&*self.store, &digest);
        if self.note(stored).flatten().is_some() {
            if self.peers.may_nudge(now, &from) {
                self.send(from, &PeerMessage::Status(self.status_message()), out);
            }
            return;
        }
        let member = self.leaf.blocks.committee.index_of(&from).is_some();
        let few = self.wants.count_of(&from) < self.author_batches_max();
        if member && few && self.pool.has_room(&from, self.author_batches_max()) {
            self.wants.want(now, Request::Batch(digest), [from]);
        }
    }

    pub(super) fn acknowledged(
        &mut self,
        now: Millis,
        from: PublicKey,
        ack: &Ack,
        out: &mut Vec<Output>,
    ) {
        if ack.instance != self.leaf.blocks.instance {
            return;
        }
        let Some(index) = self.leaf.blocks.committee.index_of(&from) else {
            return;
        };
        let hash =
            AvailabilityCertificate::signing_hash(&self.rules.hash, &ack.instance, &ack.batch);
        if from.verify(&hash, &ack.signature).is_err() {
            return Self::misbehaved(
                from,
                Misbehaviour::Certificate {
                    what: "an acknowledgement",
                },
                out,
            );
        }
        self.count_ack(now, index, ack, out);
    }

    fn count_ack(&mut self, now: Millis, index: u16, ack: &Ack, out: &mut Vec<Output>) {
        let committee = self.leaf.blocks.committee.clone();
        let certificate =
            self.pool
                .acknowledge(&committee, ack.instance, &ack.batch, index, ack.signature);
        if let Some(certificate) = certificate {
            self.send_members(
                &committee,
                &PeerMessage::Certified(Box::new(certificate.clone())),
                out,
            );
            self.certify(now, certificate);
        }
    }

    /// A certificate that holds: from now on votes list the batch.
    fn certify(&mut self, now: Millis, certificate: AvailabilityCertificate) {
        let write = persist::put_certificate(&certificate);
        let here = self.pool.get(&certificate.batch).is_some();
        if self.pool.certify(now, certificate) && here {
            self.write(vec![write]);
            self.work = true;
        }
    }

    pub(super) fn certified(
        &mut self,
        now: Millis,
        from: PublicKey,
        certificate: AvailabilityCertificate,
        out: &mut Vec<Output>,
    ) {
        let digest = certificate.batch;
        if self.pool.is_certified(&digest) || certificate.instance.kind != ChainKind::Leaf {
            return;
        }
        if self.pool.get(&digest).is_none() {
            let stored = persist::batch(&*self.store, &digest);
            if self.note(stored).flatten().is_some() {
                if self.peers.may_nudge(now, &from) {
                    self.send(from, &PeerMessage::Status(self.status_message()), out);
                }
                return;
            }
        }
        let Some(committee) = self.committees.leaf(certificate.instance.epoch).cloned() else {
            return;
        };
        if certificate.verify(&committee, &self.rules.hash).is_err() {
            return Self::misbehaved(
                from,
                Misbehaviour::Certificate {
                    what: "an availability certificate",
                },
                out,
            );
        }
        let holders: Vec<PublicKey> = certificate
            .parts
            .iter()
            .filter_map(|(index, _)| committee.get(*index))
            .map(|m| m.key)
            .collect();
        let here = self.pool.get(&digest).is_some();
        self.certify(now, certificate);
        if !here {
            self.wants.want(now, Request::Batch(digest), holders);
        }
    }
}
