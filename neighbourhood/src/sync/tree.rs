//! Copying a tree whose root is known, in parts, into a store.
//!
//! 1. The address space is cut into 2 to the power of `bits` *slots*. Each is copied by range proofs, which
//!    are checked against the root of the whole tree: an honest answer always holds.
//! 2. A slot that is whole stays in memory. When all slots of a *group* of neighbours are whole, their nodes
//!    are given out to be saved, and with them a mark for each slot, so that a restart finds them.
//! 3. When the target changes, summaries of all slots, which [`combine`] proves against the new root, show
//!    which of them are still the same; the others are copied again, and what was saved for them becomes
//!    stale. So what a node holds of an older version of the tree is not copied either.
//!
//! Slots whose summaries agree are the same subtree: the new tree holds a node with that hash, and a node's
//! hash commits to its place. A peer that states summaries in the wrong places can make this node copy what it
//! has, and nothing worse.
//!
//! Memory: the tree itself, since the node keeps it in memory anyway. Unsaved is at most what the groups
//! under way hold. A crash between the saving of a group and that of its marks leaves the group's nodes
//! in the store; when the target has changed by the next start, those that it lacks stay there for good.

use crate::wire::{Request, SLOT_BITS_MAX};
use frith_ledger::address::{Address, Prefix};
use frith_ledger::store::Write;
use frith_ledger::tree::{
    PartNodes, ProofError, RangeProof, Summary, TreeError, Version, combine, load_part, save_part,
};
use frith_ledger::units::Epoch;
use std::collections::BTreeMap;

use super::kept;

/// A part of the address space.
#[derive(Debug)]
enum Slot {
    /// Some of it is still to come, from `from` on.
    Open {
        tree: Version,
        from: Address,
        /// What was saved in its place for an earlier target.
        replaced: Option<Version>,
    },
    /// All of it is here, to be saved with its group.
    Whole {
        tree: Version,
        replaced: Option<Version>,
    },
    /// All of it is in the store: saved by this copy, or in a version that the store keeps.
    Saved { tree: Version, by_copy: bool },
}

impl Slot {
    const fn tree(&self) -> &Version {
        match self {
            Self::Open { tree, .. } | Self::Whole { tree, .. } | Self::Saved { tree, .. } => tree,
        }
    }
}

/// What is to be saved at once: first the nodes, then the rest.
#[derive(Debug, Default)]
pub struct GroupSave {
    /// Nodes, in rising order of their keys when one part's are taken after the other's.
    pub nodes: Vec<PartNodes>,
    /// Marks, and what became stale.
    pub writes: Vec<Write>,
}

/// A tree under way.
#[derive(Debug)]
pub struct TreeCopy {
    number: Epoch,
    root: Summary,
    bits: u8,
    group: usize,
    slots: BTreeMap<Prefix, Slot>,
}

/// Slots so that each has about `slot_entities` of `entities`.
#[must_use]
pub fn slot_bits(entities: u64, slot_entities: u64) -> u8 {
    let slots = entities.div_ceil(slot_entities.max(1)).max(1);
    let bits = slots.next_power_of_two().trailing_zeros();
    u8::try_from(bits)
        .unwrap_or(SLOT_BITS_MAX)
        .min(SLOT_BITS_MAX)
}

fn prefixes(bits: u8) -> impl Iterator<Item = Prefix> {
    let place = move |slot: u64| slot.checked_shl(64 - u32::from(bits)).unwrap_or(0);
    (0..1_u64 << bits).filter_map(move |slot| Prefix::new(place(slot), bits))
}

/// The summaries of a tree's slots, in order.
#[must_use]
pub fn slot_summaries(tree: &Version, bits: u8) -> Vec<Summary> {
    prefixes(bits.min(SLOT_BITS_MAX))
        .map(|prefix| tree.summary_under(prefix))
        .collect()
}

/// The summary of the tree with these slots; `None` when a sum doesn't fit or their number is wrong.
fn joined(summaries: &[Summary], bits: u8) -> Option<Summary> {
    if summaries.len() != 1 << bits {
        return None;
    }
    let mut level = summaries.to_vec();
    for len in (0..bits).rev() {
        let pairs = level.chunks_exact(2).zip(prefixes(len));
        level = pairs
            .map(|(pair, prefix)| combine(prefix, pair.first()?, pair.get(1)?).ok())
            .collect::<Option<_>>()?;
    }
    level.first().copied()
}

impl TreeCopy {
    /// A copy of the tree with this root, which will be version `number`; nothing of it is here.
    #[must_use]
    pub fn new(number: Epoch, root: Summary, bits: u8, group: usize) -> Self {
        let bits = bits.min(SLOT_BITS_MAX);
        let open = |prefix: Prefix| {
            let slot = Slot::Open {
                tree: Version::empty(),
                from: prefix.first(),
                replaced: None,
            };
            (prefix, slot)
        };
        Self {
            number,
            root,
            bits,
            group: group.max(1),
            slots: prefixes(bits).map(open).collect(),
        }
    }

    /// How finely the address space is cut.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// Which version is copied.
    #[must_use]
    pub const fn number(&self) -> Epoch {
        self.number
    }

    /// Entities that are here.
    #[must_use]
    pub fn entities(&self) -> u64 {
        self.slots
            .values()
            .map(|slot| slot.tree().summary().entities)
            .fold(0, u64::saturating_add)
    }

    /// Takes a slot that an earlier run saved, before [`TreeCopy::retarget`] says whether it is still right.
    pub fn found(&mut self, prefix: Prefix, tree: Version) {
        if let Some(slot) = self.slots.get_mut(&prefix) {
            *slot = Slot::Saved {
                tree,
                by_copy: true,
            };
        }
    }

    /// Whether anything is here that another target may share.
    #[must_use]
    pub fn holds_any(&self) -> bool {
        self.slots
            .values()
            .any(|slot| matches!(slot, Slot::Whole { .. } | Slot::Saved { .. }))
    }

    /// Aims at another tree, whose slots have these summaries. What is the same stays, here or in `base`, a
    /// version that the store keeps.
    ///
    /// # Errors
    /// The summaries aren't those of a tree with this root; nothing changes.
    pub fn retarget(
        &mut self,
        number: Epoch,
        root: Summary,
        summaries: &[Summary],
        base: Option<&Version>,
    ) -> Result<(), ProofError> {
        let found = joined(summaries, self.bits);
        if found != Some(root) {
            return Err(ProofError::Root {
                expected: root.hash,
                found: found.unwrap_or_default().hash,
            });
        }
        (self.number, self.root) = (number, root);
        for ((prefix, slot), summary) in self.slots.iter_mut().zip(summaries) {
            let old = std::mem::replace(
                slot,
                Slot::Open {
                    tree: Version::empty(),
                    from: prefix.first(),
                    replaced: None,
                },
            );
            let same = !matches!(old, Slot::Open { .. }) && old.tree().summary() == *summary;
            if same {
                *slot = old;
                continue;
            }
            let replaced = match old {
                Slot::Saved { tree, by_copy } => by_copy.then_some(tree),
                Slot::Open { replaced, .. } | Slot::Whole { replaced, .. } => replaced,
            };
            let known = base.map(|base| base.under(*prefix));
            *slot = match known.filter(|known| known.summary() == *summary) {
                Some(tree) if replaced.is_none() => Slot::Saved {
                    tree,
                    by_copy: false,
                },
                Some(tree) => Slot::Whole { tree, replaced },
                None => Slot::Open {
                    tree: Version::empty(),
                    from: prefix.first(),
                    replaced,
                },
            };
        }
        Ok(())
    }

    /// What is to be asked for, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        let open = self.slots.iter().filter_map(|(prefix, slot)| match slot {
            Slot::Open { from, .. } => Some(self.request(*prefix, *from)),
            Slot::Whole { .. } | Slot::Saved { .. } => None,
        });
        open.collect()
    }

    const fn request(&self, prefix: Prefix, from: Address) -> Request {
        Request::Range {
            epoch: self.number,
            prefix,
            from,
        }
    }

    /// Whether this piece is the next of its slot.
    #[must_use]
    pub fn wants(&self, epoch: Epoch, prefix: Prefix, from: Address) -> bool {
        let next = match self.slots.get(&prefix) {
            Some(Slot::Open { from, .. }) => Some(*from),
            _ => None,
        };
        epoch == self.number && next == Some(from)
    }

    /// Takes a piece that [`TreeCopy::wants`]. Gives what is to be asked for after it.
    ///
    /// # Errors
    /// [`ProofError`]: the peer's fault; nothing changes.
    pub fn range(
        &mut self,
        prefix: Prefix,
        from: Address,
        proof: &RangeProof,
    ) -> Result<Option<Request>, ProofError> {
        let part = proof.verify(&self.root, prefix, from)?;
        let Some(slot) = self.slots.get_mut(&prefix) else {
            return Ok(None);
        };
        let Slot::Open {
            tree,
            from,
            replaced,
        } = slot
        else {
            return Ok(None);
        };
        *tree = tree.append(&part.tree).map_err(|_| ProofError::Overflow)?;
        let Some(next) = part.next else {
            *slot = Slot::Whole {
                tree: tree.clone(),
                replaced: replaced.take(),
            };
            return Ok(None);
        };
        *from = next;
        Ok(Some(self.request(prefix, next)))
    }

    /// The groups that became whole, to be saved in this order. They count as saved from now on.
    pub fn saves(&mut self) -> Vec<GroupSave> {
        let number = self.number.get();
        let mut slots: Vec<(&Prefix, &mut Slot)> = self.slots.iter_mut().collect();
        let mut saves = Vec::new();
        for group in slots.chunks_mut(self.group) {
            let whole = group
                .iter()
                .all(|(_, slot)| !matches!(slot, Slot::Open { .. }));
            let unsaved = group
                .iter()
                .any(|(_, slot)| matches!(slot, Slot::Whole { .. }));
            if !whole || !unsaved {
                continue;
            }
            let mut save = GroupSave::default();
            for (prefix, slot) in group {
                let Slot::Whole { tree, replaced } = slot else {
                    continue;
                };
                let part = save_part(number, tree, replaced.as_ref());
                save.nodes.push(part.nodes);
                save.writes.extend(part.stale);
                save.writes.push(kept::put_slot(**prefix, part.record));
                **slot = Slot::Saved {
                    tree: tree.clone(),
                    by_copy: true,
                };
            }
            saves.push(save);
        }
        saves
    }

    /// Whether all of it is here and was given out to be saved.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.slots
            .values()
            .all(|slot| matches!(slot, Slot::Saved { .. }))
    }

    /// The tree. O(slots · depth).
    ///
    /// # Errors
    /// [`TreeError`] when the slots are no tree.
    pub fn tree(&self) -> Result<Version, TreeError> {
        let empty = Version::empty();
        self.slots
            .values()
            .try_fold(empty, |whole, slot| whole.append(slot.tree()))
    }
}

/// The slots that an earlier run saved; damaged ones are left out and copied again.
///
/// # Errors
/// [`frith_ledger::store::StoreError`] when the store fails.
pub(super) fn saved_slots(
    store: &dyn frith_ledger::store::Store,
    bits: u8,
) -> Result<Vec<(Prefix, Version)>, frith_ledger::store::StoreError> {
    let mut slots = Vec::new();
    for (prefix, record) in kept::slots(store)? {
        if prefix.len() != bits {
            continue;
        }
        match load_part(store, &record) {
            Ok(tree) => slots.push((prefix, tree)),
            Err(frith_ledger::tree::LoadError::Store(error)) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(slots)
}
