//! Calls: values that live across them, and many parameters and results.

use crate::module::{AT, Body, Code, Parts, Random, WIDE, filled};
use wasm_encoder::{BlockType, Instruction as I, ValType};

pub(crate) fn over_calls(size: usize, count: u32, locals: u32) -> Parts {
    Parts::functions(count, (locals, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            code.put(&[
                I::LocalGet(random.below(locals)),
                I::I32WrapI64,
                I::I64Load(AT),
                I::LocalSet(random.below(locals)),
            ]);
            if random.below(10) == 0 {
                code.put(&[I::Call(count)]);
            }
        })
    })
}

pub(crate) fn wide_calls(size: usize, count: u32, wide: usize) -> Parts {
    let all = vec![ValType::I64; wide];
    let code = |_| {
        let mut code = Code::default();
        code.put(&vec![I::I64Const(1); wide]);
        code.0
            .extend(filled(size, |code| code.put(&[I::Call(count)])).0);
        code.put(&vec![I::Drop; wide]);
        code
    };
    let mut parts = Parts::functions(count, (0, ValType::I64), code);
    parts.types.push((all.clone(), all));
    parts.bodies.push(identity(wide));
    parts
}

/// A function of type 1 that gives back what it takes.
pub(crate) fn identity(wide: usize) -> Body {
    let mut code = Code::default();
    let parameters: Vec<I<'_>> = (0_u32..).take(wide).map(I::LocalGet).collect();
    code.put(&parameters);
    Body {
        kind: 1,
        locals: (0, ValType::I64),
        code,
    }
}

pub(crate) fn narrow_calls(size: usize, count: u32) -> Parts {
    let code = |_| {
        let step = |code: &mut Code| {
            code.put(&[
                I::LocalGet(0),
                I::LocalGet(1),
                I::LocalGet(2),
                I::LocalGet(3),
                I::Call(count),
                I::LocalSet(0),
            ]);
        };
        filled(size, step)
    };
    let mut parts = Parts::functions(count, (4, ValType::I64), code);
    parts
        .types
        .push((vec![ValType::I64; 4], vec![ValType::I64]));
    let mut first = Code::default();
    first.put(&[I::LocalGet(0)]);
    parts.bodies.push(Body {
        kind: 1,
        locals: (0, ValType::I64),
        code: first,
    });
    parts
}

/// At each label 128 results of a call meet those of the call before.
pub(crate) fn joined_calls(size: usize, count: u32) -> Parts {
    let mut parts = wide_calls(0, count, WIDE);
    for body in parts.bodies.iter_mut().take(count as usize) {
        let mut code = Code::default();
        code.put(&vec![I::I64Const(1); WIDE]);
        let step = |code: &mut Code| {
            code.put(&[
                I::Block(BlockType::FunctionType(1)),
                I::LocalGet(0),
                I::BrIf(0),
                I::Call(count),
                I::End,
            ]);
        };
        code.0.extend(filled(size, step).0);
        code.put(&vec![I::Drop; WIDE]);
        body.code = code;
        body.locals = (1, ValType::I32);
    }
    parts
}

pub(crate) fn wide_indirect_calls(size: usize, count: u32) -> Parts {
    let mut parts = wide_calls(0, count, WIDE);
    for body in parts.bodies.iter_mut().take(count as usize) {
        let mut code = Code::default();
        code.put(&vec![I::I64Const(1); WIDE]);
        let call = I::CallIndirect {
            type_index: 1,
            table_index: 0,
        };
        let step = |code: &mut Code| code.put(&[I::I32Const(0), call.clone()]);
        code.0.extend(filled(size, step).0);
        code.put(&vec![I::Drop; WIDE]);
        body.code = code;
    }
    parts
}

pub(crate) fn indirect_calls(size: usize, count: u32) -> Parts {
    Parts::functions(count, (2, ValType::I32), |_| {
        let call = I::CallIndirect {
            type_index: 0,
            table_index: 0,
        };
        filled(size, |code| code.put(&[I::LocalGet(0), call.clone()]))
    })
}
