//! Copying the state at the end of an epoch, from the genesis's word alone.
//!
//! 1. Links lead a light client from the genesis to the newest root committee.
//! 2. The newest record of that committee's period names the state, the leaf's closing block and, in the
//!    record before it, the next epoch's committee. The closing block says what is owed.
//! 3. The address space is copied in sixteen parts. Every piece is proven against the state that the
//!    record names. Pieces may come from different peers; what came stays when a peer goes.
//! 4. When all parts are there the tree is built and compared with the record.

use crate::membership::period_of;
use crate::persist::Closing;
use crate::wire::{Checkpoint, CheckpointTip, Request};
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{Owed, Payload, RootRecord};
use frith_ledger::certificate::Committee;
use frith_ledger::genesis::GenesisError;
use frith_ledger::light::{CertifiedRoot, LightClient, LightError};
use frith_ledger::tree::{Change, Leaf, ProofError, RangeProof, TreeError, Version};
use frith_ledger::units::{Epoch, View};
use frith_tasks::{LeafState, RestoreError, Rules};
use std::collections::BTreeMap;

/// The state is copied in 2 to the power of so many parts.
const PART_BITS: u8 = 4;

/// A copy under way.
#[derive(Debug)]
pub struct StateCopy {
    light: LightClient,
    genesis_committee: Committee,
    committees: Vec<(u64, Committee)>,
    links: Vec<CertifiedRoot>,
    target: Option<Target>,
}

#[derive(Debug)]
struct Target {
    tip: CheckpointTip,
    record: RootRecord,
    previous: Option<CertifiedRoot>,
    parts: BTreeMap<Prefix, Option<Address>>,
    entries: BTreeMap<Address, Leaf>,
}

/// What a finished copy gives.
pub struct Copied {
    /// The end of the epoch that was copied.
    pub closing: Closing,
    /// The state.
    pub state: LeafState,
    /// The leaf's committee of the epoch after.
    pub committee: Committee,
    /// The record, and the one before it when there is one, oldest first.
    pub roots: Vec<CertifiedRoot>,
    /// The last records of past periods.
    pub links: Vec<CertifiedRoot>,
    /// Root committees by period.
    pub root_committees: Vec<(u64, Committee)>,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// Ask for these.
    Ask(Vec<Request>),
    /// Everything is here.
    Finished,
}

/// A peer's piece doesn't hold, or the copy can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// A record or link doesn't hold.
    #[error(transparent)]
    Light(#[from] LightError),
    /// A piece doesn't hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The parts don't make the tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The state doesn't fit the claim.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// What came with the record isn't what it names.
    #[error("the checkpoint's {what} is not the one that its record names")]
    Mismatch {
        /// Which part.
        what: &'static str,
    },
    /// Not asked for, or of another epoch.
    #[error("not asked for")]
    Unasked,
}

impl StateCopy {
    /// A copy that begins at the genesis.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn new(rules: &Rules) -> Result<Self, GenesisError> {
        Ok(Self {
            light: LightClient::new(&rules.genesis)?,
            genesis_committee: rules.genesis.committee()?,
            committees: Vec::new(),
            links: Vec::new(),
            target: None,
        })
    }

    /// The epoch that is copied, entities so far, and of how many.
    #[must_use]
    pub fn progress(&self) -> Option<(Epoch, u64, u64)> {
        let target = self.target.as_ref()?;
        let count = u64::try_from(target.entries.len()).unwrap_or(u64::MAX);
        Some((target.record.epoch, count, target.record.state.entities))
    }

    /// What to ask for now.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        let Some(target) = &self.target else {
            return vec![Request::Checkpoint {
                period: self.light.period(),
            }];
        };
        let epoch = target.record.epoch;
        let open = target
            .parts
            .iter()
            .filter_map(|(prefix, from)| from.map(|from| (*prefix, from)));
        open.map(|(prefix, from)| Request::Range {
            epoch,
            prefix,
            from,
        })
        .collect()
    }

    /// Forgets the target: nobody has its state any more. What links showed stays.
    pub fn restart(&mut self) {
        self.target = None;
    }

    /// Takes an answer to [`Request::Checkpoint`]. One certificate's checks a link.
    ///
    /// # Errors
    /// [`CopyError`]: the peer's fault; what was verified stays.
    pub fn checkpoint(
        &mut self,
        rules: &Rules,
        checkpoint: Checkpoint,
    ) -> Result<CopyStep, CopyError> {
        if self.target.is_some() {
            return Err(CopyError::Unasked);
        }
        for link in checkpoint.links.into_inner() {
            self.light.follow(&link)?;
            self.committees.push((self.light.period(), link.next));
            self.links.push(link.root);
        }
        if let Some(tip) = checkpoint.tip {
            self.aim(rules, tip)?;
        }
        Ok(CopyStep::Ask(self.requests()))
    }

    fn aim(&mut self, rules: &Rules, tip: CheckpointTip) -> Result<(), CopyError> {
        let mismatch = |what| CopyError::Mismatch { what };
        let record = self.light.root(&tip.root)?.clone();
        let [entry] = &*record.leaves else {
            return Err(mismatch("list of leaves"));
        };
        let header = &tip.closing.header;
        let claims = matches!(&tip.closing.payload, Payload::Leaf(p) if p.claim.as_ref() == Some(&entry.claim));
        if header.id() != entry.closing || header.payload != tip.closing.payload.hash() || !claims {
            return Err(mismatch("closing block"));
        }
        let previous = self.previous(rules, &record, tip.previous.as_ref())?;
        let named = previous
            .as_ref()
            .and_then(CertifiedRoot::record)
            .and_then(|record| record.leaves.first());
        let named = match named {
            Some(entry) if record.epoch >= Epoch::new(1) => entry.committee,
            _ => self.genesis_committee.hash(),
        };
        if tip.committee.hash() != named {
            return Err(mismatch("committee"));
        }
        let parts = (0..1_u64 << PART_BITS)
            .filter_map(|part| Prefix::new(part << (64 - PART_BITS), PART_BITS));
        let parts = parts.map(|prefix| (prefix, Some(prefix.first()))).collect();
        self.target = Some(Target {
            tip,
            record,
            previous,
            parts,
            entries: BTreeMap::new(),
        });
        Ok(())
    }

    /// The record before, whose own proof holds too.
    fn previous(
        &self,
        rules: &Rules,
        record: &RootRecord,
        given: Option<&CertifiedRoot>,
    ) -> Result<Option<CertifiedRoot>, CopyError> {
        if record.epoch == Epoch::ZERO {
            return Ok(None);
        }
        let given = given.ok_or(CopyError::Mismatch {
            what: "record before",
        })?;
        if given.record().map(RootRecord::id) != Some(record.previous) {
            return Err(CopyError::Mismatch {
                what: "record before",
            });
        }
        let parameters = rules.parameters();
        if period_of(parameters, record.epoch.minus(1)) == period_of(parameters, record.epoch) {
            self.light.root(given)?;
            return Ok(Some(given.clone()));
        }
        // The last record of the period before: the last link has shown it.
        self.links
            .last()
            .cloned()
            .map(Some)
            .ok_or(CopyError::Mismatch {
                what: "record before",
            })
    }

    /// Takes an answer to [`Request::Range`].
    ///
    /// # Errors
    /// [`CopyError`]: the peer's fault; nothing changes.
    pub fn range(
        &mut self,
        epoch: Epoch,
        prefix: Prefix,
        from: Address,
        proof: &RangeProof,
    ) -> Result<CopyStep, CopyError> {
        let target = self.target.as_mut().ok_or(CopyError::Unasked)?;
        if target.record.epoch != epoch || target.parts.get(&prefix) != Some(&Some(from)) {
            return Err(CopyError::Unasked);
        }
        let part = proof.verify(&target.record.state, prefix, from)?;
        target.entries.extend(part.entries);
        target.parts.insert(prefix, part.next);
        if target.parts.values().all(Option::is_none) {
            return Ok(CopyStep::Finished);
        }
        Ok(CopyStep::Ask(
            part.next
                .map(|from| Request::Range {
                    epoch,
                    prefix,
                    from,
                })
                .into_iter()
                .collect(),
        ))
    }

    /// Builds what was copied. O(entities).
    ///
    /// # Errors
    /// [`CopyError`] when the parts don't make the state that the record names.
    pub fn finish(self, rules: &Rules) -> Result<Copied, CopyError> {
        let target = self.target.ok_or(CopyError::Unasked)?;
        let changes = target.entries.into_iter().map(|(address, leaf)| Change {
            address,
            leaf: Some(leaf),
        });
        let version = Version::empty().apply(changes.collect())?;
        let Some(entry) = target.record.leaves.first() else {
            return Err(CopyError::Mismatch {
                what: "list of leaves",
            });
        };
        if version.summary() != entry.claim.state {
            return Err(CopyError::Mismatch { what: "state" });
        }
        let last = target.previous.as_ref().and_then(CertifiedRoot::record);
        let state = LeafState::from_claim(rules, version, &entry.claim, last)?;
        let owed = match &target.tip.closing.payload {
            Payload::Leaf(payload) => payload
                .owed
                .iter()
                .map(|o| Owed {
                    since: View::ZERO,
                    batch: o.batch,
                })
                .collect(),
            Payload::Root(_) | Payload::Empty | Payload::Log(_) => Vec::new(),
        };
        let closing = Closing {
            epoch: target.record.epoch,
            id: entry.closing,
            height: entry.height,
            claim: entry.claim.clone(),
            owed,
            proof: None,
        };
        Ok(Copied {
            closing,
            state,
            committee: target.tip.committee,
            roots: target
                .previous
                .into_iter()
                .chain([target.tip.root])
                .collect(),
            links: self.links,
            root_committees: self.committees,
        })
    }
}
