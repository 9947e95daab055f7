//! Four members in one process: `frith::measure::consensus`, over ten seconds.
//!
//! Run with `cargo bench --profile dev -p frith --bench consensus`; prints, and writes `bench-consensus.json` into the
//! target folder.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

use frith::measure::{ConsensusFigures, Cores, Overloaded, Times, consensus};
use std::time::Duration;

const TIMES: Times = Times {
    warm_up: Duration::from_secs(2),
    measured: Duration::from_secs(10),
    overload: 4.0,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let ConsensusFigures {
        checks_per_s: checks,
        bound_per_s: bound,
        transfers_per_s: rate,
        cores,
        p50_ms: median,
        overload,
    } = consensus(folder.path(), TIMES)?;
    let machine = std::thread::available_parallelism()?.get();
    println!("signature checks    {checks:9.0} per core and second, {machine} cores");
    println!("bound               {bound:9.0} transfers/s");
    println!(
        "finalised           {rate:9.0} transfers/s, {:.2} of the bound; {}",
        rate / bound,
        busy(cores)
    );
    println!("finality at a tenth {median:9.1} ms (median)");
    let over = overload.ok_or("the overload was not measured")?;
    say(&over, rate);
    let result = serde_json::json!({
        "overload.kept_ratio": rounded(over.transfers_per_s / rate, 1000.0),
        "overload.fill_ratio": rounded(over.fill_transfers_per_s / rate, 1000.0),
        "overload.generator_cores": rounded(over.cores.generator, 1000.0),
        "overload.rss_bytes": over.resident_bytes,
        "consensus.transfers_per_s": rate.round(),
        "consensus.bound_ratio": rounded(rate / bound, 1000.0),
        "consensus.generator_cores": rounded(cores.generator, 1000.0),
        "consensus.p50_ms": rounded(median, 10.0),
    });
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| "target".into(), std::path::PathBuf::from);
    std::fs::write(
        target.join("bench-consensus.json"),
        serde_json::to_vec_pretty(&result)?,
    )?;
    Ok(())
}

fn say(over: &Overloaded, rate: f64) {
    println!(
        "at {} times that    {:9.0} transfers/s, {:.2} of it; {}",
        TIMES.overload,
        over.transfers_per_s,
        over.transfers_per_s / rate,
        busy(over.cores)
    );
    println!(
        "  {} of {} submissions refused, {} of them before they reached a core",
        over.refused, over.submitted, over.refused_before
    );
    println!("  {} transfers signed meanwhile", over.signed_late);
    println!(
        "  {} queues full after {:.1} s ({} operations waited at the end), meanwhile {:.0} transfers/s, {:.2} of it",
        over.full,
        over.fill_s,
        over.queued,
        over.fill_transfers_per_s,
        over.fill_transfers_per_s / rate
    );
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "  {:.0} MiB resident before, {:.0} MiB at most",
        mib(over.before_bytes),
        mib(over.resident_bytes)
    );
}

fn busy(cores: Cores) -> String {
    format!(
        "members on {:.2} cores, generator on {:.3}",
        cores.members, cores.generator
    )
}

fn rounded(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}
