//! Measures crates together, over real processes on loopback. Nothing here is part of a node.
//!
//! `frith-bench log`: opaque commands through a replicated log of four processes. `frith-bench tree`: the state
//! tree beside another one. `frith-bench flood`: a devnet under floods. Each prints what it measures, and writes `bench-NAME.json` into the target
//! folder, from where `make bench` collects it.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

mod flood;
mod log;
mod tree;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "Measures crates together, over real processes")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Opaque commands through a replicated log of four processes.
    Log(log::Options),
    /// A devnet under floods of connections and messages.
    Flood(flood::Options),
    /// Updates of the state tree, beside `jmt`.
    Tree,
    /// One of its members; started by `log`.
    #[command(hide = true)]
    Replica,
    /// What submits to it; started by `log`.
    #[command(hide = true)]
    Load,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().what {
        What::Log(options) => write("log", &log::measure(&options)?),
        What::Flood(options) => write("flood", &flood::measure(&options)?),
        What::Tree => write("tree", &tree::measure()?),
        What::Replica => log::replica(),
        What::Load => log::load(),
    }
}

/// Writes the figures of one benchmark to where `make bench` collects them.
fn write(name: &str, figures: &serde_json::Map<String, serde_json::Value>) -> anyhow::Result<()> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    std::fs::create_dir_all(&target).context("the target folder")?;
    let text = serde_json::to_string_pretty(figures)?;
    println!("{text}");
    std::fs::write(target.join(format!("bench-{name}.json")), text).context("the figures")
}

/// A figure with so many places.
fn rounded(value: f64, places: i32) -> serde_json::Value {
    let scale = 10_f64.powi(places);
    serde_json::json!((value * scale).round() / scale)
}
