//! Models of two protocols in which the order of events decides, small enough that every order is tried. It never
//! runs a node, and is linked into nothing.
//!
//! - [`consensus`]: what members may vote for, give up and commit, with one of four corrupt;
//! - [`outcomes`]: a message between two leaves, with couriers that repeat and reorder.
//!
//! Each model is a set of states, of actions that lead from one to the next, and of properties;
//! [`stateright`] visits every state that can be reached. Where a rule is a pure function of the product, the
//! model calls it; each module says which are and which can't be. A rule can be broken on purpose (`Planted`), and every
//! broken rule must give a counterexample: a model that finds nothing says nothing.
//!
//! Limits: a few views and one instance, one or two messages and a few epochs. What was explored, and what wasn't:
//! `docs/decisions/044`.

pub mod consensus;
pub mod outcomes;
