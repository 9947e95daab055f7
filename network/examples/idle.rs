//! What a node costs that does nothing: `cargo run -p frith-network --example idle -- <nodes>
//! <seconds>`.
//!
//! Starts one process per node; the first is the bootstrap peer of the others, all are members of
//! each other, over TCP and QUIC. After a settling time of five seconds each process measures
//! itself and reports on the error stream.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use frith_network::{Multiaddr, Network, NetworkConfig, NetworkEvent, PeerKey};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| {
        arguments
            .get(at)
            .map_or(Ok(default), |text| text.parse::<u64>())
    };
    match arguments.first().map(String::as_str) {
        Some("node") => node(
            number(1, 1)?,
            number(2, 5)?,
            number(3, 30)?,
            arguments.get(4),
        ),
        _ => all(number(0, 5)?, number(1, 30)?),
    }
}

fn all(nodes: u64, seconds: u64) -> Result<(), Failure> {
    let start = |seed: u64, bootstrap: &str| -> std::io::Result<Child> {
        Command::new(std::env::current_exe()?)
            .args([
                "node",
                &seed.to_string(),
                &nodes.to_string(),
                &seconds.to_string(),
                bootstrap,
            ])
            .stdout(Stdio::piped())
            .spawn()
    };
    let mut first = start(1, "")?;
    let mut bootstrap = String::new();
    BufReader::new(first.stdout.take().ok_or("no output")?).read_line(&mut bootstrap)?;
    let mut children = vec![first];
    for seed in 2..=nodes {
        children.push(start(seed, bootstrap.trim())?);
    }
    for child in &mut children {
        child.wait()?;
    }
    Ok(())
}

#[tokio::main]
async fn node(
    seed: u64,
    nodes: u64,
    seconds: u64,
    bootstrap: Option<&String>,
) -> Result<(), Failure> {
    let mut config = NetworkConfig::new(secret(seed), [1; 32]);
    config.listen = vec![
        "/ip4/127.0.0.1/tcp/0".parse()?,
        "/ip4/127.0.0.1/udp/0/quic-v1".parse()?,
    ];
    if let Some(address) = bootstrap.filter(|address| !address.is_empty()) {
        config.bootstrap = vec![address.parse::<Multiaddr>()?];
    }
    let (network, mut events) = Network::start(config).await?;
    if let [address, ..] = &network.listen_addresses()[..] {
        use std::io::Write as _;
        writeln!(std::io::stdout(), "{address}")?;
    }
    let mut members = BTreeSet::new();
    for seed in 1..=nodes {
        members.insert(key(seed)?);
    }
    network.set_members(members);
    let mut missing = nodes - 1;
    while missing > 0 {
        match events.recv().await {
            Some(NetworkEvent::Connected(_)) => missing -= 1,
            Some(_) => {}
            None => return Err("the network ended".into()),
        }
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = cpu_ticks()?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let used = cpu_ticks()? - before;
    let (peers, rss) = (network.connected().len(), resident_kib()?);
    // The kernel counts in hundredths of a second.
    let share = used as f64 / seconds as f64;
    eprintln!(
        "node {seed}: {peers} peers, {rss} KiB resident, {share:.2} % of a core over {seconds} s"
    );
    Ok(())
}

fn secret(seed: u64) -> [u8; 32] {
    let mut secret = [0; 32];
    secret[..8].copy_from_slice(&seed.to_le_bytes());
    secret
}

fn key(seed: u64) -> Result<PeerKey, Failure> {
    let pair = libp2p::identity::ed25519::SecretKey::try_from_bytes(secret(seed))?;
    Ok(PeerKey::new(
        libp2p::identity::ed25519::Keypair::from(pair)
            .public()
            .to_bytes(),
    ))
}

/// User and system time of this process, from the 14th and 15th field of its stat.
fn cpu_ticks() -> Result<u64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let field = |at: usize| {
        fields
            .get(at)
            .ok_or("a short stat")?
            .parse::<u64>()
            .map_err(Failure::from)
    };
    Ok(field(11)? + field(12)?)
}

fn resident_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
