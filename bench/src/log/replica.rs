//! A member: the log's core on a thread of its own, between a network and a RocksDB.

use super::plan::{self, Plan};
use anyhow::Context as _;
use bytes::Bytes;
use frith_ledger::store::{RocksOptions, RocksStore};
use frith_ledger::units::Millis;
use frith_neighbourhood::Priority;
use frith_neighbourhood::log::{Input, Log, LogConfig, Output};
use frith_network::{Network, NetworkEvent, PeerKey};
use std::io::{BufRead as _, Read as _, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Inputs that share a sync.
const SHARED_MAX: usize = 256;

/// Runs until standard input closes.
pub(crate) fn replica() -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let plan: Plan = serde_json::from_str(&line)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (network, mut events) = Network::start(plan::network(&plan)?).await?;
        let address = network.listen_addresses().into_iter().next();
        writeln!(std::io::stdout(), "{}", address.context("no address")?)?;
        network.set_members(plan::peers());
        let (inputs, inbox) = channel();
        let ended = inputs.clone();
        let sender = network.clone();
        let core = std::thread::spawn(move || run(&plan, &sender, &inbox));
        tokio::task::spawn_blocking(move || {
            let mut rest = Vec::new();
            // The end of the input is the end of the run, and so is its failure.
            let _end = std::io::stdin().lock().read_to_end(&mut rest);
            let _gone = ended.send(None);
        });
        let pump = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if !pass(event, &inputs) {
                    break;
                }
            }
        });
        tokio::task::spawn_blocking(move || core.join())
            .await?
            .map_err(|_| anyhow::anyhow!("the core panicked"))??;
        pump.abort();
        network.shutdown().await;
        Ok(())
    })
}

/// Hands an event to the core; `None` ends it. Whether it listens.
fn pass(event: NetworkEvent, inputs: &Sender<Option<Input>>) -> bool {
    let input = match event {
        NetworkEvent::Connected(peer) => Input::Connected {
            peer: plan::public(peer),
        },
        NetworkEvent::Disconnected(peer) => Input::Disconnected {
            peer: plan::public(peer),
        },
        NetworkEvent::Message { from, frame } => Input::Message {
            from: plan::public(from),
            bytes: frame.into(),
        },
        _ => return true,
    };
    inputs.send(Some(input)).is_ok()
}

fn run(plan: &Plan, network: &Network, inbox: &Receiver<Option<Input>>) -> anyhow::Result<()> {
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
    loop {
        perform(&mut log, network, &mut outputs)?;
        let wait = log
            .next_deadline()
            .map_or(1_000, |due| due.get().saturating_sub(now().get()));
        let first = match inbox.recv_timeout(Duration::from_millis(wait)) {
            Ok(Some(input)) => input,
            Err(RecvTimeoutError::Timeout) => Input::Tick,
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        log.handle(now(), first, &mut outputs);
        // Whatever waits already shares the next sync.
        for input in inbox.try_iter().take(SHARED_MAX) {
            let Some(input) = input else { return Ok(()) };
            log.handle(now(), input, &mut outputs);
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
