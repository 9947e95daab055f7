//! The Merkle-sum tree: one binary, path-compressed tree over 256-bit addresses.
//!
//! Every subtree is described by a [`Summary`]: its hash, the credits and the stake below it, the
//! number of its entities. So one path proves a balance *and* that no credits were created, and a
//! draw by stake can be proven with one path.
//!
//! # The rule
//! - An empty subtree has the zero summary.
//! - A leaf's hash covers its address, the hash of its entity, its credits and its stake.
//! - An inner node's hash covers its own prefix (bits and length) and the *full* summaries of its
//!   two children, neither of which is empty, each number in as few bytes as hold it. Sums are
//!   added, checked.
//! - [`combine`]`(prefix, empty, x) = x` for every x: paths are compressed.
//!
//! So the tree over a set of entities is unique, and the root depends neither on the order of the
//! changes nor on how the address space is divided among neighbourhoods.
//!
//! # Invariants
//! - Node prefixes strictly lengthen on the way down; a path has at most 256 inner nodes.
//! - `stake ≤ credits` in every summary.
//! - A [`Version`] never changes; [`Version::apply`] makes a new one that shares whatever is equal.
//!
//! # Limits
//! An encoded entity has at most [`ENTITY_BYTES_MAX`] bytes. Proofs state their own bounds, and
//! verifying one costs no more than hashing its bytes a few times.
//!
//! # Proofs
//! [`PathProof`] (inclusion or exclusion of one address), [`MultiProof`] (of many), [`DrawProof`]
//! (the stake-weighted draw), [`RangeProof`] (all entities of an interval, for state sync).
//! Verifiers rebuild the summaries bottom-up, check that every prefix lies on the path, and compare
//! the result with the root's whole summary.
//!
//! Sources: Merkle-sum trees as in Maxwell's proof of liabilities, repaired as Dagher et al. ask
//! ("Provisions", CCS 2015: children's sums are hashed apart, not only their total); PATRICIA
//! compression (Morrison 1968); persistent nodes as in Driscoll et al. 1989.

mod ahead;
mod apply;
mod draw;
mod frontier;
mod iter;
mod multi;
mod node;
mod path;
mod persist;
mod prefix;
mod range;
mod shared;
mod summary;
mod version;

#[cfg(test)]
mod tests;

pub use draw::{DrawProof, draw_point};
pub use frontier::{FRONTIER_ITEMS_MAX, FrontierItem};
pub use iter::Iter;
pub use multi::MultiProof;
pub use node::{Change, ENTITY_BYTES_MAX, Leaf};
pub use path::{LeafClaim, PathEnd, PathProof, PathStep, ProofError};
pub use persist::{
    LoadError, PartNodes, SavedPart, kept_versions, load, load_part, prune, save, save_above,
    save_part,
};
pub use prefix::NodePrefix;
pub use range::{RangePart, RangeProof};
pub use summary::{Summary, TreeError, combine};
pub use version::Version;
