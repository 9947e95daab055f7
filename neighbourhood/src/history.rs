//! Which committed blocks touched which account: what a wallet's history is read from.
//!
//! | key in `History` | value |
//! | --- | --- |
//! | `b`, height | [`BlockNotes`]: the accounts touched, and what happened to tasks and workers |
//! | `a`, account, not(height) | nothing: the account was touched at that height, newest first |
//!
//! The rows of a block are written in the batch that commits it, so they are there exactly when the block is, and go
//! with it when it is forgotten (the agreed `retained_epochs`). One row an account and block, however many operations:
//! a block of thousands of operations of few accounts costs few rows. The operations themselves are read from the
//! block's batches.
//!
//! Limits: blocks that were committed elsewhere before this node copied the state, or by a program without this table,
//! have no rows; [`oldest`] says from where on it is whole. An account that many touch in every block has long lists;
//! readers page.

use crate::persist;
use frith_ledger::address::Address;
use frith_ledger::operation::{Action, Operation, ProofOperation};
use frith_ledger::store::{Store, StoreError, Table, Write};
use frith_ledger::units::Height;
use frith_tasks::TaskEvent;
use parity_scale_codec::{Decode, Encode};
use std::collections::BTreeSet;

/// What a block did, beside its operations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct BlockNotes {
    /// The accounts that it touched, in order.
    pub accounts: Vec<Address>,
    /// What happened to tasks and workers, in order.
    pub events: Vec<TaskEvent>,
}

fn block_key(height: Height) -> Vec<u8> {
    let mut key = vec![b'b'];
    key.extend_from_slice(&height.get().to_be_bytes());
    key
}

fn account_key(account: &Address, height: Height) -> Vec<u8> {
    let mut key = vec![b'a'];
    key.extend_from_slice(&account.0);
    key.extend_from_slice(&(!height.get()).to_be_bytes());
    key
}

/// The accounts that an operation names: who ordered it, and who gets something by it.
pub fn accounts_of(operation: &Operation) -> Vec<Address> {
    match operation {
        Operation::Signed(signed) => {
            let mut accounts = vec![signed.body.account];
            if let Action::Transfer { to, .. } = &signed.body.action {
                accounts.push(*to);
            }
            accounts
        }
        Operation::Worker(_) => Vec::new(),
        Operation::Proof(ProofOperation::Evidence(evidence)) => vec![evidence.reporter],
    }
}

/// The account whose money an event moves, if it names one.
#[must_use]
pub fn account_of(event: &TaskEvent) -> Option<Address> {
    match event {
        TaskEvent::Submitted { account, .. }
        | TaskEvent::Paid { account, .. }
        | TaskEvent::Rewarded { account, .. }
        | TaskEvent::Refunded { account, .. }
        | TaskEvent::Left { account, .. } => Some(*account),
        TaskEvent::Slashed { reporter, .. } => Some(*reporter),
        _ => None,
    }
}

/// The rows of a block that is being committed.
#[must_use]
pub fn note<'a>(
    height: Height,
    operations: impl Iterator<Item = &'a Operation>,
    events: &[TaskEvent],
) -> Vec<Write> {
    let mut accounts: BTreeSet<Address> = operations.flat_map(accounts_of).collect();
    accounts.extend(events.iter().filter_map(account_of));
    let row = |account: &Address| Write::Put {
        table: Table::History,
        key: account_key(account, height),
        value: Vec::new(),
    };
    let mut writes: Vec<Write> = accounts.iter().map(row).collect();
    let notes = BlockNotes {
        accounts: accounts.into_iter().collect(),
        events: events.to_vec(),
    };
    writes.push(persist::put(Table::History, block_key(height), &notes));
    writes
}

/// What was noted of a block.
///
/// # Errors
/// [`StoreError`].
pub fn notes(store: &dyn Store, height: Height) -> Result<Option<BlockNotes>, StoreError> {
    persist::load(store, Table::History, &block_key(height), "note of a block")
}

/// The rows of a block that is being forgotten.
///
/// # Errors
/// [`StoreError`].
pub fn forget(store: &dyn Store, height: Height) -> Result<Vec<Write>, StoreError> {
    let Some(notes) = notes(store, height)? else {
        return Ok(Vec::new());
    };
    let delete = |key| Write::Delete {
        table: Table::History,
        key,
    };
    let mut writes: Vec<Write> = notes
        .accounts
        .iter()
        .map(|account| delete(account_key(account, height)))
        .collect();
    writes.push(delete(block_key(height)));
    Ok(writes)
}

/// The newest heights below `before` that touched an account, at most `max`.
///
/// # Errors
/// [`StoreError`].
pub fn heights(
    store: &dyn Store,
    account: &Address,
    before: Height,
    max: usize,
) -> Result<Vec<Height>, StoreError> {
    let Some(newest) = before.get().checked_sub(1) else {
        return Ok(Vec::new());
    };
    let from = account_key(account, Height::new(newest));
    let prefix = from.get(..33).unwrap_or_default();
    let entries = store.range(Table::History, &from, max)?;
    let mine = entries
        .iter()
        .take_while(|(key, _)| key.starts_with(prefix));
    let height = |key: &[u8]| {
        let bytes = key.get(33..)?.try_into().ok()?;
        Some(Height::new(!u64::from_be_bytes(bytes)))
    };
    Ok(mine.filter_map(|(key, _)| height(key)).collect())
}

/// The oldest block that has rows; `None` when none has.
///
/// # Errors
/// [`StoreError`].
pub fn oldest(store: &dyn Store) -> Result<Option<Height>, StoreError> {
    let first = store.range(Table::History, b"b", 1)?;
    Ok(first.first().and_then(|(key, _)| {
        let bytes = key.strip_prefix(b"b")?.try_into().ok()?;
        Some(Height::new(u64::from_be_bytes(bytes)))
    }))
}

/// The last committed block in the chain; `None` when there is none.
///
/// # Errors
/// [`StoreError`].
pub fn newest(store: &dyn Store) -> Result<Option<Height>, StoreError> {
    // Chain entries end with the head. Found by halving, since stores run forward only.
    let has_after = |height: u64| -> Result<bool, StoreError> {
        let rows = store.range(Table::Chain, &height.to_be_bytes(), 1)?;
        Ok(!rows.is_empty())
    };
    if !has_after(0)? {
        return Ok(None);
    }
    let (mut low, mut high) = (0_u64, u64::MAX);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if has_after(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(Some(Height::new(low)))
}

/// The operations of a committed block, as its batches have them; `None` when one of them is no longer here.
///
/// # Errors
/// [`StoreError`].
pub fn operations(
    store: &dyn Store,
    height: Height,
) -> Result<Option<(frith_ledger::block::Block, Vec<Operation>)>, StoreError> {
    let Some(entry) = persist::entry(store, height)? else {
        return Ok(None);
    };
    let Some(block) = persist::block(store, &entry.id)? else {
        return Ok(None);
    };
    let mut all = Vec::new();
    if let frith_ledger::block::Payload::Leaf(payload) = &block.payload {
        for digest in payload.batches.iter() {
            let Some(signed) = persist::batch(store, digest)? else {
                return Ok(None);
            };
            // It was verified before it was committed.
            let Ok(held) = crate::pool::Held::trusted(&signed) else {
                return Ok(None);
            };
            all.extend(held.operations.iter().cloned());
        }
    }
    Ok(Some((block, all)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::credits::Credits;
    use frith_ledger::store::MemoryStore;

    fn paid(account: u8) -> TaskEvent {
        TaskEvent::Paid {
            task: Address([9; 32]),
            seat: Address([8; 32]),
            account: Address([account; 32]),
            amount: Credits::new(1),
        }
    }

    fn store(blocks: &[(u64, &[u8])]) -> MemoryStore {
        let mut store = MemoryStore::default();
        for (height, accounts) in blocks {
            let events: Vec<TaskEvent> = accounts.iter().copied().map(paid).collect();
            let writes = note(Height::new(*height), std::iter::empty(), &events);
            store.write(writes).expect("writes");
        }
        store
    }

    fn check(store: &MemoryStore, account: u8, before: u64, max: usize, expected: &[u64]) {
        let found = heights(store, &Address([account; 32]), Height::new(before), max);
        let found: Vec<u64> = found.expect("reads").into_iter().map(Height::get).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_account_s_blocks_come_newest_first_and_page_by_page() {
        let store = store(&[(1, &[1, 2]), (2, &[2]), (300, &[1]), (301, &[1, 1])]);
        check(&store, 1, u64::MAX, 9, &[301, 300, 1]);
        check(&store, 1, u64::MAX, 2, &[301, 300]);
        check(&store, 1, 300, 9, &[1]);
        check(&store, 2, 3, 9, &[2, 1]);
        check(&store, 3, u64::MAX, 9, &[]);
        check(&store, 1, 0, 9, &[]);
    }

    #[test]
    fn a_forgotten_block_leaves_no_rows() {
        let mut store = store(&[(1, &[1, 2]), (2, &[1])]);
        assert_eq!(oldest(&store), Ok(Some(Height::new(1))));
        let writes = forget(&store, Height::new(1)).expect("reads");
        assert_eq!(writes.len(), 3, "two accounts and the block");
        store.write(writes).expect("writes");
        check(&store, 1, u64::MAX, 9, &[2]);
        check(&store, 2, u64::MAX, 9, &[]);
        assert_eq!(oldest(&store), Ok(Some(Height::new(2))));
        assert_eq!(
            forget(&store, Height::new(1)),
            Ok(Vec::new()),
            "and a second time nothing happens"
        );
    }
}
