//! The uncommitted blocks above the committed head.
//!
//! Invariants: a block whose stage is [`Stage::Executed`] has an executed parent, or the head as its
//! parent. Every block with a child in the tree is certified, since the child carries its
//! certificate; so the uncertified ones are leaves, and at most [`UNCERTIFIED_MAX`].

use super::setup::Head;
use frith_ledger::block::{BlockId, Payload, Proposal};
use frith_ledger::units::View;
use std::collections::{BTreeMap, BTreeSet};

/// Blocks above the head.
pub(super) const BLOCKS_MAX: usize = 512;
/// Blocks without a certificate.
pub(super) const UNCERTIFIED_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its parent isn't executed.
    Waiting,
    /// The host lacks something.
    Checking,
    /// Valid and executed. `votable`: the host would vote for it.
    Executed { votable: bool },
    /// The host found it or an ancestor invalid.
    Invalid { reason: String },
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) proposal: Proposal,
    pub(super) stage: Stage,
    pub(super) certified: bool,
}

impl Node {
    pub(super) fn parent(&self) -> BlockId {
        self.proposal.block.header.parent
    }
    pub(super) fn view(&self) -> View {
        self.proposal.block.header.view
    }
    pub(super) fn is_executed(&self) -> bool {
        matches!(self.stage, Stage::Executed { .. })
    }
}

#[derive(Debug, Clone)]
pub(super) struct Tree {
    head: Head,
    nodes: BTreeMap<BlockId, Node>,
}

impl Tree {
    pub(super) fn new(head: Head) -> Self {
        Self {
            head,
            nodes: BTreeMap::new(),
        }
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn get(&self, id: &BlockId) -> Option<&Node> {
        self.nodes.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &BlockId) -> Option<&mut Node> {
        self.nodes.get_mut(id)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (&BlockId, &Node)> {
        self.nodes.iter()
    }

    /// Whether `id` is the head or an executed block above it.
    pub(super) fn is_executed(&self, id: &BlockId) -> bool {
        *id == self.head.id || self.get(id).is_some_and(Node::is_executed)
    }

    /// The blocks whose parent is `id`.
    pub(super) fn children(&self, id: &BlockId) -> Vec<BlockId> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.parent() == *id)
            .map(|(child, _)| *child)
            .collect()
    }

    /// Adds a block. Returns what had to go for it: the uncertified blocks of the lowest views.
    /// `None`: there is no room.
    pub(super) fn insert(&mut self, id: BlockId, node: Node) -> Option<Vec<BlockId>> {
        if self.nodes.len() >= BLOCKS_MAX {
            return None;
        }
        self.nodes.insert(id, node);
        let mut loose: Vec<(View, BlockId)> = self
            .nodes
            .iter()
            .filter(|(_, node)| !node.certified)
            .map(|(id, node)| (node.view(), *id))
            .collect();
        loose.sort_unstable();
        let surplus = loose.len().saturating_sub(UNCERTIFIED_MAX);
        let dropped: Vec<BlockId> = loose.into_iter().take(surplus).map(|(_, id)| id).collect();
        for id in &dropped {
            self.nodes.remove(id);
        }
        Some(dropped)
    }

    /// The executed blocks from above the head up to `id`, oldest first; `None` when one isn't
    /// executed, or the chain doesn't lead to the head.
    pub(super) fn path(&self, id: &BlockId) -> Option<Vec<BlockId>> {
        let mut path = Vec::new();
        let mut at = *id;
        while at != self.head.id {
            let node = self.get(&at).filter(|node| node.is_executed())?;
            path.push(at);
            at = node.parent();
        }
        path.reverse();
        Some(path)
    }

    /// Moves the head up and forgets all blocks that don't stand on it. Returns those that are
    /// neither it nor below it.
    pub(super) fn commit(&mut self, head: Head) -> Vec<BlockId> {
        let mut below = BTreeSet::new();
        let mut at = head.id;
        while let Some(node) = self.nodes.get(&at) {
            below.insert(at);
            at = node.parent();
        }
        self.head = head;
        let lost: Vec<BlockId> = self
            .nodes
            .keys()
            .filter(|id| !below.contains(*id) && !self.may_stand(id))
            .copied()
            .collect();
        self.nodes
            .retain(|id, _| !below.contains(id) && lost.binary_search(id).is_err());
        lost
    }

    /// Whether the block can descend from the head, as far as is known.
    fn may_stand(&self, id: &BlockId) -> bool {
        let mut at = *id;
        loop {
            if at == self.head.id {
                return true;
            }
            match self.nodes.get(&at) {
                Some(node) if node.view() <= self.head.view => return false,
                Some(node) => at = node.parent(),
                // Its parent is unknown: above the head for all we know.
                None => return at != *id,
            }
        }
    }

    /// The highest chain position that a quorum is known to have certified.
    pub(super) fn height_seen(&self) -> u64 {
        let certified = self
            .nodes
            .values()
            .map(|node| node.proposal.block.header.height.get().saturating_sub(1));
        certified.max().unwrap_or(0).max(self.head.height.get())
    }

    /// Blocks that stand on unknown ones.
    pub(super) fn unknown_parents(&self) -> BTreeSet<BlockId> {
        let parents = self
            .nodes
            .values()
            .filter(|node| node.stage == Stage::Waiting)
            .map(Node::parent);
        parents
            .filter(|parent| *parent != self.head.id && !self.nodes.contains_key(parent))
            .collect()
    }

    /// How many blocks wait for their parents.
    pub(super) fn waiting(&self) -> usize {
        self.nodes
            .values()
            .filter(|node| node.stage == Stage::Waiting)
            .count()
    }

    /// Whether a block with content waits for its commit, or may yet be certified in `view`.
    pub(super) fn has_content(&self, view: View) -> bool {
        self.nodes.values().any(|node| {
            node.proposal.block.payload != Payload::Empty && (node.certified || node.view() >= view)
        })
    }
}
