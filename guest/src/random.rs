//! Randomness that every worker of a task shares.
//!
//! The seed comes from WASI `random_get`, which a node answers from the task and from the beacon of the epoch that
//! assigned it: nobody knew it when the task was submitted, and every worker, and anyone who checks them later, gets the
//! same. The generator is xoshiro256++ of the `rand_xoshiro` crate. It is not for secrets: everyone can compute it.

use crate::Failure;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A reproducible stream of random numbers. Equal seeds give equal streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// A stream with a fresh seed from the host. Natively, outside a [`Trial`](crate::Trial), it is the operating
    /// system's randomness, so it differs from run to run.
    ///
    /// # Errors
    ///
    /// [`Failure::Randomness`] if the host has none.
    pub fn seeded() -> Result<Self, Failure> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(Failure::Randomness)?;
        Ok(Self::from_seed(seed))
    }

    /// The stream of a seed that the program has chosen.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Xoshiro256PlusPlus::from_seed(seed))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, each equally likely; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Lemire 2019, "Fast random integer generation in an interval": the high half of bits × bound is uniform once
        // those products are rejected whose low half is below 2^64 mod bound.
        if bound == 0 {
            return 0;
        }
        let reject_below = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the two halves of a product"
            )]
            let (high, low) = ((product >> 64) as u64, product as u64);
            if low >= reject_below {
                return high;
            }
        }
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Puts `items` into an order, each order equally likely (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let bound = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
            let chosen = usize::try_from(self.below(bound)).unwrap_or(last);
            items.swap(last, chosen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_streams() {
        let (mut a, mut b) = (Random::from_seed([7; 32]), Random::from_seed([7; 32]));
        let mut c = Random::from_seed([8; 32]);
        let first = a.bits();
        assert_eq!(first, b.bits());
        assert_ne!(first, c.bits());
    }

    #[test]
    fn the_stream_is_xoshiro256_plus_plus() {
        // State 1, 2, 3, 4: the vector of the reference implementation at prng.di.unimi.it.
        let mut seed = [0; 32];
        for (i, word) in seed.chunks_exact_mut(8).enumerate() {
            word[0] = u8::try_from(i + 1).expect("is small");
        }
        let mut random = Random::from_seed(seed);
        assert_eq!(
            [random.bits(), random.bits(), random.bits()],
            [41_943_041, 58_720_359, 3_588_806_011_781_223]
        );
    }

    #[test]
    fn a_number_below_a_bound_is_below_it_and_all_occur() {
        let mut random = Random::from_seed([1; 32]);
        let mut seen = [0u32; 6];
        for _ in 0..6_000 {
            seen[usize::try_from(random.below(6)).expect("is below 6")] += 1;
        }
        assert!(
            seen.iter().all(|&count| (850..1_150).contains(&count)),
            "{seen:?}"
        );
        assert_eq!(random.below(1), 0);
        assert_eq!(random.below(0), 0);
        assert!(random.below(u64::MAX) < u64::MAX);
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::from_seed([2; 32]).shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert!(items.into_iter().eq(0..100));
    }

    #[test]
    fn the_host_gives_a_seed() {
        assert!(Random::seeded().is_ok());
    }
}
