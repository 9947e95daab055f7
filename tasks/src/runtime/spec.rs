//! What can be said of an action without looking at the state.

use crate::refusal::{Refusal, SpecFault};
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Bytes, SPEC_BYTES_MAX, TaskSpec, Terms};
use frith_ledger::operation::Action;
use frith_ledger::parameters::{
    CONTENT_BYTES_MAX, MODULE_BYTES_MAX, Parameters, REPLICAS_MAX, SLOTS_MAX,
};
use frith_ledger::units::{Epoch, Fuel};
use frith_ledger::vrf::VrfPublic;
use parity_scale_codec::Encode as _;

/// Epochs from the submission of a task to its first possible draw: it is recorded in root(e) and
/// drawn when root(e + 1) is accepted, in epoch e + 2.
pub(super) const DRAW_LAG: u64 = 2;

/// Checks the shape of an action that is to be executed in `epoch`: what every node refuses whatever the state.
///
/// # Errors
/// The refusal that a submission gets.
pub fn check_action(parameters: &Parameters, epoch: Epoch, action: &Action) -> Result<(), Refusal> {
    match action {
        Action::Transfer { amount, .. } => nonzero(*amount),
        Action::RegisterWorker {
            vrf, stake, terms, ..
        } => {
            if *stake < parameters.stake_min {
                return Err(Refusal::StakeTooSmall {
                    stake: *stake,
                    least: parameters.stake_min,
                });
            }
            check_vrf(vrf)?;
            check_terms(terms)
        }
        Action::RotateWorker { vrf, .. } => check_vrf(vrf),
        Action::AddStake {
            stake, collateral, ..
        } => nonzero(stake.add(*collateral)?),
        Action::Unstake { collateral, .. } => nonzero(*collateral),
        Action::SetTerms { terms, .. } => check_terms(terms),
        Action::SubmitTask(spec) => check_spec(parameters, epoch, spec).map_err(Refusal::Spec),
        Action::Leave { .. }
        | Action::CancelTask { .. }
        | Action::RotateKey { .. }
        | Action::Note(_) => Ok(()),
    }
}

fn nonzero(amount: Credits) -> Result<(), Refusal> {
    if amount.is_zero() {
        Err(Refusal::Nothing)
    } else {
        Ok(())
    }
}

fn check_vrf(vrf: &VrfPublic) -> Result<(), Refusal> {
    if vrf.is_valid() {
        Ok(())
    } else {
        Err(Refusal::VrfKey)
    }
}

fn check_terms(terms: &Terms) -> Result<(), Refusal> {
    let slots_max = u8::try_from(SLOTS_MAX).unwrap_or(u8::MAX);
    if terms.engines == 0 || terms.slots == 0 || terms.slots > slots_max {
        return Err(Refusal::Terms {
            engines: terms.engines,
            slots: terms.slots,
            slots_max,
        });
    }
    Ok(())
}

/// Checks what a task asks for.
fn check_spec(parameters: &Parameters, epoch: Epoch, spec: &TaskSpec) -> Result<(), SpecFault> {
    let max = u8::try_from(REPLICAS_MAX).unwrap_or(u8::MAX);
    if spec.replicas == 0 || spec.replicas > max {
        return Err(SpecFault::Replicas {
            found: spec.replicas,
            max,
        });
    }
    let max = Fuel::new(parameters.task_fuel_max);
    if spec.fuel_max == Fuel::ZERO || spec.fuel_max > max {
        return Err(SpecFault::Fuel {
            found: spec.fuel_max,
            max,
        });
    }
    let max = parameters.memory_pages_max;
    if spec.memory_pages == 0 || spec.memory_pages > max {
        return Err(SpecFault::Memory {
            found: spec.memory_pages,
            max,
        });
    }
    if spec.program_len == 0 || spec.program_len > MODULE_BYTES_MAX {
        return Err(SpecFault::Program {
            found: spec.program_len,
            max: MODULE_BYTES_MAX,
        });
    }
    if let Bytes::Content { len, .. } = spec.input
        && len > CONTENT_BYTES_MAX
    {
        return Err(SpecFault::Input {
            found: len,
            max: CONTENT_BYTES_MAX,
        });
    }
    if spec.result_max > CONTENT_BYTES_MAX {
        return Err(SpecFault::Result {
            found: spec.result_max,
            max: CONTENT_BYTES_MAX,
        });
    }
    let (first, last) = (epoch.plus(DRAW_LAG), epoch.plus(parameters.expiry_max));
    if spec.deadline < first || spec.deadline > last {
        return Err(SpecFault::Deadline {
            found: spec.deadline,
            first,
            last,
        });
    }
    check_texts(spec)
}

fn check_texts(spec: &TaskSpec) -> Result<(), SpecFault> {
    let text = |bytes: &[u8]| !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok();
    let index = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    if let Some(at) = spec.arguments.iter().position(|argument| !text(argument)) {
        return Err(SpecFault::Argument { index: index(at) });
    }
    let variable = |bytes: &[u8]| {
        text(bytes)
            && bytes
                .iter()
                .position(|byte| *byte == b'=')
                .is_some_and(|at| at > 0)
    };
    if let Some(at) = spec.environment.iter().position(|entry| !variable(entry)) {
        return Err(SpecFault::Environment { index: index(at) });
    }
    let found = spec.encoded_size();
    if found > SPEC_BYTES_MAX {
        return Err(SpecFault::Bytes {
            found: index(found),
            max: index(SPEC_BYTES_MAX),
        });
    }
    Ok(())
}
