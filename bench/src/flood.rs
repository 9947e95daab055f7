//! A devnet under floods: half-open connections, idle peers, peers that send as fast as they can, and peers that ask
//! and never read. Watched meanwhile: the resident memory of every node, and whether transfers commit.
//!
//! The flooders are strangers to the neighbourhood, with keys of their own, on the real network code.
//!
//! - `flood.rss_bytes`: the largest resident memory of any node.
//! - `flood.transfers`, `flood.failed`, `flood.slowest_ms`: transfers that were sent by the program, one after the
//!   other, until they were committed; the slowest includes the start of the program and the unlocking of the key.

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use frith_ledger::genesis::Genesis;
use frith_ledger::units::{Epoch, Height};
use frith_neighbourhood::wire::{PeerMessage, Request, Status};
use frith_network::{Network, NetworkConfig, NetworkEvent, PeerKey, Priority};
use parity_scale_codec::Encode as _;
use serde_json::{Map, Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// How much of everything.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Connections that never say anything.
    #[arg(long, default_value_t = 10_000)]
    half_open: usize,
    /// Peers that say hello and nothing more.
    #[arg(long, default_value_t = 1_000)]
    idle: usize,
    /// Peers that send as fast as they can, and as many that ask and don't read.
    #[arg(long, default_value_t = 4)]
    senders: usize,
    /// Seconds that all of it lasts once it stands.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// The devnet, ended when dropped.
struct Devnet {
    child: Child,
    program: PathBuf,
    home: PathBuf,
    nodes: Vec<(String, u32)>,
}

impl Drop for Devnet {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ended = self.child.wait();
    }
}

impl Devnet {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("frith");
        let mut child = Command::new(&program)
            .args(["--json", "devnet", "--nodes", "4", "--dir"])
            .arg(folder.join("devnet"))
            .stdout(Stdio::piped())
            .spawn()
            .context("frith: build it first, `cargo build -p frith -p frith-vm --bins`")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).context("what the devnet says")?;
        let node = |node: &Value| {
            let process = u32::try_from(node["process"].as_u64()?).ok()?;
            Some((node["api"].as_str()?.to_owned(), process))
        };
        let nodes = said["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(node);
        Ok(Self {
            child,
            program,
            home: said["home"].as_str().context("no home")?.into(),
            nodes: nodes.collect(),
        })
    }

    fn get(&self, node: usize, path: &str) -> anyhow::Result<Value> {
        let mut response = ureq::get(format!("{}{path}", self.nodes[node].0)).call()?;
        Ok(response.body_mut().read_json()?)
    }

    /// One transfer, until it is committed.
    fn transfer(&self, node: usize, to: &str) -> anyhow::Result<bool> {
        let status = Command::new(&self.program)
            .args(["--json", "--api", &self.nodes[node].0, "--key", "alice"])
            .args(["wallet", "send", to, "0.01", "--yes", "--timeout", "20"])
            .env("FRITH_HOME", &self.home)
            .env("FRITH_PASSPHRASE", "devnet")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        Ok(status.success())
    }

    fn address(&self, key: &str) -> anyhow::Result<String> {
        let output = Command::new(&self.program)
            .args(["--json", "key", "show", key])
            .env("FRITH_HOME", &self.home)
            .output()?;
        let shown: Value = serde_json::from_slice(&output.stdout)?;
        Ok(shown[0]["address"]
            .as_str()
            .context("no address")?
            .to_owned())
    }

    fn resident(&self) -> anyhow::Result<u64> {
        let mut most = 0;
        for (_, process) in &self.nodes {
            let status = std::fs::read_to_string(format!("/proc/{process}/status"))
                .context("a node has ended")?;
            let line = status.lines().find(|line| line.starts_with("VmRSS:"));
            let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
            most = most.max(kib.context("no VmRSS")? * 1024);
        }
        Ok(most)
    }
}

/// A stranger: the `number`th.
fn stranger(genesis: &Genesis, address: &str, number: usize) -> anyhow::Result<NetworkConfig> {
    let mut secret = [0x5f; 32];
    secret[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
    let mut config = NetworkConfig::new(secret, genesis.hash().0);
    // It only calls: nobody needs to reach it.
    config.listen = Vec::new();
    config.bootstrap = vec![address.parse()?];
    Ok(config)
}

/// Opens connections and says nothing; how many stood at once.
async fn half_open(target: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..count {
        tasks.spawn(tokio::time::timeout(
            Duration::from_secs(10),
            TcpStream::connect(target),
        ));
        if tasks.len() >= 512 {
            open.extend(
                tasks
                    .join_next()
                    .await
                    .and_then(|done| done.ok()?.ok()?.ok()),
            );
        }
    }
    while let Some(done) = tasks.join_next().await {
        // Refused or unanswered: that is the node's right.
        open.extend(done.ok().and_then(|done| done.ok()?.ok()));
    }
    open
}

/// Reads and drops what comes, until the network ends.
fn drain(mut events: tokio::sync::mpsc::Receiver<NetworkEvent>) {
    tokio::spawn(async move { while events.recv().await.is_some() {} });
}

/// Sends to a node as fast as it goes: valid frames, so that nothing but their number is wrong.
async fn sender(
    config: NetworkConfig,
    to: PeerKey,
    ends: Arc<AtomicBool>,
    reads: bool,
) -> anyhow::Result<u64> {
    let (network, mut events) = Network::start(config).await?;
    let connected = async {
        while let Some(event) = events.recv().await {
            if matches!(event, NetworkEvent::Connected(peer) if peer == to) {
                break;
            }
        }
    };
    // A node that has no room for a stranger is one that defends itself.
    let _late = tokio::time::timeout(Duration::from_secs(10), connected).await;
    let frame = if reads {
        PeerMessage::Status(Status {
            epoch: Epoch::new(1),
            height: Height::new(1),
            first: Height::new(1),
            roots: Epoch::new(1),
        })
    } else {
        PeerMessage::Request(Request::Blocks {
            from: Height::new(1),
        })
    };
    let frame = Bytes::from(frame.encode());
    let kept = if reads {
        drain(events);
        None
    } else {
        Some(events)
    };
    let mut sent = 0;
    while !ends.load(Ordering::Relaxed) {
        if network.send(to, Priority::Control, frame.clone()).is_ok() {
            sent += 1;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    drop(kept);
    Ok(sent)
}

/// What was seen while the floods lasted.
#[derive(Default)]
struct Seen {
    resident: u64,
    transfers: u64,
    failed: u64,
    slowest: Duration,
}

fn watch(devnet: &Devnet, to: &str, ends: &AtomicBool) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    while !ends.load(Ordering::Relaxed) {
        let began = Instant::now();
        let node = usize::try_from(seen.transfers)? % devnet.nodes.len();
        if devnet.transfer(node, to)? {
            seen.slowest = seen.slowest.max(began.elapsed());
        } else {
            seen.failed += 1;
        }
        seen.transfers += 1;
        seen.resident = seen.resident.max(devnet.resident()?);
    }
    Ok(seen)
}

/// Measures all figures.
pub(crate) fn measure(options: &Options) -> anyhow::Result<Map<String, Value>> {
    let folder = tempfile::tempdir()?;
    let devnet = Devnet::start(folder.path())?;
    let genesis: Genesis = serde_json::from_value(devnet.get(0, "/v1/genesis")?)?;
    let status = devnet.get(0, "/v1/status")?;
    let listening = status["listening"].as_array().into_iter().flatten();
    let address = listening
        .filter_map(Value::as_str)
        .find(|address| address.contains("/tcp/") && address.contains("127.0.0.1"))
        .context("node 0 doesn't listen on TCP")?
        .to_owned();
    let port = address
        .split("/tcp/")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let target: SocketAddr = format!("127.0.0.1:{}", port.context("no port")?).parse()?;
    let key = genesis.workers.first().context("no workers")?.key;
    let before = devnet.resident()?;
    let bob = devnet.address("bob")?;
    ensure!(devnet.transfer(0, &bob)?, "a transfer before the floods");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ends = Arc::new(AtomicBool::new(false));
    let (seen, open, sent) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let watching = scope.spawn(|| watch(&devnet, &bob, &ends));
        let flooded = runtime.block_on(async {
            let open = half_open(target, options.half_open).await;
            let mut idle = Vec::new();
            for number in 0..options.idle {
                let (network, events) =
                    Network::start(stranger(&genesis, &address, number)?).await?;
                drain(events);
                idle.push(network);
            }
            let mut senders = tokio::task::JoinSet::new();
            for number in 0..options.senders * 2 {
                let config = stranger(&genesis, &address, options.idle + number)?;
                let reads = number % 2 == 0;
                senders.spawn(sender(config, PeerKey::new(key), ends.clone(), reads));
            }
            tokio::time::sleep(Duration::from_secs(options.seconds)).await;
            ends.store(true, Ordering::Relaxed);
            let mut sent = 0;
            while let Some(done) = senders.join_next().await {
                sent += done??;
            }
            anyhow::Ok((open.len(), sent))
        });
        ends.store(true, Ordering::Relaxed);
        let seen = watching
            .join()
            .map_err(|_| anyhow::anyhow!("the watch panicked"))??;
        let (open, sent) = flooded?;
        Ok((seen, open, sent))
    })?;
    drop(runtime);
    if seen.transfers == seen.failed {
        bail!("no transfer was committed under the floods");
    }
    println!(
        "floods: {open} of {} connections stood half-open, {} idle peers, {sent} frames sent;\n        \
         {:.0} MiB resident at the most ({:.0} before); {} transfers, {} failed, the slowest took {:.1} s",
        options.half_open,
        options.idle,
        seen.resident as f64 / f64::from(1 << 20),
        before as f64 / f64::from(1 << 20),
        seen.transfers,
        seen.failed,
        seen.slowest.as_secs_f64()
    );
    let figures = json!({
        "flood.rss_bytes": seen.resident,
        "flood.transfers": seen.transfers,
        "flood.failed": seen.failed,
        "flood.slowest_ms": u64::try_from(seen.slowest.as_millis())?,
    });
    Ok(figures.as_object().cloned().unwrap_or_default())
}
