//! `frith-sim`: runs seeds until one fails, or goes through all Twins scenarios.

#![expect(
    clippy::print_stdout,
    reason = "a command line reports on standard output"
)]

use clap::{Args, Parser, Subcommand, ValueEnum as _};
use frith_neighbourhood::consensus::Faults as Bugs;
use frith_sim::adversaries::Adversary;
use frith_sim::faults::KINDS;
use frith_sim::twins::search::{self, Search};
use frith_sim::{Report, Scenario, run};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Simulates neighbourhoods with faults, and says the first seed that breaks an invariant.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    seeds: Seeds,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Consensus alone, with a member that runs twice, in every way in which a few rounds can be cut and led.
    Twins(Twins),
}

#[derive(Debug, Args)]
struct Seeds {
    /// How many seeds to run.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Members; 0: each seed decides, mostly 4.
    #[arg(long, default_value_t = 0)]
    nodes: usize,
    /// Runs at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    #[command(flatten)]
    bugs: Planted,
    /// Only power losses, at random and at every kind of write, instead of whatever each seed draws.
    #[arg(long)]
    power_losses: bool,
    /// Only a leader that builds on less than it knows, in a network that tears.
    #[arg(long)]
    stale_leader: bool,
    /// Only a member that loses its disk again and again and is set up as if it had never run.
    #[arg(long)]
    remade: bool,
    /// Only clocks that are set wrong, of as many members as the others withstand.
    #[arg(long)]
    wrong_clocks: bool,
    /// As many members as the others withstand misbehave in this way.
    #[arg(long)]
    adversary: Option<Adversary>,
    /// Print a JSON object for each seed.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Planted {
    /// Plant the bug that members have no lock.
    #[arg(long)]
    plant_skip_lock: bool,
    /// Plant the bug that votes ignore the highest view that a timeout certificate names.
    #[arg(long)]
    plant_ignore_timeout_high: bool,
    /// Plant the bug that votes leave before they are synced.
    #[arg(long)]
    plant_vote_before_sync: bool,
    /// Plant the bug that a founder votes without asking whether the network has begun.
    #[arg(long)]
    plant_vote_unasked: bool,
    /// Plant the bug that members vote for records of any time.
    #[arg(long)]
    plant_any_time: bool,
}

#[derive(Debug, Args)]
struct Twins {
    /// Rounds of which every scenario is tried, with four members of which one runs twice.
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// Parts into which the processes may be cut, at the most.
    #[arg(long, default_value_t = 2)]
    parts: u8,
    /// Instead: so many random scenarios of four to seven rounds.
    #[arg(long)]
    random: Option<u64>,
    /// Members in random scenarios.
    #[arg(long, default_value_t = 7)]
    members: u16,
    /// How many of them run twice.
    #[arg(long, default_value_t = 2)]
    twins: u16,
    /// The first random scenario.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// The twins also build on less than they know.
    #[arg(long)]
    stale: bool,
    #[command(flatten)]
    bugs: Planted,
}

impl Planted {
    fn bugs(&self) -> Bugs {
        Bugs {
            skip_lock: self.plant_skip_lock,
            ignore_timeout_high: self.plant_ignore_timeout_high,
            vote_before_sync: self.plant_vote_before_sync,
            vote_unasked: self.plant_vote_unasked,
            any_time: self.plant_any_time,
            ..Bugs::default()
        }
    }
}

impl Seeds {
    fn scenario(&self, seed: u64) -> Scenario {
        let scenario = if self.power_losses {
            Scenario::power_losses(seed, self.nodes.max(4))
        } else if self.stale_leader {
            Scenario::stale_leader(seed, self.nodes.max(4))
        } else if self.remade {
            Scenario::remade(seed, self.nodes.max(4))
        } else if self.wrong_clocks {
            Scenario::wrong_clocks(seed, self.nodes.max(4))
        } else if let Some(adversary) = self.adversary {
            Scenario::adversarial(seed, self.nodes, adversary)
        } else {
            Scenario::new(seed, self.nodes)
        };
        scenario.with_bugs(self.bugs.bugs())
    }

    /// The command that runs this seed alone, with the same scenario.
    fn again(&self, seed: u64) -> String {
        let mut command = format!("frith-sim --from {seed} --seeds 1 --nodes {}", self.nodes);
        if let Some(adversary) = self.adversary.and_then(|kind| kind.to_possible_value()) {
            command += &format!(" --adversary {}", adversary.get_name());
        }
        let switches = [
            (self.power_losses, "--power-losses"),
            (self.stale_leader, "--stale-leader"),
            (self.remade, "--remade"),
            (self.wrong_clocks, "--wrong-clocks"),
            (self.bugs.plant_skip_lock, "--plant-skip-lock"),
            (
                self.bugs.plant_ignore_timeout_high,
                "--plant-ignore-timeout-high",
            ),
            (self.bugs.plant_vote_before_sync, "--plant-vote-before-sync"),
            (self.bugs.plant_vote_unasked, "--plant-vote-unasked"),
            (self.bugs.plant_any_time, "--plant-any-time"),
        ];
        for (_, switch) in switches.into_iter().filter(|(is_on, _)| *is_on) {
            command += " ";
            command += switch;
        }
        command
    }

    fn one(&self, seed: u64) -> anyhow::Result<Report> {
        let report = run(self.scenario(seed))?;
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            println!("{report}");
        }
        Ok(report)
    }

    fn run(&self) -> ExitCode {
        let totals = Mutex::new((0_u64, BTreeMap::<&str, u64>::new()));
        let failed = each(self.from, self.seeds, self.jobs, |seed| {
            let report = self.one(seed)?;
            if let Ok(mut totals) = totals.lock() {
                totals.0 += report.power_losses;
                for (kind, count) in report.writes_lost {
                    *totals.1.entry(kind).or_default() += count;
                }
            }
            Ok(())
        });
        let Some((seed, error)) = failed else {
            println!("{} seeds held, from {}", self.seeds, self.from);
            if let (true, Ok((losses, kinds))) = (self.power_losses, totals.into_inner()) {
                let kinds: Vec<String> = KINDS
                    .iter()
                    .map(|kind| format!("{kind} {}", kinds.get(kind).copied().unwrap_or(0)))
                    .collect();
                println!(
                    "{losses} power losses; writes lost in so many: {}",
                    kinds.join(", ")
                );
            }
            return ExitCode::SUCCESS;
        };
        println!("FAILED: {error}");
        println!("again: {}", self.again(seed));
        println!("{:#?}", self.scenario(seed));
        ExitCode::FAILURE
    }
}

impl Twins {
    fn run(&self) -> ExitCode {
        let bugs = self.bugs.bugs();
        if let Some(count) = self.random {
            let failed = each(self.from, count, self.jobs, |seed| {
                search::random(seed, self.members, self.twins, bugs, self.stale)
                    .map_err(|found| anyhow::anyhow!("scenario {seed}: {found}"))
            });
            return match failed {
                None => {
                    let (members, twins) = (self.members, self.twins);
                    println!(
                        "{count} random scenarios of {members} members with {twins} twins held"
                    );
                    ExitCode::SUCCESS
                }
                Some((_, error)) => {
                    println!("FAILED: {error}");
                    ExitCode::FAILURE
                }
            };
        }
        let search = Search {
            rounds: self.rounds,
            parts_max: self.parts.max(1),
            bugs,
            stale: self.stale,
        };
        match search::all(search, self.jobs) {
            Ok(coverage) => {
                println!(
                    "{} scenarios of {} rounds held: {} rounds run, {} ends healed",
                    coverage.scenarios, self.rounds, coverage.rounds_run, coverage.ends
                );
                ExitCode::SUCCESS
            }
            Err(found) => {
                println!("FAILED: {found}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Does `work` for so many numbers from `from` on, some at once, until one fails: that one.
fn each(
    from: u64,
    count: u64,
    jobs: usize,
    work: impl Fn(u64) -> anyhow::Result<()> + Sync,
) -> Option<(u64, anyhow::Error)> {
    let next = AtomicU64::new(from);
    let end = from.saturating_add(count);
    let stop = AtomicBool::new(false);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return;
                    }
                    if let Err(error) = work(number) {
                        stop.store(true, Ordering::Relaxed);
                        if let Ok(mut failed) = failed.lock() {
                            failed.get_or_insert((number, error));
                        }
                    }
                }
            });
        }
    });
    failed.into_inner().ok().flatten()
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Twins(twins)) => twins.run(),
        None => arguments.seeds.run(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_seed_is_run_again_by_what_is_printed() -> Result<(), Box<dyn std::error::Error>> {
        let lines = [
            "frith-sim --from 7 --seeds 1 --nodes 0",
            "frith-sim --from 8 --seeds 1 --nodes 7 --adversary forger --plant-skip-lock",
            "frith-sim --from 9 --seeds 1 --nodes 4 --power-losses --plant-vote-before-sync",
            "frith-sim --from 9 --seeds 1 --nodes 0 --stale-leader --plant-ignore-timeout-high",
            "frith-sim --from 9 --seeds 1 --nodes 4 --remade --plant-vote-unasked",
            "frith-sim --from 9 --seeds 1 --nodes 7 --wrong-clocks --plant-any-time",
        ];
        for line in lines {
            let seeds = Arguments::try_parse_from(line.split(' '))?.seeds;
            assert_eq!(seeds.again(seeds.from), line);
        }
        Ok(())
    }
}
