//! Search: in how many ways `n` queens stand on a board of `n` by `n` without threatening one another, and the first
//! such way in the order of columns.
//!
//! Parameter: `n` (default 9, at most 16).

use frith_guest::{Failure, Task};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    frith_guest::run(nqueens)
}

fn nqueens(task: &mut Task<'_>) -> Result<(), Failure> {
    let mut params = task.params()?;
    let n = params.take_in("n", 9, 1..=16u32)?;
    params.finish()?;
    let mut search = Search {
        full: (1 << n) - 1,
        path: Vec::new(),
        first: None,
        ways: 0,
    };
    search.place(0, 0, 0);
    writeln!(task.output(), "n={n} ways={}", search.ways)?;
    for queen in search.first.unwrap_or_default() {
        let row: String = (0..n)
            .map(|column| if queen == 1 << column { 'Q' } else { '.' })
            .collect();
        writeln!(task.output(), "{row}")?;
    }
    Ok(())
}

/// A search row by row; bit sets are over columns.
struct Search {
    full: u32,
    path: Vec<u32>,
    first: Option<Vec<u32>>,
    ways: u64,
}

impl Search {
    /// Places the queens of the rows below, given what those above threaten: columns and both diagonals.
    fn place(&mut self, columns: u32, falling: u32, rising: u32) {
        if columns == self.full {
            self.ways += 1;
            self.first.get_or_insert_with(|| self.path.clone());
            return;
        }
        let mut free = self.full & !(columns | falling | rising);
        while free != 0 {
            let queen = free & free.wrapping_neg();
            free ^= queen;
            self.path.push(queen);
            self.place(
                columns | queen,
                (falling | queen) << 1,
                (rising | queen) >> 1,
            );
            self.path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_guest::Trial;

    #[test]
    fn the_ways_are_those_of_the_table() {
        // OEIS A000170.
        for (n, ways) in [
            (1, 1),
            (2, 0),
            (3, 0),
            (4, 2),
            (5, 10),
            (6, 4),
            (7, 40),
            (8, 92),
            (9, 352),
            (10, 724),
        ] {
            let trial = Trial::run(nqueens, &[&format!("n={n}")], b"");
            assert!(
                trial.text().starts_with(&format!("n={n} ways={ways}\n")),
                "{}",
                trial.text()
            );
        }
    }

    #[test]
    fn the_first_way_is_drawn() {
        assert_eq!(
            Trial::run(nqueens, &["n=4"], b"").text(),
            "n=4 ways=2\n.Q..\n...Q\nQ...\n..Q.\n"
        );
    }

    #[test]
    fn a_board_too_large_is_refused() {
        assert_eq!(Trial::run(nqueens, &["n=17"], b"").status, 2);
    }
}
