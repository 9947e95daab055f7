//! Many functions, parameters and locals.

use crate::module::{Body, Code, Parts, Random, add_some, filled, total};
use wasm_encoder::{Instruction as I, ValType};

pub(crate) fn small_functions(size: usize, count: u32) -> Parts {
    let functions = total(size, count) / 200;
    Parts::functions(functions, (8, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        filled(190, |code| add_some(code, &mut random, 8))
    })
    .escaping()
}

pub(crate) fn empty_functions(size: usize, count: u32) -> Parts {
    let functions = (total(size, count) / 8).min(32_000);
    Parts::functions(functions, (0, ValType::I64), |_| Code::default()).escaping()
}

pub(crate) fn wide_functions(size: usize, count: u32, wide: usize) -> Parts {
    let functions = (total(size, count) / 8).min(32_000);
    let mut parts = Parts::functions(functions, (0, ValType::I64), |_| {
        let mut code = Code::default();
        code.put(&[I::Unreachable]);
        code
    });
    parts
        .types
        .push((vec![ValType::I64; wide], vec![ValType::I64; wide]));
    for body in &mut parts.bodies {
        body.kind = 1;
    }
    parts.escaping()
}

pub(crate) fn many_locals(size: usize, count: u32) -> Parts {
    let functions = (total(size, count) / 8).min(8_000);
    let bodies = (0..functions).map(|_| Body {
        kind: 0,
        locals: (4_000, ValType::I64),
        code: Code::default(),
    });
    Parts {
        bodies: bodies.collect(),
        ..Parts::default()
    }
}

pub(crate) fn segments(size: usize, count: u32) -> Parts {
    Parts {
        segments: total(size, count).min(100_000),
        ..Parts::default()
    }
}

pub(crate) fn element_segments(size: usize, count: u32) -> Parts {
    Parts {
        element_segments: ((total(size, count) / 16).min(4_000), 32),
        ..Parts::default()
    }
}

pub(crate) fn elements(size: usize, count: u32) -> Parts {
    Parts {
        element_segments: (4, total(size, count).min(120_000) / 4),
        ..Parts::default()
    }
}

pub(crate) fn exports(size: usize, count: u32) -> Parts {
    Parts {
        exports: (total(size, count) / 16).min(4_000),
        ..Parts::default()
    }
}

pub(crate) fn many_globals(size: usize, count: u32) -> Parts {
    Parts {
        globals: (total(size, count) / 16).min(4_000),
        ..Parts::default()
    }
}

pub(crate) fn types(size: usize, count: u32) -> Parts {
    let types = (total(size, count) / 32).min(4_000) as usize;
    let mut parts = Parts::default();
    for n in 0..types {
        let some = |bits: usize| -> Vec<ValType> {
            (0..120)
                .map(|at| {
                    if bits >> (at % 12) & 1 == 0 {
                        ValType::I32
                    } else {
                        ValType::I64
                    }
                })
                .collect()
        };
        parts.types.push((some(n), some(n / 3)));
    }
    parts
}
