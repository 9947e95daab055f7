//! What may be asked at any time, of the committed state.

use super::api::OperationStatus;
use super::core::Node;
use super::facts::Pooled;
use super::operations::nonce_of;
use crate::limits::{Limits, Occupancy};
use crate::membership::period_of;
use crate::pool::Slot;
use crate::status::{MemberStatus, NodeStatus, Unready};
use frith_ledger::address::Address;
use frith_ledger::block::{Block, BlockHeader};
use frith_ledger::certificate::{CommitProof, Committee};
use frith_ledger::key::PublicKey;
use frith_ledger::light::{CertifiedRoot, EntityProof};
use frith_ledger::operation::OperationId;
use frith_ledger::units::{Epoch, Height, Nonce, UnixMillis};
use frith_tasks::{LeafState, Rules};

/// Epochs by which the head may be older than the newest that a member named.
const BEHIND_MAX: u64 = 2;

impl Node {
    /// The bounds that it was started with.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What waits for a batch: with [`Limits::admits`] a host can refuse operations before they cost an input. A
    /// halted node holds none, since it says itself why it takes none.
    #[must_use]
    pub fn queued(&self) -> Occupancy {
        if self.halted.is_some() {
            return Occupancy::default();
        }
        Occupancy {
            operations: self.pool.queue.len(),
            bytes: self.pool.queue.bytes(),
        }
    }

    /// The time of the newest root record; of the genesis when there is none.
    #[must_use]
    pub fn record_time(&self) -> UnixMillis {
        let last = self.roots.last_time(&self.rules);
        last.unwrap_or_else(|| self.rules.genesis.time())
    }

    /// How the node is.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let committee = &self.leaf.blocks.committee;
        let height = |key: &PublicKey| {
            self.peers
                .statuses()
                .find(|(peer, _, _)| *peer == key)
                .map(|(_, s, _)| s.height)
        };
        let members = committee.members().iter().map(|member| MemberStatus {
            key: member.key,
            seat: member.seat,
            weight: member.weight,
            connected: member.key == self.me || self.peers.connected().contains(&member.key),
            me: member.key == self.me,
            height: if member.key == self.me {
                Some(self.chain.head)
            } else {
                height(&member.key)
            },
        });
        let summary = self.chain.state.summary();
        NodeStatus {
            unready: self.unready(),
            halted: self.halted.clone(),
            epoch: self.chain.epoch,
            height: self.chain.head,
            roots: self.roots.next(),
            record_time: self.record_time(),
            view: self.leaf_view(),
            member: self.index_in(committee),
            root_member: self
                .committees
                .root(period_of(self.rules.parameters(), self.roots.next()))
                .is_some_and(|committee| self.index_in(committee).is_some()),
            members: members.collect(),
            peers: self.peers.connected().len(),
            queued: self.pool.queue.len(),
            batches: self.pool.counts(),
            wanted: self.wants.len(),
            copying: self
                .copying
                .as_ref()
                .and_then(|copying| copying.copy.progress()),
            credits: summary.credits,
            entities: summary.entities,
        }
    }

    /// Why the node isn't ready; empty when it is.
    #[must_use]
    pub fn unready(&self) -> Vec<Unready> {
        let mut reasons = Vec::new();
        if let Some(reason) = &self.halted {
            reasons.push(Unready::Halted {
                reason: reason.clone(),
            });
        }
        // A member that may not vote in the next instance either isn't through, also when it may in this.
        if self.leaf.core.abstains() || (self.seat().is_some() && !self.recovery.clean) {
            reasons.push(Unready::Recovering);
        }
        if self.copying.is_some() {
            reasons.push(Unready::Copying);
        }
        let committee = &self.leaf.blocks.committee;
        let near = |key: &PublicKey| *key == self.me || self.peers.connected().contains(key);
        let connected = committee
            .members()
            .iter()
            .filter(|m| near(&m.key))
            .fold(0_u128, |sum, m| sum.saturating_add(m.weight));
        if !committee.is_quorum(connected) {
            reasons.push(Unready::Weight {
                connected,
                total: committee.weight(),
            });
        }
        let newest = self.credible_epoch();
        if newest.get() > self.chain.epoch.get().saturating_add(BEHIND_MAX) {
            reasons.push(Unready::Behind {
                epoch: self.chain.epoch,
                newest,
            });
        }
        reasons
    }

    /// The newest epoch that members with more than a third of the weight say they have reached.
    fn credible_epoch(&self) -> Epoch {
        let committee = &self.leaf.blocks.committee;
        let weight = |key: &PublicKey| {
            committee
                .members()
                .iter()
                .find(|m| m.key == *key)
                .map(|m| m.weight)
        };
        let mut said: Vec<(Epoch, u128)> = self
            .peers
            .statuses()
            .filter_map(|(peer, s, _)| Some((s.epoch, weight(peer)?)))
            .collect();
        said.sort_unstable_by(|a, b| b.cmp(a));
        let mut sum: u128 = 0;
        for (epoch, weight) in said {
            sum = sum.saturating_add(weight);
            if committee.is_third(sum) {
                return epoch;
            }
        }
        Epoch::ZERO
    }

    /// Whether this node knows enough of what its key signed to vote in whatever begins next. A newcomer
    /// should wait for it before it registers: it takes two epochs with a quorum connected.
    #[must_use]
    pub const fn may_vote(&self) -> bool {
        self.recovery.clean
    }

    /// The committed state.
    #[must_use]
    pub const fn state(&self) -> &LeafState {
        &self.chain.state
    }

    /// What all nodes of the network agree on.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Height of the last committed block.
    #[must_use]
    pub const fn head(&self) -> Height {
        self.chain.head
    }

    /// The epoch that the leaf is in.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.chain.epoch
    }

    /// What this process says to new peers, so that a second one with its key is found.
    #[must_use]
    pub const fn twin_hello(&self) -> crate::wire::Hello {
        self.twin.hello()
    }

    /// This node's worker key.
    #[must_use]
    pub const fn key(&self) -> PublicKey {
        self.me
    }

    /// The leaf's committee.
    #[must_use]
    pub fn committee(&self) -> &Committee {
        &self.leaf.blocks.committee
    }

    /// The epoch of the next root record.
    #[must_use]
    pub const fn roots(&self) -> Epoch {
        self.roots.next()
    }

    /// A root record with its proof, while it is kept.
    pub fn root(&mut self, epoch: Epoch) -> Option<CertifiedRoot> {
        self.stored_root(epoch)
    }

    /// A committed block, the headers after it up to a committed one, and the proof of that; while it is
    /// kept.
    pub fn block(
        &mut self,
        height: Height,
    ) -> Option<(Block, Vec<BlockHeader>, Option<CommitProof>)> {
        let stored = self.facts().block(height);
        self.note(stored).flatten()
    }

    /// The first nonce of an account that neither the state nor an operation that waits here has used.
    #[must_use]
    pub fn free_nonce(&self, account: &Address) -> Nonce {
        let next = nonce_of(&self.chain.state, account);
        self.pool.free_nonce(account, next)
    }

    /// What this node's pool knows of an operation.
    #[must_use]
    pub fn pooled(&self, id: &OperationId) -> Pooled {
        Pooled {
            waits: self.pool.has_operation(id),
            slot: self.pool.slot(id),
        }
    }

    /// Where an operation is; `None` when this node doesn't know it. What `slot` says of the operation is believed, and
    /// needed only for one that wasn't taken here lately.
    pub fn operation(&mut self, id: &OperationId, slot: Option<Slot>) -> Option<OperationStatus> {
        let pooled = self.pooled(id);
        let found = self.facts().operation(id, pooled, slot);
        self.note(found).flatten()
    }

    /// Proves to a light client from the genesis what stands at an address, under the newest record.
    pub fn entity_proof(&mut self, address: &Address) -> Option<EntityProof> {
        self.entity_proof_from(address, 0)
    }

    /// Proves to a light client that has followed the root committees to `period` what stands at an address,
    /// under the newest record. `None` before the first record, or when there are more links than one proof
    /// holds.
    pub fn entity_proof_from(&mut self, address: &Address, period: u64) -> Option<EntityProof> {
        let proof = self.facts().entity_proof(address, period);
        self.note(proof).flatten()
    }
}
