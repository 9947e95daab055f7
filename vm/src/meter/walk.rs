//! Follows control flow through a function's instructions: which code can be reached, and where basic blocks
//! begin. Scanning and emitting both use it, so they always agree on the blocks.

use wasmparser::Operator;

/// What kind of block a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    Block,
    Loop,
    If,
    Else,
}

/// What begins behind an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Nothing: the block goes on, or the code is dead.
    None,
    /// A basic block.
    Block,
    /// A loop's first block, entered anew with each iteration.
    Loop,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: Kind,
    /// The frame's beginning can be reached.
    live: bool,
    /// A live branch goes to the frame's label.
    targeted: bool,
}

/// Control stack and reachability at one point of a function.
#[derive(Debug)]
pub(super) struct Walk {
    frames: Vec<Frame>,
    /// Loops among the frames.
    loops: u32,
    live: bool,
}

impl Walk {
    pub(super) fn new() -> Self {
        Self {
            frames: vec![Frame {
                kind: Kind::Function,
                live: true,
                targeted: false,
            }],
            loops: 0,
            live: true,
        }
    }

    /// Whether the next instruction can be reached.
    pub(super) fn live(&self) -> bool {
        self.live
    }

    /// Open frames, the function's own included.
    pub(super) fn depth(&self) -> u32 {
        u32::try_from(self.frames.len()).unwrap_or(u32::MAX)
    }

    /// Open loops.
    pub(super) fn loops(&self) -> u32 {
        self.loops
    }

    /// Whether a `return` or branch leaves the function other than at its end.
    pub(super) fn leaves_early(&self) -> bool {
        self.frames.first().is_some_and(|frame| frame.targeted)
    }

    /// Whether `operator` is a conditional branch back to a loop's header.
    pub(super) fn repeats(&self, operator: &Operator<'_>) -> bool {
        let Operator::BrIf { relative_depth } = operator else {
            return false;
        };
        let index = self.frames.len().checked_sub(1 + *relative_depth as usize);
        index
            .and_then(|index| self.frames.get(index))
            .is_some_and(|frame| frame.kind == Kind::Loop)
    }

    fn push(&mut self, kind: Kind) {
        self.loops += u32::from(kind == Kind::Loop);
        self.frames.push(Frame {
            kind,
            live: self.live,
            targeted: false,
        });
    }

    /// Notes a branch. Dead ones count only for the function's own label: their type must stay what it is.
    fn target(&mut self, depth: u32) {
        let index = self.frames.len().checked_sub(1 + depth as usize);
        if let Some(frame) = index.and_then(|index| self.frames.get_mut(index)) {
            frame.targeted |= self.live || frame.kind == Kind::Function;
        }
    }

    fn block_if_live(&self) -> Edge {
        if self.live { Edge::Block } else { Edge::None }
    }

    /// Moves behind `operator`. The function's own `end` leaves the frame in place.
    pub(super) fn step(&mut self, operator: &Operator<'_>) -> Edge {
        match operator {
            Operator::Block { .. } => self.push(Kind::Block),
            Operator::Loop { .. } => {
                self.push(Kind::Loop);
                return if self.live { Edge::Loop } else { Edge::None };
            }
            Operator::If { .. } => {
                self.push(Kind::If);
                return self.block_if_live();
            }
            Operator::Else => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.kind = Kind::Else;
                    self.live = frame.live;
                }
                return self.block_if_live();
            }
            Operator::End => return self.end(),
            Operator::Br { relative_depth } => {
                self.target(*relative_depth);
                self.live = false;
            }
            Operator::BrIf { relative_depth } => {
                self.target(*relative_depth);
                return self.block_if_live();
            }
            Operator::BrTable { targets } => {
                for target in targets.targets().flatten() {
                    self.target(target);
                }
                self.target(targets.default());
                self.live = false;
            }
            Operator::Return => {
                self.target(self.depth() - 1);
                self.live = false;
            }
            Operator::Unreachable => self.live = false,
            _ => {}
        }
        Edge::None
    }

    fn end(&mut self) -> Edge {
        if self.frames.len() <= 1 {
            return Edge::None;
        }
        let Some(frame) = self.frames.pop() else {
            return Edge::None;
        };
        self.loops -= u32::from(frame.kind == Kind::Loop);
        let joins = match frame.kind {
            Kind::If | Kind::Else => true,
            Kind::Block => frame.targeted,
            Kind::Loop | Kind::Function => false,
        };
        if !joins {
            return Edge::None;
        }
        self.live = frame.live;
        self.block_if_live()
    }
}
