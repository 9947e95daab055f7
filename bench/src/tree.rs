//! The state tree at a million entities, beside `jmt` (Jellyfish Merkle tree) in the same run, with the same hash.
//!
//! Both hold everything in memory. A batch changes 10,000 existing entities, spread over the whole tree; what
//! is timed is from the changes to the new root and to a tree that the next batch can be applied to. The
//! batches of both are made before the clock starts and run in turn, so that noise meets both.
//!
//! - `tree.updates_per_s`: changes a second, the median of the batches.
//! - `tree.over_jmt`: that over `jmt`'s.
//! - `tree.proof_bytes`, `tree.prove_us`, `tree.verify_us`: of an inclusion proof, means.

use anyhow::{Context as _, anyhow, ensure};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::tree::{Change, Leaf, Version};
use jmt::storage::{LeafNode, Node, NodeKey, TreeReader, TreeUpdateBatch};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, SimpleHasher};
use parity_scale_codec::Encode as _;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::time::Instant;

const ENTITIES: u64 = 1_000_000;
const BATCH: u64 = 10_000;
const BATCHES: u64 = 15;
const PROOFS: u64 = 2_000;
/// An account with its key, balance and nonce is about this long.
const ENTITY_BYTES: usize = 80;

/// BLAKE3, in the mode that the ledger's tree uses too: derive-key, the context hashed once.
struct Blake3(blake3::Hasher);

impl SimpleHasher for Blake3 {
    fn new() -> Self {
        use blake3::hazmat::HasherExt as _;
        static KEY: std::sync::OnceLock<blake3::hazmat::ContextKey> = std::sync::OnceLock::new();
        let key = KEY.get_or_init(|| blake3::hazmat::hash_derive_key_context("frith v1 benchmark"));
        Self(blake3::Hasher::new_from_context_key(key))
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// `jmt` keeps no nodes itself: here is a hash map for them.
#[derive(Default)]
struct Nodes {
    nodes: HashMap<NodeKey, Node>,
    values: HashMap<KeyHash, OwnedValue>,
}

impl TreeReader for Nodes {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(self.nodes.get(key).cloned())
    }

    fn get_value_option(&self, _: u64, key: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        Ok(self.values.get(&key).cloned())
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        Err(anyhow!("only a restored tree is asked for it"))
    }
}

impl Nodes {
    /// Takes in what a batch made.
    fn write(&mut self, batch: &TreeUpdateBatch) {
        let nodes = batch.node_batch.nodes().iter();
        self.nodes
            .extend(nodes.map(|(key, node)| (key.clone(), node.clone())));
        for ((_, key), value) in batch.node_batch.values() {
            match value {
                Some(value) => self.values.insert(*key, value.clone()),
                None => self.values.remove(key),
            };
        }
    }

    /// Drops nodes that no later version needs.
    fn prune(&mut self, batch: &TreeUpdateBatch) {
        for stale in &batch.stale_node_index_batch {
            self.nodes.remove(&stale.node_key);
        }
    }
}

/// An entity's address and content follow from its number and the round that wrote it.
fn entity(number: u64, round: u64) -> (Address, Vec<u8>) {
    let mut bytes = vec![0x5a; ENTITY_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..16].copy_from_slice(&round.to_le_bytes());
    (Address(Hash::of(Domain::Address, &number).0), bytes)
}

fn change((address, bytes): (Address, Vec<u8>), number: u64) -> Change {
    // Every thousandth is a worker.
    let stake = if number.is_multiple_of(1_000) {
        Credits::whole(500)
    } else {
        Credits::ZERO
    };
    let leaf = Leaf {
        bytes: bytes.into(),
        credits: Credits::whole(1_000 + number % 1_000),
        stake,
    };
    Change {
        address,
        leaf: Some(leaf),
    }
}

fn numbers(round: u64) -> impl Iterator<Item = u64> {
    (0..BATCH).map(move |i| (i * 99_991 + round * 7_919) % ENTITIES)
}

fn median(mut rates: Vec<f64>) -> anyhow::Result<f64> {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().context("no batches")
}

/// Measures all figures.
pub(crate) fn measure() -> anyhow::Result<Map<String, Value>> {
    let all = (0..ENTITIES).map(|number| change(entity(number, 0), number));
    let mut ours = Version::empty().apply(all.collect())?;
    let mut nodes = Nodes::default();
    // `jmt` inserts one after the other: in pieces, so that what a piece makes fits into memory.
    for piece in 0..ENTITIES / BATCH {
        let values = (piece * BATCH..(piece + 1) * BATCH).map(|number| {
            let (address, bytes) = entity(number, 0);
            (KeyHash(address.0), Some(bytes))
        });
        let tree = JellyfishMerkleTree::<_, Blake3>::new(&nodes);
        let (_, batch) = tree.put_value_set(values, piece)?;
        nodes.write(&batch);
        nodes.prune(&batch);
    }
    let (mut rates, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=BATCHES {
        let changes: Vec<Change> = numbers(round)
            .map(|number| change(entity(number, round), number))
            .collect();
        let began = Instant::now();
        let next = ours.apply(changes)?;
        let root = next.summary();
        rates.push(BATCH as f64 / began.elapsed().as_secs_f64());
        ensure!(root != ours.summary(), "the root did not change");
        ours = next;

        let values: Vec<_> = numbers(round)
            .map(|number| {
                let (address, bytes) = entity(number, round);
                (KeyHash(address.0), Some(bytes))
            })
            .collect();
        let began = Instant::now();
        let tree = JellyfishMerkleTree::<_, Blake3>::new(&nodes);
        let (_, batch) = tree.put_value_set(values, ENTITIES / BATCH + round)?;
        nodes.write(&batch);
        theirs.push(BATCH as f64 / began.elapsed().as_secs_f64());
        nodes.prune(&batch);
    }
    let (rate, jmt) = (median(rates)?, median(theirs)?);
    let proof = proofs(&ours)?;
    println!(
        "tree: {rate:.0} updates/s; jmt: {jmt:.0} updates/s; {:.2} times",
        rate / jmt
    );
    println!(
        "      {:.0} bytes a proof, {:.2} µs to make, {:.2} µs to verify",
        proof[0], proof[1], proof[2]
    );
    let mut figures = Map::new();
    figures.insert("tree.updates_per_s".to_owned(), json!(rate.round()));
    figures.insert("tree.over_jmt".to_owned(), crate::rounded(rate / jmt, 2));
    for (name, value) in ["proof_bytes", "prove_us", "verify_us"].iter().zip(proof) {
        figures.insert(format!("tree.{name}"), crate::rounded(value, 2));
    }
    Ok(figures)
}

/// Mean bytes of a proof, and the microseconds to make and to verify one.
fn proofs(version: &Version) -> anyhow::Result<[f64; 3]> {
    let addresses: Vec<Address> = (0..PROOFS).map(|i| entity(i * 499, 0).0).collect();
    let began = Instant::now();
    let proofs: Vec<_> = addresses
        .iter()
        .map(|address| version.prove(address))
        .collect();
    let made = began.elapsed().as_secs_f64();
    let root = version.summary();
    let began = Instant::now();
    for (proof, address) in proofs.iter().zip(&addresses) {
        ensure!(
            proof.verify(&root, address)?.is_some(),
            "an entity is missing"
        );
    }
    let verified = began.elapsed().as_secs_f64();
    let bytes: usize = proofs.iter().map(|proof| proof.encode().len()).sum();
    let count = proofs.len() as f64;
    Ok([
        bytes as f64 / count,
        made * 1e6 / count,
        verified * 1e6 / count,
    ])
}
