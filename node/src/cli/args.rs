//! What can be typed.

use crate::config::{Engine, Fault, LogFormat};
use crate::views::Finality;
use clap::{Args, Parser, Subcommand};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Frith: a decentralized compute-and-storage ledger. One program: node, wallet, task client.
#[derive(Debug, Parser)]
#[command(name = "frith", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// Answer in JSON, also for errors.
    #[arg(long, global = true)]
    pub json: bool,
    /// What most commands share.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 node unreachable or not ready, \
5 a proof does not hold.\nPassphrases come from FRITH_PASSPHRASE, FRITH_PASSPHRASE_FILE or the terminal, never from \
the command line.";

/// Options that most commands share.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Your directory: keys, trusted genesis, defaults [default: ~/.frith]
    #[arg(long, global = true, env = "FRITH_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// The node to ask [default: http://127.0.0.1:4280]
    #[arg(long, global = true, env = "FRITH_API", value_name = "URL")]
    pub api: Option<String>,
    /// The network's genesis file, which answers are checked from [default: genesis.json in your directory]
    #[arg(long, global = true, env = "FRITH_GENESIS", value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// The key to use, by its name [default: the only one]
    #[arg(long, global = true, env = "FRITH_KEY", value_name = "NAME")]
    pub key: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, import and show keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Run a node, or ask one how it does.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Price, submit and follow tasks.
    #[command(subcommand)]
    Task(TaskCommand),
    /// Balances, payments, stakes.
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Look at blocks.
    #[command(subcommand)]
    Block(BlockCommand),
    /// Check proofs without asking anyone.
    #[command(subcommand)]
    Proof(ProofCommand),
    /// Run a whole network of real nodes on this machine, for trying out.
    Devnet(DevnetArgs),
    /// Show everything on a devnet of its own, and check it.
    #[command(hide = true)]
    Demo(DemoArgs),
}

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
    },
    /// Show a key's address, or all keys'. Needs no passphrase.
    Show {
        /// The key's name; all when it is missing.
        name: Option<String>,
    },
}

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
    },
    /// Sign the consent of this node's worker to be registered by an account (see `wallet stake`).
    Consent {
        /// The node's data directory.
        #[arg(long, value_name = "DIR")]
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
    #[arg(long, env = "FRITH_DIR", value_name = "DIR")]
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
}

/// `frith node run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The node's data directory.
    #[arg(long, env = "FRITH_DIR", value_name = "DIR")]
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

/// What a task asks for.
#[derive(Debug, Clone, Args)]
pub struct SpecArgs {
    /// The program: a WebAssembly module of the WASI preview 1 kind.
    pub program: PathBuf,
    /// A file with the program's standard input (`-`: this command's) [default: empty]
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// An argument of the program; repeat for more.
    #[arg(long = "arg", value_name = "TEXT", allow_hyphen_values = true)]
    pub args: Vec<String>,
    /// An environment entry, NAME=value; repeat for more.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Most fuel that a run may use.
    #[arg(long, default_value_t = 1_000_000_000)]
    pub fuel: u64,
    /// Credits for 1,000,000 fuel of each replica.
    #[arg(long, default_value = "0.001")]
    pub price: Credits,
    /// How many workers run it; their results must be equal.
    #[arg(long, default_value_t = 3)]
    pub replicas: u8,
    /// Most memory, in pages of 64 KiB [default: what the network allows]
    #[arg(long)]
    pub memory_pages: Option<u32>,
    /// Most bytes of the result.
    #[arg(long, default_value_t = 1 << 20)]
    pub result_max: u32,
    /// Epochs from now within which workers must be found.
    #[arg(long, default_value_t = 20)]
    pub deadline: u64,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, Args)]
pub struct WaitArgs {
    /// How sure it must be: `pending` (taken), `local` (committed), `final` (under a committed root).
    #[arg(long, value_enum, default_value = "local", value_name = "HOW_SURE")]
    pub wait: Finality,
    /// Longest wait, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub timeout: u64,
}

/// `frith task`
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// What a task can cost at most. Nothing is signed.
    Quote(SpecArgs),
    /// Submit a task: shows the most that it can cost, and asks on a terminal.
    Submit {
        /// The task.
        #[command(flatten)]
        spec: SpecArgs,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
        /// Submit a module that workers will refuse. They are paid for refusing it.
        #[arg(long)]
        unchecked: bool,
        /// How sure the submission must be; `final` waits for the task's result under a committed root.
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Where a task is in its life: who ran it, on which engine, what it paid.
    Status {
        /// The task's address.
        task: String,
        /// Wait until it has ended, at most for so many seconds.
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u64>,
    },
    /// A task's result, checked by its proof.
    Result {
        /// The task's address.
        task: Address,
        /// Write it here instead of to standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Longest wait for the proof, in seconds.
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        timeout: u64,
    },
    /// Your tasks, newest first.
    List {
        /// Everybody's.
        #[arg(long)]
        all: bool,
    },
    /// Take a task back before it is drawn.
    Cancel {
        /// The task's address.
        task: Address,
        /// How long to wait.
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Run a program on this machine as a worker would. Nothing is sent anywhere.
    Run {
        /// Needed: a task elsewhere is `task submit`.
        #[arg(long, required = true)]
        local: bool,
        /// The task.
        #[command(flatten)]
        spec: SpecArgs,
        /// The engine.
        #[arg(long, value_enum, default_value = "wasmtime")]
        engine: Engine,
        /// Write the result here instead of to standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

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
    /// Stake credits on a worker: registers it, or adds to its stake.
    Stake(StakeArgs),
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
    #[arg(long, value_name = "DIR", conflicts_with_all = ["consent", "seat"])]
    pub worker_dir: Option<PathBuf>,
    /// Register the worker that signed this consent (`node consent --json`).
    #[arg(long, value_name = "FILE", conflicts_with = "seat")]
    pub consent: Option<PathBuf>,
    /// Add to the worker at this seat.
    #[arg(long)]
    pub seat: Option<Address>,
    /// Least price that the worker takes, in credits for 1,000,000 fuel.
    #[arg(long, default_value = "0.0001")]
    pub price: Credits,
    /// Engines that the worker offers.
    #[arg(long, value_delimiter = ',', default_value = "wasmtime,wasmi")]
    pub engines: Vec<Engine>,
    /// Tasks that the worker holds at once.
    #[arg(long, default_value_t = 8)]
    pub slots: u8,
    /// Do it without asking.
    #[arg(long)]
    pub yes: bool,
    /// How long to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// `frith block`
#[derive(Debug, Subcommand)]
pub enum BlockCommand {
    /// Show a block.
    Show {
        /// Its height, or `latest`.
        #[arg(default_value = "latest")]
        height: String,
    },
}

/// `frith proof`
#[derive(Debug, Subcommand)]
pub enum ProofCommand {
    /// Check a saved proof against the genesis file. Asks no node.
    Verify {
        /// The file that `wallet balance --save-proof` wrote.
        file: PathBuf,
    },
}

/// `frith devnet`
#[derive(Debug, Clone, Args)]
pub struct DevnetArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 4)]
    pub nodes: u16,
    /// Where to put them; must be empty or a devnet's [default: a new temporary directory]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Start node i with a fault: `2=wrong-result`. Repeat for more.
    #[arg(long = "fault", value_name = "NODE=FAULT")]
    pub faults: Vec<String>,
    /// Length of an epoch in ms.
    #[arg(long, default_value_t = 1000)]
    pub epoch_ms: u64,
}

/// `frith demo`
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Where the example programs are, as .wasm files.
    #[arg(long, value_name = "DIR")]
    pub programs: PathBuf,
    /// Where pictures and logs are left.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn check(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(line.split_ascii_whitespace()).map_err(|error| error.kind())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_documentation_parses() {
        let address = Address([7; 32]).to_string();
        for line in [
            "frith key new",
            "frith key import spare --weak-passphrase",
            "frith key show --json",
            "frith node init --dir d --genesis g.json --bootstrap /ip4/1.2.3.4/tcp/4200",
            "frith node run --dir d --api-listen 127.0.0.1:0 --engines wasmi --fault wrong-result",
            "frith --json node status",
            "frith node leave --yes",
            "frith task quote p.wasm --fuel 5 --price 0.5",
            "frith task submit p.wasm --input - --arg n=1 --arg -x --env A=b --replicas 3 --yes --wait final",
            "frith task run --local p.wasm --engine wasmi",
            "frith task list --all",
            "frith wallet balance --save-proof p.json",
            "frith wallet stake --worker-dir d --stake 100 --collateral 10",
            "frith wallet unstake 5",
            "frith block show 12",
            "frith proof verify p.json --genesis g.json",
            "frith devnet --nodes 5 --fault 4=wrong-result",
        ] {
            assert!(check(line).is_ok(), "{line}: {:?}", check(line).err());
        }
        for line in [
            "frith task status X",
            "frith task result X -o f",
            "frith wallet send X 0.25 --yes --wait final",
        ] {
            let line = line.replace('X', &address);
            assert!(check(&line).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        use clap::error::ErrorKind;
        assert_eq!(
            check("frith task run p.wasm").err(),
            Some(ErrorKind::MissingRequiredArgument)
        );
        assert_eq!(
            check("frith wallet send here 5").err(),
            Some(ErrorKind::ValueValidation)
        );
        assert_eq!(
            check("frith wallet send").err(),
            Some(ErrorKind::MissingRequiredArgument)
        );
        let address = Address([7; 32]);
        assert_eq!(
            check(&format!("frith wallet send {address} 0.0000001")).err(),
            Some(ErrorKind::ValueValidation)
        );
        assert_eq!(
            check("frith node run --dir d --fault lazy").err(),
            Some(ErrorKind::InvalidValue)
        );
    }
}
