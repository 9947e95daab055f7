//! Which signatures make a certificate, and what a timeout certificate names: asked once of the ledger for
//! every case, and looked up from then on.
//!
//! The certificates are the ledger's, made of votes and timeouts without valid signatures: making one
//! doesn't verify them.

use super::blocks::Blocks;
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{ChainKind, Instance};
use frith_ledger::certificate::{
    Committee, Member, QuorumCertificate, Timeout, TimeoutCertificate, Vote,
};
use frith_ledger::codec::BoundedVec;
use frith_ledger::hash::Hash;
use frith_ledger::key::{SecretKey, Signature};

use frith_ledger::units::{Epoch, Generation, View};
use frith_ledger::vrf::VrfPublic;

/// Members of the committee, of equal weight.
pub(super) const MEMBERS: usize = 4;

/// A set of views, by bits.
pub type Views = u8;

#[derive(Debug, Clone)]
pub(super) struct Certificates {
    /// Whether the votes of these members, by bits, certify a block.
    certify: [bool; 1 << MEMBERS],
    /// How many things each member's timeout can say: nothing, or which view it names.
    choices: usize,
    /// By what they say: the view that their certificate names, by bits; none when they make none.
    highs: Vec<Views>,
}

impl Certificates {
    /// For claims of views below `views`. `half`: half of the weight is a quorum (the planted bug).
    pub(super) fn new(views: u8, half: bool) -> Self {
        let committee = committee();
        let mut certify = [false; 1 << MEMBERS];
        for (set, certify) in certify.iter_mut().enumerate() {
            let voters = (0..4_u16).filter(|member| set & (1 << member) != 0);
            let votes: Vec<Vote> = voters.map(|member| vote(&committee, member)).collect();
            *certify = if half {
                2 * votes.len() >= MEMBERS
            } else {
                QuorumCertificate::from_votes(&committee, &votes).is_some()
            };
        }
        let choices = usize::from(views) + 1;
        let highs = (0..choices.pow(4)).map(|case| {
            let units = [1, choices, choices.pow(2), choices.pow(3)];
            let claims = (0..).zip(units.map(|unit| case / unit % choices));
            let timeouts: Vec<Timeout> = claims
                .filter(|(_, claim)| *claim > 0)
                .map(|(member, claim)| timeout(&committee, member, claim - 1))
                .collect();
            TimeoutCertificate::from_timeouts(&committee, &timeouts)
                .map_or(0, |made| 1 << made.high().get())
        });
        Self {
            certify,
            choices,
            highs: highs.collect(),
        }
    }

    /// The blocks for which members that make a certificate have all voted, each for those of `votes`.
    pub(super) fn certified(&self, votes: [Blocks; MEMBERS]) -> Blocks {
        let sets = self.certify.iter().enumerate().filter(|(_, made)| **made);
        sets.fold(0, |certified, (set, _)| {
            let voters = votes
                .iter()
                .enumerate()
                .filter(|(member, _)| set & (1 << member) != 0);
            certified | voters.fold(Blocks::MAX, |common, (_, votes)| common & votes)
        })
    }

    /// The views that certificates can name, when each member's timeout names one of `claims`.
    pub(super) fn highs(&self, claims: [Views; MEMBERS]) -> Views {
        let mut cases = vec![0];
        for claims in claims.iter().rev() {
            let named = (1..self.choices).filter(|choice| claims & (1 << (choice - 1)) != 0);
            let options: Vec<usize> = std::iter::once(0).chain(named).collect();
            let longer = cases.iter().flat_map(|case| {
                let case = case * self.choices;
                options.iter().map(move |option| case + option)
            });
            cases = longer.collect();
        }
        let made = cases.iter().map(|case| self.highs[*case]);
        made.fold(0, |highs, high| highs | high)
    }
}

/// Four members of equal weight.
fn committee() -> Committee {
    let member = |seat: u8| Member {
        seat: Address([seat; 32]),
        key: SecretKey::from_bytes(&[seat + 1; 32]).public(),
        vrf: VrfPublic([0; 32]),
        weight: 1,
    };
    Committee::new([0, 1, 2, 3].map(member).to_vec())
}

fn instance(committee: &Committee) -> Instance {
    Instance {
        kind: ChainKind::Leaf,
        prefix: Prefix::ROOT,
        generation: Generation::ZERO,
        epoch: Epoch::ZERO,
        committee: committee.hash(),
    }
}

fn vote(committee: &Committee, member: u16) -> Vote {
    Vote {
        instance: instance(committee),
        view: View::new(1),
        block: Hash::ZERO,
        member,
        known: BoundedVec::new(),
        signature: Signature([0; 64]),
    }
}

/// A timeout that names a certificate of view `high`, of which only the view counts.
fn timeout(committee: &Committee, member: u16, high: usize) -> Timeout {
    let high = View::new(high as u64);
    let certificate = QuorumCertificate {
        instance: instance(committee),
        view: high,
        block: Hash::ZERO,
        listed: BoundedVec::new(),
        parts: BoundedVec::new(),
    };
    Timeout {
        instance: instance(committee),
        view: high.next(),
        high: Some(certificate).filter(|_| high > View::ZERO),
        member,
        known: BoundedVec::new(),
        signature: Signature([0; 64]),
    }
}
