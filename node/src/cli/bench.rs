//! `frith bench`: what this machine can do, and what it would earn.

use super::Report;
use super::args::BenchArgs;
use super::output::{bar, is_terminal};
use super::session::Session;
use crate::amounts::grouped;
use crate::client::NodeClient;
use crate::failure::{Failure, Result};
use crate::measure::{self, ConsensusFigures, DiskFigures, EngineFigures, Times, TreeFigures};
use frith_ledger::credits::Credits;
use frith_vm::EngineKind;
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Fuel that a price is for.
const PRICED_FUEL: f64 = 1e6;
/// Memory of the process that runs the programs, in MiB: they use next to none.
const RUNNER_MEMORY_MIB: u64 = 512;

/// A price for 10⁶ fuel and where it is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Price {
    credits: Credits,
    source: String,
}

/// What the machine would earn on one engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Earning {
    engine: String,
    fuel_per_s: f64,
    credits_per_hour: String,
}

struct Measured {
    disk: DiskFigures,
    signatures: f64,
    tree: TreeFigures,
    engines: Vec<EngineFigures>,
    consensus: ConsensusFigures,
}

pub(super) fn run(session: &Session, options: &BenchArgs) -> Result<Report> {
    let dir = match &options.dir {
        Some(dir) => dir.clone(),
        None => std::env::current_dir()
            .map_err(|error| Failure::file("find", &PathBuf::from("."), error))?,
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let slots = options.slots.map_or(cores, usize::from).max(1);
    let measured = measure(session, options, &dir)?;
    let price = price(session, options)?;
    let earnings: Vec<Earning> = measured
        .engines
        .iter()
        .map(|engine| earning(engine, slots.min(cores), price.credits))
        .collect();
    let assumptions = format!(
        "if {} at one time are never idle, {} at {} credits for 10⁶ fuel ({}), an even mix of the four programs. \
         The draw goes by stake: how busy a worker is depends on its share of it and on how much work there is",
        plural(slots.min(cores), "task", "tasks"),
        "every result is paid",
        price.credits,
        price.source,
    );
    let text = describe(&measured, &dir, &earnings, &assumptions);
    Report::new(
        text,
        &json!({
            "disk": measured.disk, "signature_checks_per_s": measured.signatures, "tree": measured.tree,
            "engines": measured.engines, "consensus": measured.consensus, "cores": cores, "slots": slots, "price": price,
            "earnings": earnings, "assumptions": assumptions,
        }),
    )
}

fn plural(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn measure(session: &Session, options: &BenchArgs, dir: &std::path::Path) -> Result<Measured> {
    // The disk and the two small ones take a twentieth each, the engines a quarter each, consensus what is left.
    let whole = Duration::from_secs(options.seconds);
    let (small, engine) = (whole / 20, whole / 4);
    let times = Times {
        warm_up: whole / 20,
        measured: whole / 20,
        overload: 0.0,
    };
    let progress = bar(6, "measures", session.json || !is_terminal());
    let disk = measure::disk(dir, small)?;
    progress.inc(1);
    let signatures = measure::signature_checks_per_s(small)?;
    progress.inc(1);
    let tree = measure::tree(small)?;
    progress.inc(1);
    let cache = tempfile::tempdir().map_err(Failure::other)?;
    let config =
        crate::worker::runner_config(cache.path(), RUNNER_MEMORY_MIB, 0).map_err(Failure::other)?;
    let mut engines = Vec::new();
    for (kind, name) in [
        (EngineKind::Wasmtime, "wasmtime"),
        (EngineKind::Wasmi, "wasmi"),
    ] {
        engines.push(measure::engine_figures(&config, kind, name, engine)?);
        progress.inc(1);
    }
    let stores =
        tempfile::tempdir_in(dir).map_err(|error| Failure::file("write to", dir, error))?;
    let consensus = measure::consensus(stores.path(), times)?;
    progress.finish_and_clear();
    Ok(Measured {
        disk,
        signatures,
        tree,
        engines,
        consensus,
    })
}

fn earning(engine: &EngineFigures, slots: usize, price: Credits) -> Earning {
    let fuel_per_s = engine.fuel_per_s * slots as f64;
    // Microcredits, rounded down. A report for people: nothing is agreed on by it.
    let hourly = fuel_per_s * 3_600.0 / PRICED_FUEL * price.get() as f64;
    Earning {
        engine: engine.engine.clone(),
        fuel_per_s,
        credits_per_hour: Credits::new(hourly as u128).to_string(),
    }
}

/// The price: as said, else what the network pays, else what its first workers asked for.
fn price(session: &Session, options: &BenchArgs) -> Result<Price> {
    if let Some(credits) = options.price {
        return Ok(Price {
            credits,
            source: "as --price says".to_owned(),
        });
    }
    if let Some(price) = session.node().ok().and_then(|node| paid(&node)) {
        return Ok(price);
    }
    let asked = session.genesis().ok().and_then(|genesis| {
        median(
            genesis
                .workers
                .iter()
                .map(|worker| worker.terms.price)
                .collect(),
        )
    });
    Ok(match asked {
        Some(credits) if credits > Credits::ZERO => Price {
            credits,
            source:
                "the median that the workers of your genesis ask for; no node answered with tasks"
                    .to_owned(),
        },
        _ => Price {
            credits: Credits::new(1_000),
            source: "what `task submit` offers unless it is told otherwise; no network was asked"
                .to_owned(),
        },
    })
}

/// Tasks whose prices are looked at, the newest: as many as one answer has.
const TASKS_MAX: usize = 1_000;

/// The median price of the tasks that the node knows.
fn paid(node: &NodeClient) -> Option<Price> {
    let tasks = node.tasks(None, None, TASKS_MAX).ok()?.tasks;
    let prices: Vec<Credits> = tasks
        .iter()
        .filter_map(|task| task.price.parse().ok())
        .collect();
    let count = prices.len();
    Some(Price {
        credits: median(prices)?,
        source: format!(
            "the median of the {count} newest tasks of the node at {}",
            node.base()
        ),
    })
}

fn median(mut prices: Vec<Credits>) -> Option<Credits> {
    prices.sort_unstable();
    prices.get(prices.len() / 2).copied()
}

fn describe(
    measured: &Measured,
    dir: &std::path::Path,
    earnings: &[Earning],
    assumptions: &str,
) -> String {
    let Measured {
        disk,
        signatures,
        tree,
        engines,
        consensus,
    } = measured;
    let mut text = format!(
        "disk        {:.2} ms a sync, one in a hundred {:.2} ms or longer ({})\n\
         signatures  {} checks/s on one core\n\
         tree        {} updates/s at {} entities\n",
        disk.p50_ms,
        disk.p99_ms,
        dir.display(),
        grouped(*signatures as u64),
        grouped(tree.updates_per_s as u64),
        grouped(tree.entities),
    );
    for engine in engines {
        let kernels: Vec<String> = engine
            .kernels
            .iter()
            .map(|(name, rate)| format!("{name} {:.0}", rate / PRICED_FUEL))
            .collect();
        text.push_str(&format!(
            "{:<11} {:.0}·10⁶ fuel/s on one core ({})\n",
            engine.engine,
            engine.fuel_per_s / PRICED_FUEL,
            kernels.join(", ")
        ));
    }
    text.push_str(&format!(
        "consensus   {} transfers/s by four members in this process, {:.0}% of what signature checks alone allow; {:.1} ms to finality at a tenth\n",
        grouped(consensus.transfers_per_s as u64),
        consensus.transfers_per_s / consensus.bound_per_s * 100.0,
        consensus.p50_ms,
    ));
    for earning in earnings {
        text.push_str(&format!(
            "earns       {} credits an hour on {}\n",
            earning.credits_per_hour, earning.engine
        ));
    }
    text.push_str(&format!("            {assumptions}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn earnings_are_fuel_times_price() {
        let engine = EngineFigures {
            engine: "wasmi".to_owned(),
            kernels: BTreeMap::new(),
            fuel_per_s: 50e6,
        };
        // 50 × 10⁶ fuel a second on two slots at 0.001: 0.1 credits a second.
        let earned = earning(&engine, 2, Credits::new(1_000));
        assert_eq!(earned.credits_per_hour, "360");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let credits = |numbers: &[u128]| numbers.iter().copied().map(Credits::new).collect();
        assert_eq!(median(credits(&[9, 1, 5])), Some(Credits::new(5)));
        assert_eq!(median(Vec::new()), None);
    }
}
