//! The process that copies.

use crate::state::{Mix, state_bytes};
use crate::{EPOCH, Outcome, SERVE, cpu_seconds, limits, network};
use frith_ledger::key::PublicKey;
use frith_ledger::store::{RocksOptions, RocksStore, Store as _, Table};
use frith_ledger::tree::Summary;
use frith_ledger::units::{Epoch, Millis};
use frith_neighbourhood::sync::{Pulls, TreeCopy, slot_bits};
use frith_neighbourhood::wire::{PeerMessage, Response};
use frith_network::{Network, NetworkEvent, PeerKey, Priority};
use parity_scale_codec::{DecodeAll as _, Encode as _};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What one copy took.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    bytes: u64,
    entities: u64,
    took: Duration,
    decoding: Duration,
    verifying: Duration,
    storing: Duration,
    cpu: f64,
    served: f64,
}

impl Measured {
    pub(crate) fn mb_per_s(&self) -> f64 {
        (self.bytes as f64 / 1e5 / self.took.as_secs_f64()).round() / 10.0
    }

    pub(crate) fn print(&self, mix: Mix) {
        println!(
            "{:<11} {:6.1} MB of state, {} entities, in {:.2} s: {:.1} MB/s",
            mix.name(),
            self.bytes as f64 / 1e6,
            self.entities,
            self.took.as_secs_f64(),
            self.mb_per_s()
        );
        println!(
            "  computed: {:.2} s to serve, {:.2} s to copy; time of the core's thread: decode {:.2}, verify and \
             build {:.2}, save {:.2}",
            self.served,
            self.cpu,
            self.decoding.as_secs_f64(),
            self.verifying.as_secs_f64(),
            self.storing.as_secs_f64()
        );
    }
}

struct Server {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start(mix: Mix) -> Outcome<(Self, String, Summary)> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(SERVE, mix.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let (address, summary) = line
            .trim()
            .split_once(' ')
            .ok_or("no address and summary")?;
        let summary = Summary::decode_all(&mut &hex::decode(summary)?[..])?;
        Ok((Self { child, lines }, address.to_owned(), summary))
    }

    /// Ends it; the seconds that it has computed.
    fn end(mut self) -> Outcome<f64> {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        self.child.wait()?;
        Ok(line.trim().parse()?)
    }
}

struct Copier {
    network: Network,
    peer: PublicKey,
    store: RocksStore,
    tree: TreeCopy,
    pulls: Pulls,
    began: Instant,
    measured: Measured,
}

/// Copies a state that another process has.
pub(crate) async fn copy(mix: Mix) -> Outcome<Measured> {
    let (server, address, root) = Server::start(mix)?;
    let directory = tempfile::tempdir()?;
    let store = RocksStore::open(directory.path(), &RocksOptions::default())?;
    let (network, mut events) = network(2, vec![address.parse()?]).await?;
    let peer = connected(&mut events).await?;
    network.set_members([peer].into());
    let limits = limits();
    let bits = slot_bits(root.entities, limits.slot_entities);
    let mut copier = Copier {
        network,
        peer: PublicKey(*peer.as_bytes()),
        store,
        tree: TreeCopy::new(Epoch::new(EPOCH), root, bits, limits.slots_at_once),
        pulls: Pulls::new(&limits),
        began: Instant::now(),
        measured: Measured::default(),
    };
    let before = cpu_seconds();
    copier.pulls.want(copier.tree.requests());
    copier.run(&mut events).await?;
    copier.measured.took = copier.began.elapsed();
    copier.measured.cpu = cpu_seconds() - before;
    let tree = copier.tree.tree()?;
    if tree.summary() != root {
        return Err("the copy is another state".into());
    }
    let mut measured = copier.measured;
    (measured.bytes, measured.entities) = (state_bytes(&tree), root.entities);
    copier.network.shutdown().await;
    measured.served = server.end()?;
    Ok(measured)
}

async fn connected(events: &mut mpsc::Receiver<NetworkEvent>) -> Outcome<PeerKey> {
    loop {
        match events.recv().await.ok_or("the network has ended")? {
            NetworkEvent::Connected(peer) => return Ok(peer),
            _ => continue,
        }
    }
}

impl Copier {
    fn now(&self) -> Millis {
        Millis::new(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn run(&mut self, events: &mut mpsc::Receiver<NetworkEvent>) -> Outcome {
        let peers: BTreeSet<PublicKey> = [self.peer].into();
        while !self.tree.is_whole() {
            for (peer, request) in self.pulls.due(self.now(), &peers) {
                let frame = PeerMessage::Request(request).encode();
                self.network
                    .send(PeerKey::new(peer.0), Priority::Bulk, frame.into())?;
            }
            let wait = self
                .pulls
                .next()
                .map_or(1_000, |at| at.minus(self.now().get()).get());
            let event = tokio::time::timeout(Duration::from_millis(wait.max(1)), events.recv());
            if let Ok(Some(NetworkEvent::Message { frame, .. })) = event.await {
                self.message(&frame)?;
            }
        }
        self.store.sync()?;
        Ok(())
    }

    fn message(&mut self, frame: &[u8]) -> Outcome {
        let began = Instant::now();
        let message = PeerMessage::from_bytes(frame)?;
        let decoded = Instant::now();
        self.measured.decoding += decoded - began;
        let PeerMessage::Response(response) = message else {
            return Ok(());
        };
        let Response::Range {
            epoch,
            prefix,
            from,
            proof,
        } = *response
        else {
            return Ok(());
        };
        if !self.tree.wants(epoch, prefix, from) {
            return Ok(());
        }
        let next = self.tree.range(prefix, from, &proof)?;
        let request = frith_neighbourhood::wire::Request::Range {
            epoch,
            prefix,
            from,
        };
        self.pulls.came(&request, &self.peer, next);
        drop(proof);
        let verified = Instant::now();
        self.measured.verifying += verified - decoded;
        for save in self.tree.saves() {
            let mut nodes = save.nodes.into_iter().flatten();
            self.store.load(Table::Nodes, &mut nodes)?;
            self.store.write(save.writes)?;
        }
        self.measured.storing += verified.elapsed();
        Ok(())
    }
}
