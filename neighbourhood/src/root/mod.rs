//! The root's chain: one consensus instance an epoch, which decides one record.
//!
//! The instance of epoch e begins when the leaf's closing block of e is committed, and ends when the
//! record is. It runs beside the leaf's next epoch. Its base is the record before (the genesis in epoch
//! 0).
//!
//! - The first block carries the record: the leaf's claim with the proof that it is committed, the flows,
//!   and the proposer's VRF proof with the beacon that it gives.
//! - A block in the view right after a block with the record is empty: certified, it commits the record.
//! - Any other block carries the same record again, so that a record always stands in a block that is
//!   committed directly, and one certificate shows it to a light client.
//! - The record's time is its proposer's clock, or the time of the record before if that is later. A member
//!   votes for the block that brings the record only when its own clock is near; for one that carries it
//!   again a quorum has vouched. Who copies history compares no time with a clock of now.
//!
//! A voter compares the record with its own committed closing block, and checks that no credits were made:
//! credits + sent − received − refunded = genesis + issued − burned.

mod blocks;
mod host;

pub use blocks::{Ground, RootBlocks};
pub use host::{ClocksDiffer, RootHost};
