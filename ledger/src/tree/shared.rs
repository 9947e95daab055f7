//! Inner nodes with several owners, whose memory is used again.
//!
//! A batch of changes makes some nine inner nodes a change, and the version before, once dropped,
//! gives back as many. A general allocator merges and splits such pieces, and touches cold memory
//! each time: that took half of an update. So a thread keeps what it drops for what it makes next, never
//! more than it has made: one that only reads keeps nothing.

use super::node::InnerNode;
use std::cell::RefCell;
use std::hint::black_box;
use std::ops::Deref;
use std::sync::Arc;

/// Most nodes that a thread keeps for later, 256 bytes each: those of a batch of 10,000 changes in a
/// tree of a million entities, at most 32 MiB.
const SPARE_MAX: usize = 1 << 17;
/// How long before its turn a spare node's memory is fetched, in nodes.
const AHEAD: usize = 16;

/// Room for a node. It is empty only while it is spare.
type Slot = Arc<Option<InnerNode>>;

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { slots: Vec::new(), made: 0 }) };
}

/// What a thread keeps.
struct Spare {
    slots: Vec<Slot>,
    /// Nodes that this thread has made, counted up to [`SPARE_MAX`]. So many it may keep.
    made: usize,
}

/// One owner's hold on an inner node that never changes.
#[derive(Debug, Clone)]
pub(super) struct SharedNode {
    /// `None` only while this is dropped.
    slot: Option<Slot>,
}

impl SharedNode {
    pub(super) fn new(node: InnerNode) -> Self {
        let slot = match spare() {
            Some(mut slot) => match Arc::get_mut(&mut slot) {
                Some(room) => {
                    *room = Some(node);
                    slot
                }
                None => Arc::new(Some(node)),
            },
            None => Arc::new(Some(node)),
        };
        Self { slot: Some(slot) }
    }

    /// How many own the node.
    pub(super) fn owners(&self) -> usize {
        self.slot.as_ref().map_or(0, Arc::strong_count)
    }
}

impl Deref for SharedNode {
    type Target = InnerNode;

    fn deref(&self) -> &InnerNode {
        match self.slot.as_deref() {
            Some(Some(node)) => node,
            _ => unreachable!("a slot is empty only while nobody can reach it"),
        }
    }
}

impl Drop for SharedNode {
    fn drop(&mut self) {
        let Some(mut slot) = self.slot.take() else {
            return;
        };
        // When two last owners let go at once, neither may see itself alone: then the memory is freed.
        if Arc::strong_count(&slot) > 1 {
            return;
        }
        if let Some(room) = Arc::get_mut(&mut slot) {
            // Drops the children too, which keep their memory before this one does.
            *room = None;
            keep(slot);
        }
    }
}

/// Room that an earlier node left.
fn spare() -> Option<Slot> {
    // A thread that ends has none any more.
    let taken = SPARE.try_with(|spare| {
        let mut spare = spare.try_borrow_mut().ok()?;
        spare.made = SPARE_MAX.min(spare.made + 1);
        let slot = spare.slots.pop()?;
        // Fetches the one whose turn comes soon.
        let soon = spare.slots.len().checked_sub(AHEAD);
        if let Some(soon) = soon.and_then(|at| spare.slots.get(at)) {
            black_box(Arc::strong_count(soon));
        }
        Some(slot)
    });
    taken.ok().flatten()
}

/// Keeps room for a later node, or frees it when there is enough.
fn keep(slot: Slot) {
    let mut slot = Some(slot);
    let _ended = SPARE.try_with(|spare| {
        if let Ok(mut spare) = spare.try_borrow_mut()
            && spare.slots.len() < spare.made
        {
            spare.slots.extend(slot.take());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::tree::tests::leaf;
    use crate::tree::{Change, Version};

    fn tree(entities: u8) -> Version {
        let change = |number| Change {
            address: Address([number; 32]),
            leaf: Some(leaf(number, 1, 0)),
        };
        Version::empty()
            .apply((0..entities).map(change).collect())
            .expect("small sums")
    }

    fn kept() -> usize {
        SPARE.with_borrow(|spare| spare.slots.len())
    }

    #[test]
    fn dropped_nodes_leave_their_memory_to_the_next() {
        let version = tree(100);
        let other = version.clone();
        drop(version);
        assert_eq!(kept(), 0, "nodes that have an owner are not spare");
        drop(other);
        assert_eq!(kept(), 99);
        let _version = tree(60);
        assert_eq!(kept(), 99 - 59);
    }

    #[test]
    fn a_thread_keeps_no_more_than_it_made() {
        let version = tree(100);
        let kept = std::thread::spawn(move || {
            let own = tree(11);
            drop(version);
            let before = kept();
            drop(own);
            (before, kept())
        });
        assert_eq!(kept.join().expect("it doesn't panic"), (10, 10));
    }
}
