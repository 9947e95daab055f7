//! Which workers would take a task now. Never a promise: who is drawn follows from a later state and its beacon.

use super::draw::has_room;
use super::overlay::read;
use super::state::LeafState;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::{Entity, Worker, WorkerStatus};
use frith_ledger::tree::Version;

/// How many workers would take a task of some price and bond, if it were drawn now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offers {
    /// Active workers.
    pub workers: usize,
    /// Those of them that take the price.
    pub at_price: usize,
    /// Those of them that have a free slot too, and collateral for the bond.
    pub free: usize,
    /// The least price that as many workers take as are wanted; `None` when there aren't so many.
    pub price_of_all: Option<Credits>,
}

fn active(tree: &Version, seat: &Address) -> Option<Box<Worker>> {
    match read(tree, seat) {
        Ok(Some(Entity::Worker(worker))) if worker.status == WorkerStatus::Active => Some(worker),
        _ => None,
    }
}

impl LeafState {
    /// Who would take a task at `price` with `bond` on `replicas` workers. Linear in the workers.
    #[must_use]
    pub fn offers(&self, price: Credits, bond: Credits, replicas: usize) -> Offers {
        let mut offers = Offers::default();
        let mut prices = Vec::new();
        for seat in self.index.places() {
            let (then, now) = (active(&self.opening, &seat), active(&self.tree, &seat));
            let Some((then, now)) = then.zip(now) else {
                continue;
            };
            offers.workers += 1;
            prices.push(then.terms.price);
            if then.terms.price <= price {
                offers.at_price += 1;
                offers.free += usize::from(has_room(&self.index, &seat, (&*then, &*now), bond));
            }
        }
        prices.sort_unstable();
        let last = replicas.checked_sub(1);
        offers.price_of_all = last.and_then(|last| prices.get(last)).copied();
        offers
    }
}
