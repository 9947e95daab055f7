//! `frith wallet`.

use super::{WaitArgs, absolute};
use crate::config::Engine;
use clap::{Args, Subcommand};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use std::path::PathBuf;

/// `frith wallet`
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// A balance, checked by its proof against the genesis.
    Balance {
        /// Whose; yours when it is missing.
        address: Option<Address>,
        /// Keep the proof in this file, for `proof verify`.
        #[arg(long, value_name = "FILE")]
        save_proof: Option<PathBuf>,
        /// Accept only a proof that leads to the root of this epoch or a later one.
        #[arg(long, value_name = "EPOCH")]
        since: Option<u64>,
    },
    /// Send credits.
    Send {
        /// To whom; an account begins where there is none.
        to: Address,
        /// How many credits: 12 or 0.5.
        amount: Credits,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
        /// How long to wait.
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// What an account did and got, newest first. The list is the node's word; the balance is proven.
    History {
        /// Whose; yours when it is missing.
        address: Option<Address>,
        /// How many entries.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Begin where an earlier answer ended.
        #[arg(long, value_name = "PLACE")]
        before: Option<String>,
    },
    /// Operations that were sent from here and whose end wasn't told, and what became of one.
    Operation(OperationArgs),
    /// Stake credits on a worker: registers it, or adds to its stake.
    Stake(StakeArgs),
    /// Change what a worker offers. It counts some epochs later (8 unless the genesis says otherwise).
    Terms(TermsArgs),
    /// Put another key in force for a worker. It keeps its seat and its stake.
    RotateWorker(RotateWorkerArgs),
    /// Take collateral of a worker back. Its stake returns with `node leave`.
    Unstake {
        /// How many credits.
        collateral: Credits,
        /// The worker's seat, when the account has several.
        #[arg(long)]
        seat: Option<Address>,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
        /// How long to wait.
        #[command(flatten)]
        wait: WaitArgs,
    },
}

/// `frith wallet operation`
#[derive(Debug, Args)]
pub struct OperationArgs {
    /// The operation's id; all that are under way when it is missing.
    pub id: Option<String>,
    /// Send the same signed operation again, unless it is over.
    #[arg(long, requires = "id")]
    pub repeat: bool,
    /// Forget it here, whatever became of it.
    #[arg(long, requires = "id", conflicts_with = "repeat")]
    pub forget: bool,
    /// How long to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// `frith wallet stake`
#[derive(Debug, Args)]
pub struct StakeArgs {
    /// Credits of stake: weight in votes and draws.
    #[arg(long, default_value = "0")]
    pub stake: Credits,
    /// Credits of collateral: bonds of tasks are taken from it.
    #[arg(long, default_value = "0")]
    pub collateral: Credits,
    /// Register the worker of this data directory (it must be on this machine).
    #[arg(long, value_name = "DIR", value_parser = absolute(), conflicts_with_all = ["consent", "seat"])]
    pub worker_dir: Option<PathBuf>,
    /// Register the worker that signed this consent (`node consent --json`).
    #[arg(long, value_name = "FILE", conflicts_with = "seat")]
    pub consent: Option<PathBuf>,
    /// Add to the worker at this seat.
    #[arg(long)]
    pub seat: Option<Address>,
    /// What the worker offers.
    #[command(flatten)]
    pub offer: OfferArgs,
    /// Do it without asking.
    #[arg(long)]
    pub yes: bool,
    /// How long to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// What a worker offers. What isn't said is taken from the worker's directory where one is named.
#[derive(Debug, Args)]
pub struct OfferArgs {
    /// Least price that the worker takes, in credits for 1,000,000 fuel [default: 0.0001, or as it is]
    #[arg(long)]
    pub price: Option<Credits>,
    /// Engines that the worker offers [default: as the worker's settings, else both, or as it is]
    #[arg(long, value_delimiter = ',', value_name = "ENGINE")]
    pub engines: Option<Vec<Engine>>,
    /// Tasks that the worker holds at once; no more than `slots` of its settings, or it comes too late with
    /// some [default: as the worker's settings, else 2, or as it is]
    #[arg(long)]
    pub slots: Option<u8>,
}

/// `frith wallet terms`
#[derive(Debug, Args)]
pub struct TermsArgs {
    /// What the worker offers from then on.
    #[command(flatten)]
    pub offer: OfferArgs,
    /// Take engines and slots from the settings of this data directory.
    #[arg(long, value_name = "DIR", value_parser = absolute())]
    pub worker_dir: Option<PathBuf>,
    /// The worker's seat, when the account has several.
    #[arg(long)]
    pub seat: Option<Address>,
    /// Do it without asking.
    #[arg(long)]
    pub yes: bool,
    /// How long to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// `frith wallet rotate-worker`
#[derive(Debug, Args)]
pub struct RotateWorkerArgs {
    /// The data directory of the new key, made by `node init` (it must be on this machine).
    #[arg(
        long,
        value_name = "DIR", value_parser = absolute(),
        conflicts_with = "consent",
        required_unless_present = "consent"
    )]
    pub worker_dir: Option<PathBuf>,
    /// The consent that the new key signed (`node consent --json`).
    #[arg(long, value_name = "FILE")]
    pub consent: Option<PathBuf>,
    /// The worker's seat, when the account has several.
    #[arg(long)]
    pub seat: Option<Address>,
    /// Do it without asking.
    #[arg(long)]
    pub yes: bool,
    /// How long to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
}
