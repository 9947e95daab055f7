//! `frith key`, `frith config`, `frith doctor`, `frith bench`: this machine and what is on it.

use super::{WaitArgs, absolute};
use clap::{Args, Subcommand};
use frith_ledger::address::Address;
use std::path::PathBuf;

/// `frith key`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new key: prints its 24 words once, and keeps it encrypted.
    New {
        /// The key's name on this machine.
        #[arg(default_value = "main")]
        name: String,
    },
    /// Import a key from its phrase (FRITH_KEY_PHRASE, FRITH_KEY_PHRASE_FILE or the terminal).
    Import {
        /// The key's name on this machine.
        #[arg(default_value = "main")]
        name: String,
        /// Take a phrase that is easy to guess. Whoever guesses it has your money.
        #[arg(long)]
        weak_passphrase: bool,
        /// The account that the key signs for, if `key rotate` put it in the place of another.
        #[arg(long, value_name = "ADDRESS")]
        account: Option<Address>,
    },
    /// Put a new key in force for the account of --key: from then on only the new one signs for it.
    Rotate {
        /// The new key's name on this machine.
        name: String,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
        /// How long to wait.
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Show a key's address, or all keys'. Needs no passphrase.
    Show {
        /// The key's name; all when it is missing.
        name: Option<String>,
    },
    /// Unlock a key until a time is over: an agent signs with it then, and no command asks for its passphrase.
    Unlock {
        /// The key's name [default: as --key, else the only one]
        name: Option<String>,
        /// Seconds until the agent forgets the key.
        #[arg(long, default_value_t = 3600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=604_800))]
        timeout: u64,
    },
    /// Lock a key again: its agent forgets it and ends.
    Lock {
        /// The key's name; all unlocked ones when it is missing.
        name: Option<String>,
    },
    /// The agent itself: takes the key from standard input.
    #[command(hide = true)]
    Agent,
}

/// `frith config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show your settings, and with --dir a node's.
    Show {
        /// Say where each comes from: option, environment, file or default.
        #[arg(long)]
        origin: bool,
        /// A node's data directory.
        #[arg(long, env = "FRITH_DIR", value_name = "DIR", value_parser = absolute())]
        dir: Option<PathBuf>,
    },
}

/// `frith doctor`
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// A node's data directory; without it only your own directory and the node at --api are checked.
    #[arg(long, env = "FRITH_DIR", value_name = "DIR", value_parser = absolute())]
    pub dir: Option<PathBuf>,
}

/// `frith bench`
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Where the disk is measured [default: a node's directory as FRITH_DIR says, else the current one]
    #[arg(long, env = "FRITH_DIR", value_name = "DIR", value_parser = absolute())]
    pub dir: Option<PathBuf>,
    /// Credits for 10⁶ fuel [default: what the network's tasks and workers ask for]
    #[arg(long)]
    pub price: Option<frith_ledger::credits::Credits>,
    /// Tasks at one time [default: one a core]
    #[arg(long)]
    pub slots: Option<u8>,
    /// Seconds for all of it, about.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(5..=300))]
    pub seconds: u64,
}
