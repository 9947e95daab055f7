//! Engines that give less than the limits allow, and say so to nobody but the guest, as browsers do: the metered code
//! itself must notice.

use crate::wasm;
use frith_vm::{Limits, prepare};

/// Grows memory by 3 pages or a table by 3 elements, of 8 that it may have, then says that it went on.
const GROWS: [(&str, &str); 2] = [
    ("(memory 1 8)", "(memory.grow (i32.const AMOUNT))"),
    (
        "(table 1 8 funcref)",
        "(table.grow (ref.null func) (i32.const AMOUNT))",
    ),
];

/// What a run left: whether it trapped, the mark, and what the guest saw (0 when it didn't go on).
#[derive(Debug, PartialEq)]
struct Left {
    trapped: bool,
    failed: i32,
    answer: i32,
}

fn module((declared, grow): (&str, &str), amount: u32) -> Vec<u8> {
    let grow = grow.replace("AMOUNT", &amount.to_string());
    let text = format!(
        r#"(module {declared} (global $answer (export "answer") (mut i32) (i32.const 0))
            (func (export "run") (global.set $answer {grow})))"#
    );
    prepare(&wasm(&text), &Limits::default())
        .expect("is accepted")
        .wasm
}

/// Lets a memory have one page and a table one element.
struct Stingy;

impl wasmtime::ResourceLimiter for Stingy {
    fn memory_growing(&mut self, _: usize, to: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(to <= 1 << 16)
    }

    fn table_growing(&mut self, _: usize, to: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(to <= 1)
    }
}

impl wasmi::ResourceLimiter for Stingy {
    fn memory_growing(
        &mut self,
        _: usize,
        to: usize,
        _: Option<usize>,
    ) -> Result<bool, wasmi_core::LimiterError> {
        Ok(to <= 1 << 16)
    }

    fn table_growing(
        &mut self,
        _: usize,
        to: usize,
        _: Option<usize>,
    ) -> Result<bool, wasmi_core::LimiterError> {
        Ok(to <= 1)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}

fn on_wasmtime(wasm: &[u8]) -> Left {
    use wasmtime::{Engine, Instance, Module, Store, Val};
    let engine = Engine::new(&frith_vm::engine::wasmtime::config()).expect("an engine");
    let mut store = Store::new(&engine, Stingy);
    store.limiter(|stingy| stingy);
    let module = Module::from_binary(&engine, wasm).expect("compiles");
    let instance = Instance::new(&mut store, &module, &[]).expect("starts");
    let mut global = |name: &str, value: Option<Val>| {
        let global = instance.get_global(&mut store, name)?;
        if let Some(value) = value {
            global.set(&mut store, value).expect("is mutable");
        }
        global.get(&mut store).i32()
    };
    global("frith:fuel", Some(Val::I64(1 << 40)));
    global("frith:stack", Some(Val::I32(1 << 18)));
    global("frith:pages", Some(Val::I32(8)));
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .expect("an entry point");
    let trapped = run.call(&mut store, ()).is_err();
    let mut global = |name| {
        let global = instance.get_global(&mut store, name).expect("a global");
        global.get(&mut store).i32().expect("an i32")
    };
    Left {
        trapped,
        failed: global("frith:failed"),
        answer: global("answer"),
    }
}

fn on_wasmi(wasm: &[u8]) -> Left {
    use wasmi::{Engine, Linker, Module, Store, Val};
    let engine = Engine::new(&frith_vm::engine::wasmi::config());
    let mut store = Store::new(&engine, Stingy);
    store.limiter(|stingy| stingy);
    let module = Module::new(&engine, wasm).expect("is translated");
    let instance = Linker::new(&engine)
        .instantiate_and_start(&mut store, &module)
        .expect("starts");
    for (name, value) in [
        ("frith:fuel", Val::I64(1 << 40)),
        ("frith:stack", Val::I32(1 << 18)),
        ("frith:pages", Val::I32(8)),
    ] {
        if let Some(global) = instance.get_global(&store, name) {
            global.set(&mut store, value).expect("is mutable");
        }
    }
    let run = instance
        .get_typed_func::<(), ()>(&store, "run")
        .expect("an entry point");
    let trapped = run.call(&mut store, ()).is_err();
    let global = |name| {
        let global = instance.get_global(&store, name).expect("a global");
        global.get(&store).i32().expect("an i32")
    };
    Left {
        trapped,
        failed: global("frith:failed"),
        answer: global("answer"),
    }
}

#[test]
fn what_the_limit_allows_and_the_host_does_not_give_ends_the_run_with_a_mark() {
    for grow in GROWS {
        let wasm = module(grow, 3);
        for left in [on_wasmtime(&wasm), on_wasmi(&wasm)] {
            let expected = Left {
                trapped: true,
                failed: 1,
                answer: 0,
            };
            assert_eq!(left, expected, "{grow:?}");
        }
    }
}

#[test]
fn what_the_limit_forbids_is_the_guests_to_see_and_leaves_no_mark() {
    for grow in GROWS {
        for (amount, answer) in [(8, -1), (u32::MAX, -1), (0, 1)] {
            let wasm = module(grow, amount);
            for left in [on_wasmtime(&wasm), on_wasmi(&wasm)] {
                let expected = Left {
                    trapped: false,
                    failed: 0,
                    answer,
                };
                assert_eq!(left, expected, "{grow:?} by {amount}");
            }
        }
    }
}
