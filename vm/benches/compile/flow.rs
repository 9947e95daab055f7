//! Much control flow: joins, loops, tables of branches.

use crate::module::{Code, EMPTY, Parts, Random, WIDE, add_some, filled};
use wasm_encoder::{BlockType, Instruction as I, ValType};

/// Blocks that a function with so many locals may have by the limit on their product.
pub(crate) fn blocks_max(locals: u32) -> u32 {
    (1 << 23) / locals - 2
}

pub(crate) fn joins(size: usize, count: u32, locals: u32) -> Parts {
    Parts::functions(count, (locals, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        let mut blocks = 0;
        filled(size, |code| {
            blocks += 1;
            if blocks < blocks_max(locals) {
                code.put(&[
                    I::Block(EMPTY),
                    I::LocalGet(random.below(locals)),
                    I::I32WrapI64,
                    I::BrIf(0),
                ]);
                add_some(code, &mut random, locals);
                code.put(&[I::End]);
            } else {
                add_some(code, &mut random, locals);
            }
        })
    })
}

pub(crate) fn ifs(size: usize, count: u32, locals: u32) -> Parts {
    Parts::functions(count, (locals, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        let mut blocks = 0;
        filled(size, |code| {
            blocks += 1;
            if blocks < blocks_max(locals) {
                code.put(&[
                    I::LocalGet(random.below(locals)),
                    I::I32WrapI64,
                    I::If(EMPTY),
                ]);
                add_some(code, &mut random, locals);
                code.put(&[I::Else]);
                add_some(code, &mut random, locals);
                code.put(&[I::End]);
            } else {
                add_some(code, &mut random, locals);
            }
        })
    })
}

pub(crate) fn loops(size: usize, count: u32, locals: u32) -> Parts {
    Parts::functions(count, (locals, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        let mut blocks = 0;
        filled(size, |code| {
            blocks += 1;
            if blocks < blocks_max(locals) {
                code.put(&[I::Loop(EMPTY)]);
                add_some(code, &mut random, locals);
                code.put(&[
                    I::LocalGet(random.below(locals)),
                    I::I32WrapI64,
                    I::BrIf(0),
                    I::End,
                ]);
            } else {
                add_some(code, &mut random, locals);
            }
        })
    })
}

pub(crate) fn nested_loops(size: usize, count: u32, locals: u32) -> Parts {
    const DEPTH: u32 = 400;
    Parts::functions(count, (locals, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            for _ in 0..DEPTH {
                code.put(&[I::Loop(EMPTY)]);
                add_some(code, &mut random, locals);
            }
            for depth in 0..DEPTH {
                let out = random.below(DEPTH - depth);
                code.put(&[
                    I::LocalGet(random.below(locals)),
                    I::I32WrapI64,
                    I::BrIf(out),
                    I::End,
                ]);
            }
        })
    })
}

pub(crate) fn wide_blocks(size: usize, count: u32) -> Parts {
    let code = |_| {
        let mut code = Code::default();
        code.put(&vec![I::I64Const(1); WIDE]);
        let step = |code: &mut Code| {
            code.put(&[
                I::Block(BlockType::FunctionType(1)),
                I::LocalGet(0),
                I::BrIf(0),
                I::End,
            ]);
        };
        code.0.extend(filled(size, step).0);
        code.put(&vec![I::Drop; WIDE]);
        code
    };
    let mut parts = Parts::functions(count, (1, ValType::I32), code);
    let all = vec![ValType::I64; WIDE];
    parts.types.push((all.clone(), all));
    parts
}

pub(crate) fn tall_operands(size: usize, count: u32) -> Parts {
    const TALL: usize = 4_000;
    Parts::functions(count, (2, ValType::I64), |_| {
        let mut code = Code::default();
        for _ in 0..TALL {
            code.put(&[I::LocalGet(0), I::I64Const(3), I::I64Mul, I::LocalTee(0)]);
        }
        let step = |code: &mut Code| {
            code.put(&[
                I::Block(EMPTY),
                I::LocalGet(1),
                I::I32WrapI64,
                I::BrIf(0),
                I::I64Const(5),
                I::LocalSet(1),
                I::End,
            ]);
        };
        let rest = size.saturating_sub(code.0.len());
        code.0.extend(filled(rest, step).0);
        for _ in 1..TALL {
            code.put(&[I::I64Add]);
        }
        code.put(&[I::LocalSet(0)]);
        code
    })
}

pub(crate) fn tables_to_loops(size: usize, count: u32, locals: u32, depth: u32) -> Parts {
    Parts::functions(count, (locals, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        let mut code = Code::default();
        for _ in 0..depth {
            code.put(&[I::Loop(EMPTY)]);
            add_some(&mut code, &mut random, locals);
        }
        let step = |code: &mut Code| {
            let targets: Vec<u32> = (0..depth).map(|_| random.below(depth)).collect();
            code.put(&[
                I::Block(EMPTY),
                I::LocalGet(random.below(locals)),
                I::I32WrapI64,
                I::I32Const(1),
                I::I32Eq,
                I::BrIf(0),
                I::LocalGet(random.below(locals)),
                I::I32WrapI64,
                I::BrTable(targets.into(), 0),
                I::End,
            ]);
        };
        code.0.extend(filled(size, step).0);
        code.put(&vec![I::End; depth as usize]);
        code
    })
}

/// Forward tables: the locals are set anew before each, so that every target joins them.
pub(crate) fn tables_to_blocks(size: usize, count: u32, locals: u32) -> Parts {
    const DEPTH: u32 = 100;
    Parts::functions(count, (locals, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            code.put(&vec![I::Block(EMPTY); DEPTH as usize]);
            for depth in (1..=DEPTH).rev() {
                for _ in 0..4 {
                    add_some(code, &mut random, locals);
                }
                let targets: Vec<u32> = (0..depth * 2).map(|_| random.below(depth)).collect();
                code.put(&[
                    I::Block(EMPTY),
                    I::LocalGet(random.below(locals)),
                    I::I32WrapI64,
                    I::BrIf(0),
                    I::LocalGet(random.below(locals)),
                    I::I32WrapI64,
                    I::BrTable(targets.into(), 0),
                    I::End,
                    I::End,
                ]);
            }
        })
    })
}

pub(crate) fn wide_tables(size: usize, count: u32) -> Parts {
    const DEPTH: u32 = 100;
    let code = |_| {
        filled(size, |code| {
            code.put(&vec![I::Block(BlockType::FunctionType(1)); DEPTH as usize]);
            code.put(&vec![I::I64Const(1); WIDE]);
            for depth in (1..=DEPTH).rev() {
                let targets: Vec<u32> = (0..depth * 2).map(|n| n % depth).collect();
                code.put(&[
                    I::Block(BlockType::FunctionType(2)),
                    I::LocalGet(0),
                    I::BrIf(0),
                    I::LocalGet(0),
                    I::BrTable(targets.into(), 1),
                    I::End,
                    I::End,
                ]);
            }
            code.put(&vec![I::Drop; WIDE]);
        })
    };
    let mut parts = Parts::functions(count, (1, ValType::I32), code);
    let all = vec![ValType::I64; WIDE];
    parts.types.push((vec![], all.clone()));
    parts.types.push((all.clone(), all));
    parts
}

pub(crate) fn branches(size: usize, count: u32) -> Parts {
    const DEPTH: u32 = 400;
    Parts::functions(count, (60, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            code.put(&vec![I::Block(EMPTY); DEPTH as usize]);
            for depth in (1..=DEPTH).rev() {
                add_some(code, &mut random, 60);
                for _ in 0..3 {
                    code.put(&[
                        I::LocalGet(random.below(60)),
                        I::I32WrapI64,
                        I::BrIf(random.below(depth)),
                    ]);
                }
                code.put(&[I::End]);
            }
        })
    })
}

pub(crate) fn dead(size: usize, count: u32) -> Parts {
    Parts::functions(count, (2, ValType::I64), |_| {
        let mut code = Code::default();
        code.put(&[I::Unreachable]);
        let step = |code: &mut Code| code.put(&[I::I64Add, I::Block(EMPTY), I::End]);
        code.0.extend(filled(size, step).0);
        code.put(&[I::Unreachable]);
        code
    })
}
