//! The state of a leaf, and what blocks do to it. Pure: same state and block, same result.
//!
//! A block is executed in this order:
//!
//! 1. Its epoch begins, if it is the first of its epoch: the state before it is the *opening* state.
//! 2. Root records are accepted: of epoch E − 1 in epoch E. The beacon that it brings and the opening
//!    state (which is the state that the record names) are what draws are made with in epoch E.
//! 3. Work that is due is done, at most [`DUE_MAX`] entries of the agenda: seats, deadlines, draws.
//! 4. Operations execute in their order, each whole or not at all.
//! 5. Fees go to the proposer's worker.
//!
//! # Invariants
//! - Credits + burned = genesis + issued, checked after every block.
//! - The index (agenda, worker keys, open jobs, lists and totals) is a function of the tree alone: it is maintained by the
//!   traces that each entity leaves in it, and rebuilt by scanning. It is never hashed.
//! - Messages are delivered in the block that makes them; the longest chain has
//!   [`crate::rules::HOPS_NEEDED`] hops.
//! - Nothing that a user sends makes [`LeafState::execute`] fail.
//!
//! # Limits
//! One leaf: all receivers of messages are in it, so a message that its receiver refuses takes back
//! the whole operation. Entities of finished tasks stay; there is no rent yet.

mod admit;
mod agenda;
mod draw;
mod evidence;
mod execute;
mod index;
mod listing;
mod money;
mod offers;
mod overlay;
mod rotate;
mod seat;
mod settle;
mod signed;
mod spec;
mod state;
mod task;

#[cfg(test)]
mod tests;

pub use admit::{NONCE_AHEAD_MAX, most_taken};
pub use agenda::DUE_MAX;
pub use execute::{BlockContext, ExecuteError, Executed};
pub use index::Role;
pub use listing::{Counts, Listed, SeatWork, TASK_STATES, state_name};
pub use offers::Offers;
pub use spec::check_action;
pub use state::{LeafState, RestoreError, Side};
