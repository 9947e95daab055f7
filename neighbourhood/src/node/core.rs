//! The frame: opening, one input, deadlines.

use super::api::{
    Input, Moment, NodeConfig, NodeEvent, OpenError, Output, Priority, SubmitError, earlier,
};
use super::seeking::Seeking;
use crate::chain::Chain;
use crate::consensus::Consensus;
use crate::leaf::{LeafBlocks, Missing};
use crate::limits::Limits;
use crate::membership::Committees;
use crate::peers::Peers;
use crate::persist;
use crate::pool::Pool;
use crate::recovery::Recovery;
use crate::root::RootBlocks;
use crate::roots::Roots;
use crate::sync::{Pulls, StateCopy, Wants};
use crate::twin::Twin;
use crate::wire::{CertifiedBlocks, PeerMessage};
use frith_ledger::address::Address;
use frith_ledger::certificate::Committee;
use frith_ledger::entity::ContentId;
use frith_ledger::key::{PublicKey, SecretKey};
use frith_ledger::store::{AddStore, ReadStore, Store, StoreError, Table, Write};
use frith_ledger::units::{Millis, UnixMillis};
use frith_ledger::vrf::VrfSecret;
use frith_tasks::Rules;
use parity_scale_codec::Encode as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rounds in which consequences of one input are worked off before the host gets its turn.
const ROUNDS_MAX: usize = 64;

/// The leaf's instance that runs.
pub(super) struct LeafRun {
    pub(super) core: Consensus,
    pub(super) blocks: LeafBlocks,
}

/// The root's instance that runs.
pub(super) struct RootRun {
    pub(super) core: Consensus,
    pub(super) blocks: RootBlocks,
}

/// A copy of the state under way.
pub(super) struct Copying {
    pub(super) copy: StateCopy,
    pub(super) pulls: Pulls,
    /// Entities when progress was last said.
    pub(super) said: u64,
    /// When others may be asked for a newer record again.
    pub(super) renew: Millis,
}

/// Reads content and nothing else, beside the core. Cheap to clone.
#[derive(Clone)]
pub struct ContentReader(Option<Arc<dyn ReadStore>>);

impl ContentReader {
    /// A reader of the contents in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn ReadStore>) -> Self {
        Self(Some(store))
    }

    /// Content by its id. Blocks while the disk reads, at most 16 MiB.
    ///
    /// # Errors
    /// [`StoreError`]; once the core has closed its store, too.
    pub fn get(&self, id: &ContentId) -> Result<Option<Vec<u8>>, StoreError> {
        let store = self.0.as_ref().ok_or_else(|| StoreError {
            action: "read",
            reason: "this store is read by its owner alone".to_owned(),
        })?;
        store.read(Table::Content, &id.0)
    }
}

/// Adds large content beside the core. Cheap to clone.
#[derive(Clone)]
pub struct ContentAdder(Arc<dyn AddStore>);

impl ContentAdder {
    /// Keeps content; the caller has checked that `id` is its hash. Durable when it returns; tell the node by
    /// [`Input::ContentArrived`]. Blocks while the disk writes.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was added then, and the core goes on.
    pub fn add(&self, id: &ContentId, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.add(Table::Content, &id.0, bytes)
    }
}

/// The core of one node.
pub struct Node {
    pub(super) rules: Arc<Rules>,
    pub(super) key: SecretKey,
    pub(super) me: PublicKey,
    pub(super) vrf: VrfSecret,
    pub(super) reporter: Address,
    pub(super) limits: Limits,
    pub(super) store: Box<dyn Store>,
    pub(super) chain: Chain,
    pub(super) committees: Committees,
    pub(super) roots: Roots,
    pub(super) leaf: LeafRun,
    pub(super) root: Option<RootRun>,
    pub(super) pool: Pool,
    pub(super) peers: Peers,
    pub(super) wants: Wants,
    /// Peers whose answers did not hold in this epoch.
    pub(super) distrusted: BTreeSet<PublicKey>,
    /// Certified blocks that wait for what they name.
    pub(super) arrived: Option<CertifiedBlocks>,
    pub(super) copying: Option<Copying>,
    pub(super) seeking: Option<Seeking>,
    pub(super) recovery: Recovery,
    pub(super) twin: Twin,
    pub(super) missing: Missing,
    pub(super) failed: Option<StoreError>,
    /// Contents known to be here.
    pub(super) contents_held: BTreeMap<ContentId, u32>,
    /// Contents that were asked for, and when to ask again.
    pub(super) contents_asked: BTreeMap<ContentId, Millis>,
    pub(super) halted: Option<String>,
    pub(super) ready: bool,
    pub(super) members: BTreeSet<PublicKey>,
    /// The time of the last input.
    pub(super) clock: Millis,
    /// What the world's clock showed at the last input.
    pub(super) wall: UnixMillis,
    /// What resuming brought about, for the first call.
    pub(super) resumed: Vec<Output>,
    /// Half of the running epoch, and all of it, has passed here.
    pub(super) half_over: bool,
    pub(super) epoch_over: bool,
    /// An instance began: messages may have come before.
    pub(super) begun: bool,
    /// Something may be proposed, or a waiting block may be complete.
    pub(super) work: bool,
    pub(super) retry: bool,
    /// Others should hear how far this node is: all, or who isn't a member.
    pub(super) tell_all: bool,
    pub(super) tell_observers: bool,
    #[cfg(any(test, feature = "planted-bugs"))]
    pub(super) faults: crate::consensus::Faults,
}

impl Node {
    /// Opens the store, executes what came after the last saved state, and resumes the instances.
    ///
    /// The first call of [`Node::handle`] brings up what the node says first. Costs a scan of the state and
    /// the execution of at most one epoch.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(config: NodeConfig, store: Box<dyn Store>, at: Moment) -> Result<Self, OpenError> {
        let (node, fresh) = Self::load(config, store, at)?;
        node.begin(at.now, fresh)
    }

    /// The same with bugs, for a simulator to find.
    ///
    /// # Errors
    /// [`OpenError`].
    #[cfg(any(test, feature = "planted-bugs"))]
    pub fn open_with_bugs(
        config: NodeConfig,
        store: Box<dyn Store>,
        at: Moment,
        bugs: crate::consensus::Faults,
    ) -> Result<Self, OpenError> {
        let (mut node, fresh) = Self::load(config, store, at)?;
        node.faults = bugs;
        node.begin(at.now, fresh)
    }

    /// What the store holds, before the instances run; and whether it was empty.
    fn load(
        config: NodeConfig,
        store: Box<dyn Store>,
        Moment { now, wall }: Moment,
    ) -> Result<(Self, bool), OpenError> {
        let NodeConfig {
            rules,
            key,
            vrf_seed,
            reporter,
            founding,
            entropy,
            limits,
        } = config;
        let fresh = match persist::genesis(&*store)? {
            None => true,
            Some(found) if found == rules.hash => false,
            Some(found) => {
                return Err(OpenError::Network {
                    expected: rules.hash,
                    found,
                });
            }
        };
        let clean = persist::voting(&*store)?;
        let founding = (fresh && founding) || persist::founding(&*store)?;
        let me = key.public();
        let chain = Chain::open(&rules, &*store, &limits)?;
        let genesis = rules
            .genesis
            .committee()
            .map_err(crate::chain::ChainError::from)?;
        let (committees, roots) = super::epochs::load_committees(&rules, &*store, &chain, genesis)?;
        let number = u64::from_le_bytes(entropy.first_chunk::<8>().copied().unwrap_or_default());
        let peers = Peers::new(now, &limits);
        let leaf = super::epochs::placeholder(&rules, &key, &chain, &committees, &roots, now);
        let node = Self {
            twin: Twin::new(&entropy, rules.hash, &key),
            recovery: Recovery::new(
                clean,
                entropy,
                (limits.retry_min.get(), limits.retry_max.get()),
            )
            .founding(founding, limits.founder_patience.get()),
            pool: Pool::new(me, number, &limits),
            wants: Wants::new(&limits),
            vrf: VrfSecret::from_seed(&vrf_seed),
            rules,
            key,
            me,
            reporter,
            limits,
            store,
            chain,
            committees,
            roots,
            leaf,
            root: None,
            peers,
            distrusted: BTreeSet::new(),
            arrived: None,
            copying: None,
            seeking: None,
            missing: Missing::default(),
            failed: None,
            contents_held: BTreeMap::new(),
            contents_asked: BTreeMap::new(),
            halted: None,
            ready: false,
            members: BTreeSet::new(),
            clock: now,
            wall,
            resumed: Vec::new(),
            half_over: false,
            epoch_over: false,
            begun: true,
            work: true,
            retry: false,
            tell_all: false,
            tell_observers: false,
            #[cfg(any(test, feature = "planted-bugs"))]
            faults: crate::consensus::Faults::default(),
        };
        Ok((node, fresh))
    }

    fn begin(mut self, now: Millis, fresh: bool) -> Result<Self, OpenError> {
        if fresh {
            // One write: a store that belongs to a network, but doesn't say that a founder started on it, is a lost one.
            let mut writes = vec![persist::put_genesis(&self.rules.hash)];
            writes.extend(self.recovery.founding.then(persist::put_founding));
            self.store.write(writes)?;
        }
        self.resume(now)?;
        if fresh {
            self.resumed.insert(0, Output::Sync);
        }
        Ok(self)
    }

    /// Applies `input` at a moment and appends what is to be done to `out`, in order.
    pub fn handle(&mut self, at: Moment, input: Input, out: &mut Vec<Output>) {
        let now = at.now;
        self.clock = self.clock.max(now);
        self.wall = at.wall;
        out.append(&mut self.resumed);
        if let Some(reason) = &self.halted {
            if let Input::Submit { token, .. } = input {
                let result = Err(SubmitError::Halted {
                    reason: reason.clone(),
                });
                out.push(Output::Submitted { token, result });
            }
            return;
        }
        match input {
            Input::Connected { peer } => self.connected(now, peer, out),
            Input::Disconnected { peer } => self.peers.disconnect(&peer),
            Input::Message { from, bytes } => self.message(now, from, &bytes, out),
            Input::Submit { token, operation } => {
                let result = self.submit(now, operation);
                out.push(Output::Submitted { token, result });
            }
            Input::ContentArrived { id, len } => self.content_arrived((id, len), now, out),
            Input::Tick => {}
            Input::StorageFailed { reason } => {
                self.halt(format!("the store failed: {reason}"), out)
            }
        }
        self.settle(now, out);
    }

    /// When [`Input::Tick`] is due at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        if self.halted.is_some() {
            return None;
        }
        let next = self.deadline();
        // Everything due by now was worked off: time goes on before the next call.
        next.map(|at| at.max(self.clock.next()))
    }

    fn deadline(&self) -> Option<Millis> {
        let mut next = earlier(
            self.leaf.core.next_deadline(),
            self.root.as_ref().and_then(|r| r.core.next_deadline()),
        );
        next = earlier(next, self.next_epoch_event());
        next = earlier(next, self.next_batch());
        next = earlier(next, self.contents_asked.values().min().copied());
        if self.peers.connected().is_empty() {
            return next;
        }
        next = earlier(next, self.recovery.next());
        next = earlier(next, self.next_behind());
        next = earlier(next, self.next_search());
        let pulls = self.copying.as_ref().map(|copying| &copying.pulls);
        next = earlier(next, pulls.and_then(Pulls::next));
        earlier(next, self.wants.next())
    }

    /// Makes every write so far durable: performs [`Output::Sync`].
    ///
    /// # Errors
    /// [`StoreError`]; tell the node by [`Input::StorageFailed`].
    pub fn sync_store(&mut self) -> Result<(), StoreError> {
        self.store.sync()
    }

    /// Keeps content; the caller has checked that `id` is its hash.
    ///
    /// # Errors
    /// [`StoreError`]. Durable after the next sync.
    pub fn put_content(&mut self, id: &ContentId, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.store.write(vec![Write::Put {
            table: Table::Content,
            key: id.0.to_vec(),
            value: bytes,
        }])
    }

    /// Content by its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn content(&self, id: &ContentId) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(Table::Content, &id.0)
    }

    /// Reads content beside the core, from any thread. Every read fails when the store can't be read beside its owner.
    #[must_use]
    pub fn content_reader(&self) -> ContentReader {
        ContentReader(self.store.reader())
    }

    /// Adds content beside the core, from any thread; `None` when its owner alone can write to the store.
    #[must_use]
    pub fn content_adder(&self) -> Option<ContentAdder> {
        self.store.adder().map(ContentAdder)
    }

    /// The store, for what belongs to the host alone ([`Table::Work`]).
    pub fn store_mut(&mut self) -> &mut dyn Store {
        &mut *self.store
    }

    /// Works off what an input brought about.
    fn settle(&mut self, now: Millis, out: &mut Vec<Output>) {
        for _ in 0..ROUNDS_MAX {
            self.check_store(out);
            if self.halted.is_some() {
                return;
            }
            let mut moved = self.fetch_missing(now, out);
            moved |= self.run_instances(now, out);
            moved |= self.make_batches(now, out);
            moved |= self.catch_up(now, out);
            if !moved {
                break;
            }
        }
        self.repeat_batches(now, out);
        self.ask_reports(now, out);
        self.ask_contents(now, out);
        self.ask(now, out);
        self.tell(out);
        self.report_changes(out);
        self.check_store(out);
    }

    fn check_store(&mut self, out: &mut Vec<Output>) {
        if let Some(error) = self.failed.take() {
            self.halt(error.to_string(), out);
        }
    }

    /// Notes that the store failed; the node halts before anything else leaves it.
    pub(super) fn note<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }

    /// Why the store failed, when it did so in a question that was asked since the last input. What was answered then
    /// may lack what is there: it must not be passed on.
    #[must_use]
    pub const fn store_failure(&self) -> Option<&StoreError> {
        self.failed.as_ref()
    }

    /// The same, for the host to tell the node by [`Input::StorageFailed`].
    pub fn take_store_failure(&mut self) -> Option<StoreError> {
        self.failed.take()
    }

    /// Writes, or notes that the store failed. Whether it was written. After a failure nothing more is: what couldn't
    /// be read would pass for absent.
    pub(super) fn write(&mut self, writes: Vec<Write>) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let result = self.store.write(writes);
        self.note(result).is_some()
    }

    /// Takes no further part.
    pub(super) fn halt(&mut self, reason: String, out: &mut Vec<Output>) {
        if self.halted.is_none() {
            out.push(Output::Halted {
                reason: reason.clone(),
            });
            if self.ready {
                self.ready = false;
                out.push(Output::Ready(false));
            }
            self.halted = Some(reason);
        }
    }

    pub(super) fn send(&self, to: PublicKey, message: &PeerMessage, out: &mut Vec<Output>) {
        if self.failed.is_none() && self.peers.connected().contains(&to) {
            out.push(Output::Send {
                to,
                priority: priority(message),
                bytes: message.encode().into(),
            });
        }
    }

    /// Sends to all connected members but this node.
    pub(super) fn send_members(
        &self,
        committee: &Committee,
        message: &PeerMessage,
        out: &mut Vec<Output>,
    ) {
        if self.failed.is_some() {
            return;
        }
        let bytes: Arc<[u8]> = message.encode().into();
        for member in committee.members() {
            if member.key != self.me && self.peers.connected().contains(&member.key) {
                out.push(Output::Send {
                    to: member.key,
                    priority: priority(message),
                    bytes: bytes.clone(),
                });
            }
        }
    }

    pub(super) fn event(event: NodeEvent, out: &mut Vec<Output>) {
        out.push(Output::Event(event));
    }

    /// Says whom to stay connected to and whether the node is ready, when that changed.
    fn report_changes(&mut self, out: &mut Vec<Output>) {
        let mut members = BTreeSet::new();
        for epoch in [self.chain.epoch, self.chain.epoch.next()] {
            if let Some(committee) = self.committees.leaf(epoch) {
                members.extend(committee.members().iter().map(|member| member.key));
            }
        }
        if let Some(root) = &self.root {
            members.extend(
                root.blocks
                    .committee
                    .members()
                    .iter()
                    .map(|member| member.key),
            );
        }
        members.remove(&self.me);
        if members != self.members {
            self.members.clone_from(&members);
            out.push(Output::Members(members));
        }
        let ready = self.unready().is_empty();
        if ready != self.ready {
            self.ready = ready;
            out.push(Output::Ready(ready));
        }
    }
}

fn priority(message: &PeerMessage) -> Priority {
    match message {
        PeerMessage::Consensus { .. } => Priority::Consensus,
        PeerMessage::Request(_) | PeerMessage::Response(_) => Priority::Bulk,
        PeerMessage::Hello(_)
        | PeerMessage::Relayed(_)
        | PeerMessage::Answer(_)
        | PeerMessage::Status(_)
        | PeerMessage::Batch(_)
        | PeerMessage::Offer(_)
        | PeerMessage::Ack(_)
        | PeerMessage::Certified(_)
        | PeerMessage::Submit(_)
        | PeerMessage::ReportRequest(_)
        | PeerMessage::Report(_) => Priority::Control,
    }
}
