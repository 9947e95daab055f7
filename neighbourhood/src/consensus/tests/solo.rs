//! One member among three others whose keys the test holds, and what is found in what it says.

use super::super::{Consensus, ConsensusMessage, Effect, Fault, Setup};
use super::host::{Counter, Disk, state};
use super::net::{GENESIS, committee, setup};
use frith_ledger::block::{Block, BlockHeader, BlockId, LeafPayload, Payload, Proposal};
use frith_ledger::certificate::{Committee, QuorumCertificate, Timeout, TimeoutCertificate, Vote};
use frith_ledger::codec::BoundedVec;
use frith_ledger::key::SecretKey;
use frith_ledger::units::{Epoch, Height, Millis, View};
use std::sync::Arc;

/// A member among three others, whose keys the test holds.
pub(super) struct Solo {
    pub(super) committee: Arc<Committee>,
    pub(super) keys: Vec<SecretKey>,
    pub(super) consensus: Consensus,
    pub(super) host: Counter,
    pub(super) now: u64,
}

/// A block, its certificate, and its count.
#[derive(Clone)]
pub(super) struct Certified {
    pub(super) id: BlockId,
    pub(super) height: Height,
    pub(super) count: u64,
    pub(super) certificate: Option<QuorumCertificate>,
}

impl Solo {
    pub(super) fn new(me: u16) -> Self {
        Self::started(|_| {}, Some(me))
    }

    pub(super) fn started(change: impl FnOnce(&mut Setup), me: Option<u16>) -> Self {
        let (committee, keys) = committee(&[1; 4]);
        let key = keys[usize::from(me.unwrap_or(0))].clone();
        let mut setup = setup(&committee, me, &key);
        change(&mut setup);
        let host = Counter::new(setup.base.id, Disk::default());
        Self {
            committee,
            keys,
            consensus: Consensus::new(setup),
            host,
            now: 0,
        }
    }

    pub(super) fn base(&self) -> Certified {
        Certified {
            id: self.consensus.base.id,
            height: Height::ZERO,
            count: 0,
            certificate: None,
        }
    }

    /// A proposal that counts one up on `on`.
    pub(super) fn proposal(
        &self,
        view: u64,
        on: &Certified,
        timeout: Option<TimeoutCertificate>,
    ) -> Proposal {
        let proposer = self.consensus.leader(View::new(view));
        let payload = Payload::Leaf(LeafPayload {
            roots: Epoch::new(on.count + 1),
            ..LeafPayload::default()
        });
        self.proposal_of(view, on, timeout, payload, proposer)
    }

    pub(super) fn proposal_of(
        &self,
        view: u64,
        on: &Certified,
        timeout: Option<TimeoutCertificate>,
        payload: Payload,
        proposer: u16,
    ) -> Proposal {
        let count = if payload == Payload::Empty {
            on.count
        } else {
            on.count + 1
        };
        let header = BlockHeader {
            instance: self.consensus.instance,
            height: on.height.next(),
            view: View::new(view),
            parent: on.id,
            grounds: Proposal::grounds(&on.certificate, &timeout),
            proposer,
            payload: payload.hash(),
            state: state(count),
        };
        let key = &self.keys[usize::from(proposer)];
        Proposal::sign(
            Block { header, payload },
            on.certificate.clone(),
            timeout,
            &GENESIS,
            key,
        )
    }

    pub(super) fn vote(&self, member: u16, view: u64, block: BlockId) -> Vote {
        let key = &self.keys[usize::from(member)];
        Vote::sign(
            self.consensus.instance,
            View::new(view),
            block,
            member,
            BoundedVec::new(),
            &GENESIS,
            key,
        )
    }

    pub(super) fn certify(&self, proposal: &Proposal, by: &[u16]) -> Certified {
        let header = &proposal.block.header;
        let votes: Vec<Vote> = by
            .iter()
            .map(|m| self.vote(*m, header.view.get(), proposal.id()))
            .collect();
        let count = match &proposal.block.payload {
            Payload::Leaf(leaf) => leaf.roots.get(),
            _ => 0,
        };
        let certificate = QuorumCertificate::from_votes(&self.committee, &votes);
        assert!(certificate.is_some(), "enough votes");
        Certified {
            id: proposal.id(),
            height: header.height,
            count,
            certificate,
        }
    }

    pub(super) fn timeout(
        &self,
        member: u16,
        view: u64,
        high: Option<QuorumCertificate>,
    ) -> Timeout {
        let key = &self.keys[usize::from(member)];
        Timeout::sign(
            self.consensus.instance,
            View::new(view),
            high,
            member,
            BoundedVec::new(),
            &GENESIS,
            key,
        )
    }

    pub(super) fn timeouts(
        &self,
        view: u64,
        by: &[(u16, Option<QuorumCertificate>)],
    ) -> Option<TimeoutCertificate> {
        let timeouts: Vec<Timeout> = by
            .iter()
            .map(|(m, high)| self.timeout(*m, view, high.clone()))
            .collect();
        TimeoutCertificate::from_timeouts(&self.committee, &timeouts)
    }

    /// A member other than this one.
    pub(super) fn peer(&self) -> u16 {
        u16::from(self.consensus.me == Some(0))
    }

    pub(super) fn send(&mut self, message: ConsensusMessage) -> Vec<Effect> {
        let mut out = Vec::new();
        let from = self.peer();
        self.consensus.message(
            Millis::new(self.now),
            &mut self.host,
            from,
            message,
            &mut out,
        );
        out
    }

    pub(super) fn propose(&mut self, proposal: &Proposal) -> Vec<Effect> {
        self.send(ConsensusMessage::Proposal(Box::new(proposal.clone())))
    }

    pub(super) fn tick_at_deadline(&mut self) -> Vec<Effect> {
        let mut out = Vec::new();
        if let Some(at) = self.consensus.next_deadline() {
            self.now = at.get();
        }
        self.consensus
            .tick(Millis::new(self.now), &mut self.host, &mut out);
        out
    }

    pub(super) fn want(&mut self, target: u64) -> Vec<Effect> {
        self.host.target = target;
        let mut out = Vec::new();
        self.consensus
            .work(Millis::new(self.now), &mut self.host, &mut out);
        out
    }
}

pub(super) fn votes(effects: &[Effect]) -> Vec<&Vote> {
    let vote = |effect| match effect {
        &Effect::Send {
            message: ConsensusMessage::Vote(ref vote),
            ..
        } => Some(&**vote),
        _ => None,
    };
    effects.iter().filter_map(vote).collect()
}

pub(super) fn faults(effects: &[Effect]) -> Vec<&Fault> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::PeerFault { fault, .. } => Some(fault),
            _ => None,
        })
        .collect()
}

pub(super) fn speaks(effects: &[Effect]) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::Send { .. } | Effect::Broadcast(_)))
}

/// A member that neither leads view 1 nor collects its votes.
pub(super) fn follower() -> Solo {
    let probe = Solo::new(0);
    let leads = [1, 2].map(|view| probe.consensus.leader(View::new(view)));
    let me = (0..4).find(|member| !leads.contains(member));
    Solo::new(me.unwrap_or_default())
}
