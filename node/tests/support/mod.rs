//! A devnet of four real processes, and the `frith` program against it.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "a module of test programs")]

use frith::config::Fault;
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
        Self::start_with(4, BTreeMap::new(), "")
    }

    /// A devnet of so many nodes, some with a fault, all with these lines in their settings.
    pub fn start_with(nodes: u16, faults: BTreeMap<usize, Fault>, settings: &str) -> Outcome<Self> {
        Self::start_edited(nodes, faults, settings, |_| ())
    }

    /// The same with changes to the genesis, of which every directory has a copy.
    pub fn start_edited(
        nodes: u16,
        faults: BTreeMap<usize, Fault>,
        settings: &str,
        edit: impl Fn(&mut Value),
    ) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let options = PlanOptions {
            nodes,
            dir: directory.path().to_owned(),
            epoch_ms: 1000,
            time_ms: 0,
        };
        let planned = plan(&options)?;
        let home = planned.home.clone();
        for dir in planned.nodes.iter().chain([&home]) {
            let path = dir.join("genesis.json");
            let mut genesis: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
            edit(&mut genesis);
            std::fs::write(&path, genesis.to_string())?;
        }
        for dir in &planned.nodes {
            let path = dir.join("config.toml");
            let text = std::fs::read_to_string(&path)?;
            std::fs::write(&path, format!("{text}\n{settings}"))?;
        }
        let options = DevnetOptions {
            program: program(),
            faults,
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

    /// Submits a program of this text as a task of alice; its address.
    pub fn submit(&self, text: &str, more: &[&str]) -> Outcome<String> {
        let path = self.directory.path().join("program.wasm");
        std::fs::write(&path, wat::parse_str(text)?)?;
        let program = path.to_str().ok_or("a path")?;
        let line = [&["task", "submit", program, "--yes"], more].concat();
        let submitted = answer(&self.call(PASSPHRASE, &line)?)?;
        Ok(submitted["task"].as_str().ok_or("a task")?.to_owned())
    }

    /// Reads a node's events until one is wanted.
    pub fn await_event(&self, node: usize, wanted: impl Fn(&Value) -> bool) -> Outcome<Value> {
        use std::io::BufRead as _;
        let url = format!("{}/v1/events", self.devnet.node(node)?.base());
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .build();
        let response = ureq::Agent::new_with_config(config).get(url).call()?;
        let lines = std::io::BufReader::new(response.into_body().into_reader()).lines();
        for line in lines {
            let line = line?;
            let Some(event) = line
                .strip_prefix("data: ")
                .and_then(|json| serde_json::from_str(json).ok())
            else {
                continue;
            };
            if wanted(&event) {
                return Ok(event);
            }
        }
        Err("the events ended".into())
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
