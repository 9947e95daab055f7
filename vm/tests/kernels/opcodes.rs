//! A body for every instruction of the allowed features that can be executed again and again.

use super::Kernel;

/// A number type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    I32,
    I64,
    F32,
    F64,
}

use Type::{F32, F64, I32, I64};

impl Type {
    fn named(name: &str) -> Option<Self> {
        [I32, I64, F32, F64]
            .into_iter()
            .find(|kind| name == kind.name())
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            I32 => "i32",
            I64 => "i64",
            F32 => "f32",
            F64 => "f64",
        }
    }

    /// The local that a body of this type goes on with; its second operand has a 2 behind.
    pub(crate) const fn local(self) -> &'static str {
        match self {
            I32 => "$i",
            I64 => "$l",
            F32 => "$f",
            F64 => "$d",
        }
    }

    /// Instructions that make a value of `to` of this type's.
    const fn bridge(self, to: Self) -> &'static str {
        match (self, to) {
            (I32, I64) => "i64.extend_i32_u",
            (I32, F32) => "f32.convert_i32_s",
            (I32, F64) => "f64.convert_i32_s",
            (I64, I32) => "i32.wrap_i64",
            (I64, F32) => "f32.convert_i64_s",
            (I64, F64) => "f64.convert_i64_s",
            (F32, I32) => "i32.reinterpret_f32",
            (F32, I64) => "i32.reinterpret_f32 i64.extend_i32_u",
            (F32, F64) => "f64.promote_f32",
            (F64, I32) => "i64.reinterpret_f64 i32.wrap_i64",
            (F64, I64) => "i64.reinterpret_f64",
            (F64, F32) => "f32.demote_f64",
            _ => "",
        }
    }
}

/// An instruction of the allowed features.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opcode {
    /// wasmparser's name.
    pub(crate) operator: &'static str,
    visitor: &'static str,
    arity: &'static str,
}

macro_rules! list {
    ($(@$proposal:ident $operator:ident $({ $($field:ident: $kind:ty),* })? => $visitor:ident ($($arity:tt)*))*) => {
        const ALL: &[(&str, Opcode)] = &[$((
            stringify!($proposal),
            Opcode { operator: stringify!($operator), visitor: stringify!($visitor), arity: stringify!($($arity)*) },
        )),*];
    };
}
wasmparser::for_each_operator!(list);

/// The proposals that [`frith_vm::FEATURES`] allows instructions of.
const ALLOWED: [&str; 5] = [
    "mvp",
    "sign_extension",
    "saturating_float_to_int",
    "bulk_memory",
    "reference_types",
];

/// What has no body: it ends the run, is part of another instruction, or is never valid.
pub(crate) const WITHOUT: [&str; 4] = ["Unreachable", "Else", "End", "TypedSelectMulti"];

/// Every instruction that a module may have.
pub(crate) fn all() -> impl Iterator<Item = Opcode> {
    ALL.iter()
        .filter(|(proposal, _)| ALLOWED.contains(proposal))
        .map(|(_, opcode)| *opcode)
}

/// Bodies of every instruction that can be repeated.
pub(crate) fn kernels() -> Vec<Kernel> {
    let bodies = all().filter_map(|opcode| Some((opcode.mnemonic(), opcode.statement()?)));
    bodies
        .chain(FURTHER.map(|(name, body)| (name.to_owned(), body.to_owned())))
        .map(|(name, statement)| Kernel {
            name,
            imports: String::new(),
            statement,
        })
        .collect()
}

/// The same instructions where they take another way: what fails, or works on nothing.
const FURTHER: [(&str, &str); 9] = [
    (
        "select by eqz",
        "local.get $i local.get $i2 local.get $turns i32.eqz select local.set $i",
    ),
    (
        "memory.grow by a page",
        "i32.const 1 memory.grow local.set $i",
    ),
    (
        "table.grow by an element",
        "ref.null func i32.const 1 table.grow $long local.set $i",
    ),
    (
        "memory.grow, refused",
        "i32.const 65536 memory.grow local.set $i",
    ),
    (
        "table.grow, refused",
        "ref.null func i32.const 1000000 table.grow $t local.set $i",
    ),
    (
        "call_indirect with a result",
        "local.get $i i32.const 1 call_indirect $t (type $same) local.set $i",
    ),
    ("call with a result", "local.get $i call $same local.set $i"),
    (
        "table.copy of one table",
        "i32.const 0 i32.const 1 i32.const 3 table.copy $t $t",
    ),
    (
        "memory.copy over itself",
        "i32.const 1 i32.const 0 i32.const 100 memory.copy",
    ),
];

impl Opcode {
    /// The instruction's name in WebAssembly text.
    pub(crate) fn mnemonic(self) -> String {
        let name = self.visitor.trim_start_matches("visit_");
        let groups = [
            "i32_", "i64_", "f32_", "f64_", "local_", "global_", "memory_", "table_", "ref_",
            "data_", "elem_",
        ];
        match groups.iter().find(|group| name.starts_with(**group)) {
            Some(_) => name.replacen('_', ".", 1),
            None => name.replace("typed_select", "select (result i32)"),
        }
    }

    /// A body that executes the instruction once; `None` for those [`WITHOUT`] one.
    pub(crate) fn statement(self) -> Option<String> {
        let mnemonic = self.mnemonic();
        let fixed = match mnemonic.as_str() {
            "nop" => "nop",
            "block" => "block end",
            "loop" => "loop end",
            "if" => "local.get $i2 if local.get $i2 local.set $i else i32.const 1 local.set $i end",
            "br" => "block br 0 end",
            "br_if" => "block local.get $i2 br_if 0 i32.const 0 local.set $i2 end",
            "br_table" => "block block local.get $i2 br_table 0 1 0 end end",
            "return" => "call $returns",
            "call" => "call $nothing",
            "call_indirect" => "i32.const 0 call_indirect $t (type $nothing)",
            "drop" => "local.get $i drop",
            "select" => "local.get $i local.get $i2 local.get $i select local.set $i",
            "select (result i32)" => {
                "local.get $i local.get $i2 local.get $i select (result i32) local.set $i"
            }
            "local.get" | "local.set" => "local.get $i local.get $i2 local.set $i local.set $i2",
            "local.tee" => "local.get $i local.tee $i2 local.set $i",
            "global.get" | "global.set" => {
                "local.get $i global.get $gi local.set $i global.set $gi"
            }
            "memory.size" => "memory.size local.set $i",
            "memory.grow" => "i32.const 0 memory.grow local.set $i",
            "memory.init" => "i32.const 0 i32.const 0 i32.const 8 memory.init $data",
            "memory.copy" => "i32.const 0 i32.const 65536 i32.const 8 memory.copy",
            "memory.fill" => "i32.const 0 i32.const 1 i32.const 8 memory.fill",
            "data.drop" => "data.drop $data",
            "table.get" => "i32.const 1 table.get $t local.set $r",
            "table.set" => "i32.const 3 local.get $r table.set $t",
            "table.size" => "table.size $t local.set $i",
            "table.grow" => "ref.null func i32.const 0 table.grow $t local.set $i",
            "table.fill" => "i32.const 3 local.get $r i32.const 2 table.fill $t",
            "table.copy" => "i32.const 0 i32.const 0 i32.const 2 table.copy $s $t",
            "table.init" => "i32.const 5 i32.const 0 i32.const 2 table.init $t $elem",
            "elem.drop" => "elem.drop $elem",
            "ref.null" => "ref.null func local.set $r",
            "ref.is_null" => "local.get $r ref.is_null local.set $i",
            "ref.func" => "ref.func $same local.set $r",
            _ if WITHOUT.contains(&self.operator) => return None,
            _ => return Some(self.numeric(&mnemonic)),
        };
        Some(fixed.to_owned())
    }

    /// Type of the operand that a chain hands on, and of the result; `None` for what neither computes nor loads.
    fn types(self) -> Option<(Type, Type)> {
        let mnemonic = self.mnemonic();
        let (prefix, rest) = mnemonic.split_once('.')?;
        let named = Type::named(prefix)?;
        let first = rest.split('_').next()?;
        let operand = match first {
            _ if first.starts_with("store") || first == "const" => return None,
            _ if first.starts_with("load") => I32,
            // The operand's type stands in the name of a conversion.
            _ => rest
                .split('_')
                .filter_map(Type::named)
                .next_back()
                .unwrap_or(named),
        };
        let compares = ["eq", "ne", "lt", "gt", "le", "ge", "eqz"].contains(&first);
        Some((operand, if compares { I32 } else { named }))
    }

    fn takes_two(self) -> bool {
        self.arity.contains("2 -> 1")
    }

    /// Loads, stores, constants and what computes: each goes on with what the one before it made.
    fn numeric(self, mnemonic: &str) -> String {
        let named = Type::named(mnemonic.split('.').next().unwrap_or_default()).unwrap_or(I32);
        if let Some(link) = self.link() {
            let local = link.kind.local();
            let mask = if mnemonic.contains("load") {
                "i32.const 65528 i32.and"
            } else {
                ""
            };
            return format!("local.get {local} {mask} {} local.set {local}", link.text);
        }
        let local = named.local();
        if mnemonic.ends_with("const") {
            format!("{mnemonic} 1 local.set {local}")
        } else {
            format!("i32.const 8 local.get {local} {mnemonic}")
        }
    }

    /// What computes or loads, as the link of a chain.
    pub(crate) fn link(self) -> Option<Link> {
        let (operand, result) = self.types()?;
        let second = if self.takes_two() {
            format!("local.get {}2 ", operand.local())
        } else {
            String::new()
        };
        let text = format!("{second}{} {}", self.mnemonic(), result.bridge(operand));
        Some(Link {
            kind: operand,
            text,
        })
    }

    /// The same in [`STREAMS`] that don't wait for each other. What one stream makes is mixed with the next, so that no
    /// compiler finds anything to simplify. `None` for loads too.
    pub(crate) fn streams(self) -> Option<String> {
        let (operand, result) = self.types()?;
        if self.mnemonic().contains("load") {
            return None;
        }
        let (mnemonic, local, back) = (self.mnemonic(), operand.local(), result.bridge(operand));
        let mix = match operand {
            _ if self.takes_two() && back.is_empty() => String::new(),
            F32 | F64 => format!("local.get {local}2 {}.add", operand.name()),
            I32 | I64 => format!("local.get {local}2 {}.xor", operand.name()),
        };
        let one = |at: usize| {
            let (own, next) = (STREAMS[at], STREAMS[(at + 1) % STREAMS.len()]);
            let second = if self.takes_two() {
                format!("local.get {local}{next}")
            } else {
                String::new()
            };
            format!(
                "local.get {local}{own} {second} {mnemonic} {back} {mix} local.set {local}{own} "
            )
        };
        Some((0..STREAMS.len()).map(one).collect())
    }
}

/// What stands behind the locals of streams.
pub(crate) const STREAMS: [&str; 4] = ["", "a", "b", "c"];

/// Instructions that make of a value on the stack another one of the same type.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) kind: Type,
    pub(crate) text: String,
}
