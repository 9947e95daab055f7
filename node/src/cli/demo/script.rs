//! What the demo says, and how it calls the program.

use crate::devnet::{PASSPHRASE, environment};
use crate::failure::{Context as _, Failure, Result};
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A line for who watches.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe ends the show, not the checks.
    let _closed = writeln!(out, "{text}");
    let _closed = out.flush();
}

/// A new part.
pub(super) fn title(text: &str) {
    say(&format!("\n── {text}"));
}

/// Calls `frith` as a user would.
pub(super) struct Caller {
    /// The program.
    pub(super) program: PathBuf,
    /// The users' directory.
    pub(super) home: PathBuf,
}

impl Caller {
    /// Runs `frith --json --key <key> <args>` against `api`; its answer, if it ends with the exit code `expected`.
    pub(super) fn call(&self, api: &str, key: &str, args: &[&str], expected: i32) -> Result<Value> {
        let output = Command::new(&self.program)
            .args(["--json", "--key", key, "--api", api])
            .args(args)
            .env_clear()
            .envs(environment())
            .env("FRITH_HOME", &self.home)
            .env("FRITH_PASSPHRASE", PASSPHRASE)
            .stdin(Stdio::null())
            .output()
            .doing("cannot call frith")?;
        let line = args.join(" ");
        if output.status.code() != Some(expected) {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::other(format!(
                "`frith {line}` ended with {}: {}",
                output.status,
                said.trim()
            )));
        }
        serde_json::from_slice(&output.stdout).doing(format!("`frith {line}` printed no JSON"))
    }
}

/// A text field of an answer.
pub(super) fn text<'a>(value: &'a Value, path: &str) -> Result<&'a str> {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::other(format!("an answer has no text at {path}: {value}")))
}

/// A number of an answer.
pub(super) fn number(value: &Value, path: &str) -> Result<u64> {
    value
        .pointer(path)
        .and_then(Value::as_u64)
        .ok_or_else(|| Failure::other(format!("an answer has no number at {path}: {value}")))
}
