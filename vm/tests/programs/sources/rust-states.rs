//! A state machine with a thousand states in one match, and what Rust's library is used for around it.
//! NUMBERS is replaced by build.sh: the numbers from 0 to 999.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};

const STATES: u32 = 1000;

#[inline(never)]
fn act(sum: &mut u32, state: u32) {
    *sum = sum.wrapping_mul(31).wrapping_add(state);
}

macro_rules! step {
    ($state:ident $sum:ident $c:ident: $($n:literal)*) => {
        match $state {
            $($n => {
                if $c % 7 == $n % 7 {
                    act($sum, $n);
                } else {
                    *$sum ^= u32::wrapping_mul($n, 2_654_435_761);
                }
                ($c * ($n % 19 + 2) + $n * 7) % STATES
            })*
            _ => 0,
        }
    };
}

#[inline(never)]
fn step(sum: &mut u32, state: u32, c: u32) -> u32 {
    step!(state sum c: NUMBERS)
}

fn main() -> std::io::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let (mut state, mut sum) = (0, 0);
    for byte in text.bytes() {
        state = step(&mut sum, state, byte.into());
    }
    let mut words: HashMap<&str, u32> = HashMap::new();
    for word in text.split_whitespace() {
        *words.entry(word).or_default() += 1;
    }
    let lengths = words.iter().fold(BTreeMap::new(), |mut lengths: BTreeMap<usize, u32>, (word, count)| {
        *lengths.entry(word.len()).or_default() += count;
        lengths
    });
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    writeln!(std::io::stdout(), "{state} {sum} {lengths:?} {mean:.6} {:e}", mean.sqrt().ln())
}
