//! A devnet under floods: half-open connections, idle peers, peers that send as fast as they can, and peers that ask
//! and never read. Watched meanwhile: the resident memory of every node, and whether transfers commit.
//!
//! The flooders are strangers to the neighbourhood, with keys of their own, on the real network code, all in this
//! process and on loopback. Half-open connections and idle peers go to the first node, senders and slow readers to
//! each. What is half-open comes from an address of its own (127.0.0.2) and is opened again as soon as the node closes
//! it, a hundred times a second; idle peers dial again by themselves.
//!
//! - `flood.rss_bytes`, `flood.rss_before_bytes`: the largest resident memory of any node, meanwhile and before.
//! - `flood.commits`, `flood.failed`, `flood.slowest_ms`: transfers that were sent by the program, one after the
//!   other and to each node in turn, until they were committed; the slowest includes the start of the program and the
//!   unlocking of the key.
//! - `flood.blocks`: by how much the chain grew.
//! - `flood.half_open`, `flood.idle_connected`, `flood.sent_frames`: what the floods brought about: connections opened,
//!   idle peers that had a place at the end, frames that senders and slow readers were rid of.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use frith_ledger::genesis::Genesis;
use frith_ledger::units::{Epoch, Height};
use frith_neighbourhood::wire::{PeerMessage, Request, Status};
use frith_network::{Network, NetworkConfig, NetworkEvent, PeerKey, Priority};
use parity_scale_codec::Encode as _;
use serde_json::{Map, Value, json};
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};

/// Where half-open connections come from.
const FLOODER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Between two half-open connections that are opened again.
const PAUSE: Duration = Duration::from_millis(10);
/// Longest that a connection or the first hello may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How much of everything.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Connections that never say anything.
    #[arg(long, default_value_t = 10_000)]
    half_open: usize,
    /// Peers that say hello and nothing more.
    #[arg(long, default_value_t = 1_000)]
    idle: usize,
    /// Peers that send as fast as they can, and as many that ask and don't read, to each node.
    #[arg(long, default_value_t = 2)]
    senders: usize,
    /// Seconds that all of it lasts once it stands.
    #[arg(long, default_value_t = 60)]
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

    /// Height of the chain at the node that is furthest.
    fn height(&self) -> anyhow::Result<u64> {
        let mut most = 0;
        for node in 0..self.nodes.len() {
            let status = self.get(node, "/v1/status")?;
            most = most.max(status["height"].as_u64().context("no height")?);
        }
        Ok(most)
    }

    fn target(&self, node: usize, genesis: &Genesis) -> anyhow::Result<Target> {
        let status = self.get(node, "/v1/status")?;
        let listening = status["listening"].as_array().into_iter().flatten();
        let address = listening
            .filter_map(Value::as_str)
            .find_map(|address| address.strip_prefix("/ip4/127.0.0.1/tcp/"))
            .with_context(|| format!("node {node} doesn't listen on TCP"))?;
        // The devnet's workers stand in the genesis in the order of its nodes.
        let worker = genesis.workers.get(node).context("a node of no worker")?;
        let port: u16 = address.parse()?;
        Ok(Target {
            socket: (Ipv4Addr::LOCALHOST, port).into(),
            key: PeerKey::new(worker.key),
        })
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

/// A node to flood.
struct Target {
    socket: SocketAddr,
    key: PeerKey,
}

/// A stranger: the `number`th.
fn stranger(genesis: &Genesis, target: &Target, number: usize) -> anyhow::Result<NetworkConfig> {
    let mut secret = [0x5f; 32];
    secret[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
    let mut config = NetworkConfig::new(secret, genesis.hash().0);
    // It only calls: nobody needs to reach it.
    config.listen = Vec::new();
    // All floods are one process: its memory is no reason for one of them to let go.
    config.limits.memory_bytes_max = usize::MAX;
    config.bootstrap = vec![format!("/ip4/127.0.0.1/tcp/{}", target.socket.port()).parse()?];
    Ok(config)
}

/// Opens connections, says nothing, and opens those again that the node closed, until it ends; how many were opened.
async fn half_open(target: SocketAddr, count: usize, ends: Arc<AtomicBool>) -> anyhow::Result<u64> {
    let mut held: Vec<Option<TcpStream>> = Vec::new();
    held.resize_with(count, || None);
    let mut opened = 0;
    let mut turn = tokio::time::interval(PAUSE);
    let mut byte = [0];
    for index in (0..count).cycle() {
        if ends.load(Ordering::Relaxed) {
            break;
        }
        let place = &mut held[index];
        let open = place
            .as_ref()
            .is_some_and(|stream| match stream.try_read(&mut byte) {
                Ok(read) => read > 0,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            });
        if !open {
            // The first round as fast as it goes.
            if opened >= count as u64 {
                turn.tick().await;
            }
            let socket = TcpSocket::new_v4()?;
            socket.bind((FLOODER, 0).into())?;
            // Refused or unanswered: that is the node's right.
            let connected = tokio::time::timeout(CONNECT_MAX, socket.connect(target)).await;
            *place = connected.ok().and_then(Result::ok);
            opened += 1;
        }
        if index == 0 {
            turn.tick().await;
        }
    }
    Ok(opened)
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
    let _late = tokio::time::timeout(CONNECT_MAX, connected).await;
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
    commits: u64,
    failed: u64,
    slowest: Duration,
}

fn watch(devnet: &Devnet, to: &str, ends: &AtomicBool) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    while !ends.load(Ordering::Relaxed) {
        let began = Instant::now();
        let node = usize::try_from(seen.commits + seen.failed)? % devnet.nodes.len();
        if devnet.transfer(node, to)? {
            seen.commits += 1;
            seen.slowest = seen.slowest.max(began.elapsed());
        } else {
            seen.failed += 1;
        }
        seen.resident = seen.resident.max(devnet.resident()?);
    }
    Ok(seen)
}

/// What the floods brought about.
struct Flooded {
    half_open: u64,
    idle_connected: usize,
    sent: u64,
}

/// All floods at once; ends when `options` say so.
async fn flood(
    options: &Options,
    genesis: &Genesis,
    targets: &[Target],
    ends: &Arc<AtomicBool>,
) -> anyhow::Result<Flooded> {
    let first = targets.first().context("no nodes")?;
    let silent = tokio::spawn(half_open(first.socket, options.half_open, ends.clone()));
    let mut idle = Vec::new();
    for number in 0..options.idle {
        let (network, events) = Network::start(stranger(genesis, first, number)?).await?;
        drain(events);
        idle.push(network);
    }
    let mut senders = tokio::task::JoinSet::new();
    for (index, target) in targets.iter().enumerate() {
        for number in 0..options.senders * 2 {
            let unique = options.idle + index * options.senders * 2 + number;
            let config = stranger(genesis, target, unique)?;
            senders.spawn(sender(config, target.key, ends.clone(), number % 2 == 0));
        }
    }
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    ends.store(true, Ordering::Relaxed);
    let connected =
        |network: &&Network| network.connected().iter().any(|peer| peer.key == first.key);
    let idle_connected = idle.iter().filter(connected).count();
    let mut sent = 0;
    while let Some(done) = senders.join_next().await {
        sent += done??;
    }
    Ok(Flooded {
        half_open: silent.await??,
        idle_connected,
        sent,
    })
}

/// Measures all figures.
pub(crate) fn measure(options: &Options) -> anyhow::Result<Map<String, Value>> {
    let folder = tempfile::tempdir()?;
    let devnet = Devnet::start(folder.path())?;
    let genesis: Genesis = serde_json::from_value(devnet.get(0, "/v1/genesis")?)?;
    let targets: Vec<_> = (0..devnet.nodes.len())
        .map(|node| devnet.target(node, &genesis))
        .collect::<anyhow::Result<_>>()?;
    let bob = devnet.address("bob")?;
    ensure!(devnet.transfer(0, &bob)?, "a transfer before the floods");
    let (before, height) = (devnet.resident()?, devnet.height()?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ends = Arc::new(AtomicBool::new(false));
    let (seen, flooded) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let watching = scope.spawn(|| watch(&devnet, &bob, &ends));
        let flooded = runtime.block_on(flood(options, &genesis, &targets, &ends));
        ends.store(true, Ordering::Relaxed);
        let seen = watching.join();
        let seen = seen.map_err(|_| anyhow::anyhow!("the watch panicked"))??;
        Ok((seen, flooded?))
    })?;
    let blocks = devnet.height()? - height;
    drop(runtime);
    ensure!(
        seen.commits > 0,
        "no transfer was committed under the floods"
    );
    println!(
        "floods: {} connections opened and left half-open, {} of {} idle peers had a place at the end, {} frames sent;\n        \
         {:.0} MiB resident at the most ({:.0} before); {} transfers committed, {} failed, the slowest took {:.1} s; \
         {blocks} blocks",
        flooded.half_open,
        flooded.idle_connected,
        options.idle,
        flooded.sent,
        seen.resident as f64 / f64::from(1 << 20),
        before as f64 / f64::from(1 << 20),
        seen.commits,
        seen.failed,
        seen.slowest.as_secs_f64()
    );
    let figures = json!({
        "flood.rss_bytes": seen.resident,
        "flood.rss_before_bytes": before,
        "flood.commits": seen.commits,
        "flood.failed": seen.failed,
        "flood.slowest_ms": u64::try_from(seen.slowest.as_millis())?,
        "flood.blocks": blocks,
        "flood.half_open": flooded.half_open,
        "flood.idle_connected": flooded.idle_connected,
        "flood.sent_frames": flooded.sent,
    });
    Ok(figures.as_object().cloned().unwrap_or_default())
}
