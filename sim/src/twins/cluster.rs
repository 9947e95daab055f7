//! Processes with the real consensus core, in rounds.

use super::host::{Numbers, summary};
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{BlockId, ChainKind, Instance, Proposal};
use frith_ledger::certificate::{Committee, Member};
use frith_ledger::hash::Hash;
use frith_ledger::key::SecretKey;
use frith_ledger::units::{Epoch, Generation, Height, Millis, View};
use frith_ledger::vrf::VrfPublic;
use frith_neighbourhood::consensus::{
    Base, Consensus, ConsensusMessage, Effect, Faults, SafetyRecord, Setup,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const GENESIS: Hash = Hash([9; 32]);
const BASE: Hash = Hash([1; 32]);
/// A round's length; a view's timer runs out once in it.
const ROUND_MS: u64 = 1_000;
const TIMER_MS: u64 = 100;
/// Deliveries in one round: far more than any round needs.
const DELIVERIES_MAX: usize = 20_000;

/// What must not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two correct processes committed different blocks at one height.
    #[error("two blocks are committed at height {height}")]
    Fork {
        /// Where.
        height: Height,
    },
    /// Two blocks were certified in one view.
    #[error("two blocks are certified in view {view}")]
    TwoCertificates {
        /// Where.
        view: View,
    },
    /// A correct process found a certified block invalid.
    #[error("a certified block is invalid: {reason}")]
    Diverged {
        /// Its words.
        reason: String,
    },
    /// The network is whole, and some correct process doesn't commit.
    #[error("process {process} committed nothing in {rounds} rounds with a whole network")]
    Stuck {
        /// Who.
        process: usize,
        /// How long.
        rounds: u64,
    },
}

#[derive(Debug, Clone)]
enum Body {
    Consensus(ConsensusMessage),
    Fetch(BlockId),
    Block(Box<Proposal>),
}

#[derive(Debug, Clone)]
struct Message {
    from: usize,
    to: usize,
    body: Body,
}

impl Message {
    fn view(&self) -> u64 {
        let Body::Consensus(message) = &self.body else {
            return 0;
        };
        match message {
            ConsensusMessage::Proposal(proposal) => proposal.block.header.view.get(),
            ConsensusMessage::Vote(vote) => vote.view.get(),
            ConsensusMessage::Timeout(timeout) => timeout.view.get(),
            ConsensusMessage::Certificate(certificate) => certificate.view.get(),
            ConsensusMessage::TimeoutCertificate(proven) => proven.certificate.view.get(),
        }
    }
}

#[derive(Debug, Clone)]
struct Process {
    member: u16,
    /// It has no twin: what it commits counts.
    correct: bool,
    core: Consensus,
    host: Numbers,
}

/// A committee whose first members run twice.
#[derive(Debug, Clone)]
pub struct Cluster {
    processes: Vec<Process>,
    round: u64,
    /// Sent for later rounds.
    later: VecDeque<Message>,
    committed: BTreeMap<Height, BlockId>,
    certified: BTreeMap<View, BlockId>,
    violation: Option<Violation>,
}

impl Cluster {
    /// `members` of equal weight, of which the first `twins` run twice; the second processes come last.
    /// `bugs` are planted in all; with `stale` the twins build on less than they know.
    #[must_use]
    pub fn new(members: u16, twins: u16, bugs: Faults, stale: bool) -> Self {
        let keys: Vec<SecretKey> = (0..members)
            .map(|member| SecretKey::from_bytes(&[u8::try_from(member + 1).unwrap_or(255); 32]))
            .collect();
        let member = |(index, key): (u8, &SecretKey)| Member {
            seat: Address([index; 32]),
            key: key.public(),
            vrf: VrfPublic([0; 32]),
            weight: 1,
        };
        let committee = Arc::new(Committee::new((0..).zip(&keys).map(member).collect()));
        let process = |(number, member): (u64, u16)| {
            let twin = member < twins;
            let faults = Faults {
                stale_leader: stale && twin,
                ..bugs
            };
            Process {
                member,
                correct: !twin,
                core: Consensus::new(setup(
                    &committee,
                    member,
                    &keys[usize::from(member)],
                    faults,
                )),
                host: Numbers::new(number, BASE),
            }
        };
        let all = (0..members).chain(0..twins);
        Self {
            processes: (0..).zip(all).map(process).collect(),
            round: 0,
            later: VecDeque::new(),
            committed: BTreeMap::new(),
            certified: BTreeMap::new(),
            violation: None,
        }
    }

    /// How many processes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Leaders of the views from 1 on.
    pub fn lead(&mut self, leaders: &[u16]) {
        for process in &mut self.processes {
            process.core.lead_first(leaders.to_vec());
        }
    }

    /// One round: `parts` says in which part of the network each process is.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn round(&mut self, parts: &[u8]) -> Result<(), Violation> {
        self.round += 1;
        let now = Millis::new(self.round * ROUND_MS);
        let mut queue = std::mem::take(&mut self.later);
        if self.round == 1 {
            for process in 0..self.processes.len() {
                self.step(process, &mut queue, |core, host, out| {
                    core.work(now, host, out);
                });
            }
        }
        self.deliver(now, parts, &mut queue);
        // Whoever is still in a view of this round or an earlier one gives it up, or says so again.
        let late = now.plus(TIMER_MS + TIMER_MS / 2);
        for process in 0..self.processes.len() {
            if self.processes[process].core.view().get() <= self.round {
                self.step(process, &mut queue, |core, host, out| {
                    core.tick(late, host, out);
                });
            }
        }
        self.deliver(late, parts, &mut queue);
        self.violation.take().map_or(Ok(()), Err)
    }

    /// Lets the network be whole until every correct process has committed something new.
    ///
    /// # Errors
    /// [`Violation::Stuck`] after `rounds`, or what was found before.
    pub fn heal(&mut self, rounds: u64) -> Result<(), Violation> {
        let parts = vec![0; self.processes.len()];
        let before = self.committed.keys().next_back().copied();
        let goal = before.unwrap_or_default().next();
        for _ in 0..rounds {
            self.round(&parts)?;
            let behind = |p: &&Process| p.correct && p.core.committed().height < goal;
            if !self.processes.iter().any(|process| behind(&process)) {
                return Ok(());
            }
        }
        let behind = |p: &Process| p.correct && p.core.committed().height < goal;
        let process = self.processes.iter().position(behind).unwrap_or(0);
        Err(Violation::Stuck { process, rounds })
    }

    /// What decides everything that can happen from here on: equal for clusters that can't be told apart. Who
    /// led views that are over is left out: their proposals are there, or never were.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut blank = self.clone();
        blank.lead(&[]);
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{blank:?}").as_bytes());
        *hasher.finalize().as_bytes()
    }

    fn deliver(&mut self, now: Millis, parts: &[u8], queue: &mut VecDeque<Message>) {
        for _ in 0..DELIVERIES_MAX {
            let Some(message) = queue.pop_front() else {
                return;
            };
            if message.view() > self.round {
                self.later.push_back(message);
                continue;
            }
            let Message { from, to, body } = message;
            if parts.get(from) != parts.get(to) || self.violation.is_some() {
                continue;
            }
            let sender = self.processes[from].member;
            match body {
                Body::Consensus(message) => self.step(to, queue, |core, host, out| {
                    core.message(now, host, sender, message, out);
                }),
                Body::Block(proposal) => self.step(to, queue, |core, host, out| {
                    core.block_arrived(now, host, sender, *proposal, out);
                }),
                Body::Fetch(id) => {
                    let held = self.processes[to].host.proposal(&id).cloned();
                    queue.extend(held.map(|proposal| Message {
                        from: to,
                        to: from,
                        body: Body::Block(Box::new(proposal)),
                    }));
                }
            }
        }
    }

    fn step(
        &mut self,
        number: usize,
        queue: &mut VecDeque<Message>,
        act: impl FnOnce(&mut Consensus, &mut Numbers, &mut Vec<Effect>),
    ) {
        let process = &mut self.processes[number];
        let mut effects = Vec::new();
        act(&mut process.core, &mut process.host, &mut effects);
        let (own, correct) = (process.member, process.correct);
        if let Some(high) = process.core.high_qc() {
            let (view, block) = (high.view, high.block);
            if *self.certified.entry(view).or_insert(block) != block {
                self.violation = Some(Violation::TwoCertificates { view });
            }
        }
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.post(number, queue, &message, |m| m == to),
                Effect::Broadcast(message) => self.post(number, queue, &message, |m| m != own),
                Effect::FetchBlock { id, from } => {
                    for to in 0..self.processes.len() {
                        if self.processes[to].member == from {
                            let body = Body::Fetch(id);
                            let from = number;
                            queue.push_back(Message { from, to, body });
                        }
                    }
                }
                Effect::Committed { blocks, proof } if correct => {
                    let above = u64::try_from(blocks.len()).unwrap_or(u64::MAX);
                    let first = proof.header.height.minus(above).next();
                    for (id, nth) in blocks.into_iter().zip(0..) {
                        let height = first.plus(nth);
                        if *self.committed.entry(height).or_insert(id) != id {
                            self.violation = Some(Violation::Fork { height });
                        }
                    }
                }
                Effect::Diverged { reason, .. } if correct => {
                    self.violation = Some(Violation::Diverged { reason });
                }
                _ => {}
            }
        }
    }

    fn post(
        &self,
        from: usize,
        queue: &mut VecDeque<Message>,
        message: &ConsensusMessage,
        goes_to: impl Fn(u16) -> bool,
    ) {
        for (to, process) in self.processes.iter().enumerate() {
            if goes_to(process.member) {
                let body = Body::Consensus(message.clone());
                queue.push_back(Message { from, to, body });
            }
        }
    }
}

fn setup(committee: &Arc<Committee>, member: u16, key: &SecretKey, faults: Faults) -> Setup {
    let instance = Instance {
        kind: ChainKind::Leaf,
        prefix: Prefix::ROOT,
        generation: Generation::ZERO,
        epoch: Epoch::ZERO,
        committee: committee.hash(),
    };
    Setup {
        genesis: GENESIS,
        instance,
        committee: Arc::clone(committee),
        me: Some(member),
        key: key.clone(),
        seed: Hash([7; 32]),
        base: Base {
            id: BASE,
            height: Height::ZERO,
            state: summary(Hash::ZERO),
        },
        timeout: Millis::new(TIMER_MS),
        timeout_max: Millis::new(TIMER_MS),
        safety: Some(SafetyRecord::fresh(instance)),
        faults,
    }
}
