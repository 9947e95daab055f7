//! Puts a node together, runs it, and takes it apart in order.
//!
//! Order of the end: no new requests, requests under way, the worker (its runs are killed: they lose
//! nothing), the network, the core (which syncs and closes the store), the lock of the data directory.

use super::alerts::{Alerts, Watch};
use super::clock::Clock;
use super::content::{Fetcher, Served};
use super::core::{Core, Outbound};
use super::disk::DiskGuard;
use super::equivocate::Equivocator;
use super::handle::{CoreHandle, Progress};
use super::logs::RunLogs;
use super::network::{Forwarded, NetworkOutbound, forward};
use super::peers;
use super::status::StatusSource;
use super::throttle::Throttle;
use super::wanted::Wanted;
use crate::api::{Api, Limits, serve};
use crate::codes::Code;
use crate::config::{Fault, Settings};
use crate::failure::{Context as _, Exit, Failure, Result};
use crate::node_dir::{
    self, COMPILED_DIR, GENESIS_FILE, MARK_FILE, NodeDir, PARTIALS_DIR, PEERS_FILE, STORE_DIR,
};
use crate::worker::{Worker, WorkerConfig};
use frith_ledger::address::Address;
use frith_ledger::genesis::Genesis;
use frith_ledger::key::Seed;
use frith_ledger::store::{RocksOptions, RocksStore};
use frith_neighbourhood::{Moment, Node, NodeConfig, OpenError, record};
use frith_network::{Multiaddr, Network, NetworkConfig, NetworkEvent};
use frith_tasks::Rules;
use futures::future::BoxFuture;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How long requests and runs may take to end at shutdown.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// What a node is made of.
pub struct ServiceConfig {
    /// Its data directory, locked.
    pub dir: NodeDir,
    /// Its network.
    pub genesis: Genesis,
    /// Its worker's seed.
    pub seed: Seed,
    /// Its settings.
    pub settings: Settings,
    /// A misbehaviour, for demonstrations.
    pub fault: Option<Fault>,
}

/// Why a node stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// It was asked to.
    Asked,
    /// Another process runs with its key.
    KeyElsewhere,
    /// The core takes no further part, and why: another start may find that mended.
    Halted(String),
    /// Something in it ended first.
    ByItself,
}

/// A part of the node that ended, and what the node's end is when it does so by itself.
type Part = (&'static str, Stopped);

/// What runs beside the core, as a task each, until the end.
struct Parts {
    core: CoreHandle,
    events: mpsc::Receiver<NetworkEvent>,
    served: Served,
    upload: Arc<Throttle>,
    known: watch::Receiver<Vec<Multiaddr>>,
    peers_file: PathBuf,
    wants: mpsc::Receiver<Wanted>,
    fetcher: Fetcher,
    watch: Watch,
    worker: Worker,
    listener: TcpListener,
    api: Api,
    ended: watch::Receiver<bool>,
}

impl Parts {
    fn spawn(self) -> JoinSet<Part> {
        let mut tasks = JoinSet::new();
        let (core, events, served, upload) = (self.core, self.events, self.served, self.upload);
        tasks.spawn(async move {
            let stopped = match forward(events, core, served, upload).await {
                Ok(Forwarded::KeyElsewhere) => Stopped::KeyElsewhere,
                Ok(Forwarded::NetworkGone) | Err(_) => Stopped::ByItself,
            };
            ("network", stopped)
        });
        let mut by_itself = |part, run: BoxFuture<'static, ()>| {
            tasks.spawn(async move {
                run.await;
                (part, Stopped::ByItself)
            });
        };
        by_itself(
            "peers' addresses",
            Box::pin(peers::keep(self.known, self.peers_file)),
        );
        by_itself("content", Box::pin(bring_content(self.wants, self.fetcher)));
        by_itself("alerts", Box::pin(self.watch.run(self.ended.clone())));
        by_itself("worker", Box::pin(self.worker.run(self.ended)));
        by_itself("api", Box::pin(serve(self.listener, self.api)));
        tasks
    }
}

/// A running node.
pub struct Service {
    dir: NodeDir,
    core: CoreHandle,
    thread: JoinHandle<()>,
    network: Network,
    tasks: JoinSet<Part>,
    ending: watch::Sender<bool>,
}

impl Service {
    /// Starts everything. When this returns, the API answers.
    ///
    /// # Errors
    /// What can't be started, and what to do.
    pub async fn start(config: ServiceConfig) -> Result<Self> {
        let ServiceConfig {
            dir,
            genesis,
            seed,
            settings,
            fault,
        } = config;
        let rules = Rules::new(genesis).map_err(|error| {
            let path = dir.path().join(GENESIS_FILE);
            Failure::usage(format!(
                "{}: this genesis can't be used: {error}",
                path.display()
            ))
        })?;
        let rules = Arc::new(rules);
        let key = seed.worker();
        if let Some(fault) = fault {
            tracing::warn!(
                fault = fault.name(),
                "this node misbehaves ON PURPOSE and will lose money"
            );
        }
        // What most often fails comes first: nothing is written before it.
        let (listener, api_address) = bind_api(&settings).await?;
        let (network, events) = start_network(&dir, &settings, &key.to_bytes(), &rules).await?;
        let clock = Clock::start();
        let outbound = outbound(&network, fault, &seed, &rules);
        let node = open_node(&dir, &seed, &settings, &rules, clock.moment())?;
        let disk = DiskGuard {
            path: dir.path().to_owned(),
            free_bytes_min: settings.disk_free_mib_min << 20,
            used_bytes_max: settings.disk_mib_max << 20,
        };
        let (core, handle, wants) = Core::new(node, rules, clock, outbound, Some(disk.clone()));
        let alerts = Alerts::default();
        let watch = Watch::new(handle.clone(), alerts.clone(), key.public(), disk);
        let upload = Arc::new(Throttle::new(settings.bandwidth_kib_per_s << 10));
        let partials = dir.path().join(PARTIALS_DIR);
        let fetcher = Fetcher::new(handle.clone(), Some(network.clone()), partials);
        let status = StatusSource {
            core: handle.clone(),
            network: Some(network.clone()),
            key: key.public(),
            clock,
            fault: fault.map(Fault::name),
            alerts,
        };
        let (ending, ended) = watch::channel(false);
        let logs = RunLogs::default();
        let public = settings.api_public;
        let api = Api::new(
            status,
            fetcher.clone(),
            logs.clone(),
            public,
            Limits::default(),
            ended.clone(),
        );
        let worker = make_worker(WorkerConfig {
            core: handle.clone(),
            fetcher: fetcher.clone(),
            key,
            fault,
            settings,
            cache: dir.path().join(COMPILED_DIR),
            logs: logs.clone(),
        })?;
        let served = Served::start(handle.contents().clone(), logs)
            .doing("cannot start the thread that serves content")?;
        let parts = Parts {
            core: handle.clone(),
            events,
            served,
            upload,
            known: network.known(),
            peers_file: dir.path().join(PEERS_FILE),
            wants,
            fetcher,
            watch,
            worker,
            listener,
            api,
            ended,
        };
        dir.announce_api(api_address)?;
        // Last of all that can fail: the process must not end while a thread still closes the store.
        let thread = spawn_core(core)?;
        let tasks = parts.spawn();
        tracing::info!(api = %format!("http://{api_address}"), "node started");
        Ok(Self {
            dir,
            core: handle,
            thread,
            network,
            tasks,
            ending,
        })
    }

    /// Runs until `asked` ends, the core halts or a part of the node ends; then takes everything apart.
    pub async fn run_until(mut self, asked: impl Future<Output = ()>) -> Stopped {
        let stopped = tokio::select! {
            () = asked => Stopped::Asked,
            reason = halted(self.core.progress()) => Stopped::Halted(reason),
            ended = self.tasks.join_next() => {
                let ended = ended.and_then(std::result::Result::ok);
                let (part, stopped) = ended.unwrap_or(("a part", Stopped::ByItself));
                if stopped == Stopped::ByItself {
                    tracing::error!(part, "a part of the node has ended by itself");
                }
                stopped
            }
        };
        self.end().await;
        stopped
    }

    async fn end(mut self) {
        self.dir.withdraw_api();
        self.ending.send_replace(true);
        self.network.shutdown().await;
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_MAX, async {
            self.core.stop().await;
            all.await;
        })
        .await
        .is_err()
        {
            tracing::warn!("requests or runs were still under way and are cut off");
            self.tasks.abort_all();
        }
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the core did not end in order");
        }
        tracing::info!("node stopped");
    }
}

/// Ends when the core has halted, with its reason.
async fn halted(mut progress: watch::Receiver<Progress>) -> String {
    let found = progress
        .wait_for(|progress| progress.halted.is_some())
        .await;
    match found.ok().and_then(|progress| progress.halted.clone()) {
        Some(reason) => reason,
        // The core is gone: whoever runs it says so.
        None => std::future::pending().await,
    }
}

fn make_worker(config: WorkerConfig) -> Result<Worker> {
    let cache = config.cache.display();
    let preparing = format!("cannot prepare to run tasks with {cache}");
    Worker::new(config)
        .doing(preparing)
        .map_err(|failure| failure.advise("delete that directory: it is made again"))
}

/// Where the core's messages go: the network, or a fault that stands before it.
fn outbound(
    network: &Network,
    fault: Option<Fault>,
    seed: &Seed,
    rules: &Rules,
) -> Arc<dyn Outbound> {
    let direct = Arc::new(NetworkOutbound(network.clone()));
    if fault == Some(Fault::Equivocate) {
        return Arc::new(Equivocator::new(direct, seed.worker(), rules.hash));
    }
    direct
}

async fn bind_api(settings: &Settings) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(settings.api).await.map_err(|error| {
        Failure::other(format!(
            "cannot listen on {} for the API: {error}",
            settings.api
        ))
        .advise("another program uses it; choose another with --api-listen, or port 0")
    })?;
    let address = listener
        .local_addr()
        .doing("cannot tell where the API listens")?;
    Ok((listener, address))
}

fn open_node(
    dir: &NodeDir,
    seed: &Seed,
    settings: &Settings,
    rules: &Arc<Rules>,
    at: Moment,
) -> Result<Node> {
    let key = seed.worker();
    let mut in_genesis = rules.genesis.workers.iter();
    let in_genesis = in_genesis.any(|worker| worker.key == key.public().0);
    let founding = dir.first_start()? && in_genesis;
    let store = open_store(dir, settings)?;
    let config = NodeConfig {
        rules: rules.clone(),
        vrf_seed: *seed.vrf(),
        reporter: reporter(settings, &key.public().address())?,
        key,
        founding,
        entropy: entropy()?,
        limits: frith_neighbourhood::Limits::default(),
    };
    let failed = |error: &dyn std::fmt::Display| {
        format!(
            "cannot open the node's state in {}: {error}",
            dir.path().display()
        )
    };
    let mut node = Node::open(config, Box::new(store), at).map_err(|error| match error {
        OpenError::Network { .. } => Failure::other(failed(&error)),
        OpenError::Chain(_) | OpenError::Replay { .. } => {
            node_dir::store_failure(dir.path(), failed(&error))
        }
    })?;
    // Nothing was said yet. The store first, see `NodeDir::mark_started`.
    node.sync_store()
        .map_err(|error| node_dir::store_failure(dir.path(), failed(&error)))?;
    dir.mark_started()?;
    Ok(node)
}

fn open_store(dir: &NodeDir, settings: &Settings) -> Result<RocksStore> {
    let (path, mark) = (dir.path().join(STORE_DIR), dir.path().join(MARK_FILE));
    let cache = usize::try_from(settings.cache_mib << 20).unwrap_or(usize::MAX);
    let options = RocksOptions {
        block_cache_bytes: cache,
        ..RocksOptions::default()
    };
    let lost = |store: &mut RocksStore, loss| {
        tracing::error!(
            store = %path.display(),
            %loss,
            "the store has lost what was durable: its record of votes isn't believed, and the others are asked"
        );
        record::forget(store)
    };
    RocksStore::open_marked(&path, &mark, &options, lost)
        .map_err(|error| node_dir::store_failure(dir.path(), error))
}

fn reporter(settings: &Settings, worker: &Address) -> Result<Address> {
    if settings.reporter.is_empty() {
        return Ok(*worker);
    }
    settings
        .reporter
        .parse()
        .map_err(|error| Failure::usage(format!("the setting reporter: {error}")))
}

fn entropy() -> Result<[u8; 32]> {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).doing("the system gives no randomness")?;
    Ok(entropy)
}

fn addresses(texts: &[String], setting: &str) -> Result<Vec<Multiaddr>> {
    texts
        .iter()
        .map(|text| {
            text.parse().map_err(|error| {
                Failure::usage(format!("{setting}: {text:?} is no multiaddress: {error}"))
                    .advise("they look like /ip4/203.0.113.7/tcp/4200 or /ip6/::/udp/4200/quic-v1")
            })
        })
        .collect()
}

async fn start_network(
    dir: &NodeDir,
    settings: &Settings,
    secret: &[u8; 32],
    rules: &Rules,
) -> Result<(Network, mpsc::Receiver<NetworkEvent>)> {
    let mut config = NetworkConfig::new(*secret, rules.hash.0);
    config.listen = addresses(&settings.listen, "listen")?;
    config.external = addresses(&settings.external, "external")?;
    config.bootstrap = addresses(&settings.bootstrap, "bootstrap")?;
    config.known = peers::read(&dir.path().join(PEERS_FILE));
    if settings.memory_mib_max > 0 {
        // No new connections once the node itself has what is left beside the runners.
        let node = settings
            .memory_mib_max
            .saturating_sub(settings.runners_mib());
        config.limits.memory_bytes_max = usize::try_from(node << 20).unwrap_or(usize::MAX);
    }
    Network::start(config)
        .await
        .map_err(|error| Failure::new(Exit::Other, Code::Network, error))
}

/// The core's own thread: its work is CPU and disk, and nothing else may wait behind it.
fn spawn_core(core: Core) -> Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .doing("cannot start the core")?;
    std::thread::Builder::new()
        .name("core".to_owned())
        .spawn(move || runtime.block_on(core.run()))
        .doing("cannot start the core's thread")
}

/// Brings what the core waits for; the fetcher bounds how much at one time.
async fn bring_content(mut wants: mpsc::Receiver<Wanted>, fetcher: Fetcher) {
    let mut under_way = JoinSet::new();
    let own = fetcher.clone();
    under_way.spawn(async move {
        // An error means that the core is gone, which ends the loop below too.
        let _stopped = own.hold_stored().await;
    });
    loop {
        tokio::select! {
            wanted = wants.recv() => {
                let Some(Wanted { id, len, holders }) = wanted else { return };
                let fetcher = fetcher.clone();
                under_way.spawn(async move {
                    if let Err(error) = fetcher.ensure(id, Some(len), holders).await {
                        tracing::warn!(%error, "content is missing");
                    }
                });
            }
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
        }
    }
}
