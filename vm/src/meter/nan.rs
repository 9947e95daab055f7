//! Which float instructions leave NaN bits open, which observe them, and where NaNs must be made canonical.
//!
//! WebAssembly leaves sign and payload of a NaN open when an arithmetic instruction makes one. A value is
//! *open* while its bits may still differ between engines: results of arithmetic are open; a local is open
//! when an open value is ever stored in it. An open value is made canonical where it is pushed if what pops
//! it *observes* bits. The analysis is one pass over the function with a stack of who pushed what, and then
//! a closure over stores from local to local. It doesn't follow values through blocks, branches, `select`,
//! calls or globals: these observe.
//!
//! Source: WebAssembly core specification 2.0, section 4.3.3, "NaN propagation".

use std::collections::BTreeMap;

use wasmparser::Operator;

/// Arithmetic whose result's NaN bits are open.
#[must_use]
pub(super) fn is_arithmetic(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::F32Add
            | O::F32Sub
            | O::F32Mul
            | O::F32Div
            | O::F32Min
            | O::F32Max
            | O::F32Sqrt
            | O::F32Ceil
            | O::F32Floor
            | O::F32Trunc
            | O::F32Nearest
            | O::F32DemoteF64
    ) || is_arithmetic_64(operator)
}

/// Arithmetic whose result is an `f64` with open NaN bits.
#[must_use]
pub(super) fn is_arithmetic_64(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::F64Add
            | O::F64Sub
            | O::F64Mul
            | O::F64Div
            | O::F64Min
            | O::F64Max
            | O::F64Sqrt
            | O::F64Ceil
            | O::F64Floor
            | O::F64Trunc
            | O::F64Nearest
            | O::F64PromoteF32
    )
}

/// Instructions whose effect doesn't depend on the NaN bits of their operands.
fn is_blind(operator: &Operator<'_>) -> bool {
    use Operator as O;
    is_arithmetic(operator)
        || matches!(
            operator,
            O::Drop
                | O::F32Eq
                | O::F32Ne
                | O::F32Lt
                | O::F32Gt
                | O::F32Le
                | O::F32Ge
                | O::F64Eq
                | O::F64Ne
                | O::F64Lt
                | O::F64Gt
                | O::F64Le
                | O::F64Ge
                | O::I32TruncF32S
                | O::I32TruncF32U
                | O::I32TruncF64S
                | O::I32TruncF64U
                | O::I64TruncF32S
                | O::I64TruncF32U
                | O::I64TruncF64S
                | O::I64TruncF64U
                | O::I32TruncSatF32S
                | O::I32TruncSatF32U
                | O::I32TruncSatF64S
                | O::I32TruncSatF64U
                | O::I64TruncSatF32S
                | O::I64TruncSatF32U
                | O::I64TruncSatF64S
                | O::I64TruncSatF64U
        )
}

/// Where a value on the operand stack that may be open comes from.
#[derive(Debug, Clone, Copy)]
enum Source {
    Arithmetic,
    Local(u32),
}

/// One push of a value that may be open.
#[derive(Debug)]
struct Producer {
    /// Index of the pushing instruction in the function.
    operator: u32,
    source: Source,
    observed: bool,
}

/// The analysis of one function.
#[derive(Debug, Default)]
pub(super) struct OpenValues {
    producers: Vec<Producer>,
    /// The operand stack; `Some` indexes `producers`.
    stack: Vec<Option<u32>>,
    /// Heights of the stack at the beginnings of the open frames.
    heights: Vec<usize>,
    open_locals: Vec<u32>,
    /// Which locals are stored, as they are, in which others.
    flows: BTreeMap<u32, Vec<u32>>,
}

impl OpenValues {
    /// Moves behind a live instruction with the given arity. `float_local` says whether the local that the
    /// instruction names is a float.
    pub(super) fn step(
        &mut self,
        index: u32,
        operator: &Operator<'_>,
        arity: (u32, u32),
        float_local: bool,
    ) {
        let (pops, pushes) = arity;
        match operator {
            Operator::LocalGet { local_index } if float_local => {
                self.produce(index, Source::Local(*local_index));
            }
            Operator::LocalSet { local_index } if float_local => self.store(*local_index),
            Operator::LocalTee { local_index } if float_local => {
                self.store(*local_index);
                self.produce(index, Source::Local(*local_index));
            }
            _ => {
                let blind = is_blind(operator);
                for _ in 0..pops {
                    self.pop(!blind);
                }
                if is_arithmetic(operator) {
                    self.produce(index, Source::Arithmetic);
                } else {
                    self.push_plain(pushes);
                }
            }
        }
    }

    /// Opens a frame whose `params` operands were pushed anew by the instruction that opens it.
    pub(super) fn open_frame(&mut self, params: u32) {
        self.heights
            .push(self.stack.len().saturating_sub(params as usize));
    }

    /// Goes on in the other arm of an `if`, or behind a frame, with `plain` operands that arrived there.
    pub(super) fn rejoin(&mut self, closes: bool, plain: u32) {
        let height = if closes {
            self.heights.pop()
        } else {
            self.heights.last().copied()
        };
        self.stack.truncate(height.unwrap_or(0));
        self.push_plain(plain);
    }

    fn push_plain(&mut self, count: u32) {
        self.stack.extend(std::iter::repeat_n(None, count as usize));
    }

    fn produce(&mut self, operator: u32, source: Source) {
        let id = u32::try_from(self.producers.len()).unwrap_or(u32::MAX);
        self.producers.push(Producer {
            operator,
            source,
            observed: false,
        });
        self.stack.push(Some(id));
    }

    fn pop(&mut self, observes: bool) -> Option<Source> {
        let producer = self.stack.pop().flatten()?;
        let producer = self.producers.get_mut(producer as usize)?;
        producer.observed |= observes;
        Some(producer.source)
    }

    fn store(&mut self, local: u32) {
        match self.pop(false) {
            Some(Source::Arithmetic) => self.open_locals.push(local),
            Some(Source::Local(from)) if from != local => {
                self.flows.entry(from).or_default().push(local)
            }
            _ => {}
        }
    }

    /// The instructions (ascending) behind which the top of the stack must be made canonical.
    pub(super) fn finish(self, locals: u32) -> Vec<u32> {
        let mut open = vec![false; locals as usize];
        let mut work = self.open_locals;
        while let Some(local) = work.pop() {
            let Some(seen) = open.get_mut(local as usize) else {
                continue;
            };
            if !std::mem::replace(seen, true) {
                work.extend(self.flows.get(&local).into_iter().flatten());
            }
        }
        let is_open = |source| match source {
            Source::Arithmetic => true,
            Source::Local(local) => open.get(local as usize).copied().unwrap_or(false),
        };
        self.producers
            .iter()
            .filter(|producer| producer.observed && is_open(producer.source))
            .map(|producer| producer.operator)
            .collect()
    }
}
