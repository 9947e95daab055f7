//! The kernels: every instruction in a chain and in streams, every host function, and what an attacker would think of.

use crate::kernels::opcodes::{Link, Opcode, Type};
use crate::kernels::{hosts, opcodes};
use crate::spread::Kernel;

/// All of them.
pub(crate) fn all() -> Vec<Kernel> {
    let mut list: Vec<Kernel> = opcodes::all().filter_map(chain).collect();
    list.extend(opcodes::all().filter_map(streams));
    list.extend(opcodes::kernels().into_iter().map(|one| {
        let kernel = Kernel::new(format!("{}, alone", one.name), one.statement);
        // It grows as far as it may.
        if one.name == "memory.grow by a page" {
            kernel.large()
        } else {
            kernel.dear()
        }
    }));
    list.extend(hosts::kernels().into_iter().map(|one| {
        let mut kernel = Kernel::new(one.name, one.statement);
        kernel.imports = one.imports;
        kernel
    }));
    list.extend(lists());
    list.extend(accesses());
    list.extend(lengths());
    list.extend(tables());
    list.extend(control());
    list.extend(arithmetic());
    list.extend(blocks());
    list.extend(large());
    list
}

/// Each execution waits for the one before.
fn chain(opcode: Opcode) -> Option<Kernel> {
    let Link { kind, text } = opcode.link()?;
    let local = kind.local();
    let kernel = Kernel::new(format!("{}, chain", opcode.mnemonic()), text);
    Some(
        kernel
            .dear()
            .around(format!("local.get {local}"), format!("local.set {local}")),
    )
}

/// Executions that don't wait for each other.
fn streams(opcode: Opcode) -> Option<Kernel> {
    let traps = ["div_", "rem_"]
        .iter()
        .any(|name| opcode.mnemonic().contains(name));
    if traps {
        return None;
    }
    let kernel =
        Kernel::new(format!("{}, streams", opcode.mnemonic()), opcode.streams()?).times(12, 1);
    // Widths of integers are no code, or part of another instruction.
    let is_width = ["extend", "wrap"]
        .iter()
        .any(|name| opcode.mnemonic().contains(name));
    Some(if is_width { kernel.dear() } else { kernel })
}

const NEXT: &str = "local.get $x i64.const 6364136223846793005 i64.mul i64.const 1442695040888963407 i64.add local.tee $x i64.const 44 i64.shr_u i32.wrap_i64 ";

const WASI: &str = "wasi_snapshot_preview1";

/// Host calls with as many entries as they take.
fn lists() -> Vec<Kernel> {
    let calls = [
        (
            "fd_write of 1024 vectors",
            "fd_write",
            "i32.const 2 i32.const 65536 i32.const 1024 i32.const 4096",
        ),
        (
            "fd_read of 1024 vectors",
            "fd_read",
            "i32.const 0 i32.const 65536 i32.const 1024 i32.const 4096",
        ),
        (
            "poll_oneoff of 1024 clocks",
            "poll_oneoff",
            "i32.const 65536 i32.const 600000 i32.const 1024 i32.const 4096",
        ),
    ];
    calls
        .map(|(title, name, arguments)| {
            let mut kernel = Kernel::new(title, format!("{arguments} call $list drop")).times(4, 1);
            kernel.imports = format!(
                r#"(import "{WASI}" "{name}" (func $list (param i32 i32 i32 i32) (result i32)))"#
            );
            kernel
        })
        .into()
}

/// Accesses to memory.
fn accesses() -> Vec<Kernel> {
    let mut list = Vec::new();
    for shift in [14, 16, 18, 19, 20] {
        let kib = (1 << shift) >> 10;
        list.push(
            Kernel::new(format!("dependent loads over {kib} KiB"), "i32.load")
                .after(format!(
                    "(call $cycle (i32.const {})) (local.set $i (i32.const 65536))",
                    1 << shift
                ))
                .around("local.get $i", "local.set $i")
                .times(200, 1),
        );
    }
    list.extend([
        Kernel::new(
            "loads of one line",
            "local.get $i i32.const 32 i32.load offset={k} i32.xor local.set $i",
        )
        .times(50, 4)
        .dear(),
        Kernel::new(
            "scattered loads",
            format!("{NEXT} i32.load offset=65536 local.get $i i32.xor local.set $i"),
        ),
        Kernel::new(
            "scattered stores",
            format!("{NEXT} local.get $i i32.store offset=65536"),
        ),
        Kernel::new(
            "stores of one line",
            "i32.const 65536 local.get $i i32.store offset={k}",
        )
        .times(16, 4),
        Kernel::new(
            "stores that loads wait for",
            "local.set $i i32.const 64 local.get $i i32.store8 i32.const 64 i32.load",
        )
        .around("local.get $i", "local.set $i"),
        Kernel::new("loads across pages", "i32.load")
            .after("(i32.store (i32.const 4093) (i32.const 4093)) (local.set $i (i32.const 4093))")
            .around("local.get $i", "local.set $i"),
        Kernel::new(
            "stores across pages",
            "i32.const 4093 local.get $l i64.store offset={k}",
        )
        .times(50, 4096),
    ]);
    list
}

/// What works on a length.
fn lengths() -> Vec<Kernel> {
    let mut list = Vec::new();
    for len in [0, 1, 8, 64, 512, 4_096, 32_768, 524_288] {
        let copies = if len > 10_000 { 2 } else { 20 };
        let lens = [
            (
                "memory.fill",
                "i32.const 65536 local.get $i local.get $p memory.fill",
            ),
            (
                "memory.copy",
                "i32.const 65536 i32.const 589824 local.get $p memory.copy",
            ),
            (
                "memory.copy, one byte up",
                "i32.const 65537 i32.const 65536 local.get $p memory.copy",
            ),
            (
                "memory.copy, one byte down",
                "i32.const 65536 i32.const 65537 local.get $p memory.copy",
            ),
            (
                "memory.init",
                "i32.const 65536 i32.const 0 local.get $p memory.init $long",
            ),
            (
                "random_get",
                "i32.const 65536 local.get $p call $random drop",
            ),
            ("output_write", "i32.const 65536 local.get $p call $output"),
            (
                "input_read",
                "i32.const 65536 local.get $p i32.const 0 call $input drop",
            ),
        ];
        for (name, link) in lens {
            // A length that no compiler knows.
            let mut kernel = Kernel::new(format!("{name} of {len} bytes"), link)
                .after(format!("(local.set $p (call $same (i32.const {len})))"))
                .times(copies, 1);
            if name == "memory.init" {
                kernel = kernel.with(format!("(data $long \"{}\")", "x".repeat(len)));
            }
            kernel.imports = format!(
                r#"(import "{WASI}" "random_get" (func $random (param i32 i32) (result i32)))
                (import "frith" "output_write" (func $output (param i32 i32)))"#
            );
            list.push(kernel);
        }
    }
    list
}

/// Instructions on tables.
fn tables() -> Vec<Kernel> {
    let mut list = Vec::new();
    for len in [0, 1, 10, 100, 900] {
        let instructions = [
            (
                "table.fill",
                "i32.const 3 local.get $r local.get $p table.fill $t",
            ),
            (
                "table.fill with a function",
                "i32.const 3 ref.func $same local.get $p table.fill $t",
            ),
            (
                "table.copy",
                "i32.const 0 i32.const 0 local.get $p table.copy $s $t",
            ),
            (
                "table.init",
                "i32.const 0 i32.const 0 local.get $p table.init $t $many",
            ),
        ];
        list.extend(instructions.map(|(name, link)| {
            Kernel::new(format!("{name} of {len}"), link)
                .after(format!("(local.set $p (call $same (i32.const {len})))"))
                .with(format!("(elem $many func {})", "$same ".repeat(len)))
        }));
    }
    list.push(
        // As often as tables grow in a run.
        Kernel::new(
            "table.grow by 1",
            "ref.null func i32.const 1 table.grow $long drop",
        )
        .at_most(81),
    );
    list
}

fn control() -> Vec<Kernel> {
    let functions: String = (0..64)
        .map(|k| format!("(func $f{k} (type $same) local.get 0 i32.const {k} i32.add)\n"))
        .collect();
    let names: String = (0..64).map(|k| format!("$f{k} ")).collect();
    let table = format!("{functions} (elem (table $t) (i32.const 10) func {names})");
    let step = "local.get $p i32.const 64 i32.add i32.const 1048575 i32.and local.set $p";
    let noise = "(call $noise (i32.const 1049600))";
    let switch = |targets: u32| {
        let open = "block ".repeat(targets as usize);
        let labels: String = (0..targets).map(|k| format!("{k} ")).collect();
        let arms: String = (0..targets)
            .map(|k| format!("end local.get $i i32.const {k} i32.xor i32.const 3 i32.rotl local.set $i br {} ", targets - 1 - k))
            .collect();
        format!(
            "block {open} local.get $p i32.load8_u offset={{k}} local.get $p i32.load8_u offset=65600 i32.const 8 i32.shl i32.or \
             i32.const {last} i32.and br_table {labels} {last} {arms} end",
            last = targets - 1
        )
    };
    let parameters = "(param i32) ".repeat(100);
    let answers = "(result i32) ".repeat(100);
    vec![
        Kernel::new("branches at random", "local.get $p i32.load8_u offset={k} i32.const 1 i32.and if i32.const 0 local.get $i i32.store end")
            .after(noise)
            .around("", step)
            .times(64, 1),
        Kernel::new("br_if at random", "block local.get $p i32.load8_u offset={k} i32.const 1 i32.and br_if 0 local.get $i i32.const 1 i32.add local.set $i end")
            .after(noise)
            .around("", step)
            .times(64, 1),
        Kernel::new("br_table of 16 at random", switch(16)).after(noise).around("", step).times(8, 1),
        Kernel::new("br_table of 256 at random", switch(256)).after(noise).around("", step).times(2, 1),
        Kernel::new(
            "call_indirect at random",
            "local.get $i local.get $p i32.load8_u offset={k} i32.const 63 i32.and i32.const 10 i32.add call_indirect $t (type $same) local.set $i",
        )
        .with(table)
        .after(noise)
        .around("", step)
        .times(64, 1),
        Kernel::new("calls 2000 deep", "i32.const 2000 call $deep").times(1, 1).with(
            "(func $deep (param i32) local.get 0 if local.get 0 i32.const 1 i32.sub call $deep end)",
        ),
        Kernel::new("a call of 4000 locals", "local.get $l call $locals local.set $l").with(format!(
            "(func $locals (param i64) (result i64) {} local.get 0 local.get 1500 i64.add)",
            "(local i64)".repeat(4_000)
        ))
        .dear(),
        Kernel::new("a call of 100 parameters", format!("{} call $wide", "local.get $i ".repeat(100)))
            .times(5, 1)
            .with(format!("(func $wide {parameters})")),
        Kernel::new("a call of 100 results", format!("local.get $i call $wide {}", "i32.xor ".repeat(99)) + "local.set $i")
            .times(5, 1)
            .with(format!("(func $wide (param i32) {answers} {})", "local.get 0 ".repeat(100))),
        Kernel::new("a branch with 100 values", format!(
            "local.get $i block {answers} i32.const 5 {} br 0 end {} local.set $i",
            "local.get $i ".repeat(100),
            "i32.xor ".repeat(100)
        ))
        .times(5, 1)
        .dear(),
        Kernel::new("values of a local that is set", format!("{} i32.const 1 local.set $i {}", "local.get $i ".repeat(100), "drop ".repeat(100)))
            .times(5, 1)
            .dear(),
        Kernel::new("values below a block", format!("{} block end {} local.set $i", "local.get $i ".repeat(100), "i32.xor ".repeat(99))).times(5, 1).dear(),
        Kernel::new("blocks in blocks", "block ".repeat(100) + "local.get $i br_if 50 " + &"end ".repeat(100)).times(5, 1).dear(),
    ]
}

fn arithmetic() -> Vec<Kernel> {
    let mut list = Vec::new();
    for (kind, most) in [
        (Type::I32, "2147483647"),
        (Type::I64, "9223372036854775807"),
    ] {
        for name in ["div_s", "div_u", "rem_s", "rem_u"] {
            let (text, local) = (kind.name(), kind.local());
            list.push(Kernel::new(
                format!("{text}.{name}, long"),
                format!("{text}.const {most} local.get {local} {text}.const 3 {text}.or {text}.const 31 {text}.and {text}.{name} local.set {local}"),
            ));
        }
    }
    let small = "(local.set $d (f64.const 0x1p-1060)) (local.set $d2 (f64.load (i32.const 65536)))";
    for (name, text) in [
        ("f64.mul", "local.get $d2 f64.mul"),
        ("f64.add", "local.get $d f64.add"),
        ("f64.div", "local.get $d2 f64.div"),
        ("f64.sqrt", "f64.sqrt f64.const 0x1p-530 f64.mul"),
        (
            "f32.demote_f64",
            "f32.demote_f64 f64.promote_f32 local.get $d f64.add",
        ),
    ] {
        list.push(
            Kernel::new(format!("{name} of subnormal numbers"), text)
                .after(format!(
                    "(f64.store (i32.const 65536) (f64.const 0.99999)) {small}"
                ))
                .around("local.get $d", "local.set $d"),
        );
    }
    list.extend([
        Kernel::new(
            "NaNs at random",
            "local.get $p f64.load offset={k} f64.const 1 f64.add i64.reinterpret_f64 local.get $l i64.xor local.set $l",
        )
        .after(
            "(call $noise (i32.const 1049600))
            (loop $n (i64.store offset=65536 (local.get $p) (select (i64.const 0x7ff8000000000001) (i64.const 1)
              (i32.and (i32.const 1) (i32.load offset=65536 (local.get $p)))))
              (br_if $n (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 8))) (i32.const 1049600))))",
        )
        .around("", "local.get $p i32.const 512 i32.add i32.const 1048575 i32.and local.set $p")
        .times(64, 8),
        Kernel::new(
            "multiplications and additions",
            "local.get $l i64.const 6364136223846793005 i64.mul i64.const 1442695040888963407 i64.add local.set $l",
        ),
        Kernel::new("i64.popcnt of the result", "i64.popcnt").around("local.get $l", "local.set $l"),
        Kernel::new("NaNs made canonical", "local.get $d2 f64.sub i64.reinterpret_f64 f64.reinterpret_i64")
            .after("(local.set $d (f64.const nan))")
            .around("local.get $d", "local.set $d"),
        Kernel::new("floats made canonical", "local.get $d2 f64.sub i64.reinterpret_f64 f64.reinterpret_i64").around("local.get $d", "local.set $d"),
    ]);
    list
}

/// Code without a pattern, so that an interpreter's next instruction can't be guessed.
fn code(statements: u32, seed: u64) -> String {
    let mut state = seed;
    let mut pick = |most: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    let names = ["$i", "$ia", "$ib", "$ic", "$i2"];
    let one = ["clz", "ctz", "popcnt", "eqz", "extend8_s"];
    let two = [
        "add", "sub", "xor", "and", "or", "shl", "shr_u", "rotl", "mul", "lt_s", "eq", "ge_u",
    ];
    (0..statements)
        .map(|_| {
            let mut name = || names.get(pick(5) as usize).copied().unwrap_or("$i");
            let (from, with, to) = (name(), name(), name());
            match pick(3) {
                0 => format!(
                    "local.get {from} i32.{} local.set {to}\n",
                    one[pick(5) as usize]
                ),
                1 => format!(
                    "local.get {from} i32.const {} i32.{} local.set {to}\n",
                    pick(1_000),
                    two[pick(12) as usize]
                ),
                _ => format!(
                    "local.get {from} local.get {with} i32.{} local.set {to}\n",
                    two[pick(12) as usize]
                ),
            }
        })
        .collect()
}

fn blocks() -> Vec<Kernel> {
    vec![
        Kernel::new("100 statements without a pattern", code(100, 1))
            .times(1, 1)
            .dear(),
        Kernel::new("1000 statements without a pattern", code(1_000, 2))
            .times(1, 1)
            .dear(),
        Kernel::new("20000 statements without a pattern", code(20_000, 3))
            .times(1, 1)
            .dear(),
        jumps("jumps among 400 places of code", 400, 10),
    ]
}

/// A `br_table` whose arms are `statements` long each.
fn jumps(name: &str, places: u32, statements: u32) -> Kernel {
    let open = "block ".repeat(places as usize);
    let labels: String = (0..places).map(|k| format!("{k} ")).collect();
    let arms: String = (0..places)
        .map(|k| format!("end {} br {} ", code(statements, k.into()), places - 1 - k))
        .collect();
    let text = format!(
        "block {open} {NEXT} i32.const {places} i32.rem_u br_table {labels} {} {arms} end",
        places - 1
    );
    Kernel::new(name, text).times(1, 1)
}

fn large() -> Vec<Kernel> {
    let mut list = Vec::new();
    for mib in [4, 16, 64, 255] {
        // The cycle's places are a power of two; the largest takes half of them twice.
        let bytes = if mib == 255 { 128 << 20 } else { mib << 20 };
        list.push(
            Kernel::new(
                format!("dependent loads over {} MiB", bytes >> 20),
                "i32.load",
            )
            .after(format!(
                "(call $cycle (i32.const {bytes})) (local.set $i (i32.const 65536))"
            ))
            .around("local.get $i", "local.set $i")
            .times(200, 1)
            .pages(4_000)
            .large(),
        );
    }
    let far = "local.get $x i64.const 6364136223846793005 i64.mul i64.const 1442695040888963407 i64.add local.tee $x i64.const 37 i64.shr_u i32.wrap_i64 ";
    let touch = "(memory.fill (i32.const 65536) (i32.const 1) (i32.const 261000000))";
    list.extend([
        Kernel::new("scattered loads over 128 MiB", format!("{far} i32.load offset=65536 local.get $i i32.xor local.set $i"))
            .after(touch)
            .pages(4_000),
        Kernel::new("scattered stores over 128 MiB", format!("{far} local.get $i i32.store offset=65536"))
            .after(touch)
            .pages(4_000),
        Kernel::new("loads wait for each other over 128 MiB", format!("{far} local.get $i i32.add i32.const 134217720 i32.and i32.load offset=65536 local.set $i"))
            .after(touch)
            .pages(4_000),
        Kernel::new("memory.fill of 250 MiB", "i32.const 65536 local.get $i i32.const 261000000 memory.fill").times(1, 1).pages(4_000),
        Kernel::new("memory.copy of 120 MiB", "i32.const 65536 i32.const 131072000 i32.const 120000000 memory.copy").times(1, 1).pages(4_000),
        jumps("jumps among 180 places of long code", 180, 200),
    ].map(Kernel::large));
    list
}
