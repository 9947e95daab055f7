//! What is printed, and where.

use crate::codes::Code;
use crate::failure::{Context as _, Failure, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

/// What a command has to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    text: String,
    json: Value,
    bytes: Option<Vec<u8>>,
    failure: Option<Failure>,
}

impl Report {
    /// The same thing for people and for programs.
    ///
    /// # Errors
    /// A value that JSON can't hold.
    pub fn new(text: impl Into<String>, json: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_value(json).map_err(Failure::other)?;
        Ok(Self {
            text: text.into(),
            json,
            ..Self::default()
        })
    }

    /// Bytes for standard output, instead of text; `--json` shows only the JSON.
    #[must_use]
    pub fn with_bytes(mut self, bytes: Vec<u8>) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// The bytes for standard output, if it has any.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }

    /// A report that is printed although the command failed: a status of a node that isn't ready.
    #[must_use]
    pub fn with_failure(self, failure: Failure) -> Self {
        self.failing(Some(failure))
    }

    /// The same, if it failed.
    #[must_use]
    pub fn failing(mut self, failure: Option<Failure>) -> Self {
        self.failure = failure;
        self
    }
}

/// Whether there is somebody to ask and to show progress to.
#[must_use]
pub(super) fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Prints a command's result; its exit code.
#[must_use]
pub(super) fn print(result: Result<Report>, json: bool) -> ExitCode {
    print_then(result, json, || {})
}

/// The same, and does something when the user was told.
#[must_use]
pub(super) fn print_then(result: Result<Report>, json: bool, told: impl FnOnce()) -> ExitCode {
    let (written, failure) = match result {
        Ok(report) => (write(&report, json), report.failure),
        Err(failure) => (Ok(()), Some(failure)),
    };
    if let Some(failure) = failure {
        complain(&failure, json);
        told();
        return ExitCode::from(failure.exit as u8);
    }
    match written {
        Ok(()) => {
            told();
            ExitCode::SUCCESS
        }
        // The reader has closed the pipe: it has what it wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            told();
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(
                &Failure::other(format!("cannot write to standard output: {error}")),
                json,
            );
            ExitCode::FAILURE
        }
    }
}

fn write(report: &Report, json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(&rendered(report, json, out.is_terminal())?)?;
    out.flush()
}

/// What is written to standard output.
fn rendered(report: &Report, json: bool, terminal: bool) -> std::io::Result<Vec<u8>> {
    let shown = |text: &str| {
        if terminal {
            harmless(text)
        } else {
            text.to_owned()
        }
    };
    Ok(if json {
        let text = serde_json::to_string_pretty(&report.json)?;
        format!("{}\n", json_escaped(&text)).into_bytes()
    } else if let Some(bytes) = &report.bytes {
        if terminal {
            harmless(&String::from_utf8_lossy(bytes)).into_bytes()
        } else {
            bytes.clone()
        }
    } else if report.text.is_empty() {
        Vec::new()
    } else {
        format!("{}\n", shown(report.text.trim_end())).into_bytes()
    })
}

/// A text in which there may be words of strangers, as a terminal can show it: characters that would move the cursor, colour,
/// clear, answer or turn the text around stand as their numbers.
pub(super) fn harmless(text: &str) -> String {
    escaped(&text.replace("\r\n", "\n"), |c| {
        format!("\\u{{{:x}}}", u32::from(c))
    })
}

/// JSON that says the same and is harmless too.
fn json_escaped(json: &str) -> String {
    escaped(json, |c| format!("\\u{:04x}", u32::from(c)))
}

/// The text with every character that means something to terminals in another form. Ends of lines and tabs stay.
fn escaped(text: &str, form: impl Fn(char) -> String) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (c.is_control() && !matches!(c, '\n' | '\t')) || turns {
            shown.push_str(&form(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

pub(super) fn complain(failure: &Failure, json: bool) {
    let text = if json {
        let error = json!({"error": {
            "code": failure.code, "message": failure.message, "advice": failure.advice, "exit": failure.exit as u8,
        }});
        json_escaped(&error.to_string())
    } else {
        let advice = failure
            .advice
            .as_ref()
            .map_or_else(String::new, |advice| format!("\n  → {advice}"));
        format!("error: {}{advice}", failure.message)
    };
    note(&text);
}

/// Tells programs something before the answer: one JSON value on a line of its own, on standard output.
///
/// # Errors
/// Standard output is closed, or full.
pub(super) fn say(value: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")
        .and_then(|()| out.flush())
        .doing("cannot write to standard output")
}

/// Says something beside the answer, on standard error.
pub(super) fn note(text: &str) {
    let mut err = std::io::stderr();
    // Nobody can be told when standard error is closed.
    let _closed = if err.is_terminal() {
        writeln!(err, "{}", harmless(text))
    } else {
        writeln!(err, "{text}")
    };
}

/// Says something beside the answer that a program has to know as well: with `--json` as a value on a line of its own.
pub(super) fn tell(json: bool, text: &str, value: &Value) {
    if json {
        note(&value.to_string());
    } else {
        note(text);
    }
}

/// Asks whether to go on. Without a terminal, and where programs are answered, `--yes` must have been said.
///
/// # Errors
/// The user said no, or can't be asked.
pub(super) fn confirm(json: bool, question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    if json {
        return Err(
            Failure::usage(format!("{question} With --json nobody is asked")).advise("say --yes"),
        );
    }
    if !is_terminal() {
        return Err(
            Failure::usage(format!("{question} There is no terminal to ask on"))
                .advise("say --yes"),
        );
    }
    let mut err = std::io::stderr();
    let _closed = write!(err, "{question} [y/N] ");
    let _closed = err.flush();
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(Failure::other)?;
    if agrees(&answer) {
        Ok(())
    } else {
        Err(Failure::refused(Code::Declined, "you did not agree"))
    }
}

/// Whether an answer says yes, however it is written. Everything else is a no.
fn agrees(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// A spinner while something is waited for; nothing when nobody looks.
pub(super) fn spinner(text: &str, quiet: bool) -> ProgressBar {
    if quiet || !is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(text.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A bar of `len` steps; nothing when nobody looks.
pub(super) fn bar(len: u64, text: &str, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(len).with_message(text.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_counts_however_it_is_written_and_nothing_else_does() {
        for yes in ["y", "Y", "yes", "Yes", "YES", "yEs\r\n", " y \n"] {
            assert!(agrees(yes), "{yes:?}");
        }
        for no in ["", "\n", "n", "no", "yess", "yes please", "ye", "1"] {
            assert!(!agrees(no), "{no:?}");
        }
    }

    /// Clears the screen, in both of its encodings; sets a title; turns the text around.
    const HOSTILE: &str = "a\u{1b}[2J b\u{9b}2J c\u{1b}]0;x\u{7} d\u{202e}e\rf\tg\r\nh";

    #[test]
    fn words_of_strangers_do_nothing_to_a_terminal() -> Result<()> {
        let shown = "a\\u{1b}[2J b\\u{9b}2J c\\u{1b}]0;x\\u{7} d\\u{202e}e\\u{d}f\tg\nh";
        let of_bytes = Report::new("", &())?.with_bytes(HOSTILE.as_bytes().to_vec());
        let of_text = Report::new(HOSTILE, &HOSTILE)?;
        let check = |report: &Report, json, terminal, expected: &str| -> Result<()> {
            let found = rendered(report, json, terminal).map_err(Failure::other)?;
            assert_eq!(String::from_utf8_lossy(&found), expected);
            Ok(())
        };
        check(&of_bytes, false, true, shown)?;
        check(&of_text, false, true, &format!("{shown}\n"))?;
        check(&of_bytes, false, false, HOSTILE)?;
        let json = rendered(&of_text, true, false).map_err(Failure::other)?;
        let json = String::from_utf8_lossy(&json).into_owned();
        assert!(json.trim_end().chars().all(|c| !c.is_control()), "{json}");
        let read: String = serde_json::from_str(&json).map_err(Failure::other)?;
        assert_eq!(read, HOSTILE, "JSON says the same");
        Ok(())
    }
}
