//! Four members in one process: finalised transfers per second over the bound that signature checks alone set, and the
//! time to finality at a tenth of that load.
//!
//! Every member is a whole node on a thread of its own: it verifies every operation and every vote itself and syncs its
//! own RocksDB before it votes. Members reach one another through channels; nothing leaves the process.

use super::overload::{Overloaded, overload};
use super::{failed, signature_checks_per_s};
use crate::failure;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Terms;
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker};
use frith_ledger::key::{PublicKey, Seed};
use frith_ledger::operation::{Action, Operation, OperationBody, OperationId, SignedOperation};
use frith_ledger::parameters::Parameters;
use frith_ledger::store::{RocksOptions, RocksStore};
use frith_ledger::units::{Epoch, Millis, Nonce};
use frith_ledger::vrf::VrfSecret;
use frith_neighbourhood::{Input, Limits, Node, NodeConfig, Output, SubmitError};
use frith_tasks::Rules;
use parity_scale_codec::Encode as _;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

const MEMBERS: usize = 4;
const ACCOUNTS: usize = 64;
/// Longest that signature checks are measured.
const CHECKS_TIME_MAX: Duration = Duration::from_secs(2);
/// How long the members may empty their queues.
const DRAIN: Duration = Duration::from_secs(2);
/// Operations that wait at a member at the most, in a batch or for one.
const QUEUED_MAX: usize = 80_000;
/// Operations per account and node that wait at once in the saturated run.
const WINDOW: usize = 512;

/// How long the transfers run before they are counted, and how long they are.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Before.
    pub warm_up: Duration,
    /// Counted; the same again at a tenth of the load.
    pub measured: Duration,
    /// Times the load that can be finalised that is offered at last, for both times again; 0: not at all.
    pub overload: f64,
}

/// What four members do together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConsensusFigures {
    /// Strict signature checks a second on one core.
    pub checks_per_s: f64,
    /// Transfers a second if nothing but these checks had to be done, by all members, on all cores.
    pub bound_per_s: f64,
    /// Finalised transfers a second.
    pub transfers_per_s: f64,
    /// Half of the transfers were finalised after at most this long, at a tenth of that load, in ms.
    pub p50_ms: f64,
    /// Under more than that load, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overload: Option<Overloaded>,
}

/// Runs four members with their stores in `folder`. Takes twice `times.measured`, `times.warm_up`, and some seconds.
///
/// # Errors
/// A member that fails, or that refuses what it must take.
pub fn consensus(folder: &Path, times: Times) -> failure::Result<ConsensusFigures> {
    let checks = signature_checks_per_s(times.measured.min(CHECKS_TIME_MAX))?;
    measured(folder, times, checks).map_err(|error| failed("consensus")(error.to_string()))
}

fn measured(folder: &Path, times: Times, checks: f64) -> Result<ConsensusFigures, Failure> {
    let (workers, accounts) = (seeds(MEMBERS, 1), seeds(ACCOUNTS, 2));
    let rules = Arc::new(rules(&workers, &accounts)?);
    let cores = std::thread::available_parallelism()?.get();
    let bound = checks * cores as f64 / MEMBERS as f64;
    let span = (times.warm_up + times.measured).as_secs_f64();
    let needed = bound * 1.5 * span + bound * times.measured.as_secs_f64() * 0.2;
    // An overloaded run finalises as much, and fills the queues; what is refused comes again.
    let needed = if times.overload > 0.0 {
        needed + bound * 1.5 * span + (MEMBERS * QUEUED_MAX) as f64
    } else {
        needed
    };
    let each = (needed / ACCOUNTS as f64) as u64 + WINDOW as u64;
    let mut loads = sign(&rules, &accounts, each);

    let members = start(&rules, &workers, folder)?;
    warm(&members, &mut loads)?;
    let rate = saturate(&members, &mut loads, times)?;
    // Let the queues drain before the second measurement.
    std::thread::sleep(DRAIN);
    for member in &members {
        member.told.try_iter().for_each(drop);
    }
    let median = pace(&members, &mut loads, rate / 10.0, times.measured)?;
    let overload = if times.overload > 0.0 {
        let offered = rate * times.overload;
        Some(overload(&members, &mut loads, offered, times)?)
    } else {
        None
    };
    for member in &members {
        member.inbox.send(Input::StorageFailed {
            reason: "the measurement is over".into(),
        })?;
    }
    for member in members {
        member.thread.join().map_err(|_| "a member panicked")??;
    }
    Ok(ConsensusFigures {
        checks_per_s: checks,
        bound_per_s: bound,
        transfers_per_s: rate,
        p50_ms: median,
        overload,
    })
}

/// What a member tells the load generator.
pub(super) enum Told {
    Submitted {
        token: u64,
        refused: Option<Refusal>,
    },
    Executed {
        operations: Vec<OperationId>,
        at: Instant,
    },
}

pub(super) enum Refusal {
    Overloaded,
    Other(String),
}

pub(super) struct Member {
    pub(super) inbox: Sender<Input>,
    pub(super) told: Receiver<Told>,
    thread: JoinHandle<Result<(), String>>,
}

struct Link {
    peers: BTreeMap<PublicKey, Sender<Input>>,
    me: PublicKey,
    told: Sender<Told>,
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

    fn run(&self, node: &mut Node, inbox: &Receiver<Input>, start: Instant) -> Result<(), String> {
        let now = || Millis::new(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
        let mut outputs = Vec::new();
        for peer in self.peers.keys() {
            node.handle(now(), Input::Connected { peer: *peer }, &mut outputs);
        }
        loop {
            self.perform(node, &mut outputs)?;
            let wait = node
                .next_deadline()
                .map_or(50, |due| due.get().saturating_sub(now().get()))
                .min(50);
            match inbox.recv_timeout(Duration::from_millis(wait)) {
                // The benchmark is over.
                Ok(Input::StorageFailed { .. }) => return Ok(()),
                Ok(input) => node.handle(now(), input, &mut outputs),
                Err(RecvTimeoutError::Timeout) => node.handle(now(), Input::Tick, &mut outputs),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            // Whatever waits already shares the next sync.
            for input in inbox.try_iter().take(64) {
                if matches!(input, Input::StorageFailed { .. }) {
                    return Ok(());
                }
                node.handle(now(), input, &mut outputs);
            }
        }
    }
}

fn rules(workers: &[Seed], accounts: &[Seed]) -> Result<Rules, Failure> {
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

fn start(rules: &Arc<Rules>, workers: &[Seed], folder: &Path) -> Result<Vec<Member>, Failure> {
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
        let (told_sender, told) = channel();
        let link = Link {
            peers,
            me,
            told: told_sender,
        };
        let config = NodeConfig {
            rules: Arc::clone(rules),
            key: seed.worker(),
            vrf_seed: *seed.vrf(),
            reporter: seed.account().public().address(),
            founding: true,
            entropy: [u8::try_from(i)?; 32],
            limits: Limits::default(),
        };
        let store = RocksStore::open(&folder.join(i.to_string()), &RocksOptions::default())?;
        let thread = std::thread::spawn(move || {
            let mut node = Node::open(config, Box::new(store), Millis::ZERO)
                .map_err(|error| error.to_string())?;
            link.run(&mut node, &received, began)
        });
        members.push(Member {
            inbox,
            told,
            thread,
        });
    }
    Ok(members)
}

/// Transfers of one account, signed before the clock starts.
pub(super) struct Load {
    pub(super) member: usize,
    pub(super) ready: VecDeque<(OperationId, Vec<u8>)>,
    waiting: usize,
}

fn sign(rules: &Rules, accounts: &[Seed], each: u64) -> Vec<Load> {
    let sink = Address::of_key(&[9; 32]);
    let transfer = |seed: &Seed, nonce| {
        let key = seed.account();
        let body = OperationBody {
            genesis: rules.hash,
            account: key.public().address(),
            nonce: Nonce::new(nonce),
            expires: Epoch::new(500),
            fee: Credits::new(10_000),
            action: Action::Transfer {
                to: sink,
                amount: Credits::new(1),
            },
        };
        let operation = Operation::Signed(SignedOperation::sign(body, &key));
        (operation.id(), operation.encode())
    };
    let load = |(i, seed): (usize, &Seed)| Load {
        member: i % MEMBERS,
        ready: (0..each).map(|nonce| transfer(seed, nonce)).collect(),
        waiting: 0,
    };
    accounts.iter().enumerate().map(load).collect()
}

/// Keeps every account's window full; returns finalised transfers per second at the first member.
fn saturate(members: &[Member], loads: &mut [Load], times: Times) -> Result<f64, Failure> {
    let Times {
        warm_up, measured, ..
    } = times;
    let began = Instant::now();
    let mut owner: BTreeMap<OperationId, usize> = BTreeMap::new();
    let (mut counted, mut first, mut last) = (0_u64, None, began);
    while began.elapsed() < warm_up + measured {
        for (i, load) in loads.iter_mut().enumerate() {
            while load.waiting < WINDOW {
                let Some((id, bytes)) = load.ready.pop_front() else {
                    break;
                };
                owner.insert(id, i);
                load.waiting += 1;
                members[load.member].inbox.send(Input::Submit {
                    token: 0,
                    operation: bytes,
                })?;
            }
        }
        for (m, member) in members.iter().enumerate() {
            for told in member.told.try_iter() {
                match told {
                    Told::Submitted {
                        refused: Some(Refusal::Other(reason)),
                        ..
                    } => return Err(reason.into()),
                    Told::Submitted {
                        refused: Some(Refusal::Overloaded),
                        ..
                    } => {
                        return Err("the windows fit the queue, and yet it was full".into());
                    }
                    Told::Submitted { .. } => {}
                    Told::Executed { operations, at } if m == 0 => {
                        for id in &operations {
                            if let Some(load) = owner.remove(id).and_then(|i| loads.get_mut(i)) {
                                load.waiting -= 1;
                            }
                        }
                        if at.duration_since(began) > warm_up {
                            if first.is_some() {
                                counted += operations.len() as u64;
                            }
                            first.get_or_insert(at);
                            last = at;
                        }
                    }
                    Told::Executed { .. } => {}
                }
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let span = first.map_or(0.0, |first| last.duration_since(first).as_secs_f64());
    if loads.iter().any(|load| load.ready.is_empty()) {
        return Err("the signed transfers ran out; sign more".into());
    }
    Ok(if span > 0.0 {
        counted as f64 / span
    } else {
        0.0
    })
}

/// Submits at `rate` and returns the median time from submission to commit at the same member, in ms.
fn pace(members: &[Member], loads: &mut [Load], rate: f64, time: Duration) -> Result<f64, Failure> {
    let began = Instant::now();
    let mut pending: BTreeMap<OperationId, (usize, Instant)> = BTreeMap::new();
    let mut times = Vec::new();
    let (mut sent, mut turn) = (0_u64, 0);
    while began.elapsed() < time {
        let due = (began.elapsed().as_secs_f64() * rate) as u64;
        while sent < due {
            turn = (turn + 1) % loads.len();
            let load = &mut loads[turn];
            let (id, bytes) = load
                .ready
                .pop_front()
                .ok_or("the signed transfers ran out")?;
            pending.insert(id, (load.member, Instant::now()));
            members[load.member].inbox.send(Input::Submit {
                token: 0,
                operation: bytes,
            })?;
            sent += 1;
        }
        for (m, member) in members.iter().enumerate() {
            for told in member.told.try_iter() {
                let Told::Executed { operations, at } = told else {
                    continue;
                };
                for id in operations {
                    if pending
                        .get(&id)
                        .is_some_and(|(at_member, _)| *at_member == m)
                        && let Some((_, since)) = pending.remove(&id)
                    {
                        times.push(at.duration_since(since).as_secs_f64() * 1e3);
                    }
                }
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    times.sort_by(f64::total_cmp);
    times
        .get(times.len() / 2)
        .copied()
        .ok_or_else(|| "nothing was finalised".into())
}

fn seeds(count: usize, kind: u8) -> Vec<Seed> {
    let seed = |i: usize| {
        let mut bytes = [kind; 32];
        bytes[..8].copy_from_slice(&(i as u64).to_le_bytes());
        Seed::from_bytes(bytes)
    };
    (0..count).map(seed).collect()
}

/// Waits until all members have committed a first transfer.
fn warm(members: &[Member], loads: &mut [Load]) -> Result<(), Failure> {
    let (id, bytes) = loads[0].ready.pop_front().ok_or("no transfers")?;
    members[loads[0].member].inbox.send(Input::Submit {
        token: 0,
        operation: bytes,
    })?;
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
