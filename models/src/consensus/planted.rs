//! The rules that members follow: the product's, or with one of them broken.

use frith_ledger::units::View;
use frith_neighbourhood::consensus::rules::{self, GivenUp};

/// A rule that is broken on purpose. Each must give a counterexample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A proposal may build on less than its timeout certificate names.
    IgnoresTimeoutHigh,
    /// Timeouts name no certificate.
    NamesNoCertificate,
    /// A member votes for whatever is proposed in its view, as often as it is.
    VotesTwice,
    /// A member votes in views that it gave up.
    VotesAfterGivingUp,
    /// A vote leaves before its record is durable.
    VotesBeforeSync,
    /// A leader forgets in a crash that it proposed.
    ForgetsProposals,
    /// A certified child commits its parent, however many views lie between them.
    CommitsOverGaps,
    /// Half of the weight is a quorum.
    HalfIsQuorum,
}

/// The rules in force.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules(pub(super) Option<Planted>);

impl Rules {
    pub(super) fn is(self, planted: Planted) -> bool {
        self.0 == Some(planted)
    }

    pub(super) fn follows(self, view: View, justify: View, given_up: Option<GivenUp>) -> bool {
        let given_up = given_up.map(|given_up| GivenUp {
            high: if self.is(Planted::IgnoresTimeoutHigh) {
                View::ZERO
            } else {
                given_up.high
            },
            ..given_up
        });
        rules::follows(view, justify, given_up)
    }

    pub(super) fn may_vote(self, view: View, proposed: View, voted: View) -> bool {
        let voted = if self.is(Planted::VotesTwice) {
            View::ZERO
        } else {
            voted
        };
        rules::may_vote(view, proposed, voted)
    }

    pub(super) fn commits(self, parent: View, child: View, certified: View) -> bool {
        if self.is(Planted::CommitsOverGaps) {
            return child == certified;
        }
        rules::commits(parent, child, certified)
    }
}
