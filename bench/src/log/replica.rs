//! A member: the log's core between a network and a RocksDB, all on one thread.
//!
//! A block costs a few short steps at each member, and handing each of them from thread to thread costs more than the
//! steps. So core and network take turns: a round of the core, then whatever the sockets want.

use super::plan::{self, Plan};
use anyhow::Context as _;
use bytes::Bytes;
use frith_ledger::store::{RocksOptions, RocksStore};
use frith_ledger::units::Millis;
use frith_neighbourhood::Priority;
use frith_neighbourhood::log::{Input, Log, LogConfig, Output};
use frith_network::{Network, NetworkEvent, PeerKey};
use std::collections::VecDeque;
use std::io::{BufRead as _, Read as _, Write as _};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot::{self, error::TryRecvError};

/// Inputs that share a sync.
const SHARED_MAX: usize = 256;

/// Runs until standard input closes.
pub(crate) fn replica() -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let plan: Plan = serde_json::from_str(&line)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (network, mut events) = Network::start(plan::network(&plan)?).await?;
        let address = network.listen_addresses().into_iter().next();
        writeln!(std::io::stdout(), "{}", address.context("no address")?)?;
        network.set_members(plan::peers());
        let (ended, end) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let mut rest = Vec::new();
            // The end of the input is the end of the run, and so is its failure.
            let _end = std::io::stdin().lock().read_to_end(&mut rest);
            let _gone = ended.send(());
        });
        run(&plan, &network, &mut events, end).await?;
        network.shutdown().await;
        Ok(())
    })
}

/// What the core is to know of an event.
fn input(event: NetworkEvent) -> Option<Input> {
    match event {
        NetworkEvent::Connected(peer) => Some(Input::Connected {
            peer: plan::public(peer),
        }),
        NetworkEvent::Disconnected(peer) => Some(Input::Disconnected {
            peer: plan::public(peer),
        }),
        NetworkEvent::Message { from, frame } => Some(Input::Message {
            from: plan::public(from),
            bytes: frame.into(),
        }),
        _ => None,
    }
}

async fn run(
    plan: &Plan,
    network: &Network,
    events: &mut Receiver<NetworkEvent>,
    mut end: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let now = || Millis::new(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    let options = RocksOptions {
        write_buffer_bytes: 64 << 20,
        ..RocksOptions::default()
    };
    let store = RocksStore::open(&plan.folder.join(plan.role.to_string()), &options)?;
    let config = LogConfig {
        group: plan::GROUP,
        committee: plan::committee(),
        key: plan::key(plan.role),
        founding: true,
        entropy: [plan.role; 32],
        durability: plan.tuning.durability(),
        limits: plan.tuning.limits(),
    };
    let mut log = Log::open(config, Box::new(store), now())?;
    let mut outputs = Vec::new();
    let (mut urgent, mut others) = (VecDeque::new(), VecDeque::new());
    loop {
        perform(&mut log, network, &mut outputs)?;
        // The network's turn, also when more has come already.
        tokio::task::yield_now().await;
        if urgent.is_empty() && others.is_empty() {
            let wait = log
                .next_deadline()
                .map_or(1_000, |due| due.get().saturating_sub(now().get()));
            let first = tokio::select! {
                biased;
                event = events.recv() => input(event.context("the network ended")?),
                _ = &mut end => return Ok(()),
                () = tokio::time::sleep(Duration::from_millis(wait)) => Some(Input::Tick),
            };
            urgent.extend(first);
        } else if end.try_recv() != Err(TryRecvError::Empty) {
            return Ok(());
        }
        while urgent.len() + others.len() < SHARED_MAX
            && let Ok(event) = events.try_recv()
        {
            match input(event) {
                Some(input) if input.is_urgent() => urgent.push_back(input),
                input => others.extend(input),
            }
        }
        // What consensus says leaves before anything else is looked at, and whatever waits already shares the next sync.
        let round = if urgent.is_empty() {
            &mut others
        } else {
            &mut urgent
        };
        for input in round.drain(..) {
            log.handle(now(), input, &mut outputs);
        }
        if log.next_deadline().is_some_and(|due| due <= now()) {
            log.handle(now(), Input::Tick, &mut outputs);
        }
    }
}

/// Performs outputs in order. One sync stands for all: what comes before the first waits for none.
fn perform(log: &mut Log, network: &Network, outputs: &mut Vec<Output>) -> anyhow::Result<()> {
    let mut synced = false;
    for output in outputs.drain(..) {
        match output {
            Output::Sync if !synced => {
                log.sync_store()?;
                synced = true;
            }
            Output::Send {
                to,
                priority,
                bytes,
            } => {
                let class = match priority {
                    Priority::Consensus => frith_network::Priority::Consensus,
                    Priority::Control => frith_network::Priority::Control,
                    Priority::Bulk => frith_network::Priority::Bulk,
                };
                // What is lost is asked for again.
                let _lost = network.send(PeerKey::new(to.0), class, Bytes::from_owner(bytes));
            }
            Output::Halted { reason } => anyhow::bail!("the log halted: {reason}"),
            Output::Misbehaviour { reason, .. } => anyhow::bail!("a member misbehaved: {reason}"),
            _ => {}
        }
    }
    Ok(())
}
