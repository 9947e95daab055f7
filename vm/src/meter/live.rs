//! What a function's control flow makes of its locals: how many values are live on its edges, and how many are joined at
//! its labels. That is what a compiler's register allocator works on.
//!
//! A function's locals and branches are noted as they are scanned ([`Trace`]), then followed backwards, twice: what is
//! live at a loop's header is known only behind the header, so the second pass takes it from the first. Values that
//! are live behind a loop count as live on its way back, too; so the sum is what a data flow analysis
//! would find, or a little more. Operands below a branch are values like any other.
//!
//! Cost: one step for each noted instruction, and one for each 64 locals of each branch.

use wasmparser::Operator;

/// What matters of one instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Get(u32),
    Set(u32),
    /// An instruction that works on so many operands, above more than the machine's registers hold.
    Work(u32),
    /// A frame begins.
    Open(Kind),
    Else,
    /// A frame ends, with so many values at its label.
    Close(Kind, u32),
    /// To the label so many frames out.
    Branch(u32),
    /// The same where the next instruction may follow, too.
    BranchIf(u32),
    /// A label that a table names so many times.
    Target {
        depth: u32,
        times: u32,
    },
    /// The table itself, behind its labels.
    Table,
    /// The next instruction never follows.
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    If,
    /// With its number.
    Loop(u32),
    /// Any that can't be reached.
    Dead,
}

/// Values that may be live before the machine's registers are used up.
const REGISTERS: u64 = 14;

/// A function's locals and branches, in order. Dead code leaves its frames only.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// With the height of the operand stack.
    events: Vec<(Event, u32)>,
    /// Open frames, and what a loop takes.
    open: Vec<(Kind, u32)>,
    loops: u32,
}

impl Trace {
    /// Notes an instruction that takes and gives so many values, before which the operand stack has this height.
    pub(super) fn note(
        &mut self,
        operator: &Operator<'_>,
        live: bool,
        (pops, pushes): (u32, u32),
        height: u32,
    ) {
        use Operator as O;
        let event = match operator {
            O::Block { .. } | O::Loop { .. } | O::If { .. } if !live => self.opened(Kind::Dead, 0),
            O::Block { .. } => self.opened(Kind::Block, 0),
            O::If { .. } => self.opened(Kind::If, 0),
            O::Loop { .. } => {
                self.loops += 1;
                self.opened(Kind::Loop(self.loops - 1), pops)
            }
            O::Else => Event::Else,
            // The function's own end closes nothing.
            O::End => match self.open.pop() {
                Some((kind @ Kind::Loop(_), taken)) => Event::Close(kind, taken),
                Some((kind, _)) => Event::Close(kind, pushes),
                None => return,
            },
            _ if !live => return,
            O::LocalGet { local_index } => Event::Get(*local_index),
            O::LocalSet { local_index } | O::LocalTee { local_index } => Event::Set(*local_index),
            O::Br { relative_depth } => Event::Branch(*relative_depth),
            O::BrIf { relative_depth } => Event::BranchIf(*relative_depth),
            O::Return => Event::Branch(u32::MAX),
            O::Unreachable => Event::Stop,
            O::BrTable { targets } => {
                let mut depths: Vec<u32> = targets.targets().flatten().collect();
                depths.push(targets.default());
                depths.sort_unstable();
                for equal in depths.chunk_by(|left, right| left == right) {
                    let depth = equal.first().copied().unwrap_or(0);
                    let times = u32::try_from(equal.len()).unwrap_or(u32::MAX);
                    self.events.push((Event::Target { depth, times }, height));
                }
                Event::Table
            }
            _ if u64::from(height) > REGISTERS => Event::Work(pops + pushes),
            _ => return,
        };
        self.events.push((event, height));
    }

    fn opened(&mut self, kind: Kind, taken: u32) -> Event {
        self.open.push((kind, taken));
        Event::Open(kind)
    }

    /// The flow of a function with so many parameters and locals.
    pub(super) fn flow(&self, locals: u32) -> Flow {
        let mut pass = Pass::new(locals);
        pass.headers = vec![Locals::default(); self.loops as usize];
        pass.follow(&self.events);
        pass.flow = Flow::default();
        pass.webs.fill(0);
        pass.live.clear();
        pass.follow(&self.events);
        let squares = pass.webs.iter().map(|joined| joined * joined);
        pass.flow.webs = squares.fold(0, u64::saturating_add);
        pass.flow
    }
}

/// The sums of one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flow {
    /// Edges between basic blocks.
    pub(crate) edges: u64,
    /// Values that are live on them, each counted for each edge.
    pub(crate) live: u64,
    /// Edges to labels; those of a table count as one, since they bring the same values.
    pub(crate) joins: u64,
    /// Values that differ by the edge on which a label is reached, counted for each edge to it: locals that
    /// its frame sets, and its operands.
    pub(crate) joined: u64,
    /// For each local, how often it is joined, squared; the sum.
    pub(crate) webs: u64,
    /// Operands at labels, counted for each edge to them.
    pub(crate) operands: u64,
    /// Edges to labels with operands.
    pub(crate) operand_joins: u64,
    /// Uses of values while more are live than a machine has registers, and how many are live at each.
    pub(crate) crowded: u64,
    pub(crate) crowd: u64,
    /// Headers of loops, and what is live at them: a compiler follows each value through every loop.
    pub(crate) loops: u64,
    pub(crate) loop_live: u64,
}

/// A set of locals, and how many are in it.
#[derive(Debug, Clone, Default)]
struct Locals {
    words: Vec<u64>,
    count: u64,
}

impl Locals {
    fn put(&mut self, local: u32, live: bool) {
        let bit = 1 << (local % 64);
        let Some(word) = self.words.get_mut(local as usize / 64) else {
            return;
        };
        match (*word & bit != 0, live) {
            (false, true) => self.count += 1,
            (true, false) => self.count -= 1,
            _ => return,
        }
        *word ^= bit;
    }

    fn add(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            self.count += u64::from((more & !*word).count_ones());
            *word |= more;
        }
    }

    fn copy(&mut self, other: &Self) {
        self.words.clone_from(&other.words);
        self.count = other.count;
    }

    fn clear(&mut self) {
        self.words.fill(0);
        self.count = 0;
    }
}

/// An open frame, seen from its end.
#[derive(Debug, Default)]
struct Frame {
    /// Live at its label.
    label: Locals,
    /// Live where the other arm of an `if` begins; behind the `if` when it has none.
    other: Locals,
    /// Set within.
    set: Locals,
    /// Edges to the label, a table's counted each; and those by other instructions than tables.
    edges: u64,
    apart: u64,
    /// Operands at the label.
    operands: u64,
}

#[derive(Debug)]
struct Pass {
    live: Locals,
    frames: Vec<Frame>,
    /// Frames that were closed; their memory is used again.
    spare: Vec<Frame>,
    /// Live at each loop's header, as far as it is known.
    headers: Vec<Locals>,
    /// How often each local is joined.
    webs: Vec<u64>,
    flow: Flow,
}

impl Pass {
    fn new(locals: u32) -> Self {
        let live = Locals {
            words: vec![0; locals.div_ceil(64) as usize],
            count: 0,
        };
        Self {
            live,
            frames: Vec::new(),
            spare: Vec::new(),
            headers: Vec::new(),
            webs: vec![0; locals as usize],
            flow: Flow::default(),
        }
    }

    /// Follows a function from its end to its beginning.
    fn follow(&mut self, events: &[(Event, u32)]) {
        for (event, height) in events.iter().rev() {
            self.step(*event, u64::from(*height));
        }
    }

    /// Moves `live` from behind an instruction to before it, and counts its edges.
    fn step(&mut self, event: Event, height: u64) {
        match event {
            Event::Get(local) => {
                self.live.put(local, true);
                self.crowd(1, height);
            }
            Event::Work(operands) => self.crowd(operands.into(), height),
            Event::Set(local) => {
                self.live.put(local, false);
                if let Some(frame) = self.frames.last_mut() {
                    frame.set.put(local, true);
                }
            }
            Event::Close(kind, operands) => self.close(kind, operands.into(), height),
            Event::Else => {
                if let Some(frame) = self.frames.last_mut() {
                    std::mem::swap(&mut frame.other, &mut self.live);
                }
            }
            Event::Open(kind) => self.open(kind, height),
            Event::Branch(depth) => {
                self.live.clear();
                self.branch(depth, height, (1, 1));
            }
            Event::BranchIf(depth) => {
                self.edge(self.live.count + height, 1);
                self.branch(depth, height, (1, 1));
            }
            Event::Target { depth, times } => self.branch(depth, height, (times.into(), 0)),
            Event::Stop => self.live.clear(),
            Event::Table => {
                self.live.clear();
                self.flow.joins += 1;
            }
        }
    }

    /// Behind a frame's end.
    fn close(&mut self, kind: Kind, operands: u64, height: u64) {
        if kind == Kind::Dead {
            self.frames.push(self.spare.pop().unwrap_or_default());
            return;
        }
        let mut frame = self.spare.pop().unwrap_or_default();
        frame.label.copy(&self.live);
        if let Kind::Loop(number) = kind {
            frame.label.add(&self.headers[number as usize]);
        }
        frame.other.copy(&self.live);
        frame.set.copy(&self.live);
        frame.set.clear();
        frame.operands = operands;
        frame.edges = if kind == Kind::If { 2 } else { 1 };
        frame.apart = frame.edges;
        self.frames.push(frame);
        self.edge(self.live.count + height, 1);
    }

    /// Before a frame's beginning.
    fn open(&mut self, kind: Kind, height: u64) {
        let Some(mut frame) = self.frames.pop() else {
            return;
        };
        match kind {
            Kind::Dead => {
                self.spare.push(frame);
                return;
            }
            Kind::Block => {}
            Kind::If => {
                self.edge(self.live.count + height, 1);
                self.edge(frame.other.count + height, 1);
                self.live.add(&frame.other);
            }
            Kind::Loop(number) => {
                self.edge(self.live.count + height, 1);
                self.flow.loops += 1;
                self.flow.loop_live += self.live.count + height;
                frame.label.copy(&self.live);
                self.headers[number as usize].copy(&self.live);
            }
        }
        self.join(&frame);
        if let Some(outer) = self.frames.last_mut() {
            outer.set.add(&frame.set);
        }
        self.spare.push(frame);
    }

    /// Counts what is joined at a frame's label.
    fn join(&mut self, frame: &Frame) {
        let mut joined = frame.operands;
        for (index, (set, live)) in frame.set.words.iter().zip(&frame.label.words).enumerate() {
            let mut both = set & live;
            joined += u64::from(both.count_ones());
            while both != 0 {
                let local = 64 * index + both.trailing_zeros() as usize;
                both &= both - 1;
                if let Some(web) = self.webs.get_mut(local) {
                    *web += frame.apart;
                }
            }
        }
        self.flow.joins += frame.apart;
        self.flow.joined += joined * frame.edges;
        if frame.operands > 0 {
            self.flow.operands += frame.operands * frame.apart;
            self.flow.operand_joins += frame.apart;
        }
    }

    /// Edges to a label. Nothing is live where the function ends.
    fn branch(&mut self, depth: u32, height: u64, (times, apart): (u64, u64)) {
        let outer = usize::try_from(depth).unwrap_or(usize::MAX);
        let index = self.frames.len().checked_sub(outer.saturating_add(1));
        let carried = match index.and_then(|index| self.frames.get_mut(index)) {
            Some(frame) => {
                self.live.add(&frame.label);
                frame.edges += times;
                frame.apart += apart;
                frame.label.count
            }
            None => 0,
        };
        self.edge(carried + height, times);
    }

    /// Counts uses of so many values above operands of this height.
    fn crowd(&mut self, uses: u64, height: u64) {
        let live = self.live.count + height;
        if live > REGISTERS {
            self.flow.crowded += uses;
            self.flow.crowd += uses * live;
        }
    }

    fn edge(&mut self, live: u64, times: u64) {
        self.flow.edges += times;
        self.flow.live += live * times;
    }
}

#[cfg(test)]
mod tests {
    use super::Flow;
    use crate::limits::Limits;
    use crate::validate::{Interface, inspect};

    fn flow_of(body: &str) -> Flow {
        let text = format!("(module (func (param i32 i32 i32 i32) {body}))");
        let wasm = wat::parse_str(text).expect("the test's module parses");
        let module = inspect(&wasm, &Limits::default(), Interface::Any).expect("is valid");
        module.plans[0].shape.flow
    }

    /// The edges of a module's first function, and what is live on them.
    fn check(body: &str, count: u64, live: u64) {
        let flow = flow_of(body);
        assert_eq!((flow.edges, flow.live), (count, live), "{body}");
    }

    #[test]
    fn what_is_read_later_is_live_and_what_is_set_before_is_not() {
        let get = |local: u32| format!("(drop (local.get {local}))");
        check("", 0, 0);
        check(&format!("{} {}", get(0), get(1)), 0, 0);
        // Over the branch and its target 1 is read; 0 was read before; 2 is set first. The condition is below the branch.
        let join = format!(
            "{} (block (br_if 0 (local.get 3)) (local.set 2 (i32.const 1)) {}) {}",
            get(0),
            get(2),
            get(1)
        );
        check(&join, 3, (1 + 1) + (1 + 1) + 1);
    }

    #[test]
    fn both_arms_of_an_if_count_and_so_does_what_passes_by_them() {
        let arms = "(if (local.get 0) (then (drop (local.get 1))) (else (drop (local.get 2)))) (drop (local.get 3))";
        check(arms, 3, (2 + 1) + (2 + 1) + 1);
        let one = "(if (local.get 0) (then (drop (local.get 1)))) (drop (local.get 3))";
        check(one, 3, (2 + 1) + (1 + 1) + 1);
    }

    #[test]
    fn what_a_loop_reads_is_live_on_its_way_back() {
        // The header: 0 and 1; the way back the same; what falls out: nothing. The condition counts for the branch.
        let repeat = "(loop (drop (local.get 0)) (br_if 0 (local.get 1)))";
        check(repeat, 4, 2 + (2 + 1) + 1);
        // 2 is read behind the inner loop in each round of the outer one.
        let nested =
            "(loop (loop (br_if 0 (local.get 0))) (drop (local.get 2)) (br_if 0 (local.get 0)))";
        check(nested, 8, 2 + 2 + (2 + 1) + (2 + 1) + 2 + (2 + 1) + 1);
    }

    /// What a module's first function joins.
    fn check_joins(body: &str, expected: [u64; 3]) {
        let flow = flow_of(body);
        assert_eq!([flow.joins, flow.joined, flow.webs], expected, "{body}");
    }

    #[test]
    fn what_a_frame_sets_is_joined_at_its_label_where_it_is_read_behind() {
        let set = "(block (br_if 0 (local.get 0)) (local.set 1 (i32.const 1)))";
        check_joins(set, [2, 0, 0]);
        check_joins(&format!("{set} (drop (local.get 1))"), [2, 2, 4]);
        // Entered once and once again.
        let count =
            "(loop (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br_if 0 (local.get 0)))";
        check_joins(count, [2, 2, 4]);
        // What an inner frame sets, its outer ones set.
        let inner = format!("(block (br_if 0 (local.get 2)) {set}) (drop (local.get 1))");
        check_joins(&inner, [4, 4, 16]);
        let dead = "(block (br 0) (block (br_if 0 (i32.const 1))))";
        check_joins(dead, [2, 0, 0]);
    }

    #[test]
    fn a_table_counts_every_target_and_operands_below_count_too() {
        let table = "(block (block (br_table 0 1 0 1 1 (local.get 0))) (drop (local.get 1)))";
        // Two of five go to the inner label, where 1 is live. The index is an operand; nothing falls through.
        check(table, 5 + 2, 2 * (1 + 1) + 3 + 1);
        let tall = "(i32.const 1) (block (br_if 0 (local.get 0))) drop";
        check(tall, 3, 2 + 2 + 1);
    }
}
