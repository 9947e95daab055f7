//! Who decides what: the leaf's committee of each epoch, the root committee of each period.
//!
//! - The leaf's committee of epoch e+2 is every active worker in the state at the end of epoch e,
//!   weighted by capped stake. The genesis's workers serve in epochs 0 and 1.
//! - The root committee of period p (epochs pP to (p+1)P-1) is the leaf's committee of epoch pP, or
//!   when that has more members than a root committee has seats, so many of them drawn by weight
//!   with beacon(pP-1). The genesis's workers are the first. root(pP-1) names it by hash.
//!
//! So both are known two epochs before they begin, and nobody votes in an epoch whose members were
//! not fixed by a certified state.

use frith_ledger::certificate::{Committee, Member};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::parameters::Parameters;
use frith_ledger::units::Epoch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Draws that are tried for each seat before the heaviest fill what is left.
const DRAWS_PER_SEAT: u64 = 16;

/// The committees that are known.
#[derive(Debug, Clone, Default)]
pub struct Committees {
    leaf: BTreeMap<Epoch, Arc<Committee>>,
    root: BTreeMap<u64, Arc<Committee>>,
}

impl Committees {
    /// The genesis committee in its three places.
    #[must_use]
    pub fn genesis(committee: Committee) -> Self {
        let committee = Arc::new(committee);
        let leaf = [
            (Epoch::ZERO, committee.clone()),
            (Epoch::new(1), committee.clone()),
        ]
        .into();
        Self {
            leaf,
            root: [(0, committee)].into(),
        }
    }

    /// The leaf's committee of an epoch, if it is known.
    #[must_use]
    pub fn leaf(&self, epoch: Epoch) -> Option<&Arc<Committee>> {
        self.leaf.get(&epoch)
    }

    /// The root committee of a period, if it is known.
    #[must_use]
    pub fn root(&self, period: u64) -> Option<&Arc<Committee>> {
        self.root.get(&period)
    }

    /// Adds the leaf's committee of an epoch.
    pub fn put_leaf(&mut self, epoch: Epoch, committee: Committee) {
        self.leaf.insert(epoch, Arc::new(committee));
    }

    /// Adds the root committee of a period.
    pub fn put_root(&mut self, period: u64, committee: Committee) {
        self.root.insert(period, Arc::new(committee));
    }

    /// Forgets the leaf's committees before `epoch` and all root committees before `period`.
    pub fn forget(&mut self, epoch: Epoch, period: u64) {
        self.leaf = self.leaf.split_off(&epoch);
        self.root = self.root.split_off(&period);
    }
}

/// Which period an epoch lies in.
#[must_use]
pub fn period_of(parameters: &Parameters, epoch: Epoch) -> u64 {
    epoch.get() / parameters.period.max(1)
}

/// Whether an epoch is the last of its period.
#[must_use]
pub fn ends_period(parameters: &Parameters, epoch: Epoch) -> bool {
    period_of(parameters, epoch.next()) != period_of(parameters, epoch)
}

/// The root committee among `candidates`: all of them, or `seats` drawn by weight with `beacon`.
/// O(draws · log candidates).
#[must_use]
pub fn cut(candidates: &Committee, seats: u32, beacon: &Hash) -> Committee {
    let members = candidates.members();
    let seats = usize::try_from(seats).unwrap_or(usize::MAX).max(1);
    if members.len() <= seats {
        return candidates.clone();
    }
    let mut sums = Vec::with_capacity(members.len());
    let mut total: u128 = 0;
    for member in members {
        total = total.saturating_add(member.weight);
        sums.push(total);
    }
    let mut drawn: BTreeMap<usize, &Member> = BTreeMap::new();
    let draws = DRAWS_PER_SEAT.saturating_mul(u64::try_from(seats).unwrap_or(u64::MAX));
    for number in 0..draws {
        if drawn.len() >= seats {
            break;
        }
        let random = Hash::of(Domain::Draw, &(b"root committee", beacon, number));
        let point =
            frith_ledger::tree::draw_point(&random, frith_ledger::credits::Credits::new(total));
        let at = sums
            .partition_point(|sum| *sum <= point.map_or(0, frith_ledger::credits::Credits::get));
        if let Some(member) = members.get(at) {
            drawn.insert(at, member);
        }
    }
    let mut rest: Vec<(usize, &Member)> = members
        .iter()
        .enumerate()
        .filter(|(i, _)| !drawn.contains_key(i))
        .collect();
    rest.sort_by(|a, b| b.1.weight.cmp(&a.1.weight).then(a.0.cmp(&b.0)));
    let missing = seats.saturating_sub(drawn.len());
    Committee::new(
        drawn
            .into_values()
            .chain(rest.into_iter().take(missing).map(|(_, m)| m))
            .cloned()
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::address::Address;
    use frith_ledger::key::PublicKey;
    use frith_ledger::vrf::VrfPublic;

    fn committee(members: u8) -> Committee {
        let member = |i| Member {
            seat: Address([i; 32]),
            key: PublicKey([i; 32]),
            vrf: VrfPublic([i; 32]),
            weight: 1 + u128::from(i),
        };
        Committee::new((0..members).map(member).collect())
    }

    #[test]
    fn a_root_committee_has_as_many_members_as_it_has_seats_and_depends_on_the_beacon() {
        let all = committee(60);
        let one = cut(&all, 20, &Hash([1; 32]));
        assert_eq!(one.members().len(), 20);
        assert_eq!(one, cut(&all, 20, &Hash([1; 32])));
        assert_ne!(one, cut(&all, 20, &Hash([2; 32])));
        assert_eq!(cut(&all, 60, &Hash([1; 32])), all);
        assert_eq!(cut(&all, 59, &Hash([1; 32])).members().len(), 59);
    }

    #[test]
    fn a_period_ends_before_the_next_begins() {
        let parameters = Parameters {
            period: 4,
            ..Parameters::test()
        };
        assert!(
            ends_period(&parameters, Epoch::new(3)) && !ends_period(&parameters, Epoch::new(4))
        );
        assert_eq!(period_of(&parameters, Epoch::new(4)), 1);
    }
}
