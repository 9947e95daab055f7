//! `frith config`: settings, and where each of them comes from.

use super::Report;
use super::args::ConfigCommand;
use super::session::Session;
use crate::config::{Origin, Settings};
use crate::failure::{Failure, Result};
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) fn run(session: &Session, command: ConfigCommand) -> Result<Report> {
    let ConfigCommand::Show { origin, dir } = command;
    let user = session.settings()?;
    let mut text = table(&user, origin);
    let mut shown = json!({"user": values(&user)});
    if let Some(dir) = dir {
        let node = node_settings(&dir)?;
        text.push_str(&format!("\nnode in {}\n", dir.display()));
        text.push_str(&table(&node, origin));
        shown["node"] = values(&node);
    }
    Report::new(text, &shown)
}

/// A setting's name, its value, and which layer decided it.
pub(super) type Setting = (String, Value, Origin);

/// What a node on `dir` would run with if it were started without options.
fn node_settings(dir: &Path) -> Result<Vec<Setting>> {
    if !dir.is_dir() {
        return Err(Failure::usage(format!(
            "there is no directory {}",
            dir.display()
        )));
    }
    all_of(&Settings::of_dir(dir)?)
}

/// The settings of a node one by one.
pub(super) fn all_of(settings: &Settings) -> Result<Vec<Setting>> {
    let values = serde_json::to_value(settings).map_err(Failure::other)?;
    let setting = |(name, origin): (&&'static str, &Origin)| {
        let value = values.get(*name).cloned().unwrap_or_default();
        ((*name).to_owned(), value, *origin)
    };
    Ok(settings.origins.iter().map(setting).collect())
}

/// Settings in lines, with their origins if asked for.
pub(super) fn table(settings: &[Setting], with_origin: bool) -> String {
    let line = |(name, value, origin): &Setting| {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if with_origin {
            format!("{name:<22} {:<12} {value}\n", origin.name())
        } else {
            format!("{name:<22} {value}\n")
        }
    };
    settings.iter().map(line).collect()
}

/// Settings for programs: always with their origins.
pub(super) fn values(settings: &[Setting]) -> Value {
    let entry = |(name, value, origin): &Setting| {
        (
            name.clone(),
            json!({"value": value, "origin": origin.name()}),
        )
    };
    Value::Object(settings.iter().map(entry).collect::<Map<_, _>>())
}
