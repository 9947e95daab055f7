//! The instance: its state, its entry points, and how an event ends.

use super::leader::Schedule;
use super::messages::{ConsensusMessage, Effect, Fault, Proven};
use super::pacemaker::Pacemaker;
use super::safety::{Safety, Standing};
use super::setup::{Base, Head, Host, Setup};
use super::tally::Tally;
use super::tree::Tree;
use super::verified::Verified;
use frith_ledger::block::{BatchDigest, BlockHeader, BlockId, Instance, Proposal};
use frith_ledger::certificate::{Committee, QuorumCertificate, TimeoutCertificate, Vote};
use frith_ledger::codec::BoundedVec;
use frith_ledger::hash::Hash;
use frith_ledger::key::{SecretKey, Signature};
use frith_ledger::parameters::OWED_MAX;
use frith_ledger::store::StoreError;
use frith_ledger::units::{Millis, View};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Views that one call goes through at the most, when this member decides alone. The rest follows
/// at the next tick, which is due at once.
const STEPS_MAX: usize = 16;

/// What an event works with.
pub(super) struct Cx<'a> {
    pub(super) now: Millis,
    pub(super) host: &'a mut dyn Host,
    pub(super) out: &'a mut Vec<Effect>,
}

/// A request for a block that is known only by its certificate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fetch {
    /// Whom to ask next.
    pub(super) next: u16,
    pub(super) due: Millis,
    pub(super) tries: u32,
}

/// A certificate that this member made and hasn't told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Formed {
    Quorum,
    Timeout,
}

/// One instance of two-chain `HotStuff`. See the module.
#[derive(Debug, Clone)]
pub struct Consensus {
    pub(super) genesis: Hash,
    pub(super) instance: Instance,
    pub(super) committee: Arc<Committee>,
    pub(super) me: Option<u16>,
    pub(super) key: SecretKey,
    pub(super) base: Base,
    pub(super) safety: Safety,
    /// It abstains because this is said to be its first start, and asks whether it is.
    pub(super) founder: bool,
    pub(super) pacemaker: Pacemaker,
    pub(super) schedule: Schedule,
    pub(super) tree: Tree,
    pub(super) verified: Verified,
    pub(super) tally: Tally,
    /// The highest quorum certificate; `None`: the base needs none.
    pub(super) high: Option<QuorumCertificate>,
    /// The highest timeout certificate, when its view is above `high`'s.
    pub(super) timeout: Option<TimeoutCertificate>,
    /// The highest commit that waits for blocks, and the certificate of its child.
    pub(super) pending: Option<(BlockId, QuorumCertificate)>,
    pub(super) own_votes: VecDeque<Vote>,
    /// Whether something happened since a proposal was last tried.
    pub(super) eager: bool,
    pub(super) formed: Option<Formed>,
    pub(super) fetches: BTreeMap<BlockId, Fetch>,
    /// The first proposal seen in each of the last views.
    pub(super) proposed: BTreeMap<View, (BlockHeader, Signature)>,
    /// When a member was last told something that it should have known.
    pub(super) answered: BTreeMap<u16, Millis>,
    /// Who sent what is being handled: whom to ask for what is missing.
    pub(super) source: u16,
    pub(super) resume: Option<Millis>,
}

impl Consensus {
    /// An instance that did nothing yet. Call [`Self::synced`] and [`Self::restore`] after a restart,
    /// then [`Self::work`].
    #[must_use]
    pub fn new(mut setup: Setup) -> Self {
        setup.me = setup.me.filter(|me| setup.committee.get(*me).is_some());
        let safety = Safety::new(&mut setup);
        let (high, timeout) = (safety.record.high.clone(), safety.record.timeout.clone());
        let head = Head {
            id: setup.base.id,
            height: setup.base.height,
            view: View::ZERO,
        };
        let mut consensus = Self {
            genesis: setup.genesis,
            instance: setup.instance,
            me: setup.me,
            schedule: Schedule::new(setup.seed, &setup.committee),
            committee: setup.committee,
            key: setup.key,
            base: setup.base,
            safety,
            founder: false,
            pacemaker: Pacemaker::new(setup.timeout, setup.timeout_max, View::new(1)),
            tree: Tree::new(head),
            verified: Verified::default(),
            tally: Tally::default(),
            high,
            timeout,
            pending: None,
            own_votes: VecDeque::new(),
            eager: true,
            formed: None,
            fetches: BTreeMap::new(),
            proposed: BTreeMap::new(),
            answered: BTreeMap::new(),
            source: 0,
            resume: None,
        };
        consensus.pacemaker.view = consensus.certified_view().next();
        consensus.schedule.enter(consensus.view());
        consensus
    }

    /// Who leads the first views, whatever the seed says: for simulations that go through all orders.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub fn lead_first(&mut self, leaders: Vec<u16>) {
        self.schedule.first = leaders;
    }

    /// A message from member `from`. Anything may be in it.
    pub fn message(
        &mut self,
        now: Millis,
        host: &mut dyn Host,
        from: u16,
        message: ConsensusMessage,
        out: &mut Vec<Effect>,
    ) {
        if message.instance() != self.instance
            || self.committee.get(from).is_none()
            || Some(from) == self.me
        {
            return;
        }
        self.source = from;
        let mut cx = Cx { now, host, out };
        let handled = match message {
            ConsensusMessage::Proposal(proposal) => self.on_proposal(&mut cx, *proposal),
            ConsensusMessage::Vote(vote) => self.on_vote(&mut cx, *vote),
            ConsensusMessage::Timeout(timeout) => self.on_timeout(&mut cx, *timeout),
            ConsensusMessage::Certificate(certificate) => {
                self.on_certificate(&mut cx, *certificate)
            }
            ConsensusMessage::TimeoutCertificate(proven) => {
                self.on_timeout_certificate(&mut cx, *proven)
            }
        };
        if let Err(fault) = handled {
            cx.out.push(Effect::PeerFault {
                member: from,
                fault,
            });
        }
        self.settle(&mut cx);
    }

    /// A proposal that [`Effect::FetchBlock`] asked for, from whomever.
    pub fn block_arrived(
        &mut self,
        now: Millis,
        host: &mut dyn Host,
        from: u16,
        proposal: Proposal,
        out: &mut Vec<Effect>,
    ) {
        self.message(
            now,
            host,
            from,
            ConsensusMessage::Proposal(Box::new(proposal)),
            out,
        );
    }

    /// The host has something to propose, or wants something decided.
    pub fn work(&mut self, now: Millis, host: &mut dyn Host, out: &mut Vec<Effect>) {
        self.eager = true;
        self.settle(&mut Cx { now, host, out });
    }

    /// What the host lacked for `block` has come.
    pub fn retry(
        &mut self,
        now: Millis,
        host: &mut dyn Host,
        block: BlockId,
        out: &mut Vec<Effect>,
    ) {
        let mut cx = Cx { now, host, out };
        self.judge(&mut cx, &block);
        self.settle(&mut cx);
    }

    /// Time has passed: call at [`Self::next_deadline`] at the latest.
    pub fn tick(&mut self, now: Millis, host: &mut dyn Host, out: &mut Vec<Effect>) {
        let mut cx = Cx { now, host, out };
        self.resume = self.resume.filter(|at| *at > now);
        if self.pacemaker.expires(now) {
            self.time_out(&mut cx);
        }
        self.eager = true;
        self.settle(&mut cx);
    }

    /// When the next tick is due; `None` when nothing is.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        let fetch = self.fetches.values().map(|fetch| fetch.due).min();
        [self.pacemaker.deadline(), fetch, self.resume]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes up uncommitted proposals that were saved before a restart.
    pub fn restore(
        &mut self,
        now: Millis,
        host: &mut dyn Host,
        mut proposals: Vec<Proposal>,
        out: &mut Vec<Effect>,
    ) {
        proposals.sort_by_key(|proposal| proposal.block.header.view);
        let mut cx = Cx { now, host, out };
        for proposal in proposals {
            self.source = proposal.block.header.proposer;
            // What doesn't fit this instance was saved by another one.
            let _stale = self.on_proposal(&mut cx, proposal);
        }
        self.settle(&mut cx);
    }

    /// Ends every event: goes on until nothing moves, then sets the timers.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>) {
        let mut moved = true;
        for _ in 0..STEPS_MAX {
            moved = self.check_waiting(cx);
            moved |= self.count_own_votes(cx);
            moved |= self.propose(cx);
            if !moved {
                break;
            }
        }
        if moved {
            self.resume = Some(cx.now);
        }
        self.announce(cx);
        self.fetch_missing(cx);
        let wanted = self.safety.signs_in(self.view()) && self.is_busy(cx);
        self.pacemaker.run(cx.now, wanted);
    }

    fn is_busy(&self, cx: &Cx<'_>) -> bool {
        let top = self.top();
        let unknown = top != self.tree.head().id && self.tree.get(&top).is_none();
        let executed = if self.tree.is_executed(&top) {
            top
        } else {
            self.tree.head().id
        };
        unknown || self.tree.has_content(self.view()) || cx.host.has_work(cx.now, &executed)
    }

    /// Saves the record with what is known now, and has it synced.
    pub(super) fn save(
        &mut self,
        cx: &mut Cx<'_>,
        proposal: Option<&BlockId>,
    ) -> Result<(), StoreError> {
        self.write(cx, proposal)?;
        cx.out.push(Effect::Sync);
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        cx: &mut Cx<'_>,
        proposal: Option<&BlockId>,
    ) -> Result<(), StoreError> {
        let record = &mut self.safety.record;
        record.locked = record
            .locked
            .max(self.high.as_ref().map_or(View::ZERO, |high| high.view));
        record.high.clone_from(&self.high);
        record.timeout.clone_from(&self.timeout);
        #[cfg(any(test, feature = "planted-bugs"))]
        if self.safety.faults.skip_lock {
            record.locked = View::ZERO;
        }
        let proposal = proposal
            .and_then(|id| self.tree.get(id))
            .map(|node| &node.proposal);
        cx.host
            .save(&self.safety.record, proposal)
            .inspect_err(|error| {
                self.safety.standing = Standing::Silent;
                cx.out.push(Effect::Halt(error.clone()));
            })
    }

    /// What the host knows on `head`, fit to be signed.
    pub(super) fn known(&self, cx: &Cx<'_>, head: &BlockId) -> BoundedVec<BatchDigest, OWED_MAX> {
        let mut known = cx.host.known(head);
        known.sort_unstable();
        known.dedup();
        known.truncate(OWED_MAX);
        BoundedVec::try_from(known).unwrap_or_default()
    }

    /// The block that the highest certificate is of, or the base.
    pub(super) fn top(&self) -> BlockId {
        self.high.as_ref().map_or(self.base.id, |high| high.block)
    }

    /// The highest view that ended with a certificate.
    pub(super) fn certified_view(&self) -> View {
        self.timeout.as_ref().map_or(self.high_view(), |timeout| {
            timeout.view.max(self.high_view())
        })
    }

    /// Checks that certificates hold, and that the first is as high as the second names.
    pub(super) fn check_certificates(
        &mut self,
        high: &Option<QuorumCertificate>,
        timeout: &Option<TimeoutCertificate>,
    ) -> Result<(), frith_ledger::certificate::CertificateError> {
        use frith_ledger::certificate::CertificateError;
        let form = |fault| match fault {
            Fault::Certificate(error) => error,
            _ => CertificateError::Instance,
        };
        if let Some(high) = high {
            self.verified
                .quorum(high, &self.instance, &self.committee, &self.genesis)
                .map_err(form)?;
        }
        if let Some(timeout) = timeout {
            self.verified
                .timeout(timeout, &self.instance, &self.committee, &self.genesis)
                .map_err(form)?;
            if high.as_ref().map_or(View::ZERO, |high| high.view) < timeout.high() {
                return Err(CertificateError::High { part: 0 });
            }
        }
        Ok(())
    }
}

/// What can be asked at any time.
impl Consensus {
    /// Which instance this is.
    #[must_use]
    pub fn instance(&self) -> Instance {
        self.instance
    }

    /// The current view.
    #[must_use]
    pub fn view(&self) -> View {
        self.pacemaker.view
    }

    /// The highest quorum certificate; `None`: only the base.
    #[must_use]
    pub fn high_qc(&self) -> Option<&QuorumCertificate> {
        self.high.as_ref()
    }

    /// Its view; 0 for the base.
    #[must_use]
    pub fn high_view(&self) -> View {
        self.high.as_ref().map_or(View::ZERO, |high| high.view)
    }

    /// The last committed block; the base at first.
    #[must_use]
    pub fn committed(&self) -> Head {
        self.tree.head()
    }

    /// Who leads `view`.
    #[must_use]
    pub fn leader(&self, view: View) -> u16 {
        self.schedule.leader(view)
    }

    /// Whether this member leads the current view.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.me == Some(self.leader(self.view()))
    }

    /// An uncommitted proposal.
    #[must_use]
    pub fn proposal(&self, id: &BlockId) -> Option<&Proposal> {
        self.tree.get(id).map(|node| &node.proposal)
    }

    /// The newest vote of `member` that was seen, alone or in the highest certificate.
    #[must_use]
    pub fn last_vote_of(&self, member: u16) -> Option<Vote> {
        let sent = self.tally.last_vote(member);
        let counted = self
            .high
            .as_ref()
            .filter(|high| sent.is_none_or(|vote| vote.view < high.view));
        let counted = counted.and_then(|high| {
            let part = high.parts.iter().find(|part| part.member == member)?;
            let known: Option<Vec<BatchDigest>> = part
                .known
                .iter()
                .map(|index| high.listed.get(usize::from(*index)).copied())
                .collect();
            Some(Vote {
                instance: high.instance,
                view: high.view,
                block: high.block,
                member,
                known: known?.try_into().ok()?,
                signature: part.signature,
            })
        });
        counted.or_else(|| sent.cloned())
    }

    /// What brings a peer up to the current view: to be sent when a connection to a member opens.
    #[must_use]
    pub fn certificates(&self) -> Vec<ConsensusMessage> {
        let message = match (&self.timeout, &self.high) {
            (Some(timeout), high) => Some(ConsensusMessage::TimeoutCertificate(Box::new(Proven {
                certificate: timeout.clone(),
                high: high.clone(),
            }))),
            (None, Some(high)) => Some(ConsensusMessage::Certificate(Box::new(high.clone()))),
            (None, None) => None,
        };
        message.into_iter().collect()
    }

    /// How many blocks lie between the committed head and the highest block that is known to be
    /// certified. A hint: a faulty leader may exaggerate it.
    #[must_use]
    pub fn gap(&self) -> u64 {
        self.tree
            .height_seen()
            .saturating_sub(self.tree.head().height.get())
    }

    /// Whether this member doesn't know what it signed and must recover by reports.
    #[must_use]
    pub fn abstains(&self) -> bool {
        self.safety.standing == Standing::Abstaining
    }

    /// Whether this member takes part in the current view.
    #[must_use]
    pub fn signs(&self) -> bool {
        self.safety.signs_in(self.view())
    }
}
