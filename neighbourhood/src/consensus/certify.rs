//! Votes, timeouts, and the certificates made of them.

use super::core::{Consensus, Cx, Formed};
use super::messages::{ConsensusMessage, Effect, Fault, Proven};
use super::safety::Standing;
use super::tree::Stage;
use frith_ledger::block::BatchDigest;
use frith_ledger::certificate::{QuorumCertificate, Timeout, TimeoutCertificate, Vote};
use frith_ledger::operation::Offence;
use frith_ledger::units::View;

/// Views above the current one in which votes are counted.
const AHEAD_MAX: u64 = 16;

impl Consensus {
    pub(super) fn on_vote(&mut self, cx: &mut Cx<'_>, vote: Vote) -> Result<(), Fault> {
        let member = self.committee.get(vote.member).ok_or(Fault::Signature)?;
        check_known(&vote.known)?;
        let first = self.tally.vote(vote.member, vote.view);
        if first.is_some_and(|first| first.block == vote.block)
            || vote.view > self.view().plus(AHEAD_MAX)
        {
            return Ok(());
        }
        if first.is_none() && vote.view < self.view() {
            // One view late is routine: the certificate was complete without it.
            if vote.view.next() < self.view() && vote.member == self.source {
                self.answer(cx);
            }
            return Ok(());
        }
        let signed = vote.signing_hash(&self.genesis);
        self.verified
            .signature(&member.key, &signed, &vote.signature)
            .map_err(|_| Fault::Signature)?;
        if let Some(first) = first.cloned() {
            if self.tally.offends(vote.member) {
                cx.out
                    .push(Effect::Offence(Box::new(Offence::Votes(first, vote))));
            }
            return Ok(());
        }
        if Some(vote.member) == self.me {
            self.shown(cx, vote.view, self.safety.record.voted);
        }
        self.count_vote(cx, vote);
        Ok(())
    }

    fn count_vote(&mut self, cx: &mut Cx<'_>, vote: Vote) {
        let (view, block) = (vote.view, vote.block);
        self.tally.add_vote(vote);
        if view < self.view() {
            return;
        }
        if let Some(certificate) = self.tally.certify(&self.committee, view, &block) {
            self.verified.trust(&certificate);
            self.adopt_quorum(cx, certificate);
            self.formed = Some(Formed::Quorum);
        }
    }

    /// Counts the votes that this member collects itself. Whether there were any.
    pub(super) fn count_own_votes(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut any = false;
        while let Some(vote) = self.own_votes.pop_front() {
            any = true;
            self.count_vote(cx, vote);
        }
        any
    }

    pub(super) fn on_timeout(&mut self, cx: &mut Cx<'_>, timeout: Timeout) -> Result<(), Fault> {
        let member = self.committee.get(timeout.member).ok_or(Fault::Signature)?;
        check_known(&timeout.known)?;
        if timeout.high_view() >= timeout.view {
            return Err(Fault::Malformed {
                what: "no certificate of a view that is given up",
            });
        }
        if timeout.view < self.view() {
            if timeout.member == self.source {
                self.answer(cx);
            }
            return Ok(());
        }
        if self
            .tally
            .timeout(timeout.member)
            .is_some_and(|last| last.view > timeout.view || *last == timeout)
        {
            if timeout.member == self.source {
                self.repeat(cx, timeout.view);
            }
            return Ok(());
        }
        let signed = timeout.signing_hash(&self.genesis);
        self.verified
            .signature(&member.key, &signed, &timeout.signature)
            .map_err(|_| Fault::Signature)?;
        if Some(timeout.member) == self.me {
            self.shown(cx, timeout.view, self.safety.record.voted);
        }
        if let Some(high) = timeout
            .high
            .clone()
            .filter(|high| high.view > self.high_view())
        {
            self.verified
                .quorum(&high, &self.instance, &self.committee, &self.genesis)?;
            self.adopt_quorum(cx, high);
        }
        let view = timeout.view;
        let direct = timeout.member == self.source;
        self.tally.add_timeout(timeout);
        if self.count_timeouts(cx, view) {
            return Ok(());
        }
        let view = self.view();
        if !self.pacemaker.gave_up()
            && self
                .committee
                .is_third(self.tally.gave_up(&self.committee, view))
        {
            // Among a third of the weight is a correct member whose time ran out (Bracha).
            self.time_out(cx);
        } else if direct {
            self.repeat(cx, view);
        }
        Ok(())
    }

    /// Gives up the current view, or says so again.
    pub(super) fn time_out(&mut self, cx: &mut Cx<'_>) {
        let view = self.view();
        let Some(me) = self
            .me
            .filter(|_| self.safety.may_time_out(view, self.high_view()))
        else {
            return;
        };
        let top = self.top();
        let head = if self.tree.is_executed(&top) {
            top
        } else {
            self.tree.head().id
        };
        let known = self.known(cx, &head);
        #[cfg_attr(
            not(any(test, feature = "planted-bugs")),
            expect(unused_mut, reason = "for the planted bug")
        )]
        let mut high = self.high.clone();
        #[cfg(any(test, feature = "planted-bugs"))]
        if self.safety.faults.skip_lock {
            high = None;
        }
        let timeout = Timeout::sign(
            self.instance,
            view,
            high,
            me,
            known,
            &self.genesis,
            &self.key,
        );
        let signed = timeout.signing_hash(&self.genesis);
        self.verified
            .trust_signature(&self.key.public(), &signed, &timeout.signature);
        self.safety.record.voted = self.safety.record.voted.max(view);
        if self.save(cx, None).is_err() {
            return;
        }
        self.pacemaker.sent(cx.now);
        cx.out
            .push(Effect::Broadcast(ConsensusMessage::Timeout(Box::new(
                timeout.clone(),
            ))));
        self.tally.add_timeout(timeout);
        self.count_timeouts(cx, view);
    }

    /// Makes the certificate of `view`'s end when it is due. Whether it did.
    fn count_timeouts(&mut self, cx: &mut Cx<'_>, view: View) -> bool {
        if view < self.view() {
            return false;
        }
        let Some(certificate) = self.tally.give_up(&self.committee, view) else {
            return false;
        };
        self.verified.trust(&("timeout", &certificate));
        self.adopt_timeout(cx, certificate);
        self.formed = Some(Formed::Timeout);
        true
    }

    pub(super) fn on_certificate(
        &mut self,
        cx: &mut Cx<'_>,
        certificate: QuorumCertificate,
    ) -> Result<(), Fault> {
        if certificate.view > self.high_view() {
            self.verified
                .quorum(&certificate, &self.instance, &self.committee, &self.genesis)?;
            self.adopt_quorum(cx, certificate);
        }
        Ok(())
    }

    pub(super) fn on_timeout_certificate(
        &mut self,
        cx: &mut Cx<'_>,
        proven: Proven,
    ) -> Result<(), Fault> {
        if let Some(high) = proven.high {
            self.on_certificate(cx, high)?;
        }
        let certificate = proven.certificate;
        if certificate.view < self.view() {
            return Ok(());
        }
        if certificate.high() > self.high_view() {
            return Err(Fault::Malformed {
                what: "a timeout certificate comes with the certificate that it names",
            });
        }
        self.verified
            .timeout(&certificate, &self.instance, &self.committee, &self.genesis)?;
        self.adopt_timeout(cx, certificate);
        Ok(())
    }

    /// Takes in verified certificates; the first is as high as the second names.
    pub(super) fn adopt(
        &mut self,
        cx: &mut Cx<'_>,
        high: Option<QuorumCertificate>,
        timeout: Option<TimeoutCertificate>,
        source: u16,
    ) {
        self.source = source;
        if let Some(high) = high {
            self.adopt_quorum(cx, high);
        }
        if let Some(timeout) = timeout {
            self.adopt_timeout(cx, timeout);
        }
    }

    fn adopt_quorum(&mut self, cx: &mut Cx<'_>, certificate: QuorumCertificate) {
        if self
            .me
            .is_some_and(|me| certificate.parts.iter().any(|part| part.member == me))
        {
            self.shown(cx, certificate.view, self.safety.record.voted);
        }
        if certificate.view <= self.tree.head().view {
            return;
        }
        let block = certificate.block;
        if let Some(node) = self.tree.get_mut(&block)
            && !node.certified
        {
            node.certified = true;
            let waits = node.stage == Stage::Checking;
            self.check_diverged(cx, &block);
            if waits {
                self.judge(cx, &block);
            }
        }
        if certificate.view > self.high_view() {
            self.high = Some(certificate.clone());
            self.timeout
                .take_if(|timeout| timeout.view <= certificate.view);
        }
        self.note_commit(&certificate);
        self.commit(cx);
        if certificate.view >= self.view() {
            self.enter(cx, certificate.view.next(), false);
        }
    }

    fn adopt_timeout(&mut self, cx: &mut Cx<'_>, certificate: TimeoutCertificate) {
        if self
            .me
            .is_some_and(|me| certificate.parts.iter().any(|part| part.member == me))
        {
            self.shown(cx, certificate.view, self.safety.record.voted);
        }
        let view = certificate.view;
        if view > self.certified_view() {
            self.timeout = Some(certificate);
            #[cfg(any(test, feature = "planted-bugs"))]
            if self.safety.faults.skip_lock {
                self.unlock();
            }
        }
        if view >= self.view() {
            self.enter(cx, view.next(), true);
        }
    }

    /// The planted bug: forgets what is certified and not committed.
    #[cfg(any(test, feature = "planted-bugs"))]
    fn unlock(&mut self) {
        let head = self.tree.head();
        let on_head = self.tree.nodes().find(|(_, node)| node.parent() == head.id);
        let on_head = on_head.map(|(_, node)| node.proposal.justify.clone());
        self.high = on_head.unwrap_or_else(|| self.high.take());
    }

    fn enter(&mut self, cx: &mut Cx<'_>, view: View, failed: bool) {
        let signed = self.signs();
        self.pacemaker.enter(view, failed);
        self.schedule.enter(view);
        self.tally.prune(view);
        self.formed = None;
        self.eager = true;
        if !signed && self.signs() {
            cx.out.push(Effect::Rejoined);
        }
    }

    /// An own signature in `view` was shown, by whomever: the record must know of it. A founder has none.
    pub(super) fn shown(&mut self, cx: &mut Cx<'_>, view: View, recorded: View) {
        let lost = match self.safety.standing {
            Standing::Signing => view > recorded,
            Standing::Abstaining => std::mem::take(&mut self.founder),
            Standing::Silent => false,
        };
        if lost {
            self.safety.standing = Standing::Abstaining;
            self.own_votes.clear();
            cx.out.push(Effect::RecordLost { shown: view });
        }
    }

    /// Tells others of a certificate made here, when no proposal does.
    pub(super) fn announce(&mut self, cx: &mut Cx<'_>) {
        let Some(formed) = self.formed.take() else {
            return;
        };
        let leader = self.leader(self.view());
        if self.me == Some(leader) && self.safety.record.proposed >= self.view() {
            return;
        }
        for message in self.certificates() {
            if formed == Formed::Timeout && self.me != Some(leader) {
                cx.out.push(Effect::Send {
                    to: leader,
                    message,
                });
            } else {
                cx.out.push(Effect::Broadcast(message));
            }
        }
    }

    /// Brings the member that sent something old up to the current view.
    fn answer(&mut self, cx: &mut Cx<'_>) {
        if self.may_answer(cx) {
            let to = self.source;
            cx.out.extend(
                self.certificates()
                    .into_iter()
                    .map(|message| Effect::Send { to, message }),
            );
        }
    }

    /// Repeats the own timeout to a member that may have missed it.
    fn repeat(&mut self, cx: &mut Cx<'_>, view: View) {
        let own = self
            .me
            .and_then(|me| self.tally.timeout(me))
            .filter(|own| own.view == view)
            .cloned();
        if let Some(own) = own
            && self.pacemaker.may_repeat(cx.now)
            && self.may_answer(cx)
        {
            cx.out.push(Effect::Send {
                to: self.source,
                message: ConsensusMessage::Timeout(Box::new(own)),
            });
        }
    }

    fn may_answer(&mut self, cx: &Cx<'_>) -> bool {
        let pause = self.pacemaker.pause();
        let due = self
            .answered
            .get(&self.source)
            .is_none_or(|last| cx.now >= last.plus(pause));
        if due {
            self.answered.insert(self.source, cx.now);
        }
        due
    }
}

fn check_known(known: &[BatchDigest]) -> Result<(), Fault> {
    if known.is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        Err(Fault::Malformed {
            what: "known batches are sorted, without repeats",
        })
    }
}
