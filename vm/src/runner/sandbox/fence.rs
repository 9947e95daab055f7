//! The fence: landlock with nothing allowed.
//!
//! Whatever the kernel knows of it is used. Descriptors that are open already stay usable: the two pipes.
//!
//! Sources: Linux, `Documentation/userspace-api/landlock.rst`.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};

use super::Fence;

/// The newest set of rights asked for: files, TCP, abstract sockets and signals.
const NEWEST: ABI = ABI::V6;

pub(super) fn fence() -> Fence {
    match shut() {
        Ok(RulesetStatus::FullyEnforced) => Fence::Whole,
        Ok(RulesetStatus::PartiallyEnforced) => Fence::Partly,
        Ok(RulesetStatus::NotEnforced) | Err(_) => Fence::None,
    }
}

fn shut() -> Result<RulesetStatus, RulesetError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset)
}
