//! Who decides, and with what weight.

use crate::address::Address;
use crate::codec::BoundedVec;
use crate::hash::{Domain, Hash};
use crate::key::PublicKey;
use crate::parameters::MEMBERS_MAX;
use crate::vrf::VrfPublic;
use parity_scale_codec::{Decode, Encode};
use std::collections::BTreeSet;

/// Voting weight: microcredits of stake, capped.
pub type Weight = u128;

/// A member of a committee.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Member {
    /// Where its Worker entity lives.
    pub seat: Address,
    /// Its worker key.
    pub key: PublicKey,
    /// Its VRF key.
    pub vrf: VrfPublic,
    /// Its voting weight, above zero.
    pub weight: Weight,
}

/// Who decides an instance, in order of their seats.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Committee {
    members: BoundedVec<Member, MEMBERS_MAX>,
}

impl Committee {
    /// A committee of these members: sorted by seat; of members with one key only the first counts,
    /// and members without weight don't. Past [`MEMBERS_MAX`] the lightest are left out.
    #[must_use]
    pub fn new(members: Vec<Member>) -> Self {
        let mut keys = BTreeSet::new();
        let mut members: Vec<Member> = members
            .into_iter()
            .filter(|m| m.weight > 0 && keys.insert(m.key))
            .collect();
        members.sort_by(|a, b| b.weight.cmp(&a.weight).then(a.seat.cmp(&b.seat)));
        members.truncate(MEMBERS_MAX);
        members.sort_by_key(|member| member.seat);
        Self {
            members: members.try_into().unwrap_or_default(),
        }
    }

    /// The hash that instances name.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(Domain::Committee, self)
    }

    /// The members, in order.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member at `index`.
    #[must_use]
    pub fn get(&self, index: u16) -> Option<&Member> {
        self.members.get(usize::from(index))
    }

    /// The index of the member with this key. Linear in the members.
    #[must_use]
    pub fn index_of(&self, key: &PublicKey) -> Option<u16> {
        self.members
            .iter()
            .position(|member| member.key == *key)
            .and_then(|i| u16::try_from(i).ok())
    }

    /// The weight of all members.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.members
            .iter()
            .fold(0, |sum, member| sum.saturating_add(member.weight))
    }

    /// Whether `weight` is more than two thirds of all.
    #[must_use]
    pub fn is_quorum(&self, weight: Weight) -> bool {
        // Weights are sums of stakes, far below 2^126; compare without division.
        weight.saturating_mul(3) > self.weight().saturating_mul(2)
    }

    /// Whether `weight` is more than a third of all: at least one correct member is among them.
    #[must_use]
    pub fn is_third(&self, weight: Weight) -> bool {
        weight.saturating_mul(3) > self.weight()
    }
}
