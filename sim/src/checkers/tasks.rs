//! Every task ends at most once.

use super::Violation;
use frith_ledger::address::Address;
use frith_ledger::units::Height;
use frith_neighbourhood::CommittedBlock;
use frith_tasks::TaskEvent;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Tasks {
    submitted: BTreeSet<Address>,
    ended: BTreeMap<Address, Height>,
    /// Blocks looked at: every node commits the same ones.
    seen: Height,
}

impl Tasks {
    pub(super) fn committed(&mut self, block: &CommittedBlock) -> Result<(), Violation> {
        if block.height <= self.seen {
            return Ok(());
        }
        self.seen = block.height;
        for event in &block.events {
            match event {
                TaskEvent::Submitted { task, .. } => {
                    self.submitted.insert(*task);
                }
                TaskEvent::Settled { task, .. }
                | TaskEvent::Failed { task, .. }
                | TaskEvent::Cancelled { task } => {
                    if let Some(first) = self.ended.insert(*task, block.height) {
                        return Err(Violation::EndedTwice {
                            first,
                            second: block.height,
                        });
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Tasks whose end was not announced. Who loses power between the sync of a block and its announcement
    /// doesn't announce it again.
    pub(super) fn open(&self) -> impl Iterator<Item = &Address> {
        self.submitted
            .iter()
            .filter(|task| !self.ended.contains_key(task))
    }

    pub(super) fn ended(&self) -> usize {
        self.ended.len()
    }
}
