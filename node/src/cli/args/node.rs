//! `frith node`.

use super::absolute;
use crate::config::{Engine, Fault, LogFormat};
use clap::{Args, Subcommand};
use frith_ledger::address::Address;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `frith node`
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Make a data directory: worker key, genesis, configuration.
    Init(InitArgs),
    /// Run the node.
    Run(Box<RunArgs>),
    /// How a node does, on one screen.
    Status,
    /// End your worker: its stake returns after the unbonding time.
    Leave {
        /// The worker's seat, when the account has several.
        #[arg(long)]
        seat: Option<Address>,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
        /// Send it also when an equal command's operation may be under way.
        #[arg(long)]
        again: bool,
    },
    /// Back a node up, also while it runs: key, genesis, settings, and a report of what it signed.
    Backup {
        /// The node's data directory.
        #[arg(long, env = "FRITH_DIR", value_name = "DIR", value_parser = absolute())]
        dir: PathBuf,
        /// The file to write; must not exist.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a data directory of a backup. The node asks the others what it signed before it votes.
    Restore {
        /// The file that `node backup` wrote.
        file: PathBuf,
        /// The data directory to make.
        #[arg(long, env = "FRITH_DIR", value_name = "DIR", value_parser = absolute())]
        dir: PathBuf,
    },
    /// The record of what a node signed.
    #[command(subcommand)]
    Safety(SafetyCommand),
    /// Sign the consent of this node's worker to be registered by an account (see `wallet stake`).
    Consent {
        /// The node's data directory.
        #[arg(long, value_name = "DIR", value_parser = absolute())]
        dir: PathBuf,
        /// The account that will register it.
        #[arg(long)]
        account: Address,
        /// The account's next nonce (`wallet balance` shows it).
        #[arg(long)]
        nonce: u64,
    },
}

/// `frith node init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The data directory to make.
    #[arg(long, env = "FRITH_DIR", value_name = "DIR", value_parser = absolute())]
    pub dir: PathBuf,
    /// Peers to begin with, as multiaddresses.
    #[arg(long, value_delimiter = ',', value_name = "ADDR")]
    pub bootstrap: Vec<String>,
    /// Take the worker's phrase from FRITH_KEY_PHRASE or the terminal, instead of making one.
    #[arg(long)]
    pub import: bool,
    /// Take a phrase that is easy to guess.
    #[arg(long, requires = "import")]
    pub weak_passphrase: bool,
    /// The network begins now, and this key has never run: a worker of the genesis then votes when the others know of
    /// nothing yet. Without it a node with an imported key asks first what the key has signed.
    #[arg(long, requires = "import")]
    pub new_network: bool,
}

/// `frith node run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The node's data directory.
    #[arg(long, env = "FRITH_DIR", value_name = "DIR", value_parser = absolute())]
    pub dir: PathBuf,
    /// Where to listen for peers [env: FRITH_LISTEN]
    #[arg(long, value_delimiter = ',', value_name = "ADDR")]
    pub listen: Option<Vec<String>>,
    /// Where others reach this node [env: FRITH_EXTERNAL]
    #[arg(long, value_delimiter = ',', value_name = "ADDR")]
    pub external: Option<Vec<String>>,
    /// Peers to begin with [env: FRITH_BOOTSTRAP]
    #[arg(long, value_delimiter = ',', value_name = "ADDR")]
    pub bootstrap: Option<Vec<String>>,
    /// Where the HTTP API listens; port 0 lets the system choose [env: FRITH_API_LISTEN]
    #[arg(long, value_name = "IP:PORT")]
    pub api_listen: Option<SocketAddr>,
    /// Let the API listen where others reach it. It has neither passwords nor encryption [env: FRITH_API_PUBLIC]
    #[arg(long)]
    pub api_public: bool,
    /// Engines that tasks are run on [env: FRITH_ENGINES]
    #[arg(long, value_delimiter = ',', value_name = "ENGINE")]
    pub engines: Option<Vec<Engine>>,
    /// Tasks run at one time [env: FRITH_SLOTS]
    #[arg(long)]
    pub slots: Option<u8>,
    /// What is logged: info, frith=debug,warn [env: FRITH_LOG]
    #[arg(long)]
    pub log: Option<String>,
    /// The log's form [env: FRITH_LOG_FORMAT]
    #[arg(long)]
    pub log_format: Option<LogFormat>,
    /// Misbehave on purpose, for demonstrations on a devnet. Loses money.
    #[arg(long)]
    pub fault: Option<Fault>,
    /// End when standard input closes: who started the node is gone.
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
    /// Print the settings and where each comes from, and end.
    #[arg(long)]
    pub show_config: bool,
}

/// `frith node safety`
#[derive(Debug, Subcommand)]
pub enum SafetyCommand {
    /// Show what a node has signed, also while it runs. A report: no node takes it for its own record.
    Export {
        /// The node's data directory.
        #[arg(long, env = "FRITH_DIR", value_name = "DIR", value_parser = absolute())]
        dir: PathBuf,
        /// Write it here instead of to standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Declare the record lost, as must be done to a copy of a data directory before a node starts on it.
    Forget {
        /// The node's data directory. No node may run on it.
        #[arg(long, env = "FRITH_DIR", value_name = "DIR", value_parser = absolute())]
        dir: PathBuf,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
    },
}
