//! Long code without branches.

use crate::module::{AT, EMPTY, Parts, Random, filled};
use wasm_encoder::{HeapType, Instruction as I, MemArg, ValType};

pub(crate) fn straight(size: usize, count: u32, locals: u32) -> Parts {
    Parts::functions(count, (locals, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            let operation = [I::I64Add, I::I64Mul, I::I64Xor][random.below(3) as usize].clone();
            code.put(&[
                I::LocalGet(random.below(locals)),
                I::LocalGet(random.below(locals)),
                operation,
                I::LocalSet(random.below(locals)),
            ]);
        })
    })
}

pub(crate) fn floats(size: usize, count: u32) -> Parts {
    Parts::functions(count, (300, ValType::F64), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            let operation = [I::F64Add, I::F64Mul, I::F64Div, I::F64Min, I::F64Max]
                [random.below(5) as usize]
                .clone();
            code.put(&[
                I::LocalGet(random.below(300)),
                I::LocalGet(random.below(300)),
                operation,
                I::I64ReinterpretF64,
                I::F64ReinterpretI64,
                I::LocalSet(random.below(300)),
            ]);
        })
    })
}

pub(crate) fn divisions(size: usize, count: u32) -> Parts {
    Parts::functions(count, (1_000, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            let operation =
                [I::I64DivS, I::I64DivU, I::I64RemS, I::I64RemU][random.below(4) as usize].clone();
            code.put(&[
                I::LocalGet(random.below(1_000)),
                I::LocalGet(random.below(1_000)),
                operation,
                I::LocalSet(random.below(1_000)),
            ]);
        })
    })
}

pub(crate) fn truncations(size: usize, count: u32) -> Parts {
    Parts::functions(count, (40, ValType::F64), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            code.put(&[
                I::LocalGet(random.below(40)),
                I::I64TruncF64U,
                I::F64ConvertI64U,
                I::LocalSet(random.below(40)),
            ]);
        })
    })
}

pub(crate) fn copies(size: usize, count: u32) -> Parts {
    Parts::functions(count, (3, ValType::I32), |_| {
        filled(size, |code| {
            code.put(&[
                I::LocalGet(0),
                I::LocalGet(1),
                I::LocalGet(2),
                I::MemoryCopy {
                    src_mem: 0,
                    dst_mem: 0,
                },
            ]);
        })
    })
}

pub(crate) fn grows(size: usize, count: u32) -> Parts {
    Parts::functions(count, (1, ValType::I32), |_| {
        filled(size, |code| {
            code.put(&[I::LocalGet(0), I::MemoryGrow(0), I::Drop]);
        })
    })
}

pub(crate) fn table_gets(size: usize, count: u32) -> Parts {
    Parts::functions(count, (2, ValType::I32), |_| {
        filled(size, |code| {
            code.put(&[I::LocalGet(0), I::TableGet(0), I::RefIsNull, I::LocalSet(0)]);
        })
    })
}

pub(crate) fn table_grows(size: usize, count: u32) -> Parts {
    Parts::functions(count, (2, ValType::I32), |_| {
        filled(size, |code| {
            code.put(&[
                I::RefNull(HeapType::FUNC),
                I::LocalGet(0),
                I::TableGrow(0),
                I::LocalSet(0),
            ]);
        })
    })
}

pub(crate) fn references(size: usize, count: u32) -> Parts {
    Parts::functions(count, (2, ValType::I32), |_| {
        filled(size, |code| {
            code.put(&[I::LocalGet(0), I::RefFunc(0), I::TableSet(0)]);
        })
    })
    .escaping()
}

pub(crate) fn rotations(size: usize, count: u32) -> Parts {
    Parts::functions(count, (16, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            code.put(&[
                I::LocalGet(random.below(16)),
                I::LocalGet(random.below(16)),
                I::I64Rotl,
                I::LocalSet(random.below(16)),
            ]);
        })
    })
}

pub(crate) fn loads(size: usize, count: u32) -> Parts {
    Parts::functions(count, (200, ValType::I32), |index| {
        let mut random = Random::new(index.into());
        let at = MemArg { align: 0, ..AT };
        filled(size, |code| {
            code.put(&[
                I::LocalGet(random.below(200)),
                I::LocalGet(random.below(200)),
                I::I32Load(at),
                I::I32Store(at),
            ]);
        })
    })
}

/// Offsets that need a check of their own, of two widths.
pub(crate) fn far_loads(size: usize, count: u32) -> Parts {
    Parts::functions(count, (1, ValType::I32), |_| {
        let at = MemArg {
            offset: 0xf000_0000,
            ..AT
        };
        filled(size, |code| {
            code.put(&[I::LocalGet(0), I::I32Load(at), I::LocalSet(0)]);
        })
    })
}

pub(crate) fn globals(size: usize, count: u32) -> Parts {
    const GLOBALS: u32 = 100;
    let mut parts = Parts::functions(count, (1, ValType::I32), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            code.put(&[
                I::GlobalGet(random.below(GLOBALS)),
                I::GlobalGet(random.below(GLOBALS)),
                I::I64Add,
                I::GlobalSet(random.below(GLOBALS)),
            ]);
        })
    });
    parts.globals = GLOBALS;
    parts
}

pub(crate) fn constants(size: usize, count: u32) -> Parts {
    Parts::functions(count, (60, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            code.put(&[
                I::I64Const(i64::from(random.below(1 << 30)) << 20),
                I::LocalSet(random.below(60)),
            ]);
        })
    })
}

pub(crate) fn additions(size: usize, count: u32) -> Parts {
    Parts::functions(count, (1, ValType::I32), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            let operation = [
                I::I32Add,
                I::I32Sub,
                I::I32Xor,
                I::I32Or,
                I::I32And,
                I::I32Shl,
            ][random.below(6) as usize]
                .clone();
            code.put(&[
                I::LocalGet(0),
                I::I32Const(random.below(64) as i32),
                operation,
                I::LocalSet(0),
            ]);
        })
    })
}

/// Nested expressions of many operations, which the optimizer has rules for.
pub(crate) fn expressions(size: usize, count: u32) -> Parts {
    Parts::functions(count, (16, ValType::I32), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            code.put(&[I::LocalGet(random.below(16))]);
            for _ in 0..30 {
                let operation = [
                    I::I32Add,
                    I::I32Mul,
                    I::I32And,
                    I::I32Or,
                    I::I32Xor,
                    I::I32Shl,
                    I::I32ShrU,
                    I::I32Rotl,
                    I::I32Eq,
                    I::I32LtS,
                    I::I32GeU,
                    I::I32Sub,
                ][random.below(12) as usize]
                    .clone();
                code.put(&[I::LocalGet(random.below(16)), operation]);
                let unary = [I::I32Eqz, I::I32Extend8S, I::I32Popcnt, I::I32Clz]
                    [random.below(4) as usize]
                    .clone();
                if random.below(2) == 0 {
                    code.put(&[unary]);
                }
            }
            code.put(&[I::LocalSet(random.below(16))]);
        })
    })
}

pub(crate) fn selects(size: usize, count: u32) -> Parts {
    Parts::functions(count, (100, ValType::I64), |index| {
        let mut random = Random::new(index.into());
        filled(size, |code| {
            code.put(&[
                I::LocalGet(random.below(100)),
                I::LocalGet(random.below(100)),
                I::LocalGet(random.below(100)),
                I::LocalGet(random.below(100)),
                I::I64LtS,
                I::Select,
                I::LocalSet(random.below(100)),
            ]);
        })
    })
}

/// The same expressions again and again in many blocks: numbered once, used everywhere.
pub(crate) fn equal_expressions(size: usize, count: u32) -> Parts {
    Parts::functions(count, (2, ValType::I64), |_| {
        filled(size, |code| {
            code.put(&[I::Block(EMPTY)]);
            for n in 1..12 {
                code.put(&[
                    I::LocalGet(0),
                    I::I64Const(n * 1_000_003),
                    I::I64Mul,
                    I::LocalGet(1),
                    I::I64Xor,
                    I::I64Eqz,
                    I::BrIf(0),
                ]);
            }
            code.put(&[I::End]);
        })
    })
}

pub(crate) fn nothing(size: usize, count: u32) -> Parts {
    Parts::functions(count, (0, ValType::I64), |_| {
        filled(size, |code| code.put(&[I::Nop]))
    })
}
