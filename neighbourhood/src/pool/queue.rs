//! Operations that wait for a batch of this node.
//!
//! Operations of an account leave in the order of their nonces, without a gap, and only while no
//! batch of this node with another operation of the account is under way. Everything else leaves in
//! the order it came.

use frith_ledger::address::Address;
use frith_ledger::operation::{Operation, OperationId};
use frith_ledger::units::{Epoch, Nonce};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// An operation that waits.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Its id.
    pub id: OperationId,
    /// Its encoding.
    pub bytes: Vec<u8>,
    /// What it is.
    pub operation: Operation,
}

impl Queued {
    /// The account and nonce of a signed operation.
    #[must_use]
    pub fn turn(&self) -> Option<(Address, Nonce)> {
        match &self.operation {
            Operation::Signed(signed) => Some((signed.body.account, signed.body.nonce)),
            Operation::Worker(_) | Operation::Proof(_) => None,
        }
    }

    /// Where a signed operation stands among those of its account, for a node that has it since `known`.
    #[must_use]
    pub fn slot(&self, known: Epoch) -> Option<Slot> {
        match &self.operation {
            Operation::Signed(signed) => Some(Slot {
                account: signed.body.account,
                nonce: signed.body.nonce,
                since: known,
                expires: signed.body.expires,
            }),
            Operation::Worker(_) | Operation::Proof(_) => None,
        }
    }

    fn expires(&self) -> Option<Epoch> {
        match &self.operation {
            Operation::Signed(signed) => Some(signed.body.expires),
            Operation::Worker(_) | Operation::Proof(_) => None,
        }
    }
}

/// When a signed operation can be executed: while its account's nonce is its own, in these epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The account.
    pub account: Address,
    /// The operation's nonce.
    pub nonce: Nonce,
    /// No block of an earlier epoch has it: it wasn't signed, or wasn't executed.
    pub since: Epoch,
    /// The last epoch in which it is good.
    pub expires: Epoch,
}

#[derive(Debug, Default)]
struct AccountQueue {
    operations: BTreeMap<Nonce, Queued>,
    under_way: bool,
    ready: bool,
}

/// Operations that wait for a batch, bounded by its user.
#[derive(Debug, Default)]
pub struct Queue {
    accounts: BTreeMap<Address, AccountQueue>,
    /// Accounts that may have an operation whose turn it is.
    ready: VecDeque<Address>,
    others: VecDeque<Queued>,
    ids: BTreeSet<OperationId>,
    bytes: usize,
}

impl Queue {
    /// Operations that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether an operation waits.
    #[must_use]
    pub fn contains(&self, id: &OperationId) -> bool {
        self.ids.contains(id)
    }

    /// Whether there may be an operation whose turn it is.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty() || !self.others.is_empty()
    }

    /// The operation of this account and nonce that waits.
    #[must_use]
    pub fn holder(&self, account: &Address, nonce: Nonce) -> Option<OperationId> {
        let entry = self.accounts.get(account)?;
        entry.operations.get(&nonce).map(|queued| queued.id)
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// Another one of the same account and nonce waits: this one, which stays.
    pub fn push(&mut self, queued: Queued) -> Result<(), OperationId> {
        if self.ids.contains(&queued.id) {
            return Ok(());
        }
        let turn = queued.turn();
        if let Some(holder) = turn.and_then(|(account, nonce)| self.holder(&account, nonce)) {
            return Err(holder);
        }
        self.ids.insert(queued.id);
        self.bytes += queued.bytes.len();
        let Some((account, nonce)) = turn else {
            self.others.push_back(queued);
            return Ok(());
        };
        let entry = self.accounts.entry(account).or_default();
        entry.operations.insert(nonce, queued);
        self.make_ready(account);
        Ok(())
    }

    fn make_ready(&mut self, account: Address) {
        if let Some(entry) = self.accounts.get_mut(&account)
            && !entry.under_way
            && !entry.ready
            && !entry.operations.is_empty()
        {
            entry.ready = true;
            self.ready.push_back(account);
        }
    }

    /// Takes operations whose turn it is, at most `count` with at most `bytes` together. `expected`
    /// gives an account's nonce. Accounts taken from are under way until [`Queue::release`].
    pub fn take(
        &mut self,
        count: usize,
        bytes: usize,
        mut expected: impl FnMut(&Address) -> Nonce,
    ) -> Vec<Queued> {
        let mut taken: Vec<Queued> = Vec::new();
        let mut room = bytes;
        // Framing of an operation in a batch: the length of its bytes.
        const FRAME: usize = 5;
        let fits = |taken: &Vec<Queued>, room: usize, next: &Queued| {
            taken.len() < count && next.bytes.len() + FRAME <= room
        };
        while let Some(next) = self.others.front() {
            if !fits(&taken, room, next) {
                break;
            }
            if let Some(next) = self.others.pop_front() {
                room -= next.bytes.len() + FRAME;
                taken.push(next);
            }
        }
        let mut turns = self.ready.len();
        while turns > 0 && taken.len() < count {
            turns -= 1;
            let Some(account) = self.ready.pop_front() else {
                break;
            };
            let Some(entry) = self.accounts.get_mut(&account) else {
                continue;
            };
            entry.ready = false;
            let mut nonce = expected(&account);
            let later = entry.operations.split_off(&nonce);
            let passed = std::mem::replace(&mut entry.operations, later);
            let mut full = false;
            while let Some(next) = entry.operations.get(&nonce) {
                if !fits(&taken, room, next) {
                    full = true;
                    break;
                }
                if let Some(next) = entry.operations.remove(&nonce) {
                    room -= next.bytes.len() + FRAME;
                    taken.push(next);
                    entry.under_way = true;
                }
                nonce = nonce.next();
            }
            for old in passed.into_values() {
                self.ids.remove(&old.id);
                self.bytes = self.bytes.saturating_sub(old.bytes.len());
            }
            let entry_under_way = self
                .accounts
                .get(&account)
                .is_some_and(|entry| entry.under_way);
            if full && !entry_under_way {
                self.make_ready(account);
            }
        }
        for queued in &taken {
            self.ids.remove(&queued.id);
            self.bytes = self.bytes.saturating_sub(queued.bytes.len());
        }
        self.accounts
            .retain(|_, entry| entry.under_way || !entry.operations.is_empty());
        taken
    }

    /// The batch that held operations of these accounts is through, or given up.
    pub fn release(&mut self, accounts: &BTreeSet<Address>) {
        for account in accounts {
            let Some(entry) = self.accounts.get_mut(account) else {
                continue;
            };
            entry.under_way = false;
            if entry.operations.is_empty() {
                self.accounts.remove(account);
            } else {
                self.make_ready(*account);
            }
        }
    }

    /// Tries accounts again whose operations waited for an earlier nonce, and drops what can't
    /// execute any more: expired in `epoch`, or its nonce passed. O(queue).
    pub fn refresh(&mut self, epoch: Epoch, mut expected: impl FnMut(&Address) -> Nonce) {
        let mut dropped = Vec::new();
        for (account, entry) in &mut self.accounts {
            let nonce = expected(account);
            entry.operations.retain(|at, queued| {
                let keep = *at >= nonce && queued.expires().is_none_or(|last| last >= epoch);
                if !keep {
                    dropped.push((queued.id, queued.bytes.len()));
                }
                keep
            });
        }
        for (id, bytes) in dropped {
            self.ids.remove(&id);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        let accounts: Vec<Address> = self.accounts.keys().copied().collect();
        for account in accounts {
            self.make_ready(account);
        }
        self.accounts
            .retain(|_, entry| entry.under_way || !entry.operations.is_empty());
    }

    /// Takes everything, in no particular turn: this node can't make batches.
    pub fn drain(&mut self) -> Vec<Queued> {
        let accounts = std::mem::take(&mut self.accounts);
        let mut all: Vec<Queued> = std::mem::take(&mut self.others).into();
        all.extend(
            accounts
                .into_values()
                .flat_map(|entry| entry.operations.into_values()),
        );
        *self = Self::default();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::credits::Credits;
    use frith_ledger::hash::Hash;
    use frith_ledger::key::SecretKey;
    use frith_ledger::operation::{Action, OperationBody, SignedOperation};
    use parity_scale_codec::Encode as _;

    fn transfer(account: u8, nonce: u64, expires: u64) -> Queued {
        let key = SecretKey::from_bytes(&[account; 32]);
        let body = OperationBody {
            genesis: Hash([1; 32]),
            account: key.public().address(),
            nonce: Nonce::new(nonce),
            expires: Epoch::new(expires),
            fee: Credits::ZERO,
            action: Action::Transfer {
                to: Address([9; 32]),
                amount: Credits::new(1),
            },
        };
        let operation = Operation::Signed(SignedOperation::sign(body, &key));
        Queued {
            id: operation.id(),
            bytes: operation.encode(),
            operation,
        }
    }

    fn nonces(taken: &[Queued]) -> Vec<u64> {
        taken
            .iter()
            .filter_map(|q| q.turn().map(|(_, nonce)| nonce.get()))
            .collect()
    }

    fn push(queue: &mut Queue, queued: Queued) {
        queue.push(queued).expect("the nonce is free");
    }

    #[test]
    fn a_nonce_that_an_operation_waits_with_is_not_given_to_another() {
        let mut queue = Queue::default();
        let (first, second) = (transfer(1, 0, 9), transfer(1, 0, 8));
        push(&mut queue, first.clone());
        assert_eq!(queue.push(second.clone()), Err(first.id));
        assert_eq!(queue.push(first.clone()), Ok(()), "the same one again");
        assert_eq!((queue.len(), queue.bytes()), (1, first.bytes.len()));
        assert!(queue.contains(&first.id) && !queue.contains(&second.id));
        let taken = queue.take(10, 1 << 20, |_| Nonce::ZERO);
        assert_eq!(taken.first().map(|queued| queued.id), Some(first.id));
    }

    #[test]
    fn operations_of_an_account_leave_in_order_without_a_gap() {
        let mut queue = Queue::default();
        for nonce in [2, 0, 1, 4] {
            push(&mut queue, transfer(1, nonce, 9));
        }
        let taken = queue.take(10, 1 << 20, |_| Nonce::ZERO);
        assert_eq!(nonces(&taken), [0, 1, 2]);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn an_account_waits_for_its_batch_under_way() {
        let mut queue = Queue::default();
        push(&mut queue, transfer(1, 0, 9));
        let first = queue.take(10, 1 << 20, |_| Nonce::ZERO);
        push(&mut queue, transfer(1, 1, 9));
        assert!(queue.take(10, 1 << 20, |_| Nonce::ZERO).is_empty());
        queue.release(&first.iter().filter_map(|q| q.turn().map(|t| t.0)).collect());
        assert_eq!(nonces(&queue.take(10, 1 << 20, |_| Nonce::new(1))), [1]);
    }

    #[test]
    fn what_does_not_fit_leaves_later_and_what_is_over_is_dropped() {
        let mut queue = Queue::default();
        push(&mut queue, transfer(1, 0, 9));
        push(&mut queue, transfer(2, 0, 3));
        assert_eq!(queue.take(1, 1 << 20, |_| Nonce::ZERO).len(), 1);
        assert_eq!(queue.len(), 1);
        queue.refresh(Epoch::new(4), |_| Nonce::ZERO);
        assert!(queue.is_empty() && queue.bytes() == 0);
        assert!(queue.take(9, 1 << 20, |_| Nonce::ZERO).is_empty());
    }
}
