//! What the `frith` binary is made of; never the protocol, which lives in the crates below.

pub mod keystore;
