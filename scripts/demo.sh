#!/bin/sh
# What `make demo` runs after the build: the program itself drives real node processes and real commands.
set -eu
target=${CARGO_TARGET_DIR:-target}
exec "$target/debug/frith" demo --programs "${FRITH_GUESTS:-$target/wasm32-wasip1/guest/examples}" --out "$target/demo"
