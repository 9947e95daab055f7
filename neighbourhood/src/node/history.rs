//! What an account did and got: read from committed blocks.

use super::core::Node;
use super::facts::Facts;
use crate::history::{self, account_of, accounts_of};
use crate::leaf::LeafEntry;
use crate::persist;
use frith_ledger::address::Address;
use frith_ledger::operation::Operation;
use frith_ledger::store::{StoreError, Write};
use frith_ledger::units::{Epoch, Height};
use frith_tasks::{Refusal, TaskEvent};

/// Blocks that one call reads: each has at most a mebibyte of operations.
const BLOCKS_MAX: usize = 4;

/// Something that touched an account.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// An operation that names it.
    Operation {
        /// The operation.
        operation: Box<Operation>,
        /// What came of it; `None` when no receipt is left.
        result: Option<Result<(), Refusal>>,
    },
    /// Something that happened to a task or a worker of it.
    Event(TaskEvent),
}

/// What touched an account in one block, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryBlock {
    /// Its height.
    pub height: Height,
    /// Its epoch.
    pub epoch: Epoch,
    /// Whether the root record of that epoch is known.
    pub is_final: bool,
    /// What it did to the account.
    pub happenings: Vec<Happening>,
}

/// A part of an account's history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPage {
    /// Newest first.
    pub blocks: Vec<HistoryBlock>,
    /// Where the next page begins; `None` when there is no more.
    pub next: Option<Height>,
    /// The oldest block that this node has notes of: before it nothing is known.
    pub since: Option<Height>,
}

impl Node {
    /// The rows of the history for a block that is being committed.
    pub(super) fn history_writes(&mut self, entry: &LeafEntry) -> Vec<Write> {
        let payload = entry.payload();
        let digests = payload
            .into_iter()
            .flat_map(|payload| payload.batches.iter());
        let mut batches = Vec::new();
        for digest in digests {
            let found = self.pool.batch(&*self.store, digest);
            batches.extend(self.note(found).flatten());
        }
        let operations = batches.iter().flat_map(|held| held.operations.iter());
        history::note(entry.height, operations, &entry.events)
    }
}

impl Facts<'_> {
    /// What touched an account in its newest blocks below `before`: of a few blocks, and the place of the rest.
    pub(super) fn history(
        &self,
        account: &Address,
        before: Height,
    ) -> Result<HistoryPage, StoreError> {
        let store = self.store;
        let heights = history::heights(store, account, before, BLOCKS_MAX + 1)?;
        let mut page = HistoryPage {
            blocks: Vec::new(),
            next: None,
            since: history::oldest(store)?,
        };
        if heights.len() > BLOCKS_MAX {
            page.next = heights.get(BLOCKS_MAX - 1).copied();
        }
        for height in heights.into_iter().take(BLOCKS_MAX) {
            let Some((block, operations)) = history::operations(store, height)? else {
                continue;
            };
            let epoch = block.header.instance.epoch;
            let mut happenings = Vec::new();
            for operation in operations {
                if accounts_of(&operation).contains(account) {
                    let receipt = persist::receipt(store, &operation.id())?;
                    happenings.push(Happening::Operation {
                        operation: Box::new(operation),
                        result: receipt.map(|(_, result)| result),
                    });
                }
            }
            let events = history::notes(store, height)?.unwrap_or_default().events;
            let mine = events
                .into_iter()
                .filter(|event| account_of(event) == Some(*account));
            happenings.extend(mine.map(Happening::Event));
            page.blocks.push(HistoryBlock {
                height,
                epoch,
                is_final: epoch < self.roots.next(),
                happenings,
            });
        }
        Ok(page)
    }
}
