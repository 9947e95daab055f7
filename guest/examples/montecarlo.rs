//! Randomness that all workers share: estimates π by throwing points at a quarter circle.
//!
//! Parameters: `points` (default 1,000,000), `seed` (a number; if it is left out, the seed comes from the task and the
//! beacon, so two tasks differ while the workers of one agree). All arithmetic is in integers.

use frith_guest::{Failure, Random, Task};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    frith_guest::run(montecarlo)
}

fn montecarlo(task: &mut Task<'_>) -> Result<(), Failure> {
    let mut params = task.params()?;
    let points = params.take_in("points", 1_000_000, 1..=1_000_000_000u64)?;
    let seed: String = params.take("seed", String::new())?;
    params.finish()?;
    let mut random = match seed.as_str() {
        "" => task.random()?,
        chosen => {
            let number: u64 = chosen
                .parse()
                .map_err(|error| Failure::parameter("seed", error))?;
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            Random::from_seed(bytes)
        }
    };
    let inside = throw(&mut random, points);
    let millionths = inside * 4_000_000 / points;
    let (whole, fraction) = (millionths / 1_000_000, millionths % 1_000_000);
    writeln!(
        task.output(),
        "points={points} inside={inside} pi={whole}.{fraction:06}"
    )?;
    Ok(())
}

/// How many of `points` random points of the unit square lie in the circle around its corner.
fn throw(random: &mut Random, points: u64) -> u64 {
    let inside = |bits: u64| {
        let (x, y) = (bits >> 32, bits & 0xffff_ffff);
        // x² + y² < (2³²)², which needs a 65th bit: halves of the squares leave room for it.
        (x * x / 2) + (y * y / 2) < 1 << 63
    };
    (0..points).map(|_| u64::from(inside(random.bits()))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_guest::Trial;

    #[test]
    fn the_estimate_is_near_pi() {
        let inside = throw(&mut Random::from_seed([5; 32]), 1_000_000);
        // π/4 of the points, within four standard deviations (410 each).
        assert!(inside.abs_diff(785_398) < 1_640, "{inside}");
    }

    #[test]
    fn a_task_with_a_seed_of_its_own_does_not_depend_on_the_beacon() {
        let run =
            |beacon| Trial::run_seeded(montecarlo, &["points=1000", "seed=7"], b"", [beacon; 32]);
        assert_eq!(run(1), run(2));
    }

    #[test]
    fn without_one_it_follows_the_beacon() {
        let run = |beacon| Trial::run_seeded(montecarlo, &["points=1000"], b"", [beacon; 32]);
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn a_seed_that_is_no_number_is_refused() {
        assert_eq!(Trial::run(montecarlo, &["seed=x"], b"").status, 2);
    }
}
