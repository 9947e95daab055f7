//! Versions of the tree in a [`Store`]: saved by their differences, loaded with every hash checked,
//! pruned without a scan.
//!
//! # Layout
//! Table `Nodes`, by the first byte of the key:
//! - `0, number`: a kept version: where its root stands and the root's summary; nothing when empty.
//! - `1, prefix, hash`: a node. An inner node's record holds its children's places and summaries, a
//!   leaf's the entity and its sums; both the number of the version that wrote them, and a checksum.
//!
//! Table `Stale`: `number, node key`: the node isn't in version `number` any more, but was in the
//! version saved before it. Keys are of fixed size, numbers big-endian.
//!
//! # Invariants
//! - A node's key holds its hash, so a key never has two contents, and a record that was altered is
//!   found out by its own key.
//! - Numbers only grow, and none is used for two states. Each version but the first is saved as the
//!   difference to the one saved before it.
//! - A node that became stale at `s` may be deleted when no version below `s` is kept, unless it was
//!   written again by a version from `s` on (an entity that went back to an earlier state).
//! - One batch saves a version or prunes a part, so a crash leaves no version half there. Pruning
//!   forgets versions before it deletes their nodes.
//!
//! Costs: saving and pruning are O(changed nodes), loading O(all nodes).

use super::node::{Child, InnerNode, Leaf, Link};
use super::prefix::NodePrefix;
use super::shared::SharedNode;
use super::summary::Summary;
use super::version::Version;
use crate::codec::{DecodeError, decode};
use crate::credits::Credits;
use crate::hash::Hash;
use crate::store::{Entry, Store, StoreError, Table, Write};
use parity_scale_codec::{Decode, Encode};
use std::sync::Arc;

/// First byte of a version's key.
const VERSION: u8 = 0;
/// First byte of a node's key.
const NODE: u8 = 1;
/// Bytes of a number in a key.
const NUMBER_BYTES: usize = 8;
/// Bytes of a node's key: tag, prefix bits and length, hash.
const NODE_KEY_BYTES: usize = 1 + 32 + 2 + 32;
/// Bytes at the end of a record that its other bytes decide.
const CHECKSUM_BYTES: usize = 8;
/// Longest record: the longest entity, and room for the rest.
const RECORD_BYTES_MAX: usize = super::ENTITY_BYTES_MAX + 256;
/// Nodes that are read at once.
const NODES_AT_ONCE: usize = 4096;
/// Kept versions that are listed or forgotten at once.
const VERSIONS_AT_ONCE: usize = 1024;

/// Where a node stands and what its parent knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
struct Place {
    prefix: NodePrefix,
    summary: Summary,
}

#[derive(Encode, Decode)]
#[allow(
    clippy::large_enum_variant,
    reason = "lives for one write; only 32-bit targets find the difference large"
)]
enum Body {
    #[codec(index = 0)]
    Leaf {
        credits: Credits,
        stake: Credits,
        bytes: Vec<u8>,
    },
    #[codec(index = 1)]
    Inner { left: Place, right: Place },
}

/// What is stored for one node.
#[derive(Encode, Decode)]
struct Record {
    /// The last version that wrote this node.
    written: u64,
    body: Body,
}

/// Why a version can't be loaded. The environment's fault: the data directory is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The store failed to read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The version's own record is damaged.
    #[error("the record of version {number} of the state is damaged")]
    Version {
        /// Which version.
        number: u64,
    },
    /// A node of the version isn't there.
    #[error("the state's node {prefix} with hash {hash} is missing")]
    Missing {
        /// Where the node stands.
        prefix: NodePrefix,
        /// Its hash.
        hash: Hash,
    },
    /// A node's record isn't what its key says.
    #[error("the state's node {prefix} with hash {hash} is damaged: {reason}")]
    Corrupt {
        /// Where the node stands.
        prefix: NodePrefix,
        /// Its hash.
        hash: Hash,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Place {
    fn of(child: &Child) -> Self {
        Self {
            prefix: child.prefix(),
            summary: child.summary,
        }
    }

    fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(NODE_KEY_BYTES);
        key.push(NODE);
        key.extend(self.prefix.first().0);
        key.extend(self.prefix.len().to_be_bytes());
        key.extend(self.summary.hash.0);
        key
    }

    fn corrupt(&self, reason: &'static str) -> LoadError {
        LoadError::Corrupt {
            prefix: self.prefix,
            hash: self.summary.hash,
            reason,
        }
    }
}

/// The bytes and what shows that they weren't altered.
fn sealed(value: &impl Encode) -> Vec<u8> {
    // A leaf's goes the shorter way below; what is left is about as long as two places.
    let mut bytes = Vec::with_capacity(256);
    value.encode_to(&mut bytes);
    seal(bytes)
}

/// [`sealed`] of a leaf's [`Record`], without a copy of the entity in between.
fn sealed_leaf(written: u64, leaf: &Leaf) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(leaf.bytes.len() + 64);
    written.encode_to(&mut bytes);
    // The index of `Body::Leaf`.
    0_u8.encode_to(&mut bytes);
    leaf.credits.encode_to(&mut bytes);
    leaf.stake.encode_to(&mut bytes);
    leaf.bytes.encode_to(&mut bytes);
    seal(bytes)
}

fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = blake3::hash(&bytes);
    bytes.extend(&checksum.as_bytes()[..CHECKSUM_BYTES]);
    bytes
}

fn unsealed<T: Encode + Decode>(bytes: &[u8]) -> Result<T, &'static str> {
    let at = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or("too short")?;
    let (bytes, checksum) = bytes.split_at(at);
    if blake3::hash(bytes).as_bytes()[..CHECKSUM_BYTES] != *checksum {
        return Err("its checksum does not hold");
    }
    decode(bytes, RECORD_BYTES_MAX).map_err(|error| match error {
        DecodeError::TooLong { .. } => "it is too long",
        DecodeError::Malformed { .. } | DecodeError::NotCanonical { .. } => "it does not decode",
    })
}

fn version_key(number: u64) -> Vec<u8> {
    let mut key = vec![VERSION];
    key.extend(number.to_be_bytes());
    key
}

fn number_of(bytes: &[u8]) -> Option<u64> {
    bytes
        .first_chunk::<NUMBER_BYTES>()
        .map(|bytes| u64::from_be_bytes(*bytes))
}

/// The writes that save `version` under `number`: its record, the nodes that `previous` hasn't, and
/// which nodes of `previous` it hasn't.
///
/// `previous` is the version saved last, with its number; `None` only in a store without versions.
/// `number` is above it and was never used for another state.
///
/// # Panics
/// As [`save_above`].
#[must_use]
pub fn save(previous: Option<(u64, &Version)>, number: u64, version: &Version) -> Vec<Write> {
    save_above(previous, number, version, NodePrefix::LEN_MAX + 1)
}

/// As [`save`], when every node whose prefix has `bits` bits or more is in the store already: they were
/// saved by [`save_part`], or are nodes of `previous`.
///
/// # Panics
/// `number` isn't above the one of `previous`: what is stale would be deleted too early, so nothing is written.
#[must_use]
pub fn save_above(
    previous: Option<(u64, &Version)>,
    number: u64,
    version: &Version,
    bits: u16,
) -> Vec<Write> {
    assert!(
        previous.is_none_or(|(before, _)| before < number),
        "the number of a saved version is above the one before"
    );
    let mut difference = Difference::new(number, bits);
    let old = previous.and_then(|(_, version)| version.root.as_ref());
    difference.between(old, version.root.as_ref());
    let mut writes = difference.writes();
    writes.push(Write::Put {
        table: Table::Nodes,
        key: version_key(number),
        value: record_of(version),
    });
    writes
}

/// A part of a tree as it enters a store before the version that it belongs to.
#[derive(Debug)]
pub struct SavedPart {
    /// What enters the table of nodes.
    pub nodes: PartNodes,
    /// Which nodes of the part that it replaces are stale.
    pub stale: Vec<Write>,
    /// What [`load_part`] needs to find it again.
    pub record: Vec<u8>,
}

/// Entries of the table of nodes, in rising order of their keys, each key once; made as they are taken.
#[derive(Debug)]
pub struct PartNodes {
    number: u64,
    /// Subtrees still to visit, the next one last. A walk from the root down, left before right, meets
    /// rising keys.
    pending: Vec<Child>,
    /// Nodes beside them, when an older part is replaced.
    given: std::vec::IntoIter<Entry>,
}

impl Iterator for PartNodes {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let Some(child) = self.pending.pop() else {
            return self.given.next();
        };
        if let Link::Inner(node) = &child.link {
            self.pending.push(node.right.clone());
            self.pending.push(node.left.clone());
        }
        Some(node_entry(self.number, &child))
    }
}

/// Saves the subtree of version `number` under some prefix, in place of what was saved there for a version
/// that is given up. No kept version may have `number`.
#[must_use]
pub fn save_part(number: u64, part: &Version, replaced: Option<&Version>) -> SavedPart {
    let record = record_of(part);
    let Some(old) = replaced.and_then(|version| version.root.as_ref()) else {
        return SavedPart {
            nodes: PartNodes {
                number,
                pending: part.root.iter().cloned().collect(),
                given: Vec::new().into_iter(),
            },
            stale: Vec::new(),
            record,
        };
    };
    let mut difference = Difference::new(number, NodePrefix::LEN_MAX + 1);
    difference.between(Some(old), part.root.as_ref());
    let stale = difference.stale_writes();
    let mut nodes = difference.nodes;
    // Where the walk leaves an old tree aside it may turn round.
    nodes.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    SavedPart {
        nodes: PartNodes {
            number,
            pending: Vec::new(),
            given: nodes.into_iter(),
        },
        stale,
        record,
    }
}

fn record_of(version: &Version) -> Vec<u8> {
    sealed(&version.root.as_ref().map(Place::of))
}

/// Collects what differs between two trees. Recursion is at most 512 deep.
struct Difference {
    number: u64,
    /// Nodes with longer prefixes are not written.
    bits: u16,
    nodes: Vec<Entry>,
    stale: Vec<Vec<u8>>,
}

impl Difference {
    const fn new(number: u64, bits: u16) -> Self {
        Self {
            number,
            bits,
            nodes: Vec::new(),
            stale: Vec::new(),
        }
    }

    fn stale_writes(&mut self) -> Vec<Write> {
        let put = |key| Write::Put {
            table: Table::Stale,
            key,
            value: Vec::new(),
        };
        std::mem::take(&mut self.stale)
            .into_iter()
            .map(put)
            .collect()
    }

    fn writes(mut self) -> Vec<Write> {
        let mut writes = self.stale_writes();
        let put = |(key, value)| Write::Put {
            table: Table::Nodes,
            key,
            value,
        };
        writes.extend(self.nodes.into_iter().map(put));
        writes
    }

    fn between(&mut self, old: Option<&Child>, new: Option<&Child>) {
        let (old, new) = match (old, new) {
            (None, None) => return,
            (Some(old), None) => return self.all(old, Self::stale),
            (None, Some(new)) => return self.all(new, Self::written),
            (Some(old), Some(new)) if old.summary.hash == new.summary.hash => return,
            (Some(old), Some(new)) => (old, new),
        };
        let (old_at, new_at) = (old.prefix(), new.prefix());
        match (&old.link, &new.link) {
            (Link::Inner(before), Link::Inner(after)) if old_at == new_at => {
                self.stale(old);
                self.written(new);
                self.between(Some(&before.left), Some(&after.left));
                self.between(Some(&before.right), Some(&after.right));
            }
            (_, Link::Inner(after))
                if new_at.len() < old_at.len() && new_at.contains(&old_at.first()) =>
            {
                self.written(new);
                let bit = old_at.first().bit(new_at.len());
                self.between(Some(old), Some(after.half(bit)));
                self.between(None, Some(after.half(!bit)));
            }
            (Link::Inner(before), _)
                if old_at.len() < new_at.len() && old_at.contains(&new_at.first()) =>
            {
                self.stale(old);
                let bit = new_at.first().bit(old_at.len());
                self.between(Some(before.half(bit)), Some(new));
                self.between(Some(before.half(!bit)), None);
            }
            _ => {
                self.all(old, Self::stale);
                self.all(new, Self::written);
            }
        }
    }

    fn all(&mut self, child: &Child, note: fn(&mut Self, &Child)) {
        note(self, child);
        if let Link::Inner(node) = &child.link {
            self.all(&node.left, note);
            self.all(&node.right, note);
        }
    }

    fn stale(&mut self, child: &Child) {
        let mut key = self.number.to_be_bytes().to_vec();
        key.extend(Place::of(child).key());
        self.stale.push(key);
    }

    fn written(&mut self, child: &Child) {
        if child.prefix().len() >= self.bits {
            return;
        }
        self.nodes.push(node_entry(self.number, child));
    }
}

/// The record of a node under its key.
fn node_entry(written: u64, child: &Child) -> Entry {
    let value = match &child.link {
        Link::Leaf(node) => sealed_leaf(written, &node.leaf),
        Link::Inner(node) => sealed(&Record {
            written,
            body: Body::Inner {
                left: Place::of(&node.left),
                right: Place::of(&node.right),
            },
        }),
    };
    (Place::of(child).key(), value)
}

/// Loads a version; `None` when it isn't kept. Every record is checked against its hash, and every
/// node against its parent, so what is returned is the state that was saved.
///
/// # Errors
/// [`LoadError`] names the damaged or missing node.
pub fn load(store: &dyn Store, number: u64) -> Result<Option<Version>, LoadError> {
    let Some(bytes) = store.get(Table::Nodes, &version_key(number))? else {
        return Ok(None);
    };
    let root: Option<Place> = unsealed(&bytes).map_err(|_| LoadError::Version { number })?;
    let record = |place: &Place| store.get(Table::Nodes, &place.key());
    let root = root.map(|place| load_node(&record, &place)).transpose()?;
    Ok(Some(Version { root }))
}

/// Loads what [`save_part`] saved, from its record. Every hash is checked. O(nodes in its place).
///
/// # Errors
/// [`LoadError`] names the damaged or missing node; for a damaged record, version 0.
pub fn load_part(store: &dyn Store, record: &[u8]) -> Result<Version, LoadError> {
    let root: Option<Place> = unsealed(record).map_err(|_| LoadError::Version { number: 0 })?;
    let Some(place) = root else {
        return Ok(Version::empty());
    };
    // The nodes of a subtree stand next to each other in the table, so they are read in one sweep.
    let mut from = vec![NODE];
    from.extend(place.prefix.first().0);
    let mut end = vec![NODE];
    end.extend(place.prefix.last().0);
    let mut nodes: Vec<Entry> = Vec::new();
    loop {
        let read = store.range(Table::Nodes, &from, NODES_AT_ONCE)?;
        let full = read.len() == NODES_AT_ONCE;
        let before = nodes.len();
        let inside = |key: &[u8]| key.get(..end.len()).is_some_and(|bits| bits <= &end[..]);
        nodes.extend(read.into_iter().take_while(|(key, _)| inside(key)));
        if !full || nodes.len() - before < NODES_AT_ONCE {
            break;
        }
        let Some((last, _)) = nodes.last() else { break };
        from.clone_from(last);
        from.push(0);
    }
    let record = |place: &Place| {
        let found = nodes.binary_search_by(|(key, _)| key.cmp(&place.key()));
        Ok(found
            .ok()
            .and_then(|at| nodes.get(at))
            .map(|(_, value)| value.clone()))
    };
    let root = load_node(&record, &place)?;
    Ok(Version { root: Some(root) })
}

type Records<'a> = dyn Fn(&Place) -> Result<Option<Vec<u8>>, StoreError> + 'a;

/// Loads the subtree that its parent says stands at `place`. Recursion is at most 256 deep: prefixes
/// lengthen.
fn load_node(records: &Records<'_>, place: &Place) -> Result<Child, LoadError> {
    let Place { prefix, summary } = *place;
    let bytes = records(place)?.ok_or(LoadError::Missing {
        prefix,
        hash: summary.hash,
    })?;
    let record: Record = unsealed(&bytes).map_err(|reason| place.corrupt(reason))?;
    let child = match record.body {
        Body::Leaf {
            credits,
            stake,
            bytes,
        } if prefix.len() == NodePrefix::LEN_MAX => {
            let leaf = Leaf {
                bytes: Arc::from(bytes),
                credits,
                stake,
            };
            Child::leaf(prefix.first(), leaf)
                .map_err(|_| place.corrupt("its sums are impossible"))?
        }
        Body::Inner { left, right } => {
            for (bit, half) in [(false, &left), (true, &right)] {
                let region = prefix.half(bit);
                if half.prefix.len() <= prefix.len() || !region.contains(&half.prefix.first()) {
                    return Err(place.corrupt("a child stands outside of it"));
                }
            }
            let (left, right) = (load_node(records, &left)?, load_node(records, &right)?);
            let summary = Summary::of_inner(&prefix, &left.summary, &right.summary)
                .map_err(|_| place.corrupt("its sums are impossible"))?;
            Child {
                summary,
                link: Link::Inner(SharedNode::new(InnerNode {
                    prefix,
                    left,
                    right,
                })),
            }
        }
        Body::Leaf { .. } => return Err(place.corrupt("a leaf stands at a whole address")),
    };
    if child.summary == summary {
        Ok(child)
    } else {
        Err(place.corrupt("it has another hash or other sums"))
    }
}

/// The numbers of the versions in the store, in order; at most 1024 of them, the oldest.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn kept_versions(store: &dyn Store) -> Result<Vec<u64>, StoreError> {
    let entries = store.range(Table::Nodes, &[VERSION], VERSIONS_AT_ONCE)?;
    let numbers = entries
        .iter()
        .map_while(|(key, _)| match key.split_first() {
            Some((&VERSION, number)) => number_of(number),
            _ => None,
        });
    Ok(numbers.collect())
}

/// The writes of one step towards forgetting all versions below `keep_from`: first the versions, then
/// at most `limit` of the nodes that only they had. Nothing left to do: no writes.
///
/// Writes of one step must be applied before the next is asked for.
///
/// # Errors
/// [`StoreError`] when the store fails, also for a damaged record.
pub fn prune(store: &dyn Store, keep_from: u64, limit: usize) -> Result<Vec<Write>, StoreError> {
    let forgotten = kept_versions(store)?
        .into_iter()
        .filter(|number| *number < keep_from)
        .take(limit.max(1));
    let delete = |number| Write::Delete {
        table: Table::Nodes,
        key: version_key(number),
    };
    let mut writes: Vec<Write> = forgotten.map(delete).collect();
    if !writes.is_empty() {
        return Ok(writes);
    }
    for (stale_key, _) in store.range(Table::Stale, &[], limit.max(1))? {
        let Some(since) = number_of(&stale_key) else {
            return Err(damaged(&stale_key));
        };
        if since > keep_from {
            break;
        }
        let key = stale_key[NUMBER_BYTES..].to_vec();
        if let Some(bytes) = store.get(Table::Nodes, &key)? {
            let record: Record = unsealed(&bytes).map_err(|_| damaged(&key))?;
            if record.written < since {
                writes.push(Write::Delete {
                    table: Table::Nodes,
                    key,
                });
            }
        }
        writes.push(Write::Delete {
            table: Table::Stale,
            key: stale_key,
        });
    }
    Ok(writes)
}

fn damaged(key: &[u8]) -> StoreError {
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    StoreError {
        action: "read",
        reason: format!("the record {key} of the state is damaged"),
    }
}
