//! Four members in one process: `frith::measure::consensus`, over ten seconds.
//!
//! Run with `cargo bench --profile dev -p frith --bench consensus`; prints, and writes `bench-consensus.json` into the
//! target folder.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

use frith::measure::{ConsensusFigures, Times, consensus};
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
        p50_ms: median,
        overload,
    } = consensus(folder.path(), TIMES)?;
    let cores = std::thread::available_parallelism()?.get();
    println!("signature checks    {checks:9.0} per core and second, {cores} cores");
    println!("bound               {bound:9.0} transfers/s");
    println!(
        "finalised           {rate:9.0} transfers/s, {:.2} of the bound",
        rate / bound
    );
    println!("finality at a tenth {median:9.1} ms (median)");
    let over = overload.ok_or("the overload was not measured")?;
    println!(
        "at {} times that    {:9.0} transfers/s, {:.2} of it; {} of {} submissions refused; {:.0} MiB resident",
        TIMES.overload,
        over.transfers_per_s,
        over.transfers_per_s / rate,
        over.refused,
        over.submitted,
        over.resident_bytes as f64 / f64::from(1 << 20),
    );
    let result = serde_json::json!({
        "overload.kept_ratio": (over.transfers_per_s / rate * 1000.0).round() / 1000.0,
        "overload.rss_bytes": over.resident_bytes,
        "consensus.transfers_per_s": rate.round(),
        "consensus.bound_ratio": (rate / bound * 1000.0).round() / 1000.0,
        "consensus.p50_ms": (median * 10.0).round() / 10.0,
    });
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| "target".into(), std::path::PathBuf::from);
    std::fs::write(
        target.join("bench-consensus.json"),
        serde_json::to_vec_pretty(&result)?,
    )?;
    Ok(())
}
