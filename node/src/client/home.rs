//! The user's own directory: keys, the trusted genesis, defaults.
//!
//! `$FRITH_HOME`, else `~/.frith`: `keys/<name>.json`, `genesis.json`, `config.toml`, `verified/`, `operations/`.

use crate::failure::{Failure, Result};
use frith_ledger::genesis::Genesis;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Bytes of a genesis file that are read.
const GENESIS_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Where a node's API listens unless something else is said.
pub(crate) const API_DEFAULT: &str = "http://127.0.0.1:4280";

/// The defaults that `config.toml` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HomeConfig {
    /// The node to ask: `http://127.0.0.1:4280`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Nodes that stand in when that one doesn't answer while an operation is under way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The key to use, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The user's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// The directory that was named, else `~/.frith`; as an absolute path.
    ///
    /// # Errors
    /// No directory was named and `HOME` isn't set, or this process's working directory is gone.
    pub fn locate(named: Option<PathBuf>) -> Result<Self> {
        let dir = match named {
            Some(dir) => dir,
            None => std::env::home_dir()
                .filter(|dir| !dir.as_os_str().is_empty())
                .map(|dir| dir.join(".frith"))
                .ok_or_else(|| {
                    Failure::usage("no home directory").advise("name one with --home or FRITH_HOME")
                })?,
        };
        // An agent works in another directory than the command that starts it.
        let dir = std::path::absolute(&dir)
            .map_err(|error| Failure::file("find the whole path of", &dir, error))?;
        Ok(Self { dir })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the key of this name stands.
    ///
    /// # Errors
    /// A name that isn't letters, digits, `-` and `_`.
    pub fn key_path(&self, name: &str) -> Result<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(Failure::usage(format!(
                "{name:?} is no key's name: use letters, digits, '-' and '_', at most 64"
            )));
        }
        Ok(self.dir.join("keys").join(format!("{name}.json")))
    }

    /// The names of all keys, sorted.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn keys(&self) -> Result<Vec<String>> {
        let dir = self.dir.join("keys");
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Failure::file("list", &dir, error)),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                Some(
                    entry
                        .ok()?
                        .file_name()
                        .to_str()?
                        .strip_suffix(".json")?
                        .to_owned(),
                )
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// Makes the directories.
    ///
    /// # Errors
    /// The system refuses.
    pub fn create(&self) -> Result<()> {
        let keys = self.dir.join("keys");
        std::fs::create_dir_all(&keys).map_err(|error| Failure::file("create", &keys, error))
    }

    /// The defaults.
    ///
    /// # Errors
    /// What is wrong in the file.
    pub fn config(&self) -> Result<HomeConfig> {
        let path = self.dir.join("config.toml");
        match crate::text::read(&path) {
            Ok(text) => toml::from_str(&text)
                .map_err(|error| Failure::usage(format!("in {}: {error}", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(HomeConfig::default()),
            Err(error) => Err(Failure::file("read", &path, error)),
        }
    }

    /// Writes the defaults.
    ///
    /// # Errors
    /// The system refuses.
    pub fn write_config(&self, config: &HomeConfig) -> Result<()> {
        let path = self.dir.join("config.toml");
        let text = toml::to_string_pretty(config).map_err(Failure::other)?;
        std::fs::write(&path, text).map_err(|error| Failure::file("write", &path, error))
    }

    /// Where it stands how far networks were followed.
    #[must_use]
    pub fn verified_path(&self) -> PathBuf {
        self.dir.join("verified")
    }

    /// Where the trusted genesis stands.
    #[must_use]
    pub fn genesis_path(&self) -> PathBuf {
        self.dir.join("genesis.json")
    }
}

/// Reads a genesis file.
///
/// # Errors
/// It is missing, too long, or no genesis.
pub(crate) fn read_genesis(path: &Path) -> Result<Genesis> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        Failure::file("read the genesis file", path, error)
            .advise("name the network's genesis file with --genesis, or copy it to ~/.frith/genesis.json; balances are checked from it")
    })?;
    if metadata.len() > GENESIS_BYTES_MAX {
        return Err(Failure::usage(format!(
            "{} has more than {GENESIS_BYTES_MAX} bytes",
            path.display()
        )));
    }
    let text = crate::text::read(path).map_err(|error| Failure::file("read", path, error))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{} is no genesis file: {error}", path.display())).advise(
            "copy it again from where you had it: every copy of a network's genesis file is the same",
        )
    })
}
