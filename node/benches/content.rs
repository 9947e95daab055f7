//! Content of 16 MiB from one and from three sources on loopback, each a process of its own: megabytes a second.
//!
//! And what a vote waits for its sync while content of 16 MiB is stored, beside the core and through it.
//!
//! Every slice is checked as it comes and written to the file of unfinished content; the whole is read and hashed
//! again at the end. What a node grants a peer in a second (32 MiB) is lifted. Run with
//! `cargo bench --profile dev -p frith --bench content`; prints, and writes `bench-content.json` into the target
//! folder.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

use frith::service::content::{Answer, Download, Served};
use frith::service::logs::RunLogs;
use frith_ledger::hash::Hash;

use frith_ledger::store::{
    Entry, ReadStore, RocksOptions, RocksStore, Store as _, StoreError, Table, Write,
};
use frith_neighbourhood::ContentReader;
use frith_network::{Multiaddr, Network, NetworkConfig, NetworkEvent, PeerKey, Rate};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Says to the process that it is a source, and which.
const SOURCE: &str = "FRITH_BENCH_SOURCE";
const BYTES: u32 = 16 << 20;
const ROUNDS: usize = 15;
/// Contents that are stored while votes are written.
const STORED: u8 = 12;

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

fn content() -> (Hash, Vec<u8>) {
    let mut bytes = vec![0; BYTES as usize];
    let mut reader = blake3::Hasher::new().finalize_xof();
    reader.fill(&mut bytes);
    (Hash(*blake3::hash(&bytes).as_bytes()), bytes)
}

async fn network(
    seed: u8,
    bootstrap: Vec<Multiaddr>,
) -> Outcome<(Network, mpsc::Receiver<NetworkEvent>)> {
    let mut config = NetworkConfig::new([seed; 32], [9; 32]);
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    config.bootstrap = bootstrap;
    config.limits.unknown.fetch = Rate::new(4 << 30, 1 << 20);
    config.limits.unknown_total = Rate::new(4 << 30, 1 << 20);
    Ok(Network::start(config).await?)
}

/// A store that has the content whatever is asked.
struct Held;

impl ReadStore for Held {
    fn read(&self, _table: Table, _key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(Some(content().1))
    }

    fn read_range(
        &self,
        _table: Table,
        _from: &[u8],
        _limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }
}

/// Serves slices until its standard input ends.
async fn serve(seed: u8) -> Outcome {
    let (network, mut events) = network(seed, Vec::new()).await?;
    let addresses = network.listen_addresses();
    let address = addresses.first().ok_or("no address")?;
    println!("{address}");
    std::io::stdout().flush()?;
    let (over, mut is_over) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _line = std::io::stdin().lock().read_line(&mut String::new());
        drop(over);
    });
    let served = Served::start(ContentReader::new(Arc::new(Held)), RunLogs::default())?;
    loop {
        let event = tokio::select! {
            _ = &mut is_over => return Ok(()),
            event = events.recv() => event.ok_or("the network has ended")?,
        };
        if let NetworkEvent::Fetch {
            from,
            request,
            reply,
        } = event
        {
            let served = served.clone();
            tokio::spawn(async move {
                match served.answer(from, &request).await {
                    Answer::Found(answer) => reply.send(answer),
                    Answer::Refused => reply.refuse(),
                    Answer::Busy => reply.busy(),
                }
            });
        }
    }
}

fn start_source(seed: u8) -> Outcome<(Child, Multiaddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .env(SOURCE, seed.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    Ok((child, line.trim().parse()?))
}

/// The median of several fetches, in MB/s.
async fn measure(network: &Network, id: Hash, sources: &[PeerKey]) -> Outcome<f64> {
    let mut rates = Vec::new();
    for round in 0..=ROUNDS {
        let directory = tempfile::tempdir()?;
        let download = Download {
            network,
            directory: directory.path(),
            id,
            len: Some(BYTES),
        };
        let began = Instant::now();
        let bytes = download.run(sources.to_vec()).await?;
        // The first also brings the sources to load it.
        if round > 0 {
            rates.push(bytes.len() as f64 / 1e6 / began.elapsed().as_secs_f64());
        }
    }
    rates.sort_by(f64::total_cmp);
    let median = rates.get(rates.len() / 2).ok_or("nothing was measured")?;
    Ok((median * 10.0).round() / 10.0)
}

/// Writes a vote and makes it durable; how long that took.
fn vote(store: &mut RocksStore, also: Option<Write>) -> Outcome<Duration> {
    let began = Instant::now();
    let mut batch = vec![Write::Put {
        table: Table::Safety,
        key: b"vote".to_vec(),
        value: vec![7; 200],
    }];
    batch.extend(also);
    store.write(batch)?;
    store.sync()?;
    Ok(began.elapsed())
}

/// The longest that a vote waited while contents were stored one after the other: beside the votes, or in their way.
fn longest_vote(beside: bool) -> Outcome<Duration> {
    let directory = tempfile::tempdir()?;
    let mut store = RocksStore::open(directory.path(), &RocksOptions::default())?;
    let adder = store.adder().ok_or("no way to add")?;
    let bytes = content().1;
    let key = |number: u8| vec![number; 32];
    let mut longest = Duration::ZERO;
    if !beside {
        for number in 0..STORED {
            let also = Write::Put {
                table: Table::Content,
                key: key(number),
                value: bytes.clone(),
            };
            longest = longest.max(vote(&mut store, Some(also))?);
        }
        return Ok(longest);
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| -> Outcome {
        let adding = scope.spawn(|| {
            let added =
                (0..STORED).try_for_each(|number| adder.add(Table::Content, &key(number), &bytes));
            over.store(true, Ordering::SeqCst);
            added
        });
        while !over.load(Ordering::SeqCst) {
            longest = longest.max(vote(&mut store, None)?);
        }
        Ok(adding.join().map_err(|_| "the adding thread panicked")??)
    })?;
    Ok(longest)
}

async fn run() -> Outcome {
    let (id, _) = content();
    let started: Vec<(Child, Multiaddr)> = (1..=3).map(start_source).collect::<Outcome<_>>()?;
    let addresses = started.iter().map(|(_, address)| address.clone()).collect();
    let (network, mut events) = network(9, addresses).await?;
    let mut keys = Vec::new();
    while keys.len() < started.len() {
        if let NetworkEvent::Connected(key) = events.recv().await.ok_or("the network has ended")? {
            keys.push(key);
        }
    }
    let one = measure(&network, id, &keys[..1]).await?;
    let three = measure(&network, id, &keys).await?;
    for (mut child, _) in started {
        drop(child.stdin.take());
        child.wait()?;
    }
    println!("16 MiB from one source     {one:8.1} MB/s (median of {ROUNDS})");
    println!("16 MiB from three sources  {three:8.1} MB/s (median of {ROUNDS})");
    let [beside, through] = [longest_vote(true)?, longest_vote(false)?]
        .map(|time| (time.as_secs_f64() * 1e4).round() / 10.0);
    println!(
        "a vote beside 16 MiB       {beside:8.1} ms at the longest, while {STORED} contents were stored"
    );
    println!("a vote with 16 MiB         {through:8.1} ms at the longest");
    let result = serde_json::json!({
        "content.mb_per_s": one,
        "content.three_sources_mb_per_s": three,
        "content.vote_beside_ms": beside,
        "content.vote_through_ms": through,
    });
    std::fs::write(
        target().join("bench-content.json"),
        serde_json::to_vec_pretty(&result)?,
    )?;
    Ok(())
}

fn main() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match std::env::var(SOURCE) {
        Ok(seed) => runtime.block_on(serve(seed.parse()?)),
        Err(_) => runtime.block_on(run()),
    }
}
