//! Modules of one shape and any size: how deep, long or wide is up to the caller.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, Encode, ExportKind,
    ExportSection, Function, FunctionSection, Instruction, MemArg, MemArgTarget, MemorySection,
    MemoryType, Module, TypeSection, ValType,
};

/// Function types of every module here.
const NOTHING: u32 = 0;
const ANSWER: u32 = 1;

/// Instructions of one function without its last `end`.
#[derive(Default, Clone)]
pub(crate) struct Body(pub(crate) Vec<u8>);

impl Body {
    pub(crate) fn put(&mut self, instruction: &Instruction<'_>) -> &mut Self {
        instruction.encode(&mut self.0);
        self
    }

    pub(crate) fn put_all(&mut self, instructions: &[Instruction<'_>]) -> &mut Self {
        for instruction in instructions {
            self.put(instruction);
        }
        self
    }

    /// Repeats what `one` writes until no more fits into `bytes`.
    pub(crate) fn fill(&mut self, bytes: usize, mut one: impl FnMut(&mut Self, u32)) -> &mut Self {
        for n in 0.. {
            let len = self.0.len();
            one(self, n);
            if self.0.len() > bytes {
                self.0.truncate(len);
                break;
            }
        }
        self
    }
}

/// A place in memory for an instruction that takes an address.
fn at(offset: impl Into<u64>) -> MemArg {
    MemArg {
        offset: offset.into(),
        align: 0,
        target: MemArgTarget::Memory(0),
        ordering: None,
    }
}

/// A function: its locals, and what it does.
pub(crate) struct Code {
    pub(crate) locals: Vec<(u32, ValType)>,
    pub(crate) body: Body,
}

/// A module of functions `code`, of a function `run` that calls the last of them and answers 0, a page of memory and
/// `data` segments.
pub(crate) fn module(code: &[Code], data: u32) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([], [ValType::I32]);
    let mut functions = FunctionSection::new();
    let mut codes = CodeSection::new();
    for one in code {
        functions.function(NOTHING);
        let mut function = Function::new(one.locals.clone());
        function.raw(one.body.0.iter().copied());
        function.instruction(&Instruction::End);
        codes.function(&function);
    }
    functions.function(ANSWER);
    let mut run = Function::new([]);
    if let Some(last) = code.len().checked_sub(1) {
        run.instruction(&Instruction::Call(last as u32));
    }
    run.instruction(&Instruction::I32Const(0));
    run.instruction(&Instruction::End);
    codes.function(&run);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(2),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, code.len() as u32);
    let mut segments = DataSection::new();
    for n in 0..data {
        let start = ConstExpr::i32_const((n % 65_000) as i32);
        segments.active(0, &start, n.to_le_bytes());
    }
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&DataCountSection { count: data })
        .section(&codes)
        .section(&segments);
    module.finish()
}

/// What opens a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Frame {
    Block,
    Loop,
    If,
}

/// `depth` frames in each other; the innermost leaves all of them at once when a local says so, which it doesn't. A
/// function's own frame is the first.
pub(crate) fn nested(frame: Frame, depth: u32) -> Code {
    let mut body = Body::default();
    for n in 1..depth {
        match frame {
            Frame::Block => body.put(&Instruction::Block(BlockType::Empty)),
            Frame::Loop => body.put(&Instruction::Loop(BlockType::Empty)),
            Frame::If => body.put_all(&[
                Instruction::LocalGet(n % 3),
                Instruction::I32Eqz,
                Instruction::If(BlockType::Empty),
            ]),
        };
    }
    body.put_all(&[Instruction::LocalGet(0), Instruction::BrIf(depth - 1)]);
    for n in 1..depth {
        // What is behind each frame can be reached from two sides; a loop's branch would go back.
        body.put_all(&[
            Instruction::LocalGet(0),
            Instruction::BrIf(0),
            Instruction::LocalGet(1),
            Instruction::LocalSet(n % 2 + 1),
        ]);
        body.put(&Instruction::End);
    }
    Code {
        locals: vec![(3, ValType::I32)],
        body,
    }
}

/// Frames in each other, a `br_table` to all of them inside, and work behind each: a switch as compilers write it.
pub(crate) fn switch(arms: u32) -> Code {
    let mut body = Body::default();
    for _ in 0..arms {
        body.put(&Instruction::Block(BlockType::Empty));
    }
    let targets: Vec<u32> = (0..arms).collect();
    body.put_all(&[
        Instruction::LocalGet(0),
        Instruction::BrTable(targets.into(), arms - 1),
    ]);
    for n in 0..arms {
        body.put_all(&[
            Instruction::End,
            Instruction::LocalGet(1),
            Instruction::I32Const(n as i32),
            Instruction::I32Xor,
            Instruction::LocalSet(1),
        ]);
    }
    Code {
        locals: vec![(2, ValType::I32)],
        body,
    }
}

/// A `br_table` of so many targets, to two frames in turn.
pub(crate) fn table_of_branches(targets: u32) -> Code {
    let mut body = Body::default();
    let list: Vec<u32> = (0..targets).map(|n| n % 2).collect();
    body.put_all(&[
        Instruction::Block(BlockType::Empty),
        Instruction::Block(BlockType::Empty),
        Instruction::LocalGet(0),
        Instruction::BrTable(list.into(), 0),
        Instruction::End,
        Instruction::End,
    ]);
    Code {
        locals: vec![(1, ValType::I32)],
        body,
    }
}

/// Calls of the module's first function, or additions to a local, up to so many bytes.
pub(crate) fn long(calls: bool, bytes: usize) -> Code {
    let mut body = Body::default();
    body.fill(bytes, |body, n| {
        if calls {
            body.put(&Instruction::Call(0));
        } else {
            body.put_all(&[
                Instruction::LocalGet(n % 4),
                Instruction::LocalGet((n + 1) % 4),
                Instruction::I32Add,
                Instruction::LocalSet((n + 2) % 4),
            ]);
        }
    });
    Code {
        locals: vec![(4, ValType::I32)],
        body,
    }
}

/// Many locals that are read behind many `if`s, none of which sets them: a compiler finds each local's value anew behind
/// each.
pub(crate) fn looked_up(locals: u32, joins: u32) -> Code {
    use Instruction as I;
    let mut body = Body::default();
    for n in 1..locals {
        body.put_all(&[I::LocalGet(0), I::I32Load8U(at(n)), I::LocalSet(n)]);
    }
    for _ in 0..joins {
        body.put_all(&[
            I::LocalGet(0),
            I::If(BlockType::Empty),
            I::LocalGet(1),
            I::LocalSet(0),
            I::End,
        ]);
    }
    for n in 1..locals {
        body.put_all(&[I::LocalGet(0), I::LocalGet(n), I::I32Add, I::LocalSet(0)]);
    }
    Code {
        locals: vec![(locals, ValType::I32)],
        body,
    }
}

/// Loops in each other that all change every local, of which there are so many.
pub(crate) fn changed_in_loops(locals: u32, loops: u32) -> Code {
    let mut body = Body::default();
    for _ in 0..loops {
        body.put(&Instruction::Loop(BlockType::Empty));
    }
    for local in 0..locals {
        body.put_all(&[
            Instruction::LocalGet((local + 1) % locals),
            Instruction::I32Const(1),
            Instruction::I32Add,
            Instruction::LocalSet(local),
        ]);
    }
    for _ in 0..loops {
        // It was made 1: no loop is gone round.
        body.put_all(&[
            Instruction::LocalGet(0),
            Instruction::I32Eqz,
            Instruction::BrIf(0),
            Instruction::End,
        ]);
    }
    // What is changed is used behind them.
    for local in 0..locals {
        body.put_all(&[
            Instruction::I32Const(0),
            Instruction::LocalGet(local),
            Instruction::I32Store8(at(local)),
        ]);
    }
    Code {
        locals: vec![(locals, ValType::I32)],
        body,
    }
}
