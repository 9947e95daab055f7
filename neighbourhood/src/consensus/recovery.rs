//! How a member that lost its safety record finds out what it may sign again.
//!
//! 1. It abstains, and asks all members with a fresh nonce ([`ReportRequest`]).
//! 2. A member whose own record is whole answers with its certificates, the newest vote of the asker
//!    that it has, and the nonce, signed ([`Report`]).
//! 3. With reports of a quorum that doesn't include itself, the asker adopts the highest
//!    certificates. Let V be the highest view that a report has entered: it signs nothing up to and
//!    with view V + 1 (its *floor*), ever.
//! 4. It takes part again in the first view above its floor that a certificate leads it into. A report
//!    of its own counts for others only from then on.
//!
//! Why this is safe. Let w be the highest view in which the asker ever signed; w > 1 (for w = 1 the
//! floor, at least 2, is above it). It had entered w, so a quorum Q signed votes or timeouts in w − 1
//! before. Q and the reporters, being two quorums, share a correct member X other than the asker:
//! more than a third of the weight is in both, and the asker isn't among the reporters. X's report
//! is younger than the nonce, so younger than its signature in w − 1. If X never lost a record, or
//! signed in w − 1 after its last recovery, it has entered w − 1 when it reports; if it signed before
//! its last recovery, its own floor is at least w − 1, and it reports only above it. So V ≥ w − 1,
//! and the floor V + 1 ≥ w: no view is signed in twice.
//!
//! The lock holds too. Let B in view w − 1 and its child in view w be certified; every timeout
//! certificate of a view u ≥ w must name a view of at least w − 1. By induction on u: it shares a
//! correct signer X with the child's certificate. If X signed both in one life, its timeout names at
//! least w − 1, for the certificate of B was durable with its vote. Else X timed out in a view above
//! its floor ≥ w, which it entered by a quorum certificate of a view ≥ w, or by a timeout
//! certificate of a view in [w, u), which came with a quorum certificate as high as it names: by
//! induction at least w − 1.
//!
//! # The first start
//!
//! A member of the genesis that starts for the first time has signed nothing, but can't tell that from a lost
//! disk whose directory was made anew. So it abstains and asks too, as a *founder*
//! ([`Consensus::first_start`]). It signs from view 1 on, without a floor, once members that are a quorum
//! *together with it* have answered that they know no certificate of the instance, and none shows a vote of
//! its own ([`Consensus::may_found`]). Founders that ask themselves count here: else all would wait for each
//! other. If too many know a certificate, it recovers as above, where founders don't count, nor itself. An own
//! signature that anybody shows ends the matter: it isn't its first start.
//!
//! Let w be the highest view that it signed in an earlier life all the same. Whoever signed in w − 1 > 1 had
//! entered that view by a certificate. The quorum that did so and the one that answered share more than a
//! third of the weight, so a correct member that lost no record, since less than a third is corrupt or has
//! (the asker among them). Its answer is younger than the nonce and would name that certificate. So w ≤ 2:
//! what can go unnoticed is a signature in the first two views of a network, made before a certificate of the
//! first had reached those who answer.
//!
//! A founder that comes when the others have begun recovers like a member that lost its record, if a quorum
//! without it answers. One corrupt member can keep that from it, and with it the others from their quorum: for
//! as long as the founder abstains it is one faulty member more. So where an instance stands for long, it takes
//! its host's word and joins ([`Consensus::join`]): members that are a quorum together with it answer a second,
//! fresh nonce, and none shows a signature of its own. Let V be the highest view that a report has entered: it
//! votes from V on, and proposes from V + 2 on. If the word is true, it has signed nothing, and any view is
//! right. If not, it is one of the faulty members that safety allows for; and as w ≤ V + 1 by the argument
//! above, it signs two blocks of one view only when the leader of V or V + 1 does.
//!
//! Limit: a member that holds a third of the weight or more can't recover this way, and nobody can
//! when the others are no quorum. Deviation from the first design: two thirds *of the others'*
//! weight is not enough when weights differ, and one view more is left out, since a report may come
//! from the view before that of the lost signature.

use super::core::{Consensus, Cx};
use super::messages::Effect;
use super::safety::Standing;
use super::setup::Host;
use frith_ledger::block::{BlockId, Instance};
use frith_ledger::certificate::{
    CertificateError, Committee, QuorumCertificate, TimeoutCertificate, Vote, Weight,
};
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, Role, Signature, signing_hash};
use frith_ledger::store::StoreError;
use frith_ledger::units::{Millis, View};
use parity_scale_codec::{Decode, Encode};
use std::collections::BTreeSet;

/// Asks a member for its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ReportRequest {
    /// Which instance.
    pub instance: Instance,
    /// Drawn afresh by the asker.
    pub nonce: [u8; 32],
}

/// What a reporter says of its own record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ReporterRecord {
    /// It doesn't know what it signed, or may not sign yet: its report doesn't count.
    Lost,
    /// It knows what it signed.
    Kept,
    /// It is a founder that asks itself whether the network has begun: counts for another founder only.
    Founder,
}

/// What a member knows of an instance, said to one asker.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Report {
    /// Which instance.
    pub instance: Instance,
    /// Who reports: an index in the committee.
    pub member: u16,
    /// Who asked.
    pub to: PublicKey,
    /// The asker's nonce.
    pub nonce: [u8; 32],
    /// The reporter's highest quorum certificate.
    pub high: Option<QuorumCertificate>,
    /// Its highest timeout certificate, when above that.
    pub timeout: Option<TimeoutCertificate>,
    /// The asker's newest vote that the reporter has.
    pub your_vote: Option<Vote>,
    /// Whether the reporter knows what it signed.
    pub record: ReporterRecord,
    /// In [`Role::Report`].
    pub signature: Signature,
}

impl Report {
    /// The hash that its signature is on.
    #[must_use]
    pub fn signing_hash(&self, genesis: &Hash) -> Hash {
        let body = (
            self.instance,
            self.to,
            self.nonce,
            &self.high,
            &self.timeout,
            &self.your_vote,
            self.record,
        );
        signing_hash(Role::Report, genesis, &body)
    }

    /// The view that the reporter has entered.
    #[must_use]
    pub fn view(&self) -> View {
        let high = self
            .high
            .as_ref()
            .map_or(View::ZERO, |certificate| certificate.view);
        self.timeout
            .as_ref()
            .map_or(high, |certificate| certificate.view.max(high))
            .next()
    }
}

/// Why a member can't recover yet. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// It knows what it signed, or it is no member.
    #[error("this node doesn't abstain")]
    NotAbstaining,
    /// The valid reports with a record are no quorum.
    #[error("the reports weigh {weight}, more than two thirds of {total} are needed")]
    NoQuorum {
        /// Their weight.
        weight: Weight,
        /// The committee's weight.
        total: Weight,
    },
    /// The record could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why one report doesn't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReportError {
    #[error("it answers another question")]
    Other,
    #[error("a signature does not hold")]
    Signature,
    #[error("a certificate does not hold: {0}")]
    Certificate(#[from] CertificateError),
}

impl Consensus {
    /// What this member tells an asker; `None` when it is no member.
    #[must_use]
    pub fn report(&self, nonce: [u8; 32], to: &PublicKey) -> Option<Report> {
        let member = self.me?;
        let asker = self.committee.index_of(to);
        let mut report = Report {
            instance: self.instance,
            member,
            to: *to,
            nonce,
            high: self.high.clone(),
            timeout: self.timeout.clone(),
            your_vote: asker.and_then(|asker| self.last_vote_of(asker)),
            record: self.own_record(),
            signature: Signature([0; 64]),
        };
        report.signature = self.key.sign(&report.signing_hash(&self.genesis));
        Some(report)
    }

    fn own_record(&self) -> ReporterRecord {
        if self.signs() {
            ReporterRecord::Kept
        } else if self.founder {
            ReporterRecord::Founder
        } else {
            ReporterRecord::Lost
        }
    }

    /// Whether this instance abstains as a founder's, and nobody has shown a signature of its key.
    pub const fn is_founder(&self) -> bool {
        self.founder
    }

    /// Marks an instance that abstains as a founder's: the first start of a member of the genesis.
    pub fn first_start(&mut self) {
        self.founder = self.abstains();
    }

    /// Whether reports that answer `nonce` show that nothing was certified before this founder asked: reports of
    /// members that are a quorum together with it, see the module. Costs the signature checks.
    pub fn may_found(&mut self, nonce: [u8; 32], reports: &[Report]) -> bool {
        let Some(me) = self.me.filter(|_| self.founder && self.abstains()) else {
            return false;
        };
        let mut weight = weight_of(&self.committee, me);
        let mut counted = BTreeSet::new();
        for report in reports {
            let valid = report.record != ReporterRecord::Lost
                && !counted.contains(&report.member)
                && self.check_report(&nonce, report).is_ok();
            if valid && report.your_vote.is_some() {
                self.founder = false;
                return false;
            }
            if valid && report.high.is_none() && report.timeout.is_none() {
                counted.insert(report.member);
                weight = weight.saturating_add(weight_of(&self.committee, report.member));
            }
        }
        self.committee.is_quorum(weight)
    }

    /// Begins to sign as a founder, after [`Self::may_found`]. The host has written a fresh record, and syncs it
    /// before what comes of this call.
    pub fn found(&mut self, now: Millis, host: &mut dyn Host, out: &mut Vec<Effect>) {
        if !std::mem::take(&mut self.founder) || !self.abstains() {
            return;
        }
        self.safety.standing = Standing::Signing;
        let mut cx = Cx { now, host, out };
        self.vote_on_waiting(&mut cx);
        self.settle(&mut cx);
    }

    /// Lets a founder sign beside members that have begun, on its host's word, see the module. `nonce` was drawn
    /// after the instance had stood still; reports that don't count are skipped.
    ///
    /// # Errors
    /// [`RecoverError::NoQuorum`]: gather more. [`RecoverError::NotAbstaining`]: it is no founder, or somebody
    /// shows that it has signed before. Costs the signature checks.
    pub fn join(
        &mut self,
        now: Millis,
        host: &mut dyn Host,
        nonce: [u8; 32],
        reports: &[Report],
        out: &mut Vec<Effect>,
    ) -> Result<(), RecoverError> {
        let Some(me) = self.me.filter(|_| self.founder && self.abstains()) else {
            return Err(RecoverError::NotAbstaining);
        };
        let own = weight_of(&self.committee, me);
        let valid = self.quorum_of(&nonce, reports, own, |record| {
            record != ReporterRecord::Lost
        })?;
        let mut cx = Cx { now, host, out };
        let mut entered = View::ZERO;
        for report in valid {
            if let Some(vote) = &report.your_vote {
                self.shown(&mut cx, vote.view, View::ZERO);
            }
            entered = entered.max(report.view());
            self.adopt(
                &mut cx,
                report.high.clone(),
                report.timeout.clone(),
                report.member,
            );
        }
        if !std::mem::take(&mut self.founder) {
            return Err(RecoverError::NotAbstaining);
        }
        let before = entered.minus(1);
        let record = &mut self.safety.record;
        (record.voted, record.proposed, record.floor) = (before, entered.next(), before);
        self.safety.standing = Standing::Signing;
        let saved = self.save(&mut cx, None);
        if saved.is_ok() {
            cx.out.push(Effect::Rejoined);
            self.vote_on_waiting(&mut cx);
        }
        self.settle(&mut cx);
        saved.map_err(RecoverError::Store)
    }

    /// Votes on proposals of this view that came while it abstained.
    fn vote_on_waiting(&mut self, cx: &mut Cx<'_>) {
        let view = self.view();
        let waiting: Vec<BlockId> = self
            .tree
            .nodes()
            .filter(|(_, node)| node.view() == view)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.vote(cx, &id);
        }
        self.eager = true;
    }

    /// Ends the abstention with reports that answer `nonce`. Reports that don't count are skipped.
    ///
    /// # Errors
    /// [`RecoverError::NoQuorum`]: gather more. Costs the certificates' signature checks.
    pub fn recover(
        &mut self,
        now: Millis,
        host: &mut dyn Host,
        nonce: [u8; 32],
        reports: &[Report],
        out: &mut Vec<Effect>,
    ) -> Result<(), RecoverError> {
        if !self.abstains() {
            return Err(RecoverError::NotAbstaining);
        }
        let mut floor = self.safety.record.signed();
        let valid = self.quorum_of(&nonce, reports, 0, keeps)?;
        for report in &valid {
            let vote = report
                .your_vote
                .as_ref()
                .map_or(View::ZERO, |vote| vote.view);
            floor = floor.max(report.view().next()).max(vote);
        }
        let mut cx = Cx { now, host, out };
        for report in valid {
            self.adopt(
                &mut cx,
                report.high.clone(),
                report.timeout.clone(),
                report.member,
            );
        }
        let record = &mut self.safety.record;
        (record.voted, record.proposed, record.floor) = (floor, floor, floor);
        self.safety.standing = Standing::Signing;
        self.founder = false;
        let saved = self.save(&mut cx, None);
        self.settle(&mut cx);
        saved.map_err(RecoverError::Store)
    }

    /// Whether reports that answer `nonce` show that a quorum was in this instance when it was asked. For
    /// a node that has no vote here; nothing changes.
    ///
    /// # Errors
    /// [`RecoverError::NoQuorum`]: gather more. Costs the certificates' signature checks.
    pub fn attest(&mut self, nonce: [u8; 32], reports: &[Report]) -> Result<(), RecoverError> {
        if self.me.is_some() {
            return Err(RecoverError::NotAbstaining);
        }
        self.quorum_of(&nonce, reports, 0, keeps).map(drop)
    }

    /// The reports that count, one a member, when they are a quorum together with the weight `own`.
    fn quorum_of<'a>(
        &mut self,
        nonce: &[u8; 32],
        reports: &'a [Report],
        own: Weight,
        counts: impl Fn(ReporterRecord) -> bool,
    ) -> Result<Vec<&'a Report>, RecoverError> {
        let mut counted = BTreeSet::new();
        let mut weight = own;
        let mut valid = Vec::new();
        for report in reports {
            if !counts(report.record)
                || counted.contains(&report.member)
                || self.check_report(nonce, report).is_err()
            {
                continue;
            }
            counted.insert(report.member);
            weight = weight.saturating_add(weight_of(&self.committee, report.member));
            valid.push(report);
        }
        if self.committee.is_quorum(weight) {
            Ok(valid)
        } else {
            Err(RecoverError::NoQuorum {
                weight,
                total: self.committee.weight(),
            })
        }
    }

    fn check_report(&mut self, nonce: &[u8; 32], report: &Report) -> Result<(), ReportError> {
        let answers = report.instance == self.instance
            && report.nonce == *nonce
            && report.to == self.key.public()
            && Some(report.member) != self.me;
        if !answers {
            return Err(ReportError::Other);
        }
        let member = self
            .committee
            .get(report.member)
            .ok_or(ReportError::Other)?;
        let hash = report.signing_hash(&self.genesis);
        member
            .key
            .verify(&hash, &report.signature)
            .map_err(|_| ReportError::Signature)?;
        if let Some(vote) = &report.your_vote {
            let own = vote.instance == self.instance && Some(vote.member) == self.me;
            let holds = self
                .key
                .public()
                .verify(&vote.signing_hash(&self.genesis), &vote.signature)
                .is_ok();
            if !own || !holds {
                return Err(ReportError::Signature);
            }
        }
        self.check_certificates(&report.high, &report.timeout)?;
        Ok(())
    }
}

fn keeps(record: ReporterRecord) -> bool {
    record == ReporterRecord::Kept
}

fn weight_of(committee: &Committee, member: u16) -> Weight {
    committee.get(member).map_or(0, |member| member.weight)
}
