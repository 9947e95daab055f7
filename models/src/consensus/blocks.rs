//! Every block that can be proposed in a few views, by number.

use frith_ledger::units::View;

/// Which block: 0 is the base, which needs no votes.
pub type Block = u8;

/// A set of blocks.
pub type Blocks = u32;

/// One block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its view; 0 for the base.
    pub(super) view: u8,
    /// What it builds on: the block that its certificate is of.
    pub(super) parent: Block,
    /// Blocks of one view and parent differ in their payload.
    pub(super) variant: u8,
    /// It and everything below it.
    pub(super) chain: Blocks,
}

/// All of them.
#[derive(Debug, Clone)]
pub(super) struct Tree(Vec<Place>);

/// The set of this one.
pub(super) const fn only(block: Block) -> Blocks {
    1 << block
}

impl Tree {
    /// Every block of views up to `views`, with `variants` payloads each.
    pub(super) fn new(views: u8, variants: u8) -> Self {
        let mut places = vec![Place {
            view: 0,
            parent: 0,
            variant: 0,
            chain: only(0),
        }];
        for view in 1..=views {
            for (parent, below) in (0..).zip(places.clone()) {
                for variant in 0..variants {
                    let block = Block::try_from(places.len()).unwrap_or(Block::MAX);
                    places.push(Place {
                        view,
                        parent,
                        variant,
                        chain: below.chain | only(block),
                    });
                }
            }
        }
        assert!(places.len() <= Blocks::BITS as usize, "too many blocks");
        Self(places)
    }

    pub(super) fn place(&self, block: Block) -> Place {
        self.0[usize::from(block)]
    }

    pub(super) fn view(&self, block: Block) -> View {
        View::new(u64::from(self.place(block).view))
    }

    /// Every block but the base.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (Block, Place)> + '_ {
        (0..).zip(self.0.iter().copied()).skip(1)
    }

    /// The set of them.
    pub(super) fn all(&self) -> Blocks {
        self.blocks().fold(0, |set, (block, _)| set | only(block))
    }

    /// The blocks of a set.
    pub(super) fn members(&self, set: Blocks) -> impl Iterator<Item = (Block, Place)> + '_ {
        self.blocks()
            .filter(move |(block, _)| set & only(*block) != 0)
    }

    /// Whether no two blocks of a set are of one view.
    pub(super) fn has_one_a_view(&self, set: Blocks) -> bool {
        let views = self
            .members(set)
            .fold(0_u32, |views, (_, place)| views | 1 << place.view);
        views.count_ones() == set.count_ones()
    }
}
