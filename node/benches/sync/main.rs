//! Copying a state of 500 MB between two processes on loopback: megabytes of state a second.
//!
//! One process serves the tree from memory, as a node does; this one copies it into a RocksDB by range
//! proofs, with the calls that a node makes: messages decoded and checked, pieces proven against the root,
//! groups of slots saved and marked. Both run the real network (TCP, Noise, yamux). What a node grants a peer
//! in a second (32 MiB) is lifted here: the bound is a choice, and this measures what is behind it.
//!
//! State bytes are those of the entities and their addresses; paths, frames and the tree's own nodes aren't
//! counted. Run with `cargo bench --profile dev -p frith --bench sync`; prints, and writes `bench-sync.json` into
//! the target folder.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

mod copier;
mod server;
mod state;

use frith_neighbourhood::Limits;
use frith_network::{Multiaddr, Network, NetworkConfig, NetworkEvent, Rate};
use std::path::PathBuf;
use tokio::sync::mpsc;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Says to the process that it is the one that serves, and which state.
const SERVE: &str = "FRITH_BENCH_SERVE";
/// The epoch whose state is copied.
const EPOCH: u64 = 7;

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

fn limits() -> Limits {
    Limits::default()
}

/// A node's network on loopback whose budgets don't bind.
async fn network(
    seed: u8,
    bootstrap: Vec<Multiaddr>,
) -> Outcome<(Network, mpsc::Receiver<NetworkEvent>)> {
    let mut config = NetworkConfig::new([seed; 32], [9; 32]);
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    config.bootstrap = bootstrap;
    config.limits.member.bulk = Rate::new(4 << 30, 1 << 20);
    config.limits.memory_bytes_max = 16 << 30;
    Ok(Network::start(config).await?)
}

/// Seconds that this process and its threads have computed.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn main() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if let Some(mix) = std::env::var_os(SERVE) {
        let mix = state::Mix::named(&mix.to_string_lossy()).ok_or("no such state")?;
        return runtime.block_on(server::serve(mix));
    }
    let mut figures = serde_json::Map::new();
    for (mix, key) in [
        (state::Mix::Everything, "sync.state_mb_per_s"),
        (state::Mix::Accounts, "sync.accounts_mb_per_s"),
    ] {
        let measured = runtime.block_on(copier::copy(mix))?;
        measured.print(mix);
        figures.insert(key.to_owned(), measured.mb_per_s().into());
    }
    std::fs::write(
        target().join("bench-sync.json"),
        serde_json::to_vec_pretty(&figures)?,
    )?;
    Ok(())
}
