//! The instance in a network of its like.

mod check;
mod host;
mod net;
mod random;
mod rules;
mod runs;
mod solo;
