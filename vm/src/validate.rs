//! Validation: WebAssembly's own rules for the allowed features, the static limits, and the host's interface.
//!
//! Steps: size; then section by section, counts before contents, so that a hostile count costs nothing;
//! then each function's body, which also plans its metering; at last imports, exports and the entry point.
//! The first rule broken, in this order, is the refusal. Nothing is compiled, and nothing depends on time.
//!
//! Limits: the rules of WebAssembly itself, and the offset of code [`RefusalCode::Invalid`], are
//! those of the `wasmparser` version that the workspace pins; raising it is a change of the protocol.

use wasmparser::{
    ExternalKind, FuncType, FunctionBody, Parser, Payload, TypeRef, ValType, ValidPayload,
    Validator,
};

use crate::host::{self, HostFunction, ValueType};
use crate::limits::{FEATURES, Limits};
use crate::meter::{FunctionPlan, RESERVED_PREFIX, Scanner};
use crate::refusal::{Refusal, RefusalCode};

/// What a module may import and must export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interface {
    /// The host's functions only, and an entry point.
    Task,
    /// Anything: for test suites that link modules with each other.
    Any,
}

/// How a task is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryPoint {
    /// Export `_start` (else `run`).
    pub(crate) is_start: bool,
    /// The entry answers an exit code.
    pub(crate) answers: bool,
}

/// A memory as declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeclaredMemory {
    pub(crate) initial: u32,
    pub(crate) maximum: u32,
    pub(crate) imported: bool,
}

/// A valid module, with what metering needs to know about it.
#[derive(Debug)]
pub(crate) struct Module<'a> {
    pub(crate) wasm: &'a [u8],
    pub(crate) types: Vec<FuncType>,
    /// Type index of each function, imported ones first.
    pub(crate) functions: Vec<u32>,
    pub(crate) imported_functions: u32,
    /// Imported and defined globals.
    pub(crate) globals: u32,
    /// Maxima of all tables, imported ones first, lowered to the limit.
    pub(crate) table_maxima: Vec<u32>,
    pub(crate) memory: Option<DeclaredMemory>,
    pub(crate) start: Option<u32>,
    pub(crate) entry: Option<EntryPoint>,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    pub(crate) plans: Vec<FunctionPlan>,
    /// Elements that tables and segments start with.
    pub(crate) initial_elements: u64,
    /// Bytes of data segments.
    pub(crate) data_bytes: u64,
    pub(crate) data_segments: u64,
    /// Imports, exports, globals and element segments.
    pub(crate) entries: u64,
}

struct Inspection<'a, 'l> {
    module: Module<'a>,
    limits: &'l Limits,
    interface: Interface,
    elements: u64,
    complexity: u64,
}

/// Checks a module against every rule, and learns what metering needs.
///
/// # Errors
///
/// The first rule that is broken.
pub(crate) fn inspect<'a>(
    wasm: &'a [u8],
    limits: &Limits,
    interface: Interface,
) -> Result<Module<'a>, Refusal> {
    if wasm.len() as u64 > u64::from(limits.module_bytes) {
        let (code, limit) = (RefusalCode::ModuleTooLarge, limits.module_bytes.into());
        return Err(Refusal::limit(code, 0, wasm.len() as u64, limit));
    }
    let mut validator = Validator::new_with_features(FEATURES);
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    let mut scanner = Scanner::default();
    let module = Module {
        wasm,
        types: Vec::new(),
        functions: Vec::new(),
        imported_functions: 0,
        globals: 0,
        table_maxima: Vec::new(),
        memory: None,
        start: None,
        entry: None,
        bodies: Vec::new(),
        plans: Vec::new(),
        initial_elements: 0,
        data_bytes: 0,
        data_segments: 0,
        entries: 0,
    };
    let mut inspection = Inspection {
        module,
        limits,
        interface,
        elements: 0,
        complexity: 0,
    };
    for payload in parser.parse_all(wasm) {
        let payload = payload?;
        inspection.check_counts(&payload)?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => {
                let plan = scanner.scan(function, &body, limits)?;
                inspection.add_complexity(plan.complexity, body.range().start)?;
                inspection.module.plans.push(plan);
                inspection.module.bodies.push(body);
            }
            ValidPayload::Parser(_) => {
                return Err(Refusal::new(
                    RefusalCode::Invalid,
                    0,
                    "components are not modules",
                ));
            }
            ValidPayload::Ok | ValidPayload::End(_) => {}
        }
        inspection.learn(&payload)?;
    }
    if interface == Interface::Task && inspection.module.entry.is_none() {
        let reason = "the module exports neither `_start` nor `run`";
        return Err(Refusal::new(
            RefusalCode::NoEntryPoint,
            wasm.len() as u64,
            reason,
        ));
    }
    Ok(inspection.module)
}

impl<'a> Inspection<'a, '_> {
    /// Limits of counts in sections' heads, before their contents are read.
    fn check_counts(&self, payload: &Payload<'_>) -> Result<(), Refusal> {
        use RefusalCode as C;
        let limits = self.limits;
        let (code, offset, count, limit) = match payload {
            Payload::TypeSection(s) => (C::TooManyTypes, s.range().start, s.count(), limits.types),
            Payload::ImportSection(s) => (
                C::TooManyImports,
                s.range().start,
                s.count(),
                limits.imports,
            ),
            Payload::FunctionSection(s) => (
                C::TooManyFunctions,
                s.range().start,
                s.count(),
                limits.functions,
            ),
            Payload::TableSection(s) => {
                (C::TooManyTables, s.range().start, s.count(), limits.tables)
            }
            Payload::GlobalSection(s) => (
                C::TooManyGlobals,
                s.range().start,
                s.count(),
                limits.globals,
            ),
            Payload::ExportSection(s) => (
                C::TooManyExports,
                s.range().start,
                s.count(),
                limits.exports,
            ),
            Payload::ElementSection(s) => (
                C::TooManyElements,
                s.range().start,
                s.count(),
                limits.element_segments,
            ),
            Payload::DataCountSection { count, range } => (
                C::TooManyDataSegments,
                range.start,
                *count,
                limits.data_segments,
            ),
            Payload::DataSection(s) => (
                C::TooManyDataSegments,
                s.range().start,
                s.count(),
                limits.data_segments,
            ),
            Payload::CodeSectionStart {
                count,
                unchecked_range,
                ..
            } => (
                C::TooManyFunctions,
                unchecked_range.start,
                *count,
                limits.functions,
            ),
            _ => return Ok(()),
        };
        if count > limit {
            return Err(Refusal::limit(code, offset, count.into(), limit.into()));
        }
        Ok(())
    }

    /// Takes in a section that the validator has accepted.
    fn learn(&mut self, payload: &Payload<'a>) -> Result<(), Refusal> {
        let entries = match payload {
            Payload::ImportSection(section) => section.count(),
            Payload::ExportSection(section) => section.count(),
            Payload::GlobalSection(section) => section.count(),
            Payload::ElementSection(section) => section.count(),
            _ => 0,
        };
        self.module.entries += u64::from(entries);
        match payload {
            Payload::TypeSection(section) => {
                let offset = section.range().start;
                for kind in section.clone().into_iter_err_on_gc_types() {
                    self.add_type(kind?, offset)?;
                }
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports_with_offsets() {
                    let (offset, import) = import?;
                    self.add_import(offset, import.module, import.name, import.ty)?;
                }
            }
            Payload::FunctionSection(section) => {
                for index in section.clone() {
                    self.module.functions.push(index?);
                }
            }
            Payload::TableSection(section) => {
                let offset = section.range().start;
                for table in section.clone() {
                    self.add_table(table?.ty, offset)?;
                }
            }
            Payload::MemorySection(section) => {
                let offset = section.range().start;
                for memory in section.clone() {
                    self.add_memory(memory?, offset, false)?;
                }
            }
            Payload::GlobalSection(section) => self.module.globals += section.count(),
            Payload::ExportSection(section) => {
                for export in section.clone().into_iter_with_offsets() {
                    let (offset, export) = export?;
                    self.add_export(offset, export.name, export.kind, export.index)?;
                }
            }
            Payload::StartSection { func, .. } => self.module.start = Some(*func),
            Payload::ElementSection(section) => {
                for element in section.clone().into_iter_with_offsets() {
                    let (offset, element) = element?;
                    let count = match element.items {
                        wasmparser::ElementItems::Functions(items) => items.count(),
                        wasmparser::ElementItems::Expressions(_, items) => items.count(),
                    };
                    self.elements += u64::from(count);
                    self.module.initial_elements += u64::from(count);
                    if self.elements > u64::from(self.limits.elements) {
                        let (code, limit) =
                            (RefusalCode::TooManyElements, self.limits.elements.into());
                        return Err(Refusal::limit(code, offset, self.elements, limit));
                    }
                }
            }
            Payload::DataSection(section) => {
                self.module.data_segments += u64::from(section.count());
                for data in section.clone() {
                    self.module.data_bytes += data?.data.len() as u64;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_complexity(&mut self, complexity: u64, offset: u64) -> Result<(), Refusal> {
        self.complexity += complexity;
        let limit = u64::from(self.limits.complexity_total);
        if self.complexity > limit {
            return Err(Refusal::limit(
                RefusalCode::FunctionTooComplex,
                offset,
                self.complexity,
                limit,
            ));
        }
        Ok(())
    }

    fn add_type(&mut self, kind: FuncType, offset: u64) -> Result<(), Refusal> {
        let longest = kind.params().len().max(kind.results().len()) as u64;
        if longest > u64::from(self.limits.parameters) {
            let limit = self.limits.parameters.into();
            return Err(Refusal::limit(
                RefusalCode::TooManyParameters,
                offset,
                longest,
                limit,
            ));
        }
        self.module.types.push(kind);
        Ok(())
    }

    fn add_import(
        &mut self,
        offset: u64,
        module: &str,
        name: &str,
        kind: TypeRef,
    ) -> Result<(), Refusal> {
        if self.interface == Interface::Task {
            self.check_import(offset, module, name, kind)?;
        }
        match kind {
            TypeRef::Func(index) => {
                self.module.functions.push(index);
                self.module.imported_functions += 1;
            }
            TypeRef::Table(table) => self.add_table(table, offset)?,
            TypeRef::Memory(memory) => self.add_memory(memory, offset, true)?,
            TypeRef::Global(_) => self.module.globals += 1,
            TypeRef::Tag(_) | TypeRef::FuncExact(_) => {
                return Err(Refusal::new(
                    RefusalCode::ImportKind,
                    offset,
                    "tags are not supported",
                ));
            }
        }
        Ok(())
    }

    fn check_import(
        &self,
        offset: u64,
        module: &str,
        name: &str,
        kind: TypeRef,
    ) -> Result<(), Refusal> {
        let what = || format!("`{}`.`{}`", shorten(module), shorten(name));
        let TypeRef::Func(index) = kind else {
            return Err(Refusal::new(
                RefusalCode::ImportKind,
                offset,
                format!("{} is not a function", what()),
            ));
        };
        let Some(function) = host::find(module, name) else {
            let reason = format!("the host has no function {}", what());
            return Err(Refusal::new(RefusalCode::UnknownImport, offset, reason));
        };
        match self.module.types.get(index as usize) {
            Some(kind) if matches_type(function, kind) => Ok(()),
            _ => {
                let reason = format!("{} does not have the type that is imported", what());
                Err(Refusal::new(RefusalCode::ImportType, offset, reason))
            }
        }
    }

    fn add_table(&mut self, table: wasmparser::TableType, offset: u64) -> Result<(), Refusal> {
        let limit = u64::from(self.limits.table_elements);
        if table.initial > limit {
            return Err(Refusal::limit(
                RefusalCode::TableTooLarge,
                offset,
                table.initial,
                limit,
            ));
        }
        self.module.initial_elements += table.initial;
        let maximum = table.maximum.unwrap_or(limit).min(limit);
        self.module
            .table_maxima
            .push(u32::try_from(maximum).unwrap_or(self.limits.table_elements));
        Ok(())
    }

    fn add_memory(
        &mut self,
        memory: wasmparser::MemoryType,
        offset: u64,
        imported: bool,
    ) -> Result<(), Refusal> {
        let limit = u64::from(self.limits.memory_pages);
        if memory.initial > limit {
            return Err(Refusal::limit(
                RefusalCode::MemoryTooLarge,
                offset,
                memory.initial,
                limit,
            ));
        }
        let lowered =
            |pages: u64| u32::try_from(pages.min(limit)).unwrap_or(self.limits.memory_pages);
        self.module.memory = Some(DeclaredMemory {
            initial: lowered(memory.initial),
            maximum: lowered(memory.maximum.unwrap_or(limit)),
            imported,
        });
        Ok(())
    }

    fn add_export(
        &mut self,
        offset: u64,
        name: &str,
        kind: ExternalKind,
        index: u32,
    ) -> Result<(), Refusal> {
        if name.starts_with(RESERVED_PREFIX) {
            let reason = format!("`{}` begins with `{RESERVED_PREFIX}`", shorten(name));
            return Err(Refusal::new(RefusalCode::ReservedExport, offset, reason));
        }
        let is_start = name == "_start";
        if self.interface != Interface::Task || !(is_start || name == "run") {
            return Ok(());
        }
        let kind = match kind {
            ExternalKind::Func => self.type_of(index),
            _ => None,
        };
        let answers = match kind.map(|kind| (kind.params(), kind.results())) {
            Some(([], [])) => false,
            Some(([], [ValType::I32])) if !is_start => true,
            _ => {
                let reason = format!("`{name}` must be a function without parameters and results");
                return Err(Refusal::new(RefusalCode::EntryType, offset, reason));
            }
        };
        if is_start || self.module.entry.is_none() {
            self.module.entry = Some(EntryPoint { is_start, answers });
        }
        Ok(())
    }

    fn type_of(&self, function: u32) -> Option<&FuncType> {
        let index = self.module.functions.get(function as usize)?;
        self.module.types.get(*index as usize)
    }
}

fn matches_type(function: &HostFunction, kind: &FuncType) -> bool {
    let plain = |kind: &ValType| match kind {
        ValType::I32 => Some(ValueType::I32),
        ValType::I64 => Some(ValueType::I64),
        _ => None,
    };
    kind.params()
        .iter()
        .map(plain)
        .eq(function.params.iter().copied().map(Some))
        && kind
            .results()
            .iter()
            .map(plain)
            .eq(function.result.iter().copied().map(Some))
}

/// A name for a message, cut to a bounded length.
fn shorten(name: &str) -> String {
    const CHARS_MAX: usize = 60;
    if name.chars().count() <= CHARS_MAX {
        name.to_owned()
    } else {
        name.chars().take(CHARS_MAX).chain(['…']).collect()
    }
}

/// Runs validation and metering on any bytes: what a fuzzer calls. The answer says whether they are a task.
#[must_use]
pub fn accepts(wasm: &[u8], limits: &Limits) -> bool {
    crate::meter::prepare(wasm, limits).is_ok()
}
