//! Questions of the committed chain: what its parts and the store say together. The core asks them of itself, others of
//! a [`Snapshot`].
//!
//! [`Snapshot`]: super::snapshot::Snapshot

use super::api::{ExecutedOperation, NeverExecuted, OperationStatus};
use super::operations::nonce_of;
use crate::membership::{Committees, period_of};
use crate::persist;
use crate::pool::Slot;
use crate::roots::Roots;
use frith_ledger::address::Address;
use frith_ledger::block::{Block, BlockHeader};
use frith_ledger::certificate::CommitProof;
use frith_ledger::entity::Entity;
use frith_ledger::light::{CertifiedRoot, EntityProof, LINKS_MAX, RootLink};
use frith_ledger::operation::OperationId;
use frith_ledger::store::{Store, StoreError};
use frith_ledger::tree::Version;
use frith_ledger::units::{Epoch, Height, Nonce};
use frith_tasks::{LeafState, Refusal, Rules};
use parity_scale_codec::Encode as _;
use std::collections::BTreeMap;

/// Headers that a proof of an operation may lead over.
const HEADERS_MAX: usize = 512;
/// Epochs before the newest of which one with its state and its record is looked for.
const PROVEN_BACK: u64 = 4;
/// Bytes that an answer with several items may have before no more are added.
pub(super) const ANSWER_BYTES: usize = 1024 * 1024;

/// A committed block, the headers after it up to a committed one, and the proof of that.
pub(super) type BlockAndAfter = (Block, Vec<BlockHeader>, Option<CommitProof>);
/// What the store says, if it says something.
type Stored<T> = Result<Option<T>, StoreError>;

/// What a node's pool knows of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pooled {
    /// Whether it waits, in the queue or in an own batch.
    pub waits: bool,
    /// When it could be executed, if it was taken lately.
    pub slot: Option<Slot>,
}

/// See the module.
pub(super) struct Facts<'a> {
    pub(super) rules: &'a Rules,
    pub(super) state: &'a LeafState,
    /// The epoch that runs.
    pub(super) epoch: Epoch,
    /// The first epoch of which this node has all receipts.
    pub(super) copied: Epoch,
    /// States at the ends of epochs.
    pub(super) versions: &'a BTreeMap<Epoch, Version>,
    pub(super) roots: &'a Roots,
    pub(super) committees: &'a Committees,
    pub(super) store: &'a dyn Store,
}

impl Facts<'_> {
    /// A root record with its proof, while it is kept.
    pub(super) fn root(&self, epoch: Epoch) -> Stored<CertifiedRoot> {
        match self.roots.get(epoch) {
            Some(root) => Ok(Some((**root).clone())),
            None => persist::root(self.store, epoch),
        }
    }

    /// A committed block, the headers after it up to a committed one, and the proof of that; while it is kept.
    pub(super) fn block(&self, height: Height) -> Stored<BlockAndAfter> {
        let Some(entry) = persist::entry(self.store, height)? else {
            return Ok(None);
        };
        let Some(block) = persist::block(self.store, &entry.id)? else {
            return Ok(None);
        };
        let mut headers = Vec::new();
        let mut proof = None;
        for (at, entry) in persist::entries(self.store, height, HEADERS_MAX)? {
            if at > height {
                let Some(block) = persist::block(self.store, &entry.id)? else {
                    return Ok(None);
                };
                headers.push(block.header);
            }
            if let Some(tail) = entry.proof {
                headers.extend(tail.headers);
                proof = Some(tail.proof);
                break;
            }
        }
        Ok(Some((block, headers, proof)))
    }

    /// The newest epoch whose state and record are here.
    pub(super) fn newest_proven(&self) -> Option<Epoch> {
        let newest = self.roots.next().get().checked_sub(1)?;
        let newest = newest.min(self.epoch.get().checked_sub(1)?);
        let candidates = newest.saturating_sub(PROVEN_BACK)..=newest;
        candidates
            .rev()
            .map(Epoch::new)
            .find(|epoch| self.versions.contains_key(epoch) && self.roots.get(*epoch).is_some())
    }

    /// The links from `period` to `last`, as many as fit; the next period to ask from.
    pub(super) fn links(&self, period: u64, last: u64, max: usize) -> Stored<(Vec<RootLink>, u64)> {
        let length = self.rules.parameters().period.max(1);
        let (mut links, mut bytes, mut at) = (Vec::new(), 0_usize, period);
        while at < last && links.len() < max && bytes <= ANSWER_BYTES.max(max) {
            let next_period = at.saturating_add(1);
            let ending = next_period.saturating_mul(length).saturating_sub(1);
            let Some(root) = self.root(Epoch::new(ending))? else {
                return Ok(None);
            };
            let next = match self.committees.root(next_period) {
                Some(committee) => Some((**committee).clone()),
                None => persist::root_committee(self.store, next_period)?,
            };
            let Some(next) = next else {
                return Ok(None);
            };
            let link = RootLink { root, next };
            bytes = bytes.saturating_add(link.encoded_size());
            links.push(link);
            at = next_period;
        }
        Ok(Some((links, at)))
    }

    /// Proves to a light client that has followed the root committees to `period` what stands at an address, under the
    /// newest record. `None` before the first record, or when there are more links than one proof holds.
    pub(super) fn entity_proof(&self, address: &Address, period: u64) -> Stored<EntityProof> {
        let Some(epoch) = self.newest_proven() else {
            return Ok(None);
        };
        let last = period_of(self.rules.parameters(), epoch);
        let mut links = Vec::new();
        let mut at = period.min(last);
        while at < last {
            let Some((more, reached)) = self.links(at, last, LINKS_MAX)? else {
                return Ok(None);
            };
            if reached == at || links.len() + more.len() > LINKS_MAX {
                return Ok(None);
            }
            links.extend(more);
            at = reached;
        }
        let (Some(root), Some(version)) = (self.root(epoch)?, self.versions.get(&epoch)) else {
            return Ok(None);
        };
        let entity = version.get(address).map(|leaf| leaf.bytes.to_vec());
        let path = version.prove(address);
        Ok(links.try_into().ok().map(|links| EntityProof {
            links,
            root,
            path,
            entity,
        }))
    }

    /// Where an operation is of which the pool knew `pooled` at most a moment before; `None` when nothing is known of it.
    pub(super) fn operation(
        &self,
        id: &OperationId,
        pooled: Pooled,
        slot: Option<Slot>,
    ) -> Stored<OperationStatus> {
        let stored = persist::receipt(self.store, id)?;
        // What a block refused before it used its nonce may come again.
        let again = |ended: &(_, Result<(), Refusal>)| pooled.waits && ended.1.is_err();
        let Some((height, result)) = stored.filter(|ended| !again(ended)) else {
            let slot = pooled.slot.or(slot);
            // What is over first: the pool drops it a little later.
            let never = slot.and_then(|slot| self.never(&slot));
            return Ok(never
                .map(OperationStatus::Never)
                .or(pooled.waits.then_some(OperationStatus::Pending)));
        };
        let (mut headers, mut proof, mut epoch) = (Vec::new(), None, Epoch::ZERO);
        if let Some((block, after, found)) = self.block(height)? {
            epoch = block.header.instance.epoch;
            headers = vec![block.header];
            headers.extend(after);
            proof = found.map(Box::new);
        }
        let is_final = epoch < self.roots.next();
        Ok(Some(OperationStatus::Executed(Box::new(
            ExecutedOperation {
                height,
                epoch,
                result,
                headers,
                proof,
                is_final,
            },
        ))))
    }

    /// That no block has an operation without a receipt, and none can have it any more, if this node knows so.
    fn never(&self, slot: &Slot) -> Option<NeverExecuted> {
        let nonce = nonce_of(self.state, &slot.account);
        let proven = self.newest_proven();
        if nonce > slot.nonce {
            // An earlier block than the oldest that was executed here may have it.
            if slot.since < self.copied {
                return None;
            }
            let at_root = proven.and_then(|epoch| self.versions.get(&epoch));
            return Some(NeverExecuted {
                refusal: Refusal::Nonce {
                    expected: nonce,
                    found: slot.nonce,
                },
                is_final: at_root
                    .is_some_and(|version| nonce_in(version, &slot.account) > slot.nonce),
            });
        }
        (self.epoch > slot.expires).then(|| NeverExecuted {
            refusal: Refusal::Expired {
                expires: slot.expires,
                epoch: self.epoch,
            },
            is_final: proven.is_some_and(|epoch| epoch >= slot.expires),
        })
    }
}

/// The nonce of an account in a saved state; 0 where there is none.
fn nonce_in(version: &Version, account: &Address) -> Nonce {
    let leaf = version.get(account);
    match leaf.map(|leaf| Entity::from_bytes(&leaf.bytes)) {
        Some(Ok(Entity::Account(account))) => account.nonce,
        _ => Nonce::ZERO,
    }
}
