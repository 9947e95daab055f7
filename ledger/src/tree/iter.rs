//! Entities in order of their addresses.

use super::node::{Child, Leaf, Link};
use crate::address::Address;

/// Entities in order of their addresses. See [`super::Version::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    /// Subtrees still to visit, the next one last. At most one for each level of the path.
    pending: Vec<&'a Child>,
}

impl<'a> Iter<'a> {
    /// Starts at the first address that is not below `from`. O(depth).
    pub(super) fn starting(root: Option<&'a Child>, from: &Address) -> Self {
        let mut pending = Vec::new();
        let mut here = root;
        while let Some(child) = here.take() {
            let prefix = child.prefix();
            let common = prefix.first().common_bits(from);
            if common < prefix.len() {
                if prefix.first().bit(common) {
                    pending.push(child);
                }
                break;
            }
            match &child.link {
                Link::Leaf(_) => pending.push(child),
                Link::Inner(node) => {
                    let bit = from.bit(prefix.len());
                    if !bit {
                        pending.push(&node.right);
                    }
                    here = Some(node.half(bit));
                }
            }
        }
        Self { pending }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Address, &'a Leaf);

    fn next(&mut self) -> Option<Self::Item> {
        let mut here = self.pending.pop()?;
        loop {
            match &here.link {
                Link::Leaf(node) => return Some((node.address, &node.leaf)),
                Link::Inner(node) => {
                    self.pending.push(&node.right);
                    here = &node.left;
                }
            }
        }
    }
}
