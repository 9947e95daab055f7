//! `frith-sim`: runs seeds until one fails.

#![expect(
    clippy::print_stdout,
    reason = "a command line reports on standard output"
)]

use clap::Parser;
use frith_neighbourhood::consensus::Faults as Bugs;
use frith_sim::adversaries::Adversary;
use frith_sim::{Scenario, run};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Simulates neighbourhoods with faults, and says the first seed that breaks an invariant.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
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
    /// Plant the bug that votes ignore what a timeout certificate demands.
    #[arg(long)]
    plant_skip_lock: bool,
    /// Plant the bug that votes ignore only the highest view that a timeout certificate names.
    #[arg(long)]
    plant_ignore_timeout_high: bool,
    /// Plant the bug that votes leave before they are synced.
    #[arg(long)]
    plant_vote_before_sync: bool,
    /// Only power losses, many and short, instead of whatever each seed draws.
    #[arg(long)]
    power_losses: bool,
    /// Only a leader that builds on less than it knows, in a network that tears.
    #[arg(long)]
    stale_leader: bool,
    /// As many members as the others withstand misbehave in this way.
    #[arg(long)]
    adversary: Option<Adversary>,
    /// Print a JSON object for each seed.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn scenario(&self, seed: u64) -> Scenario {
        let bugs = Bugs {
            skip_lock: self.plant_skip_lock,
            ignore_timeout_high: self.plant_ignore_timeout_high,
            vote_before_sync: self.plant_vote_before_sync,
            ..Bugs::default()
        };
        let scenario = if self.power_losses {
            Scenario::power_losses(seed, self.nodes.max(1))
        } else if self.stale_leader {
            Scenario::stale_leader(seed, self.nodes.max(4))
        } else if let Some(adversary) = self.adversary {
            Scenario::adversarial(seed, self.nodes, adversary)
        } else {
            Scenario::new(seed, self.nodes)
        };
        scenario.with_bugs(bugs)
    }

    fn one(&self, seed: u64) -> anyhow::Result<()> {
        let report = run(self.scenario(seed))?;
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            println!(
                "seed {seed}: {} members, {} ms, {} epochs, {} blocks, {} operations, {} tasks, {} workers came, {} left, {} frames, \
                 {} bytes per member and epoch, no fork",
                report.members,
                report.virtual_ms,
                report.epochs,
                report.blocks,
                report.operations,
                report.tasks,
                report.registered,
                report.left,
                report.frames,
                report.bytes_per_member_and_epoch
            );
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from.saturating_add(arguments.seeds);
    let stop = AtomicBool::new(false);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    if let Err(error) = arguments.one(seed) {
                        stop.store(true, Ordering::Relaxed);
                        if let Ok(mut failed) = failed.lock() {
                            failed.get_or_insert((seed, error));
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        Ok(None) => {
            println!("{} seeds held, from {}", arguments.seeds, arguments.from);
            ExitCode::SUCCESS
        }
        Ok(Some((seed, error))) => {
            println!("FAILED: {error}");
            println!(
                "again: frith-sim --from {seed} --seeds 1 --nodes {}",
                arguments.nodes
            );
            println!("{:#?}", arguments.scenario(seed));
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}
