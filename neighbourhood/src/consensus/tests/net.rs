//! Processes on virtual time, between them a network that loses, delays and repeats, below them
//! disks that forget. One seed, one run.

use super::super::{
    Base, Consensus, ConsensusMessage, Effect, Faults, RecoverError, Report, ReportRequest,
    SafetyRecord, Setup,
};
use super::check::Checker;
use super::host::{Counter, Disk, state};
use super::random::Random;
use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{BlockId, ChainKind, Instance, Proposal};
use frith_ledger::certificate::{Committee, Member, Weight};
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, SecretKey};
use frith_ledger::units::{Epoch, Generation, Height, Millis};
use frith_ledger::vrf::VrfPublic;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const GENESIS: Hash = Hash([9; 32]);
const BASE: Hash = Hash([1; 32]);

#[derive(Debug, Clone)]
enum Wire {
    Consensus(ConsensusMessage),
    Fetch(BlockId),
    Block(Box<Proposal>),
    Ask(ReportRequest, PublicKey),
    Report(Box<Report>),
}

#[derive(Debug, Clone)]
enum Event {
    Deliver { from: usize, to: usize, wire: Wire },
    Retry { process: usize, block: BlockId },
    Restart { process: usize },
}

/// How bad the network and the machines are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) delay_max: u64,
    pub(super) loss: u64,
    pub(super) repeats: u64,
    /// Of a thousand effects, how many are a process's last.
    pub(super) crashes: u64,
    /// Of a thousand restarts, how many find an empty disk.
    pub(super) wipes: u64,
    /// Of a thousand deliveries, how many redraw who can reach whom.
    pub(super) partitions: u64,
    /// Whether hosts lack something when they are first asked about a block.
    pub(super) slow: bool,
}

pub(super) struct Process {
    pub(super) member: Option<u16>,
    /// Runs the code, but its twin does too: what it says doesn't count as a correct process's word.
    pub(super) twin: bool,
    pub(super) silent: bool,
    pub(super) consensus: Option<Consensus>,
    pub(super) host: Counter,
    reports: BTreeMap<u16, Report>,
    nonce: [u8; 32],
    /// Lost its disk once: without a record it never again takes itself for new.
    wiped: bool,
    group: u64,
    pub(super) offences: usize,
    pub(super) rejoined: usize,
}

pub(super) struct Net {
    pub(super) committee: Arc<Committee>,
    keys: Vec<SecretKey>,
    pub(super) processes: Vec<Process>,
    pub(super) faults: Faults,
    /// A process that builds on less than it knows when it leads after a view that was given up.
    pub(super) stale: Option<usize>,
    pub(super) seed: u64,
    pub(super) random: Random,
    pub(super) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    pub(super) weather: Weather,
    pub(super) checker: Checker,
    pub(super) sent: usize,
}

pub(super) fn committee(weights: &[Weight]) -> (Arc<Committee>, Vec<SecretKey>) {
    let keys: Vec<SecretKey> = (0u8..)
        .zip(weights)
        .map(|(index, _)| SecretKey::from_bytes(&[index + 1; 32]))
        .collect();
    let members = (0u8..)
        .zip(keys.iter().zip(weights))
        .map(|(index, (key, weight))| Member {
            seat: Address([index; 32]),
            key: key.public(),
            vrf: VrfPublic([0; 32]),
            weight: *weight,
        });
    (Arc::new(Committee::new(members.collect())), keys)
}

pub(super) fn setup(committee: &Arc<Committee>, me: Option<u16>, key: &SecretKey) -> Setup {
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
        me,
        key: key.clone(),
        seed: Hash([7; 32]),
        base: Base {
            id: BASE,
            height: Height::ZERO,
            state: state(0),
        },
        timeout: Millis::new(200),
        timeout_max: Millis::new(3_000),
        safety: Some(SafetyRecord::fresh(instance)),
        faults: Faults::default(),
    }
}

impl Net {
    /// One process for each weight, then twins of the first `twins` members, then `observers`.
    pub(super) fn new(seed: u64, weights: &[Weight], twins: u16, observers: usize) -> Self {
        let (committee, keys) = committee(weights);
        let count = u16::try_from(weights.len()).unwrap_or(u16::MAX);
        let members = (0..count).map(Some).chain((0..twins).map(Some));
        let members = members.chain((0..observers).map(|_| None));
        let processes = members.map(|member| Process {
            member,
            twin: member.is_some_and(|member| member < twins),
            silent: false,
            consensus: None,
            host: Counter::new(BASE, Disk::default()),
            reports: BTreeMap::new(),
            nonce: [0; 32],
            wiped: false,
            group: 0,
            offences: 0,
            rejoined: 0,
        });
        let processes = processes.collect();
        let weather = Weather {
            delay_max: 20,
            ..Weather::default()
        };
        let mut net = Self {
            committee,
            keys,
            processes,
            faults: Faults::default(),
            stale: None,
            seed,
            random: Random::new(seed),
            now: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            weather,
            checker: Checker::default(),
            sent: 0,
        };
        for process in 0..net.processes.len() {
            net.start(process);
        }
        net
    }

    fn key(&self, process: usize) -> SecretKey {
        let member = self.processes[process]
            .member
            .map_or(usize::MAX, usize::from);
        self.keys
            .get(member)
            .cloned()
            .unwrap_or_else(|| SecretKey::from_bytes(&[200; 32]))
    }

    /// Makes a process misbehave as a leader: its word doesn't count as a correct process's.
    pub(super) fn corrupt(&mut self, process: usize) {
        self.stale = Some(process);
        self.processes[process].twin = true;
        self.start(process);
    }

    /// Plants bugs into processes started from now on, and restarts all.
    pub(super) fn plant(&mut self, faults: Faults) {
        self.faults = faults;
        for process in 0..self.processes.len() {
            self.start(process);
        }
    }

    /// Starts a process from its disk.
    pub(super) fn start(&mut self, process: usize) {
        let key = self.key(process);
        let mut setup = setup(&self.committee, self.processes[process].member, &key);
        setup.faults = self.faults;
        setup.faults.stale_leader = self.stale == Some(process);
        let entry = &mut self.processes[process];
        let target = entry.host.target;
        entry.host = Counter::new(BASE, std::mem::take(&mut entry.host.disk));
        entry.host.target = target;
        entry.host.slow = self.weather.slow;
        let fresh = setup.safety.take().filter(|_| !entry.wiped);
        setup.safety = entry.host.disk.record().or(fresh);
        let mut consensus = Consensus::new(setup);
        let mut out = Vec::new();
        let now = Millis::new(self.now);
        if let Some(proof) = entry.host.disk.last_commit() {
            assert_eq!(
                consensus.synced(now, &mut entry.host, &proof, &mut out),
                Ok(()),
                "an own proof holds"
            );
        }
        let proposals = entry.host.disk.proposals();
        consensus.restore(now, &mut entry.host, proposals, &mut out);
        consensus.work(now, &mut entry.host, &mut out);
        entry.consensus = Some(consensus);
        self.perform(process, out);
        self.ask_reports(process);
    }

    /// Loses power: what was not synced is lost, or a later part of it.
    pub(super) fn crash(&mut self, process: usize, wiped: bool) {
        let disk = &mut self.processes[process].host.disk;
        let unsynced = u64::try_from(disk.log.len() - disk.synced).unwrap_or(0);
        let kept = usize::try_from(self.random.below(unsynced + 1)).unwrap_or(0);
        disk.log.truncate(disk.synced + kept);
        disk.synced = disk.log.len();
        if wiped {
            *disk = Disk::default();
            self.processes[process].wiped = true;
        }
        self.processes[process].consensus = None;
    }

    fn ask_reports(&mut self, process: usize) {
        if !self.processes[process]
            .consensus
            .as_ref()
            .is_some_and(Consensus::abstains)
        {
            return;
        }
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&self.random.next().to_le_bytes());
        let entry = &mut self.processes[process];
        entry.nonce = nonce;
        entry.reports.clear();
        let Some(instance) = entry.consensus.as_ref().map(Consensus::instance) else {
            return;
        };
        let key = self.key(process).public();
        for to in 0..self.processes.len() {
            self.send(
                process,
                to,
                Wire::Ask(ReportRequest { instance, nonce }, key),
            );
        }
    }

    fn schedule(&mut self, after: u64, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), event);
    }

    fn send(&mut self, from: usize, to: usize, wire: Wire) {
        if from == to || self.processes[from].silent || self.processes[to].silent {
            return;
        }
        self.sent += 1;
        let lost = self.random.per_mille(self.weather.loss);
        if lost || self.processes[from].group != self.processes[to].group {
            return;
        }
        let copies = if self.random.per_mille(self.weather.repeats) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let delay = 1 + self.random.below(self.weather.delay_max);
            self.schedule(
                delay,
                Event::Deliver {
                    from,
                    to,
                    wire: wire.clone(),
                },
            );
        }
    }

    fn send_to_member(&mut self, from: usize, member: u16, wire: &Wire) {
        for to in 0..self.processes.len() {
            if self.processes[to].member == Some(member) {
                self.send(from, to, wire.clone());
            }
        }
    }

    /// Performs effects in order; at any of them the power may fail.
    fn perform(&mut self, process: usize, effects: Vec<Effect>) {
        for effect in effects {
            if self.random.per_mille(self.weather.crashes) {
                let wiped = self.random.per_mille(self.weather.wipes);
                self.crash(process, wiped);
                let after = 1 + self.random.below(2_000);
                self.schedule(after, Event::Restart { process });
                return;
            }
            self.perform_one(process, effect);
        }
        let entry = &self.processes[process];
        if let Some(high) = entry.consensus.as_ref().and_then(Consensus::high_qc) {
            self.checker.certificate(high);
        }
    }

    fn perform_one(&mut self, process: usize, effect: Effect) {
        let entry = &mut self.processes[process];
        match effect {
            Effect::Sync => entry.host.disk.synced = entry.host.disk.log.len(),
            Effect::Send { to, message } => {
                self.note_sent(process, &message);
                self.send_to_member(process, to, &Wire::Consensus(message));
            }
            Effect::Broadcast(message) => {
                self.note_sent(process, &message);
                for to in 0..self.processes.len() {
                    self.send(process, to, Wire::Consensus(message.clone()));
                }
            }
            Effect::Committed { blocks, proof } => {
                let head = entry.host.committed.height;
                entry.host.commit(&blocks, &proof);
                if !entry.twin {
                    self.checker.commit(head, &blocks, &proof);
                    if proof.verify(&self.committee, &GENESIS).is_err() {
                        self.checker
                            .broken
                            .get_or_insert("a commit proof does not hold".into());
                    }
                }
            }
            Effect::FetchBlock { id, from } => self.send_to_member(process, from, &Wire::Fetch(id)),
            Effect::Offence(_) => entry.offences += 1,
            Effect::Rejoined => entry.rejoined += 1,
            Effect::RecordLost { .. } => self.ask_reports(process),
            Effect::PeerFault { member, fault } => {
                if !entry.twin && self.faults == Faults::default() {
                    let correct = self
                        .processes
                        .iter()
                        .any(|other| other.member == Some(member) && !other.twin);
                    if correct {
                        self.checker
                            .broken
                            .get_or_insert(format!("correct member {member} is blamed: {fault}"));
                    }
                }
            }
            Effect::Diverged { reason, .. } => {
                self.checker
                    .broken
                    .get_or_insert(format!("diverged: {reason}"));
            }
            Effect::Dropped(_) | Effect::Halt(_) => {}
        }
    }

    fn note_sent(&mut self, process: usize, message: &ConsensusMessage) {
        let entry = &self.processes[process];
        if !entry.twin {
            self.checker
                .sent(message, entry.host.disk.durable_record().as_ref());
        }
    }

    /// Runs a step of one process and performs what it wants.
    pub(super) fn with(
        &mut self,
        process: usize,
        step: impl FnOnce(&mut Consensus, &mut Counter, Millis, &mut Vec<Effect>),
    ) {
        let entry = &mut self.processes[process];
        let Some(consensus) = entry.consensus.as_mut().filter(|_| !entry.silent) else {
            return;
        };
        let mut out = Vec::new();
        step(consensus, &mut entry.host, Millis::new(self.now), &mut out);
        let waiting = std::mem::take(&mut entry.host.waiting);
        self.perform(process, out);
        for block in waiting {
            let after = 1 + self.random.below(50);
            self.schedule(after, Event::Retry { process, block });
        }
    }

    fn deliver(&mut self, from: usize, to: usize, wire: Wire) {
        let sender = self.processes[from].member;
        match wire {
            Wire::Consensus(message) => {
                if let Some(from) = sender {
                    self.with(to, |c, host, now, out| {
                        c.message(now, host, from, message, out)
                    });
                }
            }
            Wire::Block(proposal) => {
                if let Some(from) = sender {
                    self.with(to, |c, host, now, out| {
                        c.block_arrived(now, host, from, *proposal, out)
                    });
                }
            }
            Wire::Fetch(id) => {
                let entry = &self.processes[to];
                let held = entry
                    .consensus
                    .as_ref()
                    .and_then(|c| c.proposal(&id).cloned());
                let held = held.or_else(|| {
                    entry
                        .host
                        .disk
                        .proposals()
                        .into_iter()
                        .find(|p| p.id() == id)
                });
                if let Some(proposal) = held.filter(|_| entry.consensus.is_some()) {
                    self.send(to, from, Wire::Block(Box::new(proposal)));
                }
            }
            Wire::Ask(request, key) => {
                let report = self.processes[to]
                    .consensus
                    .as_ref()
                    .and_then(|c| c.report(request.nonce, &key));
                if let Some(report) = report {
                    self.send(to, from, Wire::Report(Box::new(report)));
                }
            }
            Wire::Report(report) => self.recover(to, *report),
        }
    }

    fn recover(&mut self, process: usize, report: Report) {
        let entry = &mut self.processes[process];
        if report.nonce != entry.nonce {
            return;
        }
        entry.reports.insert(report.member, report);
        let reports: Vec<Report> = entry.reports.values().cloned().collect();
        let nonce = entry.nonce;
        self.with(process, |c, host, now, out| {
            let recovered = c.recover(now, host, nonce, &reports, out);
            assert!(
                !matches!(recovered, Err(RecoverError::Store(_))),
                "the disk works"
            );
        });
    }

    /// Raises what all processes want to reach.
    pub(super) fn want(&mut self, target: u64) {
        for process in 0..self.processes.len() {
            self.processes[process].host.target = target;
            self.with(process, |c, host, now, out| c.work(now, host, out));
        }
    }

    /// Runs for `span` ms, or until `done`.
    pub(super) fn run(&mut self, span: u64, done: impl Fn(&Self) -> bool) {
        let end = self.now + span;
        while !done(self) && self.checker.broken.is_none() {
            let deadlines = self
                .processes
                .iter()
                .enumerate()
                .filter(|(_, entry)| !entry.silent);
            let deadlines = deadlines.filter_map(|(i, entry)| {
                Some((entry.consensus.as_ref()?.next_deadline()?.get(), i))
            });
            let due = deadlines.min();
            let next = self.queue.keys().next().copied();
            match (next, due) {
                (Some((at, _)), Some((tick, process))) if tick < at => {
                    if !self.tick(tick, process, end) {
                        return;
                    }
                }
                (Some(key), _) => {
                    if key.0 > end {
                        self.now = end;
                        return;
                    }
                    self.now = self.now.max(key.0);
                    if let Some(event) = self.queue.remove(&key) {
                        self.handle(event);
                    }
                }
                (None, Some((tick, process))) => {
                    if !self.tick(tick, process, end) {
                        return;
                    }
                }
                (None, None) => {
                    self.now = end;
                    return;
                }
            }
        }
    }

    fn tick(&mut self, at: u64, process: usize, end: u64) -> bool {
        if at > end {
            self.now = end;
            return false;
        }
        self.now = self.now.max(at);
        self.with(process, |c, host, now, out| c.tick(now, host, out));
        self.ask_reports_again(process);
        true
    }

    fn ask_reports_again(&mut self, process: usize) {
        if self.random.per_mille(200) {
            self.ask_reports(process);
        }
    }

    fn handle(&mut self, event: Event) {
        if self.random.per_mille(self.weather.partitions) {
            for process in &mut self.processes {
                process.group = self.random.below(2);
            }
        }
        match event {
            Event::Deliver { from, to, wire } => self.deliver(from, to, wire),
            Event::Retry { process, block } => {
                self.with(process, |c, host, now, out| c.retry(now, host, block, out));
            }
            Event::Restart { process } => self.start(process),
        }
    }

    /// Ends all trouble: whoever is down starts, everyone reaches everyone.
    pub(super) fn heal(&mut self) {
        self.weather = Weather {
            delay_max: 20,
            ..Weather::default()
        };
        for process in 0..self.processes.len() {
            self.processes[process].group = 0;
            self.processes[process].host.slow = false;
        }
    }

    /// Whether every correct, running process committed `count`.
    pub(super) fn reached(&self, count: u64) -> bool {
        self.processes
            .iter()
            .filter(|process| !process.silent && !process.twin)
            .all(|process| process.consensus.is_some() && process.host.committed_count() >= count)
    }

    /// The committed counts of all processes.
    pub(super) fn counts(&self) -> Vec<u64> {
        self.processes
            .iter()
            .map(|process| process.host.committed_count())
            .collect()
    }
}
