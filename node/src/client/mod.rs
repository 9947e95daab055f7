//! What a user's side does: asks a node, signs operations, checks proofs. It never sends a key anywhere and
//! trusts the genesis file only.

mod checkpoint;
mod home;
mod http;
mod journal;
mod order;
mod proof;
mod trusted;
mod wallet;

#[cfg(test)]
pub(crate) use checkpoint::write;
pub use checkpoint::{Following, Start, age_of, kept, too_old_ms};
pub(crate) use home::{API_DEFAULT, read_genesis};
pub use home::{Home, HomeConfig};
pub use http::NodeClient;
pub use journal::{Entry, Journal, Sent};
pub use order::{Order, Orders, Placed, Word};
pub use proof::{Proven, SavedProof, prove};
pub use trusted::{CheckpointId, take};
pub use wallet::{Signer, Wallet, fee_of};
