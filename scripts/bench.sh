#!/usr/bin/env bash
# What `make bench` runs: every benchmark, one after the other, then all their figures in one bench.json.
set -euo pipefail
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
# The selection that the tests build, so that what they share is compiled once.
product=(--workspace --exclude frith-sim --exclude frith-models)
cargo build -p frith -p frith-vm --bins
cargo build "${product[@]}" --bin frith-bench
cargo bench --profile dev "${product[@]}" --benches --no-run

# Figures of earlier runs don't count.
rm -f "$target"/bench-*.json "$target"/bench.json
bench() { cargo bench --profile dev "${product[@]}" --bench "$1"; }
"$target/debug/frith-bench" tree
bench kernels
bench compile
bench spread
bench consensus
"$target/debug/frith-bench" log
bench devnet
"$target/debug/frith-bench" flood
bench sync
bench content
bench api
bench collect
