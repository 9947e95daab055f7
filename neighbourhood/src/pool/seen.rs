//! Signed operations that were taken here lately, so that it can be said of one that is gone that it was never executed.

use super::queue::Slot;
use frith_ledger::operation::OperationId;
use std::collections::{BTreeMap, VecDeque};

/// Operations remembered at one time: as many as the queue holds unless it is told otherwise.
const SEEN_MAX: usize = 16_384;

/// The newest operations, by id.
#[derive(Debug, Default)]
pub(super) struct Seen {
    slots: BTreeMap<OperationId, Slot>,
    order: VecDeque<OperationId>,
}

impl Seen {
    /// Remembers one; the oldest is forgotten when there are too many.
    pub(super) fn note(&mut self, id: OperationId, slot: Slot) {
        if self.slots.insert(id, slot).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.slots.remove(&oldest);
        }
    }

    /// When the operation could be executed; `None` when it isn't remembered.
    pub(super) fn slot(&self, id: &OperationId) -> Option<Slot> {
        self.slots.get(id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::address::Address;
    use frith_ledger::hash::Hash;
    use frith_ledger::units::{Epoch, Nonce};

    #[test]
    fn the_newest_are_remembered_and_no_more_than_fit() {
        let mut seen = Seen::default();
        let id = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
            Hash(bytes)
        };
        let slot = |number: usize| Slot {
            account: Address([1; 32]),
            nonce: Nonce::new(number as u64),
            since: Epoch::ZERO,
            expires: Epoch::new(9),
        };
        for number in 0..SEEN_MAX + 2 {
            seen.note(id(number), slot(number));
            seen.note(id(number), slot(number));
        }
        assert_eq!((seen.slots.len(), seen.order.len()), (SEEN_MAX, SEEN_MAX));
        assert_eq!(seen.slot(&id(1)), None);
        assert_eq!(seen.slot(&id(2)), Some(slot(2)));
    }
}
