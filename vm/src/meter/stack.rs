//! Stack units: which functions account for the stack on entry, and for how much.
//!
//! A function that only calls functions of the same kind, or none, in a call tree of bounded depth, doesn't
//! account for itself: it is *covered*, and whoever calls it pays for the deepest path below. All others pay
//! on entry for their frame, the deepest covered callee, and, if they make indirect calls, the deepest
//! covered function there is. So leaf functions cost nothing, and recursion always pays.
//!
//! # Why no engine overflows first
//!
//! A run has 2^18 units by default. wasmtime gets 64 MiB of native stack, 256 bytes a unit; so a frame may have
//! 12 KiB, 2 KiB for each local and operand, and 32 bytes for each byte of the body. Compiled code needs at
//! most 8 bytes for each local and operand, and beyond that a spill slot for a value that the optimizer
//! keeps alive longer than the source does, which takes at least six bytes of body for each. Parameters
//! count twice: the caller has a place for those that go by the stack, and the callee one to keep them in. wasmi
//! has a slot of 8 bytes for each local and operand and no native stack; its call depth is bounded by
//! 2^18 / 48 frames and what is covered. A browser chooses its own stack: of 22 shapes of frames the worst
//! overflowed a Worker's at 0.36 × 2^20 units, with 64 parameters that counted once. An engine that overflows all the
//! same reports a host error, never a result.

use super::FunctionPlan;

/// The deepest path that a covered function may have below it, its own frame included.
pub(super) const COVERED_UNITS_MAX: u32 = 16 << 10;

/// Stack units of one frame.
///
/// `locals` are the parameters and the locals.
pub(super) fn frame_units(parameters: u32, locals: u32, operands: u32, body_bytes: u64) -> u32 {
    let slots = u64::from(parameters) + u64::from(locals) + u64::from(operands);
    u32::try_from(48 + 8 * slots + body_bytes / 8).unwrap_or(u32::MAX)
}

/// Units that each defined function takes on entry; `None` for covered functions.
///
/// `imported` functions precede the defined ones in the index space and need no units. Cost is linear in
/// functions and distinct calls.
pub(super) fn entry_units(plans: &[FunctionPlan], imported: u32) -> Vec<Option<u32>> {
    let defined = |index: &u32| index.checked_sub(imported).map(|index| index as usize);
    let mut callers: Vec<Vec<usize>> = vec![Vec::new(); plans.len()];
    let mut waiting_for: Vec<usize> = vec![0; plans.len()];
    for (caller, plan) in plans.iter().enumerate() {
        for callee in plan.callees.iter().filter_map(defined) {
            if let Some(list) = callers.get_mut(callee) {
                list.push(caller);
                waiting_for[caller] += 1;
            }
        }
    }
    let mut covered: Vec<Option<u32>> = vec![None; plans.len()];
    let deepest_callee = |plan: &FunctionPlan, covered: &[Option<u32>]| {
        plan.callees
            .iter()
            .filter_map(defined)
            .filter_map(|callee| covered.get(callee).copied().flatten())
            .max()
    };
    let mut ready: Vec<usize> = (0..plans.len())
        .filter(|&function| waiting_for[function] == 0 && !plans[function].indirect)
        .collect();
    while let Some(function) = ready.pop() {
        let plan = &plans[function];
        let units = plan
            .frame
            .saturating_add(deepest_callee(plan, &covered).unwrap_or(0));
        if units > COVERED_UNITS_MAX {
            continue;
        }
        covered[function] = Some(units);
        for &caller in &callers[function] {
            waiting_for[caller] -= 1;
            if waiting_for[caller] == 0 && !plans[caller].indirect {
                ready.push(caller);
            }
        }
    }
    let deepest = covered.iter().copied().flatten().max().unwrap_or(0);
    plans
        .iter()
        .zip(&covered)
        .map(|(plan, own)| match own {
            Some(_) => None,
            None => {
                let direct = deepest_callee(plan, &covered).unwrap_or(0);
                let below = if plan.indirect { deepest } else { direct };
                Some(plan.frame.saturating_add(below))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(frame: u32, callees: &[u32], indirect: bool) -> FunctionPlan {
        FunctionPlan {
            charges: Vec::new(),
            canonical: Vec::new(),
            callees: callees.to_vec(),
            indirect,
            complexity: 0,
            frame,
            leaves_early: false,
            shape: crate::meter::compile::Shape::default(),
        }
    }

    #[test]
    fn leaves_are_covered_by_their_callers_and_recursion_pays() {
        // 1 → 2 → 3, 4 → 4, 5 → {1, 4}, 6 indirect; function 0 is imported.
        let plans = [
            plan(10, &[0, 2], false),
            plan(20, &[3], false),
            plan(30, &[], false),
            plan(40, &[4], false),
            plan(50, &[1, 4], false),
            plan(60, &[], true),
        ];
        assert_eq!(
            entry_units(&plans, 1),
            [None, None, None, Some(40), Some(110), Some(120)]
        );
    }

    #[test]
    fn a_parameter_takes_twice_what_a_local_takes() {
        let frame = |parameters, locals| frame_units(parameters, parameters + locals, 3, 80);
        assert_eq!(frame(0, 0), 48 + 24 + 10);
        assert_eq!(frame(0, 5) - frame(0, 0), 40);
        assert_eq!(frame(5, 0) - frame(0, 0), 80);
    }

    #[test]
    fn a_path_that_is_too_deep_pays_from_there_on() {
        let plans = [
            plan(COVERED_UNITS_MAX, &[1], false),
            plan(1, &[], false),
            plan(5, &[0], false),
        ];
        assert_eq!(
            entry_units(&plans, 0),
            [Some(COVERED_UNITS_MAX + 1), None, Some(5)]
        );
    }
}
