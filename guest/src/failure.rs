//! Why a task's program ended without a complete result, and the exit status that says so.

use std::fmt::Display;
use std::io;

/// Lowest exit status that a program may give a meaning of its own.
pub const STATUS_OWN_MIN: u8 = 16;
/// Highest exit status that a program may give a meaning of its own; WASI hosts refuse 126 and above.
pub const STATUS_OWN_MAX: u8 = 125;

/// Why a program ended without a complete result. [`Failure::status`] is its exit status.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The program itself failed: status 1, or one of its own.
    #[error("{message}")]
    Program {
        /// Exit status: 1, or within [`STATUS_OWN_MIN`]..=[`STATUS_OWN_MAX`].
        status: u8,
        /// What happened, for standard error.
        message: String,
    },
    /// A parameter that the program can't use: status 2.
    #[error("parameter {key}: {reason}")]
    Parameter {
        /// The parameter's name, or what stood in its place.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An input longer than the program reads: status 3.
    #[error("the input is longer than {bytes_max} bytes")]
    InputTooLong {
        /// How much the program was ready to read.
        bytes_max: usize,
    },
    /// An input that is not what the program reads: status 3.
    #[error("input: {reason}")]
    Input {
        /// What is wrong with it, and where.
        reason: String,
    },
    /// A result that could not be written: status 4.
    #[error("the result could not be written: {0}")]
    Output(#[from] io::Error),
    /// A host without randomness: status 5.
    #[error("the host gives no randomness: {0}")]
    Randomness(getrandom::Error),
}

impl Failure {
    /// The program failed for the reason given: status 1.
    pub fn program(reason: impl Display) -> Self {
        Self::Program {
            status: 1,
            message: reason.to_string(),
        }
    }

    /// The program failed with a status of its own.
    ///
    /// # Panics
    ///
    /// If `status` is outside [`STATUS_OWN_MIN`]..=[`STATUS_OWN_MAX`]: the other statuses have a meaning already.
    pub fn with_status(status: u8, reason: impl Display) -> Self {
        assert!(
            (STATUS_OWN_MIN..=STATUS_OWN_MAX).contains(&status),
            "status {status} is not a program's own: they go from {STATUS_OWN_MIN} to {STATUS_OWN_MAX}"
        );
        Self::Program {
            status,
            message: reason.to_string(),
        }
    }

    /// The input is not what the program reads: status 3.
    pub fn input(reason: impl Display) -> Self {
        Self::Input {
            reason: reason.to_string(),
        }
    }

    /// A parameter that the program can't use: status 2.
    pub fn parameter(key: impl Into<String>, reason: impl Display) -> Self {
        Self::Parameter {
            key: key.into(),
            reason: reason.to_string(),
        }
    }

    /// The exit status: never 0.
    pub fn status(&self) -> u8 {
        match self {
            Self::Program { status, .. } => *status,
            Self::Parameter { .. } => 2,
            Self::InputTooLong { .. } | Self::Input { .. } => 3,
            Self::Output(_) => 4,
            Self::Randomness(_) => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_documented_status() {
        let failures = [
            (Failure::program("no"), 1),
            (Failure::parameter("n", "too large"), 2),
            (Failure::InputTooLong { bytes_max: 1 }, 3),
            (Failure::input("not a number"), 3),
            (Failure::from(io::Error::other("full")), 4),
            (Failure::Randomness(getrandom::Error::UNSUPPORTED), 5),
            (Failure::with_status(40, "own"), 40),
        ];
        for (failure, status) in failures {
            assert_eq!(failure.status(), status, "{failure}");
        }
    }

    #[test]
    #[should_panic(expected = "not a program's own")]
    fn a_status_with_a_meaning_is_not_given_another() {
        let _ = Failure::with_status(2, "mine");
    }
}
