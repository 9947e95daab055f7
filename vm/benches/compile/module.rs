//! Puts hostile modules together: functions whose bodies repeat a step until they have a wanted size.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ElementSection, Elements, Encode as _,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    Instruction as I, MemArg, MemArgTarget, MemorySection, MemoryType, Module, RefType,
    TableSection, TableType, TypeSection, ValType,
};

/// Numbers that look random and are the same in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) % u64::from(end.max(1))) as u32
    }
}

/// The instructions of one function, without its last `end`.
#[derive(Default)]
pub(crate) struct Code(pub(crate) Vec<u8>);

impl Code {
    pub(crate) fn put(&mut self, instructions: &[I<'_>]) {
        for instruction in instructions {
            instruction.encode(&mut self.0);
        }
    }
}

impl Code {
    /// Loads every local, so that nothing is known of them.
    fn begin(&mut self, (count, kind): (u32, ValType)) {
        for local in 0..count {
            let at = word(local);
            self.put(&[I::I32Const(0)]);
            self.put(&[match kind {
                ValType::I32 => I::I32Load(at),
                ValType::F64 => I::F64Load(at),
                _ => I::I64Load(at),
            }]);
            self.put(&[I::LocalSet(local)]);
        }
    }

    /// Stores every local, so that nothing that led to it can be left out.
    fn keep(&mut self, (count, kind): (u32, ValType)) {
        for local in 0..count {
            self.put(&[I::I32Const(0), I::LocalGet(local)]);
            let at = word(local);
            self.put(&[match kind {
                ValType::I32 => I::I32Store(at),
                ValType::F64 => I::F64Store(at),
                _ => I::I64Store(at),
            }]);
        }
    }
}

fn word(index: u32) -> MemArg {
    MemArg {
        offset: u64::from(index) * 8,
        ..AT
    }
}

/// One function: its type, how many locals of which type, its code.
pub(crate) struct Body {
    pub(crate) kind: u32,
    pub(crate) locals: (u32, ValType),
    pub(crate) code: Code,
}

/// What a module is made of. Type 0 is `() -> ()`; the entry point is an empty function behind `bodies`.
#[derive(Default)]
pub(crate) struct Parts {
    /// Types behind type 0.
    pub(crate) types: Vec<(Vec<ValType>, Vec<ValType>)>,
    pub(crate) bodies: Vec<Body>,
    /// Every function is an element of the table, so that each may be called from outside.
    pub(crate) all_escape: bool,
    pub(crate) globals: u32,
    /// Data segments of four bytes each.
    pub(crate) segments: u32,
    /// Element segments, and how often each names the entry point.
    pub(crate) element_segments: (u32, u32),
    /// Exports of the entry point beside its own.
    pub(crate) exports: u32,
}

impl Parts {
    /// `count` functions without parameters, each made by `make`.
    pub(crate) fn functions(
        count: u32,
        locals: (u32, ValType),
        mut make: impl FnMut(u32) -> Code,
    ) -> Self {
        let bodies = (0..count).map(|index| {
            let mut code = Code::default();
            code.begin(locals);
            code.0.extend(make(index).0);
            code.keep(locals);
            Body {
                kind: 0,
                locals,
                code,
            }
        });
        Self {
            bodies: bodies.collect(),
            ..Self::default()
        }
    }

    /// The same with every function in the table.
    pub(crate) fn escaping(mut self) -> Self {
        self.all_escape = true;
        self
    }

    /// The module.
    pub(crate) fn build(self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        for (parameters, results) in self.types {
            types.ty().function(parameters, results);
        }
        let count = u32::try_from(self.bodies.len()).expect("few");
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for body in self.bodies {
            functions.function(body.kind);
            let mut function = Function::new([body.locals]);
            function.raw(body.code.0);
            function.instruction(&I::End);
            code.function(&function);
        }
        functions.function(0);
        let mut entry = Function::new([]);
        entry.instruction(&I::End);
        code.function(&entry);
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: 40_000,
            maximum: None,
            shared: false,
        });
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut globals = GlobalSection::new();
        for _ in 0..self.globals {
            let kind = GlobalType {
                val_type: ValType::I64,
                mutable: true,
                shared: false,
            };
            globals.global(kind, &ConstExpr::i64_const(7));
        }
        let mut exports = ExportSection::new();
        exports.export("run", ExportKind::Func, count);
        for n in 0..self.exports {
            exports.export(&n.to_string(), ExportKind::Func, count);
        }
        let mut elements = ElementSection::new();
        let (segments, length) = self.element_segments;
        for n in 0..segments {
            let start = ConstExpr::i32_const((n % 1_000) as i32);
            let all = vec![count; length as usize];
            elements.active(None, &start, Elements::Functions(all.into()));
        }
        if self.all_escape {
            let all: Vec<u32> = (0..count).collect();
            elements.active(
                None,
                &ConstExpr::i32_const(0),
                Elements::Functions(all.into()),
            );
        }
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&tables);
        module.section(&memories).section(&globals);
        module.section(&exports).section(&elements).section(&code);
        let mut segments = DataSection::new();
        for n in 0..self.segments {
            // Far from each other as often as not.
            let start = ConstExpr::i32_const((n % 4_093 * 16) as i32);
            segments.active(0, &start, n.to_le_bytes());
        }
        module.section(&segments);
        module.finish()
    }
}

/// Code of about so many bytes, step by step.
pub(crate) fn filled(size: usize, mut step: impl FnMut(&mut Code)) -> Code {
    let mut code = Code::default();
    while code.0.len() < size {
        step(&mut code);
    }
    code
}

/// A block that takes and gives nothing.
pub(crate) const EMPTY: BlockType = BlockType::Empty;

/// A place in memory, not aligned as far as anybody knows.
pub(crate) const AT: MemArg = MemArg {
    offset: 8,
    align: 0,
    target: MemArgTarget::Memory(0),
    ordering: None,
};

/// As many parameters, and results, as a type may have.
pub(crate) const WIDE: usize = 128;

/// Adds two locals into a third.
pub(crate) fn add_some(code: &mut Code, random: &mut Random, locals: u32) {
    code.put(&[
        I::LocalGet(random.below(locals)),
        I::LocalGet(random.below(locals)),
        I::I64Add,
        I::LocalSet(random.below(locals)),
    ]);
}

/// Bytes of so many functions together.
pub(crate) fn total(size: usize, count: u32) -> u32 {
    u32::try_from(size).expect("small").saturating_mul(count)
}
