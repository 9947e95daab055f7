//! The leaf's chain within one epoch: what may be proposed, what is voted for.
//!
//! # Blocks
//! Before the epoch's closing block every block carries [`frith_ledger::block::LeafPayload`], after it
//! every block is empty. A leaf block first accepts root records, then does what is due, then applies
//! the batches in order; its header commits to the state after it. The closing block also carries the
//! leaf's claim, and may be proposed once the epoch's length has passed and the root record of the
//! epoch before is accepted; a member votes for it when half of the length has passed on its own clock.
//!
//! # The inclusion rule
//! Votes and timeouts list the certified batches that their signer holds and the voted chain hasn't
//! included. In a block whose justification is a quorum certificate (and a timeout certificate), newly
//! owed is every batch that signers with more than a third of the weight listed in either, unless the
//! chain of this epoch included it. It is owed *since* the view of the certificate that listed it, of
//! the earlier when both did; an entry keeps its first since. What was owed and is newly owed, in order
//! of since, then of digest, at most [`OWED_MAX`](frith_ledger::parameters::OWED_MAX) entries, is
//! `owed before`. The block includes the longest run of it that fits the limits on batches and bytes.
//! Only a block that includes all of it may add other batches. What is left is the payload's `owed`. The
//! next epoch begins with the closing block's, since 0.
//!
//! No batch is included twice in an epoch. One of an earlier epoch may come again when nobody who votes
//! remembers it; its operations are refused then, because each executes once.
//!
//! # Idle
//! There is work while a certified or owed batch waits, something is due, a root record brings something
//! to do, the epoch is over, or a block that changed anything isn't committed. Else nothing is proposed.

mod blocks;
mod host;

#[cfg(test)]
mod tests;

pub use blocks::{LeafBlocks, LeafEntry, Missing};
pub use host::{Fault, LeafHost};
