//! What can be typed.

mod genesis;
mod machine;
mod node;
mod task;
mod wallet;

pub(super) use genesis::{FoundArgs, FounderArgs, GenesisCommand};
pub(super) use machine::{BenchArgs, ConfigCommand, DoctorArgs, KeyCommand};
pub(super) use node::{InitArgs, NodeCommand, RunArgs, SafetyCommand};
pub(super) use task::{SpecArgs, TaskCommand};
pub(super) use wallet::{
    OfferArgs, OperationArgs, RotateWorkerArgs, StakeArgs, TermsArgs, WalletCommand,
};

use crate::client::CheckpointId;
use crate::config::Origin;
use crate::views::Finality;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::collections::BTreeMap;
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

/// Under every command's help, and in every manual page.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 node unreachable or not ready, \
5 a proof does not hold, 6 another process runs with the node's key, 7 the program of a task or of a local run ended \
otherwise than with exit status 0, 8 an operation was sent and may have been taken, 9 the node halted.\nPassphrases come from FRITH_PASSPHRASE, \
FRITH_PASSPHRASE_FILE, an unlocked agent (`frith key unlock`) or the terminal, never from the command line; a worker's also from \
FRITH_WORKER_PASSPHRASE and FRITH_WORKER_PASSPHRASE_FILE.";

/// The command line as clap knows it, with the exit codes under every command's help.
pub(super) fn command() -> clap::Command {
    fn explained(command: clap::Command) -> clap::Command {
        command.after_help(EXIT_CODES).mut_subcommands(explained)
    }
    explained(Cli::command())
}

/// Parses a command line, and remembers where the shared options came from.
///
/// # Errors
/// What clap says: wrong usage, or that help was asked for.
pub(super) fn parse<T: Into<std::ffi::OsString> + Clone>(
    line: impl IntoIterator<Item = T>,
) -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(line)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    cli.common.origins = origins(&matches);
    Ok(cli)
}

/// Reads a folder's path, or one that outlives the command, as an absolute one: agents, nodes and the processes that run
/// tasks work in other directories than the shell that the path was typed in.
fn absolute() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(std::path::absolute)
}

fn origins(matches: &ArgMatches) -> BTreeMap<&'static str, Origin> {
    let shared = ["home", "api", "genesis", "key"];
    let origin = |name: &'static str| match matches.value_source(name)? {
        ValueSource::CommandLine => Some((name, Origin::Option)),
        ValueSource::EnvVariable => Some((name, Origin::Environment)),
        _ => None,
    };
    shared.into_iter().filter_map(origin).collect()
}

/// Options that most commands share.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Your directory: keys, trusted genesis, defaults [default: ~/.frith]
    #[arg(long, global = true, env = "FRITH_HOME", value_name = "DIR", value_parser = absolute())]
    pub home: Option<PathBuf>,
    /// The node to ask; more, behind commas, stand in while an operation is under way [default: http://127.0.0.1:4280]
    #[arg(
        long,
        global = true,
        env = "FRITH_API",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub api: Vec<String>,
    /// The network's genesis file, which answers are checked from [default: genesis.json in your directory]
    #[arg(long, global = true, env = "FRITH_GENESIS", value_name = "FILE", value_parser = absolute())]
    pub genesis: Option<PathBuf>,
    /// The key to use, by its name [default: the only one]
    #[arg(long, global = true, env = "FRITH_KEY", value_name = "NAME")]
    pub key: Option<String>,
    /// Check answers from the genesis alone, whatever this directory has verified before. See `frith checkpoint`
    #[arg(long, global = true)]
    pub from_genesis: bool,
    /// Which of these came from the command line, and which from the environment.
    #[arg(skip)]
    pub origins: BTreeMap<&'static str, Origin>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, import, show, unlock and lock keys.
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
    /// Found a network of your own.
    #[command(subcommand)]
    Genesis(GenesisCommand),
    /// Check proofs without asking anyone.
    #[command(subcommand)]
    Proof(ProofCommand),
    /// How far this directory has verified a network: show it to others, or go by theirs.
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Settings, and where each of them comes from.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check this machine, a data directory and the node: what is wrong, and what to do about it.
    Doctor(DoctorArgs),
    /// Measure this machine: what it would earn.
    Bench(BenchArgs),
    /// Run a whole network of real nodes on this machine, for trying out.
    Devnet(DevnetArgs),
    /// Print the completions of a shell: `frith completions bash > ~/.local/share/bash-completion/completions/frith`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page; with --out, write the pages of all commands.
    Man {
        /// The directory to write them to: /usr/share/man/man1, say.
        #[arg(long, value_name = "DIR", value_parser = absolute())]
        out: Option<PathBuf>,
    },
    /// Show everything on a devnet of its own, and check it.
    #[command(hide = true)]
    Demo(DemoArgs),
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
    /// Send it also when an equal command's operation may be under way. Without it that one is asked for, and sent again
    /// until its fate is known.
    #[arg(long)]
    pub again: bool,
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

/// `frith checkpoint`
#[derive(Debug, Subcommand)]
pub enum CheckpointCommand {
    /// Follow the network as far as the node shows, and print the checkpoint: by its id others can go on from here.
    Show {
        /// Print what was verified last, however old. Asks no node.
        #[arg(long)]
        kept: bool,
    },
    /// Go by the checkpoint of somebody you trust, instead of what was verified here before.
    Take {
        /// Its id, as `checkpoint show` prints it where they are.
        id: CheckpointId,
    },
}

/// `frith devnet`
#[derive(Debug, Clone, Args)]
pub struct DevnetArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 4)]
    pub nodes: u16,
    /// Where to put them; must be empty or a devnet's [default: a new temporary directory]
    #[arg(long, value_name = "DIR", value_parser = absolute())]
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
    #[arg(long, value_name = "DIR", value_parser = absolute())]
    pub programs: PathBuf,
    /// Where pictures and logs are left.
    #[arg(long, value_name = "DIR", value_parser = absolute())]
    pub out: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::address::Address;

    fn check(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        parse(line.split_ascii_whitespace()).map_err(|error| error.kind())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_command_of_the_documentation_parses() {
        let address = Address([7; 32]).to_string();
        for line in [
            "frith key new",
            "frith key import spare --weak-passphrase",
            "frith key show --json",
            "frith key unlock main --timeout 60",
            "frith key lock",
            "frith key rotate second --yes --wait final",
            "frith config show --origin --dir d",
            "frith doctor --dir d --json",
            "frith bench --price 0.002 --slots 2",
            "frith completions zsh",
            "frith man --out d",
            "frith node init --dir d --genesis g.json --bootstrap /ip4/1.2.3.4/tcp/4200",
            "frith node run --dir d --api-listen 127.0.0.1:0 --engines wasmi --fault wrong-result",
            "frith --json node status",
            "frith node leave --yes",
            "frith node backup --dir d --out f",
            "frith node restore f --dir d",
            "frith node safety export --dir d --json",
            "frith node safety forget --dir d --yes",
            "frith task quote p.wasm --fuel 5 --price 0.5",
            "frith task submit p.wasm --input - --arg n=1 --arg -x --env A=b --replicas 3 --yes --wait final",
            "frith task run --local p.wasm --engine wasmi",
            "frith task list --all",
            "frith wallet balance --save-proof p.json",
            "frith wallet stake --worker-dir d --stake 100 --collateral 10",
            "frith wallet terms --price 0.0002 --slots 3",
            "frith --api http://127.0.0.1:1,http://127.0.0.1:2 wallet operation",
            "frith wallet operation 00 --repeat --wait final",
            "frith wallet terms --worker-dir d --engines wasmi --yes",
            "frith wallet unstake 5",
            "frith wallet rotate-worker --worker-dir d",
            "frith wallet rotate-worker --consent f --yes --wait final",
            "frith wallet history --limit 5 --before 12.3",
            "frith genesis new --name n --preset devnet --worker a.json --worker b.json --out g.json",
            "frith block show 12",
            "frith proof verify p.json --genesis g.json",
            "frith wallet balance --from-genesis",
            "frith checkpoint show --kept --json",
            "frith checkpoint take 12-0101010101010101010101010101010101010101010101010101010101010101",
            "frith devnet --nodes 5 --fault 4=wrong-result",
        ] {
            assert!(check(line).is_ok(), "{line}: {:?}", check(line).err());
        }
        for line in [
            "frith task status X",
            "frith task result X -o f",
            "frith wallet send X 0.25 --yes --wait final",
            "frith genesis worker --dir d --account X --stake 1000 --collateral 100 --json",
            "frith genesis new --name n --account X=12.5 --worker a.json --out g.json",
        ] {
            let line = line.replace('X', &address);
            assert!(check(&line).is_ok(), "{line}");
        }
    }

    /// Every option whose value is a folder, below a command.
    fn folders(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for arg in command.get_arguments() {
            let names = arg.get_value_names().unwrap_or_default();
            if names.iter().any(|name| name == "DIR")
                && let Some(long) = arg.get_long()
            {
                found.push(format!("{path} --{long}"));
            }
        }
        for below in command.get_subcommands() {
            folders(below, &format!("{path} {}", below.get_name()), found);
        }
    }

    #[test]
    fn every_folder_that_is_named_is_absolute_whatever_was_typed() {
        let mut found = Vec::new();
        folders(&command(), "frith", &mut found);
        assert!(found.len() > 16, "{found:?}");
        let address = Address([7; 32]);
        let more = |option: &str| match option {
            "frith node consent --dir" => format!("--account {address} --nonce 1"),
            "frith genesis worker --dir" => {
                format!("--account {address} --stake 1 --collateral 1")
            }
            "frith node backup --dir" => "--out f".to_owned(),
            "frith node restore --dir" => "f".to_owned(),
            "frith demo --programs" => "--out h".to_owned(),
            "frith demo --out" => "--programs h".to_owned(),
            "frith --home" => "key lock".to_owned(),
            _ => String::new(),
        };
        let here = std::env::current_dir().expect("there is one");
        let whole = format!("{:?}", here.join("h"));
        for option in found {
            let line = format!("{option} h {}", more(&option));
            let cli = check(&line).map(|cli| format!("{cli:?}"));
            let cli = cli.unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(
                cli.contains(&whole) && !cli.contains("\"h\""),
                "{line}: {cli}"
            );
        }
        let cli = check("frith --genesis g key lock").expect("is a command");
        assert_eq!(cli.common.genesis, Some(here.join("g")));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        use clap::error::ErrorKind;
        assert_eq!(
            check("frith task run p.wasm").err(),
            Some(ErrorKind::MissingRequiredArgument)
        );
        assert_eq!(
            check("frith wallet rotate-worker --yes").err(),
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
            check("frith node run --dir d --fault sleepy").err(),
            Some(ErrorKind::InvalidValue)
        );
    }
}
