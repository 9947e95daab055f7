# The commands a developer needs. `make help` lists them; each does its own set-up.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench sim twins fuzz repeat kill audit docs setup guests

CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
# Where the example programs are, for the tests and the demo that run them.
export FRITH_GUESTS ?= $(CARGO_TARGET_DIR)/wasm32-wasip1/guest/examples

# How many seeds `make sim` runs, from which one on.
SEEDS ?= 1000
FROM ?= 0
# `make fuzz`: how long with each harness; or, when FUZZ_RUNS says so, how many inputs each gets; which harnesses, by a
# part of their names; how many at one time.
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?=
FUZZ ?= fuzz_
FUZZ_JOBS ?= 1
# How often `make repeat` executes every instruction and every host function.
ROUNDS ?= 10000000
# How many kills `make kill` makes.
KILL_ROUNDS ?= 300

# The cores that also run in a browser, and the machine that they run tasks on.
PORTABLE := -p frith-ledger -p frith-tasks -p frith-vm -p frith-neighbourhood
# What a user runs. The simulator plants bugs in the core that it tests, and Cargo gives one selection one set of features:
# built apart from the simulator, a node holds none of them.
NODE := -p frith -p frith-vm
# The models' checker turns on features of serde, with which wasmtime would be built once more.
PRODUCT := --workspace --exclude frith-sim --exclude frith-models
NEXTEST := $(shell command -v cargo-nextest)

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup guests ## start five workers on this machine, run tasks, break one worker, check every balance
	cargo build $(NODE) --bins
	scripts/demo.sh

test: setup guests ## run every test
	cargo build $(NODE) --bins
ifneq ($(NEXTEST),)
	cargo nextest run $(PRODUCT)
	cargo nextest run -p frith-sim
	cargo nextest run -p frith-models
	cargo test $(PRODUCT) --doc
else
	cargo test $(PRODUCT)
	cargo test -p frith-sim
	cargo test -p frith-models
endif

lint: setup ## check formatting, lints, documentation, dependencies, and that the cores build for the browser
	@scripts/setup.sh cargo-deny
	cargo deny --all-features check licenses bans sources
	cargo fmt --all --check
	cargo clippy --workspace --exclude frith-models --all-targets -- -D warnings
	cargo clippy -p frith-models --all-targets -- -D warnings
	cargo clippy -p frith-guest --lib --examples --target wasm32-wasip1 -- -D warnings
	cargo clippy $(PORTABLE) --no-default-features --target wasm32-unknown-unknown -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --exclude frith-models --no-deps
	RUSTDOCFLAGS="-D warnings" cargo doc -p frith-models --no-deps

bench: setup guests ## measure, and write bench.json into the target folder
	scripts/bench.sh

sim: setup ## simulate SEEDS runs with faults (1000 unless given), from seed FROM on
	cargo run -p frith-sim -- --seeds $(SEEDS) --from $(FROM)

twins: setup ## try every Twins scenario of four rounds with four members, and 100,000 random ones with seven
	cargo run -p frith-sim -- twins --rounds 4
	cargo run -p frith-sim -- twins --random 100000

fuzz: setup ## feed every decoder and the module validator hostile bytes, FUZZ_SECONDS or FUZZ_RUNS each
ifeq ($(FUZZ_RUNS),)
	BOLERO_RANDOM_TEST_TIME_MS=$(FUZZ_SECONDS)000 BOLERO_RANDOM_ITERATIONS=1000000000000 \
		cargo test $(PRODUCT) --lib --test fuzz -- $(FUZZ) --test-threads=$(FUZZ_JOBS)
else
	BOLERO_RANDOM_TEST_TIME_MS=1000000000000 BOLERO_RANDOM_ITERATIONS=$(FUZZ_RUNS) \
		cargo test $(PRODUCT) --lib --test fuzz -- $(FUZZ) --test-threads=$(FUZZ_JOBS)
endif

repeat: setup ## execute every instruction and every host function ROUNDS times (ten million unless given) on every engine
	FRITH_VM_ROUNDS=$(ROUNDS) cargo test $(PRODUCT) --test repetition -- --nocapture

kill: setup guests ## kill real nodes under load, KILL_ROUNDS times (300 unless given), and check that nothing is lost
	cargo build $(NODE) --bins
	FRITH_KILL_ROUNDS=$(KILL_ROUNDS) cargo test $(PRODUCT) --test killing -- --nocapture

audit: setup ## check dependencies against the advisory database, which is fetched
	@scripts/setup.sh cargo-deny
	cargo deny --all-features check advisories

docs: setup ## build the API documentation
	cargo doc --workspace --exclude frith-models --no-deps
	cargo doc -p frith-models --no-deps
	@echo "open $(CARGO_TARGET_DIR)/doc/frith_ledger/index.html"

setup: ## install what the build needs; the other commands do this themselves
	@scripts/setup.sh

# The example programs, compiled for the task machine.
guests: setup
	cargo build --profile guest -p frith-guest --examples --target wasm32-wasip1
