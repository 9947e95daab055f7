//! One finding.

use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Display;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// In order.
    Ok,
    /// It works, but not well or not for long; or it could not be seen.
    Warn,
    /// It doesn't work, or costs money.
    Fail,
}

impl State {
    /// Its name, as it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// What was looked at and found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// What was measured, in words.
    pub found: String,
    /// What to do about it; empty when all is well.
    pub advice: String,
    /// The figures, for programs.
    pub figures: Value,
}

impl Check {
    /// In order.
    pub fn ok(name: &'static str, found: impl Display) -> Self {
        Self {
            name,
            state: State::Ok,
            found: found.to_string(),
            advice: String::new(),
            figures: json!({}),
        }
    }

    /// Not well, and what to do.
    pub fn warn(name: &'static str, found: impl Display, advice: impl Display) -> Self {
        Self {
            state: State::Warn,
            advice: advice.to_string(),
            ..Self::ok(name, found)
        }
    }

    /// Broken, and what to do.
    pub fn fail(name: &'static str, found: impl Display, advice: impl Display) -> Self {
        Self {
            state: State::Fail,
            ..Self::warn(name, found, advice)
        }
    }

    /// A figure above `warn` is a warning, above `fail` a failure.
    pub(super) fn at_most(
        name: &'static str,
        figure: f64,
        (warn, fail): (f64, f64),
        found: impl Display,
        advice: impl Display,
    ) -> Self {
        if figure > fail {
            Self::fail(name, found, advice)
        } else if figure > warn {
            Self::warn(name, found, advice)
        } else {
            Self::ok(name, found)
        }
    }

    /// The same with figures.
    #[must_use]
    pub fn with(mut self, figures: Value) -> Self {
        self.figures = figures;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_judged_by_its_two_bounds() {
        for (figure, expected) in [
            (0.0, State::Ok),
            (10.0, State::Ok),
            (10.1, State::Warn),
            (100.0, State::Warn),
            (100.1, State::Fail),
        ] {
            let check = Check::at_most("disk", figure, (10.0, 100.0), "x", "y");
            assert_eq!(check.state, expected, "{figure}");
        }
    }
}
