//! Who leads a view: by stake, in an order that the seed fixes.
//!
//! Views come in cycles of as many as there are members. For each cycle the members' weights are laid
//! end to end, in an order drawn from the seed, and sampled at equal distances (systematic sampling,
//! Madow 1949) from an offset drawn for the cycle: a member leads the floor or the ceiling of its
//! share of the cycle's views, so faulty members can't buy turns with many small stakes. The order
//! of the turns inside a cycle is drawn once for the instance.
//!
//! With equal weights each member leads once a cycle, at the same place in every cycle. Then, with n
//! = 3f + 1 and f faulty members, the 2f + 1 correct turns of every n views in a row stand in f gaps, so
//! one gap holds three: a block is proposed, certified and committed.

use frith_ledger::certificate::{Committee, Weight};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::units::View;
use parity_scale_codec::Encode;

/// The leaders of an instance.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    seed: Hash,
    /// Members in the order in which their weights are laid out, with the sums up to them.
    laid: Vec<(u16, Weight)>,
    total: Weight,
    /// The cycle that was asked for last.
    cycle: u64,
    turns: Vec<u16>,
    /// Leaders of the first views, before the drawn ones.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub(super) first: Vec<u16>,
}

impl Schedule {
    pub(super) fn new(seed: Hash, committee: &Committee) -> Self {
        let mut order: Vec<(Hash, u16, Weight)> = (0u16..)
            .zip(committee.members())
            .map(|(index, member)| (draw(&seed, &(b"layout", member.seat)), index, member.weight))
            .collect();
        order.sort_unstable();
        let mut total: Weight = 0;
        let laid = order
            .into_iter()
            .map(|(_, index, weight)| {
                total = total.saturating_add(weight);
                (index, total)
            })
            .collect();
        let mut schedule = Self {
            seed,
            laid,
            total,
            cycle: 0,
            turns: Vec::new(),
            #[cfg(any(test, feature = "planted-bugs"))]
            first: Vec::new(),
        };
        schedule.turns = schedule.turns_of(0);
        schedule
    }

    /// The leader of `view`; 0 in an empty committee. Draws the whole cycle when it isn't the one of
    /// the last [`Self::enter`].
    pub(super) fn leader(&self, view: View) -> u16 {
        #[cfg(any(test, feature = "planted-bugs"))]
        if let Some(leader) = usize::try_from(view.get().saturating_sub(1))
            .ok()
            .and_then(|nth| self.first.get(nth))
        {
            return *leader;
        }
        let (cycle, turn) = self.place(view);
        let drawn = if cycle == self.cycle {
            None
        } else {
            Some(self.turns_of(cycle))
        };
        drawn
            .as_ref()
            .unwrap_or(&self.turns)
            .get(turn)
            .copied()
            .unwrap_or(0)
    }

    /// Keeps the cycle of `view` at hand.
    pub(super) fn enter(&mut self, view: View) {
        let (cycle, _) = self.place(view);
        if cycle != self.cycle {
            self.turns = self.turns_of(cycle);
            self.cycle = cycle;
        }
    }

    fn place(&self, view: View) -> (u64, usize) {
        let members = u64::try_from(self.laid.len().max(1)).unwrap_or(u64::MAX);
        let nth = view.get().saturating_sub(1);
        (nth / members, usize::try_from(nth % members).unwrap_or(0))
    }

    fn turns_of(&self, cycle: u64) -> Vec<u16> {
        let count = Weight::try_from(self.laid.len().max(1)).unwrap_or(1);
        let total = self.total.max(1);
        let offset = draw(&self.seed, &(b"offset", cycle)).0;
        let offset = offset
            .iter()
            .take(16)
            .fold(0, |sum: u128, byte| sum << 8 | u128::from(*byte))
            % total;
        let (step, rest) = (total / count, total % count);
        let mut turns: Vec<(Hash, u16)> = Vec::with_capacity(self.laid.len());
        let mut member = 0;
        let mut nth = 0u16;
        for k in 0..count {
            // floor((k · total + offset) / count), without the product
            let point = (k * step).saturating_add((k * rest).saturating_add(offset) / count);
            while self.laid.get(member).is_some_and(|(_, end)| *end <= point) {
                member += 1;
                nth = 0;
            }
            if let Some((index, _)) = self.laid.get(member) {
                turns.push((draw(&self.seed, &(b"turn", index, nth)), *index));
                nth += 1;
            }
        }
        turns.sort_unstable();
        turns.into_iter().map(|(_, index)| index).collect()
    }
}

fn draw<T: Encode>(seed: &Hash, of: &T) -> Hash {
    Hash::of(Domain::Draw, &("leader", seed, of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::address::Address;
    use frith_ledger::certificate::Member;
    use frith_ledger::key::PublicKey;
    use frith_ledger::vrf::VrfPublic;
    use std::collections::BTreeMap;

    fn schedule(weights: &[Weight]) -> Schedule {
        let members = (0u8..).zip(weights).map(|(index, weight)| Member {
            seat: Address([index; 32]),
            key: PublicKey([index; 32]),
            vrf: VrfPublic([0; 32]),
            weight: *weight,
        });
        Schedule::new(Hash([3; 32]), &Committee::new(members.collect()))
    }

    fn turns(schedule: &Schedule, views: u64) -> BTreeMap<u16, u64> {
        let mut turns = BTreeMap::new();
        for view in 1..=views {
            *turns.entry(schedule.leader(View::new(view))).or_default() += 1;
        }
        turns
    }

    #[test]
    fn members_of_equal_weight_lead_once_a_cycle_in_the_same_order() {
        for n in [1u16, 4, 7, 32] {
            let schedule = schedule(&vec![1_000_003; usize::from(n)]);
            let n = u64::from(n);
            assert_eq!(turns(&schedule, n).len() as u64, n);
            for view in 1..=n {
                assert_eq!(
                    schedule.leader(View::new(view)),
                    schedule.leader(View::new(view + 5 * n))
                );
            }
        }
    }

    #[test]
    fn turns_follow_the_weights() {
        let weights = [50, 25, 15, 6, 4];
        let schedule = schedule(&weights);
        let turns = turns(&schedule, 5_000);
        for (member, weight) in (0u16..).zip(weights) {
            let share = u128::from(turns.get(&member).copied().unwrap_or(0));
            let expected = weight * 50;
            assert!(
                share.abs_diff(expected) < 160,
                "member {member} led {share} times of {expected}"
            );
        }
    }

    #[test]
    fn the_largest_weights_and_views_do_not_overflow() {
        let schedule = schedule(&[u128::MAX, u128::MAX, 1]);
        assert!(schedule.leader(View::new(u64::MAX)) < 3);
        assert!(Schedule::new(Hash::ZERO, &Committee::default()).leader(View::new(4)) == 0);
    }

    #[test]
    fn a_remembered_cycle_changes_no_answer() {
        let mut entered = schedule(&[3, 1, 4, 1, 5]);
        let fresh = entered.clone();
        for view in 1..40 {
            entered.enter(View::new(view));
            assert_eq!(
                entered.leader(View::new(view)),
                fresh.leader(View::new(view))
            );
        }
    }
}
