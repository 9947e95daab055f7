//! `frith completions` and `frith man`: made from the command line's own definition, so they can't be out of date.

use super::Report;
use super::args::{EXIT_CODES, command};
use crate::failure::{Failure, Result};
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What every page says beside its command.
const FILES: [(&str, &str); 4] = [
    (
        "~/.frith/",
        "your directory: keys/, genesis.json, config.toml; --home or FRITH_HOME names another",
    ),
    (
        "~/.frith/agent/",
        "sockets of agents that hold unlocked keys",
    ),
    (
        "DIR/config.toml",
        "settings of the node with the data directory DIR",
    ),
    ("DIR/worker.json", "the worker's key, encrypted"),
];

/// The completions of a shell, for standard output.
pub(super) fn completions(shell: Shell) -> Result<Report> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "frith", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    let report = Report::new("", &json!({"shell": shell.to_string(), "script": text}))?;
    Ok(report.with_bytes(script))
}

/// The manual's first page for standard output, or all pages into a directory.
pub(super) fn man(out: Option<&Path>) -> Result<Report> {
    let mut pages = Vec::new();
    collect(command(), &mut pages)?;
    let Some(dir) = out else {
        let first = pages
            .into_iter()
            .next()
            .ok_or_else(|| Failure::other("there is no page"))?;
        let report = Report::new(
            "",
            &json!({"page": first.0, "roff": String::from_utf8_lossy(&first.1)}),
        )?;
        return Ok(report.with_bytes(first.1));
    };
    std::fs::create_dir_all(dir).map_err(|error| Failure::file("create", dir, error))?;
    let mut files: Vec<PathBuf> = Vec::new();
    for (name, page) in pages {
        let path = dir.join(name);
        std::fs::write(&path, page).map_err(|error| Failure::file("write", &path, error))?;
        files.push(path);
    }
    Report::new(
        format!("{} pages in {}", files.len(), dir.display()),
        &json!({"pages": files}),
    )
}

/// The page of a command, then those of its subcommands: `frith.1`, `frith-key.1`, `frith-key-new.1`.
fn collect(command: clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    page(&command, pages)
}

fn page(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let name = command.get_display_name().unwrap_or("frith").to_owned();
    let subject = command
        .clone()
        .after_help(clap::builder::StyledStr::default());
    let man = Man::new(subject)
        .section("1")
        .source(format!("frith {}", env!("CARGO_PKG_VERSION")));
    let mut bytes = Vec::new();
    man.render(&mut bytes).map_err(Failure::other)?;
    bytes.extend_from_slice(closing_sections().as_bytes());
    pages.push((format!("{name}.1"), bytes));
    for subcommand in command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        page(subcommand, pages)?;
    }
    Ok(())
}

/// Exit codes and files, in the language of manual pages.
fn closing_sections() -> String {
    // A hyphen that is meant as one, and nothing that the typesetter takes for a command.
    let plain = |text: &str| text.replace('\\', "\\\\").replace('-', "\\-");
    let mut text = String::from(".SH \"EXIT STATUS\"\n");
    for line in EXIT_CODES.lines() {
        text.push_str(&plain(line));
        text.push_str("\n.br\n");
    }
    text.push_str(".SH FILES\n");
    for (file, what) in FILES {
        text.push_str(&format!(".TP\n\\fI{}\\fR\n{}\n", plain(file), plain(what)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visible_command_has_a_page_with_its_exit_codes() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(man(Some(dir.path())).is_ok());
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        for (name, says) in [
            ("frith.1", "frith\\-key(1)"),
            ("frith-key-unlock.1", "until a time is over"),
            ("frith-node-run.1", "listen for peers"),
            ("frith-wallet-send.1", "Send credits"),
            ("frith-config-show.1", "where each comes from"),
        ] {
            let page = read(name);
            for words in [says, "EXIT STATUS", ".SH FILES", "3 refused"] {
                assert!(page.contains(words), "{name} lacks {words:?}:\n{page}");
            }
        }
        assert_eq!(read("frith-demo.1"), "", "hidden commands have no page");
        assert_eq!(read("frith-key-agent.1"), "");
    }

    #[test]
    fn completions_know_commands_and_options() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let report = completions(shell).expect("is made");
            let script =
                String::from_utf8(report.bytes().expect("has bytes").to_vec()).expect("is UTF-8");
            for word in ["unlock", "config", "save-proof"] {
                assert!(script.contains(word), "{shell} lacks {word}");
            }
        }
    }
}
