//! What an instance is started with, and what it asks its host.

use super::safety::SafetyRecord;
use frith_ledger::block::{BatchDigest, BlockId, Instance, Payload, Proposal};
use frith_ledger::certificate::{Committee, QuorumCertificate, TimeoutCertificate};
use frith_ledger::hash::Hash;
use frith_ledger::key::SecretKey;
use frith_ledger::store::StoreError;
use frith_ledger::tree::Summary;
use frith_ledger::units::{Height, Millis, View};
use std::sync::Arc;

/// What an instance begins on: the last block of the instance before, or a genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// Its id: the parent of the instance's first block.
    pub id: BlockId,
    /// Its height.
    pub height: Height,
    /// The state after it.
    pub state: Summary,
}

/// The last committed block of an instance; its base at first, in view 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its id.
    pub id: BlockId,
    /// Its height.
    pub height: Height,
    /// Its view.
    pub view: View,
}

/// Everything that an instance needs to start.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The network's genesis hash; every signature binds it.
    pub genesis: Hash,
    /// Which instance.
    pub instance: Instance,
    /// Who decides it; `instance.committee` is its hash.
    pub committee: Arc<Committee>,
    /// The own index in the committee; `None`: an observer that follows and signs nothing.
    pub me: Option<u16>,
    /// The worker key.
    pub key: SecretKey,
    /// Fixes the order of the leaders.
    pub seed: Hash,
    /// What the first block extends.
    pub base: Base,
    /// First view timeout.
    pub timeout: Millis,
    /// Where its back-off ends.
    pub timeout_max: Millis,
    /// What this member may have signed. `None`: it doesn't know, and abstains until it recovered.
    pub safety: Option<SafetyRecord>,
    /// Planted bugs.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub faults: Faults,
}

/// Bugs that can be planted, to show that simulations find them, and misbehaviour for adversaries.
#[cfg(any(test, feature = "planted-bugs"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Has no lock: forgets at a timeout what is certified and not committed, names no certificate in
    /// its timeouts, and votes for proposals that build on less than their timeout certificate demands.
    pub skip_lock: bool,
    /// Votes for proposals that build on less than their timeout certificate demands, and nothing else.
    pub ignore_timeout_high: bool,
    /// Sends a vote before it is synced.
    pub vote_before_sync: bool,
    /// Votes at what is said to be its first start without asking whether it is.
    pub vote_unasked: bool,
    /// Votes for a record whatever time it has.
    pub any_time: bool,
    /// Misbehaves as a leader: after a view that was given up it builds on less than it knows.
    pub stale_leader: bool,
}

/// Where a new proposal would stand.
#[derive(Debug, Clone, Copy)]
pub struct Parent<'a> {
    /// The parent's id.
    pub id: BlockId,
    /// The parent's height.
    pub height: Height,
    /// The view that the parent was proposed in; 0 for the base.
    pub parent_view: View,
    /// The view of the new proposal.
    pub view: View,
    /// The parent's certificate, as it will stand in the proposal.
    pub justify: Option<&'a QuorumCertificate>,
    /// The timeout certificate, as it will stand in the proposal.
    pub timeout: Option<&'a TimeoutCertificate>,
}

/// What a host says of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Valid and executed; vote for it.
    Accept,
    /// Valid and executed, but not to be voted for, by a rule of this node's own (its clock).
    Abstain,
    /// Something is missing; [`super::Consensus::retry`] will be called when it came.
    Wait,
    /// Not valid.
    Reject {
        /// The rule that it breaks.
        reason: String,
    },
}

/// What a consensus instance can't know: payloads, execution, the pool, the disk.
///
/// Calls never re-enter the instance. Every method is deterministic in what the host was given.
pub trait Host {
    /// A payload for a block on `on`, and the state after it. `None`: nothing to propose now.
    fn propose(&mut self, now: Millis, on: &Parent<'_>) -> Option<(Payload, Summary)>;

    /// Executes a proposal and judges it. Asked for own proposals too; a parent is accepted before
    /// its children are asked for. `certified`: a quorum voted for it, so only validity counts.
    fn check(&mut self, now: Millis, proposal: &Proposal, certified: bool) -> Verdict;

    /// Certified batches that this node knows and that the chain up to `head` hasn't included:
    /// sorted, without repeats, at most [`frith_ledger::parameters::OWED_MAX`].
    fn known(&self, head: &BlockId) -> Vec<BatchDigest>;

    /// Whether a block on `head` is wanted. View timers run only while it is.
    fn has_work(&self, now: Millis, head: &BlockId) -> bool;

    /// Writes the record, and the proposal that it speaks of, in one atomic batch. The instance
    /// emits [`super::Effect::Sync`] after it.
    ///
    /// # Errors
    /// [`StoreError`] when the environment fails; the instance halts then.
    fn save(
        &mut self,
        record: &SafetyRecord,
        proposal: Option<&Proposal>,
    ) -> Result<(), StoreError>;
}
