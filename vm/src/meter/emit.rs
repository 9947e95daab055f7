//! The second pass over a function: copies its instructions and inserts what [`super`] specifies.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{BlockType, Encode, Function, Instruction, ValType};
use wasmparser::{FunctionBody, Operator};

use super::FunctionPlan;
use super::cost::{BULK_SHIFT, PAGE_SHIFT, TABLE_ELEMENT_SHIFT};
use super::nan;
use super::walk::{Edge, Walk};
use crate::refusal::{Refusal, RefusalCode};

const NAN_32: u32 = 0x7fc0_0000;
const NAN_64: u64 = 0x7ff8_0000_0000_0000;

/// What all functions of a module share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    /// The whole submitted module.
    pub(super) wasm: &'a [u8],
    /// Index of the fuel global.
    pub(super) fuel: u32,
    /// Index of the stack global.
    pub(super) stack: u32,
    /// Index of the page-limit global; meaningless without a memory.
    pub(super) pages: u32,
    /// Maximum of each table, by index.
    pub(super) table_maxima: &'a [u32],
}

/// What one function adds to its plan.
#[derive(Debug)]
pub(super) struct Signature {
    /// Types of the parameters.
    pub(super) params: Vec<ValType>,
    /// The block type `() -> results` of this function.
    pub(super) results: BlockType,
    /// Stack units that the function takes on entry.
    pub(super) units: Option<u32>,
}

struct Emitter<'a> {
    shared: &'a Shared<'a>,
    code: Vec<u8>,
    /// Types of parameters and locals, the added ones included.
    locals: Vec<ValType>,
    charges: std::slice::Iter<'a, u32>,
    fuel: u32,
    /// The stack global's value on entry, with the units that the function takes.
    stack: Option<(u32, u32)>,
    word: Option<u32>,
    float32: Option<u32>,
    float64: Option<u32>,
}

/// Instruments one function.
pub(super) fn function(
    shared: &Shared<'_>,
    signature: &Signature,
    plan: &FunctionPlan,
    body: &FunctionBody<'_>,
) -> Result<Function, Refusal> {
    let mut locals = signature.params.clone();
    for run in body.get_locals_reader()? {
        let (count, kind) = run?;
        let kind = RoundtripReencoder
            .val_type(kind)
            .map_err(|error| encoding(body, &error))?;
        locals.extend(std::iter::repeat_n(kind, count as usize));
    }
    let mut emitter = Emitter {
        shared,
        code: Vec::new(),
        fuel: 0,
        stack: None,
        word: None,
        float32: None,
        float64: None,
        locals,
        charges: plan.charges.iter(),
    };
    emitter.fuel = emitter.add_local(ValType::I64);
    emitter.stack = signature
        .units
        .map(|units| (emitter.add_local(ValType::I32), units));
    emitter.prologue();
    if plan.leaves_early {
        emitter.put(&Instruction::Block(signature.results));
    }
    emitter.body(plan, body)?;
    let added = emitter.locals.split_off(signature.params.len());
    let mut function = Function::new_with_locals_types(added);
    function.raw(emitter.code);
    Ok(function)
}

/// A failure to encode what was valid; it can't happen with the allowed features.
pub(super) fn encoding(body: &FunctionBody<'_>, error: &impl std::fmt::Display) -> Refusal {
    Refusal::new(RefusalCode::Invalid, body.range().start, error.to_string())
}

impl Emitter<'_> {
    fn add_local(&mut self, kind: ValType) -> u32 {
        self.locals.push(kind);
        u32::try_from(self.locals.len() - 1).unwrap_or(u32::MAX)
    }

    fn put(&mut self, instruction: &Instruction<'_>) {
        instruction.encode(&mut self.code);
    }

    fn put_all(&mut self, instructions: &[Instruction<'_>]) {
        for instruction in instructions {
            self.put(instruction);
        }
    }

    fn body(&mut self, plan: &FunctionPlan, body: &FunctionBody<'_>) -> Result<(), Refusal> {
        let mut walk = Walk::new();
        let mut canonical = plan.canonical.iter().copied().peekable();
        let mut previous = None;
        let mut index = 0_u32;
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let (operator, start) = reader.read_with_offset()?;
            let end = reader.original_position();
            let live = walk.live();
            let depth = walk.depth();
            let edge = walk.step(&operator);
            if depth == 1 && matches!(operator, Operator::End) {
                self.epilogue(plan.leaves_early, live);
            } else if live {
                self.before(&operator, previous.as_ref());
                self.copy_or_replace(&operator, start..end, depth);
                self.after(&operator);
            } else {
                self.copy(start..end);
            }
            if canonical.next_if_eq(&index).is_some() {
                self.make_canonical(&operator);
            }
            match edge {
                Edge::None => {}
                Edge::Block => self.charge(false),
                Edge::Loop => self.charge(true),
            }
            previous = Some(operator);
            index = index.saturating_add(1);
        }
        Ok(())
    }

    fn copy(&mut self, range: std::ops::Range<u64>) {
        let bytes = self
            .shared
            .wasm
            .get(range.start as usize..range.end as usize);
        self.code.extend_from_slice(bytes.unwrap_or_default());
    }

    fn prologue(&mut self) {
        if let Some((local, units)) = self.stack {
            let units = units as i32;
            self.put_all(&[
                Instruction::GlobalGet(self.shared.stack),
                Instruction::LocalTee(local),
                Instruction::I32Const(units),
                Instruction::I32Sub,
                Instruction::GlobalSet(self.shared.stack),
                Instruction::LocalGet(local),
                Instruction::I32Const(units),
                Instruction::I32LtS,
                Instruction::If(BlockType::Empty),
                Instruction::Unreachable,
                Instruction::End,
            ]);
        }
        let charge = self.charges.next().copied().unwrap_or(0);
        self.put(&Instruction::GlobalGet(self.shared.fuel));
        self.take(charge);
        self.put(&Instruction::LocalTee(self.fuel));
        self.check();
    }

    /// Subtracts a constant from the counter on the operand stack.
    fn take(&mut self, charge: u32) {
        self.put_all(&[Instruction::I64Const(charge.into()), Instruction::I64Sub]);
    }

    /// Ends the run if the counter on the operand stack is below zero.
    fn check(&mut self) {
        self.put_all(&[
            Instruction::I64Const(0),
            Instruction::I64LtS,
            Instruction::If(BlockType::Empty),
        ]);
        self.spill();
        self.put_all(&[Instruction::Unreachable, Instruction::End]);
    }

    fn charge(&mut self, check: bool) {
        let charge = self.charges.next().copied().unwrap_or(0);
        if charge == 0 && !check {
            return;
        }
        self.put(&Instruction::LocalGet(self.fuel));
        self.take(charge);
        if check {
            self.put(&Instruction::LocalTee(self.fuel));
            self.check();
        } else {
            self.put(&Instruction::LocalSet(self.fuel));
        }
    }

    fn spill(&mut self) {
        self.put_all(&[
            Instruction::LocalGet(self.fuel),
            Instruction::GlobalSet(self.shared.fuel),
        ]);
    }

    /// The function's last `end`: closes the block that early exits branch to, then settles.
    fn epilogue(&mut self, leaves_early: bool, live: bool) {
        if leaves_early {
            self.put(&Instruction::End);
        }
        if leaves_early || live {
            self.spill();
            if let Some((local, _)) = self.stack {
                self.put_all(&[
                    Instruction::LocalGet(local),
                    Instruction::GlobalSet(self.shared.stack),
                ]);
            }
        }
        self.put(&Instruction::End);
    }

    fn before(&mut self, operator: &Operator<'_>, previous: Option<&Operator<'_>>) {
        use Operator as O;
        let spills = match operator {
            O::Call { .. } | O::CallIndirect { .. } | O::Unreachable => true,
            O::I32DivU | O::I32RemU | O::I32RemS | O::I64DivU | O::I64RemU | O::I64RemS => {
                !matches!(
                    previous,
                    Some(O::I32Const { value: 1.. } | O::I64Const { value: 1.. })
                )
            }
            O::I32DivS | O::I64DivS => !matches!(
                previous,
                Some(O::I32Const { value: 1.. } | O::I64Const { value: 1.. })
            ),
            O::I32TruncF32S
            | O::I32TruncF32U
            | O::I32TruncF64S
            | O::I32TruncF64U
            | O::I64TruncF32S
            | O::I64TruncF32U
            | O::I64TruncF64S
            | O::I64TruncF64U => true,
            O::TableGet { .. } | O::TableSet { .. } => true,
            _ => false,
        };
        if spills {
            self.spill();
        }
    }

    fn copy_or_replace(
        &mut self,
        operator: &Operator<'_>,
        range: std::ops::Range<u64>,
        depth: u32,
    ) {
        use Operator as O;
        match operator {
            O::Return => self.put(&Instruction::Br(depth - 1)),
            O::MemoryGrow { mem } => self.memory_grow(*mem),
            O::TableGrow { table } => {
                self.table_grow_charge(*table);
                self.copy(range);
            }
            O::MemoryFill { .. } | O::MemoryCopy { .. } | O::MemoryInit { .. } => {
                self.length_charge(i64::from(BULK_SHIFT), false);
                self.copy(range);
            }
            O::TableFill { .. } | O::TableCopy { .. } | O::TableInit { .. } => {
                self.length_charge(i64::from(TABLE_ELEMENT_SHIFT), true);
                self.spill();
                self.copy(range);
            }
            _ => self.copy(range),
        }
    }

    fn after(&mut self, operator: &Operator<'_>) {
        if matches!(
            operator,
            Operator::Call { .. } | Operator::CallIndirect { .. }
        ) {
            self.put_all(&[
                Instruction::GlobalGet(self.shared.fuel),
                Instruction::LocalSet(self.fuel),
            ]);
        }
    }

    fn word(&mut self) -> u32 {
        match self.word {
            Some(local) => local,
            None => {
                let local = self.add_local(ValType::I32);
                self.word = Some(local);
                local
            }
        }
    }

    /// Subtracts `word`, shifted, from the counter; leaves the new value in the counter's local.
    fn take_word(&mut self, word: u32, shift: i64, up: bool) {
        self.put_all(&[
            Instruction::LocalGet(self.fuel),
            Instruction::LocalGet(word),
            Instruction::I64ExtendI32U,
            Instruction::I64Const(shift),
            if up {
                Instruction::I64Shl
            } else {
                Instruction::I64ShrU
            },
            Instruction::I64Sub,
            Instruction::LocalSet(self.fuel),
        ]);
    }

    /// Charges for the length on top of the stack, and checks.
    fn length_charge(&mut self, shift: i64, up: bool) {
        let word = self.word();
        self.put(&Instruction::LocalSet(word));
        self.take_word(word, shift, up);
        self.put(&Instruction::LocalGet(self.fuel));
        self.check();
        self.put(&Instruction::LocalGet(word));
    }

    /// `memory.grow`: -1 beyond the page limit, free of charge for pages; else charged for them.
    fn memory_grow(&mut self, memory: u32) {
        let word = self.word();
        self.put_all(&[
            Instruction::LocalTee(word),
            Instruction::GlobalGet(self.shared.pages),
            Instruction::MemorySize(memory),
            Instruction::I32Sub,
            Instruction::I32GtU,
            Instruction::If(BlockType::Result(ValType::I32)),
            Instruction::I32Const(-1),
            Instruction::Else,
        ]);
        self.take_word(word, i64::from(PAGE_SHIFT), true);
        self.put_all(&[
            Instruction::LocalGet(word),
            Instruction::MemoryGrow(memory),
            Instruction::End,
        ]);
    }

    /// Before `table.grow`: charges for the elements if the table may have them.
    fn table_grow_charge(&mut self, table: u32) {
        let maximum = self
            .shared
            .table_maxima
            .get(table as usize)
            .copied()
            .unwrap_or(0);
        let word = self.word();
        self.put_all(&[
            Instruction::LocalTee(word),
            Instruction::I32Const(maximum as i32),
            Instruction::TableSize(table),
            Instruction::I32Sub,
            Instruction::I32LeU,
            Instruction::If(BlockType::Empty),
        ]);
        self.take_word(word, i64::from(TABLE_ELEMENT_SHIFT), true);
        self.put_all(&[Instruction::End, Instruction::LocalGet(word)]);
    }

    /// Replaces a NaN on top of the stack, just pushed by `operator`, by the canonical one.
    fn make_canonical(&mut self, operator: &Operator<'_>) {
        let local = match operator {
            Operator::LocalGet { local_index } | Operator::LocalTee { local_index } => *local_index,
            _ => {
                let local = self.float_local(nan::is_arithmetic_64(operator));
                self.put(&Instruction::LocalTee(local));
                local
            }
        };
        let wide = self.locals.get(local as usize) == Some(&ValType::F64);
        let (canonical, equal) = if wide {
            (
                Instruction::F64Const(f64::from_bits(NAN_64).into()),
                Instruction::F64Eq,
            )
        } else {
            (
                Instruction::F32Const(f32::from_bits(NAN_32).into()),
                Instruction::F32Eq,
            )
        };
        self.put_all(&[
            canonical,
            Instruction::LocalGet(local),
            Instruction::LocalGet(local),
            equal,
            Instruction::Select,
        ]);
    }

    fn float_local(&mut self, wide: bool) -> u32 {
        let known = if wide { self.float64 } else { self.float32 };
        if let Some(local) = known {
            return local;
        }
        let local = self.add_local(if wide { ValType::F64 } else { ValType::F32 });
        *if wide {
            &mut self.float64
        } else {
            &mut self.float32
        } = Some(local);
        local
    }
}
