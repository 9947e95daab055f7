//! The state tree at a million entities, beside `jmt` (Jellyfish Merkle tree) in the same run, with the same hash.
//!
//! Both hold everything in memory, and each runs on one thread. A batch changes 10,000 existing entities,
//! spread over the whole tree; what is timed is from the changes to the new root and to a tree that the next
//! batch can be applied to. The batches of both are made before the clock starts and run in turn, so that
//! noise meets both. `jmt` takes a batch change by change (`put_value_set`) or as a whole
//! (`batch_put_value_sets`, which can't delete): every other batch goes each way.
//!
//! - `tree.updates_per_s`: changes a second, the median of the batches.
//! - `tree.jmt_updates_per_s`: `jmt`'s, in the way that is faster.
//! - `tree.over_jmt`: the one over the other.
//! - `tree.over_jmt_single`: the same over `put_value_set`, whichever is faster.
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
const BATCHES: u64 = 30;
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

/// The new values of a batch.
type Values = Vec<(KeyHash, OwnedValue)>;

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

    /// Updates a second of one batch, until its nodes can be read.
    fn rate(
        &mut self,
        values: Values,
        put: impl FnOnce(
            &JellyfishMerkleTree<'_, Self, Blake3>,
            Values,
        ) -> anyhow::Result<TreeUpdateBatch>,
    ) -> anyhow::Result<f64> {
        let began = Instant::now();
        let batch = put(&JellyfishMerkleTree::new(self), values)?;
        self.write(&batch);
        let rate = BATCH as f64 / began.elapsed().as_secs_f64();
        self.prune(&batch);
        Ok(rate)
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
    let (mut rates, mut single, mut whole) = (Vec::new(), Vec::new(), Vec::new());
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
                (KeyHash(address.0), bytes)
            })
            .collect();
        // Follows the version before without a gap: where `jmt` finds no root, it begins an empty tree.
        let version = ENTITIES / BATCH + round - 1;
        if round.is_multiple_of(2) {
            single.push(nodes.rate(values, |tree, values| {
                let values = values.into_iter().map(|(key, value)| (key, Some(value)));
                Ok(tree.put_value_set(values, version)?.1)
            })?);
        } else {
            whole.push(nodes.rate(values, |tree, values| {
                Ok(tree.batch_put_value_sets(vec![values], None, version)?.1)
            })?);
        }
    }
    // An entity that no batch changed: the tree is still the one of the million.
    let untouched = (0..ENTITIES)
        .find(|number| !(1..=BATCHES).any(|round| numbers(round).any(|changed| changed == *number)))
        .context("every entity was changed")?;
    let (address, bytes) = entity(untouched, 0);
    let held = JellyfishMerkleTree::<_, Blake3>::new(&nodes)
        .get(KeyHash(address.0), ENTITIES / BATCH + BATCHES - 1)?;
    ensure!(held == Some(bytes), "jmt lost an entity");
    let (rate, single, whole) = (median(rates)?, median(single)?, median(whole)?);
    let jmt = single.max(whole);
    let proof = proofs(&ours)?;
    println!(
        "tree: {rate:.0} updates/s; jmt: {single:.0} change by change, {whole:.0} as a whole; {:.2} times",
        rate / jmt
    );
    println!(
        "      {:.0} bytes a proof, {:.2} µs to make, {:.2} µs to verify",
        proof[0], proof[1], proof[2]
    );
    let mut figures = Map::new();
    figures.insert("tree.updates_per_s".to_owned(), json!(rate.round()));
    figures.insert("tree.jmt_updates_per_s".to_owned(), json!(jmt.round()));
    for (name, jmt) in [("tree.over_jmt", jmt), ("tree.over_jmt_single", single)] {
        figures.insert(name.to_owned(), crate::rounded(rate / jmt, 2));
    }
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
