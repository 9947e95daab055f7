//! The light client: verifies a balance, a worker or a task from the genesis alone.
//!
//! 1. The genesis names the first committees (epochs 0 and 1) and the root committee of period 0.
//! 2. The last root record of a period names the next period's root committee by hash, so the
//!    client follows one record a period: a [`RootLink`] carries the record's commit proof and the
//!    committee that the hash is of.
//! 3. The newest record names the combined state; a path from it shows the entity, or that there
//!    is none.
//!
//! What it can't know: whether a newer record exists, and what operations did since. A source can
//! show an old but true state; epoch and time of the record are part of the answer.
//!
//! A client remembers the newest record that it has verified. Another one of the same epoch, or a later
//! one with an earlier time, shows that a committee was corrupt: it is an error, and the client stays.

use crate::address::Address;
use crate::block::{Payload, RootRecord};
use crate::certificate::{CertificateError, CommitProof, Committee};
use crate::codec::BoundedVec;
use crate::entity::Entity;
use crate::genesis::{Genesis, GenesisError};
use crate::hash::{Domain, Hash};
use crate::tree::{PathProof, ProofError, Summary};
use crate::units::{Epoch, UnixMillis};
use parity_scale_codec::{Decode, Encode};
use std::cmp::Ordering;

/// Links that one proof may carry: periods since the client's checkpoint.
pub const LINKS_MAX: usize = 4096;
/// Bytes of an encoded [`EntityProof`].
pub const ENTITY_PROOF_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A root record and the proof that its committee committed it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CertifiedRoot {
    /// The record's block payload as its header commits to it.
    pub payload: Payload,
    /// Commits the block.
    pub proof: CommitProof,
}

impl CertifiedRoot {
    /// Verifies the record under the root committee of its period.
    ///
    /// # Errors
    /// [`LightError`].
    pub fn verify(&self, committee: &Committee, genesis: &Hash) -> Result<&RootRecord, LightError> {
        let Payload::Root(root) = &self.payload else {
            return Err(LightError::NotARoot);
        };
        let header = &self.proof.header;
        if header.payload != self.payload.hash() || header.state != root.record.state {
            return Err(LightError::NotARoot);
        }
        if header.instance.epoch != root.record.epoch
            || header.instance.kind != crate::block::ChainKind::Root
        {
            return Err(LightError::NotARoot);
        }
        self.proof.verify(committee, genesis)?;
        Ok(&root.record)
    }

    /// The record, unverified.
    #[must_use]
    pub fn record(&self) -> Option<&RootRecord> {
        match &self.payload {
            Payload::Root(root) => Some(&root.record),
            Payload::Leaf(_) | Payload::Empty | Payload::Log(_) => None,
        }
    }
}

/// A step from one period's root committee to the next.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RootLink {
    /// The last record of the period.
    pub root: CertifiedRoot,
    /// The committee that the record names by hash.
    pub next: Committee,
}

/// An entity, or its absence, with everything that shows it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EntityProof {
    /// One link for each period after the client's checkpoint.
    pub links: BoundedVec<RootLink, LINKS_MAX>,
    /// The root record that the path leads to.
    pub root: CertifiedRoot,
    /// The path from the record's state.
    pub path: PathProof,
    /// The encoded entity; `None` when the path shows that there is none.
    pub entity: Option<Vec<u8>>,
}

/// Why a proof doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LightError {
    /// The genesis itself is unusable.
    #[error("the genesis is unusable: {0}")]
    Genesis(#[from] GenesisError),
    /// The block isn't what its header says, or no root record.
    #[error("the block is no root record, or not the one that its header names")]
    NotARoot,
    /// The certificate doesn't hold.
    #[error("the root record is not certified: {0}")]
    Certificate(#[from] CertificateError),
    /// A link isn't the last record of its period, or names another committee.
    #[error("the link of epoch {epoch} does not lead to the next committee")]
    Link {
        /// The link's epoch.
        epoch: Epoch,
    },
    /// The record lies outside the period whose committee is known.
    #[error("epoch {epoch} is not in period {period}, whose committee is known")]
    Period {
        /// The record's epoch.
        epoch: Epoch,
        /// The period that the links lead to.
        period: u64,
    },
    /// The record is of an earlier period than the client has followed to: nothing can be said of it.
    #[error("epoch {epoch} is before period {period}, which was followed to")]
    Behind {
        /// The record's epoch.
        epoch: Epoch,
        /// The period that the client knows.
        period: u64,
    },
    /// Two certified records exclude each other.
    #[error(
        "the record of epoch {epoch} excludes the one of epoch {known} that was verified before"
    )]
    Fork {
        /// The record's epoch.
        epoch: Epoch,
        /// The known one's.
        known: Epoch,
    },
    /// The path doesn't lead from the state to the address.
    #[error("the path does not hold: {0}")]
    Path(#[from] ProofError),
    /// The entity isn't the one that the path shows.
    #[error("the entity is not the one that the path shows")]
    Entity,
}

/// A verified answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The epoch of the root record.
    pub epoch: Epoch,
    /// The record's id.
    pub root: Hash,
    /// The record's time.
    pub time: UnixMillis,
    /// The whole state's summary: the sum of all credits among it.
    pub state: Summary,
    /// What stands at the address.
    pub entity: Option<Entity>,
}

/// How far a client has followed a network, to be kept. Whoever can change it can make a client believe anything, like the
/// genesis.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Checkpoint {
    /// The network.
    pub genesis: Hash,
    /// The period whose root committee is known.
    pub period: u64,
    /// That committee.
    pub committee: Committee,
    /// The newest record that was verified.
    pub newest: Option<Newest>,
}

/// A root record that a client has verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Newest {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its id.
    pub root: Hash,
    /// Its time.
    pub time: UnixMillis,
}

impl Checkpoint {
    /// What stands for the checkpoint: who trusts this hash trusts the committee, whoever sends it.
    #[must_use]
    pub fn id(&self) -> Hash {
        let trusted = (self.genesis, self.period, self.committee.hash());
        Hash::of(Domain::Checkpoint, &trusted)
    }
}

/// A client that trusts a genesis and nothing else.
#[derive(Debug, Clone)]
pub struct LightClient {
    genesis: Hash,
    period_epochs: u64,
    period: u64,
    committee: Committee,
    newest: Option<Newest>,
}

impl LightClient {
    /// A client at the genesis.
    ///
    /// # Errors
    /// [`GenesisError`] when the genesis has no usable state.
    pub fn new(genesis: &Genesis) -> Result<Self, GenesisError> {
        Ok(Self {
            genesis: genesis.hash(),
            period_epochs: genesis.parameters.period.max(1),
            period: 0,
            committee: genesis.committee()?,
            newest: None,
        })
    }

    /// A client that goes on where an earlier one was; `None` when that one followed another network.
    ///
    /// # Errors
    /// [`GenesisError`] when the genesis has no usable state.
    pub fn resume(genesis: &Genesis, checkpoint: Checkpoint) -> Result<Option<Self>, GenesisError> {
        let client = Self::new(genesis)?;
        if checkpoint.genesis != client.genesis {
            return Ok(None);
        }
        Ok(Some(Self {
            period: checkpoint.period,
            committee: checkpoint.committee,
            newest: checkpoint.newest,
            ..client
        }))
    }

    /// How far the client has followed.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            genesis: self.genesis,
            period: self.period,
            committee: self.committee.clone(),
            newest: self.newest,
        }
    }

    /// The period that the client has followed to.
    #[must_use]
    pub const fn period(&self) -> u64 {
        self.period
    }

    /// The newest record that the client has verified.
    #[must_use]
    pub const fn newest(&self) -> Option<Newest> {
        self.newest
    }

    /// Remembers a certified record, if it is the newest.
    fn note(&mut self, record: &RootRecord) -> Result<(), LightError> {
        let new = Newest {
            epoch: record.epoch,
            root: record.id(),
            time: record.time,
        };
        if let Some(known) = self.newest {
            let excluded = match new.epoch.cmp(&known.epoch) {
                Ordering::Less => new.time > known.time,
                Ordering::Equal => new.root != known.root,
                Ordering::Greater => new.time < known.time,
            };
            if excluded {
                return Err(LightError::Fork {
                    epoch: new.epoch,
                    known: known.epoch,
                });
            }
            if new.epoch <= known.epoch {
                return Ok(());
            }
        }
        self.newest = Some(new);
        Ok(())
    }

    /// Follows one link to the next period. One certificate's checks.
    ///
    /// # Errors
    /// [`LightError`]; the client is unchanged then.
    pub fn follow(&mut self, link: &RootLink) -> Result<(), LightError> {
        let record = link.root.verify(&self.committee, &self.genesis)?;
        let next = self.period.saturating_add(1);
        let last = next.saturating_mul(self.period_epochs).saturating_sub(1);
        if record.epoch.get() != last || record.next_committee != Some(link.next.hash()) {
            return Err(LightError::Link {
                epoch: record.epoch,
            });
        }
        self.note(record)?;
        self.committee = link.next.clone();
        self.period = next;
        Ok(())
    }

    /// Verifies a root record of the period that the client has followed to.
    ///
    /// # Errors
    /// [`LightError`].
    pub fn root<'a>(&self, root: &'a CertifiedRoot) -> Result<&'a RootRecord, LightError> {
        let named = root.record().ok_or(LightError::NotARoot)?.epoch;
        if named.get() / self.period_epochs < self.period {
            return Err(LightError::Behind {
                epoch: named,
                period: self.period,
            });
        }
        let record = root.verify(&self.committee, &self.genesis)?;
        if record.epoch.get() / self.period_epochs == self.period {
            Ok(record)
        } else {
            Err(LightError::Period {
                epoch: record.epoch,
                period: self.period,
            })
        }
    }

    /// Verifies what stands at `address`. Links to periods already followed are skipped.
    ///
    /// # Errors
    /// [`LightError`].
    pub fn verify(
        &mut self,
        address: &Address,
        proof: &EntityProof,
    ) -> Result<Verified, LightError> {
        let behind = |client: &Self, link: &RootLink| {
            link.root
                .record()
                .is_some_and(|r| r.epoch.get() / client.period_epochs < client.period)
        };
        for link in &proof.links {
            if !behind(self, link) {
                self.follow(link)?;
            }
        }
        let record = self.root(&proof.root)?;
        self.note(record)?;
        let claim = proof.path.verify(&record.state, address)?;
        let entity = match (claim, &proof.entity) {
            (None, None) => None,
            (Some(claim), Some(bytes)) => {
                let entity = Entity::from_bytes(bytes).map_err(|_| LightError::Entity)?;
                let leaf = entity.leaf().map_err(|_| LightError::Entity)?;
                let same = Hash::of_bytes(Domain::Entity, bytes) == claim.entity
                    && leaf.credits == claim.credits
                    && leaf.stake == claim.stake;
                if !same {
                    return Err(LightError::Entity);
                }
                Some(entity)
            }
            _ => return Err(LightError::Entity),
        };
        Ok(Verified {
            epoch: record.epoch,
            root: record.id(),
            time: record.time,
            state: record.state,
            entity,
        })
    }
}
