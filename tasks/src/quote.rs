//! What a task costs, before anything is signed.

use frith_ledger::credits::{Credits, CreditsError};
use frith_ledger::entity::TaskSpec;
use frith_ledger::parameters::Parameters;
use frith_ledger::units::Fuel;

/// Fuel that a price is for.
pub const PRICED_FUEL: u128 = 1_000_000;

/// The most that a task can cost, and what its workers must stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Most pay of one place: the task fee and all the fuel, rounded up.
    pub place: Credits,
    /// What goes into escrow: the pay of all places. What isn't used comes back.
    pub escrow: Credits,
    /// Bond of each worker: exactly what a commit must bring.
    pub bond: Credits,
}

/// The quote of a task; the fee of the operation that submits it comes on top.
///
/// # Errors
/// [`CreditsError::Overflow`] when price × fuel × replicas doesn't fit.
pub fn quote(parameters: &Parameters, spec: &TaskSpec) -> Result<Quote, CreditsError> {
    let too_large = CreditsError::Overflow {
        left: spec.price,
        right: parameters.task_fee,
    };
    let product = spec
        .price
        .get()
        .checked_mul(u128::from(spec.fuel_max.get()))
        .ok_or(too_large)?;
    let place = parameters
        .task_fee
        .add(Credits::new(product.div_ceil(PRICED_FUEL)))?;
    let escrow = place
        .scaled(u128::from(spec.replicas), 1)
        .ok_or(too_large)?;
    let share = place
        .scaled(u128::from(parameters.bond_per_mille), 1_000)
        .ok_or(too_large)?;
    let bond = if share < parameters.bond_min {
        parameters.bond_min
    } else {
        share
    };
    Ok(Quote {
        place,
        escrow,
        bond,
    })
}

/// What a worker gets for a right result: the task fee and its fuel, rounded down.
///
/// # Errors
/// [`CreditsError::Overflow`]; not for a fuel within the task's limit once the task was accepted.
pub fn pay(parameters: &Parameters, spec: &TaskSpec, fuel: Fuel) -> Result<Credits, CreditsError> {
    let too_large = CreditsError::Overflow {
        left: spec.price,
        right: parameters.task_fee,
    };
    let burned = spec
        .price
        .scaled(u128::from(fuel.get()), PRICED_FUEL)
        .ok_or(too_large)?;
    parameters.task_fee.add(burned)
}
