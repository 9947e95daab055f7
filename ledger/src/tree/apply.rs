//! One pass over a sorted batch makes the next version.
//!
//! The batch descends as a whole and is divided where the tree divides, so a node above many
//! changes is visited and hashed once. What a batch doesn't change is shared, and a change that
//! changes nothing (an equal leaf, the deletion of nothing) makes no new nodes.

use super::ahead;
use super::node::{Change, Child, InnerNode, LeafNode, Link};
use super::prefix::NodePrefix;
use super::summary::TreeError;
use crate::address::Address;

/// What became of a subtree.
enum Update {
    Same,
    Now(Option<Child>),
}

impl Update {
    fn or(self, old: &Child) -> Option<Child> {
        match self {
            Self::Same => Some(old.clone()),
            Self::Now(child) => child,
        }
    }
}

/// The tree below `root` after `changes`. O(changes · depth) hashes at most, fewer when they share
/// their upper paths.
pub(super) fn apply(
    root: Option<&Child>,
    mut changes: Vec<Change>,
) -> Result<Option<Child>, TreeError> {
    changes.sort_unstable_by_key(|change| change.address);
    if let Some(pair) = changes
        .windows(2)
        .find(|pair| pair[0].address == pair[1].address)
    {
        return Err(TreeError::Duplicate {
            address: pair[0].address,
        });
    }
    match root {
        Some(old) => {
            if changes.len() <= ahead::CHANGES {
                ahead::look(old, &changes);
            }
            Ok(update(old, &mut changes)?.or(old))
        }
        None => build(&mut changes),
    }
}

/// The tree of both, all of `right` behind all of `left`. O(depth) hashes.
pub(super) fn append(left: &Child, right: &Child) -> Result<Child, TreeError> {
    let (before, after) = (left.prefix(), right.prefix());
    let at = before
        .first()
        .common_bits(&after.first())
        .min(before.len())
        .min(after.len());
    match (&left.link, &right.link) {
        _ if at < before.len() && at < after.len() => {
            if before.first() > after.first() {
                return Err(TreeError::Order {
                    address: after.first(),
                });
            }
            Child::inner(
                NodePrefix::of(&before.first(), at),
                left.clone(),
                right.clone(),
            )
        }
        (Link::Inner(node), _) if before.len() < after.len() && after.first().bit(at) => {
            Child::inner(before, node.left.clone(), append(&node.right, right)?)
        }
        (_, Link::Inner(node)) if after.len() < before.len() && !before.first().bit(at) => {
            Child::inner(after, append(left, &node.left)?, node.right.clone())
        }
        _ => Err(TreeError::Order {
            address: after.first(),
        }),
    }
}

/// Applies sorted changes, all of them in the slot where `old` stands.
fn update(old: &Child, changes: &mut [Change]) -> Result<Update, TreeError> {
    let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
        return Ok(Update::Same);
    };
    let prefix = old.prefix();
    // The common prefix of the old node and all changes: the extremes of a sorted batch decide it.
    let at = prefix
        .first()
        .common_bits(&first.address)
        .min(prefix.first().common_bits(&last.address));
    if at < prefix.len() {
        return beside(old, &prefix, at, changes);
    }
    match &old.link {
        Link::Leaf(node) => replace(old, node, changes),
        Link::Inner(node) => below(node, changes),
    }
}

/// The changes hit exactly this leaf; they are one. Summaries are compared, not entities: the old
/// entity need not be read.
fn replace(old: &Child, node: &LeafNode, changes: &mut [Change]) -> Result<Update, TreeError> {
    let Some(leaf) = changes.first_mut().and_then(|change| change.leaf.take()) else {
        return Ok(Update::Now(None));
    };
    let new = Child::leaf(node.address, leaf)?;
    if new.summary == old.summary {
        return Ok(Update::Same);
    }
    Ok(Update::Now(Some(new)))
}

/// All changes lie under the inner node.
fn below(node: &InnerNode, changes: &mut [Change]) -> Result<Update, TreeError> {
    let many = changes.len() > ahead::CHANGES;
    let (zeros, ones) = divide(changes, node.prefix.len());
    if many {
        for (half, changes) in [(&node.left, &*zeros), (&node.right, &*ones)] {
            if changes.len() <= ahead::CHANGES {
                ahead::look(half, changes);
            }
        }
    }
    match (update(&node.left, zeros)?, update(&node.right, ones)?) {
        (Update::Same, Update::Same) => Ok(Update::Same),
        (left, right) => {
            Child::join(node.prefix, left.or(&node.left), right.or(&node.right)).map(Update::Now)
        }
    }
}

/// Some changes leave the old node's path at bit `at`, above it: it gets a sibling there.
fn beside(
    old: &Child,
    prefix: &NodePrefix,
    at: u16,
    changes: &mut [Change],
) -> Result<Update, TreeError> {
    let (zeros, ones) = divide(changes, at);
    let old_is_right = prefix.first().bit(at);
    let (mine, others) = if old_is_right {
        (ones, zeros)
    } else {
        (zeros, ones)
    };
    let (mine, sibling) = (update(old, mine)?, build(others)?);
    if sibling.is_none() && matches!(mine, Update::Same) {
        return Ok(Update::Same);
    }
    let mine = mine.or(old);
    let (left, right) = if old_is_right {
        (sibling, mine)
    } else {
        (mine, sibling)
    };
    Child::join(NodePrefix::of(&prefix.first(), at), left, right).map(Update::Now)
}

/// The tree of sorted changes in a place where nothing was.
fn build(changes: &mut [Change]) -> Result<Option<Child>, TreeError> {
    match changes {
        [] => Ok(None),
        [change] => match change.leaf.take() {
            Some(leaf) => Child::leaf(change.address, leaf).map(Some),
            None => Ok(None),
        },
        [first, .., last] => {
            let address: Address = first.address;
            let at = address.common_bits(&last.address);
            let (zeros, ones) = divide(changes, at);
            Child::join(NodePrefix::of(&address, at), build(zeros)?, build(ones)?)
        }
    }
}

/// Divides sorted changes that agree on the bits before `at`.
fn divide(changes: &mut [Change], at: u16) -> (&mut [Change], &mut [Change]) {
    let zeros = changes.partition_point(|change| !change.address.bit(at));
    changes.split_at_mut(zeros)
}
