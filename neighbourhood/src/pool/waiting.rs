//! Batches that wait for a block: made here or by others, acknowledged, certified.

use super::held::Held;
use super::queue::{Means, Queue, Queued, Slot};
use super::seen::Seen;
use crate::limits::Limits;
use crate::persist;
use frith_ledger::address::Address;
use frith_ledger::block::{Batch, BatchDigest, Instance, SignedBatch};
use frith_ledger::certificate::{AvailabilityCertificate, Committee};
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, SecretKey, Signature};
use frith_ledger::operation::{Operation, OperationId};
use frith_ledger::parameters::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX};
use frith_ledger::store::{Store, StoreError};
use frith_ledger::units::{Epoch, Millis, Nonce};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a batch beside its operations: author, number, count.
const BATCH_FRAME: usize = 64;
/// How much slower than its author others repeat a certificate.
const OTHERS_PAUSE: u64 = 8;
/// Certificates of batches that aren't here, kept at one time.
const ABSENT_MAX: usize = 1024;
/// Longest pause between repetitions, in ms.
const PAUSE_MAX: u64 = 30_000;

/// A batch that waits.
#[derive(Debug)]
pub struct Waiting {
    /// The batch.
    pub held: Held,
    /// The epoch in which it came.
    pub epoch: Epoch,
    /// Whether every content that it names is here.
    pub complete: bool,
    /// That a quorum holds it.
    pub certificate: Option<AvailabilityCertificate>,
    /// What only its author knows.
    pub own: Option<Own>,
    /// When it is repeated next.
    next_send: Millis,
    pause: u64,
}

/// What the author of a batch knows of it.
#[derive(Debug, Default)]
pub struct Own {
    /// Who acknowledged it, by instance.
    acks: BTreeMap<Instance, BTreeMap<u16, Signature>>,
    accounts: BTreeSet<Address>,
    ids: Vec<OperationId>,
    turns: Vec<(Address, Nonce)>,
}

/// What is to be repeated.
#[derive(Debug)]
pub enum Repeat {
    /// Offer it to these members again.
    Offer(BatchDigest, BTreeSet<u16>),
    /// Send its certificate round again.
    Certified(Box<AvailabilityCertificate>),
}

/// The op pool of one node.
#[derive(Debug)]
pub struct Pool {
    me: PublicKey,
    /// Operations that wait for a batch.
    pub queue: Queue,
    waiting: BTreeMap<BatchDigest, Waiting>,
    /// Certificates of batches that aren't here yet.
    absent: BTreeMap<BatchDigest, AvailabilityCertificate>,
    /// Operations in own batches under way.
    ids: BTreeSet<OperationId>,
    /// Whose turn those are for.
    turns: BTreeMap<(Address, Nonce), OperationId>,
    seen: Seen,
    number: u64,
    since: Option<Millis>,
    retry_min: u64,
}

impl Pool {
    /// An empty pool; own batches are numbered from `number` on.
    #[must_use]
    pub fn new(me: PublicKey, number: u64, limits: &Limits) -> Self {
        Self {
            me,
            queue: Queue::default(),
            waiting: BTreeMap::new(),
            absent: BTreeMap::new(),
            ids: BTreeSet::new(),
            turns: BTreeMap::new(),
            seen: Seen::default(),
            number,
            since: None,
            retry_min: limits.retry_min.get().max(1),
        }
    }

    /// Batches that wait, and how many of them are certified.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (
            self.waiting.len(),
            self.waiting
                .values()
                .filter(|w| w.certificate.is_some())
                .count(),
        )
    }

    /// Whether an operation waits or is in an own batch under way.
    #[must_use]
    pub fn has_operation(&self, id: &OperationId) -> bool {
        self.queue.contains(id) || self.ids.contains(id)
    }

    /// The operation of this account and nonce that waits, or is in an own batch under way.
    #[must_use]
    pub fn holder(&self, account: &Address, nonce: Nonce) -> Option<OperationId> {
        let under_way = self.turns.get(&(*account, nonce)).copied();
        under_way.or_else(|| self.queue.holder(account, nonce))
    }

    /// The first nonce of an account from `next` on that nothing waits with.
    #[must_use]
    pub fn free_nonce(&self, account: &Address, next: Nonce) -> Nonce {
        let mut nonce = next;
        while self.holder(account, nonce).is_some() {
            nonce = nonce.next();
        }
        nonce
    }

    /// When an operation that was taken here could be executed, while it is remembered.
    #[must_use]
    pub fn slot(&self, id: &OperationId) -> Option<Slot> {
        self.seen.slot(id)
    }

    /// Adds an operation to the queue, in `epoch`. `means` is what its account has.
    ///
    /// # Errors
    /// Another one of the same account and nonce is under way: this one.
    pub fn push(
        &mut self,
        now: Millis,
        epoch: Epoch,
        queued: Queued,
        means: &Means,
    ) -> Result<(), OperationId> {
        let under_way = queued.turn().and_then(|turn| self.turns.get(&turn));
        if let Some(holder) = under_way {
            return Err(*holder);
        }
        let (id, slot) = (queued.id, queued.slot(epoch));
        self.queue.push(queued, means)?;
        self.since.get_or_insert(now);
        if let Some(slot) = slot {
            self.seen.note(id, slot);
        }
        Ok(())
    }

    /// A waiting batch.
    #[must_use]
    pub fn get(&self, digest: &BatchDigest) -> Option<&Waiting> {
        self.waiting.get(digest)
    }

    /// A batch to execute: waiting, or from the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn batch(
        &self,
        store: &dyn Store,
        digest: &BatchDigest,
    ) -> Result<Option<Held>, StoreError> {
        if let Some(waiting) = self.waiting.get(digest) {
            return Ok(Some(waiting.held.clone()));
        }
        let Some(signed) = persist::batch(store, digest)? else {
            return Ok(None);
        };
        Held::trusted(&signed)
            .map(Some)
            .map_err(|error| StoreError {
                action: "read",
                reason: error.to_string(),
            })
    }

    /// Whether `author` may have one more batch waiting here.
    #[must_use]
    pub fn has_room(&self, author: &PublicKey, max: usize) -> bool {
        self.waiting
            .values()
            .filter(|w| w.held.author == *author)
            .count()
            < max
    }

    /// Certified batches that are here with their contents, in order of their digests.
    pub fn certified(&self) -> impl Iterator<Item = &BatchDigest> {
        self.waiting
            .iter()
            .filter(|(_, w)| w.complete && w.certificate.is_some())
            .map(|(digest, _)| digest)
    }

    /// Certified batches that aren't here.
    pub fn absent(&self) -> impl Iterator<Item = &AvailabilityCertificate> {
        self.absent.values()
    }

    /// Waiting batches whose contents aren't all here.
    pub fn incomplete(&self) -> impl Iterator<Item = &Held> {
        self.waiting
            .values()
            .filter(|w| !w.complete)
            .map(|w| &w.held)
    }

    /// Every content that the batch names is here.
    pub fn set_complete(&mut self, digest: &BatchDigest) {
        if let Some(waiting) = self.waiting.get_mut(digest) {
            waiting.complete = true;
        }
    }

    /// Takes in a batch that was verified and stored.
    pub fn hold(&mut self, now: Millis, held: Held, epoch: Epoch, complete: bool) {
        let certificate = self.absent.remove(&held.digest);
        let own = (held.author == self.me).then(|| Own {
            accounts: held
                .operations
                .iter()
                .filter_map(turn_of)
                .map(|(account, _)| account)
                .collect(),
            ids: held.operations.iter().map(Operation::id).collect(),
            turns: held.operations.iter().filter_map(turn_of).collect(),
            acks: BTreeMap::new(),
        });
        if let Some(own) = &own {
            self.ids.extend(own.ids.iter().copied());
            for operation in held.operations.iter() {
                if let Some(turn) = turn_of(operation) {
                    self.turns.insert(turn, operation.id());
                }
            }
        }
        let pause = self
            .retry_min
            .saturating_mul(if own.is_some() { 1 } else { OTHERS_PAUSE });
        let next_send = now.plus(pause);
        self.waiting.entry(held.digest).or_insert(Waiting {
            held,
            epoch,
            complete,
            certificate,
            own,
            next_send,
            pause,
        });
    }

    /// Takes in a verified certificate. Whether it is new.
    pub fn certify(&mut self, now: Millis, certificate: AvailabilityCertificate) -> bool {
        let Some(waiting) = self.waiting.get_mut(&certificate.batch) else {
            let room = self.absent.len() < ABSENT_MAX;
            return room && self.absent.insert(certificate.batch, certificate).is_none();
        };
        if waiting.certificate.is_some() {
            return false;
        }
        waiting.certificate = Some(certificate);
        waiting.next_send = now.plus(waiting.pause);
        true
    }

    /// Whether a certificate of the batch is known.
    #[must_use]
    pub fn is_certified(&self, digest: &BatchDigest) -> bool {
        self.absent.contains_key(digest)
            || self
                .waiting
                .get(digest)
                .is_some_and(|w| w.certificate.is_some())
    }

    /// Takes in a verified acknowledgement of an own batch; a certificate when it makes a quorum.
    pub fn acknowledge(
        &mut self,
        committee: &Committee,
        instance: Instance,
        digest: &BatchDigest,
        member: u16,
        signature: Signature,
    ) -> Option<AvailabilityCertificate> {
        let waiting = self.waiting.get_mut(digest)?;
        if waiting.certificate.is_some() {
            return None;
        }
        let own = waiting.own.as_mut()?;
        let acks = own.acks.entry(instance).or_default();
        acks.insert(member, signature);
        let weight = acks
            .keys()
            .filter_map(|i| committee.get(*i))
            .fold(0_u128, |sum, m| sum.saturating_add(m.weight));
        if !committee.is_quorum(weight) {
            return None;
        }
        let parts: Vec<(u16, Signature)> = acks.iter().map(|(i, s)| (*i, *s)).collect();
        Some(AvailabilityCertificate {
            instance,
            batch: *digest,
            parts: parts.try_into().ok()?,
        })
    }

    /// A committed block includes these batches. Gives those that waited.
    pub fn included(&mut self, digests: &[BatchDigest]) -> Vec<BatchDigest> {
        let mut gone = Vec::new();
        for digest in digests {
            self.absent.remove(digest);
            if let Some(waiting) = self.waiting.remove(digest) {
                gone.push(*digest);
                if let Some(own) = waiting.own {
                    self.forget_own(&own);
                }
            }
        }
        gone
    }

    fn forget_own(&mut self, own: &Own) {
        for id in &own.ids {
            self.ids.remove(id);
        }
        for turn in &own.turns {
            self.turns.remove(turn);
        }
        self.queue.release(&own.accounts);
    }

    /// Drops batches without a certificate that came before `epoch`: their authors are gone or have
    /// given them up. Gives their digests.
    pub fn expire(&mut self, epoch: Epoch) -> Vec<BatchDigest> {
        let old: Vec<BatchDigest> = self
            .waiting
            .iter()
            .filter(|(_, w)| w.certificate.is_none() && w.own.is_none() && w.epoch < epoch)
            .map(|(digest, _)| *digest)
            .collect();
        for digest in &old {
            self.waiting.remove(digest);
        }
        self.absent
            .retain(|_, certificate| certificate.instance.epoch >= epoch);
        old
    }

    /// Gives up own batches without a certificate: this node is no member any more. Gives their
    /// operations, encoded, and their digests.
    pub fn give_up_own(&mut self) -> Vec<(BatchDigest, Held)> {
        let own: Vec<BatchDigest> = self
            .waiting
            .iter()
            .filter(|(_, w)| w.certificate.is_none() && w.own.is_some())
            .map(|(digest, _)| *digest)
            .collect();
        let mut given = Vec::new();
        for digest in own {
            if let Some(waiting) = self.waiting.remove(&digest) {
                if let Some(own) = &waiting.own {
                    self.forget_own(own);
                }
                given.push((digest, waiting.held));
            }
        }
        given
    }

    fn own_waiting(&self) -> (usize, usize) {
        let own = self.waiting.values().filter(|w| w.own.is_some());
        own.fold((0, 0), |(all, uncertified), w| {
            (all + 1, uncertified + usize::from(w.certificate.is_none()))
        })
    }

    /// When a batch may be made: now, later, or not at all before something else happens.
    #[must_use]
    pub fn make_at(&self, now: Millis, own_max: usize, delay: Millis) -> Option<Millis> {
        if !self.queue.is_ready() {
            return None;
        }
        let (own, uncertified) = self.own_waiting();
        if own >= own_max {
            return None;
        }
        let full = self.queue.bytes() >= BATCH_BYTES_MAX / 2
            || self.queue.len() >= BATCH_OPERATIONS_MAX / 2;
        if uncertified == 0 || full {
            return Some(now);
        }
        Some(self.since.unwrap_or(now).plus(delay.get()))
    }

    /// Makes a batch of operations whose turn it is.
    pub fn make(
        &mut self,
        genesis: &Hash,
        key: &SecretKey,
        means: impl FnMut(&Address) -> Means,
        now: Millis,
    ) -> Option<SignedBatch> {
        let taken = self
            .queue
            .take(BATCH_OPERATIONS_MAX, BATCH_BYTES_MAX - BATCH_FRAME, means);
        self.since = self.queue.is_ready().then_some(now);
        if taken.is_empty() {
            return None;
        }
        let operations: Option<Vec<_>> = taken
            .into_iter()
            .map(|queued| queued.bytes.try_into().ok())
            .collect();
        let operations = operations?.try_into().ok()?;
        self.number = self.number.wrapping_add(1);
        Some(SignedBatch::new(
            Batch {
                author: self.me,
                number: self.number,
                operations,
            },
            genesis,
            key,
        ))
    }

    /// What is to be repeated at `now`, in `instance`. The pauses double.
    pub fn repeat(&mut self, now: Millis, instance: &Instance, members: u16) -> Vec<Repeat> {
        let mut repeats = Vec::new();
        for (digest, waiting) in &mut self.waiting {
            if waiting.next_send > now {
                continue;
            }
            waiting.pause = waiting.pause.saturating_mul(2).min(PAUSE_MAX);
            waiting.next_send = now.plus(waiting.pause);
            if let Some(certificate) = &waiting.certificate {
                repeats.push(Repeat::Certified(Box::new(certificate.clone())));
            } else if let Some(own) = &waiting.own {
                let acked = own.acks.get(instance);
                let missing = (0..members)
                    .filter(|i| acked.is_none_or(|acks| !acks.contains_key(i)))
                    .collect();
                repeats.push(Repeat::Offer(*digest, missing));
            }
        }
        repeats
    }

    /// Makes own batches without a certificate be offered at once: a new committee has to
    /// acknowledge them.
    pub fn offer_again(&mut self, now: Millis) {
        for waiting in self.waiting.values_mut() {
            if waiting.own.is_some() && waiting.certificate.is_none() {
                waiting.next_send = now;
                waiting.pause = self.retry_min;
            }
        }
    }

    /// When something is to be repeated.
    #[must_use]
    pub fn next_repeat(&self) -> Option<Millis> {
        let repeated = self
            .waiting
            .values()
            .filter(|w| w.certificate.is_some() || w.own.is_some());
        repeated.map(|w| w.next_send).min()
    }
}

/// The account and nonce of a signed operation.
fn turn_of(operation: &Operation) -> Option<(Address, Nonce)> {
    match operation {
        Operation::Signed(signed) => Some((signed.body.account, signed.body.nonce)),
        Operation::Worker(_) | Operation::Proof(_) => None,
    }
}
