//! Proof of what is at many addresses at once.

use super::frontier::{Asked, Items, collect, verify};
use super::node::Child;
use super::path::{LeafClaim, ProofError};
use super::prefix::NodePrefix;
use super::summary::Summary;
use crate::address::Address;
use parity_scale_codec::{Decode, Encode};

/// Proof of what is at many addresses. Shared parts of their paths are stated once.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MultiProof {
    items: Items,
}

/// Sorted addresses, each once.
struct Addresses(Vec<Address>);

impl Addresses {
    fn new(addresses: &[Address]) -> Self {
        let mut sorted = addresses.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        Self(sorted)
    }
}

impl Asked for Addresses {
    const WITH_ENTITIES: bool = false;

    fn within(&self, region: &NodePrefix) -> Option<Address> {
        let at = self.0.partition_point(|address| *address < region.first());
        self.0
            .get(at)
            .copied()
            .filter(|address| *address <= region.last())
    }
}

impl MultiProof {
    /// Most addresses that one proof is made for; the rest are left out of it.
    ///
    /// With them a proof stays within its bound also in the deepest tree: each address adds at most
    /// one item a level.
    pub const ADDRESSES_MAX: usize = super::FRONTIER_ITEMS_MAX / 257;

    pub(super) fn build(root: Option<&Child>, addresses: &[Address]) -> Self {
        let asked = Addresses::new(&addresses[..addresses.len().min(Self::ADDRESSES_MAX)]);
        let items = if asked.0.is_empty() {
            Vec::new()
        } else {
            collect(root, &asked)
        };
        Self {
            items: Items::try_from(items).expect("257 items an address at most"),
        }
    }

    /// Checks the proof and says what is at each of `addresses`, in their order: `None` where
    /// nothing is. About one hash an item.
    ///
    /// # Errors
    /// [`ProofError`] when the proof is not of this root, or leaves an address out.
    pub fn verify(
        &self,
        root: &Summary,
        addresses: &[Address],
    ) -> Result<Vec<Option<LeafClaim>>, ProofError> {
        let asked = Addresses::new(addresses);
        if asked.0.is_empty() {
            return Ok(Vec::new());
        }
        let shown = verify(&self.items, root, &asked)?;
        if !shown.wholes.is_empty() {
            return Err(ProofError::Shape {
                rule: "leaves are shown without their entities",
            });
        }
        let claim_of = |address: &Address| {
            let found = shown
                .claims
                .binary_search_by(|(place, _)| place.cmp(address));
            found
                .ok()
                .and_then(|at| shown.claims.get(at))
                .map(|(_, claim)| *claim)
        };
        Ok(addresses.iter().map(claim_of).collect())
    }
}
