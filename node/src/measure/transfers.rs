//! What is submitted: transfers, signed before a clock starts, as many as should do. An account that has used up its own
//! signs on, one at a time, so a fast machine never runs out of them.

use super::members::{MEMBERS, Unfinished};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::hash::Hash;
use frith_ledger::key::{SecretKey, Seed};
use frith_ledger::operation::{Action, Operation, OperationBody, OperationId, SignedOperation};
use frith_ledger::units::{Epoch, Nonce};
use frith_tasks::Rules;
use parity_scale_codec::Encode as _;
use std::collections::VecDeque;

/// One account's transfers, in the order of their nonces, and how far it is.
pub(super) struct Account {
    /// Where it submits.
    pub(super) member: usize,
    genesis: Hash,
    key: SecretKey,
    address: Address,
    transfers: VecDeque<(OperationId, Vec<u8>)>,
    /// The nonce of the first of them.
    first: usize,
    /// The nonce that is submitted next.
    pub(super) next: usize,
    /// Transfers under way, where it matters.
    pub(super) waiting: usize,
    /// Transfers that were signed when they were needed.
    pub(super) late: u64,
}

impl Account {
    /// The transfer whose turn it is.
    ///
    /// # Errors
    /// It was forgotten: [`Self::prepare`] was called before it was answered.
    pub(super) fn peek(&mut self) -> Result<&(OperationId, Vec<u8>), Unfinished> {
        let at = self.next.checked_sub(self.first);
        while at.is_some_and(|at| at >= self.transfers.len()) {
            self.sign_next();
            self.late += 1;
        }
        at.and_then(|at| self.transfers.get(at))
            .ok_or_else(|| "a transfer was forgotten before its time".into())
    }

    /// The same, and goes on to the next.
    pub(super) fn take(&mut self) -> Result<(OperationId, Vec<u8>), Unfinished> {
        let transfer = self.peek()?.clone();
        self.next += 1;
        Ok(transfer)
    }

    /// Forgets what was submitted, all of which has been answered, and sees to it that `ahead` transfers are signed.
    fn prepare(&mut self, ahead: usize) {
        let over = self
            .next
            .saturating_sub(self.first)
            .min(self.transfers.len());
        self.transfers.drain(..over);
        self.first += over;
        while self.transfers.len() < ahead {
            self.sign_next();
        }
        self.late = 0;
    }

    fn sign_next(&mut self) {
        let nonce = (self.first + self.transfers.len()) as u64;
        let body = OperationBody {
            genesis: self.genesis,
            account: self.address,
            nonce: Nonce::new(nonce),
            expires: Epoch::new(500),
            fee: Credits::new(10_000),
            action: Action::Transfer {
                to: Address::of_key(&[9; 32]),
                amount: Credits::new(1),
            },
        };
        let operation = Operation::Signed(SignedOperation::sign(body, &self.key));
        self.transfers
            .push_back((operation.id(), operation.encode()));
    }
}

/// Accounts that have signed nothing yet, as many of them at each member.
pub(super) fn accounts(rules: &Rules, seeds: &[Seed]) -> Vec<Account> {
    let account = |(i, seed): (usize, &Seed)| {
        let key = seed.account();
        Account {
            member: i % MEMBERS,
            genesis: rules.hash,
            address: key.public().address(),
            key,
            transfers: VecDeque::new(),
            first: 0,
            next: 0,
            waiting: 0,
            late: 0,
        }
    };
    seeds.iter().enumerate().map(account).collect()
}

/// Sees to it that `total` transfers are signed, evenly, on all cores. What was submitted before is forgotten.
pub(super) fn prepare(accounts: &mut [Account], total: f64) {
    let each = (total / accounts.len().max(1) as f64) as usize + 1;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = accounts.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        for some in accounts.chunks_mut(share) {
            scope.spawn(move || some.iter_mut().for_each(|account| account.prepare(each)));
        }
    });
}

/// So many seeds; those of another kind differ from them.
pub(super) fn seeds(count: usize, kind: u8) -> Vec<Seed> {
    let seed = |i: usize| {
        let mut bytes = [kind; 32];
        bytes[..8].copy_from_slice(&(i as u64).to_le_bytes());
        Seed::from_bytes(bytes)
    };
    (0..count).map(seed).collect()
}
