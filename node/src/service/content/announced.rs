//! Which contents this node announces: the newest, so many. Pure.

use frith_ledger::entity::ContentId;
use std::collections::VecDeque;

/// Contents announced at one time. Peers remember 64 of each provider, so the newest of these can be found by
/// everybody, the others by fewer.
const ANNOUNCED_MAX: usize = 192;

/// The announced contents, oldest first.
#[derive(Debug, Default)]
pub struct Announced {
    ids: VecDeque<ContentId>,
}

/// What is to be said now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Announce this.
    pub announce: ContentId,
    /// Announce this no more.
    pub withdraw: Option<ContentId>,
}

impl Announced {
    /// Content is held. What is to be said about it; `None` when it was said before.
    pub fn hold(&mut self, id: ContentId) -> Option<Change> {
        if self.ids.contains(&id) {
            return None;
        }
        self.ids.push_back(id);
        let withdraw = (self.ids.len() > ANNOUNCED_MAX)
            .then(|| self.ids.pop_front())
            .flatten();
        Some(Change {
            announce: id,
            withdraw,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::hash::Hash;

    #[test]
    fn the_oldest_gives_way_to_the_newest() {
        let mut announced = Announced::default();
        let id = |n: usize| Hash([u8::try_from(n).unwrap_or(255); 32]);
        for n in 0..ANNOUNCED_MAX {
            let change = announced.hold(id(n)).expect("it is new");
            assert_eq!(change.withdraw, None);
        }
        assert_eq!(announced.hold(id(7)), None);
        let change = announced.hold(id(ANNOUNCED_MAX)).expect("it is new");
        assert_eq!(change.withdraw, Some(id(0)));
    }
}
