//! What is submitted: transfers, all signed before a clock starts.

use super::members::{MEMBERS, Unfinished};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::key::Seed;
use frith_ledger::operation::{Action, Operation, OperationBody, OperationId, SignedOperation};
use frith_ledger::units::{Epoch, Nonce};
use frith_tasks::Rules;
use parity_scale_codec::Encode as _;

/// One account's transfers, in the order of their nonces, and how far it is.
pub(super) struct Account {
    /// Where it submits.
    pub(super) member: usize,
    transfers: Vec<(OperationId, Vec<u8>)>,
    /// The transfer that is submitted next.
    pub(super) next: usize,
    /// Transfers under way, where it matters.
    pub(super) waiting: usize,
}

impl Account {
    /// The transfer whose turn it is.
    pub(super) fn peek(&self) -> Result<&(OperationId, Vec<u8>), Unfinished> {
        let transfer = self.transfers.get(self.next);
        transfer.ok_or_else(|| "the signed transfers ran out; sign more".into())
    }

    /// The same, and goes on to the next.
    pub(super) fn take(&mut self) -> Result<&(OperationId, Vec<u8>), Unfinished> {
        let transfer = self.transfers.get(self.next);
        self.next += 1;
        transfer.ok_or_else(|| "the signed transfers ran out; sign more".into())
    }
}

/// Signs so many transfers of each account, and gives every member as many accounts.
pub(super) fn sign(rules: &Rules, accounts: &[Seed], each: u64) -> Vec<Account> {
    let sink = Address::of_key(&[9; 32]);
    let transfer = |seed: &Seed, nonce| {
        let key = seed.account();
        let body = OperationBody {
            genesis: rules.hash,
            account: key.public().address(),
            nonce: Nonce::new(nonce),
            expires: Epoch::new(500),
            fee: Credits::new(10_000),
            action: Action::Transfer {
                to: sink,
                amount: Credits::new(1),
            },
        };
        let operation = Operation::Signed(SignedOperation::sign(body, &key));
        (operation.id(), operation.encode())
    };
    let account = |(i, seed): (usize, &Seed)| Account {
        member: i % MEMBERS,
        transfers: (0..each).map(|nonce| transfer(seed, nonce)).collect(),
        next: 0,
        waiting: 0,
    };
    accounts.iter().enumerate().map(account).collect()
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
