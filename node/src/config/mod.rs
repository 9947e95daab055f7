//! Where settings come from: options over environment over file over defaults.
//!
//! [`Partial`] is one layer: every setting may be missing. [`Settings::resolve`] lays the layers over each
//! other and checks the result; [`Origin`] remembers which layer decided, for `frith config show --origin`.

mod node;

pub use node::{Engine, Fault, LogFormat, Origin, Partial, SLOTS_DEFAULT, Settings};
