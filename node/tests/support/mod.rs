//! A devnet of four real processes, and the `frith` program against it.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "a module of test programs")]

use frith::devnet::{Devnet, DevnetOptions, PASSPHRASE, PlanOptions, environment, plan};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// How long anything here may take; a loaded machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_frith"))
}

pub fn frith(
    home: &std::path::Path,
    api: &str,
    passphrase: &str,
    args: &[&str],
) -> Outcome<Output> {
    let output = Command::new(program())
        .args(["--json", "--api", api])
        .args(args)
        .env_clear()
        .envs(environment())
        .env("FRITH_HOME", home)
        .env("FRITH_PASSPHRASE", passphrase)
        .output()?;
    Ok(output)
}

pub fn answer(output: &Output) -> Outcome<Value> {
    if !output.status.success() {
        return Err(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

pub fn error(output: &Output) -> Outcome<(Option<i32>, Value)> {
    Ok((
        output.status.code(),
        serde_json::from_slice(&output.stderr)?,
    ))
}

/// A running devnet and how to talk to it.
pub struct World {
    pub devnet: Devnet,
    pub home: PathBuf,
    pub directory: tempfile::TempDir,
}

impl World {
    pub fn start() -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let options = PlanOptions {
            nodes: 4,
            dir: directory.path().to_owned(),
            epoch_ms: 1000,
            time_ms: 0,
        };
        let planned = plan(&options)?;
        let home = planned.home.clone();
        let options = DevnetOptions {
            program: program(),
            faults: BTreeMap::new(),
            log: "info".to_owned(),
        };
        let devnet = Devnet::start(planned, options)?;
        devnet.await_ready(PATIENCE)?;
        Ok(Self {
            devnet,
            home,
            directory,
        })
    }

    /// Calls `frith` with alice's key against node 0.
    pub fn call(&self, passphrase: &str, args: &[&str]) -> Outcome<Output> {
        let api = self.devnet.node(0)?.base().to_owned();
        frith(
            &self.home,
            &api,
            passphrase,
            &[&["--key", "alice"][..], args].concat(),
        )
    }

    /// The same with another key.
    pub fn call_as(&self, key: &str, passphrase: &str, args: &[&str]) -> Outcome<Output> {
        let api = self.devnet.node(0)?.base().to_owned();
        frith(
            &self.home,
            &api,
            passphrase,
            &[&["--key", key][..], args].concat(),
        )
    }

    /// A call without a node.
    pub fn alone(&self, args: &[&str]) -> Outcome<Output> {
        frith(&self.home, "http://127.0.0.1:9", "", args)
    }

    pub fn address(&self, name: &str) -> Outcome<String> {
        let shown = answer(&self.alone(&["key", "show", name])?)?;
        Ok(shown[0]["address"].as_str().ok_or("an address")?.to_owned())
    }

    pub fn send(&self, to: &str) -> Outcome<Value> {
        let line = [
            "wallet",
            "send",
            to,
            "0.5",
            "--yes",
            "--wait",
            "final",
            "--timeout",
            "100",
        ];
        answer(&self.call(PASSPHRASE, &line)?)
    }
}
