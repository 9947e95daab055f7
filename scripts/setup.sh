#!/usr/bin/env bash
# Prepares a machine that has rustup, gcc and make: installs what the build needs and does not find, and nothing twice.
# Safe to run at any time; quick when nothing is missing.
#
#   a C++ compiler, libclang   RocksDB and its bindings
#   wasm32-wasip1              programs that run as tasks
#   wasm32-unknown-unknown     the cores that also run in a browser
#   clippy, rustfmt            make lint
#
# With an argument it installs only that: `setup.sh cargo-deny`, for `make lint` and `make audit`.
set -euo pipefail

# Built with the lock file that it was released with.
CARGO_DENY=0.20.2

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Whether any of the names, which may hold wildcards that the shell has expanded, is there.
any() { local name; for name in "$@"; do [[ -e $name ]] && return 0; done; return 1; }

as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        say "needs root: sudo $*"
        sudo "$@"
    else
        fail "needs root to run: $*"
    fi
}

# What bindgen looks for: the library where its loader searches, and the headers that belong to it.
has_libclang() {
    [[ -n ${LIBCLANG_PATH:-} ]] && return 0
    any /usr/lib*/libclang.so* /usr/lib*/*/libclang.so* /usr/lib*/*/*/libclang.so* \
        /usr/lib*/libclang-[0-9]*.so* /usr/lib*/*/libclang-[0-9]*.so* /usr/lib*/*/*/libclang-[0-9]*.so* \
        /usr/local/lib*/libclang*.so* /usr/local/llvm*/lib*/libclang*.so* || return 1
    any /usr/lib*/llvm-*/lib*/clang/*/include/stddef.h /usr/lib*/clang/*/include/stddef.h \
        /usr/local/lib*/clang/*/include/stddef.h /usr/local/llvm*/lib*/clang/*/include/stddef.h
}

install_packages() {
    local packages=() waiting=(-o DPkg::Lock::Timeout=300)
    command -v c++ >/dev/null || packages+=(g++)
    has_libclang || packages+=(libclang-dev)
    [[ ${#packages[@]} -eq 0 ]] && return 0
    command -v apt-get >/dev/null ||
        fail "missing: ${packages[*]} (names as in Debian); install them with this system's package manager"
    say "installing ${packages[*]} with apt-get"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get "${waiting[@]}" update -qq </dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get "${waiting[@]}" install -y -qq --no-install-recommends \
        "${packages[@]}" </dev/null
    command -v c++ >/dev/null || fail "there is still no C++ compiler (c++)"
    has_libclang || fail "libclang is still not found; set LIBCLANG_PATH to the folder that holds it"
}

install_rust_parts() {
    local target tool sysroot missing=()
    sysroot=$(rustc --print sysroot)
    for target in wasm32-wasip1 wasm32-unknown-unknown; do
        [[ -d $sysroot/lib/rustlib/$target/lib ]] || missing+=("$target")
    done
    if [[ ${#missing[@]} -gt 0 ]]; then
        command -v rustup >/dev/null || fail "this Rust lacks ${missing[*]}, and there is no rustup to add them"
        say "adding Rust targets ${missing[*]}"
        rustup target add "${missing[@]}"
    fi
    missing=()
    # rustup's stand-ins for tools that are not installed exist, but don't run.
    for tool in clippy:cargo-clippy rustfmt:rustfmt; do
        "${tool#*:}" --version >/dev/null 2>&1 || missing+=("${tool%%:*}")
    done
    if [[ ${#missing[@]} -gt 0 ]]; then
        command -v rustup >/dev/null || fail "this Rust lacks ${missing[*]}, and there is no rustup to add them"
        say "adding Rust components ${missing[*]}"
        rustup component add "${missing[@]}"
    fi
}

# It is built without optimisation: that takes a third of the time, and it runs for seconds.
install_cargo_deny() {
    cargo deny --version >/dev/null 2>&1 && return 0
    say "building cargo-deny $CARGO_DENY, once; some minutes"
    cargo install --quiet --debug --locked cargo-deny --version "$CARGO_DENY"
}

if [[ ${1:-} == cargo-deny ]]; then
    install_cargo_deny
    exit 0
fi
command -v rustc >/dev/null && command -v cargo >/dev/null ||
    fail "there is no Rust here; install rustup from https://rustup.rs, then run this again"
install_packages
install_rust_parts
say "ready: $(rustc --version)"
