//! The Frith ledger: addresses, keys, credits, the Merkle-sum tree, entities, operations, blocks and
//! stores. It never opens a socket, reads a clock or draws entropy, and knows neither consensus nor
//! the virtual machine.
//!
//! Map, from the bottom up:
//!
//! - [`hash`], [`units`], [`credits`], [`codec`], [`address`], [`key`], [`vrf`]: the vocabulary;
//! - [`tree`], [`outbox`]: Merkle structures and their proofs;
//! - [`entity`], [`operation`], [`message`]: what stands in the state and what changes it;
//! - [`block`], [`certificate`]: chains and what certifies them;
//! - [`parameters`], [`genesis`], [`light`]: what a network agrees on, and verification from it;
//! - [`store`]: where bytes are kept.

pub mod address;
pub mod block;
pub mod certificate;
pub mod codec;
pub mod credits;
pub mod entity;
pub mod genesis;
pub mod hash;
pub mod key;
pub mod light;
pub mod message;
pub mod operation;
pub mod outbox;
pub mod parameters;
pub mod store;
pub mod tree;
pub mod units;
pub mod vrf;
