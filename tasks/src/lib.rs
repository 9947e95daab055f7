//! The life cycles of Frith: what operations do to accounts, workers and compute tasks. It never does
//! I/O, reads a clock or draws entropy, checks no operation's signature and runs no program.
//!
//! Map:
//!
//! - [`rules`]: a genesis and what follows from it; [`quote`]: what a task costs; [`content`]: what an
//!   operation names;
//! - [`runtime`]: the state of a leaf and the execution of blocks;
//! - [`refusal`], [`event`]: what came of an operation; [`unpaid`]: why a place in a task brought no pay;
//! - [`worker`]: what a worker does next; [`outcome`]: a run of the virtual machine as the ledger names it.
//!
//! The specification is `docs/protocol-state.md`.

pub mod content;
pub mod event;
pub mod outcome;
pub mod quote;
pub mod refusal;
pub mod rules;
pub mod runtime;
pub mod unpaid;
pub mod worker;

pub use event::{Loss, Receipt, TaskEvent};
pub use refusal::{Phase, Refusal, SpecFault};
pub use rules::{Rules, RulesError};
pub use runtime::{BlockContext, ExecuteError, Executed, LeafState, RestoreError, Side};
