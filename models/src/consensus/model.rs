//! The model: states, what can happen in them, and what must hold.

use super::blocks::{Block, Blocks, Place, Tree, only};
use super::certificates::{Certificates, MEMBERS, Views};
use super::member::{Member, VIEWS_MAX};
use super::planted::{Planted, Rules};
use super::properties::properties;
use frith_ledger::units::View;
use frith_neighbourhood::consensus::rules::{self, GivenUp};
use stateright::{Model, Property};

/// What is explored.
#[derive(Debug, Clone)]
pub struct Scope {
    /// How many views.
    pub views: u8,
    /// How many payloads a block of one view on one parent can have.
    pub variants: u8,
    /// How many of the four members are corrupt.
    pub corrupt: usize,
    /// Who leads a view, from view 1 on: a correct member by its index, or a corrupt one. Views past the end are
    /// led by a corrupt one.
    pub leaders: Vec<Option<usize>>,
    /// Whether certificates arrive apart from what is signed on them, and members crash. If not, a member sees
    /// what it needs when it signs.
    pub apart: bool,
    /// The broken rule.
    pub planted: Option<Planted>,
}

/// The voting rules among four members.
#[derive(Debug, Clone)]
pub struct Consensus {
    scope: Scope,
    pub(super) rules: Rules,
    pub(super) tree: Tree,
    certificates: Certificates,
}

/// The correct members. What the corrupt ones do needs no state: they have signed everything already.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) members: Vec<Member>,
}

/// What exists in a state.
struct Existing {
    /// Blocks with a certificate.
    certified: Blocks,
    /// By view: what its timeout certificates can name.
    highs: [Views; VIEWS_MAX + 1],
}

/// What happens to one correct member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A proposal arrives, with its certificates, and gets a vote.
    Vote(usize, Block),
    /// In a view, with a block's certificate as its highest, its time runs out, or enough others gave up.
    GiveUp(usize, u8, Block),
    /// It proposes a block in its view.
    Propose(usize, Block),
    /// The certificate of a block arrives.
    SeeQuorum(usize, Block),
    /// A timeout certificate of a view arrives.
    SeeTimeout(usize, u8),
    /// What it wrote is synced.
    Sync(usize),
    /// It loses what is not synced and starts again.
    Crash(usize),
}

impl State {
    /// What each correct member has voted for, proposed and given up, in an order of their own.
    #[must_use]
    pub fn signed(&self) -> Vec<(Blocks, Blocks, [Views; VIEWS_MAX])> {
        let signed = |member: &Member| (member.votes, member.proposals, member.timeouts);
        let mut signed: Vec<_> = self.members.iter().map(signed).collect();
        signed.sort_unstable();
        signed
    }
}

pub(super) fn view(number: u8) -> View {
    View::new(u64::from(number))
}

impl Consensus {
    /// A model of this scope.
    ///
    /// # Panics
    /// When the scope has more views or blocks than the model has room for.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        assert!(usize::from(scope.views) <= VIEWS_MAX, "too many views");
        let rules = Rules(scope.planted);
        Self {
            tree: Tree::new(scope.views, scope.variants),
            certificates: Certificates::new(scope.views, rules.is(Planted::HalfIsQuorum)),
            rules,
            scope,
        }
    }

    fn leader(&self, view: u8) -> Option<usize> {
        let index = usize::from(view).checked_sub(1)?;
        self.scope.leaders.get(index).copied().flatten()
    }

    /// Every block with a certificate but the base, which needs none. A corrupt member voted for all.
    pub(super) fn certified(&self, state: &State) -> Blocks {
        let mut votes = [self.tree.all(); MEMBERS];
        for (votes, member) in votes.iter_mut().zip(&state.members) {
            *votes = member.votes;
        }
        self.certificates.certified(votes)
    }

    /// What the timeout certificates of `given_up` can name. A corrupt member says what it likes.
    fn highs(&self, state: &State, given_up: u8) -> Views {
        let mut claims = [(1 << given_up) - 1; MEMBERS];
        for (claims, member) in claims.iter_mut().zip(&state.members) {
            *claims = member.named(given_up);
        }
        self.certificates.highs(claims)
    }

    fn existing(&self, state: &State) -> Existing {
        let mut highs = [0; VIEWS_MAX + 1];
        for given_up in 1..=self.scope.views {
            highs[usize::from(given_up)] = self.highs(state, given_up);
        }
        Existing {
            certified: self.certified(state) | only(0),
            highs,
        }
    }

    /// Whether certificates exist with which a proposal of this block follows.
    fn is_proposable(&self, existing: &Existing, block: Place) -> bool {
        let justify = self.tree.view(block.parent);
        if existing.certified & only(block.parent) == 0 {
            return false;
        }
        if self.rules.follows(view(block.view), justify, None) {
            return true;
        }
        let last = block.view - 1;
        let highs = existing.highs[usize::from(last)];
        (0..block.view).any(|high| {
            let given_up = GivenUp {
                view: view(last),
                high: view(high),
            };
            highs & (1 << high) != 0
                && self
                    .rules
                    .follows(view(block.view), justify, Some(given_up))
        })
    }

    /// Whether `block` was proposed: by a corrupt leader, everything that can be.
    fn is_proposed(&self, state: &State, existing: &Existing, block: Block, place: Place) -> bool {
        match self.leader(place.view) {
            Some(leader) => state.members[leader].proposals & only(block) != 0,
            // Payloads that nobody voted for are alike: the one voted for first is variant 0.
            None => {
                let named = place.variant == 0
                    || state.members.iter().any(|m| m.votes & only(block - 1) != 0);
                named && self.is_proposable(existing, place)
            }
        }
    }

    /// The member after a proposal of `place` with its certificates has come.
    fn shown(&self, member: &Member, place: Place) -> Member {
        let mut member = member.clone();
        member.see_quorum(&self.tree, place.parent);
        if self.tree.place(place.parent).view + 1 < place.view {
            member.see_timeout(&self.tree, place.view - 1);
        }
        member
    }

    fn may_vote(&self, member: &Member, block: Block, place: Place) -> bool {
        let shown = self.shown(member, place);
        member.votes & only(block) == 0
            && self
                .rules
                .may_vote(view(shown.view), view(place.view), view(shown.record.voted))
    }

    /// Whether certificates lead a member into `entered` with the one of `high` as its highest.
    fn can_enter(&self, existing: &Existing, member: &Member, entered: u8, high: Place) -> bool {
        if self.scope.apart || entered == member.view {
            return entered == member.view;
        }
        // A timeout certificate comes with a certificate as high as it names, or is not taken in.
        let given_up = existing.highs[usize::from(entered - 1)] & ((2 << high.view) - 1);
        entered > member.view && (high.view + 1 == entered || given_up != 0)
    }

    fn named(&self, high: Place) -> u8 {
        if self.rules.is(Planted::NamesNoCertificate) {
            0
        } else {
            high.view
        }
    }

    fn give_up(
        &self,
        existing: &Existing,
        index: usize,
        member: &Member,
        actions: &mut Vec<Action>,
    ) {
        let held = self.tree.place(member.high);
        // In the last view nobody would make use of it.
        for entered in member.view..self.scope.views {
            let base = (0, self.tree.place(0));
            let blocks = std::iter::once(base).chain(self.tree.members(existing.certified));
            for (block, high) in blocks {
                let known = block == member.high || (high.view > held.view && !self.scope.apart);
                let news = member.named(entered) & (1 << self.named(high)) == 0;
                if known
                    && news
                    && high.view < entered
                    && self.can_enter(existing, member, entered, high)
                    && rules::may_give_up(
                        view(entered),
                        view(member.record.voted),
                        view(high.view),
                        self.tree.view(member.record.high),
                    )
                {
                    actions.push(Action::GiveUp(index, entered, block));
                }
            }
        }
    }

    fn may_propose(
        &self,
        existing: &Existing,
        index: usize,
        member: &Member,
        block: Block,
    ) -> bool {
        let place = self.tree.place(block);
        if self.leader(place.view) != Some(index) || !self.is_proposable(existing, place) {
            return false;
        }
        let named = place.variant == 0 || member.proposals & only(block - 1) != 0;
        let shown = self.shown(member, place);
        named
            && (!self.scope.apart || shown == *member)
            && (shown.high, shown.view) == (place.parent, place.view)
            && member.proposals & only(block) == 0
            && rules::may_propose(
                view(shown.view),
                view(shown.record.proposed),
                view(shown.record.voted),
            )
    }

    /// What happens to a member that signs nothing.
    fn apart(&self, existing: &Existing, index: usize, member: &Member, actions: &mut Vec<Action>) {
        let held = self.tree.place(member.high).view;
        for (block, place) in self.tree.members(existing.certified) {
            if place.view > held {
                actions.push(Action::SeeQuorum(index, block));
            }
        }
        for given_up in member.view..self.scope.views {
            if existing.highs[usize::from(given_up)] & ((2 << held) - 1) != 0 {
                actions.push(Action::SeeTimeout(index, given_up));
            }
        }
        if member.record != member.durable {
            actions.push(Action::Sync(index));
        }
        actions.push(Action::Crash(index));
    }
}

impl Model for Consensus {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            members: vec![Member::new(); MEMBERS - self.scope.corrupt],
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let existing = self.existing(state);
        let proposed: Vec<(Block, Place)> = self
            .tree
            .blocks()
            .filter(|(block, place)| self.is_proposed(state, &existing, *block, *place))
            .collect();
        for (index, member) in state.members.iter().enumerate() {
            for (block, place) in &proposed {
                if self.may_vote(member, *block, *place) {
                    actions.push(Action::Vote(index, *block));
                }
            }
            self.give_up(&existing, index, member, actions);
            for (block, _) in self.tree.blocks() {
                if self.may_propose(&existing, index, member, block) {
                    actions.push(Action::Propose(index, block));
                }
            }
            if self.scope.apart {
                self.apart(&existing, index, member, actions);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Vote(index, block) => {
                let place = self.tree.place(block);
                let mut member = self.shown(&last.members[index], place);
                member.votes |= only(block);
                member.record.voted = place.view;
                if self.rules.is(Planted::VotesBeforeSync) {
                    member.write();
                } else {
                    member.save();
                }
                state.members[index] = member;
            }
            Action::GiveUp(index, entered, block) => {
                let high = self.tree.place(block);
                let member = &mut state.members[index];
                member.see_quorum(&self.tree, block);
                if member.view < entered {
                    member.see_timeout(&self.tree, entered - 1);
                }
                *member.timeouts.get_mut(usize::from(entered) - 1)? |= 1 << self.named(high);
                if !self.rules.is(Planted::VotesAfterGivingUp) {
                    member.record.voted = member.record.voted.max(entered);
                }
                member.save();
            }
            Action::Propose(index, block) => {
                let mut member = self.shown(&last.members[index], self.tree.place(block));
                member.proposals |= only(block);
                member.record.proposed = member.view;
                member.save();
                if self.rules.is(Planted::ForgetsProposals) {
                    member.durable.proposed = 0;
                }
                state.members[index] = member;
            }
            Action::SeeQuorum(index, block) => {
                state.members[index].see_quorum(&self.tree, block);
            }
            Action::SeeTimeout(index, given_up) => {
                state.members[index].see_timeout(&self.tree, given_up);
            }
            Action::Sync(index) => state.members[index].durable = state.members[index].record,
            Action::Crash(index) => state.members[index].restart(&self.tree),
        }
        if self.scope.leaders.iter().all(Option::is_none) {
            // Without a leader among them correct members are alike.
            state.members.sort_unstable();
        }
        Some(state).filter(|state| state != last)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }
}
