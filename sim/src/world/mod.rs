//! A run: the clock with its queue, the machines on it, and what performs their nodes' outputs.

mod clock;
mod genesis;
mod losses;
mod machines;
mod perform;
mod run;
mod worker;

pub use clock::World;
pub(crate) use genesis::{BEGAN_MS, STAKE, terms_of};
pub use losses::Losses;
pub use run::{Failure, run};
