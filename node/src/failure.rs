//! What the user is told when a command ends badly, and the exit code that goes with it.
//!
//! Every failure says what was wrong, where, and what to do about it; the machine-readable `code` is
//! stable, the words may improve.

use crate::codes::Code;
use crate::views::ErrorBody;
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
    /// The command did what it was told, and the program of the task or of the local run ended otherwise than with exit
    /// status 0.
    ProgramFailed = 7,
    /// An operation was sent and may have been taken: nobody said what became of it.
    Sent = 8,
    /// The node halted: its store failed, or what it holds contradicts what was agreed.
    Halted = 9,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// Stable, for programs: the name of a [`Code`], or one of a node of another version.
    pub code: String,
    /// What was wrong, and where.
    pub message: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Failure {
    /// A failure with its code's advice.
    pub fn new(exit: Exit, code: Code, message: impl Display) -> Self {
        Self::answered(exit, ErrorBody::new(code, message))
    }

    /// What a node answered. A code without advice, as of another version, gets that of this version.
    #[must_use]
    pub fn answered(exit: Exit, body: ErrorBody) -> Self {
        let ErrorBody {
            code,
            message,
            advice,
        } = body;
        let advice = advice.or_else(|| Code::named(&code).map(|code| code.advice().to_owned()));
        Self {
            exit,
            code,
            message,
            advice,
        }
    }

    /// The command line or configuration is wrong.
    pub fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, Code::Usage, message)
    }

    /// Refused by the network or the keystore.
    pub fn refused(code: Code, message: impl Display) -> Self {
        Self::new(Exit::Refused, code, message)
    }

    /// The node isn't there or isn't ready.
    pub fn unreachable(message: impl Display) -> Self {
        Self::new(Exit::Unreachable, Code::Unreachable, message)
    }

    /// A proof doesn't hold.
    pub fn proof(message: impl Display) -> Self {
        Self::new(Exit::Proof, Code::Proof, message)
    }

    /// Anything else.
    pub fn other(message: impl Display) -> Self {
        Self::new(Exit::Other, Code::Failed, message)
    }

    /// A file or directory failed.
    pub fn file(doing: &str, path: &Path, error: impl Display) -> Self {
        Self::new(
            Exit::Other,
            Code::File,
            format!("cannot {doing} {}: {error}", path.display()),
        )
    }

    /// The same failure with what to do here, which is more than the code alone can say.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: &str, advice: Option<&str>) -> Failure {
        let body = ErrorBody {
            code: code.to_owned(),
            message: "no".to_owned(),
            advice: advice.map(str::to_owned),
        };
        Failure::answered(Exit::Refused, body)
    }

    #[test]
    fn an_answer_keeps_its_advice_and_gets_that_of_its_code_when_it_has_none() {
        let said = answered("underfunded", Some("beg"));
        assert_eq!(said.advice.as_deref(), Some("beg"));
        let silent = answered("underfunded", None);
        assert_eq!(silent.advice.as_deref(), Some(Code::Underfunded.advice()));
        assert_eq!(answered("of_next_year", None).advice, None);
    }

    #[test]
    fn every_failure_of_this_program_says_what_to_do() {
        for failure in [
            Failure::usage("x"),
            Failure::refused(Code::NoAccount, "x"),
            Failure::unreachable("x"),
            Failure::proof("x"),
            Failure::other("x"),
            Failure::file("read", Path::new("x"), "x"),
        ] {
            assert!(failure.advice.is_some(), "{failure:?}");
        }
    }
}
