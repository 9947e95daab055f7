//! Operations that wait for a batch of this node.
//!
//! Operations of an account leave in the order of their nonces, without a gap, and only while no
//! batch of this node with another operation of the account is under way. Everything else leaves in
//! the order it came.
//!
//! An operation that comes behind a gap, or that its account's balance doesn't cover together with what comes before it,
//! may never be executed, and then costs its account nothing. Such operations are counted as *unsure*: whoever fills the
//! queue bounds them ([`Limits::unsure_max`]), so that nobody holds all of it with operations that are never paid for.
//!
//! [`Limits::unsure_max`]: crate::limits::Limits::unsure_max

use crate::limits::Occupancy;
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
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
    /// The most that it takes from the account that signed it.
    pub takes: Credits,
}

/// What the state holds of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// The nonce of its next operation.
    pub nonce: Nonce,
    /// What it can pay with.
    pub balance: Credits,
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

/// How far an account's operations are sure.
#[derive(Debug, Clone, Copy)]
struct Sure {
    /// By what the account had.
    means: Means,
    /// The first nonce that isn't sure to come to its turn.
    next: Nonce,
    /// What is left of the balance by then.
    left: Credits,
    /// What waits before it.
    waits: Occupancy,
}

#[derive(Debug, Default)]
struct AccountQueue {
    operations: BTreeMap<Nonce, Queued>,
    /// Of a batch under way: the nonce after its operations, and the most that they take.
    under_way: Option<(Nonce, Credits)>,
    ready: bool,
    /// All that waits.
    waits: Occupancy,
    unsure: Occupancy,
    sure: Option<Sure>,
}

impl AccountQueue {
    /// How far the operations are sure. O(1) while the account has the same means.
    fn sure(&self, means: &Means) -> Sure {
        if let Some(sure) = self.sure.filter(|sure| sure.means == *means) {
            return sure;
        }
        let way = self.under_way.filter(|(next, _)| *next > means.nonce);
        let (next, takes) = way.unwrap_or((means.nonce, Credits::ZERO));
        let mut sure = Sure {
            means: *means,
            next,
            left: means.balance.sub(takes).unwrap_or(Credits::ZERO),
            waits: Occupancy::default(),
        };
        self.go_on(&mut sure);
        sure
    }

    fn go_on(&self, sure: &mut Sure) {
        while let Some(queued) = self.operations.get(&sure.next)
            && let Ok(left) = sure.left.sub(queued.takes)
        {
            (sure.next, sure.left) = (sure.next.next(), left);
            sure.waits.add(queued.bytes.len());
        }
    }

    fn insert(&mut self, nonce: Nonce, queued: Queued, means: &Means, all: &mut Occupancy) {
        let mut sure = self.sure(means);
        self.waits.add(queued.bytes.len());
        self.operations.insert(nonce, queued);
        self.go_on(&mut sure);
        self.count(sure, all);
    }

    /// Operations left, or the account's means changed: what is unsure now. `all` is what is unsure of all accounts.
    fn recount(&mut self, means: &Means, all: &mut Occupancy) {
        self.waits = Occupancy::default();
        for queued in self.operations.values() {
            self.waits.add(queued.bytes.len());
        }
        self.sure = None;
        self.count(self.sure(means), all);
    }

    fn count(&mut self, sure: Sure, all: &mut Occupancy) {
        let unsure = Occupancy {
            operations: self.waits.operations.saturating_sub(sure.waits.operations),
            bytes: self.waits.bytes.saturating_sub(sure.waits.bytes),
        };
        all.operations =
            (all.operations + unsure.operations).saturating_sub(self.unsure.operations);
        all.bytes = (all.bytes + unsure.bytes).saturating_sub(self.unsure.bytes);
        (self.unsure, self.sure) = (unsure, Some(sure));
    }
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
    unsure: Occupancy,
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

    /// Operations that may never come to their turn, or that may not be paid for. Counted when something of their account
    /// comes or leaves, and in [`Queue::refresh`].
    #[must_use]
    pub const fn unsure(&self) -> Occupancy {
        self.unsure
    }

    /// The first nonce of an account that nothing here is sure to come to its turn with, as far as the state and what waits
    /// can tell, and what is left of the balance by then. O(1) while the account has the same means, else O(operations of it).
    #[must_use]
    pub fn sure_to(&self, account: &Address, means: &Means) -> (Nonce, Credits) {
        match self.accounts.get(account) {
            Some(entry) => {
                let sure = entry.sure(means);
                (sure.next, sure.left)
            }
            None => (means.nonce, means.balance),
        }
    }

    /// Adds an operation. `means` is what its account has, if one signed it. Costs as [`Queue::sure_to`].
    ///
    /// # Errors
    /// Another one of the same account and nonce waits: this one, which stays.
    pub fn push(&mut self, queued: Queued, means: &Means) -> Result<(), OperationId> {
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
        entry.insert(nonce, queued, means, &mut self.unsure);
        self.make_ready(account);
        Ok(())
    }

    fn make_ready(&mut self, account: Address) {
        if let Some(entry) = self.accounts.get_mut(&account)
            && entry.under_way.is_none()
            && !entry.ready
            && !entry.operations.is_empty()
        {
            entry.ready = true;
            self.ready.push_back(account);
        }
    }

    /// Takes operations whose turn it is, at most `count` with at most `bytes` together. `means` gives what
    /// an account has. Accounts taken from are under way until [`Queue::release`].
    pub fn take(
        &mut self,
        count: usize,
        bytes: usize,
        mut means: impl FnMut(&Address) -> Means,
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
            let has = means(&account);
            let mut nonce = has.nonce;
            let mut takes = Credits::ZERO;
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
                    takes = takes.add(next.takes).unwrap_or(Credits::new(u128::MAX));
                    taken.push(next);
                    entry.under_way = Some((nonce.next(), takes));
                }
                nonce = nonce.next();
            }
            entry.recount(&has, &mut self.unsure);
            for old in passed.into_values() {
                self.ids.remove(&old.id);
                self.bytes = self.bytes.saturating_sub(old.bytes.len());
            }
            let entry_under_way = self
                .accounts
                .get(&account)
                .is_some_and(|entry| entry.under_way.is_some());
            if full && !entry_under_way {
                self.make_ready(account);
            }
        }
        for queued in &taken {
            self.ids.remove(&queued.id);
            self.bytes = self.bytes.saturating_sub(queued.bytes.len());
        }
        self.accounts
            .retain(|_, entry| entry.under_way.is_some() || !entry.operations.is_empty());
        taken
    }

    /// The batch that held operations of these accounts is through, or given up.
    pub fn release(&mut self, accounts: &BTreeSet<Address>) {
        for account in accounts {
            let Some(entry) = self.accounts.get_mut(account) else {
                continue;
            };
            (entry.under_way, entry.sure) = (None, None);
            if entry.operations.is_empty() {
                self.accounts.remove(account);
            } else {
                self.make_ready(*account);
            }
        }
    }

    /// Tries accounts again whose operations waited for an earlier nonce, and drops what can't
    /// execute any more: expired in `epoch`, or its nonce passed. Of what is unsure by `means` it drops what is more than
    /// `unsure_max`, of the accounts with most of it first. O(queue).
    pub fn refresh(
        &mut self,
        epoch: Epoch,
        unsure_max: Occupancy,
        mut means: impl FnMut(&Address) -> Means,
    ) {
        let mut dropped = Vec::new();
        for (account, entry) in &mut self.accounts {
            let has = means(account);
            entry.operations.retain(|at, queued| {
                let keep = *at >= has.nonce && queued.expires().is_none_or(|last| last >= epoch);
                if !keep {
                    dropped.push((queued.id, queued.bytes.len()));
                }
                keep
            });
            entry.recount(&has, &mut self.unsure);
        }
        dropped.extend(self.drop_unsure(unsure_max, means));
        for (id, bytes) in dropped {
            self.ids.remove(&id);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        let accounts: Vec<Address> = self.accounts.keys().copied().collect();
        for account in accounts {
            self.make_ready(account);
        }
        self.accounts
            .retain(|_, entry| entry.under_way.is_some() || !entry.operations.is_empty());
    }

    /// Takes out what is unsure beyond `max`: its ids and lengths.
    fn drop_unsure(
        &mut self,
        max: Occupancy,
        mut means: impl FnMut(&Address) -> Means,
    ) -> Vec<(OperationId, usize)> {
        let mut dropped = Vec::new();
        let fits =
            |unsure: Occupancy| unsure.operations <= max.operations && unsure.bytes <= max.bytes;
        if fits(self.unsure) {
            return dropped;
        }
        let unsure = |entry: &AccountQueue| (entry.unsure.bytes, entry.unsure.operations);
        let mut most: Vec<_> = self
            .accounts
            .iter()
            .map(|(account, entry)| (unsure(entry), *account))
            .collect();
        most.sort_unstable_by(|a, b| b.cmp(a));
        for (_, account) in most {
            if fits(self.unsure) {
                break;
            }
            let Some(entry) = self.accounts.get_mut(&account) else {
                continue;
            };
            let has = means(&account);
            let gone = entry.operations.split_off(&entry.sure(&has).next);
            let gone = gone.into_values();
            dropped.extend(gone.map(|queued| (queued.id, queued.bytes.len())));
            entry.recount(&has, &mut self.unsure);
        }
        dropped
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
            takes: Credits::new(1),
        }
    }

    /// An account that can pay for so many operations from this nonce on.
    fn means(nonce: u64, operations: u64) -> Means {
        Means {
            nonce: Nonce::new(nonce),
            balance: Credits::new(u128::from(operations)),
        }
    }

    const ALL: Occupancy = Occupancy {
        operations: usize::MAX,
        bytes: usize::MAX,
    };

    fn nonces(taken: &[Queued]) -> Vec<u64> {
        taken
            .iter()
            .filter_map(|q| q.turn().map(|(_, nonce)| nonce.get()))
            .collect()
    }

    fn push(queue: &mut Queue, queued: Queued) {
        queue
            .push(queued, &means(0, 100))
            .expect("the nonce is free");
    }

    #[test]
    fn a_nonce_that_an_operation_waits_with_is_not_given_to_another() {
        let mut queue = Queue::default();
        let (first, second) = (transfer(1, 0, 9), transfer(1, 0, 8));
        push(&mut queue, first.clone());
        assert_eq!(queue.push(second.clone(), &means(0, 100)), Err(first.id));
        assert_eq!(
            queue.push(first.clone(), &means(0, 100)),
            Ok(()),
            "the same one again"
        );
        assert_eq!((queue.len(), queue.bytes()), (1, first.bytes.len()));
        assert!(queue.contains(&first.id) && !queue.contains(&second.id));
        let taken = queue.take(10, 1 << 20, |_| means(0, 100));
        assert_eq!(taken.first().map(|queued| queued.id), Some(first.id));
    }

    #[test]
    fn operations_of_an_account_leave_in_order_without_a_gap() {
        let mut queue = Queue::default();
        for nonce in [2, 0, 1, 4] {
            push(&mut queue, transfer(1, nonce, 9));
        }
        let taken = queue.take(10, 1 << 20, |_| means(0, 100));
        assert_eq!(nonces(&taken), [0, 1, 2]);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn an_account_waits_for_its_batch_under_way() {
        let mut queue = Queue::default();
        push(&mut queue, transfer(1, 0, 9));
        let first = queue.take(10, 1 << 20, |_| means(0, 100));
        push(&mut queue, transfer(1, 1, 9));
        assert!(queue.take(10, 1 << 20, |_| means(0, 100)).is_empty());
        queue.release(&first.iter().filter_map(|q| q.turn().map(|t| t.0)).collect());
        assert_eq!(nonces(&queue.take(10, 1 << 20, |_| means(1, 100))), [1]);
    }

    #[test]
    fn what_does_not_fit_leaves_later_and_what_is_over_is_dropped() {
        let mut queue = Queue::default();
        push(&mut queue, transfer(1, 0, 9));
        push(&mut queue, transfer(2, 0, 3));
        assert_eq!(queue.take(1, 1 << 20, |_| means(0, 100)).len(), 1);
        assert_eq!(queue.len(), 1);
        queue.refresh(Epoch::new(4), ALL, |_| means(0, 100));
        assert!(queue.is_empty() && queue.bytes() == 0);
        assert!(queue.take(9, 1 << 20, |_| means(0, 100)).is_empty());
    }

    #[test]
    fn what_waits_behind_a_gap_or_beyond_the_balance_is_unsure_until_it_is_covered() {
        let mut queue = Queue::default();
        let account = transfer(1, 0, 9).turn().expect("is signed").0;
        let unsure = |queue: &Queue| queue.unsure().operations;
        let sure = |queue: &Queue, nonce, has: Means| {
            let (next, left) = queue.sure_to(&account, &has);
            next == Nonce::new(nonce) && left >= Credits::new(1)
        };
        push(&mut queue, transfer(1, 2, 9));
        assert_eq!(unsure(&queue), 1, "behind a gap");
        push(&mut queue, transfer(1, 0, 9));
        assert_eq!(unsure(&queue), 1);
        assert!(sure(&queue, 1, means(0, 100)) && !sure(&queue, 3, means(0, 100)));
        push(&mut queue, transfer(1, 1, 9));
        assert_eq!(unsure(&queue), 0, "the gap is filled");
        assert!(sure(&queue, 3, means(0, 4)) && !sure(&queue, 3, means(0, 3)));
        // The account has spent by another way.
        queue.refresh(Epoch::new(4), ALL, |_| means(0, 1));
        assert_eq!(unsure(&queue), 2);
        queue.refresh(Epoch::new(4), ALL, |_| means(0, 3));
        assert_eq!(unsure(&queue), 0);
        // What is under way counts until it is through.
        let taken = queue.take(2, 1 << 20, |_| means(0, 2));
        assert_eq!((nonces(&taken), unsure(&queue)), (vec![0, 1], 1));
        let accounts = taken.iter().filter_map(|q| q.turn().map(|t| t.0)).collect();
        queue.release(&accounts);
        queue.refresh(Epoch::new(4), ALL, |_| means(2, 1));
        assert_eq!((queue.len(), unsure(&queue)), (1, 0));
    }

    #[test]
    fn of_what_became_unsure_only_a_share_stays_and_accounts_with_most_of_it_lose_it() {
        let mut queue = Queue::default();
        for nonce in 0..9 {
            push(&mut queue, transfer(1, nonce, 9));
        }
        push(&mut queue, transfer(2, 1, 9));
        push(&mut queue, transfer(3, 0, 9));
        let share = Occupancy {
            operations: 3,
            bytes: usize::MAX,
        };
        queue.refresh(Epoch::new(4), share, |_| means(0, 9));
        assert_eq!((queue.len(), queue.unsure().operations), (11, 1));
        queue.refresh(Epoch::new(4), share, |_| means(0, 2));
        assert_eq!((queue.len(), queue.unsure().operations), (4, 1));
        let bytes: usize = [(1, 0), (1, 1), (2, 1), (3, 0)]
            .map(|(account, nonce)| transfer(account, nonce, 9).bytes.len())
            .iter()
            .sum();
        assert_eq!(queue.bytes(), bytes);
        let taken = queue.take(9, 1 << 20, |_| means(0, 2));
        assert_eq!(taken.len(), 3);
    }
}
