//! Contents that the core waits for, on their way to the fetcher.
//!
//! The core says again and again what it lacks. While the fetcher takes nothing more, what waits here is one entry a
//! content and bounded; what finds no room is said again by the core after a pause.

use frith_ledger::entity::ContentId;
use frith_ledger::key::PublicKey;
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// Contents that wait for the fetcher: as many as the core asks for at one time.
const WAITING_MAX: usize = 256;

/// Content that the core waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// BLAKE3 of it.
    pub id: ContentId,
    /// Its bytes.
    pub len: u32,
    /// Who holds it.
    pub holders: Vec<PublicKey>,
}

/// What the fetcher hasn't taken yet, in the order in which it was first said.
#[derive(Debug, Default)]
pub(super) struct Waiting(VecDeque<Wanted>);

impl Waiting {
    /// Takes what the core wants in; its newest word on a content replaces an older one. O(entries).
    pub(super) fn push(&mut self, wanted: Wanted) {
        if let Some(known) = self.0.iter_mut().find(|known| known.id == wanted.id) {
            *known = wanted;
        } else if self.0.len() < WAITING_MAX {
            self.0.push_back(wanted);
        }
    }

    /// Passes on what the fetcher takes now. What nobody takes any more is dropped.
    pub(super) fn pass_on(&mut self, to: &mpsc::Sender<Wanted>) {
        while let Some(wanted) = self.0.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(wanted)) = to.try_send(wanted) {
                self.0.push_front(wanted);
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::hash::Hash;

    fn wanted(number: usize, holders: u8) -> Wanted {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(number as u64).to_le_bytes());
        Wanted {
            id: Hash(id),
            len: 1,
            holders: (0..holders).map(|key| PublicKey([key; 32])).collect(),
        }
    }

    #[test]
    fn what_a_slow_fetcher_leaves_waiting_is_bounded_and_one_entry_a_content() {
        let mut waiting = Waiting::default();
        let (sender, mut fetcher) = mpsc::channel(2);
        for round in 1..4 {
            for number in 0..2 * WAITING_MAX {
                waiting.push(wanted(number, round));
            }
            assert_eq!(waiting.0.len(), WAITING_MAX);
        }
        waiting.pass_on(&sender);
        assert_eq!(waiting.0.len(), WAITING_MAX - 2, "it takes two at a time");
        let taken = [fetcher.try_recv(), fetcher.try_recv()];
        assert_eq!(
            taken,
            [Ok(wanted(0, 3)), Ok(wanted(1, 3))],
            "the oldest first, with the newest word on who holds it"
        );
        waiting.push(wanted(WAITING_MAX, 1));
        assert_eq!(waiting.0.len(), WAITING_MAX - 1, "there is room again");
    }
}
