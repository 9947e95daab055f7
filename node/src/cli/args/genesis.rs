//! `frith genesis`.

use super::{OfferArgs, absolute};
use clap::{Args, Subcommand, ValueEnum};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::hash::Hash;
use frith_ledger::parameters::Parameters;
use std::path::PathBuf;

/// `frith genesis`
#[derive(Debug, Subcommand)]
pub enum GenesisCommand {
    /// Make a founder's worker key, and print the entry that `genesis new` takes.
    Worker(FounderArgs),
    /// Make the genesis file of a new network, of the founders' entries and funded accounts.
    New(FoundArgs),
}

/// `frith genesis worker`
#[derive(Debug, Args)]
pub struct FounderArgs {
    /// The data directory to make; with a founder's key in it the same entry is made again.
    #[arg(long, env = "FRITH_DIR", value_name = "DIR", value_parser = absolute())]
    pub dir: PathBuf,
    /// The account that gets the worker's pay and, in the end, its stake.
    #[arg(long)]
    pub account: Address,
    /// Credits of stake: weight in votes and draws.
    #[arg(long)]
    pub stake: Credits,
    /// Credits of collateral: bonds of tasks are taken from it.
    #[arg(long)]
    pub collateral: Credits,
    /// What the worker offers.
    #[command(flatten)]
    pub offer: OfferArgs,
    /// Take the worker's phrase from FRITH_KEY_PHRASE or the terminal, instead of making one.
    #[arg(long)]
    pub import: bool,
    /// Take a phrase that is easy to guess.
    #[arg(long, requires = "import")]
    pub weak_passphrase: bool,
}

/// `frith genesis new`
#[derive(Debug, Args)]
pub struct FoundArgs {
    /// The network's name, for people.
    #[arg(long)]
    pub name: String,
    /// The parameters that all nodes agree on.
    #[arg(long, value_enum, default_value = "mainnet")]
    pub preset: Preset,
    /// Length of an epoch in ms [default: the preset's]
    #[arg(long, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub epoch_ms: Option<u64>,
    /// An account that begins with credits; repeat for more.
    #[arg(long = "account", value_name = "ADDRESS=CREDITS")]
    pub accounts: Vec<Funded>,
    /// A founder's entry, as `genesis worker --json` prints it; repeat for more.
    #[arg(long = "worker", value_name = "FILE", required = true)]
    pub workers: Vec<PathBuf>,
    /// The first beacon, 32 bytes in hexadecimal; it draws the founders' seats [default: random]
    #[arg(long, value_name = "HEX", value_parser = Hash::from_hex)]
    pub beacon: Option<Hash>,
    /// The file to write; must not exist.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// An account and what it begins with.
#[derive(Debug, Clone, Copy)]
pub struct Funded {
    /// The account.
    pub address: Address,
    /// Its first balance.
    pub balance: Credits,
}

impl std::str::FromStr for Funded {
    type Err = String;

    /// As typed: `frith1…=1000`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, balance) = text
            .split_once('=')
            .ok_or("no '='; it looks like frith1…=1000")?;
        Ok(Self {
            address: address
                .parse()
                .map_err(|error| format!("{address:?}: {error}"))?,
            balance: balance
                .parse()
                .map_err(|error| format!("{balance:?}: {error}"))?,
        })
    }
}

/// Parameters for a kind of network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// A network of strangers: epochs of 10 s, a stake of 1,000, two weeks of unbonding.
    Mainnet,
    /// A few nodes: epochs of 1 s, a stake of 100, half a minute of unbonding.
    Devnet,
}

impl Preset {
    /// The parameters.
    #[must_use]
    pub const fn parameters(self) -> Parameters {
        match self {
            Self::Mainnet => Parameters::mainnet(),
            Self::Devnet => Parameters::devnet(),
        }
    }
}
