//! The state of a leaf between blocks.

use super::index::{Index, Role};
use super::listing::{Counts, Listed, SeatWork};
use super::overlay::read;
use crate::rules::Rules;
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{Claim, Flows, RootRecord};
use frith_ledger::entity::{Entity, WorkerStatus};
use frith_ledger::genesis::GenesisError;
use frith_ledger::hash::Hash;
use frith_ledger::key::PublicKey;
use frith_ledger::outbox::outbox_root;
use frith_ledger::tree::{Summary, Version};
use frith_ledger::units::{Epoch, UnixMillis};
use parity_scale_codec::{Decode, Encode};

/// The state of a leaf. Cloning shares everything.
#[derive(Debug, Clone)]
pub struct LeafState {
    pub(super) tree: Version,
    pub(super) opening: Version,
    pub(super) epoch: Epoch,
    pub(super) roots: Epoch,
    pub(super) beacon: Hash,
    pub(super) time: UnixMillis,
    pub(super) flows: Flows,
    pub(super) operations: u64,
    pub(super) index: Index,
}

/// What a leaf's state holds beside its tree; stored with it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Side {
    /// Epoch of the last executed block.
    pub epoch: Epoch,
    /// The tree at the opening of that epoch: what draws are made over.
    pub opening: Summary,
    /// Root records accepted: the next one expected.
    pub roots: Epoch,
    /// beacon(roots).
    pub beacon: Hash,
    /// Time of the newest record accepted; of the genesis at first.
    pub time: UnixMillis,
    /// Value over the border and destroyed, since genesis.
    pub flows: Flows,
    /// Operations executed since genesis.
    pub operations: u64,
}

/// Why a state can't be rebuilt from what was stored or synced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The tree isn't the one that is named.
    #[error("the {what} tree has the hash {found}, expected is {expected}")]
    Tree {
        /// `present` or `opening`.
        what: &'static str,
        /// What is named.
        expected: Hash,
        /// What was given.
        found: Hash,
    },
    /// The claim of epoch e > 0 needs the root record of e − 1.
    #[error("the claim of epoch {claim} needs root record {}, given is {}", claim.minus(1), found.map_or("none".to_owned(), |epoch| epoch.to_string()))]
    Root {
        /// The claim's epoch.
        claim: Epoch,
        /// The record's epoch.
        found: Option<Epoch>,
    },
    /// The tree holds what is no entity.
    #[error("the entity at {address} cannot be read")]
    Corrupt {
        /// Where.
        address: Address,
    },
    /// Credits and burned credits aren't what the genesis says.
    #[error("the state's credits and the burned ones do not add up to the genesis")]
    Conservation,
}

fn rebuild(rules: &Rules, tree: &Version) -> Result<Index, RestoreError> {
    let mut index = Index::default();
    for (address, leaf) in tree.iter() {
        let entity =
            Entity::from_bytes(&leaf.bytes).map_err(|_| RestoreError::Corrupt { address })?;
        index.replace(address, None, Some(&entity), rules.parameters());
    }
    Ok(index)
}

fn check_tree(what: &'static str, tree: &Version, expected: &Summary) -> Result<(), RestoreError> {
    let found = tree.summary();
    if found == *expected {
        return Ok(());
    }
    Err(RestoreError::Tree {
        what,
        expected: expected.hash,
        found: found.hash,
    })
}

impl LeafState {
    /// The state before the first block.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn genesis(rules: &Rules) -> Result<Self, GenesisError> {
        let tree = rules.genesis.state()?;
        let side = Side {
            epoch: Epoch::ZERO,
            opening: tree.summary(),
            roots: Epoch::ZERO,
            beacon: Hash(rules.genesis.beacon),
            time: rules.genesis.time(),
            flows: Flows::default(),
            operations: 0,
        };
        // A tree that was just built holds nothing but entities.
        Self::restore(rules, tree.clone(), tree, side).map_err(|_| GenesisError::NoWorkers)
    }

    /// The state from its stored parts: the tree, the tree at the opening of its epoch, and the rest.
    /// Scans the tree once.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore(
        rules: &Rules,
        tree: Version,
        opening: Version,
        side: Side,
    ) -> Result<Self, RestoreError> {
        check_tree("opening", &opening, &side.opening)?;
        let sum = tree.summary().credits.add(side.flows.burned);
        if sum != rules.supply.add(side.flows.issued) {
            return Err(RestoreError::Conservation);
        }
        let index = rebuild(rules, &tree)?;
        let Side {
            epoch,
            roots,
            beacon,
            time,
            flows,
            operations,
            ..
        } = side;
        Ok(Self {
            tree,
            opening,
            epoch,
            roots,
            beacon,
            time,
            flows,
            operations,
            index,
        })
    }

    /// The state at a closing block, from its claim and the newest root record that it accepted (of the
    /// epoch before; none in epoch 0). Scans the tree once.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn from_claim(
        rules: &Rules,
        tree: Version,
        claim: &Claim,
        last: Option<&RootRecord>,
    ) -> Result<Self, RestoreError> {
        check_tree("present", &tree, &claim.state)?;
        let (beacon, time) = match last {
            None if claim.epoch == Epoch::ZERO => {
                (Hash(rules.genesis.beacon), rules.genesis.time())
            }
            Some(record) if record.epoch.next() == claim.epoch => (record.beacon, record.time),
            _ => {
                return Err(RestoreError::Root {
                    claim: claim.epoch,
                    found: last.map(|record| record.epoch),
                });
            }
        };
        let side = Side {
            epoch: claim.epoch,
            opening: claim.state,
            roots: claim.epoch,
            beacon,
            time,
            flows: claim.flows,
            operations: claim.operations,
        };
        // Nothing is drawn any more in an epoch that is closed: its end is the next one's opening.
        Self::restore(rules, tree.clone(), tree, side)
    }

    /// What is stored beside the tree.
    #[must_use]
    pub fn side(&self) -> Side {
        Side {
            epoch: self.epoch,
            opening: self.opening.summary(),
            roots: self.roots,
            beacon: self.beacon,
            time: self.time,
            flows: self.flows,
            operations: self.operations,
        }
    }

    /// The tree.
    #[must_use]
    pub const fn tree(&self) -> &Version {
        &self.tree
    }

    /// The tree's summary.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.tree.summary()
    }

    /// Epoch of the last executed block.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Root records accepted so far: the next one expected.
    #[must_use]
    pub const fn roots(&self) -> Epoch {
        self.roots
    }

    /// beacon(roots): the newest that the leaf knows.
    #[must_use]
    pub const fn beacon(&self) -> &Hash {
        &self.beacon
    }

    /// Time of the newest record that the leaf knows; of the genesis at first.
    #[must_use]
    pub const fn time(&self) -> UnixMillis {
        self.time
    }

    /// Value over the border and destroyed, since genesis.
    #[must_use]
    pub const fn flows(&self) -> &Flows {
        &self.flows
    }

    /// The entity at `address`; `None` also for bytes that are no entity, which no execution writes.
    #[must_use]
    pub fn entity(&self, address: &Address) -> Option<Entity> {
        read(&self.tree, address).ok().flatten()
    }

    /// Where the worker is whose key this is, will be or was, or the registration with this key. `None`: the
    /// key is free.
    #[must_use]
    pub fn place_of(&self, key: &PublicKey) -> Option<Address> {
        self.index.keys.get(key).map(|place| place.at)
    }

    /// The open jobs of a seat, by task.
    #[must_use]
    pub fn jobs_of(&self, seat: &Address) -> Vec<(Address, Role)> {
        self.index.jobs_of(seat).collect()
    }

    /// The tasks after a place in the list of an account, or of all: the newest first. Reads what is taken from it.
    pub fn tasks(
        &self,
        account: Option<Address>,
        after: Option<Listed>,
    ) -> impl Iterator<Item = Listed> + '_ {
        self.index.listing.tasks(account, after)
    }

    /// What a seat did in the tasks of this state.
    #[must_use]
    pub fn work_of(&self, seat: &Address) -> SeatWork {
        self.index.listing.work(seat)
    }

    /// The tasks in which a seat has a place without pay, the newest first.
    pub fn unpaid_of(&self, seat: Address) -> impl Iterator<Item = Listed> + '_ {
        self.index.listing.unpaid(seat)
    }

    /// How many entities there are of each kind.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        self.index.listing.counts()
    }

    /// Whether a block of `epoch` would find due work.
    #[must_use]
    pub fn has_due(&self, epoch: Epoch) -> bool {
        let newest = (self.roots == epoch && epoch.get() > 0).then(|| epoch.minus(1));
        self.index.has_due(epoch, newest)
    }

    /// Whether something waits for the root record of this epoch: seats or draws.
    #[must_use]
    pub fn wants_root(&self, epoch_of_root: Epoch) -> bool {
        self.index.wants_root(epoch_of_root)
    }

    /// What the closing block of `epoch` claims. Reads every worker once.
    #[must_use]
    pub fn claim(&self, epoch: Epoch) -> Claim {
        let mut workers = (0u32, 0u32);
        for seat in self.index.places() {
            let active = matches!(self.entity(&seat), Some(Entity::Worker(w)) if w.status == WorkerStatus::Active);
            let half = if seat.bit(0) {
                &mut workers.1
            } else {
                &mut workers.0
            };
            *half = half.saturating_add(u32::from(active));
        }
        Claim {
            prefix: Prefix::ROOT,
            epoch,
            state: self.summary(),
            outbox: outbox_root(&[]),
            flows: self.flows,
            workers,
            operations: self.operations,
        }
    }
}
