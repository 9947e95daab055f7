//! Work that the leaf does by itself: seats, deadlines, draws.

use super::execute::ExecuteError;
use super::index::Index;
use super::overlay::{Overlay, Stop};
use frith_ledger::address::Address;
use frith_ledger::codec::BoundedVec;
use frith_ledger::entity::{Entity, Worker, WorkerStatus};
use frith_ledger::genesis::seat;
use frith_ledger::message::MessageBody;
use frith_ledger::units::Epoch;
use imbl::OrdSet;

/// Entries of the agenda that one block works off; the rest waits for the next.
pub const DUE_MAX: usize = 256;

/// A list of the agenda.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Seat,
    Deadline,
    Draw,
}

impl Kind {
    const fn list(self, index: &Index) -> &OrdSet<(Epoch, Address)> {
        match self {
            Self::Seat => &index.seats,
            Self::Deadline => &index.epochs,
            Self::Draw => &index.draws,
        }
    }
}

fn due(
    list: &OrdSet<(Epoch, Address)>,
    last: Epoch,
) -> impl Iterator<Item = (Epoch, Address)> + '_ {
    list.range(..=(last, Address([0xff; 32]))).copied()
}

impl Index {
    /// Whether a deadline has passed in `epoch`, or something waits for the newest root. `newest`: its
    /// epoch, when it was accepted in this very epoch.
    pub(super) fn has_due(&self, epoch: Epoch, newest: Option<Epoch>) -> bool {
        due(&self.epochs, epoch).next().is_some()
            || newest.is_some_and(|root| self.wants_root(root))
    }

    /// Whether the acceptance of this root makes something due.
    pub(super) fn wants_root(&self, root: Epoch) -> bool {
        due(&self.seats, root).next().is_some() || due(&self.draws, root).next().is_some()
    }
}

impl Overlay<'_> {
    /// Works off at most [`DUE_MAX`] entries: seats first, then deadlines, then draws, each by epoch and address.
    pub(super) fn do_due(&mut self) -> Result<(), ExecuteError> {
        let newest = self.can_draw().then(|| self.roots.minus(1));
        let mut entries: Vec<(Kind, Epoch, Address)> = Vec::new();
        for kind in [Kind::Seat, Kind::Deadline, Kind::Draw] {
            let last = if kind == Kind::Deadline {
                Some(self.epoch)
            } else {
                newest
            };
            let Some(last) = last else { continue };
            let room = DUE_MAX.saturating_sub(entries.len());
            entries.extend(
                due(kind.list(&self.index), last)
                    .take(room)
                    .map(|(epoch, at)| (kind, epoch, at)),
            );
        }
        for (kind, epoch, address) in entries {
            // An entry before this one may have ended it.
            if !kind.list(&self.index).contains(&(epoch, address)) {
                continue;
            }
            let done = self.attempt(|overlay| match kind {
                Kind::Seat => overlay.take_seat(address),
                Kind::Deadline => overlay.deadline(address),
                Kind::Draw => overlay.draw_due(address),
            })?;
            done.map_err(|refusal| ExecuteError::Due {
                address,
                refusal: Box::new(refusal),
            })?;
            if kind.list(&self.index).contains(&(epoch, address)) {
                return Err(ExecuteError::Stuck { address });
            }
        }
        Ok(())
    }

    fn deadline(&mut self, address: Address) -> Result<(), Stop> {
        match self.get(&address)?.as_deref() {
            Some(Entity::Worker(_)) => self.worker_due(address),
            Some(Entity::Task(_)) => self.task_due(address),
            _ => Ok(()),
        }
    }

    /// A registration becomes a worker at the seat that the newest beacon gives it.
    fn take_seat(&mut self, address: Address) -> Result<(), Stop> {
        let Some(Entity::Registration(registration)) = self.get(&address)?.as_deref().cloned()
        else {
            return Ok(());
        };
        let place = seat(&registration.key, &self.beacon);
        let value = registration.stake.add(registration.collateral)?;
        self.set(address, None);
        if let Some(mut account) = self.account(&registration.account)? {
            for worker in account
                .workers
                .as_mut_slice()
                .iter_mut()
                .filter(|worker| worker.key == registration.key)
            {
                worker.seat = Some(place);
            }
            self.set(registration.account, Some(Entity::Account(account)));
        }
        let worker = Worker {
            key: registration.key,
            vrf: registration.vrf,
            account: registration.account,
            stake: registration.stake,
            collateral: registration.collateral,
            terms: registration.terms,
            pending: BoundedVec::new(),
            status: WorkerStatus::Active,
            open: BoundedVec::new(),
            tasks_paid: 0,
            tasks_lost: 0,
            retired: BoundedVec::new(),
        };
        self.send(
            registration.account,
            place,
            value,
            MessageBody::Seat(Box::new(worker)),
        );
        Ok(())
    }
}
