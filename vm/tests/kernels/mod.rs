//! Modules that repeat: one for each instruction and each host function. The list of instructions is wasmparser's own, so
//! none is forgotten when a feature is allowed.

#![allow(dead_code, reason = "each user needs a part")]

pub(crate) mod hosts;
pub(crate) mod opcodes;

/// What a loop repeats.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pub(crate) name: String,
    /// Imports, in WebAssembly text.
    pub(crate) imports: String,
    /// The body: instructions, in WebAssembly text, that leave the operand stack as it was.
    pub(crate) statement: String,
}

/// How often the body stands in the loop, so that the loop itself weighs little.
pub(crate) const COPIES: u32 = 50;

/// Everything that a body can name; `run` goes through the bodies one after the other, executes each `rounds` times
/// (a multiple of [`COPIES`]) and answers with a mixture of all values that the bodies change.
pub(crate) fn module(imports: &str, statements: &[&str], rounds: u32) -> String {
    let loops: String = statements
        .iter()
        .map(|statement| {
            let turns = rounds.div_ceil(COPIES);
            let body = format!("{statement}\n").repeat(COPIES as usize);
            format!(
                "(local.set $turns (i32.const {turns}))
                (loop $again {body}
                (br_if $again (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))\n"
            )
        })
        .collect();
    format!(
        r#"(module
  (type $nothing (func))
  (type $same (func (param i32) (result i32)))
  {imports}
  (memory 2)
  (table $t 1000 1000 funcref)
  (table $s 100 200 funcref)
  (table $long 0 100000 funcref)
  (global $gi (mut i32) (i32.const 7))
  (data $data "\01\02\03\04\05\06\07\08")
  (elem (table $t) (i32.const 0) func $nothing $same)
  (elem $elem func $nothing $same $returns)
  (func $nothing)
  (func $returns return)
  (func $same (param i32) (result i32) (local.get 0))
  (func (export "run") (result i32)
    (local $turns i32) (local $r funcref)
    (local $i i32) (local $l i64) (local $f f32) (local $d f64)
    (local $i2 i32) (local $l2 i64) (local $f2 f32) (local $d2 f64)
    (local.set $i (i32.load (i32.const 65536))) (local.set $i2 (i32.load (i32.const 65536)))
    (i32.store (i32.const 65536) (i32.const 3)) (i64.store (i32.const 65544) (i64.const 5))
    (f32.store (i32.const 65552) (f32.const 1.0001)) (f64.store (i32.const 65560) (f64.const 1.0001))
    (local.set $i2 (i32.load (i32.const 65536))) (local.set $l2 (i64.load (i32.const 65544)))
    (local.set $f2 (f32.load (i32.const 65552))) (local.set $d2 (f64.load (i32.const 65560)))
    (local.set $l (local.get $l2)) (local.set $f (local.get $f2)) (local.set $d (local.get $d2))
    {loops}
    (i32.xor (global.get $gi)
      (i32.xor (i32.xor (local.get $i) (i32.load (i32.const 0)))
        (i32.xor (i32.wrap_i64 (local.get $l))
          (i32.xor (i32.reinterpret_f32 (local.get $f)) (i32.wrap_i64 (i64.reinterpret_f64 (local.get $d)))))))))"#
    )
}
