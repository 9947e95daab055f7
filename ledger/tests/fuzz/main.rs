//! Fuzz harnesses for everything in the ledger that reads bytes or text from outside. The rules of a decoder stand in
//! `frith_fuzz`; what else must hold of a value stands with its harness.

mod formats;
mod proofs;
mod signed;
mod store;
mod text;
mod world;
