//! The machine: program, processors, memory, disk.

use super::check::Check;
use crate::amounts::bytes;
use crate::config::Settings;
use crate::measure;
use frith_ledger::parameters::Parameters;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// How long the disk is measured.
const DISK_TIME: Duration = Duration::from_secs(2);
/// A sync longer than this, in ms, slows every commit of the neighbourhood; above the second, views run into their
/// timeout on a network with 500 ms ones.
const SYNC_MS: (f64, f64) = (20.0, 200.0);
/// Syncs of which one in a hundred is longer: the same with room for a hiccup.
const SYNC_P99_MS: (f64, f64) = (100.0, 1_000.0);
/// Memory that a node itself takes, in MiB, with room.
const NODE_MIB: u64 = 256;
/// Processors that the node itself wants beside those that run tasks: it shares them, so this is only a word.
const MIB: u64 = 1 << 20;

/// This program, and what it speaks and reads.
#[must_use]
pub fn versions(parameters: Option<&Parameters>) -> Check {
    const NAME: &str = "versions";
    let known = Parameters::mainnet().protocol;
    let found = format!(
        "frith {}, protocol {known}, storage format {}",
        env!("CARGO_PKG_VERSION"),
        frith_ledger::store::FORMAT
    );
    let figures = json!({"frith": env!("CARGO_PKG_VERSION"), "protocol": known, "storage": frith_ledger::store::FORMAT});
    match parameters.map(|parameters| parameters.protocol) {
        Some(wanted) if wanted != known => Check::fail(
            NAME,
            format!("{found}; the genesis asks for protocol {wanted}"),
            "install a version that speaks it: this one would not vote",
        ),
        _ => Check::ok(NAME, found),
    }
    .with(figures)
}

/// Processors against the tasks that run at one time.
#[must_use]
pub fn processors(settings: &Settings) -> Check {
    const NAME: &str = "processors";
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let slots = usize::from(settings.slots);
    let found = format!("{cores} processors for {slots} tasks at one time (slots)");
    if slots > cores {
        let advice =
            "lower slots to the number of processors, or tasks slow down votes and one another";
        Check::warn(NAME, found, advice)
    } else {
        Check::ok(NAME, found)
    }
    .with(json!({"processors": cores, "slots": slots}))
}

/// Memory that is free against what the settings allow to be used.
#[must_use]
pub fn memory(settings: &Settings) -> Check {
    const NAME: &str = "memory";
    let Some(free) = available_memory() else {
        return Check::warn(
            NAME,
            "the system doesn't tell",
            "see that there is enough for all runner processes",
        );
    };
    let most =
        NODE_MIB + settings.cache_mib + u64::from(settings.slots) * settings.runner_memory_mib;
    let most = most.saturating_mul(MIB);
    let found = format!(
        "{} available; node and {} runners may take {}",
        bytes(free),
        settings.slots,
        bytes(most)
    );
    let advice = "lower slots or runner_memory_mib: a runner that finds no memory gives no result, and the place is lost";
    let check = if free < NODE_MIB * MIB {
        Check::fail(NAME, found, advice)
    } else if free < most {
        Check::warn(NAME, found, advice)
    } else {
        Check::ok(NAME, found)
    };
    check.with(json!({"available_bytes": free, "most_bytes": most}))
}

/// Bytes that this process could still get: the system's, or what its control group leaves.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let system: u64 = line
        .split_ascii_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()?
        .saturating_mul(1024);
    let number = |name: &str| {
        std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(name))
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    let group = number("memory.max")
        .zip(number("memory.current"))
        .map(|(max, now)| max.saturating_sub(now));
    Some(group.map_or(system, |group| group.min(system)))
}

/// How fast the disk of a directory makes writes durable, and what is free on it.
#[must_use]
pub fn disk(dir: &Path, settings: &Settings) -> Vec<Check> {
    vec![sync(dir), room(dir, settings.disk_free_mib_min)]
}

fn sync(dir: &Path) -> Check {
    const NAME: &str = "disk sync";
    let figures = match measure::disk(dir, DISK_TIME) {
        Ok(figures) => figures,
        Err(error) => {
            return Check::fail(
                NAME,
                error,
                "the node has to write there: look at its owner, and whether it is mounted read-only",
            );
        }
    };
    let found = format!(
        "{:.2} ms, one in a hundred {:.2} ms or longer ({} syncs of 4 KiB)",
        figures.p50_ms, figures.p99_ms, figures.syncs
    );
    let advice = "every vote waits for a sync: use a local SSD, and no other database on it";
    let half = Check::at_most(NAME, figures.p50_ms, SYNC_MS, &found, advice);
    let rare = Check::at_most(NAME, figures.p99_ms, SYNC_P99_MS, &found, advice);
    let worse = if rare.state > half.state { rare } else { half };
    worse.with(json!(figures))
}

fn room(dir: &Path, min_mib: u64) -> Check {
    const NAME: &str = "disk room";
    let stat = match rustix::fs::statvfs(dir) {
        Ok(stat) => stat,
        Err(error) => {
            return Check::warn(
                NAME,
                format!("the system doesn't tell: {error}"),
                "look with df",
            );
        }
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let min = min_mib.saturating_mul(MIB);
    let found = format!(
        "{} free, the node wants to leave {}",
        bytes(free),
        bytes(min)
    );
    let advice = "make room: below that it takes no content, and doesn't start";
    let check = if free < min {
        Check::fail(NAME, found, advice)
    } else if free < min.saturating_mul(4) {
        Check::warn(NAME, found, advice)
    } else {
        Check::ok(NAME, found)
    };
    check.with(json!({"free_bytes": free, "min_bytes": min}))
}
