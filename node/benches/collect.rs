//! Puts the figures of all benchmarks that ran into one `bench.json`, and prints it.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

use serde_json::{Map, Value};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let mut figures = Map::new();
    for entry in std::fs::read_dir(&target)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with("bench-") && name.ends_with(".json") {
            let part: Map<String, Value> = serde_json::from_slice(&std::fs::read(&path)?)?;
            figures.extend(part);
        }
    }
    let text = serde_json::to_string_pretty(&figures)?;
    std::fs::write(target.join("bench.json"), format!("{text}\n"))?;
    println!("{}:\n{text}", target.join("bench.json").display());
    Ok(())
}
