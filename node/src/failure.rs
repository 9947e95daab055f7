//! What the user is told when a command ends badly, and the exit code that goes with it.
//!
//! Every failure says what was wrong, where, and what to do about it; the machine-readable `code` is
//! stable, the words may improve.

use std::fmt::Display;
use std::path::Path;

/// A command's result.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Exit codes of the `frith` program. Part of its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Anything that has no code of its own: a file that can't be read, a disk that is full.
    Other = 1,
    /// The command line, the environment or a configuration file is wrong.
    Usage = 2,
    /// The network or the keystore refused: underfunded, expired, a wrong password.
    Refused = 3,
    /// The node can't be reached, or isn't ready.
    Unreachable = 4,
    /// A proof doesn't hold: the node that was asked is wrong or lies.
    Proof = 5,
    /// Another process runs with this node's key: a person has to find it before this one starts again.
    KeyElsewhere = 6,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// Stable, for programs: `underfunded`, `unreachable`.
    pub code: String,
    /// What was wrong, and where.
    pub message: String,
    /// What to do, when there is something to do.
    pub advice: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(exit: Exit, code: impl Into<String>, message: impl Display) -> Self {
        Self {
            exit,
            code: code.into(),
            message: message.to_string(),
            advice: None,
        }
    }

    /// The command line or configuration is wrong.
    pub fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Refused by the network or the keystore.
    pub fn refused(code: impl Into<String>, message: impl Display) -> Self {
        Self::new(Exit::Refused, code, message)
    }

    /// The node isn't there or isn't ready.
    pub fn unreachable(message: impl Display) -> Self {
        Self::new(Exit::Unreachable, "unreachable", message)
    }

    /// A proof doesn't hold.
    pub fn proof(message: impl Display) -> Self {
        Self::new(Exit::Proof, "proof", message)
            .advise("the node that was asked is wrong or lies; ask another one with --api, and don't act on its answer")
    }

    /// Anything else.
    pub fn other(message: impl Display) -> Self {
        Self::new(Exit::Other, "failed", message)
    }

    /// A file or directory failed.
    pub fn file(doing: &str, path: &Path, error: impl Display) -> Self {
        Self::new(
            Exit::Other,
            "file",
            format!("cannot {doing} {}: {error}", path.display()),
        )
    }

    /// The same failure with what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Display) -> Self {
        self.advice = Some(advice.to_string());
        self
    }
}

/// Adds where it happened to an error that has no place of its own.
pub trait Context<T> {
    /// Turns the error into a [`Failure`] of kind [`Exit::Other`] that begins with `doing`.
    ///
    /// # Errors
    /// The error, reworded.
    fn doing(self, doing: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn doing(self, doing: impl Display) -> Result<T> {
        self.map_err(|error| Failure::other(format!("{doing}: {error}")))
    }
}
