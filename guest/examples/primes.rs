//! Number crunching: how many primes lie below `n`, their sum, and the largest.
//!
//! Parameter: `n` (default 1,000,000; at most 2,000,000,000). Memory stays small whatever `n` is, since the sieve works
//! on one segment at a time.

use frith_guest::{Failure, Task};
use std::io::Write;
use std::process::ExitCode;

/// Odd numbers sieved at once: a byte each, small enough for a processor's cache.
const SEGMENT: usize = 64 << 10;
/// Largest `n`: sums of primes stay far below 2^64, and a run within a few seconds.
const N_MAX: u64 = 2_000_000_000;

fn main() -> ExitCode {
    frith_guest::run(primes)
}

fn primes(task: &mut Task<'_>) -> Result<(), Failure> {
    let mut params = task.params()?;
    let n = params.take_in("n", 1_000_000, 0..=N_MAX)?;
    params.finish()?;
    let found = count_below(n);
    let largest = found
        .largest
        .map_or_else(|| "none".to_owned(), |prime| prime.to_string());
    writeln!(
        task.output(),
        "below={n} count={} sum={} largest={largest}",
        found.count,
        found.sum
    )?;
    Ok(())
}

/// What was found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Found {
    count: u64,
    sum: u64,
    largest: Option<u64>,
}

impl Found {
    fn add(&mut self, prime: u64) {
        self.count += 1;
        self.sum += prime;
        self.largest = Some(prime);
    }
}

/// Counts the primes below `n` with a segmented sieve of Eratosthenes over odd numbers.
fn count_below(n: u64) -> Found {
    let mut found = Found::default();
    if n > 2 {
        found.add(2);
    }
    // Each odd prime up to √n, with the next odd multiple of it that is to be struck out.
    let mut strikers: Vec<(u64, u64)> = small_primes(n.isqrt())
        .into_iter()
        .map(|p| (p, p * p))
        .collect();
    let mut composite = vec![false; SEGMENT];
    let mut first = 3;
    while first < n {
        composite.fill(false);
        let end = (first + 2 * SEGMENT as u64).min(n);
        for (prime, multiple) in &mut strikers {
            while *multiple < end {
                composite[offset(first, *multiple)] = true;
                *multiple += 2 * *prime;
            }
        }
        for number in (first..end).step_by(2) {
            if !composite[offset(first, number)] {
                found.add(number);
            }
        }
        first += 2 * SEGMENT as u64;
    }
    found
}

/// Where the odd `number` stands in the segment that begins with the odd `first`.
fn offset(first: u64, number: u64) -> usize {
    usize::try_from((number - first) / 2).unwrap_or(usize::MAX)
}

/// The odd primes up to `limit`, by trial division: `limit` is a square root.
fn small_primes(limit: u64) -> Vec<u64> {
    let mut primes: Vec<u64> = Vec::new();
    for number in (3..=limit).step_by(2) {
        if primes
            .iter()
            .take_while(|&&p| p * p <= number)
            .all(|p| number % p != 0)
        {
            primes.push(number);
        }
    }
    primes
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_guest::Trial;

    #[test]
    fn counts_agree_with_trial_division() {
        let mut expected = Found::default();
        for n in 0..2_000u64 {
            assert_eq!(count_below(n), expected, "below {n}");
            if n > 1 && (2..n).take_while(|d| d * d <= n).all(|d| n % d != 0) {
                expected.add(n);
            }
        }
    }

    #[test]
    fn counts_across_segments_agree_with_the_tables() {
        // OEIS A006880 and A046731.
        let found = count_below(1_000_000);
        assert_eq!(
            (found.count, found.sum, found.largest),
            (78_498, 37_550_402_023, Some(999_983))
        );
        assert_eq!(count_below(10_000_000).count, 664_579);
    }

    #[test]
    fn the_result_is_one_line() {
        assert_eq!(
            Trial::run(primes, &["n=10"], b"").text(),
            "below=10 count=4 sum=17 largest=7\n"
        );
        assert_eq!(
            Trial::run(primes, &["n=2"], b"").text(),
            "below=2 count=0 sum=0 largest=none\n"
        );
        assert_eq!(Trial::run(primes, &["n=-1"], b"").status, 2);
    }
}
