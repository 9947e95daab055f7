//! Proposals: receiving, checking, voting, making.

use super::core::{Consensus, Cx};
use super::messages::{ConsensusMessage, Effect, Fault};
use super::safety::Standing;
use super::setup::{Parent, Verdict};
use super::tree::{Node, Stage};
use frith_ledger::block::{Block, BlockHeader, BlockId, Proposal};
#[cfg(any(test, feature = "planted-bugs"))]
use frith_ledger::certificate::QuorumCertificate;
use frith_ledger::certificate::Vote;
use frith_ledger::key::{Role, signing_hash};
use frith_ledger::operation::Offence;
use frith_ledger::units::{Height, View};

/// Views of which the first proposal is remembered, to find a second one.
const PROPOSED_MAX: usize = 32;

impl Consensus {
    pub(super) fn on_proposal(&mut self, cx: &mut Cx<'_>, proposal: Proposal) -> Result<(), Fault> {
        let id = proposal.id();
        let header = &proposal.block.header;
        if header.instance != self.instance
            || header.view <= self.tree.head().view
            || self.tree.get(&id).is_some()
        {
            return Ok(());
        }
        self.check_form(&proposal)?;
        let hash = signing_hash(Role::Proposal, &self.genesis, &id);
        let proposer = self
            .committee
            .get(header.proposer)
            .ok_or(Fault::Signature)?;
        proposer
            .key
            .verify(&hash, &proposal.signature)
            .map_err(|_| Fault::Signature)?;
        if Some(header.proposer) == self.me {
            self.shown(cx, header.view, self.safety.record.proposed);
        }
        if let Some(justify) = &proposal.justify {
            self.verified
                .quorum(justify, &self.instance, &self.committee, &self.genesis)?;
        }
        if let Some(timeout) = &proposal.timeout {
            self.verified
                .timeout(timeout, &self.instance, &self.committee, &self.genesis)?;
        }
        let source = self.source;
        self.adopt(
            cx,
            proposal.justify.clone(),
            proposal.timeout.clone(),
            source,
        );
        let wanted = self.fetches.contains_key(&id) || self.top() == id;
        if self.is_second(cx, &proposal) && !wanted {
            return Ok(());
        }
        self.take(cx, id, proposal);
        Ok(())
    }

    /// What can be checked without the parent or a signature.
    fn check_form(&self, proposal: &Proposal) -> Result<(), Fault> {
        let header = &proposal.block.header;
        if header.proposer != self.leader(header.view) {
            return Err(Fault::NotLeader {
                proposer: header.proposer,
                view: header.view,
            });
        }
        if header.payload != proposal.block.payload.hash() {
            return Err(Fault::Malformed {
                what: "a header names the hash of its payload",
            });
        }
        if header.grounds != Proposal::grounds(&proposal.justify, &proposal.timeout) {
            return Err(Fault::Malformed {
                what: "a header names the hash of its certificates",
            });
        }
        if header.parent
            != proposal
                .justify
                .as_ref()
                .map_or(self.base.id, |justify| justify.block)
        {
            return Err(Fault::Malformed {
                what: "a block extends the block that its certificate is of",
            });
        }
        if !self.safety.follows(proposal) {
            return Err(Fault::Malformed {
                what: "a proposal follows the view before it",
            });
        }
        Ok(())
    }

    /// Remembers the first proposal of a view; whether this is another one.
    fn is_second(&mut self, cx: &mut Cx<'_>, proposal: &Proposal) -> bool {
        let header = &proposal.block.header;
        let Some((first, first_signature)) = self.proposed.get(&header.view) else {
            self.proposed
                .insert(header.view, (header.clone(), proposal.signature));
            if self.proposed.len() > PROPOSED_MAX {
                self.proposed.pop_first();
            }
            return false;
        };
        if first == header {
            return false;
        }
        if self.tally.offends(header.proposer) {
            cx.out.push(Effect::Offence(Box::new(Offence::Proposals {
                first: first.clone(),
                first_signature: *first_signature,
                second: header.clone(),
                second_signature: proposal.signature,
            })));
        }
        true
    }

    /// Puts a verified proposal into the tree.
    fn take(&mut self, cx: &mut Cx<'_>, id: BlockId, proposal: Proposal) {
        let head = self.tree.head();
        let beside = proposal.justify_view() < head.view
            || (proposal.justify_view() == head.view && proposal.block.header.parent != head.id);
        if beside || proposal.block.header.view <= head.view {
            return;
        }
        let certified = self.top() == id || !self.tree.children(&id).is_empty();
        let justify = proposal.justify.clone();
        let node = Node {
            proposal,
            stage: Stage::Waiting,
            certified,
        };
        let Some(dropped) = self.tree.insert(id, node) else {
            return;
        };
        cx.out.extend(dropped.into_iter().map(Effect::Dropped));
        self.fetches.remove(&id);
        // The block may be the parent or the child of a commit that waited for it.
        for certificate in justify.iter().chain(self.high.clone().iter()) {
            self.note_commit(certificate);
        }
        for child in self.tree.children(&id) {
            if let Some(certificate) = self
                .tree
                .get(&child)
                .and_then(|node| node.proposal.justify.clone())
            {
                self.note_commit(&certificate);
            }
        }
        self.check_waiting(cx);
    }

    /// Has the host check every block whose parent is executed. Whether any was executed.
    pub(super) fn check_waiting(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut any = false;
        loop {
            let ready = self.tree.nodes().find(|(_, node)| {
                let parent = node.parent();
                let known = self.tree.is_executed(&parent)
                    || self
                        .tree
                        .get(&parent)
                        .is_some_and(|parent| matches!(parent.stage, Stage::Invalid { .. }));
                node.stage == Stage::Waiting && known
            });
            let Some(id) = ready.map(|(id, _)| *id) else {
                return any;
            };
            any |= self.judge(cx, &id);
        }
    }

    /// Where the parent of a block stands: height and view.
    fn place(&self, id: &BlockId) -> Option<(Height, View)> {
        let head = self.tree.head();
        if *id == head.id {
            return Some((head.height, head.view));
        }
        self.tree
            .get(id)
            .map(|node| (node.proposal.block.header.height, node.view()))
    }

    /// Asks the host about a block whose parent is executed. Whether it is executed now.
    pub(super) fn judge(&mut self, cx: &mut Cx<'_>, id: &BlockId) -> bool {
        let Some(node) = self.tree.get(id) else {
            return false;
        };
        let header = &node.proposal.block.header;
        if matches!(
            node.stage,
            Stage::Executed { votable: true } | Stage::Invalid { .. }
        ) {
            return false;
        }
        let verdict = match (
            self.place(&header.parent),
            self.tree.is_executed(&header.parent),
        ) {
            (Some((height, view)), true) => {
                if header.height != height.next() || node.proposal.justify_view() != view {
                    Verdict::Reject {
                        reason: "height or view do not follow the parent's".into(),
                    }
                } else {
                    cx.host.check(cx.now, &node.proposal, node.certified)
                }
            }
            (Some(_), false)
                if matches!(
                    self.tree.get(&header.parent),
                    Some(Node {
                        stage: Stage::Invalid { .. },
                        ..
                    })
                ) =>
            {
                Verdict::Reject {
                    reason: "its parent is invalid".into(),
                }
            }
            _ => return false,
        };
        let proposer = header.proposer;
        let stage = match verdict {
            Verdict::Accept => Stage::Executed { votable: true },
            Verdict::Abstain => Stage::Executed { votable: false },
            Verdict::Wait if node.is_executed() => return false,
            Verdict::Wait => Stage::Checking,
            Verdict::Reject { reason } => {
                cx.out.push(Effect::PeerFault {
                    member: proposer,
                    fault: Fault::InvalidBlock {
                        reason: reason.clone(),
                    },
                });
                Stage::Invalid { reason }
            }
        };
        let Some(node) = self.tree.get_mut(id) else {
            return false;
        };
        node.stage = stage;
        if matches!(node.stage, Stage::Invalid { .. }) {
            self.check_diverged(cx, id);
            return false;
        }
        if !node.is_executed() {
            return false;
        }
        self.eager = true;
        self.vote(cx, id);
        self.commit(cx);
        true
    }

    /// Stops when a quorum certified what is invalid.
    pub(super) fn check_diverged(&mut self, cx: &mut Cx<'_>, id: &BlockId) {
        let Some(Node {
            stage: Stage::Invalid { reason },
            certified: true,
            ..
        }) = self.tree.get(id)
        else {
            return;
        };
        cx.out.push(Effect::Diverged {
            block: *id,
            reason: reason.clone(),
        });
        self.safety.standing = Standing::Silent;
    }

    /// Votes for an executed block, if the rules allow.
    pub(super) fn vote(&mut self, cx: &mut Cx<'_>, id: &BlockId) {
        let Some(vote) = self.sign_vote(cx, id) else {
            return;
        };
        let to = self.leader(vote.view.next());
        let message = ConsensusMessage::Vote(Box::new(vote.clone()));
        #[cfg(any(test, feature = "planted-bugs"))]
        if self.safety.faults.vote_before_sync && Some(to) != self.me {
            cx.out.push(Effect::Send { to, message });
            let _halted = self.save(cx, Some(id));
            return;
        }
        if self.save(cx, Some(id)).is_err() {
            return;
        }
        if Some(to) == self.me {
            self.own_votes.push_back(vote);
        } else {
            cx.out.push(Effect::Send { to, message });
        }
    }

    /// A vote for `id`, entered into the record but not saved.
    fn sign_vote(&mut self, cx: &Cx<'_>, id: &BlockId) -> Option<Vote> {
        let me = self.me?;
        let view = self.view();
        let node = self
            .tree
            .get(id)
            .filter(|node| node.stage == Stage::Executed { votable: true })?;
        if !self.safety.may_vote(view, &node.proposal) {
            return None;
        }
        let known = self.known(cx, id);
        let vote = Vote::sign(
            self.instance,
            view,
            *id,
            me,
            known,
            &self.genesis,
            &self.key,
        );
        let signed = vote.signing_hash(&self.genesis);
        self.verified
            .trust_signature(&self.key.public(), &signed, &vote.signature);
        self.safety.record.voted = view;
        self.safety.record.last_vote = Some((view, *id));
        Some(vote)
    }

    /// Proposes, when this member leads the view and the host has something. Whether it did.
    pub(super) fn propose(&mut self, cx: &mut Cx<'_>) -> bool {
        if !std::mem::take(&mut self.eager) {
            return false;
        }
        let view = self.view();
        let Some(me) = self
            .me
            .filter(|me| *me == self.leader(view) && self.safety.may_propose(view))
        else {
            return false;
        };
        let Some(proposal) = self.make(cx, me) else {
            return false;
        };
        let id = proposal.id();
        let verdict = cx.host.check(cx.now, &proposal, false);
        let votable = match verdict {
            Verdict::Accept => true,
            Verdict::Abstain => false,
            // The host made it and can't stand by it: not worth a view of the others' time.
            Verdict::Wait | Verdict::Reject { .. } => return false,
        };
        self.proposed
            .insert(view, (proposal.block.header.clone(), proposal.signature));
        let stage = Stage::Executed { votable };
        let node = Node {
            proposal: proposal.clone(),
            stage,
            certified: false,
        };
        let Some(dropped) = self.tree.insert(id, node) else {
            return false;
        };
        cx.out.extend(dropped.into_iter().map(Effect::Dropped));
        self.safety.record.proposed = view;
        // The own vote is in the same record, so that a leader syncs once a view.
        let vote = self.sign_vote(cx, &id);
        if self.save(cx, Some(&id)).is_err() {
            return false;
        }
        cx.out
            .push(Effect::Broadcast(ConsensusMessage::Proposal(Box::new(
                proposal,
            ))));
        if let Some(vote) = vote {
            let to = self.leader(view.next());
            if to == me {
                self.own_votes.push_back(vote);
            } else {
                cx.out.push(Effect::Send {
                    to,
                    message: ConsensusMessage::Vote(Box::new(vote)),
                });
            }
        }
        true
    }

    /// A signed proposal on the highest certificate; `None`: it can't be built on yet, or there is
    /// nothing to propose.
    fn make(&self, cx: &mut Cx<'_>, me: u16) -> Option<Proposal> {
        let view = self.view();
        #[cfg_attr(
            not(any(test, feature = "planted-bugs")),
            expect(unused_mut, reason = "for a leader that misbehaves")
        )]
        let (mut top, mut justify) = (self.top(), self.high.clone());
        #[cfg(any(test, feature = "planted-bugs"))]
        if self.safety.faults.stale_leader
            && let Some(stale) = self.stale()
        {
            (top, justify) = stale;
        }
        let (height, parent_view) = self.place(&top).filter(|_| self.tree.is_executed(&top))?;
        let timeout = if self.high_view().next() == view {
            None
        } else {
            Some(
                self.timeout
                    .clone()
                    .filter(|timeout| timeout.view.next() == view)?,
            )
        };
        let on = Parent {
            id: top,
            height,
            parent_view,
            view,
            justify: justify.as_ref(),
            timeout: timeout.as_ref(),
        };
        let (payload, state) = cx.host.propose(cx.now, &on)?;
        let header = BlockHeader {
            instance: self.instance,
            height: height.next(),
            view,
            parent: top,
            grounds: Proposal::grounds(&justify, &timeout),
            proposer: me,
            payload: payload.hash(),
            state,
        };
        Some(Proposal::sign(
            Block { header, payload },
            justify,
            timeout,
            &self.genesis,
            &self.key,
        ))
    }

    /// The misbehaviour: after a view that was given up, what the block of the highest certificate builds on.
    #[cfg(any(test, feature = "planted-bugs"))]
    fn stale(&self) -> Option<(BlockId, Option<QuorumCertificate>)> {
        let given_up = self.high_view().next() != self.view();
        let node = self.tree.get(&self.top()).filter(|_| given_up)?;
        Some((node.parent(), node.proposal.justify.clone()))
    }
}
