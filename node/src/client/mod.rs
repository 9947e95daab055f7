//! What a user's side does: asks a node, signs operations, checks proofs. It never sends a key anywhere and
//! trusts the genesis file only.

mod checkpoint;
mod home;
mod http;
mod proof;
mod wallet;

pub use checkpoint::Following;
pub(crate) use home::{API_DEFAULT, read_genesis};
pub use home::{Home, HomeConfig};
pub use http::NodeClient;
pub use proof::{Proven, SavedProof, prove, prove_by};
pub use wallet::{Signer, Wallet, fee_of};
