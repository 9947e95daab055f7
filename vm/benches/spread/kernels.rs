//! What a kernel is, and the module that it becomes.

use crate::kernels::opcodes::STREAMS;

/// What a kernel's figure counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    /// It can be the dearest and the cheapest.
    Both,
    /// It can be the dearest only: a compiler leaves some of it out, since nobody reads what it makes.
    Dear,
    /// Its data or its code don't fit 1 MiB; it is the dearest of another figure.
    Large,
}

/// A loop whose body is `open`, `copies` of `link`, `close`.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) counts: Counts,
    /// Imports, in WebAssembly text.
    pub(crate) imports: String,
    /// Functions and tables.
    fields: String,
    pages: u32,
    /// What is done once, before the loop.
    setup: String,
    open: String,
    /// `{k}` becomes the copy's number times `stride`.
    link: String,
    stride: u32,
    close: String,
    copies: u32,
    /// Turns after which the kernel can't go on.
    pub(crate) turns_max: u32,
}

impl Kernel {
    pub(crate) fn new(name: impl Into<String>, link: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            counts: Counts::Both,
            imports: String::new(),
            fields: String::new(),
            pages: 33,
            setup: String::new(),
            open: String::new(),
            link: link.into(),
            stride: 1,
            close: String::new(),
            copies: 50,
            turns_max: u32::MAX,
        }
    }

    pub(crate) fn dear(mut self) -> Self {
        self.counts = Counts::Dear;
        self
    }

    pub(crate) fn large(mut self) -> Self {
        self.counts = Counts::Large;
        self
    }

    pub(crate) fn after(mut self, setup: impl Into<String>) -> Self {
        self.setup = setup.into();
        self
    }

    pub(crate) fn around(mut self, open: impl Into<String>, close: impl Into<String>) -> Self {
        (self.open, self.close) = (open.into(), close.into());
        self
    }

    pub(crate) fn with(mut self, fields: impl Into<String>) -> Self {
        self.fields = fields.into();
        self
    }

    pub(crate) fn pages(mut self, pages: u32) -> Self {
        self.pages = pages;
        self
    }

    pub(crate) fn times(mut self, copies: u32, stride: u32) -> Self {
        (self.copies, self.stride) = (copies, stride);
        self
    }

    pub(crate) fn at_most(mut self, turns: u32) -> Self {
        self.turns_max = turns;
        self
    }

    /// The module; its input is the number of turns, four bytes.
    pub(crate) fn text(&self) -> String {
        let links: String = (0..self.copies)
            .map(|copy| self.link.replace("{k}", &(copy * self.stride).to_string()) + "\n")
            .collect();
        let locals: String = ["i32 $i", "i64 $l", "f32 $f", "f64 $d"]
            .iter()
            .filter_map(|one| one.split_once(' '))
            .flat_map(|(kind, name)| {
                ["", "a", "b", "c", "2"].map(|suffix| format!("(local {name}{suffix} {kind}) "))
            })
            .collect();
        let constants: String = STREAMS
            .iter()
            .chain(&["2"])
            .map(|suffix| {
                format!(
                    "(local.set $i{suffix} (i32.load (i32.const 65504))) (local.set $l{suffix} (i64.load (i32.const 65512)))
                    (local.set $f{suffix} (f32.load (i32.const 65520))) (local.set $d{suffix} (f64.load (i32.const 65528)))\n"
                )
            })
            .collect();
        let Self {
            imports,
            fields,
            pages,
            setup,
            open,
            close,
            ..
        } = self;
        format!(
            r#"(module
  (type $nothing (func))
  (type $same (func (param i32) (result i32)))
  {imports}
  (import "frith" "input_read" (func $input (param i32 i32 i32) (result i32)))
  (memory {pages})
  (table $t 1000 1000 funcref)
  (table $s 1000 2000 funcref)
  (table $long 0 100000 funcref)
  (global $gi (mut i32) (i32.const 7))
  (data $data "\01\02\03\04\05\06\07\08")
  (elem (table $t) (i32.const 0) func $nothing $same)
  (elem $elem func $nothing $same $returns)
  (func $nothing)
  (func $returns return)
  (func $same (param i32) (result i32) (local.get 0))
  {fields}
  {HELPERS}
  (func (export "run") (result i32)
    (local $turns i32) (local $r funcref) (local $p i32) (local $x i64)
    {locals}
    (i32.store (i32.const 65504) (i32.const 3)) (i64.store (i32.const 65512) (i64.const 5))
    (f32.store (i32.const 65520) (f32.const 1.0001)) (f64.store (i32.const 65528) (f64.const 1.0001))
    {constants}
    (drop (call $input (i32.const 65500) (i32.const 4) (i32.const 0)))
    (local.set $turns (i32.load (i32.const 65500)))
    (local.set $i (i32.const 0))
    {setup}
    (loop $again
      {open}
      {links}
      {close}
      (br_if $again (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))
    (i32.store (i32.const 65504) (local.get $i)) (i64.store (i32.const 65512) (local.get $l))
    (f32.store (i32.const 65520) (local.get $f)) (f64.store (i32.const 65528) (local.get $d))
    (local.get $p)))"#
        )
    }
}

/// `$cycle` writes, from the second MiB on when there is one, addresses of 64 bytes distance that lead around once through
/// `$bytes` in an order that no prefetcher follows; `$noise` writes bytes without a pattern. Both begin at `BASE`.
const HELPERS: &str = r#"
  (func $cycle (param $bytes i32) (local $n i32) (local $k i32)
    (local.set $n (i32.shr_u (local.get $bytes) (i32.const 6)))
    (loop $next
      (i32.store (call $place (local.get $k) (local.get $n))
        (call $place (i32.add (local.get $k) (i32.const 1)) (local.get $n)))
      (br_if $next (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n)))))
  (func $place (param $k i32) (param $n i32) (result i32)
    (local.set $k (i32.and (i32.mul (local.get $k) (i32.const 0x9e3779b1)) (i32.sub (local.get $n) (i32.const 1))))
    (local.set $k (i32.xor (local.get $k) (i32.shr_u (local.get $k) (i32.const 7))))
    (local.set $k (i32.and (i32.mul (local.get $k) (i32.const 0x85ebca6b)) (i32.sub (local.get $n) (i32.const 1))))
    (i32.add (i32.const 65536) (i32.shl (local.get $k) (i32.const 6))))
  (func $noise (param $bytes i32) (local $k i32) (local $x i64)
    (local.set $x (i64.const 0x2545F4914F6CDD1D))
    (loop $next
      (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
      (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
      (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
      (i64.store offset=65536 (local.get $k) (local.get $x))
      (br_if $next (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 8))) (local.get $bytes)))))"#;
