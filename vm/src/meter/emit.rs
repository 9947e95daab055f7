//! The second pass over a function: copies its instructions and inserts what [`super`] specifies.

mod grow;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{BlockType, Encode, Function, Instruction, ValType};
use wasmparser::{FunctionBody, Operator};

use super::FunctionPlan;
use super::cost::{BULK_SHIFT, TABLE_ELEMENT_SHIFT};
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
    /// Index of a mutable global that stays zero.
    pub(super) zero: u32,
    /// Index of the global that counts how often tables may grow yet.
    pub(super) growths: u32,
    /// Index of the global that says that the host couldn't grow something.
    pub(super) failed: u32,
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
    /// 1 with a block that early exits branch to, else 0.
    exit_labels: u32,
    fuel: u32,
    /// The fuel global is known to have the local's value here.
    synced: bool,
    /// The stack global's value on entry, with the units that the function takes.
    stack: Option<(u32, u32)>,
    word: Option<u32>,
    reference: Option<u32>,
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
        exit_labels: plan.leaves_early.into(),
        fuel: 0,
        synced: false,
        stack: None,
        word: None,
        reference: None,
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
            let repeats = walk.repeats(&operator);
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
                Edge::Block if repeats => {
                    self.forget();
                    self.charge(None);
                }
                Edge::Block => self.charge(None),
                Edge::Loop => self.charge(Some(self.labels(walk.depth()))),
            }
            previous = Some(operator);
            index = index.saturating_add(1);
        }
        Ok(())
    }

    /// Labels inside the outermost block, with `depth` frames open (the function's own counted).
    fn labels(&self, depth: u32) -> u32 {
        depth - 1 + self.exit_labels
    }

    fn copy(&mut self, range: std::ops::Range<u64>) {
        let bytes = self
            .shared
            .wasm
            .get(range.start as usize..range.end as usize);
        self.code.extend_from_slice(bytes.unwrap_or_default());
    }

    /// Opens the blocks that a used-up counter branches out of, then takes stack units and the first charge.
    fn prologue(&mut self) {
        if let Some((local, units)) = self.stack {
            let units = units as i32;
            self.put_all(&[
                Instruction::Block(BlockType::Empty),
                Instruction::GlobalGet(self.shared.stack),
                Instruction::LocalTee(local),
                Instruction::I32Const(units),
                Instruction::I32Sub,
                Instruction::GlobalSet(self.shared.stack),
                Instruction::LocalGet(local),
                Instruction::I32Const(units),
                Instruction::I32LtS,
                Instruction::BrIf(0),
            ]);
        }
        self.put_all(&[
            Instruction::Block(BlockType::Empty),
            Instruction::GlobalGet(self.shared.fuel),
            Instruction::LocalSet(self.fuel),
        ]);
        self.charge(Some(0));
    }

    /// Ends the run if the counter is below `least`. `labels` are open inside the block to leave.
    fn check(&mut self, least: u32, labels: u32) {
        self.put_all(&[
            Instruction::LocalGet(self.fuel),
            Instruction::I64Const(least.into()),
            Instruction::I64LtS,
            Instruction::BrIf(labels),
        ]);
    }

    /// Subtracts a zero that compilers don't know to be one, behind a loop that was just left. Without it,
    /// Cranelift folds the loop's charge into the next one, and keeps the counter twice all through the loop.
    fn forget(&mut self) {
        self.put_all(&[
            Instruction::LocalGet(self.fuel),
            Instruction::GlobalGet(self.shared.zero),
            Instruction::I64Sub,
            Instruction::LocalSet(self.fuel),
        ]);
    }

    /// Takes the charge of the block that begins here; checks the counter if told how many labels are open.
    ///
    /// The check comes before the subtraction: compilers fold subtractions that follow each other, and would
    /// keep two values of the counter alive through a loop if the check used the new one.
    fn charge(&mut self, check: Option<u32>) {
        let charge = self.charges.next().copied().unwrap_or(0);
        self.synced = false;
        if let Some(labels) = check {
            self.check(charge, labels);
        }
        if charge > 0 {
            self.put_all(&[
                Instruction::LocalGet(self.fuel),
                Instruction::I64Const(charge.into()),
                Instruction::I64Sub,
                Instruction::LocalSet(self.fuel),
            ]);
        }
    }

    /// Writes the counter back, unless the global is known to have its value.
    fn spill(&mut self) {
        if std::mem::replace(&mut self.synced, true) {
            return;
        }
        self.put_all(&[
            Instruction::LocalGet(self.fuel),
            Instruction::GlobalSet(self.shared.fuel),
        ]);
    }

    /// The function's last `end`: closes the block that early exits branch to, settles and returns. Behind
    /// that are the places where a used-up counter ends the run.
    fn epilogue(&mut self, leaves_early: bool, live: bool) {
        if leaves_early {
            self.put(&Instruction::End);
            self.synced = false;
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
        // Also where the end can't be reached: the results must not be left on the stack.
        self.put(&Instruction::Return);
        self.put_all(&[
            Instruction::End,
            Instruction::I64Const(-1),
            Instruction::GlobalSet(self.shared.fuel),
            Instruction::Unreachable,
        ]);
        if self.stack.is_some() {
            self.put_all(&[Instruction::End, Instruction::Unreachable]);
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
            _ => false,
        };
        if spills {
            self.spill();
        }
        self.part_operands(operator, previous);
        self.part_condition(operator, previous);
    }

    /// Has the condition of a `select` pass through a local, unless an instruction right before it makes one that is no
    /// comparison with zero. wasmi 2.0 drops a comparison of a local with zero there, and decides by whatever its register
    /// holds instead (decision 045).
    fn part_condition(&mut self, operator: &Operator<'_>, previous: Option<&Operator<'_>>) {
        use Operator as O;
        let selects = matches!(operator, O::Select | O::TypedSelect { .. });
        let is_other = previous.is_some_and(|previous| {
            matches!(
                previous,
                O::LocalGet { .. }
                    | O::I32Const { .. }
                    | O::I32Load { .. }
                    | O::I32Load8U { .. }
                    | O::Call { .. }
                    | O::I32And
            ) || is_order(previous)
        });
        if selects && !is_other {
            let word = self.word();
            self.put(&Instruction::LocalTee(word));
        }
    }

    /// Adds a zero that compilers don't know to be one to what an `i32.store` far from its address stores, unless the
    /// value can't be what the address is. wasmi 2.0 ends with a panic when both are in its one register and the offset has
    /// more than 16 bits (decision 045).
    fn part_operands(&mut self, operator: &Operator<'_>, previous: Option<&Operator<'_>>) {
        use Operator as O;
        let (O::I32Store { memarg } | O::I32Store8 { memarg } | O::I32Store16 { memarg }) =
            operator
        else {
            return;
        };
        let differs = matches!(
            previous,
            Some(
                O::I32Const { .. }
                    | O::I32Load { .. }
                    | O::I32Load8S { .. }
                    | O::I32Load8U { .. }
                    | O::I32Load16S { .. }
                    | O::I32Load16U { .. }
                    | O::Call { .. }
                    | O::CallIndirect { .. }
            )
        );
        if memarg.offset > u64::from(u16::MAX) && !differs {
            self.put_all(&[
                Instruction::GlobalGet(self.shared.zero),
                Instruction::I32WrapI64,
                Instruction::I32Add,
            ]);
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
            O::TableGrow { table } => self.table_grow(*table),
            O::MemoryFill { .. } | O::MemoryCopy { .. } | O::MemoryInit { .. } => {
                self.length_charge(i64::from(BULK_SHIFT), depth);
                self.copy(range);
            }
            O::TableFill { .. } | O::TableCopy { .. } | O::TableInit { .. } => {
                self.length_charge(i64::from(TABLE_ELEMENT_SHIFT), depth);
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
            self.synced = true;
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
        self.synced = false;
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
    fn length_charge(&mut self, shift: i64, depth: u32) {
        let word = self.word();
        self.put(&Instruction::LocalSet(word));
        self.take_word(word, shift, false);
        self.check(0, self.labels(depth));
        self.put(&Instruction::LocalGet(word));
    }

    /// Replaces a NaN on top of the stack, just pushed by `operator`, by the canonical one. A branch that only
    /// NaNs don't take is cheaper than a `select`; `ge` is one jump on x86-64 where `eq` and `ne` are two.
    fn make_canonical(&mut self, operator: &Operator<'_>) {
        let local = match operator {
            Operator::LocalGet { local_index } | Operator::LocalTee { local_index } => *local_index,
            _ => self.float_local(nan::is_arithmetic_64(operator)),
        };
        let wide = self.locals.get(local as usize) == Some(&ValType::F64);
        let (canonical, is_number) = if wide {
            (
                Instruction::F64Const(f64::from_bits(NAN_64).into()),
                Instruction::F64Ge,
            )
        } else {
            (
                Instruction::F32Const(f32::from_bits(NAN_32).into()),
                Instruction::F32Ge,
            )
        };
        self.put_all(&[
            Instruction::LocalSet(local),
            Instruction::Block(BlockType::Empty),
            Instruction::LocalGet(local),
            Instruction::LocalGet(local),
            is_number,
            Instruction::BrIf(0),
            canonical,
            Instruction::LocalSet(local),
            Instruction::End,
            Instruction::LocalGet(local),
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

/// Comparisons of integers by their order, and those of 64 bits and floats.
fn is_order(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::I32LtS
            | O::I32LtU
            | O::I32GtS
            | O::I32GtU
            | O::I32LeS
            | O::I32LeU
            | O::I32GeS
            | O::I32GeU
    ) || matches!(
        operator,
        O::I64Eqz | O::I64Eq | O::I64Ne | O::I64LtS | O::I64LtU | O::I64GtS | O::I64GtU
    ) || matches!(
        operator,
        O::I64LeS | O::I64LeU | O::I64GeS | O::I64GeU | O::F32Lt | O::F32Gt | O::F64Lt | O::F64Gt
    )
}
