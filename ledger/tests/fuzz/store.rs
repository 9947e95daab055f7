//! Damaged records of a stored state: an error or the state that was saved, never another one.

use std::sync::LazyLock;

use frith_fuzz::{harness, mutate};
use frith_ledger::store::{MemoryStore, Store, Table, Write};
use frith_ledger::tree::{kept_versions, load, prune, save};

use crate::world::WORLD;

#[test]
fn fuzz_damaged_tree_records_are_found() {
    static WRITES: LazyLock<Vec<Write>> = LazyLock::new(|| save(None, 7, &WORLD.state));
    harness!(|input: &[u8]| {
        let mut store = MemoryStore::new();
        store.write(WRITES.clone()).expect("memory does not fail");
        let entries = store
            .range(Table::Nodes, &[], 1000)
            .expect("memory does not fail");
        let (which, recipe) = input.split_first().unwrap_or((&0, &[]));
        let (key, mut value) = entries[usize::from(*which) % entries.len()].clone();
        mutate(&mut value, recipe);
        let damage = Write::Put {
            table: Table::Nodes,
            key,
            value,
        };
        store.write(vec![damage]).expect("memory does not fail");
        if let Ok(loaded) = load(&store, 7) {
            assert_eq!(
                loaded.map(|state| state.summary()),
                Some(WORLD.state.summary())
            );
        }
        // A damaged record stops the pruning with an error and nothing else.
        if prune(&store, 9, 100).is_ok() {
            assert_eq!(kept_versions(&store), Ok(vec![7]));
        }
    });
}
