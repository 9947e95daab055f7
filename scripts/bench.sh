#!/usr/bin/env bash
# What `make bench` runs: every benchmark, one after the other, then all their figures in one bench.json.
set -euo pipefail
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
cargo build --workspace --bins
cargo bench --profile dev --workspace --no-run

bench() { cargo bench --profile dev --workspace --bench "$1"; }
bench tree
bench kernels
bench consensus
bench devnet
bench collect
