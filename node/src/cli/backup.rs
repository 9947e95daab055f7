//! `frith node backup`, `restore` and `safety`.

use super::Report;
use super::args::SafetyCommand;
use super::output::confirm;
use crate::backup::{self, Backup, Signed};
use crate::failure::{Failure, Result};
use serde_json::json;
use std::path::Path;

pub(super) fn take(dir: &Path, out: &Path) -> Result<Report> {
    let backup = backup::take(dir)?;
    backup.write(out)?;
    let signed = match &backup.signed {
        Some(signed) => format!("\n{}", describe(signed)),
        None => "\nno node has started there, or its store can't be read: the backup says nothing of what it signed".to_owned(),
    };
    Report::new(
        format!(
            "written  {}\nholds    the worker's key (encrypted as it is), genesis, settings; not the chain: the others have it{signed}",
            out.display()
        ),
        &json!({"file": out, "signed": backup.signed}),
    )
}

pub(super) fn restore(file: &Path, dir: &Path) -> Result<Report> {
    let backup = Backup::read(file)?;
    backup.restore(dir)?;
    Report::new(
        format!(
            "directory  {}\nThe node asks the others what it signed, and votes when more than two thirds of them have answered.\n\
             Stop the old one first: two nodes with one key lose their stake.\nNext: `frith doctor --dir {}`, then `frith node run --dir {}`",
            dir.display(),
            dir.display(),
            dir.display()
        ),
        &json!({"dir": dir, "signed": backup.signed}),
    )
}

pub(super) fn safety(json: bool, command: SafetyCommand) -> Result<Report> {
    match command {
        SafetyCommand::Export { dir, out } => {
            let signed = backup::signed(&dir)?;
            let Some(out) = out else {
                return Report::new(describe(&signed), &signed);
            };
            let text = serde_json::to_string_pretty(&signed).map_err(Failure::other)?;
            std::fs::write(&out, text).map_err(|error| Failure::file("write", &out, error))?;
            Report::new(
                format!("written {}", out.display()),
                &json!({"file": out, "signed": signed}),
            )
        }
        SafetyCommand::Forget { dir, yes } => {
            let question = format!(
                "Declare the record of votes in {} lost? The node then needs answers of more than two thirds of the others before it votes.",
                dir.display()
            );
            confirm(json, &question, yes)?;
            backup::forget_votes(&dir)?;
            Report::new(
                format!(
                    "the record in {} is forgotten; the node will ask the others",
                    dir.display()
                ),
                &json!({"dir": dir, "forgotten": true}),
            )
        }
    }
}

fn describe(signed: &Signed) -> String {
    let head = signed
        .head
        .map_or_else(|| "none".to_owned(), |head| head.to_string());
    let votes = if signed.may_vote {
        "without asking"
    } else {
        "after asking the others"
    };
    let mut text = format!(
        "network  {}\nhead     {head}\nvotes    {votes}\n",
        signed.network.as_deref().unwrap_or("none yet")
    );
    for instance in &signed.instances {
        text.push_str(&format!(
            "signed   {} of epoch {}: voted up to view {}, proposed up to {}{}\n",
            instance.chain,
            instance.epoch,
            instance.voted,
            instance.proposed,
            if instance.floor > 0 {
                format!(", nothing up to {} since a recovery", instance.floor)
            } else {
                String::new()
            }
        ));
    }
    text
}
