#!/usr/bin/env bash
# Compiles the programs of this folder anew, or those that are named: `build.sh go-hello c-long`. The README says which
# compilers made the ones that lie here; GO, ZIG, CLANG, CLANGXX and RUSTC name others.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sources=$here/sources
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ASSEMBLYSCRIPT=0.28.20
WASI_SHIM=0.1.0

numbers() { seq -s ' ' 0 999; }

go_program() {
    cp -r "$sources/$1" "$work/$1"
    if [[ $1 == go-calls ]]; then
        {
            printf 'package main\n\nfunc registerAll() {\n'
            for n in $(numbers); do printf '\tregister("name%s", %s)\n' "$n" "$n"; done
            printf '}\n'
        } >"$work/$1/calls.go"
    fi
    (cd "$work/$1" && GOOS=wasip1 GOARCH=wasm "${GO:-go}" build -trimpath -buildvcs=false -ldflags='-s -w' -o "$here/$1.wasm" .)
}

c_program() {
    "${CLANG:-clang}" --target=wasm32-wasi -O2 -Wl,--strip-all -o "$here/$1.wasm" "$sources/$1.c"
}

cpp_program() {
    "${CLANGXX:-clang++}" --target=wasm32-wasi -O2 -std=c++20 -fno-exceptions -Wl,--strip-all \
        -o "$here/$1.wasm" "$sources/$1.cpp"
}

zig_program() {
    # Zig writes files of its own beside what it makes.
    (cd "$work" && ${ZIG:-zig} build-exe "$sources/$1.zig" -target wasm32-wasi -O ReleaseSmall -fstrip "-femit-bin=$1.wasm")
    cp "$work/$1.wasm" "$here/$1.wasm"
}

assemblyscript_program() {
    (
        cd "$work"
        npm install --silent --no-fund --no-audit "assemblyscript@$ASSEMBLYSCRIPT" "@assemblyscript/wasi-shim@$WASI_SHIM"
        cp "$sources/$1.ts" .
        npx asc "$1.ts" --config node_modules/@assemblyscript/wasi-shim/asconfig.json -O3 -o "$here/$1.wasm"
    )
}

rust_program() {
    sed "s/NUMBERS/$(numbers)/" "$sources/$1.rs" >"$work/$1.rs"
    "${RUSTC:-rustc}" --edition 2024 --target wasm32-wasip1 -C opt-level=3 -C lto=fat -C codegen-units=1 -C panic=abort \
        -C strip=symbols -o "$here/$1.wasm" "$work/$1.rs"
}

all=(go-hello go-calls go-digest c-states c-long cpp-words zig-words as-words rust-states)
for program in "${@:-${all[@]}}"; do
    printf '%s\n' "$program"
    case $program in
        go-*) go_program "$program" ;;
        c-*) c_program "$program" ;;
        cpp-*) cpp_program "$program" ;;
        zig-*) zig_program "$program" ;;
        as-*) assemblyscript_program "$program" ;;
        rust-*) rust_program "$program" ;;
        *) printf 'there is no program %s\n' "$program" >&2; exit 1 ;;
    esac
    chmod 644 "$here/$program.wasm"
done
