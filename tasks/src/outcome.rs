//! A run of the virtual machine as the ledger names it.
//!
//! Only what all correct workers agree on is taken: status, fuel, output. Standard error and peak memory
//! are not in it.

use crate::content::name_bytes;
use frith_ledger::entity::{RunStatus, TaskOutcome};
use frith_ledger::units::Fuel;
use frith_vm::{Outcome, RefusalCode, Status, TrapKind};

/// The numbers of traps in [`RunStatus::Trap`]; never reused.
const TRAPS: [TrapKind; 5] = [
    TrapKind::Unreachable,
    TrapKind::OutOfBounds,
    TrapKind::IndirectCall,
    TrapKind::DivisionByZero,
    TrapKind::Arithmetic,
];

/// The stable number of a trap.
#[must_use]
pub fn trap_number(trap: TrapKind) -> u16 {
    let at = TRAPS.iter().position(|known| *known == trap);
    at.and_then(|at| u16::try_from(at).ok()).unwrap_or(u16::MAX)
}

/// The outcome of a run. Output above [`frith_ledger::parameters::INLINE_BYTES_MAX`] bytes is named by its
/// id, and whoever reveals it has to keep it.
#[must_use]
pub fn task_outcome(outcome: &Outcome) -> TaskOutcome {
    let status = match outcome.status {
        Status::Exit(code) => RunStatus::Exit(code),
        Status::Trap(kind) => RunStatus::Trap(trap_number(kind)),
        Status::OutOfFuel => RunStatus::OutOfFuel,
        Status::StackOverflow => RunStatus::StackOverflow,
        Status::OutputLimit => RunStatus::OutputLimit,
        Status::MemoryLimit => RunStatus::MemoryLimit,
        Status::Refused(code, offset) => RunStatus::Refused {
            code: code.number(),
            offset,
        },
    };
    TaskOutcome {
        status,
        fuel: Fuel::new(outcome.fuel),
        output: name_bytes(&outcome.output),
    }
}

/// What a status means, for people.
#[must_use]
pub fn describe(status: RunStatus) -> String {
    match status {
        RunStatus::Exit(code) => Status::Exit(code).to_string(),
        RunStatus::Trap(number) => TRAPS.get(usize::from(number)).map_or_else(
            || format!("trap {number}"),
            |trap| Status::Trap(*trap).to_string(),
        ),
        RunStatus::OutOfFuel => Status::OutOfFuel.to_string(),
        RunStatus::StackOverflow => Status::StackOverflow.to_string(),
        RunStatus::OutputLimit => Status::OutputLimit.to_string(),
        RunStatus::MemoryLimit => Status::MemoryLimit.to_string(),
        RunStatus::Refused { code, offset } => RefusalCode::from_number(code).map_or_else(
            || format!("module refused (code {code}, at byte {offset})"),
            |code| Status::Refused(code, offset).to_string(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::entity::Bytes;
    use frith_ledger::parameters::INLINE_BYTES_MAX;
    use parity_scale_codec::Encode as _;

    #[test]
    fn a_traps_number_is_the_machines_own() {
        for trap in TRAPS {
            assert_eq!(
                trap.encode(),
                [u8::try_from(trap_number(trap)).expect("few traps")]
            );
        }
    }

    #[test]
    fn an_outcome_keeps_what_is_agreed_on_and_names_long_output() {
        let run = |len: usize| Outcome {
            status: Status::Exit(3),
            fuel: 9,
            output: vec![7; len],
            stderr: frith_vm::Excerpt::from(&[1][..]),
            peak_pages: 4,
        };
        let short = task_outcome(&run(INLINE_BYTES_MAX));
        assert_eq!(
            (short.status, short.fuel),
            (RunStatus::Exit(3), Fuel::new(9))
        );
        assert!(matches!(short.output, Bytes::Inline(_)));
        let long = task_outcome(&run(INLINE_BYTES_MAX + 1)).output;
        let id = crate::content::content_id(&[7; INLINE_BYTES_MAX + 1]);
        assert_eq!(long, Bytes::Content { id, len: 4_097 });
    }
}
