//! The state while a block executes: a cache over the tree, and over it the changes of one operation,
//! which are merged as a whole or dropped.

use super::execute::ExecuteError;
use super::index::Index;
use crate::event::TaskEvent;
use crate::refusal::Refusal;
use crate::rules::{HOPS_NEEDED, Rules};
use frith_ledger::address::Address;
use frith_ledger::block::Flows;
use frith_ledger::codec::TooMany;
use frith_ledger::credits::{Credits, CreditsError};
use frith_ledger::entity::{Account, Entity, Task, Worker};
use frith_ledger::hash::Hash;
use frith_ledger::message::{Message, MessageBody};
use frith_ledger::parameters::Parameters;
use frith_ledger::tree::{Change, Leaf, Version};
use frith_ledger::units::{Epoch, UnixMillis};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Why work stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The operation can't be done; its changes are dropped.
    Refused(Refusal),
    /// Our bug, or a broken state: the block can't be executed.
    Broken(ExecuteError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ExecuteError> for Stop {
    fn from(error: ExecuteError) -> Self {
        Self::Broken(error)
    }
}

/// Amounts come from users: one that doesn't fit refuses their operation, and never stops a block.
impl From<CreditsError> for Stop {
    fn from(error: CreditsError) -> Self {
        Self::Refused(error.into())
    }
}

/// A full list at `address` as a refusal.
pub(super) fn full(address: Address) -> impl Fn(TooMany) -> Stop {
    move |error| {
        Stop::Refused(Refusal::Full {
            address,
            max: u32::try_from(error.max).unwrap_or(u32::MAX),
        })
    }
}

struct Slot {
    entity: Option<Arc<Entity>>,
    changed: bool,
}

/// The changes of the operation at work.
#[derive(Default)]
struct Scratch {
    entities: BTreeMap<Address, Option<Arc<Entity>>>,
    burned: Credits,
    events: Vec<TaskEvent>,
    queue: VecDeque<(u32, Message)>,
    hops: u32,
}

/// See the module.
pub(super) struct Overlay<'a> {
    pub(super) rules: &'a Rules,
    pub(super) epoch: Epoch,
    pub(super) opening: Version,
    pub(super) roots: Epoch,
    pub(super) beacon: Hash,
    pub(super) time: UnixMillis,
    pub(super) index: Index,
    pub(super) flows: Flows,
    pub(super) events: Vec<TaskEvent>,
    base: Version,
    cache: BTreeMap<Address, Slot>,
    messages: u32,
    scratch: Scratch,
}

/// What an overlay begins with.
pub(super) struct Start {
    pub(super) epoch: Epoch,
    pub(super) tree: Version,
    pub(super) opening: Version,
    pub(super) roots: Epoch,
    pub(super) beacon: Hash,
    pub(super) time: UnixMillis,
    pub(super) index: Index,
    pub(super) flows: Flows,
}

/// Reads the entity at `address` from a tree.
pub(super) fn read(tree: &Version, address: &Address) -> Result<Option<Entity>, ExecuteError> {
    let decoded = tree
        .get(address)
        .map(|leaf| Entity::from_bytes(&leaf.bytes))
        .transpose();
    decoded.map_err(|error| ExecuteError::Corrupt {
        address: *address,
        reason: error.to_string(),
    })
}

impl<'a> Overlay<'a> {
    pub(super) fn new(rules: &'a Rules, start: Start) -> Self {
        Self {
            rules,
            epoch: start.epoch,
            opening: start.opening,
            roots: start.roots,
            beacon: start.beacon,
            time: start.time,
            index: start.index,
            flows: start.flows,
            events: Vec::new(),
            base: start.tree,
            cache: BTreeMap::new(),
            messages: 0,
            scratch: Scratch::default(),
        }
    }

    pub(super) const fn parameters(&self) -> &'a Parameters {
        &self.rules.genesis.parameters
    }

    /// Does `work` and delivers its messages; keeps all of it or nothing.
    pub(super) fn attempt(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), Stop>,
    ) -> Result<Result<(), Refusal>, ExecuteError> {
        let messages = self.messages;
        match work(self).and_then(|()| self.deliver_all()) {
            Ok(()) => self.merge().map(Ok),
            Err(Stop::Refused(refusal)) => {
                self.scratch = Scratch::default();
                self.messages = messages;
                Ok(Err(refusal))
            }
            Err(Stop::Broken(error)) => Err(error),
        }
    }

    fn deliver_all(&mut self) -> Result<(), Stop> {
        while let Some((hops, message)) = self.scratch.queue.pop_front() {
            if hops > HOPS_NEEDED {
                return Err(ExecuteError::Hops { to: message.to }.into());
            }
            self.scratch.hops = hops;
            self.deliver(message)?;
        }
        Ok(())
    }

    fn merge(&mut self) -> Result<(), ExecuteError> {
        let scratch = std::mem::take(&mut self.scratch);
        self.flows.burned = self
            .flows
            .burned
            .add(scratch.burned)
            .map_err(|_| ExecuteError::Conservation)?;
        self.events.extend(scratch.events);
        for (address, new) in scratch.entities {
            let old = self.cached(&address)?;
            self.index.replace(
                address,
                old.as_deref(),
                new.as_deref(),
                &self.rules.genesis.parameters,
            );
            self.cache.insert(
                address,
                Slot {
                    entity: new,
                    changed: true,
                },
            );
        }
        Ok(())
    }

    fn cached(&mut self, address: &Address) -> Result<Option<Arc<Entity>>, ExecuteError> {
        if let Some(slot) = self.cache.get(address) {
            return Ok(slot.entity.clone());
        }
        let entity = read(&self.base, address)?.map(Arc::new);
        self.cache.insert(
            *address,
            Slot {
                entity: entity.clone(),
                changed: false,
            },
        );
        Ok(entity)
    }

    /// The entity at `address` as the operation at work sees it.
    pub(super) fn get(&mut self, address: &Address) -> Result<Option<Arc<Entity>>, Stop> {
        match self.scratch.entities.get(address) {
            Some(entity) => Ok(entity.clone()),
            None => Ok(self.cached(address)?),
        }
    }

    /// Puts `entity` at `address`; `None` removes what is there.
    pub(super) fn set(&mut self, address: Address, entity: Option<Entity>) {
        self.scratch.entities.insert(address, entity.map(Arc::new));
    }

    /// The account at `address`; `None` when nothing is there.
    pub(super) fn account(&mut self, address: &Address) -> Result<Option<Account>, Stop> {
        match self.get(address)?.as_deref() {
            Some(Entity::Account(account)) => Ok(Some(account.clone())),
            Some(_) => Err(Refusal::NotAnAccount { address: *address }.into()),
            None => Ok(None),
        }
    }

    /// The worker at `seat`.
    pub(super) fn worker(&mut self, seat: &Address) -> Result<Box<Worker>, Stop> {
        match self.get(seat)?.as_deref() {
            Some(Entity::Worker(worker)) => Ok(worker.clone()),
            _ => Err(Refusal::NoWorker { seat: *seat }.into()),
        }
    }

    /// The task at `address`.
    pub(super) fn task(&mut self, address: &Address) -> Result<Box<Task>, Stop> {
        match self.get(address)?.as_deref() {
            Some(Entity::Task(task)) => Ok(task.clone()),
            _ => Err(Refusal::NoTask { task: *address }.into()),
        }
    }

    /// Makes room for a new entity at `address` and returns what was sent there before it existed.
    ///
    /// Addresses of tasks, seats and registrations are known a little before they are taken, so that
    /// somebody may have sent credits there. No key has such an address: the account can't be used.
    pub(super) fn vacate(&mut self, address: &Address) -> Result<Credits, Stop> {
        match self.get(address)?.as_deref() {
            None => Ok(Credits::ZERO),
            Some(Entity::Account(account))
                if account.nonce.get() == 0 && account.workers.is_empty() =>
            {
                Ok(account.balance)
            }
            Some(_) => Err(Refusal::Occupied { address: *address }.into()),
        }
    }

    /// Sends a message; the sender has given up `value` already.
    pub(super) fn send(&mut self, from: Address, to: Address, value: Credits, body: MessageBody) {
        let expires = self.epoch.plus(self.parameters().retained_epochs);
        let message = Message {
            from,
            to,
            value,
            body,
            epoch: self.epoch,
            index: self.messages,
            expires,
        };
        self.messages = self.messages.saturating_add(1);
        self.scratch
            .queue
            .push_back((self.scratch.hops.saturating_add(1), message));
    }

    /// Destroys credits that their holder has given up.
    pub(super) fn burn(&mut self, amount: Credits) -> Result<(), Stop> {
        self.scratch.burned = self.scratch.burned.add(amount)?;
        Ok(())
    }

    pub(super) fn event(&mut self, event: TaskEvent) {
        self.scratch.events.push(event);
    }

    fn deliver(&mut self, message: Message) -> Result<(), Stop> {
        let Message {
            from,
            to,
            value,
            body,
            ..
        } = message;
        match body {
            MessageBody::Value => self.deliver_value(to, value),
            MessageBody::Left { key } => self.deliver_left(to, &key, value),
            MessageBody::Seat(worker) => self.deliver_seat(to, *worker, value),
            MessageBody::AddStake { stake, since } => {
                self.deliver_stake(from, to, value, stake, since)
            }
            MessageBody::Unstake { collateral } => self.deliver_unstake(from, to, collateral),
            MessageBody::SetTerms { terms, since } => self.deliver_terms(from, to, terms, since),
            MessageBody::Leave => self.deliver_leave(from, to),
            MessageBody::Submit(spec) => self.deliver_submit(from, to, value, *spec),
            MessageBody::Cancel => self.deliver_cancel(from, to),
            MessageBody::Commit { key, .. } => self.deliver_commit(from, to, value, &key),
            MessageBody::Reveal { outcome } => self.deliver_reveal(from, to, outcome),
            MessageBody::Unrevealed => self.deliver_unrevealed(from, to),
            MessageBody::Verdict { key, outcome } => self.deliver_verdict(from, to, &key, &outcome),
            MessageBody::RevealsOpen { until } => self.deliver_reveals_open(from, to, until),
            MessageBody::Closed { paid } => self.deliver_closed(from, to, value, paid),
            MessageBody::NoShow { penalty } => self.deliver_no_show(to, penalty),
            MessageBody::RotateWorker { keys, since } => {
                self.deliver_rotation(from, to, keys, since)
            }
            MessageBody::Rotated { old, new } => self.deliver_rotated(to, &old, &new),
        }
    }

    /// The state after the block, with everything that changed in one batch.
    pub(super) fn finish(self) -> Result<(Version, Index, Flows, Vec<TaskEvent>), ExecuteError> {
        let mut changes = Vec::new();
        for (address, slot) in self.cache {
            if !slot.changed {
                continue;
            }
            let leaf: Option<Leaf> = slot
                .entity
                .map(|entity| entity.leaf())
                .transpose()
                .map_err(|_| ExecuteError::Conservation)?;
            if self.base.get(&address) != leaf.as_ref() {
                changes.push(Change { address, leaf });
            }
        }
        let tree = self.base.apply(changes)?;
        Ok((tree, self.index, self.flows, self.events))
    }
}
