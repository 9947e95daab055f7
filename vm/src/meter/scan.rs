//! The first pass over a function: validates it, checks its limits, and plans what metering will insert.

use wasmparser::{
    BrTable, FuncToValidate, FuncValidator, FuncValidatorAllocations, FunctionBody, Operator,
    ValType, ValidatorResources,
};

use super::compile::Shape;
use super::cost::{FUNCTION_ENTRY, LOCALS_PER_FUEL, LOOP_ENTRY, cost};
use super::live::Trace;
use super::nan::OpenValues;
use super::stack::frame_units;
use super::walk::{Edge, Walk};
use crate::limits::Limits;
use crate::refusal::{Refusal, RefusalCode};

/// What an operand counts that is handed on at a call or a branch, where a local at the beginning of a block counts one.
const HANDED_ON_WEIGHT: u64 = 4;

/// What metering needs to know about one function.
#[derive(Debug)]
pub(crate) struct FunctionPlan {
    /// Charge of each reachable basic block, in the order in which they begin.
    pub(crate) charges: Vec<u32>,
    /// Instructions (ascending) behind which the top of the stack is made canonical.
    pub(crate) canonical: Vec<u32>,
    /// Functions called directly: indices, ascending, each once.
    pub(crate) callees: Vec<u32>,
    /// Makes indirect calls.
    pub(crate) indirect: bool,
    /// Values that a compiler has to follow: [`crate::Limits::complexity`] says which.
    pub(crate) complexity: u64,
    /// Stack units of one frame.
    pub(crate) frame: u32,
    /// A `return` or a branch leaves the function before its end.
    pub(crate) leaves_early: bool,
    /// What compiling it depends on.
    pub(crate) shape: Shape,
}

/// Scans functions one after another, reusing memory.
#[derive(Default)]
pub(crate) struct Scanner {
    allocations: FuncValidatorAllocations,
}

/// State of the scan of one function.
struct Scan {
    walk: Walk,
    open: OpenValues,
    charges: Vec<u32>,
    callees: Vec<u32>,
    indirect: bool,
    operands: u32,
    complexity: u64,
    /// Parameters and locals.
    locals: u64,
    parameters: u32,
    trace: Trace,
    shape: Shape,
    /// The instruction before was a constant.
    constant: bool,
}

impl Scanner {
    /// Validates one function and plans its metering.
    pub(crate) fn scan(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        limits: &Limits,
    ) -> Result<FunctionPlan, Refusal> {
        let range = body.range();
        let bytes = range.end - range.start;
        if bytes > u64::from(limits.function_bytes) {
            let limit = limits.function_bytes.into();
            return Err(Refusal::limit(
                RefusalCode::FunctionTooLarge,
                range.start,
                bytes,
                limit,
            ));
        }
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        let parameters = validator.len_locals();
        read_locals(&mut validator, body, limits)?;
        let locals = validator.len_locals();
        let mut scan = Scan {
            walk: Walk::new(),
            open: OpenValues::default(),
            charges: vec![FUNCTION_ENTRY.saturating_add(locals / LOCALS_PER_FUEL)],
            callees: Vec::new(),
            indirect: false,
            operands: 0,
            complexity: locals.into(),
            locals: locals.into(),
            parameters,
            trace: Trace::default(),
            shape: Shape::default(),
            constant: false,
        };
        let mut reader = body.get_operators_reader()?;
        let mut index = 0_u32;
        while !reader.eof() {
            let (operator, offset) = reader.read_with_offset()?;
            scan.step(&mut validator, index, &operator, offset, limits)?;
            index = index.saturating_add(1);
        }
        reader.finish()?;
        self.allocations = validator.into_allocations();
        scan.finish(locals, bytes, range.start, limits)
    }
}

fn read_locals(
    validator: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
    limits: &Limits,
) -> Result<(), Refusal> {
    let mut locals = body.get_locals_reader()?;
    for _ in 0..locals.get_count() {
        let offset = locals.original_position();
        let (count, kind) = locals.read()?;
        let total = u64::from(validator.len_locals()) + u64::from(count);
        if total > u64::from(limits.locals) {
            return Err(Refusal::limit(
                RefusalCode::TooManyLocals,
                offset,
                total,
                limits.locals.into(),
            ));
        }
        validator.define_locals(offset, count, kind)?;
    }
    Ok(())
}

impl Scan {
    fn step(
        &mut self,
        validator: &mut FuncValidator<ValidatorResources>,
        index: u32,
        operator: &Operator<'_>,
        offset: u64,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let arity = operator.operator_arity(validator).unwrap_or((0, 0));
        let below = validator.operand_stack_height();
        validator.op(offset, operator)?;
        let height = validator.operand_stack_height();
        if height > limits.operands {
            return Err(Refusal::limit(
                RefusalCode::OperandsTooMany,
                offset,
                height.into(),
                limits.operands.into(),
            ));
        }
        self.operands = self.operands.max(height);
        if let Operator::BrTable { targets } = operator {
            check_targets(targets, offset, limits)?;
        }

        let was_live = self.walk.live();
        if was_live {
            self.charge(cost(operator));
            self.complexity += HANDED_ON_WEIGHT * handed_on(operator, arity);
            self.open
                .step(index, operator, arity, is_float_local(validator, operator));
            self.note_calls(operator);
            self.shape.note(operator, arity, self.constant);
        }
        self.trace.note(operator, was_live, arity, below);
        self.constant = matches!(
            operator,
            Operator::I32Const { .. } | Operator::I64Const { .. }
        );
        let edge = self.walk.step(operator);
        self.follow_frames(operator, arity, was_live);
        for (depth, limit) in [
            (self.walk.depth(), limits.nesting),
            (self.walk.loops(), limits.loops),
        ] {
            if depth > limit {
                let (code, depth) = (RefusalCode::NestingTooDeep, depth.into());
                return Err(Refusal::limit(code, offset, depth, limit.into()));
            }
        }
        match edge {
            Edge::None => {}
            Edge::Block => self.charges.push(0),
            Edge::Loop => self.charges.push(LOOP_ENTRY),
        }
        Ok(())
    }

    fn charge(&mut self, units: u32) {
        if let Some(charge) = self.charges.last_mut() {
            *charge = charge.saturating_add(units);
        }
    }

    fn note_calls(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Call { function_index } => self.callees.push(*function_index),
            Operator::CallIndirect { .. } => self.indirect = true,
            _ => {}
        }
    }

    fn follow_frames(
        &mut self,
        operator: &Operator<'_>,
        (pops, pushes): (u32, u32),
        was_live: bool,
    ) {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.complexity += self.locals;
                self.open.open_frame(if was_live { pushes } else { 0 });
            }
            Operator::Else => self.open.rejoin(false, pushes),
            Operator::End => self.open.rejoin(true, pops),
            _ => {}
        }
    }

    fn finish(
        mut self,
        locals: u32,
        bytes: u64,
        offset: u64,
        limits: &Limits,
    ) -> Result<FunctionPlan, Refusal> {
        let blocks = self.charges.len() as u64;
        if blocks > u64::from(limits.blocks) {
            let limit = limits.blocks.into();
            return Err(Refusal::limit(
                RefusalCode::TooManyBlocks,
                offset,
                blocks,
                limit,
            ));
        }
        let complexity = self.complexity;
        if complexity > u64::from(limits.complexity) {
            let limit = limits.complexity.into();
            return Err(Refusal::limit(
                RefusalCode::FunctionTooComplex,
                offset,
                complexity,
                limit,
            ));
        }
        let frame = frame_units(self.parameters, locals, self.operands, bytes);
        if frame > limits.stack_units {
            return Err(Refusal::limit(
                RefusalCode::FrameTooLarge,
                offset,
                frame.into(),
                limits.stack_units.into(),
            ));
        }
        self.callees.sort_unstable();
        self.callees.dedup();
        let canonical = self.open.finish(locals);
        self.shape.added_joins += 2 * canonical.len() as u64;
        let shape = Shape {
            flow: self.trace.flow(locals),
            locals: locals.into(),
            ..self.shape
        };
        let held = shape.compiler_bytes();
        if held > limits.compiler_bytes {
            return Err(Refusal::limit(
                RefusalCode::FunctionTooComplex,
                offset,
                held,
                limits.compiler_bytes,
            ));
        }
        Ok(FunctionPlan {
            charges: self.charges,
            canonical,
            callees: self.callees,
            indirect: self.indirect,
            complexity,
            frame,
            leaves_early: self.walk.leaves_early(),
            shape,
        })
    }
}

fn check_targets(targets: &BrTable<'_>, offset: u64, limits: &Limits) -> Result<(), Refusal> {
    if targets.len() > limits.branch_targets {
        let (count, limit) = (targets.len().into(), limits.branch_targets.into());
        return Err(Refusal::limit(
            RefusalCode::TooManyTargets,
            offset,
            count,
            limit,
        ));
    }
    Ok(())
}

/// Operands that an instruction hands on: to what it calls, or to where it branches, a table of branches to each target.
fn handed_on(operator: &Operator<'_>, (pops, pushes): (u32, u32)) -> u64 {
    let ways = match operator {
        Operator::BrTable { targets } => u64::from(targets.len()) + 1,
        Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::If { .. }
        | Operator::Else
        | Operator::End
        | Operator::Br { .. }
        | Operator::BrIf { .. }
        | Operator::Call { .. }
        | Operator::CallIndirect { .. } => 1,
        _ => 0,
    };
    (u64::from(pops) + u64::from(pushes)) * ways
}

fn is_float_local(validator: &FuncValidator<ValidatorResources>, operator: &Operator<'_>) -> bool {
    let (Operator::LocalGet { local_index }
    | Operator::LocalSet { local_index }
    | Operator::LocalTee { local_index }) = operator
    else {
        return false;
    };
    matches!(
        validator.get_local_type(*local_index),
        Some(ValType::F32 | ValType::F64)
    )
}
