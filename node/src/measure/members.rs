//! Four whole nodes in this process, and the way to submit to them.

use super::cpu::ThreadClock;
use super::transfers::Account;
use crate::service::{Admission, Lane, Lanes};
use frith_ledger::credits::Credits;
use frith_ledger::entity::Terms;
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker};
use frith_ledger::key::{PublicKey, Seed};
use frith_ledger::operation::OperationId;
use frith_ledger::parameters::Parameters;
use frith_ledger::store::{RocksOptions, RocksStore};
use frith_ledger::units::{Millis, UnixMillis};
use frith_ledger::vrf::VrfSecret;
use frith_neighbourhood::{Input, Limits, Moment, Node, NodeConfig, Output, SubmitError};
use frith_tasks::Rules;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many there are.
pub(super) const MEMBERS: usize = 4;

/// Why a measurement ended early.
pub(super) type Unfinished = Box<dyn std::error::Error + Send + Sync>;

/// Inputs that wait in a member's lanes; the rest wait in its inbox.
const WAITING_MAX: usize = 512;

/// What a member tells who submits.
pub(super) enum Told {
    /// An operation came before its core.
    Submitted {
        /// As given.
        token: u64,
        /// Why it isn't taken.
        refused: Option<Refusal>,
    },
    /// Operations are in a committed block.
    Executed {
        /// Those that were done.
        operations: Vec<OperationId>,
        /// When this member committed it.
        at: Instant,
    },
}

/// Why an operation isn't taken.
pub(super) enum Refusal {
    /// Too many wait; it may come again.
    Overloaded,
    /// It must not come again.
    Other(String),
}

/// One node, on a thread of its own.
pub(super) struct Member {
    inbox: Sender<Input>,
    pub(super) told: Receiver<Told>,
    pub(super) clock: ThreadClock,
    admission: Arc<Admission>,
    thread: JoinHandle<Result<(), String>>,
}

impl Member {
    /// Submits as the API of a node does: who finds the queue or the way to it full doesn't disturb the core. Whether
    /// it was sent.
    pub(super) fn submit(&self, token: u64, operation: &[u8]) -> Result<bool, Unfinished> {
        let Ok(place) = self.admission.enter(operation) else {
            return Ok(false);
        };
        self.inbox.send(Input::Submit {
            token,
            operation: operation.to_vec(),
        })?;
        place.sent();
        Ok(true)
    }

    /// Whether its queue took no such operation when it told last.
    pub(super) fn is_full(&self, operation: &[u8]) -> bool {
        !self.admission.has_room(operation)
    }

    /// Operations that waited for a batch when it told last.
    pub(super) fn queued(&self) -> usize {
        self.admission.queued().operations
    }
}

/// Ends all members and waits for their threads.
pub(super) fn stop(members: Vec<Member>) -> Result<(), Unfinished> {
    for member in &members {
        member.inbox.send(Input::StorageFailed {
            reason: "the measurement is over".into(),
        })?;
    }
    for member in members {
        member.thread.join().map_err(|_| "a member panicked")??;
    }
    Ok(())
}

struct Link {
    peers: BTreeMap<PublicKey, Sender<Input>>,
    me: PublicKey,
    told: Sender<Told>,
    admission: Arc<Admission>,
}

impl Link {
    /// Performs outputs in order: one sync for all, before anything is sent.
    fn perform(&self, node: &mut Node, outputs: &mut Vec<Output>) -> Result<(), String> {
        if outputs.iter().any(|output| matches!(output, Output::Sync)) {
            node.sync_store().map_err(|error| error.to_string())?;
        }
        for output in outputs.drain(..) {
            match output {
                Output::Send { to, bytes, .. } => {
                    if let Some(peer) = self.peers.get(&to) {
                        // A member that has stopped no longer listens; the run is over then.
                        let _over = peer.send(Input::Message {
                            from: self.me,
                            bytes: bytes.to_vec(),
                        });
                    }
                }
                Output::Submitted { token, result } => {
                    let refused = result.err().map(|error| match error {
                        SubmitError::Overloaded { .. } => Refusal::Overloaded,
                        other => Refusal::Other(other.to_string()),
                    });
                    let _over = self.told.send(Told::Submitted { token, refused });
                }
                Output::Committed(block) => {
                    let done = block
                        .receipts
                        .iter()
                        .filter(|receipt| receipt.result.is_ok());
                    let operations = done.map(|receipt| receipt.operation).collect();
                    let _over = self.told.send(Told::Executed {
                        operations,
                        at: Instant::now(),
                    });
                }
                Output::Halted { reason } => return Err(reason),
                _ => {}
            }
        }
        Ok(())
    }

    fn handle(&self, node: &mut Node, at: Moment, input: Input, outputs: &mut Vec<Output>) {
        if matches!(input, Input::Submit { .. }) {
            self.admission.taken();
        }
        node.handle(at, input, outputs);
    }

    fn run(&self, node: &mut Node, inbox: &Receiver<Input>, start: Instant) -> Result<(), String> {
        let moment = || moment(start);
        let mut outputs = Vec::new();
        for peer in self.peers.keys() {
            node.handle(moment(), Input::Connected { peer: *peer }, &mut outputs);
        }
        // The rounds of `service::Core`.
        let mut lanes = Lanes::default();
        loop {
            self.admission.publish(node.queued());
            self.perform(node, &mut outputs)?;
            let deadline = node.next_deadline();
            if lanes.is_empty() {
                let wait = deadline
                    .map_or(50, |due| due.get().saturating_sub(moment().now.get()))
                    .min(50);
                let first = match inbox.recv_timeout(Duration::from_millis(wait)) {
                    Ok(input) => input,
                    Err(RecvTimeoutError::Timeout) => Input::Tick,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                };
                lanes.push(lane(&first), first);
            }
            lanes.begin();
            loop {
                let room = WAITING_MAX.saturating_sub(lanes.len());
                for input in inbox.try_iter().take(room) {
                    lanes.push(lane(&input), input);
                }
                match lanes.take() {
                    // The benchmark is over.
                    Some(Input::StorageFailed { .. }) => return Ok(()),
                    Some(input) => self.handle(node, moment(), input, &mut outputs),
                    None => break,
                }
            }
            if deadline.is_some_and(|due| due <= moment().now) {
                node.handle(moment(), Input::Tick, &mut outputs);
            }
        }
    }
}

/// What the clocks of all members show: they share one, and the genesis is at its beginning.
fn moment(start: Instant) -> Moment {
    let passed = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Moment::new(Millis::new(passed), UnixMillis::new(passed))
}

fn lane(input: &Input) -> Lane {
    match input {
        Input::Submit { .. } => Lane::Submission,
        input if input.is_urgent() => Lane::Urgent,
        _ => Lane::Rest,
    }
}

/// A network of these workers, in which these accounts have money.
pub(super) fn rules(workers: &[Seed], accounts: &[Seed]) -> Result<Rules, Unfinished> {
    let worker = |seed: &Seed| GenesisWorker {
        key: seed.worker().public().0,
        vrf: VrfSecret::from_seed(&seed.vrf()).public().0,
        account: seed.account().public().address(),
        stake: Credits::whole(1_000),
        collateral: Credits::whole(1_000),
        terms: Terms {
            engines: 1,
            price: Credits::ZERO,
            slots: 4,
        },
    };
    let account = |seed: &Seed| GenesisAccount {
        address: seed.account().public().address(),
        balance: Credits::whole(1_000_000),
    };
    Ok(Rules::new(Genesis {
        name: "bench".into(),
        time_ms: 0,
        beacon: [7; 32],
        parameters: Parameters {
            epoch_ms: 5_000,
            ..Parameters::devnet()
        },
        accounts: accounts.iter().map(account).collect(),
        workers: workers.iter().map(worker).collect(),
    })?)
}

/// Starts one node for each worker, with its store in `folder`.
pub(super) fn start(
    rules: &Arc<Rules>,
    workers: &[Seed],
    folder: &Path,
) -> Result<Vec<Member>, Unfinished> {
    let began = Instant::now();
    let channels: Vec<_> = workers.iter().map(|_| channel::<Input>()).collect();
    let all: BTreeMap<PublicKey, Sender<Input>> = workers
        .iter()
        .zip(&channels)
        .map(|(seed, (sender, _))| (seed.worker().public(), sender.clone()))
        .collect();
    let mut members = Vec::new();
    for (i, (seed, (inbox, received))) in workers.iter().zip(channels).enumerate() {
        let me = seed.worker().public();
        let mut peers = all.clone();
        peers.remove(&me);
        let limits = Limits::default();
        let admission = Arc::new(Admission::new(limits.clone()));
        let (told_sender, told) = channel();
        let link = Link {
            peers,
            me,
            told: told_sender,
            admission: Arc::clone(&admission),
        };
        let config = NodeConfig {
            rules: Arc::clone(rules),
            key: seed.worker(),
            vrf_seed: *seed.vrf(),
            reporter: seed.account().public().address(),
            founding: true,
            entropy: [u8::try_from(i)?; 32],
            limits,
        };
        let store = RocksStore::open(&folder.join(i.to_string()), &RocksOptions::default())?;
        let (clocks, clock) = channel();
        let thread = std::thread::spawn(move || {
            // Who waits for it is gone only when the run is over.
            let _over = clocks.send(ThreadClock::own());
            let mut node = Node::open(config, Box::new(store), moment(began))
                .map_err(|error| error.to_string())?;
            link.run(&mut node, &received, began)
        });
        members.push(Member {
            inbox,
            told,
            clock: clock.recv()??,
            admission,
            thread,
        });
    }
    Ok(members)
}

/// Waits until all members have committed a first transfer.
pub(super) fn warm(members: &[Member], accounts: &mut [Account]) -> Result<(), Unfinished> {
    let (id, bytes) = accounts[0].take()?;
    members[0].submit(0, &bytes)?;
    for member in members {
        loop {
            match member.told.recv_timeout(Duration::from_secs(30))? {
                Told::Executed { operations, .. } if operations.contains(&id) => break,
                Told::Submitted {
                    token,
                    refused: Some(Refusal::Other(reason)),
                } => {
                    return Err(format!("transfer {token}: {reason}").into());
                }
                _ => {}
            }
        }
    }
    Ok(())
}
