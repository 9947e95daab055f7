//! Puts the metered module together, section by section, and says what the host must know to run it.

use parity_scale_codec::{Decode, Encode};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, GlobalSection, GlobalType,
    MemorySection, MemoryType, RawSection, SectionId, TableSection, TypeSection, ValType,
};
use wasmparser::{FuncType, Parser, Payload};

use super::compile::{self, Shape};
use super::cost::{BULK_SHIFT, PAGE_SHIFT, TABLE_ELEMENT_SHIFT};
use super::emit::{self, Shared, Signature};
use super::{
    FAILED_EXPORT, FUEL_EXPORT, MEMORY_EXPORT, METER_VERSION, PAGES_EXPORT, STACK_EXPORT,
    START_EXPORT, TABLE_GROWTHS, stack,
};
use crate::limits::{FEATURES, Limits};
use crate::refusal::{Refusal, RefusalCode};
use crate::validate::{Interface, Module, inspect};

/// Fuel of starting any module, beside what it starts with.
const START_FUEL: u64 = 1_000;

/// The function that a run calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Entry {
    /// `_start`, as WASI programs have it.
    #[codec(index = 0)]
    Start,
    /// `run` without a result.
    #[codec(index = 1)]
    Run,
    /// `run` with an exit code as its result.
    #[codec(index = 2)]
    RunWithCode,
    /// Nothing: a module that was prepared for linking.
    #[codec(index = 3)]
    None,
}

impl Entry {
    /// The export's name.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Start => Some("_start"),
            Self::Run | Self::RunWithCode => Some("run"),
            Self::None => None,
        }
    }
}

/// Pages of a module's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct MemoryShape {
    /// Pages at the start.
    pub initial: u32,
    /// Pages that it may ever have.
    pub maximum: u32,
}

/// What the host must know to run a metered module.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Metadata {
    /// The function to call.
    pub entry: Entry,
    /// There is a start function, exported as [`START_EXPORT`], to call first.
    pub has_start: bool,
    /// The module's memory.
    pub memory: Option<MemoryShape>,
    /// Fuel of compiling and instantiating it.
    pub start_fuel: u64,
    /// The part of it that is for compiling.
    pub compile_fuel: u64,
    /// Stack units of a run.
    pub stack_units: u32,
    /// [`METER_VERSION`] of the pass.
    pub meter_version: u32,
}

/// A validated and instrumented module: what every engine runs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Metered {
    /// The instrumented module.
    pub wasm: Vec<u8>,
    /// How to run it.
    pub metadata: Metadata,
}

/// Validates a task's module and instruments it.
///
/// # Errors
///
/// The rule that the module breaks. A pure function of its arguments.
pub fn prepare(wasm: &[u8], limits: &Limits) -> Result<Metered, Refusal> {
    assemble(&inspect(wasm, limits, Interface::Task)?, limits, [0, 0, 0])
}

/// The same for a module with any imports and without an entry point: for test suites and fuzzers that link
/// modules themselves. Never for tasks. The counters start full, since such a module can be called before
/// anyone could set them.
///
/// # Errors
///
/// As [`prepare`].
pub fn prepare_any(wasm: &[u8], limits: &Limits) -> Result<Metered, Refusal> {
    let module = inspect(wasm, limits, Interface::Any)?;
    let pages = module.memory.map_or(0, |memory| memory.maximum);
    assemble(
        &module,
        limits,
        [1 << 40, limits.stack_units.into(), pages.into()],
    )
}

/// `counters` are the first values of fuel, stack and pages.
fn assemble(module: &Module<'_>, limits: &Limits, counters: [i64; 3]) -> Result<Metered, Refusal> {
    let (wasm, compile_ns) = Assembly::new(module, limits, counters).build()?;
    let compile_fuel = compile::fuel(compile_ns.saturating_add(compile::module_ns(module)));
    let metadata = Metadata {
        entry: match module.entry {
            Some(entry) if entry.is_start => Entry::Start,
            Some(entry) if entry.answers => Entry::RunWithCode,
            Some(_) => Entry::Run,
            None => Entry::None,
        },
        has_start: module.start.is_some(),
        memory: module.memory.map(|m| MemoryShape {
            initial: m.initial,
            maximum: m.maximum,
        }),
        start_fuel: start_fuel(module).saturating_add(compile_fuel),
        compile_fuel,
        stack_units: limits.stack_units,
        meter_version: METER_VERSION,
    };
    Ok(Metered { wasm, metadata })
}

fn start_fuel(module: &Module<'_>) -> u64 {
    let pages = module
        .memory
        .filter(|memory| !memory.imported)
        .map_or(0, |memory| u64::from(memory.initial));
    START_FUEL
        + (pages << PAGE_SHIFT)
        + (module.data_bytes >> BULK_SHIFT)
        + (module.initial_elements >> TABLE_ELEMENT_SHIFT)
}

struct Assembly<'m, 'a> {
    module: &'m Module<'a>,
    limits: &'m Limits,
    counters: [i64; 3],
    out: wasm_encoder::Module,
    /// Block type `() -> results` for each function type, once one needed it.
    result_types: Vec<BlockType>,
    globals_done: bool,
    exports_done: bool,
    /// What compiling the functions costs so far.
    compile_ns: u64,
}

impl<'m, 'a> Assembly<'m, 'a> {
    fn new(module: &'m Module<'a>, limits: &'m Limits, counters: [i64; 3]) -> Self {
        Self {
            module,
            limits,
            counters,
            out: wasm_encoder::Module::new(),
            result_types: Vec::new(),
            globals_done: false,
            exports_done: false,
            compile_ns: 0,
        }
    }

    /// The metered module, and what compiling its functions costs in nanoseconds.
    fn build(mut self) -> Result<(Vec<u8>, u64), Refusal> {
        let mut parser = Parser::new(0);
        parser.set_features(FEATURES);
        for payload in parser.parse_all(self.module.wasm) {
            let payload = payload?;
            let section = match &payload {
                Payload::CodeSectionStart {
                    unchecked_range, ..
                } => Some((SectionId::Code as u8, unchecked_range.clone())),
                other => other.as_section(),
            };
            if let Some((id, _)) = &section {
                self.insert_missing(*id)?;
            }
            match payload {
                Payload::TypeSection(_) => self.types()?,
                Payload::TableSection(section) => self.tables(section)?,
                Payload::MemorySection(_) => self.memories(),
                Payload::GlobalSection(section) => self.globals(Some(section))?,
                Payload::ExportSection(section) => self.exports(Some(section))?,
                Payload::CodeSectionStart { .. } => self.code()?,
                Payload::StartSection { .. }
                | Payload::CustomSection(_)
                | Payload::CodeSectionEntry(_) => {}
                _ => {
                    if let Some((id, range)) = section {
                        let data = self
                            .module
                            .wasm
                            .get(range.start as usize..range.end as usize);
                        self.out.section(&RawSection {
                            id,
                            data: data.unwrap_or_default(),
                        });
                    }
                }
            }
        }
        self.insert_missing(u8::MAX)?;
        Ok((self.out.finish(), self.compile_ns))
    }

    /// Before section `id` is copied, or at the end: adds the sections that must precede it and are missing.
    fn insert_missing(&mut self, id: u8) -> Result<(), Refusal> {
        let global = order(SectionId::Global as u8);
        if order(id) > global && !self.globals_done {
            self.globals(None)?;
        }
        if order(id) > order(SectionId::Export as u8) && !self.exports_done {
            self.exports(None)?;
        }
        Ok(())
    }

    fn types(&mut self) -> Result<(), Refusal> {
        let mut section = TypeSection::new();
        for kind in &self.module.types {
            section.ty().func_type(&function_type(kind)?);
        }
        let mut next = u32::try_from(self.module.types.len()).unwrap_or(u32::MAX);
        for kind in &self.module.types {
            self.result_types.push(match kind.results() {
                [] => BlockType::Empty,
                [one] => BlockType::Result(value_type(*one)?),
                _ => {
                    let results = function_type(kind)?.results().to_vec();
                    section.ty().function([], results);
                    next += 1;
                    BlockType::FunctionType(next - 1)
                }
            });
        }
        self.out.section(&section);
        Ok(())
    }

    fn tables(&mut self, tables: wasmparser::TableSectionReader<'_>) -> Result<(), Refusal> {
        let imported = self.module.table_maxima.len() - tables.count() as usize;
        let mut section = TableSection::new();
        for (index, table) in tables.into_iter().enumerate() {
            let mut kind = RoundtripReencoder
                .table_type(table?.ty)
                .map_err(|error| impossible(&error))?;
            kind.maximum = self
                .module
                .table_maxima
                .get(imported + index)
                .copied()
                .map(u64::from);
            section.table(kind);
        }
        self.out.section(&section);
        Ok(())
    }

    fn memories(&mut self) {
        let mut section = MemorySection::new();
        if let Some(memory) = self.module.memory.filter(|memory| !memory.imported) {
            section.memory(MemoryType {
                minimum: memory.initial.into(),
                maximum: Some(memory.maximum.into()),
                memory64: false,
                shared: false,
                page_size_log2: None,
            });
        }
        self.out.section(&section);
    }

    fn globals(
        &mut self,
        globals: Option<wasmparser::GlobalSectionReader<'_>>,
    ) -> Result<(), Refusal> {
        self.globals_done = true;
        let mut section = GlobalSection::new();
        if let Some(globals) = globals {
            RoundtripReencoder
                .parse_global_section(&mut section, globals)
                .map_err(|error| impossible(&error))?;
        }
        let kind = |val_type| GlobalType {
            val_type,
            mutable: true,
            shared: false,
        };
        let [fuel, stack, pages] = self.counters;
        section.global(kind(ValType::I64), &ConstExpr::i64_const(fuel));
        section.global(kind(ValType::I32), &ConstExpr::i32_const(stack as i32));
        section.global(kind(ValType::I64), &ConstExpr::i64_const(0));
        section.global(kind(ValType::I32), &ConstExpr::i32_const(TABLE_GROWTHS));
        section.global(kind(ValType::I32), &ConstExpr::i32_const(0));
        if self.module.memory.is_some() {
            section.global(kind(ValType::I32), &ConstExpr::i32_const(pages as i32));
        }
        self.out.section(&section);
        Ok(())
    }

    fn exports(
        &mut self,
        exports: Option<wasmparser::ExportSectionReader<'_>>,
    ) -> Result<(), Refusal> {
        self.exports_done = true;
        let mut section = ExportSection::new();
        if let Some(exports) = exports {
            RoundtripReencoder
                .parse_export_section(&mut section, exports)
                .map_err(|error| impossible(&error))?;
        }
        let first = self.module.globals;
        section.export(FUEL_EXPORT, ExportKind::Global, first);
        section.export(STACK_EXPORT, ExportKind::Global, first + 1);
        section.export(FAILED_EXPORT, ExportKind::Global, first + 4);
        if self.module.memory.is_some() {
            section.export(PAGES_EXPORT, ExportKind::Global, first + 5);
            section.export(MEMORY_EXPORT, ExportKind::Memory, 0);
        }
        if let Some(start) = self.module.start {
            section.export(START_EXPORT, ExportKind::Func, start);
        }
        self.out.section(&section);
        Ok(())
    }

    fn code(&mut self) -> Result<(), Refusal> {
        let module = self.module;
        let shared = Shared {
            wasm: module.wasm,
            fuel: module.globals,
            stack: module.globals + 1,
            zero: module.globals + 2,
            growths: module.globals + 3,
            failed: module.globals + 4,
            pages: module.globals + 5,
            table_maxima: &module.table_maxima,
        };
        let units = stack::entry_units(&module.plans, module.imported_functions);
        let defined = module
            .functions
            .iter()
            .skip(module.imported_functions as usize);
        let mut section = CodeSection::new();
        for (((kind, plan), body), units) in
            defined.zip(&module.plans).zip(&module.bodies).zip(units)
        {
            let signature = self.signature(*kind, units)?;
            let function = emit::function(&shared, &signature, plan, body)?;
            let (offset, bytes) = (body.range().start, function.byte_len() as u64);
            check_metered(offset, bytes, self.limits.metered_function_bytes)?;
            let shape = Shape {
                signature: (signature.params.len() + results_of(module, *kind)) as u64,
                ..plan.shape
            };
            self.compile_ns = self.compile_ns.saturating_add(shape.price_ns(bytes));
            section.function(&function);
            check_metered(offset, section.byte_len() as u64, self.limits.metered_bytes)?;
        }
        self.out.section(&section);
        Ok(())
    }

    fn signature(&self, kind: u32, units: Option<u32>) -> Result<Signature, Refusal> {
        let found = (
            self.module.types.get(kind as usize),
            self.result_types.get(kind as usize),
        );
        let (Some(kind), Some(results)) = found else {
            return Err(impossible(&"missing type"));
        };
        let params = function_type(kind)?.params().to_vec();
        Ok(Signature {
            params,
            results: *results,
            units,
        })
    }
}

fn check_metered(offset: u64, bytes: u64, limit: u32) -> Result<(), Refusal> {
    if bytes > u64::from(limit) {
        let code = RefusalCode::TooLargeMetered;
        return Err(Refusal::limit(code, offset, bytes, limit.into()));
    }
    Ok(())
}

fn results_of(module: &Module<'_>, kind: u32) -> usize {
    let kind = module.types.get(kind as usize);
    kind.map_or(0, |kind| kind.results().len())
}

fn function_type(kind: &FuncType) -> Result<wasm_encoder::FuncType, Refusal> {
    RoundtripReencoder
        .func_type(kind.clone())
        .map_err(|error| impossible(&error))
}

fn value_type(kind: wasmparser::ValType) -> Result<ValType, Refusal> {
    RoundtripReencoder
        .val_type(kind)
        .map_err(|error| impossible(&error))
}

/// The place of a section in a module; custom sections may stand anywhere.
fn order(id: u8) -> u8 {
    match id {
        // The data count stands before the code and behind the elements.
        12 => 19,
        0 => 0,
        10 => 20,
        11 => 21,
        other => other,
    }
}

/// A valid module that can't be encoded again; the allowed features have no such thing.
fn impossible(error: &impl std::fmt::Display) -> Refusal {
    Refusal::new(RefusalCode::Invalid, 0, error.to_string())
}
