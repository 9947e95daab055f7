//! The processes of a devnet.

use super::plan::Plan;
use crate::client::NodeClient;
use crate::config::Fault;
use crate::failure::{Context as _, Failure, Result};
use crate::node_dir::announced_api;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Opens every key file of a devnet.
pub const PASSPHRASE: &str = "devnet";
/// Between two looks at a node that starts or ends.
const POLL: Duration = Duration::from_millis(25);
/// Longest that a node may take to start, or to end when it is asked to.
const START_MAX: Duration = Duration::from_secs(30);

/// How the nodes are run.
#[derive(Debug, Clone)]
pub struct DevnetOptions {
    /// The `frith` program.
    pub program: PathBuf,
    /// Faults by node.
    pub faults: BTreeMap<usize, Fault>,
    /// What the nodes log.
    pub log: String,
}

/// A running devnet. Dropping it kills its processes.
pub struct Devnet {
    plan: Plan,
    options: DevnetOptions,
    children: Vec<Option<Child>>,
    apis: Vec<Option<NodeClient>>,
    bootstrap: Vec<String>,
}

impl Devnet {
    /// Starts all nodes. Node 0 is the one that the others know; they find each other from there.
    ///
    /// # Errors
    /// A node doesn't start; the others are killed then.
    pub fn start(plan: Plan, options: DevnetOptions) -> Result<Self> {
        let nodes = plan.nodes.len();
        let mut devnet = Self {
            plan,
            options,
            children: (0..nodes).map(|_| None).collect(),
            apis: vec![None; nodes],
            bootstrap: Vec::new(),
        };
        devnet.spawn(0)?;
        devnet.await_api(0)?;
        devnet.bootstrap = devnet.node(0)?.status()?.listening;
        for index in 1..nodes {
            devnet.spawn(index)?;
        }
        for index in 1..nodes {
            devnet.await_api(index)?;
        }
        Ok(devnet)
    }

    /// Its directories and genesis.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.children.len()
    }

    /// A node's API.
    ///
    /// # Errors
    /// It doesn't run.
    pub fn node(&self, index: usize) -> Result<&NodeClient> {
        self.apis
            .get(index)
            .and_then(Option::as_ref)
            .ok_or_else(|| Failure::unreachable(format!("node {index} of the devnet doesn't run")))
    }

    /// Where a node's log is.
    #[must_use]
    pub fn log(&self, index: usize) -> PathBuf {
        self.plan
            .nodes
            .get(index)
            .map_or_else(PathBuf::new, |dir| dir.join("log.txt"))
    }

    fn spawn(&mut self, index: usize) -> Result<()> {
        let dir = self
            .plan
            .nodes
            .get(index)
            .ok_or_else(|| Failure::usage(format!("the devnet has no node {index}")))?;
        // A stale address must not be taken for the new one.
        let _missing = std::fs::remove_file(dir.join("api.txt"));
        let log = append(&self.log(index))?;
        let mut command = Command::new(&self.options.program);
        command
            .args([
                "node",
                "run",
                "--api-listen",
                "127.0.0.1:0",
                "--listen",
                "/ip4/127.0.0.1/tcp/0",
                "--until-stdin-closes",
            ])
            .arg("--dir")
            .arg(dir)
            .args(["--log", &self.options.log])
            .env_clear()
            .envs(environment())
            .env("FRITH_PASSPHRASE", PASSPHRASE)
            // Held open: the node ends with this process, however that ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log);
        if !self.bootstrap.is_empty() {
            command.args(["--bootstrap", &self.bootstrap.join(",")]);
        }
        if let Some(fault) = self.options.faults.get(&index) {
            command.args(["--fault", fault.name()]);
        }
        own_group(&mut command);
        let child = command
            .spawn()
            .doing(format!("cannot start {}", self.options.program.display()))?;
        self.children[index] = Some(child);
        self.apis[index] = None;
        Ok(())
    }

    fn await_api(&mut self, index: usize) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(address) = announced_api(&self.plan.nodes[index]) {
                let node = NodeClient::new(&address)?;
                if node.ready().is_ok() {
                    self.apis[index] = Some(node);
                    return Ok(());
                }
            }
            let ended = match self.children[index].as_mut() {
                Some(child) => child.try_wait().doing("cannot watch a node")?,
                None => None,
            };
            if ended.is_some() || Instant::now() >= deadline {
                return Err(Failure::other(format!(
                    "node {index} did not start: {}",
                    self.last_words(index)
                ))
                .advise(format!("see {}", self.log(index).display())));
            }
            std::thread::sleep(POLL);
        }
    }

    /// The last line of a node's log.
    fn last_words(&self, index: usize) -> String {
        let text = std::fs::read_to_string(self.log(index)).unwrap_or_default();
        text.lines().last().unwrap_or("it said nothing").to_owned()
    }

    /// Waits until every running node is ready.
    ///
    /// # Errors
    /// One isn't after `time`; it says why not.
    pub fn await_ready(&self, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        for (index, node) in self.apis.iter().enumerate() {
            let Some(node) = node else { continue };
            loop {
                let ready = node.ready()?;
                if ready.ready {
                    break;
                }
                if Instant::now() >= deadline {
                    return Err(Failure::unreachable(format!(
                        "node {index} is not ready: {}",
                        ready.reasons.join("; ")
                    )));
                }
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// Kills a node with SIGKILL: no goodbye, no sync.
    ///
    /// # Errors
    /// It doesn't run.
    pub fn kill(&mut self, index: usize) -> Result<()> {
        let child = self.children.get_mut(index).and_then(Option::take);
        let mut child = child.ok_or_else(|| Failure::usage(format!("node {index} doesn't run")))?;
        child.kill().doing("cannot kill a node")?;
        child.wait().doing("cannot wait for a node")?;
        self.apis[index] = None;
        Ok(())
    }

    /// Starts a killed node again, on the same directory.
    ///
    /// # Errors
    /// It doesn't start.
    pub fn restart(&mut self, index: usize) -> Result<()> {
        self.spawn(index)?;
        self.await_api(index)
    }

    /// Starts one more node, on a data directory of its network that [`PASSPHRASE`] opens. Its number.
    ///
    /// # Errors
    /// It doesn't start.
    pub fn join(&mut self, dir: PathBuf) -> Result<usize> {
        let index = self.children.len();
        self.plan.nodes.push(dir);
        self.children.push(None);
        self.apis.push(None);
        self.restart(index)?;
        Ok(index)
    }

    /// The process id of a node.
    #[must_use]
    pub fn process(&self, index: usize) -> Option<u32> {
        self.children
            .get(index)
            .and_then(Option::as_ref)
            .map(Child::id)
    }

    /// A node whose process has ended by itself, and how.
    ///
    /// # Errors
    /// The system doesn't tell.
    pub fn ended(&mut self) -> Result<Option<(usize, ExitStatus)>> {
        for index in 0..self.children.len() {
            if let Some(status) = self.status(index)? {
                return Ok(Some((index, status)));
            }
        }
        Ok(None)
    }

    /// How a node's process has ended by itself; `None` while it runs, and when it was never started.
    ///
    /// # Errors
    /// The system doesn't tell.
    pub fn status(&mut self, index: usize) -> Result<Option<ExitStatus>> {
        match self.children.get_mut(index).and_then(Option::as_mut) {
            Some(child) => child.try_wait().doing("cannot watch a node"),
            None => Ok(None),
        }
    }

    /// Waits for the end of a node that ends by itself.
    ///
    /// # Errors
    /// It still runs after `time`.
    pub fn await_end(&mut self, index: usize, time: Duration) -> Result<ExitStatus> {
        let child = self.children.get_mut(index).and_then(Option::as_mut);
        let child = child.ok_or_else(|| Failure::usage(format!("node {index} doesn't run")))?;
        wait(child, Instant::now() + time)?
            .ok_or_else(|| Failure::other(format!("node {index} has not ended by itself")))
    }

    /// Asks every node to end and waits for it.
    ///
    /// # Errors
    /// One had to be killed, or ended with an error.
    pub fn stop(mut self) -> Result<()> {
        let mut failed = Vec::new();
        for child in self.children.iter().flatten() {
            if let Some(pid) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
                // One that is gone already is found out below.
                let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        let deadline = Instant::now() + START_MAX;
        for (index, child) in self.children.iter_mut().enumerate() {
            let Some(mut child) = child.take() else {
                continue;
            };
            match wait(&mut child, deadline)? {
                Some(status) if status.success() => {}
                Some(status) => failed.push(format!("node {index} ended with {status}")),
                None => {
                    child.kill().doing("cannot kill a node")?;
                    child.wait().doing("cannot wait for a node")?;
                    failed.push(format!("node {index} did not end and was killed"));
                }
            }
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(Failure::other(failed.join("; ")))
        }
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            // Nothing is left to do about one that can't be killed.
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

fn wait(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait().doing("cannot watch a node")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

/// This process's environment without settings of Frith: a devnet has its own.
#[must_use]
pub fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"FRITH_"))
        .collect()
}

/// A process group of its own, so that an interrupt from the terminal reaches the devnet, which then ends
/// its nodes in order.
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

fn append(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| Failure::file("open", path, error))
}
