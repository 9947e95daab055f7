//! Value that arrives at accounts.

use super::overlay::{Overlay, Stop};
use crate::event::TaskEvent;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Entity;
use frith_ledger::key::PublicKey;

impl Overlay<'_> {
    /// Adds to the account at `to`; creates it where nothing is.
    pub(super) fn deliver_value(&mut self, to: Address, value: Credits) -> Result<(), Stop> {
        let mut account = self.account(&to)?.unwrap_or_default();
        account.balance = account.balance.add(value)?;
        self.set(to, Some(Entity::Account(account)));
        Ok(())
    }

    /// A worker of the account is gone; `value` is what it had left.
    pub(super) fn deliver_left(
        &mut self,
        to: Address,
        key: &PublicKey,
        value: Credits,
    ) -> Result<(), Stop> {
        let mut account = self.account(&to)?.unwrap_or_default();
        account.balance = account.balance.add(value)?;
        let seat = account
            .workers
            .iter()
            .find(|worker| worker.key == *key)
            .and_then(|worker| worker.seat);
        account.workers.retain(|worker| worker.key != *key);
        self.set(to, Some(Entity::Account(account)));
        if let Some(seat) = seat {
            self.event(TaskEvent::Left {
                seat,
                account: to,
                amount: value,
            });
        }
        Ok(())
    }
}
