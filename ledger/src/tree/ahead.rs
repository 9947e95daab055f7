//! Fetches the memory that a batch is about to need.
//!
//! A large tree doesn't fit into a processor's caches, and going down one path is a chain of misses:
//! where the next node is stands in the one before. The paths of different changes don't depend on
//! each other. So before some changes are applied, their paths are walked side by side, a level at a
//! time, and the processor waits for many nodes at once. What is found is not used.
//!
//! Siblings are met too, since a new node shares them and counts itself among their owners.

use super::node::{Change, Child, InnerNode, Link};
use std::hint::black_box;
use std::sync::Arc;

/// Changes that are walked together: enough to hide a miss, few enough that their paths' nodes, some
/// 300 bytes each and about seven a change that others don't share, stay in a core's own cache.
pub(super) const CHANGES: usize = 64;

/// Walks the paths of at most [`CHANGES`] changes, all of them below `root`. Changes nothing.
pub(super) fn look(root: &Child, changes: &[Change]) {
    let Link::Inner(root) = &root.link else {
        return;
    };
    let mut paths = [&**root; CHANGES];
    let mut changes: Vec<&Change> = changes.iter().take(CHANGES).collect();
    let mut met = 0;
    while !changes.is_empty() {
        for node in &paths[..changes.len()] {
            met ^= fetch(node);
        }
        let mut kept = 0;
        let mut next = paths;
        for at in 0..changes.len() {
            let (node, change) = (paths[at], changes[at]);
            let bit = change.address.bit(node.prefix.len());
            met ^= owners(&node.half(!bit).link);
            match &node.half(bit).link {
                Link::Inner(node) => {
                    (next[kept], changes[kept]) = (node, change);
                    kept += 1;
                }
                leaf @ Link::Leaf(_) => met ^= owners(leaf),
            }
        }
        paths = next;
        changes.truncate(kept);
    }
    // Without a use the compiler would leave the reads out.
    black_box(met);
}

/// Reads from each cache line of a node.
fn fetch(node: &InnerNode) -> usize {
    usize::from(node.prefix.len())
        ^ usize::from(node.left.summary.hash.0[0])
        ^ usize::from(node.right.summary.hash.0[0])
}

fn owners(link: &Link) -> usize {
    match link {
        Link::Leaf(node) => Arc::strong_count(node),
        Link::Inner(node) => node.owners(),
    }
}
