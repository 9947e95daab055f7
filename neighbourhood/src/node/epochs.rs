//! Begin and end of instances: opening, epochs, records.

use super::api::{NodeEvent, OpenError, Output, earlier};
use super::core::{LeafRun, Node, RootRun};
use crate::beacon::{leaf_seed, root_seed};
use crate::chain::Chain;
use crate::consensus::{Base, Consensus, SafetyRecord, Setup};
use crate::leaf::LeafBlocks;
use crate::membership::{Committees, ends_period, period_of};
use crate::persist;
use crate::pool::Held;
use crate::root::{Ground, RootBlocks};
use crate::roots::Roots;
use crate::wire::Request;
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{ChainKind, Instance};
use frith_ledger::certificate::{CommitProof, Committee};
use frith_ledger::genesis::committee_of;
use frith_ledger::hash::Hash;
use frith_ledger::key::SecretKey;
use frith_ledger::store::{Store, StoreError, Write};
use frith_ledger::units::{Epoch, Generation, Height, Millis, View};
use frith_tasks::Rules;
use std::sync::Arc;

/// Epochs for which committees and records stay in memory after they ended.
const KEPT_EPOCHS: u64 = 4;
/// Proposals and waiting batches read when a node starts.
const RESUMED_MAX: usize = 4096;
/// Blocks read at once when a node starts.
const REPLAY_STEP: usize = 256;

/// The committees and records around the running epoch.
pub(super) fn load_committees(
    rules: &Rules,
    store: &dyn Store,
    chain: &Chain,
    genesis: Committee,
) -> Result<(Committees, Roots), StoreError> {
    let mut committees = Committees::genesis(genesis);
    let first = chain.epoch.minus(KEPT_EPOCHS);
    for number in first.get()..=chain.epoch.next().get() {
        if let Some(committee) = persist::committee(store, Epoch::new(number))? {
            committees.put_leaf(Epoch::new(number), committee);
        }
    }
    let period = period_of(rules.parameters(), chain.epoch);
    for period in period.saturating_sub(1)..=period.saturating_add(1) {
        if let Some(committee) = persist::root_committee(store, period)? {
            committees.put_root(period, committee);
        }
    }
    Ok((committees, Roots::open(rules, store, first)?))
}

fn instance(kind: ChainKind, epoch: Epoch, committee: &Committee) -> Instance {
    Instance {
        kind,
        prefix: Prefix::ROOT,
        generation: Generation::ZERO,
        epoch,
        committee: committee.hash(),
    }
}

/// A leaf's instance without a vote, to execute stored blocks in.
pub(super) fn placeholder(
    rules: &Arc<Rules>,
    key: &SecretKey,
    chain: &Chain,
    committees: &Committees,
    roots: &Roots,
    now: Millis,
) -> LeafRun {
    let committee = committees.leaf(chain.epoch).cloned().unwrap_or_default();
    let instance = instance(ChainKind::Leaf, chain.epoch, &committee);
    let blocks = leaf_blocks(rules, chain, instance, committee.clone(), now);
    let (id, height) = chain.base(rules);
    let setup = Setup {
        genesis: rules.hash,
        instance,
        committee,
        me: None,
        key: key.clone(),
        seed: roots.beacon(chain.epoch.minus(1)).unwrap_or_default(),
        base: Base {
            id,
            height,
            state: chain.state.summary(),
        },
        timeout: Millis::new(rules.parameters().view_timeout_ms),
        timeout_max: Millis::new(rules.parameters().view_timeout_ms_max),
        safety: None,
        #[cfg(any(test, feature = "planted-bugs"))]
        faults: crate::consensus::Faults::default(),
    };
    LeafRun {
        core: Consensus::new(setup),
        blocks,
    }
}

fn leaf_blocks(
    rules: &Rules,
    chain: &Chain,
    instance: Instance,
    committee: Arc<Committee>,
    now: Millis,
) -> LeafBlocks {
    let owed = chain
        .closing
        .as_ref()
        .map_or(&[][..], |closing| &closing.owed);
    LeafBlocks::new(
        instance,
        committee,
        chain.base(rules),
        chain.state.clone(),
        owed,
        now,
    )
}

impl Node {
    /// This node's index in a committee.
    pub(super) fn index_in(&self, committee: &Committee) -> Option<u16> {
        committee.index_of(&self.me)
    }

    /// This node's seat in the leaf's committee.
    pub(super) fn seat(&self) -> Option<Address> {
        let committee = &self.leaf.blocks.committee;
        self.index_in(committee)
            .and_then(|index| committee.get(index))
            .map(|member| member.seat)
    }

    fn setup(
        &self,
        instance: Instance,
        committee: Arc<Committee>,
        seed: Hash,
        base: Base,
    ) -> Setup {
        let parameters = self.rules.parameters();
        Setup {
            genesis: self.rules.hash,
            instance,
            me: self.index_in(&committee),
            committee,
            key: self.key.clone(),
            seed,
            base,
            timeout: Millis::new(parameters.view_timeout_ms),
            timeout_max: Millis::new(parameters.view_timeout_ms_max),
            safety: None,
            #[cfg(any(test, feature = "planted-bugs"))]
            faults: self.faults,
        }
    }

    /// The stored record of an instance. When there is none, a fresh one if this node may vote in what
    /// begins now; else the node asks others.
    fn safety(&mut self, now: Millis, setup: &Setup, may_be_fresh: bool) -> Option<SafetyRecord> {
        let instance = setup.instance;
        if setup.me.is_none() {
            if instance.kind == ChainKind::Leaf && self.recovery.is_unsure() {
                self.recovery.begin(now, instance);
            }
            return None;
        }
        let stored = persist::safety::<SafetyRecord>(&*self.store, instance.kind, instance.epoch);
        let stored = self
            .note(stored)?
            .filter(|record| record.instance == instance);
        if stored.is_some() {
            return stored;
        }
        if may_be_fresh {
            let record = SafetyRecord::fresh(instance);
            self.write(vec![persist::put_safety(
                instance.kind,
                instance.epoch,
                &record,
            )]);
            return Some(record);
        }
        self.recovery.begin(now, instance);
        None
    }

    /// Executes the stored blocks of the running epoch, and begins its instances.
    pub(super) fn resume(&mut self, now: Millis) -> Result<(), OpenError> {
        let proof = self.replay()?;
        for (digest, mark) in persist::held(&*self.store, RESUMED_MAX)? {
            let Some(signed) = persist::batch(&*self.store, &digest)? else {
                continue;
            };
            let Ok(held) = Held::trusted(&signed) else {
                continue;
            };
            let certificate = persist::certificate(&*self.store, &digest)?;
            let complete = self.lacking(&held).is_empty();
            self.pool.hold(now, held, mark.epoch, complete);
            if let Some(certificate) = certificate {
                self.pool.certify(now, certificate);
            }
        }
        let epoch = self.chain.epoch;
        // What is below the head is no use, and can be more than is read.
        let from = proof.as_ref().map_or(View::ZERO, |proof| proof.header.view);
        let proposals =
            persist::proposals(&*self.store, ChainKind::Leaf, epoch, from, RESUMED_MAX)?;
        let mut out = Vec::new();
        let empty = self.empty_leaf(now);
        let blocks = std::mem::replace(&mut self.leaf, empty).blocks;
        self.begin_leaf(now, Some(blocks), false, &mut out);
        self.leaf_call(now, &mut out, |core, host, effects| {
            if let Some(proof) = &proof {
                // The proof was verified before it was stored.
                let _held = core.synced(now, host, proof, effects);
            }
            core.restore(now, host, proposals, effects);
        });
        self.try_found(now, &mut out);
        self.begin_root(now, false);
        if let Some(root) = &self.root {
            let epoch = root.blocks.epoch();
            let kind = ChainKind::Root;
            let proposals = persist::proposals(&*self.store, kind, epoch, View::ZERO, RESUMED_MAX)?;
            self.root_call(now, &mut out, |core, host, effects| {
                core.restore(now, host, proposals, effects)
            });
        }
        self.resumed = out;
        Ok(())
    }

    fn empty_leaf(&self, now: Millis) -> LeafRun {
        placeholder(
            &self.rules,
            &self.key,
            &self.chain,
            &self.committees,
            &self.roots,
            now,
        )
    }

    /// Executes the stored blocks of the running epoch. Gives the proof of the last.
    ///
    /// One proof commits several blocks, each with a write of its own, and the last write holds the proof:
    /// blocks after the last proof were cut off by a crash and are decided again.
    fn replay(&mut self) -> Result<Option<CommitProof>, OpenError> {
        let (mut proof, mut unproven) = (None, Vec::new());
        let mut next = self.chain.head.next();
        loop {
            let entries = persist::entries(&*self.store, next, REPLAY_STEP)?;
            let more = entries.len() == REPLAY_STEP;
            for (height, entry) in entries {
                if height != next || entry.epoch != self.chain.epoch {
                    return Ok(proof);
                }
                next = next.next();
                let found = entry.proof.as_ref().map(|tail| tail.proof.clone());
                unproven.push((height, entry));
                if found.is_some() {
                    for (height, entry) in unproven.drain(..) {
                        self.replay_block(height, &entry)?;
                    }
                    proof = found;
                }
            }
            if !more {
                return Ok(proof);
            }
        }
    }

    fn replay_block(
        &mut self,
        height: Height,
        entry: &persist::ChainEntry,
    ) -> Result<(), OpenError> {
        let failed = |reason: &str| OpenError::Replay {
            height,
            reason: reason.to_owned(),
        };
        let block =
            persist::block(&*self.store, &entry.id)?.ok_or_else(|| failed("it is missing"))?;
        let executed =
            self.leaf_host(|host| host.run(&block, None))
                .map_err(|fault| match fault {
                    crate::leaf::Fault::Missing => failed("what it names is missing"),
                    crate::leaf::Fault::Invalid(reason) => failed(&reason),
                })?;
        let state = executed.state.clone();
        self.leaf.blocks.put(entry.id, executed);
        self.leaf
            .blocks
            .commit(entry.id)
            .ok_or_else(|| failed("it does not follow the one before"))?;
        self.chain.advance(entry.id, height, state);
        Ok(())
    }

    /// Begins the leaf's instance of the running epoch, on `blocks` when some were executed.
    pub(super) fn begin_leaf(
        &mut self,
        now: Millis,
        blocks: Option<LeafBlocks>,
        fresh: bool,
        out: &mut Vec<Output>,
    ) {
        let epoch = self.chain.epoch;
        let Some(committee) = self.committees.leaf(epoch).cloned() else {
            self.halt(
                format!(
                    "the committee of epoch {epoch} is unknown; take the store away and start again, it comes back from the others"
                ),
                out,
            );
            return;
        };
        let Some(beacon) = self.roots.beacon(epoch.minus(1)) else {
            self.halt(
                format!(
                    "the beacon of epoch {epoch} is unknown; take the store away and start again, it comes back from the others"
                ),
                out,
            );
            return;
        };
        let instance = instance(ChainKind::Leaf, epoch, &committee);
        let blocks = blocks.unwrap_or_else(|| {
            leaf_blocks(&self.rules, &self.chain, instance, committee.clone(), now)
        });
        let (id, height) = self.chain.base(&self.rules);
        let state = self
            .chain
            .closing
            .as_ref()
            .map(|closing| closing.claim.state);
        let state = state.unwrap_or_else(|| self.genesis_summary());
        let mut setup = self.setup(
            instance,
            committee,
            leaf_seed(epoch, &beacon),
            Base { id, height, state },
        );
        setup.safety = self.safety(now, &setup, fresh);
        let member = setup.me.is_some();
        self.leaf = LeafRun {
            core: Consensus::new(setup),
            blocks,
        };
        (self.begun, self.work, self.tell_all) = (true, true, true);
        (self.half_over, self.epoch_over) = (false, false);
        Self::event(NodeEvent::Epoch { epoch, member }, out);
        if self.leaf.core.abstains() {
            let reason = if self.recovery.founding {
                self.leaf.core.first_start();
                "this is said to be its first start, and the others have to confirm it"
            } else {
                "this data directory has no record of what this key signed"
            };
            let reason = reason.to_owned();
            Self::event(NodeEvent::Recovering { reason }, out);
        }
    }

    fn genesis_summary(&self) -> frith_ledger::tree::Summary {
        self.rules
            .genesis
            .state()
            .map(|version| version.summary())
            .unwrap_or_default()
    }

    /// Begins the root's instance of the epoch that ended last, unless its record is known.
    pub(super) fn begin_root(&mut self, now: Millis, fresh: bool) {
        self.root = None;
        let Some(closing) = self.chain.closing.clone() else {
            return;
        };
        let epoch = closing.epoch;
        if self.roots.next() != epoch {
            return;
        }
        let parameters = self.rules.parameters();
        let period = period_of(parameters, epoch);
        let parts = (
            self.committees.root(period).cloned(),
            self.committees.leaf(epoch).cloned(),
            self.committees
                .leaf(epoch.plus(2))
                .map(|committee| committee.hash()),
            self.roots.last_id().zip(self.roots.last_time(&self.rules)),
            self.roots.beacon(epoch),
        );
        let (Some(committee), Some(leaf), Some(after_next), Some(last), Some(beacon)) = parts
        else {
            return;
        };
        let (previous, not_before) = last;
        let next_committee = if ends_period(parameters, epoch) {
            self.roots
                .next_committee(&self.rules, &self.committees, epoch)
                .map(|committee| committee.hash())
        } else {
            None
        };
        let base = Base {
            id: previous,
            height: Height::ZERO,
            state: closing.claim.state,
        };
        let supply = self.rules.supply;
        let ground = Ground {
            previous,
            beacon,
            closing,
            leaf,
            after_next,
            next_committee,
            supply,
            not_before,
        };
        let instance = instance(ChainKind::Root, epoch, &committee);
        let mut setup = self.setup(instance, committee.clone(), root_seed(&beacon), base);
        setup.safety = self.safety(now, &setup, fresh);
        let blocks = RootBlocks::new(instance, committee, ground);
        let mut core = Consensus::new(setup);
        if self.recovery.founding {
            core.first_start();
        }
        self.root = Some(RootRun { core, blocks });
        (self.begun, self.work) = (true, true);
    }

    /// The epoch ended with the chain's new closing: what is written with it.
    pub(super) fn closing_writes(&mut self) -> Vec<Write> {
        let Some(closing) = self.chain.closing.clone() else {
            return Vec::new();
        };
        let ahead = closing.epoch.plus(2);
        let committee = committee_of(self.chain.state.tree(), self.rules.parameters());
        let mut writes = vec![persist::put_committee(ahead, &committee)];
        self.committees.put_leaf(ahead, committee);
        for kind in [ChainKind::Leaf, ChainKind::Root] {
            let over = if kind == ChainKind::Leaf {
                closing.epoch
            } else {
                closing.epoch.minus(1)
            };
            if kind == ChainKind::Root && closing.epoch == Epoch::ZERO {
                continue;
            }
            let forgotten = persist::forget_instance(&*self.store, kind, over, true);
            writes.extend(self.note(forgotten).unwrap_or_default());
            self.recovery.end(kind, over);
        }
        if self.recovery.ended(closing.epoch) {
            writes.push(persist::put_voting());
            if self.recovery.unfound() {
                writes.push(persist::delete_founding());
            }
        }
        writes.extend(self.fresh_records(closing.epoch));
        writes
    }

    /// Fresh records for what begins after `epoch`, when this node may vote in it. Written with the end of
    /// the epoch: members that lost them all at once in between would wait for each other for ever.
    fn fresh_records(&mut self, epoch: Epoch) -> Vec<Write> {
        if !self.recovery.clean {
            return Vec::new();
        }
        let period = period_of(self.rules.parameters(), epoch);
        let begins = [
            (
                ChainKind::Leaf,
                epoch.next(),
                self.committees.leaf(epoch.next()).cloned(),
            ),
            (
                ChainKind::Root,
                epoch,
                self.committees.root(period).cloned(),
            ),
        ];
        let mut writes = Vec::new();
        for (kind, epoch, committee) in begins {
            let Some(committee) = committee.filter(|committee| self.index_in(committee).is_some())
            else {
                continue;
            };
            let stored = persist::safety::<SafetyRecord>(&*self.store, kind, epoch);
            if self.note(stored).flatten().is_none() {
                let record = SafetyRecord::fresh(instance(kind, epoch, &committee));
                writes.push(persist::put_safety(kind, epoch, &record));
            }
        }
        writes
    }

    /// Goes on to the epoch after the chain's closing.
    pub(super) fn hand_over(&mut self, now: Millis, out: &mut Vec<Output>) {
        let fresh = self.recovery.clean;
        self.begin_leaf(now, None, fresh, out);
        self.begin_root(now, fresh);
        out.push(Output::Sync);
        let epoch = self.chain.epoch;
        let old = epoch.minus(KEPT_EPOCHS);
        let period = period_of(self.rules.parameters(), old);
        self.roots.forget(old);
        self.committees.forget(old, period);
        let expired = self.pool.expire(epoch.minus(1));
        let mut writes: Vec<Write> = expired.iter().flat_map(persist::delete_held).collect();
        writes.extend(expired.iter().map(persist::delete_batch));
        self.write(writes);
        self.pool.offer_again(now);
        self.distrusted.clear();
        let pool = &self.pool;
        self.wants.retain(|request| match request {
            Request::Batch(digest) => pool.is_certified(digest),
            _ => true,
        });
        let state = self.chain.state.clone();
        let unsure_max = self.limits.unsure_max();
        self.pool.queue.refresh(epoch, unsure_max, |account| {
            super::operations::means_of(&state, account)
        });
        let forgotten = self.chain.forget(&self.rules, &mut *self.store);
        self.note(forgotten);
    }

    /// When the running epoch's own clock matters: at half of it, and when all of it is over.
    pub(super) fn next_epoch_event(&self) -> Option<Millis> {
        let length = self.rules.parameters().epoch_ms;
        let entered = self.leaf.blocks.entered;
        let half = (!self.half_over).then(|| entered.plus(length / 2));
        let whole = (!self.epoch_over).then(|| entered.plus(length));
        earlier(half, whole)
    }

    /// Notes what the running epoch's own clock brings.
    pub(super) fn watch_clock(&mut self, now: Millis) {
        let length = self.rules.parameters().epoch_ms;
        let entered = self.leaf.blocks.entered;
        if !self.half_over && now >= entered.plus(length / 2) {
            (self.half_over, self.retry) = (true, true);
        }
        if !self.epoch_over && now >= entered.plus(length) {
            (self.epoch_over, self.work) = (true, true);
        }
    }
}
