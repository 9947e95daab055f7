//! The executed blocks of an epoch that aren't committed, and the rules that need only them.

use frith_ledger::block::{BatchDigest, Block, BlockId, Instance, LeafPayload, Owed, Payload};
use frith_ledger::certificate::{Committee, QuorumCertificate, TimeoutCertificate};
use frith_ledger::entity::ContentId;
use frith_ledger::hash::Hash;
use frith_ledger::parameters::OWED_MAX;
use frith_ledger::units::{Epoch, Height, Millis, View};
use frith_tasks::{Executed, LeafState, Receipt, TaskEvent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Executions of own proposals that are kept until the block is known by its id.
const MADE_MAX: usize = 4;
/// Blocks that wait for something, at one time.
const WAITING_MAX: usize = 64;

/// An executed block.
#[derive(Debug)]
pub struct LeafEntry {
    /// The block; `None` for the one that the epoch begins with.
    pub block: Option<Block>,
    /// What it extends.
    pub parent: BlockId,
    /// Its height.
    pub height: Height,
    /// The state after it.
    pub state: LeafState,
    /// What came of its operations.
    pub receipts: Vec<Receipt>,
    /// What happened to tasks and workers.
    pub events: Vec<TaskEvent>,
    /// What is owed after it.
    pub owed: Vec<Owed>,
    /// Whether it closes the epoch or follows a block that does.
    pub closed: bool,
    /// Whether it changes anything: until it is committed there is work.
    pub moves: bool,
}

impl LeafEntry {
    /// The leaf payload, if it has one.
    #[must_use]
    pub fn payload(&self) -> Option<&LeafPayload> {
        match self.block.as_ref().map(|block| &block.payload) {
            Some(Payload::Leaf(payload)) => Some(payload),
            _ => None,
        }
    }

    /// The view that it was proposed in; 0 for the one that the epoch begins with.
    #[must_use]
    pub fn view(&self) -> View {
        self.block
            .as_ref()
            .map_or(View::ZERO, |block| block.header.view)
    }

    /// Whether it is the closing block itself.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.payload()
            .is_some_and(|payload| payload.claim.is_some())
    }
}

/// What a block needs that isn't here.
#[derive(Debug, Default)]
pub struct Missing {
    /// Batches.
    pub batches: BTreeSet<BatchDigest>,
    /// The first of the root records.
    pub root: Option<Epoch>,
    /// Contents with their lengths, and the batch that names each.
    pub contents: BTreeMap<ContentId, (u32, BatchDigest)>,
}

/// The blocks of one epoch from the last committed one on.
#[derive(Debug)]
pub struct LeafBlocks {
    /// Which instance.
    pub instance: Instance,
    /// Its members.
    pub committee: Arc<Committee>,
    /// When this node entered the epoch.
    pub entered: Millis,
    tip: BlockId,
    entries: BTreeMap<BlockId, Arc<LeafEntry>>,
    made: VecDeque<(BlockId, Hash, Executed)>,
    included: BTreeSet<BatchDigest>,
    waiting: BTreeSet<BlockId>,
}

impl LeafBlocks {
    /// An epoch that begins after block `base`.
    #[must_use]
    pub fn new(
        instance: Instance,
        committee: Arc<Committee>,
        base: (BlockId, Height),
        state: LeafState,
        owed: &[Owed],
        entered: Millis,
    ) -> Self {
        let owed = owed.iter().map(|owed| Owed {
            since: View::ZERO,
            batch: owed.batch,
        });
        let mut owed: Vec<Owed> = owed.collect();
        owed.sort_unstable();
        let entry = LeafEntry {
            block: None,
            parent: base.0,
            height: base.1,
            state,
            receipts: Vec::new(),
            events: Vec::new(),
            owed,
            closed: false,
            moves: false,
        };
        Self {
            instance,
            committee,
            entered,
            tip: base.0,
            entries: [(base.0, Arc::new(entry))].into(),
            made: VecDeque::new(),
            included: BTreeSet::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// The epoch.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.instance.epoch
    }

    /// The last committed block.
    #[must_use]
    pub const fn tip(&self) -> BlockId {
        self.tip
    }

    /// An executed block.
    #[must_use]
    pub fn get(&self, id: &BlockId) -> Option<&Arc<LeafEntry>> {
        self.entries.get(id)
    }

    /// Adds an executed block.
    pub fn put(&mut self, id: BlockId, entry: LeafEntry) {
        self.waiting.remove(&id);
        self.entries.insert(id, Arc::new(entry));
    }

    /// Forgets an uncommitted block.
    pub fn forget(&mut self, id: &BlockId) {
        self.waiting.remove(id);
        if *id != self.tip {
            self.entries.remove(id);
        }
    }

    /// Notes that a block waits for something.
    pub fn wait(&mut self, id: BlockId) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.insert(id);
        }
    }

    /// Takes the blocks that wait.
    pub fn take_waiting(&mut self) -> BTreeSet<BlockId> {
        std::mem::take(&mut self.waiting)
    }

    /// Whether a block waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Keeps the execution of an own proposal until its block comes back.
    pub fn remember(&mut self, parent: BlockId, payload: Hash, executed: Executed) {
        if self.made.len() >= MADE_MAX {
            self.made.pop_front();
        }
        self.made.push_back((parent, payload, executed));
    }

    /// The execution of an own proposal.
    pub fn recall(&mut self, parent: &BlockId, payload: &Hash) -> Option<Executed> {
        let at = self
            .made
            .iter()
            .position(|(p, hash, _)| p == parent && hash == payload)?;
        self.made.remove(at).map(|(_, _, executed)| executed)
    }

    /// Moves the committed tip to `id`, a child of it.
    pub fn commit(&mut self, id: BlockId) -> Option<Arc<LeafEntry>> {
        let entry = self.entries.get(&id)?.clone();
        if entry.parent != self.tip {
            return None;
        }
        self.entries.remove(&self.tip);
        self.tip = id;
        self.waiting.remove(&id);
        if let Some(payload) = entry.payload() {
            self.included.extend(payload.batches.iter().copied());
        }
        Some(entry)
    }

    /// The blocks from `head` down to the committed one, without it.
    pub fn uncommitted<'a>(
        &'a self,
        head: &BlockId,
    ) -> impl Iterator<Item = &'a Arc<LeafEntry>> + use<'a> {
        let mut at = *head;
        std::iter::from_fn(move || {
            if at == self.tip {
                return None;
            }
            let entry = self.entries.get(&at)?;
            at = entry.parent;
            Some(entry)
        })
    }

    /// Whether a block that changes anything is still to be committed, when `head` is certified.
    ///
    /// Two certified blocks in views right after one another commit the lower one, and what is below it,
    /// whether or not this node has been told.
    #[must_use]
    pub fn moves(&self, head: &BlockId) -> bool {
        for entry in self.uncommitted(head) {
            if entry.moves {
                return true;
            }
            let below = self
                .entries
                .get(&entry.parent)
                .map_or(View::ZERO, |parent| parent.view());
            if below.next() == entry.view() {
                return false;
            }
        }
        false
    }

    /// Whether the chain of this epoch that ends in `head` included the batch.
    #[must_use]
    pub fn has_included(&self, head: &BlockId, batch: &BatchDigest) -> bool {
        self.included.contains(batch)
            || self
                .uncommitted(head)
                .any(|e| e.payload().is_some_and(|p| p.batches.contains(batch)))
    }

    /// What a block on `parent` owes, by the inclusion rule.
    #[must_use]
    pub fn owed_before(
        &self,
        parent: &BlockId,
        justify: Option<&QuorumCertificate>,
        timeout: Option<&TimeoutCertificate>,
    ) -> Vec<Owed> {
        let Some(entry) = self.entries.get(parent) else {
            return Vec::new();
        };
        let mut since: BTreeMap<BatchDigest, Owed> =
            entry.owed.iter().map(|owed| (owed.batch, *owed)).collect();
        let listed = justify
            .into_iter()
            .flat_map(|qc| {
                qc.owed(&self.committee).into_iter().map(|batch| Owed {
                    since: qc.view,
                    batch,
                })
            })
            .chain(timeout.into_iter().flat_map(|tc| {
                tc.owed(&self.committee).into_iter().map(|batch| Owed {
                    since: tc.view,
                    batch,
                })
            }));
        for owed in listed {
            since.entry(owed.batch).or_insert(owed);
        }
        let mut owed: Vec<Owed> = since
            .into_values()
            .filter(|owed| !self.has_included(parent, &owed.batch))
            .collect();
        owed.sort_unstable();
        owed.truncate(OWED_MAX);
        owed
    }
}
