//! Another key for a worker, at the seat that it has.
//!
//! 1. The account's order, with the new key's consent, waits at the seat for A epochs, as all that counts in
//!    draws: at most one at a time. From then on nobody else can take the new key.
//! 2. In epoch S the agenda puts the new keys in force. Places drawn from then on are the new key's; those
//!    drawn before, and commitments made, stay the old key's, and only it can serve them.
//! 3. The committee of epoch S + 2 comes from the state at the end of S, so the old key is a member of the
//!    leaf up to S + 1, and of the root to the end of the period in which S + 1 lies. It answers for what it
//!    signed in these epochs and in none that is later, however its secret is kept afterwards.
//! 4. When evidence of its last epoch is too old, and nothing that it committed to is open any more, the key
//!    is forgotten, and free.

use super::index::has_open;
use super::overlay::{Overlay, Stop, full};
use crate::event::TaskEvent;
use crate::refusal::Refusal;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, PendingChange, RetiredKey, Worker, WorkerChange, WorkerKeys};
use frith_ledger::key::PublicKey;
use frith_ledger::message::MessageBody;
use frith_ledger::parameters::{Parameters, RETIRED_KEYS_MAX};
use frith_ledger::units::Epoch;

/// What is kept of a key that is replaced in `epoch`.
fn retire(parameters: &Parameters, key: PublicKey, epoch: Epoch) -> RetiredKey {
    let period = parameters.period.max(1);
    let last_in_leaf = epoch.next().get();
    // The last of the period that last_in_leaf lies in: never before it.
    let last = Epoch::new(
        (last_in_leaf / period)
            .saturating_add(1)
            .saturating_mul(period),
    )
    .minus(1);
    let kept = parameters
        .unbonding
        .max(parameters.commit_epochs)
        .max(parameters.arbitration_epochs);
    RetiredKey {
        key,
        last,
        until: last.plus(kept),
    }
}

/// Why a worker can be given no new key now.
pub(super) fn check_rotation(seat: Address, worker: &Worker) -> Result<(), Refusal> {
    if let Some((since, _)) = worker.next_keys() {
        return Err(Refusal::RotationPending { seat, since });
    }
    match worker.retired.first() {
        Some(oldest) if worker.retired.len() >= RETIRED_KEYS_MAX => Err(Refusal::RetiredKeys {
            seat,
            max: u32::try_from(RETIRED_KEYS_MAX).unwrap_or(u32::MAX),
            until: oldest.until,
        }),
        _ => Ok(()),
    }
}

/// Forgets the keys that have nothing to answer for any more.
pub(super) fn forget_keys(worker: &mut Worker, epoch: Epoch) {
    let open = &worker.open;
    worker
        .retired
        .retain(|retired| retired.until >= epoch || has_open(open, &retired.key));
}

impl Overlay<'_> {
    pub(super) fn deliver_rotation(
        &mut self,
        from: Address,
        to: Address,
        keys: WorkerKeys,
        since: Epoch,
    ) -> Result<(), Stop> {
        let mut worker = self.owned(from, to)?;
        check_rotation(to, &worker)?;
        let change = WorkerChange::Keys(keys);
        let change = PendingChange { since, change };
        worker.pending.push(change).map_err(full(to))?;
        self.event(TaskEvent::Rotating {
            seat: to,
            key: keys.key,
            since,
        });
        self.set_worker(to, worker);
        Ok(())
    }

    /// Puts new keys in force, and tells the account.
    pub(super) fn replace_keys(
        &mut self,
        seat: Address,
        worker: &mut Worker,
        keys: WorkerKeys,
    ) -> Result<(), Stop> {
        let retired = retire(self.parameters(), worker.key, self.epoch);
        // There is room: it was there at the order, and since then only this one has waited.
        worker.retired.push(retired).map_err(full(seat))?;
        let old = std::mem::replace(&mut worker.key, keys.key);
        worker.vrf = keys.vrf;
        self.event(TaskEvent::Rotated {
            seat,
            old,
            new: keys.key,
        });
        let told = MessageBody::Rotated { old, new: keys.key };
        self.send(seat, worker.account, Credits::ZERO, told);
        Ok(())
    }

    /// The account's list of workers names the key in force.
    pub(super) fn deliver_rotated(
        &mut self,
        to: Address,
        old: &PublicKey,
        new: &PublicKey,
    ) -> Result<(), Stop> {
        let Some(mut account) = self.account(&to)? else {
            return Ok(());
        };
        for worker in account.workers.as_mut_slice() {
            if worker.key == *old {
                worker.key = *new;
            }
        }
        self.set(to, Some(Entity::Account(account)));
        Ok(())
    }
}
