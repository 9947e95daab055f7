//! What compiling a module costs, by its size and shape.
//!
//! Compiling comes before running, so its price is part of the fuel of starting. It is what wasmtime takes at
//! [`NS_PER_FUEL`], fitted to what was measured of modules that try to be slow and of those of honest compilers
//! (`benches/compile`, decision 048): no module may take more than twice what its fuel buys. The price is a sum over
//! functions and over what they are made of. Some parts grow with a square: the register allocator sorts the pieces of a
//! value that is joined in many places again with each of them, the fuel counter's in the first place, which is joined wherever
//! control flow is.
//!
//! wasmi's translation takes a small part of that for every shape.
//!
//! The compiler's memory for a function is a sum of the same kind. No fuel makes a process larger, so it has a limit
//! ([`crate::Limits::compiler_bytes`]).

use wasmparser::{FuncType, Operator};

use super::cost::is_access;
use super::live::Flow;
use super::nan::is_arithmetic;
use crate::validate::Module;

/// Nanoseconds of wasmtime's compiler that a unit of fuel stands for: what a unit of the dearest running fuel takes.
pub const NS_PER_FUEL: u64 = 5;

/// What something takes of the compiler: picoseconds of its time, and thousandths of bytes of its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Work {
    ps: u128,
    millibytes: u128,
}

/// Nanoseconds and bytes.
const fn work(ns: u128, bytes: u128) -> Work {
    Work {
        ps: ns * 1_000,
        millibytes: bytes * 1_000,
    }
}

/// Picoseconds and thousandths of bytes.
const fn fine(ps: u128, millibytes: u128) -> Work {
    Work { ps, millibytes }
}

impl Work {
    fn times(self, count: u64) -> Self {
        Self {
            ps: self.ps.saturating_mul(count.into()),
            millibytes: self.millibytes.saturating_mul(count.into()),
        }
    }

    fn add(&mut self, more: Self) {
        self.ps = self.ps.saturating_add(more.ps);
        self.millibytes = self.millibytes.saturating_add(more.millibytes);
    }
}

// What each takes. Those of memory are a bound for every shape that was measured, those of time reach half of what the
// slowest take.
/// A function, with what calls it from outside.
const FUNCTION: Work = work(90_000, 12_300);
/// A parameter or result of a function.
const SIGNATURE: Work = work(3_500, 80);
/// A local.
const LOCAL: Work = work(40, 0);
/// A byte of the metered body.
const BYTE_NS: u64 = 25;
/// An instruction that isn't mere structure.
const OPERATOR: Work = work(1_500, 250);
/// A value that a call takes or gives; more for one that goes by the stack.
const CALL_VALUE: Work = work(1_500, 500);
const WIDE_VALUE: Work = work(4_600, 0);
/// A thousand pairs of such values of one function's calls.
const CALL_VALUE_PAIRS: Work = fine(26, 15);
/// An edge between basic blocks; a value that is live on it.
const EDGE: Work = work(5_700, 3_900);
const LIVE: Work = work(260, 43);
/// A value that an edge joins with others.
const JOINED: Work = work(1_900, 220);
/// Two edges to labels: the counter is joined at each.
const JOIN_PAIR: Work = fine(6_000, 22);
/// Two edges that join one local.
const WEB_PAIR: Work = fine(0, 115);
/// An operand that is joined and an edge that joins operands.
const OPERAND_PAIR: Work = fine(0, 1_760);
/// A use of a value while more are live than there are registers; each of those.
const CROWDED: Work = work(3_200, 300);
const CROWD: Work = fine(14_500, 100);
/// A value that is live at a loop's header, and each loop of its function for each such value.
const LOOP_LIVE: Work = work(0, 1_160);
const LOOP_PAIR: Work = fine(160, 0);
/// Two loads or stores of one function.
const ACCESS_PAIR: Work = fine(250, 15);
/// Two divisions by what is no constant; two shifts or rotations; two uses of values while registers don't suffice.
const DIVISION_PAIR: Work = fine(2_000, 0);
const SHIFT_PAIR: Work = fine(400, 0);
const CROWDED_PAIR: Work = fine(400, 0);

/// A module; one of its types, and each parameter and result of that: a way in and one out are compiled for each.
const MODULE_NS: u64 = 500_000;
const TYPE_NS: u64 = 60_000;
const TYPE_VALUE_NS: u64 = 6_500;
/// A data segment: the code that copies it.
const SEGMENT_NS: u64 = 50_000;
/// An import, export, global or element segment; an element.
const ENTRY_NS: u64 = 1_000;
const ELEMENT_NS: u64 = 20;

/// Values on either side of a call that go by registers.
const REGISTERS: u32 = 8;

/// What compiling a function depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shape {
    /// Parameters and results.
    pub(crate) signature: u64,
    /// Parameters and locals.
    pub(crate) locals: u64,
    /// The instructions by themselves.
    pub(crate) operators: Work,
    /// Control flow that metering, or the compiler, adds.
    pub(crate) added_joins: u64,
    /// Values that calls take and give, and those that go by the stack.
    pub(crate) call_values: u64,
    pub(crate) wide_values: u64,
    /// Loads and stores.
    pub(crate) accesses: u64,
    /// Divisions, and shifts and rotations, by what is no constant.
    pub(crate) divisions: u64,
    pub(crate) shifts: u64,
    pub(crate) flow: Flow,
}

impl Shape {
    /// Notes an instruction that takes and gives so many values, behind `constant` where its last operand is one.
    pub(super) fn note(
        &mut self,
        operator: &Operator<'_>,
        (pops, pushes): (u32, u32),
        constant: bool,
    ) {
        use Operator as O;
        let more = match operator {
            O::Nop | O::Block { .. } | O::Loop { .. } | O::Else | O::End | O::Drop => return,
            O::Call { .. } => {
                self.call(pops, pushes);
                work(0, 2_400)
            }
            O::CallIndirect { .. } => {
                self.call(pops, pushes);
                self.added_joins += 1;
                work(48_500, 21_600)
            }
            O::TableGet { .. } => {
                self.added_joins += 2;
                work(8_000, 16_200)
            }
            O::TableSet { .. } | O::RefFunc { .. } => work(19_000, 8_500),
            O::MemoryGrow { .. } => {
                self.added_joins += 4;
                work(0, 186_000)
            }
            O::TableGrow { .. } => {
                self.added_joins += 4;
                work(37_000, 215_000)
            }
            O::MemoryFill { .. }
            | O::MemoryCopy { .. }
            | O::MemoryInit { .. }
            | O::TableFill { .. }
            | O::TableCopy { .. }
            | O::TableInit { .. } => work(57_500, 16_900),
            O::GlobalGet { .. } | O::GlobalSet { .. } => work(2_900, 400),
            // By an amount that isn't constant, or to divide: registers that the machine prescribes.
            O::I32Shl
            | O::I32ShrS
            | O::I32ShrU
            | O::I32Rotl
            | O::I32Rotr
            | O::I64Shl
            | O::I64ShrS
            | O::I64ShrU
            | O::I64Rotl
            | O::I64Rotr
                if !constant =>
            {
                self.shifts += 1;
                work(43_000, 7_400)
            }
            O::I32DivS
            | O::I32DivU
            | O::I32RemS
            | O::I32RemU
            | O::I64DivS
            | O::I64DivU
            | O::I64RemS
            | O::I64RemU
                if !constant =>
            {
                self.divisions += 1;
                work(50_000, 3_000)
            }
            _ if is_arithmetic(operator) => work(33_500, 18_100),
            _ if is_access(operator) => {
                self.accesses += 1;
                work(2_000, 1_450)
            }
            _ => Work::default(),
        };
        self.operators.add(OPERATOR);
        self.operators.add(more);
    }

    fn call(&mut self, pops: u32, pushes: u32) {
        let wide = pops.saturating_sub(REGISTERS) + pushes.saturating_sub(REGISTERS);
        self.wide_values += u64::from(wide);
        self.call_values += u64::from(pops) + u64::from(pushes);
    }

    /// All of a function but its bytes.
    fn work(&self) -> Work {
        let flow = &self.flow;
        let joins = flow.joins + self.added_joins;
        let parts = [
            FUNCTION,
            self.operators,
            SIGNATURE.times(self.signature),
            LOCAL.times(self.locals),
            CALL_VALUE.times(self.call_values),
            WIDE_VALUE.times(self.wide_values),
            CALL_VALUE_PAIRS
                .times(self.call_values)
                .times(self.call_values / 1_000),
            EDGE.times(flow.edges + self.added_joins),
            LIVE.times(flow.live),
            JOINED.times(flow.joined),
            JOIN_PAIR.times(joins).times(joins),
            WEB_PAIR.times(flow.webs),
            OPERAND_PAIR.times(flow.operands).times(flow.operand_joins),
            CROWDED.times(flow.crowded),
            CROWD.times(flow.crowd),
            LOOP_LIVE.times(flow.loop_live),
            LOOP_PAIR.times(flow.loops).times(flow.loop_live),
            ACCESS_PAIR.times(self.accesses).times(self.accesses),
            DIVISION_PAIR.times(self.divisions).times(self.divisions),
            SHIFT_PAIR.times(self.shifts).times(self.shifts),
            CROWDED_PAIR.times(flow.crowded).times(flow.crowded),
        ];
        let mut sum = Work::default();
        for part in parts {
            sum.add(part);
        }
        sum
    }

    /// The price of a function whose metered body has so many bytes, in nanoseconds.
    pub(super) fn price_ns(&self, bytes: u64) -> u64 {
        let ns = u64::try_from(self.work().ps / 1_000).unwrap_or(u64::MAX);
        ns.saturating_add(bytes.saturating_mul(BYTE_NS))
    }

    /// Bytes of memory that compiling it takes at most.
    pub(super) fn compiler_bytes(&self) -> u64 {
        u64::try_from(self.work().millibytes / 1_000).unwrap_or(u64::MAX)
    }
}

/// The price of all of a module but its functions, in nanoseconds.
pub(super) fn module_ns(module: &Module<'_>) -> u64 {
    let values = |kind: &FuncType| (kind.params().len() + kind.results().len()) as u64;
    let types = module.types.iter();
    let types = types.map(|kind| TYPE_NS + TYPE_VALUE_NS * values(kind));
    MODULE_NS
        + types.sum::<u64>()
        + SEGMENT_NS * module.data_segments
        + ENTRY_NS * module.entries
        + ELEMENT_NS * module.initial_elements
}

/// The fuel that a price in nanoseconds is.
pub(super) fn fuel(price_ns: u64) -> u64 {
    price_ns / NS_PER_FUEL
}
