//! neighbourhood

pub mod consensus;
