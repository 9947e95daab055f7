//! The thread that owns the core and its store.

use super::admission::Admission;
use super::clock::Clock;
use super::content::Own;
use super::counters::Counters;
use super::disk::DiskGuard;
use super::handle::{
    COMMANDS_MAX, Command, CoreHandle, EVENTS_MAX, LITTLE_READS_MAX, Progress, READS_MAX,
    content_len,
};
use super::lanes::{Lane, Lanes};
use super::wanted::{Waiting, Wanted};
use crate::present;
use crate::views::EventView;
use frith_ledger::key::PublicKey;
use frith_ledger::operation::OperationId;
use frith_ledger::store::StoreError;
use frith_neighbourhood::{
    CommittedBlock, Input, Limits, Node, NodeEvent, Output, Priority, Snapshot, SubmitError,
};
use frith_tasks::Rules;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};

/// Where messages go. The network, or nowhere in tests.
pub trait Outbound: Send + Sync {
    /// Queues a message; drops it when the peer is gone or takes too little.
    fn send(&self, to: PublicKey, priority: Priority, bytes: Arc<[u8]>);
    /// Whom to stay connected to.
    fn members(&self, members: BTreeSet<PublicKey>);
    /// A peer misbehaved.
    fn penalise(&self, peer: PublicKey);
}

/// Owns the core; runs on a thread of its own.
pub struct Core {
    node: Node,
    clock: Clock,
    commands: mpsc::Receiver<Command>,
    lanes: Lanes<Command>,
    outbound: Arc<dyn Outbound>,
    wanted: mpsc::Sender<Wanted>,
    unasked: Waiting,
    waiting: BTreeMap<u64, oneshot::Sender<Result<OperationId, SubmitError>>>,
    next_token: u64,
    progress: watch::Sender<Progress>,
    chain: watch::Sender<Arc<Snapshot>>,
    events: broadcast::Sender<EventView>,
    counters: Arc<Counters>,
    admission: Arc<Admission>,
    failed: bool,
    halted: bool,
}

impl Core {
    /// A core around `node`, its handle, and the content that it will ask for. Content is refused when the guard says that
    /// the disk is nearly full.
    #[must_use]
    pub fn new(
        node: Node,
        rules: Arc<Rules>,
        clock: Clock,
        outbound: Arc<dyn Outbound>,
        disk: Option<DiskGuard>,
    ) -> (Self, CoreHandle, mpsc::Receiver<Wanted>) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (wanted, wants) = mpsc::channel(COMMANDS_MAX);
        let start = Progress {
            height: node.head().get(),
            roots: node.roots().get(),
            ..Progress::default()
        };
        let (progress, watching) = watch::channel(start);
        let (chain, shown) = watch::channel(Arc::new(node.snapshot()));
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let counters = Arc::<Counters>::default();
        let admission = Arc::new(Admission::new(node.limits().clone()));
        let handle = CoreHandle {
            counters: counters.clone(),
            admission: admission.clone(),
            contents: Arc::new(Own::of(&node, disk)),
            commands: sender,
            progress: watching,
            chain: shown,
            reads: Arc::new(Semaphore::new(READS_MAX)),
            little_reads: Arc::new(Semaphore::new(LITTLE_READS_MAX)),
            events: events.clone(),
            rules,
        };
        let core = Self {
            node,
            clock,
            commands,
            lanes: Lanes::default(),
            outbound,
            wanted,
            unasked: Waiting::default(),
            waiting: BTreeMap::new(),
            next_token: 0,
            progress,
            chain,
            events,
            counters,
            admission,
            failed: false,
            halted: false,
        };
        (core, handle, wants)
    }

    /// Runs until [`Command::Stop`] or until every handle is gone; then syncs, unless it halted, and closes the store.
    pub async fn run(mut self) {
        let mut out = Vec::new();
        self.input(Input::Tick, &mut out);
        self.perform(&mut out);
        let mut stop = false;
        while !stop {
            let deadline = self.node.next_deadline();
            if self.lanes.is_empty() {
                let first = match deadline {
                    None => self.commands.recv().await,
                    Some(at) => {
                        let first = self.commands.recv();
                        match tokio::time::timeout(self.clock.until(at), first).await {
                            Ok(command) => command,
                            Err(_) => Some(Command::Input(Input::Tick)),
                        }
                    }
                };
                let Some(first) = first else { break };
                self.lanes.push(lane(&first), first);
            }
            self.lanes.begin();
            // What else is there shares this round's sync.
            while !stop {
                self.fetch();
                let Some(next) = self.lanes.take() else {
                    break;
                };
                stop = self.command(next, &mut out);
            }
            // A busy queue must not keep a deadline waiting.
            if deadline.is_some_and(|at| at <= self.clock.now()) {
                self.input(Input::Tick, &mut out);
            }
            self.admission.publish(self.node.queued());
            self.perform(&mut out);
            self.show();
            self.unasked.pass_on(&self.wanted);
        }
        // After a failure a sync may claim what the disk has lost. Nothing was said that waits for this one.
        if !self.halted
            && let Err(error) = self.node.sync_store()
        {
            tracing::error!(%error, "the last sync of the store failed");
        }
    }

    /// Takes what came meanwhile, so that it gets its turn before what isn't as urgent.
    fn fetch(&mut self) {
        while self.lanes.len() < COMMANDS_MAX
            && let Ok(next) = self.commands.try_recv()
        {
            self.lanes.push(lane(&next), next);
        }
    }

    fn input(&mut self, input: Input, out: &mut Vec<Output>) {
        self.node.handle(self.clock.moment(), input, out);
    }

    /// Carries out one command; `true` for the last.
    fn command(&mut self, command: Command, out: &mut Vec<Output>) -> bool {
        match command {
            Command::Input(input) => self.input(input, out),
            Command::Submit { operation, reply } => {
                let token = self.next_token;
                self.next_token = self.next_token.wrapping_add(1);
                self.waiting.insert(token, reply);
                self.admission.taken();
                self.input(Input::Submit { token, operation }, out);
            }
            Command::Content { id, bytes, reply } => {
                let len = content_len(&bytes);
                let stored = self.node.put_content(&id, bytes);
                let stored = stored.map_err(|error| error.to_string());
                if stored.is_ok() {
                    self.input(Input::ContentArrived { id, len }, out);
                }
                let _nobody_waits = reply.send(stored);
            }
            Command::Query(question) => {
                question(&mut self.node);
                if let Some(error) = self.node.take_store_failure() {
                    self.store_failed(&error, out);
                }
            }
            Command::Stop => return true,
        }
        false
    }

    /// Performs a round's outputs in order. The first sync covers all that the round wrote.
    fn perform(&mut self, out: &mut Vec<Output>) {
        let mut synced = false;
        // A failing store is an input, and its outputs join the round.
        while !out.is_empty() {
            let round = std::mem::take(out);
            for output in round {
                if matches!(output, Output::Sync) {
                    if synced || self.failed {
                        continue;
                    }
                    let before = self.clock.elapsed();
                    match self.node.sync_store() {
                        Ok(()) => {
                            synced = true;
                            self.counters
                                .synced(self.clock.elapsed().saturating_sub(before));
                        }
                        Err(error) => {
                            self.failed = true;
                            self.store_failed(&error, out);
                            // Nothing that depends on the sync may leave.
                            break;
                        }
                    }
                    continue;
                }
                self.output(output);
            }
        }
    }

    /// Shows the committed chain as it is now, if it isn't shown: called when all of it is durable.
    fn show(&self) {
        let place = |chain: &Snapshot| (chain.head(), chain.epoch(), chain.roots());
        let now = (self.node.head(), self.node.epoch(), self.node.roots());
        if !self.failed && place(&self.chain.borrow()) != now {
            self.chain.send_replace(Arc::new(self.node.snapshot()));
        }
    }

    fn store_failed(&mut self, error: &StoreError, out: &mut Vec<Output>) {
        tracing::error!(%error, "the store failed; this node stops voting");
        let reason = error.to_string();
        self.input(Input::StorageFailed { reason }, out);
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send {
                to,
                priority,
                bytes,
            } => self.outbound.send(to, priority, bytes),
            Output::Members(members) => self.outbound.members(members),
            Output::Submitted { token, result } => {
                if matches!(result, Err(SubmitError::Overloaded { .. })) {
                    self.counters.overloaded.add(1);
                }
                if let Some(reply) = self.waiting.remove(&token) {
                    let _nobody_waits = reply.send(result);
                }
            }
            Output::Committed(block) => self.committed(&block),
            Output::RootCommitted(record) => {
                tracing::debug!(epoch = %record.epoch, "root committed");
                self.show();
                let roots = record.epoch.get().saturating_add(1);
                self.progress
                    .send_modify(|progress| progress.roots = progress.roots.max(roots));
                self.tell(EventView::Root {
                    epoch: record.epoch.get(),
                    id: record.id().to_hex(),
                    time_ms: record.time.get(),
                });
            }
            Output::NeedContent { id, len, holders } => {
                self.unasked.push(Wanted { id, len, holders })
            }
            Output::Misbehaviour { peer, kind } => {
                tracing::warn!(%peer, %kind, "a peer misbehaved");
                self.outbound.penalise(peer);
            }
            Output::Ready(ready) => {
                tracing::info!(ready, "readiness changed");
                self.progress.send_modify(|progress| progress.ready = ready);
                self.tell(EventView::Ready { ready });
            }
            Output::Halted { reason } => {
                tracing::error!(reason, "this node has halted: it takes no further part");
                self.halted = true;
                self.progress.send_modify(|progress| {
                    progress.halted = Some(reason);
                    progress.ready = false;
                });
            }
            Output::Event(event) => {
                if matches!(event, NodeEvent::RecordLost { .. }) {
                    self.counters.records_lost.add(1);
                }
                log_event(&event);
            }
            Output::Sync => {}
        }
    }

    fn committed(&mut self, block: &CommittedBlock) {
        let height = block.height.get();
        self.show();
        self.counters.blocks.add(1);
        self.counters.operations.add(block.receipts.len() as u64);
        tracing::debug!(height, epoch = %block.epoch, operations = block.receipts.len(), "block committed");
        for event in &block.events {
            tracing::info!(height, event = ?event, "task");
            self.tell(present::event(event, height));
        }
        self.tell(EventView::Block {
            height,
            epoch: block.epoch.get(),
            id: block.id.to_hex(),
            operations: block.receipts.len() as u64,
        });
        self.progress
            .send_modify(|progress| progress.height = height);
    }

    fn tell(&self, event: EventView) {
        // An error means that nobody listens.
        let _nobody_listens = self.events.send(event);
    }
}

fn lane(command: &Command) -> Lane {
    match command {
        Command::Input(input) if input.is_urgent() => Lane::Urgent,
        Command::Submit { operation, .. } if Limits::is_users(operation) => Lane::Submission,
        Command::Input(_)
        | Command::Submit { .. }
        | Command::Content { .. }
        | Command::Query(_)
        | Command::Stop => Lane::Rest,
    }
}

fn log_event(event: &NodeEvent) {
    match event {
        NodeEvent::Epoch { epoch, member } => tracing::debug!(%epoch, member, "entered an epoch"),
        NodeEvent::Recovering { reason } => {
            tracing::warn!(
                reason,
                "asks the others what it may have signed, and doesn't vote meanwhile"
            );
        }
        NodeEvent::RecordLost { view } => {
            tracing::error!(%view, "a member shows a later signature of this key than this directory knows");
        }
        NodeEvent::ClocksDiffer(differ) => {
            tracing::warn!(
                member = %differ.member, record_ms = differ.record.get(), own_ms = differ.own.get(),
                "doesn't vote for a record whose time is far from this machine's clock; see `frith doctor`"
            );
        }
        NodeEvent::Recovered => tracing::info!("may vote again"),
        NodeEvent::CopyingState {
            epoch,
            entities,
            of,
        } => tracing::info!(%epoch, entities, of, "copies the state"),
        NodeEvent::StateCopied { epoch } => tracing::info!(%epoch, "the state is copied"),
        NodeEvent::Offence { member } => {
            tracing::warn!(%member, "a member said two things that exclude each other; evidence is submitted");
        }
    }
}
