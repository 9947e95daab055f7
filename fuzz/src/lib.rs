//! What the fuzz harnesses of every crate share. It is a dependency of tests only, and knows no type of Frith: a
//! harness stands in the tests of the crate whose decoder it feeds and brings the decoder along.
//!
//! - [`harness!`]: one harness; runs a fraction of a second among the ordinary tests, longer with `make fuzz`;
//! - [`codec`], [`json`], [`text`]: the rules that every decoder of that kind keeps, on random bytes, on valid
//!   values and on damaged ones;
//! - [`value`]: a valid value of any decodable type, grown from the fuzzer's bytes;
//! - [`mutate`]: damage to bytes, [`damage_text`] to text;
//! - [`allocated`]: the most memory that a call held at one time.
//!
//! Linking this crate replaces the test program's allocator by one that counts.

mod harness;
mod memory;
mod mutate;
mod rules;
mod values;

pub use bolero;
pub use harness::TEST_TIME;
pub use memory::allocated;
pub use mutate::{damage_text, mutate};
pub use rules::{MEMORY_BYTES_MIN, MEMORY_FACTOR, codec, json, text};
pub use values::value;
