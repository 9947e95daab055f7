//! The rules of what a member may sign, and the record that outlives a crash.
//!
//! Invariant: every signature that left this member is in a view at most [`SafetyRecord::voted`]
//! (votes, timeouts) or [`SafetyRecord::proposed`] (proposals) of the record that was durable when it
//! left, and the quorum certificate that it then held is in that record.

use super::rules::{self, GivenUp};
use super::setup::Setup;
use frith_ledger::block::{BlockId, Instance, Proposal};
use frith_ledger::certificate::{QuorumCertificate, TimeoutCertificate};
use frith_ledger::units::View;
use parity_scale_codec::{Decode, Encode};

/// What must survive a crash. Opaque to hosts; two certificates long.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SafetyRecord {
    /// Which instance.
    pub instance: Instance,
    /// The highest view voted or timed out in. No vote in it or below.
    pub voted: View,
    /// The highest view proposed in. No other proposal in it or below.
    pub proposed: View,
    /// The view of the highest certificate known when something was last signed: no timeout claims
    /// less.
    pub locked: View,
    /// After a recovery: nothing is signed up to and with this view. 0 when no record was lost.
    pub floor: View,
    /// The highest quorum certificate known when something was last signed.
    pub high: Option<QuorumCertificate>,
    /// The highest timeout certificate then, when it is above `high`.
    pub timeout: Option<TimeoutCertificate>,
    /// The last vote.
    pub last_vote: Option<(View, BlockId)>,
}

impl SafetyRecord {
    /// The record of a member that has never signed anything in `instance`, and knows that.
    #[must_use]
    pub const fn fresh(instance: Instance) -> Self {
        Self {
            instance,
            voted: View::ZERO,
            proposed: View::ZERO,
            locked: View::ZERO,
            floor: View::ZERO,
            high: None,
            timeout: None,
            last_vote: None,
        }
    }

    /// The highest view in which this record allows for an own signature.
    #[must_use]
    pub fn signed(&self) -> View {
        self.voted.max(self.proposed)
    }
}

/// Whether a member signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Follows only: no member, or halted.
    Silent,
    /// A member that doesn't know what it signed.
    Abstaining,
    /// Signs what the rules allow.
    Signing,
}

/// The voting rules over a record.
#[derive(Debug, Clone)]
pub(super) struct Safety {
    pub(super) record: SafetyRecord,
    pub(super) standing: Standing,
    #[cfg(any(test, feature = "planted-bugs"))]
    pub(super) faults: super::setup::Faults,
}

impl Safety {
    pub(super) fn new(setup: &mut Setup) -> Self {
        let standing = match (&setup.me, &setup.safety) {
            (None, _) => Standing::Silent,
            (Some(_), Some(record)) if record.instance == setup.instance => Standing::Signing,
            (Some(_), _) => Standing::Abstaining,
        };
        let record = setup
            .safety
            .take()
            .filter(|_| standing == Standing::Signing);
        Self {
            record: record.unwrap_or(SafetyRecord::fresh(setup.instance)),
            standing,
            #[cfg(any(test, feature = "planted-bugs"))]
            faults: setup.faults,
        }
    }

    /// Whether anything may be signed in `view`.
    pub(super) fn signs_in(&self, view: View) -> bool {
        self.standing == Standing::Signing && view > self.record.floor
    }

    /// Whether `proposal` may be voted for while in `view`: Jolteon, figure 2, "Vote".
    pub(super) fn may_vote(&self, view: View, proposal: &Proposal) -> bool {
        self.signs_in(view)
            && rules::may_vote(view, proposal.block.header.view, self.record.voted)
            && self.follows(proposal)
    }

    /// Whether a proposal follows the view before its own. Asked of every proposal, vote or not.
    pub(super) fn follows(&self, proposal: &Proposal) -> bool {
        #[cfg_attr(
            not(any(test, feature = "planted-bugs")),
            expect(unused_mut, reason = "for the planted bug")
        )]
        let mut given_up = proposal.timeout.as_ref().map(|timeout| GivenUp {
            view: timeout.view,
            high: timeout.high(),
        });
        #[cfg(any(test, feature = "planted-bugs"))]
        {
            if self.faults.skip_lock {
                return true;
            }
            if self.faults.ignore_timeout_high {
                given_up = given_up.map(|given_up| GivenUp {
                    high: View::ZERO,
                    ..given_up
                });
            }
        }
        let view = proposal.block.header.view;
        rules::follows(view, proposal.justify_view(), given_up)
    }

    /// Whether a new proposal may be made in `view`.
    pub(super) fn may_propose(&self, view: View) -> bool {
        self.signs_in(view) && rules::may_propose(view, self.record.proposed, self.record.voted)
    }

    /// Whether `view` may be given up, holding a certificate of `high`.
    pub(super) fn may_time_out(&self, view: View, high: View) -> bool {
        let record = &self.record;
        self.signs_in(view) && rules::may_give_up(view, record.voted, high, record.locked)
    }
}
