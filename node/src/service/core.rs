//! The thread that owns the core and its store.

use super::admission::Admission;
use super::clock::Clock;
use super::counters::Counters;
use super::handle::{COMMANDS_MAX, Command, CoreHandle, EVENTS_MAX, Progress, READS_MAX};
use super::lanes::{Lane, Lanes};
use super::wanted::{Waiting, Wanted};
use crate::amounts;
use crate::present;
use crate::views::EventView;
use frith_ledger::key::PublicKey;
use frith_ledger::operation::OperationId;
use frith_ledger::store::StoreError;
use frith_neighbourhood::{
    CommittedBlock, Input, Limits, Node, NodeEvent, Output, Priority, SubmitError,
};
use frith_tasks::Rules;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
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
    events: broadcast::Sender<EventView>,
    counters: Arc<Counters>,
    admission: Arc<Admission>,
    disk: Option<DiskGuard>,
    failed: bool,
}

/// Keeps content from filling the disk: a store that can't write ends the node's part in consensus.
#[derive(Debug, Clone)]
pub struct DiskGuard {
    /// A directory on the store's disk.
    pub path: PathBuf,
    /// Bytes that content leaves free.
    pub free_bytes_min: u64,
    /// Bytes that content may make the directory have; 0 for no quota.
    pub used_bytes_max: u64,
}

/// Bytes free on the disk of a directory.
pub(super) fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes of all files under a directory. What can't be read counts nothing: files come and go meanwhile.
fn bytes_under(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_under(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}

impl DiskGuard {
    /// Bytes that the directory has; `None` without a quota. Linear in its files.
    #[must_use]
    pub fn used(&self) -> Option<u64> {
        (self.used_bytes_max > 0).then(|| bytes_under(&self.path))
    }

    fn check(&self) -> Result<(), String> {
        if let Some(used) = self.used().filter(|used| *used >= self.used_bytes_max) {
            let (used, max) = (amounts::bytes(used), amounts::bytes(self.used_bytes_max));
            return Err(format!(
                "the data directory has {used}, and content may make it {max} (disk_mib_max)"
            ));
        }
        let free = free_bytes(&self.path).map_err(|error| error.to_string())?;
        if free >= self.free_bytes_min {
            return Ok(());
        }
        let (free, min) = (amounts::bytes(free), amounts::bytes(self.free_bytes_min));
        Err(format!(
            "the disk has {free} free, and content has to leave {min} (disk_free_mib_min)"
        ))
    }
}

impl Core {
    /// A core around `node`, its handle, and the content that it will ask for.
    #[must_use]
    pub fn new(
        node: Node,
        rules: Arc<Rules>,
        clock: Clock,
        outbound: Arc<dyn Outbound>,
    ) -> (Self, CoreHandle, mpsc::Receiver<Wanted>) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (wanted, wants) = mpsc::channel(COMMANDS_MAX);
        let start = Progress {
            height: node.head().get(),
            roots: node.roots().get(),
            ..Progress::default()
        };
        let (progress, watching) = watch::channel(start);
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let counters = Arc::<Counters>::default();
        let admission = Arc::new(Admission::new(node.limits().clone()));
        let handle = CoreHandle {
            counters: counters.clone(),
            admission: admission.clone(),
            contents: node.content_reader(),
            reads: Arc::new(Semaphore::new(READS_MAX)),
            commands: sender,
            progress: watching,
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
            events,
            counters,
            admission,
            disk: None,
            failed: false,
        };
        (core, handle, wants)
    }

    /// The same core, which refuses content when the disk is nearly full.
    #[must_use]
    pub fn with_disk_guard(mut self, guard: DiskGuard) -> Self {
        self.disk = Some(guard);
        self
    }

    /// Runs until [`Command::Stop`] or until every handle is gone; then syncs and closes the store.
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
            self.unasked.pass_on(&self.wanted);
        }
        if let Err(error) = self.node.sync_store() {
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
        self.node.handle(self.clock.now(), input, out);
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
                let room = self.disk.as_ref().map_or(Ok(()), DiskGuard::check);
                let put = |()| self.node.put_content(&id, bytes);
                let stored = room.and_then(|room| put(room).map_err(|error| error.to_string()));
                if stored.is_ok() {
                    self.input(Input::ContentArrived { id }, out);
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
                let roots = record.epoch.get().saturating_add(1);
                self.progress
                    .send_modify(|progress| progress.roots = progress.roots.max(roots));
                self.tell(EventView::Root {
                    epoch: record.epoch.get(),
                    id: record.id().to_hex(),
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
                tracing::error!(reason, "this node has stopped voting");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_counts_all_files_and_keeps_content_out_at_its_bound() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = dir.path().join("store");
        std::fs::create_dir(&store).expect("makes");
        let guard = |max| DiskGuard {
            path: dir.path().to_owned(),
            free_bytes_min: 0,
            used_bytes_max: max,
        };
        std::fs::write(store.join("one"), [0; 600]).expect("writes");
        assert_eq!(guard(1000).check(), Ok(()));
        std::fs::write(dir.path().join("two"), [0; 400]).expect("writes");
        let refused = guard(1000).check().expect_err("is full");
        assert!(refused.contains("disk_mib_max"), "{refused}");
        assert_eq!(guard(1001).check(), Ok(()));
        assert_eq!(guard(0).check(), Ok(()), "no quota");
    }
}
