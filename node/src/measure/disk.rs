//! How long the disk takes to make a small write durable: what a vote waits for.

use crate::failure::{Failure, Result};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes written before each sync: about what a vote writes.
const WRITE_BYTES: usize = 4096;
/// Syncs at the most.
const SYNCS_MAX: usize = 4096;
/// Syncs at the least, however long they take.
const SYNCS_MIN: usize = 8;

/// Times of small durable writes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiskFigures {
    /// How many were made.
    pub syncs: usize,
    /// Half of them took at most this long, in ms.
    pub p50_ms: f64,
    /// 99 of 100 took at most this long, in ms.
    pub p99_ms: f64,
    /// The longest, in ms.
    pub max_ms: f64,
    /// Durable writes a second, one after another.
    pub per_s: f64,
}

/// Appends to a file of its own in `dir` and syncs its data, again and again for `time`; removes the file.
///
/// # Errors
/// The directory can't be written to.
pub fn disk(dir: &Path, time: Duration) -> Result<DiskFigures> {
    let path = dir.join(format!(".frith-sync-{}", std::process::id()));
    let doing = |error| Failure::file("measure the disk with", &path, error);
    let file = OpenOptions::new()
        .create_new(true)
        .append(true)
        .open(&path)
        .map_err(doing)?;
    let times = syncs(file, time);
    // What remains is a small file that says what it is.
    let _remains = std::fs::remove_file(&path);
    let mut times = times.map_err(doing)?;
    times.sort_unstable();
    let total: Duration = times.iter().sum();
    let at = |share: f64| {
        let index = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len().max(1)) - 1;
        times
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    Ok(DiskFigures {
        syncs: times.len(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        max_ms: at(1.0),
        per_s: super::per_second(times.len() as u64, total),
    })
}

fn syncs(mut file: File, time: Duration) -> std::io::Result<Vec<Duration>> {
    let bytes = [0x5a; WRITE_BYTES];
    let began = Instant::now();
    let mut times = Vec::new();
    while times.len() < SYNCS_MIN || (began.elapsed() < time && times.len() < SYNCS_MAX) {
        let start = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_disk_has_ordered_figures_and_nothing_left_on_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let figures = disk(dir.path(), Duration::from_millis(20)).expect("is measured");
        assert!(figures.syncs >= SYNCS_MIN);
        assert!(figures.p50_ms <= figures.p99_ms && figures.p99_ms <= figures.max_ms);
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0);
        assert!(disk(&dir.path().join("none"), Duration::ZERO).is_err());
    }
}
