//! What must hold in every state, and what must come about in some.

use super::blocks::{Block, Blocks, Place, only};
use super::model::{Consensus, State, view};
use stateright::Property;

/// No two blocks are certified in one view.
pub const ONE_CERTIFICATE: &str = "one certified block in a view";
/// Committed blocks lie on one chain.
pub const ONE_CHAIN: &str = "committed blocks are of one chain";
/// What is certified in a later view than a committed block's builds on it.
pub const BUILT_ON: &str = "later certified blocks build on committed ones";
/// A correct member votes for one block of a view, and proposes one.
pub const ONE_SIGNATURE: &str = "a correct member signs one block of a view";
/// Blocks are committed.
pub const COMMITS: &str = "a block is committed";
/// Blocks are committed after a view that was given up.
pub const COMMITS_AFTER_TIMEOUT: &str = "a block is committed after a view that was given up";

impl Consensus {
    /// Blocks that some certificate commits, without what lies below them.
    fn tips(&self, certified: Blocks) -> impl Iterator<Item = (Block, Place)> + '_ {
        self.tree.members(certified).filter_map(|(_, child)| {
            let parent = self.tree.place(child.parent);
            let direct = self
                .rules
                .commits(view(parent.view), view(child.view), view(child.view));
            (child.parent != 0 && direct).then_some((child.parent, parent))
        })
    }
}

pub(super) fn properties() -> Vec<Property<Consensus>> {
    vec![
        Property::always(ONE_CERTIFICATE, |model: &Consensus, state: &State| {
            model.tree.has_one_a_view(model.certified(state))
        }),
        Property::always(ONE_CHAIN, |model: &Consensus, state: &State| {
            let certified = model.certified(state);
            model.tips(certified).all(|(block, place)| {
                model.tips(certified).all(|(other, there)| {
                    place.chain & only(other) != 0 || there.chain & only(block) != 0
                })
            })
        }),
        Property::always(BUILT_ON, |model: &Consensus, state: &State| {
            let certified = model.certified(state);
            model.tips(certified).all(|(block, place)| {
                let mut later = model
                    .tree
                    .members(certified)
                    .filter(|(_, other)| other.view > place.view);
                later.all(|(_, other)| other.chain & only(block) != 0)
            })
        }),
        Property::always(ONE_SIGNATURE, |model: &Consensus, state: &State| {
            state.members.iter().all(|member| {
                let signed = [member.votes, member.proposals];
                signed
                    .iter()
                    .all(|signed| model.tree.has_one_a_view(*signed))
            })
        }),
        Property::sometimes(COMMITS, |model: &Consensus, state: &State| {
            let certified = model.certified(state);
            model.tips(certified).next().is_some()
        }),
        Property::sometimes(COMMITS_AFTER_TIMEOUT, |model: &Consensus, state: &State| {
            let certified = model.certified(state);
            let mut tips = model.tips(certified);
            tips.any(|(_, tip)| model.tree.place(tip.parent).view + 1 < tip.view)
        }),
    ]
}
