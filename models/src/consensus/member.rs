//! A correct member: what it knows, what it keeps over a crash, and what it has signed.

use super::blocks::{Block, Blocks, Tree};
use super::certificates::Views;

/// Views of the largest model.
pub const VIEWS_MAX: usize = 4;

/// What outlives a crash: the fields of `SafetyRecord` that a model of one instance needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Record {
    /// The highest view voted in or given up.
    pub(super) voted: u8,
    /// The highest view proposed in.
    pub(super) proposed: u8,
    /// The block of the highest certificate when something was last signed.
    pub(super) high: Block,
    /// The view of the highest timeout certificate then, when it is above `high`.
    pub(super) given_up: u8,
}

/// A correct member, and everything that it ever signed: what was sent can arrive at any time, or never.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Member {
    /// The view that it is in.
    pub(super) view: u8,
    /// The block of the highest certificate that it has seen.
    pub(super) high: Block,
    /// The view of the highest timeout certificate that it has seen, when it is above `high`.
    pub(super) given_up: u8,
    /// What it would write.
    pub(super) record: Record,
    /// What it has written and synced.
    pub(super) durable: Record,
    /// Blocks that it voted for.
    pub(super) votes: Blocks,
    /// Blocks that it proposed.
    pub(super) proposals: Blocks,
    /// Per view, from 1: the views of the certificates that its timeouts named.
    pub(super) timeouts: [Views; VIEWS_MAX],
}

impl Member {
    pub(super) fn new() -> Self {
        Self {
            view: 1,
            ..Self::default()
        }
    }

    /// Takes in the certificate of a block: `adopt_quorum`.
    pub(super) fn see_quorum(&mut self, tree: &Tree, block: Block) {
        let certified = tree.place(block).view;
        if certified > tree.place(self.high).view {
            self.high = block;
            if self.given_up <= certified {
                self.given_up = 0;
            }
        }
        self.view = self.view.max(certified + 1);
    }

    /// Takes in a timeout certificate of `view`: `adopt_timeout`.
    pub(super) fn see_timeout(&mut self, tree: &Tree, view: u8) {
        if view > tree.place(self.high).view.max(self.given_up) {
            self.given_up = view;
        }
        self.view = self.view.max(view + 1);
    }

    /// Writes the record with what is known now: `save`.
    pub(super) fn save(&mut self) {
        self.write();
        self.durable = self.record;
    }

    /// The same, not synced yet.
    pub(super) fn write(&mut self) {
        self.record.high = self.high;
        self.record.given_up = self.given_up;
    }

    /// Loses what is not synced and starts again: `Consensus::new` with the record that is there.
    pub(super) fn restart(&mut self, tree: &Tree) {
        self.record = self.durable;
        self.high = self.record.high;
        self.given_up = self.record.given_up;
        self.view = tree.place(self.high).view.max(self.given_up) + 1;
    }

    /// The views, by bits, that its timeouts of `view` named.
    pub(super) fn named(&self, view: u8) -> Views {
        let index = usize::from(view).checked_sub(1);
        index
            .and_then(|index| self.timeouts.get(index))
            .copied()
            .unwrap_or(0)
    }
}
