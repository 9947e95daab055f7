//! Ends badly on purpose, in the way that `kind` names; all of them are results like any other, and are paid.
//!
//! | `kind` | what happens | how the task ends |
//! | --- | --- | --- |
//! | `unreachable` (default) | executes `unreachable` | trap |
//! | `panic` | panics, which aborts | trap |
//! | `bounds` | reads past the end of the memory | trap |
//! | `stack` | recurses without end | trap, or stack overflow |
//! | `memory` | asks for memory without end | trap, when it gets no more |
//! | `spin` | loops without end | out of fuel |
//! | `exit` | ends with a status of its own, 99 | status 99 |
//!
//! It writes one line first, so that what becomes of output before such an end can be seen.

use frith_guest::{Failure, Task};
use std::hint::black_box;
use std::io::Write;
use std::process::ExitCode;
use std::str::FromStr;

/// Exit status of `kind=exit`.
const STATUS: u8 = 99;

fn main() -> ExitCode {
    frith_guest::run(trap)
}

fn trap(task: &mut Task<'_>) -> Result<(), Failure> {
    let mut params = task.params()?;
    let kind = params.take("kind", Kind::Unreachable)?;
    params.finish()?;
    writeln!(task.output(), "about to end by {kind:?}")?;
    task.output().flush()?;
    match kind {
        Kind::Unreachable => machine::unreachable(),
        Kind::Panic => panic!("on purpose"),
        Kind::Bounds => machine::read_out_of_bounds(),
        Kind::Stack => Err(Failure::program(recurse(0))),
        Kind::Memory => Err(Failure::program(hoard())),
        Kind::Spin => spin(),
        Kind::Exit => Err(Failure::with_status(STATUS, "on purpose")),
    }
}

/// A way to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unreachable,
    Panic,
    Bounds,
    Stack,
    Memory,
    Spin,
    Exit,
}

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "unreachable" => Self::Unreachable,
            "panic" => Self::Panic,
            "bounds" => Self::Bounds,
            "stack" => Self::Stack,
            "memory" => Self::Memory,
            "spin" => Self::Spin,
            "exit" => Self::Exit,
            _ => {
                return Err("kinds are unreachable, panic, bounds, stack, memory, spin and exit");
            }
        })
    }
}

/// Recurses until the stack is used up; `black_box` keeps the frames apart.
#[expect(unconditional_recursion, reason = "this is how it ends")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    recurse(depth + 1) + black_box(frame)[0]
}

/// Keeps a mebibyte more each time until there are no more.
fn hoard() -> usize {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(black_box(vec![1; 1 << 20]));
    }
}

/// Never ends by itself.
fn spin() -> ! {
    let mut count = 0u64;
    loop {
        count = black_box(count).wrapping_add(1);
    }
}

/// What only WebAssembly does without harm.
#[cfg(target_arch = "wasm32")]
mod machine {
    use frith_guest::Failure;
    use std::hint::black_box;

    pub(crate) fn unreachable() -> ! {
        core::arch::wasm32::unreachable()
    }

    #[expect(
        unsafe_code,
        reason = "a read past the memory's end is what this program is for; WebAssembly traps it"
    )]
    pub(crate) fn read_out_of_bounds() -> Result<(), Failure> {
        let last = black_box(usize::MAX) as *const u8;
        // SAFETY: not sound in Rust's model, where this address is no object. The volatile read compiles to one load,
        // and a memory of less than 4 GiB has no such address, so the load traps and nothing is read.
        let byte = unsafe { last.read_volatile() };
        Err(Failure::program(byte))
    }
}

/// Elsewhere the same ends are panics.
#[cfg(not(target_arch = "wasm32"))]
mod machine {
    use frith_guest::Failure;

    pub(crate) fn unreachable() -> ! {
        panic!("unreachable, on purpose")
    }

    pub(crate) fn read_out_of_bounds() -> Result<(), Failure> {
        panic!("out of bounds, on purpose")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_guest::Trial;

    #[test]
    fn a_status_of_its_own_comes_through() {
        let trial = Trial::run(trap, &["kind=exit"], b"");
        assert_eq!(
            (trial.status, trial.text().as_str()),
            (STATUS, "about to end by Exit\n")
        );
    }

    #[test]
    #[should_panic(expected = "on purpose")]
    fn a_panic_is_not_caught() {
        Trial::run(trap, &["kind=panic"], b"");
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        assert_eq!(Trial::run(trap, &["kind=nicely"], b"").status, 2);
    }
}
