//! A few nodes, a clock, a network.

use super::genesis::{GENESIS_MS, rules_with, user_key, vrf_seed, worker_key};
use crate::wire::PeerMessage;
use crate::{
    CommittedBlock, Input, Limits, Moment, Node, NodeConfig, NodeEvent, OpenError, Output,
    SubmitError,
};
use frith_ledger::address::Address;
use frith_ledger::block::RootRecord;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{ContentId, Entity};
use frith_ledger::key::{PublicKey, SecretKey};
use frith_ledger::operation::{Action, Operation, OperationBody, OperationId, SignedOperation};
use frith_ledger::parameters::Parameters;
use frith_ledger::store::SharedMemoryStore;
use frith_ledger::units::{Epoch, Height, Millis, Nonce, UnixMillis};
use frith_tasks::Rules;
use parity_scale_codec::Encode as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

enum Event {
    Deliver {
        from: usize,
        to: usize,
        bytes: Arc<[u8]>,
    },
    Tick {
        node: usize,
        life: u64,
    },
    Content {
        to: usize,
        id: ContentId,
        bytes: Vec<u8>,
    },
}

pub(super) struct Host {
    pub(super) key: SecretKey,
    pub(super) store: SharedMemoryStore,
    pub(super) node: Option<Node>,
    /// Counts starts, so that ticks of an earlier life are dropped.
    life: u64,
    next_tick: Option<Millis>,
    pub(super) committed: Vec<CommittedBlock>,
    pub(super) events: Vec<NodeEvent>,
    pub(super) halted: Option<String>,
    pub(super) misbehaviour: Vec<String>,
    pub(super) results: Vec<Result<OperationId, SubmitError>>,
    /// Sends nothing.
    pub(super) silent: bool,
    /// Changes what it sends, or keeps it to itself.
    pub(super) forges: Option<Forge>,
    /// How often it did.
    pub(super) forged: usize,
    /// How far its clock is from the right time.
    pub(super) clock_off_ms: i64,
    /// The root records that it committed.
    pub(super) records: Vec<RootRecord>,
}

/// A message as a liar sends it; `None` for one that it doesn't send.
pub(super) type Forge = fn(PeerMessage) -> Option<PeerMessage>;

/// Whether a frame is meant.
pub(super) type Rule = Box<dyn Fn(usize, &PeerMessage) -> bool>;

pub(super) struct World {
    pub(super) rules: Arc<Rules>,
    pub(super) users: Vec<SecretKey>,
    pub(super) hosts: Vec<Host>,
    pub(super) now: Millis,
    pub(super) limits: Limits,
    /// Pairs that can't talk.
    pub(super) cut: BTreeSet<(usize, usize)>,
    queue: BTreeMap<(Millis, u64), Event>,
    number: u64,
    random: u64,
    /// What every height holds: no two nodes may differ.
    chain: BTreeMap<Height, frith_ledger::block::BlockId>,
    pub(super) sent: u64,
    /// Of a hundred messages so many are lost, and so many come twice and late.
    pub(super) loss: u64,
    pub(super) repeats: u64,
    /// Frames that are lost, all of them, by who sends them.
    pub(super) drops: Option<Rule>,
    /// Whether frames are kept.
    pub(super) recording: bool,
    /// From, to, what.
    pub(super) frames: Vec<(usize, usize, Arc<[u8]>)>,
}

impl World {
    pub(super) fn new(nodes: usize) -> Self {
        Self::with(nodes, Parameters::test(), Limits::default())
    }

    pub(super) fn with(nodes: usize, parameters: Parameters, limits: Limits) -> Self {
        let mut world = Self::switched_off(nodes, parameters, limits);
        for index in 0..nodes {
            world.start(index, true);
        }
        world
    }

    /// The members of the genesis, none of which has ever started.
    pub(super) fn switched_off(nodes: usize, parameters: Parameters, limits: Limits) -> Self {
        let users: Vec<SecretKey> = (0..8).map(user_key).collect();
        let rules = rules_with(nodes, parameters);
        let mut world = Self {
            rules,
            users,
            hosts: Vec::new(),
            now: Millis::ZERO,
            limits,
            cut: BTreeSet::new(),
            queue: BTreeMap::new(),
            number: 0,
            random: 1,
            chain: BTreeMap::new(),
            sent: 0,
            loss: 0,
            repeats: 0,
            drops: None,
            recording: false,
            frames: Vec::new(),
        };
        for index in 0..nodes {
            world.add(index);
        }
        world
    }

    /// Adds a host that isn't started.
    pub(super) fn add(&mut self, index: usize) -> usize {
        self.hosts.push(Host {
            key: worker_key(index),
            store: SharedMemoryStore::new(),
            node: None,
            life: 0,
            next_tick: None,
            committed: Vec::new(),
            events: Vec::new(),
            halted: None,
            misbehaviour: Vec::new(),
            results: Vec::new(),
            silent: false,
            forges: None,
            forged: 0,
            clock_off_ms: 0,
            records: Vec::new(),
        });
        self.hosts.len() - 1
    }

    /// Opens the store of a host, as a start does first.
    pub(super) fn open(&mut self, index: usize, founding: bool) -> Node {
        let config = self.config(index, founding)();
        let store = Box::new(self.hosts[index].store.clone());
        Node::open(config, store, self.moment(index)).expect("the store opens")
    }

    /// Starts a host whose store may be damaged.
    pub(super) fn try_start(&mut self, index: usize) -> Result<(), OpenError> {
        let config = self.config(index, false)();
        let store = Box::new(self.hosts[index].store.clone());
        drop(Node::open(config, store, self.moment(index))?);
        self.start(index, false);
        Ok(())
    }

    pub(super) fn start(&mut self, index: usize, founding: bool) {
        let node = self.open(index, founding);
        let host = &mut self.hosts[index];
        host.node = Some(node);
        host.life += 1;
        host.next_tick = None;
        host.halted = None;
        for other in 0..self.hosts.len() {
            if other != index && self.hosts[other].node.is_some() && !self.is_cut(index, other) {
                self.connect(index, other);
            }
        }
        self.input(index, Input::Tick);
    }

    /// Makes the configuration of a node, as often as it is called.
    pub(super) fn config(
        &mut self,
        index: usize,
        founding: bool,
    ) -> impl Fn() -> NodeConfig + Send + Sync + 'static {
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.draw().to_le_bytes());
        let key = self.hosts[index].key.clone();
        let reporter = self.users[0].public().address();
        let (rules, limits) = (self.rules.clone(), self.limits.clone());
        move || NodeConfig {
            rules: rules.clone(),
            key: key.clone(),
            vrf_seed: vrf_seed(index),
            reporter,
            founding,
            entropy,
            limits: limits.clone(),
        }
    }

    /// What the clocks of a host show.
    pub(super) fn moment(&self, index: usize) -> Moment {
        let wall = GENESIS_MS + self.now.get();
        let wall = wall.saturating_add_signed(self.hosts[index].clock_off_ms);
        Moment::new(self.now, UnixMillis::new(wall))
    }

    fn connect(&mut self, a: usize, b: usize) {
        let (key_a, key_b) = (self.key(a), self.key(b));
        self.input(a, Input::Connected { peer: key_b });
        self.input(b, Input::Connected { peer: key_a });
    }

    pub(super) fn key(&self, index: usize) -> PublicKey {
        self.hosts[index].key.public()
    }

    /// The process dies; of the writes that weren't synced the first `keep` stay.
    pub(super) fn crash(&mut self, index: usize, keep: usize) {
        self.hosts[index].node = None;
        self.hosts[index].store.crash(keep);
        let key = self.key(index);
        for other in 0..self.hosts.len() {
            if self.hosts[other].node.is_some() {
                self.input(other, Input::Disconnected { peer: key });
            }
        }
    }

    fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a.min(b), a.max(b)))
    }

    pub(super) fn reseed(&mut self, seed: u64) {
        self.random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn push(&mut self, at: Millis, event: Event) {
        self.number += 1;
        self.queue.insert((at, self.number), event);
    }

    pub(super) fn input(&mut self, index: usize, input: Input) {
        let at = self.moment(index);
        let mut out = Vec::new();
        let Some(node) = self.hosts[index].node.as_mut() else {
            return;
        };
        node.handle(at, input, &mut out);
        self.perform(index, out);
        self.schedule(index);
    }

    fn schedule(&mut self, index: usize) {
        let now = self.now;
        let host = &mut self.hosts[index];
        let Some(at) = host.node.as_ref().and_then(Node::next_deadline) else {
            return;
        };
        let at = at.max(now);
        if host.next_tick.is_none_or(|scheduled| at < scheduled) {
            host.next_tick = Some(at);
            let life = host.life;
            self.push(at, Event::Tick { node: index, life });
        }
    }

    fn perform(&mut self, index: usize, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Sync => {
                    let synced = self.hosts[index].node.as_mut().map(Node::sync_store);
                    if let Some(Err(error)) = synced {
                        return self.input(
                            index,
                            Input::StorageFailed {
                                reason: error.to_string(),
                            },
                        );
                    }
                }
                Output::Send { to, bytes, .. } => self.transmit(index, to, bytes),
                Output::Committed(block) => self.note_commit(index, *block),
                Output::Event(event) => self.hosts[index].events.push(event),
                Output::Halted { reason } => self.hosts[index].halted = Some(reason),
                Output::Misbehaviour { kind, .. } => {
                    self.hosts[index].misbehaviour.push(kind.to_string())
                }
                Output::Submitted { result, .. } => self.hosts[index].results.push(result),
                Output::NeedContent { id, holders, .. } => self.fetch_content(index, id, &holders),
                Output::RootCommitted(record) => self.hosts[index].records.push(*record),
                Output::Members(_) | Output::Ready(_) => {}
            }
        }
    }

    /// The first of the holders that has the content sends it.
    fn fetch_content(&mut self, to: usize, id: ContentId, holders: &[PublicKey]) {
        for holder in holders {
            let Some(from) = self
                .hosts
                .iter()
                .position(|host| host.key.public() == *holder)
            else {
                continue;
            };
            let held = self.hosts[from]
                .node
                .as_ref()
                .and_then(|node| node.content(&id).ok().flatten());
            if let Some(bytes) = held {
                self.push(self.now.plus(5), Event::Content { to, id, bytes });
                return;
            }
        }
    }

    fn transmit(&mut self, from: usize, to: PublicKey, bytes: Arc<[u8]>) {
        let Some(to) = self.hosts.iter().position(|host| host.key.public() == to) else {
            return;
        };
        if self.hosts[from].silent || self.is_cut(from, to) {
            return;
        }
        let Some(bytes) = self.as_sent(from, bytes) else {
            return;
        };
        self.sent += 1;
        if self.recording {
            self.frames.push((from, to, bytes.clone()));
        }
        if let Some(drops) = &self.drops
            && PeerMessage::from_bytes(&bytes).is_ok_and(|message| drops(from, &message))
        {
            return;
        }
        let (lost, twice) = (
            self.draw() % 100 < self.loss,
            self.draw() % 100 < self.repeats,
        );
        let latency = 2 + self.draw() % 10;
        if twice {
            let late = latency + self.draw() % 500;
            self.push(
                self.now.plus(late),
                Event::Deliver {
                    from,
                    to,
                    bytes: bytes.clone(),
                },
            );
        }
        if !lost {
            self.push(self.now.plus(latency), Event::Deliver { from, to, bytes });
        }
    }

    fn as_sent(&mut self, from: usize, bytes: Arc<[u8]>) -> Option<Arc<[u8]>> {
        let host = &mut self.hosts[from];
        let Some(forge) = host.forges else {
            return Some(bytes);
        };
        let message = PeerMessage::from_bytes(&bytes).expect("a node's own message decodes");
        let sent = forge(message.clone());
        host.forged += usize::from(sent.as_ref() != Some(&message));
        sent.map(|message| message.encode().into())
    }

    fn note_commit(&mut self, index: usize, block: CommittedBlock) {
        let known = self.chain.entry(block.height).or_insert(block.id);
        assert_eq!(
            *known, block.id,
            "node {index} committed another block at height {}",
            block.height
        );
        self.hosts[index].committed.push(block);
    }

    fn step(&mut self) -> bool {
        let Some(((at, _), event)) = self.queue.pop_first() else {
            return false;
        };
        self.now = at;
        match event {
            Event::Deliver { from, to, bytes } => {
                let from = self.key(from);
                self.input(
                    to,
                    Input::Message {
                        from,
                        bytes: bytes.to_vec(),
                    },
                );
            }
            Event::Content { to, id, bytes } => {
                if let Some(node) = self.hosts[to].node.as_mut() {
                    let len = u32::try_from(bytes.len()).expect("short");
                    node.put_content(&id, bytes).expect("the store takes it");
                    self.input(to, Input::ContentArrived { id, len });
                }
            }
            Event::Tick { node, life } => {
                let host = &mut self.hosts[node];
                if host.life == life {
                    if host.next_tick == Some(at) {
                        host.next_tick = None;
                    }
                    self.input(node, Input::Tick);
                }
            }
        }
        true
    }

    /// Runs for `ms`.
    pub(super) fn run(&mut self, ms: u64) {
        let end = self.now.plus(ms);
        while self
            .queue
            .first_key_value()
            .is_some_and(|((at, _), _)| *at <= end)
        {
            self.step();
        }
        self.now = end;
    }

    /// Runs until `done`, at most `ms`. Whether it was.
    pub(super) fn run_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.plus(ms);
        while !done(self) {
            if self
                .queue
                .first_key_value()
                .is_none_or(|((at, _), _)| *at > end)
            {
                return false;
            }
            self.step();
        }
        true
    }

    pub(super) fn node(&self, index: usize) -> &Node {
        self.hosts[index].node.as_ref().expect("the node runs")
    }

    pub(super) fn epoch(&self, index: usize) -> u64 {
        self.hosts[index]
            .node
            .as_ref()
            .map_or(0, |node| node.epoch().get())
    }

    pub(super) fn nonce(&self, index: usize, user: usize) -> Nonce {
        match self
            .node(index)
            .state()
            .entity(&self.users[user].public().address())
        {
            Some(Entity::Account(account)) => account.nonce,
            _ => Nonce::ZERO,
        }
    }

    pub(super) fn balance(&self, index: usize, address: &Address) -> Credits {
        match self.hosts[index]
            .node
            .as_ref()
            .and_then(|node| node.state().entity(address))
        {
            Some(Entity::Account(account)) => account.balance,
            _ => Credits::ZERO,
        }
    }

    pub(super) fn operation(
        &self,
        user: usize,
        nonce: u64,
        expires: u64,
        action: Action,
    ) -> Operation {
        let key = &self.users[user];
        let body = OperationBody {
            genesis: self.rules.hash,
            account: key.public().address(),
            nonce: Nonce::new(nonce),
            expires: Epoch::new(expires),
            fee: Credits::whole(1),
            action,
        };
        Operation::Signed(SignedOperation::sign(body, key))
    }

    pub(super) fn submit(&mut self, index: usize, operation: &Operation) -> OperationId {
        self.input(
            index,
            Input::Submit {
                token: 0,
                operation: operation.encode(),
            },
        );
        let result = self.hosts[index]
            .results
            .pop()
            .expect("an answer comes at once");
        result.expect("the operation is queued")
    }

    /// Sends credits from a user to an address by node `index`, with this nonce.
    pub(super) fn transfer(
        &mut self,
        index: usize,
        user: usize,
        nonce: u64,
        to: Address,
    ) -> OperationId {
        let expires = self.epoch(index) + 100;
        let amount = Credits::whole(1);
        let operation = self.operation(user, nonce, expires, Action::Transfer { to, amount });
        self.submit(index, &operation)
    }

    /// No node halted, all that run agree, and no credits were made.
    pub(super) fn check(&self) {
        for (index, host) in self.hosts.iter().enumerate() {
            assert_eq!(host.halted, None, "node {index}");
            let Some(node) = &host.node else { continue };
            let flows = node.state().flows();
            let held = node
                .state()
                .summary()
                .credits
                .add(flows.burned)
                .expect("credits fit");
            assert_eq!(
                held,
                self.rules.supply.add(flows.issued).expect("credits fit")
            );
        }
    }
}
