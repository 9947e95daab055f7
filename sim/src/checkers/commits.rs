//! One block a height, each after the one before, and the same on every correct node.

use super::Violation;
use frith_ledger::block::BlockId;
use frith_ledger::units::Height;
use frith_neighbourhood::CommittedBlock;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Commits {
    blocks: BTreeMap<Height, (BlockId, usize)>,
    heads: BTreeMap<usize, Height>,
}

impl Commits {
    pub(super) fn committed(
        &mut self,
        node: usize,
        block: &CommittedBlock,
    ) -> Result<(), Violation> {
        let (first, other) = *self.blocks.entry(block.height).or_insert((block.id, node));
        if first != block.id {
            return Err(Violation::Fork {
                node,
                height: block.height,
                other,
            });
        }
        let before = self.heads.get(&node).copied().unwrap_or_default();
        self.heads.insert(node, before.max(block.height));
        // A node that starts again may say again what it committed; one that copied the state goes on
        // after a gap, and `restarted` says so.
        if block.height <= before.next() {
            Ok(())
        } else {
            Err(Violation::Gap {
                node,
                height: block.height,
                before,
            })
        }
    }

    pub(super) fn restarted(&mut self, node: usize, height: Height) {
        self.heads.insert(node, height);
    }

    pub(super) fn head(&self) -> Height {
        self.blocks.keys().next_back().copied().unwrap_or_default()
    }

    pub(super) fn block(&self, height: Height) -> Option<BlockId> {
        self.blocks.get(&height).map(|(id, _)| *id)
    }
}
