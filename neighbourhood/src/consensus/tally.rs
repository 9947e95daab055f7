//! Votes and timeouts on their way to certificates.
//!
//! Of each member the first vote in a view counts, and its newest timeout. What one member can fill
//! is bounded: [`VOTES_MAX`] votes and one timeout.

use frith_ledger::block::BlockId;
use frith_ledger::certificate::{
    Committee, QuorumCertificate, Timeout, TimeoutCertificate, Vote, Weight,
};
use frith_ledger::units::View;
use std::collections::{BTreeMap, BTreeSet};

/// Votes kept of one member: those of the highest views.
pub(super) const VOTES_MAX: usize = 4;

#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    votes: BTreeMap<u16, BTreeMap<View, Vote>>,
    timeouts: BTreeMap<u16, Timeout>,
    /// Members whose offence was shown.
    offenders: BTreeSet<u16>,
}

impl Tally {
    /// The vote of `member` in `view` that counts.
    pub(super) fn vote(&self, member: u16, view: View) -> Option<&Vote> {
        self.votes.get(&member)?.get(&view)
    }

    /// The newest vote of `member`.
    pub(super) fn last_vote(&self, member: u16) -> Option<&Vote> {
        self.votes.get(&member)?.values().next_back()
    }

    /// Counts a verified vote, unless one of this member in this view counts already.
    pub(super) fn add_vote(&mut self, vote: Vote) {
        let votes = self.votes.entry(vote.member).or_default();
        votes.entry(vote.view).or_insert(vote);
        if votes.len() > VOTES_MAX {
            votes.pop_first();
        }
    }

    /// The certificate of `block` in `view`, when its votes are a quorum.
    pub(super) fn certify(
        &self,
        committee: &Committee,
        view: View,
        block: &BlockId,
    ) -> Option<QuorumCertificate> {
        let votes = || {
            self.votes
                .values()
                .filter_map(|votes| votes.get(&view))
                .filter(|vote| vote.block == *block)
        };
        let weight = sum(committee, votes().map(|vote| vote.member));
        if committee.is_quorum(weight) {
            QuorumCertificate::from_votes(committee, votes())
        } else {
            None
        }
    }

    /// The newest timeout of `member`.
    pub(super) fn timeout(&self, member: u16) -> Option<&Timeout> {
        self.timeouts.get(&member)
    }

    /// Counts a verified timeout, unless the member's last one is newer.
    pub(super) fn add_timeout(&mut self, timeout: Timeout) {
        if self
            .timeouts
            .get(&timeout.member)
            .is_none_or(|last| last.view <= timeout.view)
        {
            self.timeouts.insert(timeout.member, timeout);
        }
    }

    /// The certificate of the end of `view`, when its timeouts are a quorum.
    pub(super) fn give_up(&self, committee: &Committee, view: View) -> Option<TimeoutCertificate> {
        let timeouts = || {
            self.timeouts
                .values()
                .filter(|timeout| timeout.view == view)
        };
        let weight = sum(committee, timeouts().map(|timeout| timeout.member));
        if committee.is_quorum(weight) {
            TimeoutCertificate::from_timeouts(committee, timeouts())
        } else {
            None
        }
    }

    /// The weight of the members that gave up on `view` or a later one.
    pub(super) fn gave_up(&self, committee: &Committee, view: View) -> Weight {
        sum(
            committee,
            self.timeouts
                .values()
                .filter(|timeout| timeout.view >= view)
                .map(|timeout| timeout.member),
        )
    }

    /// Forgets timeouts of views before `view`.
    pub(super) fn prune(&mut self, view: View) {
        self.timeouts.retain(|_, timeout| timeout.view >= view);
    }

    /// Whether this is the first offence of `member`.
    pub(super) fn offends(&mut self, member: u16) -> bool {
        self.offenders.insert(member)
    }
}

fn sum(committee: &Committee, members: impl Iterator<Item = u16>) -> Weight {
    members
        .filter_map(|member| committee.get(member))
        .fold(0, |sum, member| sum.saturating_add(member.weight))
}
