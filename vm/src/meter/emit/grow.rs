//! What stands for `memory.grow` and `table.grow`: the limits, the charges, and a mark where the host gives less than these.

use wasm_encoder::{BlockType, Instruction, ValType};

use super::Emitter;
use crate::meter::cost::{PAGE_SHIFT, TABLE_ELEMENT_SHIFT};

impl Emitter<'_> {
    /// `memory.grow`: only growing that adds a page and keeps the limit is left to the engine, and charged. By nothing the
    /// answer is the size, beyond the limit -1. So an engine grows no more often than there are pages ([`crate::meter`]).
    pub(super) fn memory_grow(&mut self, memory: u32) {
        let word = self.word();
        self.put_all(&[
            Instruction::LocalTee(word),
            Instruction::I32Const(1),
            Instruction::I32Sub,
            Instruction::GlobalGet(self.shared.pages),
            Instruction::MemorySize(memory),
            Instruction::I32Sub,
            Instruction::I32LtU,
            Instruction::If(BlockType::Result(ValType::I32)),
        ]);
        self.take_word(word, i64::from(PAGE_SHIFT), true);
        self.put_all(&[Instruction::LocalGet(word), Instruction::MemoryGrow(memory)]);
        self.host_must_have_grown(word);
        self.put_all(&[
            Instruction::Else,
            Instruction::I32Const(-1),
            Instruction::MemorySize(memory),
            Instruction::LocalGet(word),
            Instruction::Select,
            Instruction::End,
        ]);
    }

    /// `table.grow`, likewise; and at most [`TABLE_GROWTHS`](crate::meter::TABLE_GROWTHS) times, beyond which the answer is -1 too.
    pub(super) fn table_grow(&mut self, table: u32) {
        let maximum = self.shared.table_maxima.get(table as usize);
        let maximum = maximum.copied().unwrap_or(0);
        let (word, reference) = (self.word(), self.reference());
        self.put_all(&[
            Instruction::LocalSet(word),
            Instruction::LocalSet(reference),
            Instruction::LocalGet(word),
            Instruction::I32Const(1),
            Instruction::I32Sub,
            Instruction::I32Const(maximum as i32),
            Instruction::TableSize(table),
            Instruction::I32Sub,
            Instruction::I32LtU,
            Instruction::GlobalGet(self.shared.growths),
            Instruction::I32Const(0),
            Instruction::I32GtS,
            Instruction::I32And,
            Instruction::If(BlockType::Result(ValType::I32)),
            Instruction::GlobalGet(self.shared.growths),
            Instruction::I32Const(1),
            Instruction::I32Sub,
            Instruction::GlobalSet(self.shared.growths),
        ]);
        self.take_word(word, i64::from(TABLE_ELEMENT_SHIFT), false);
        self.put_all(&[
            Instruction::LocalGet(reference),
            Instruction::LocalGet(word),
            Instruction::TableGrow(table),
        ]);
        self.host_must_have_grown(word);
        self.put_all(&[
            Instruction::Else,
            Instruction::I32Const(-1),
            Instruction::TableSize(table),
            Instruction::LocalGet(word),
            Instruction::Select,
            Instruction::End,
        ]);
    }

    /// Behind an engine's growing, which the limits allow: -1 is the host's failure, and ends the run without a result.
    fn host_must_have_grown(&mut self, word: u32) {
        self.put_all(&[
            Instruction::LocalTee(word),
            Instruction::I32Const(-1),
            Instruction::I32Eq,
            Instruction::If(BlockType::Empty),
            Instruction::I32Const(1),
            Instruction::GlobalSet(self.shared.failed),
            Instruction::Unreachable,
            Instruction::End,
            Instruction::LocalGet(word),
        ]);
    }

    fn reference(&mut self) -> u32 {
        match self.reference {
            Some(local) => local,
            None => {
                let local = self.add_local(ValType::FUNCREF);
                self.reference = Some(local);
                local
            }
        }
    }
}
