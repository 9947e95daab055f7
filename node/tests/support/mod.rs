//! A devnet of four real processes, and the `frith` program against it.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "a module of test programs")]

use frith::config::Fault;
use frith::devnet::{Devnet, DevnetOptions, PASSPHRASE, Plan, PlanOptions, environment, plan};
use frith::views::StatusView;
use frith_ledger::parameters::Parameters;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

pub mod line;

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
    frith_with(home, api, &[("FRITH_PASSPHRASE", passphrase)], b"", args)
}

/// Calls `frith --json` with these variables of its own and this standard input.
pub fn frith_with(
    home: &Path,
    api: &str,
    variables: &[(&str, &str)],
    input: &[u8],
    args: &[&str],
) -> Outcome<Output> {
    let mut child = Command::new(program())
        .args(["--json", "--api", api])
        .args(args)
        .env_clear()
        .envs(environment())
        .env("FRITH_HOME", home)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("a standard input")?;
    // A command that doesn't read it may have ended by now.
    let _unread = stdin.write_all(input);
    drop(stdin);
    Ok(child.wait_with_output()?)
}

/// What a failed call must say: its exit code, its code, this part of its message, and what to do.
pub fn check_refused(output: &Output, exit: i32, code: &str, part: &str) -> Outcome {
    let (found, said) = error(output)?;
    assert_eq!(
        (found, &said["error"]["code"]),
        (Some(exit), &Value::from(code)),
        "{said}"
    );
    let message = said["error"]["message"].as_str().ok_or("a message")?;
    assert!(message.contains(part), "{part:?} in {said}");
    assert!(said["error"]["advice"].is_string(), "what to do: {said}");
    Ok(())
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

/// A failed call's exit code and its last word; before it stands what it did on the way.
pub fn error(output: &Output) -> Outcome<(Option<i32>, Value)> {
    let said = said(output)?;
    let last = said.last().cloned().ok_or("it said nothing")?;
    Ok((output.status.code(), last))
}

/// What a call said on standard error, one value a line.
pub fn said(output: &Output) -> Outcome<Vec<Value>> {
    let text = std::str::from_utf8(&output.stderr)?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

/// So much time for commits and reveals that no honest worker is late on a busy machine. Who is there ends a window early.
pub fn long_windows(parameters: &mut Parameters) {
    (parameters.commit_epochs, parameters.reveal_epochs) = (30, 30);
}

/// The directories of a devnet of so many nodes, with these lines in their settings and changed parameters.
pub fn planned(
    dir: &Path,
    nodes: u16,
    settings: &str,
    change: impl FnOnce(&mut Parameters),
) -> Outcome<Plan> {
    let options = PlanOptions {
        nodes,
        dir: dir.to_owned(),
        epoch_ms: 1000,
        time_ms: 0,
    };
    let mut planned = plan(&options)?;
    change(&mut planned.genesis.parameters);
    let genesis = serde_json::to_string(&planned.genesis)?;
    for dir in planned.nodes.iter().chain([&planned.home]) {
        std::fs::write(dir.join("genesis.json"), &genesis)?;
    }
    for dir in &planned.nodes {
        let path = dir.join("config.toml");
        let text = std::fs::read_to_string(&path)?;
        std::fs::write(&path, format!("{text}\n{settings}"))?;
    }
    Ok(planned)
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
        Self::start_by(nodes, faults, settings, |_| {})
    }

    /// The same with other parameters than a devnet's.
    pub fn start_by(
        nodes: u16,
        faults: BTreeMap<usize, Fault>,
        settings: &str,
        change: impl FnOnce(&mut Parameters),
    ) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let planned = planned(directory.path(), nodes, settings, change)?;
        let home = planned.home.clone();
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
    pub fn await_event(
        &self,
        node: usize,
        mut wanted: impl FnMut(&Value) -> bool,
    ) -> Outcome<Value> {
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

    /// Waits until a node's status is as wanted; looks after every root record.
    pub fn await_status(
        &self,
        node: usize,
        wanted: impl Fn(&StatusView) -> bool,
    ) -> Outcome<StatusView> {
        let mut found = self.devnet.node(node)?.status()?;
        let mut failed = None;
        if !wanted(&found) {
            self.await_event(node, |event| {
                if event["event"] != "root" {
                    return false;
                }
                match self.devnet.node(node).and_then(|node| node.status()) {
                    Ok(status) => found = status,
                    Err(error) => failed = Some(error),
                }
                failed.is_some() || wanted(&found)
            })?;
        }
        failed.map_or(Ok(found), |error| Err(error.into()))
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
