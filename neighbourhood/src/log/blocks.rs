//! Blocks of a log above its committed head.

use frith_ledger::block::{BatchDigest, Block, BlockId};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::tree::Summary;
use frith_ledger::units::Height;
use std::collections::{BTreeMap, BTreeSet};

/// A valid block.
#[derive(Debug, Clone)]
pub(super) struct LogEntry {
    /// `None` for the head that the log was opened with.
    pub(super) block: Option<Block>,
    pub(super) parent: BlockId,
    pub(super) height: Height,
    /// The running hash, and the number of commands as `entities`.
    pub(super) state: Summary,
    pub(super) batches: Vec<BatchDigest>,
}

/// The committed head and the valid blocks above it.
#[derive(Debug)]
pub(super) struct LogBlocks {
    head: BlockId,
    entries: BTreeMap<BlockId, LogEntry>,
}

/// The state after batches of so many commands together were appended.
pub(super) fn append(state: &Summary, batches: &[BatchDigest], commands: u64) -> Summary {
    Summary {
        hash: Hash::of(Domain::Log, &(state.hash, batches)),
        entities: state.entities.saturating_add(commands),
        ..*state
    }
}

impl LogBlocks {
    pub(super) fn new(head: BlockId, height: Height, state: Summary) -> Self {
        let entry = LogEntry {
            block: None,
            parent: head,
            height,
            state,
            batches: Vec::new(),
        };
        Self {
            head,
            entries: BTreeMap::from([(head, entry)]),
        }
    }

    pub(super) fn get(&self, id: &BlockId) -> Option<&LogEntry> {
        self.entries.get(id)
    }

    pub(super) fn head(&self) -> (BlockId, &LogEntry) {
        // The head is put in by `new` and kept by `commit`.
        let entry = self.entries.get(&self.head).expect("the head is kept");
        (self.head, entry)
    }

    pub(super) fn put(&mut self, id: BlockId, entry: LogEntry) {
        self.entries.entry(id).or_insert(entry);
    }

    pub(super) fn forget(&mut self, id: &BlockId) {
        if *id != self.head {
            self.entries.remove(id);
        }
    }

    /// Batches in the chain from above the head up to and with `id`.
    pub(super) fn included(&self, id: &BlockId) -> BTreeSet<BatchDigest> {
        let (mut included, mut at) = (BTreeSet::new(), *id);
        while at != self.head {
            let Some(entry) = self.entries.get(&at) else {
                break;
            };
            included.extend(entry.batches.iter().copied());
            at = entry.parent;
        }
        included
    }

    /// Whether a block with batches lies above the head, up to and with `id`.
    pub(super) fn has_content(&self, id: &BlockId) -> bool {
        let mut at = *id;
        while at != self.head {
            let Some(entry) = self.entries.get(&at) else {
                return false;
            };
            if !entry.batches.is_empty() {
                return true;
            }
            at = entry.parent;
        }
        false
    }

    /// Makes a child of the head the head.
    pub(super) fn commit(&mut self, id: BlockId) -> Option<LogEntry> {
        let entry = self.entries.get(&id).filter(|e| e.parent == self.head)?;
        let entry = entry.clone();
        self.entries.remove(&self.head);
        self.head = id;
        let height = entry.height;
        self.entries
            .retain(|other, kept| *other == id || kept.height > height);
        Some(entry)
    }
}
