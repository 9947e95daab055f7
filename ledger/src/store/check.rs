//! What every store must do, checked the same way for each.

use super::{Store, Table, Write};

pub(super) fn put(table: Table, key: &[u8], value: &[u8]) -> Write {
    Write::Put {
        table,
        key: key.to_vec(),
        value: value.to_vec(),
    }
}

fn delete(table: Table, key: &[u8]) -> Write {
    Write::Delete {
        table,
        key: key.to_vec(),
    }
}

/// Runs the contract of [`Store`] on an empty store.
pub(super) fn check_store(store: &mut dyn Store) {
    let entry = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());

    // Tables are empty and apart from one another.
    for table in Table::ALL {
        assert_eq!(store.range(table, b"", 10), Ok(Vec::new()));
        assert_eq!(
            store.write(vec![put(table, b"same key", &[table as u8])]),
            Ok(())
        );
    }
    for table in Table::ALL {
        assert_eq!(store.get(table, b"same key"), Ok(Some(vec![table as u8])));
        assert_eq!(store.write(vec![delete(table, b"same key")]), Ok(()));
        assert_eq!(store.get(table, b"same key"), Ok(None));
    }

    // Keys are ordered as bytes; a range starts at its key or behind it, and is limited.
    let keys: [&[u8]; 5] = [b"", &[0], &[0, 0], &[1], &[0xff, 0xff]];
    let backwards = keys
        .iter()
        .rev()
        .map(|key| put(Table::Chain, key, key))
        .collect();
    assert_eq!(store.write(backwards), Ok(()));
    let all: Vec<_> = keys.iter().map(|key| entry(key, key)).collect();
    assert_eq!(store.range(Table::Chain, b"", 10), Ok(all.clone()));
    assert_eq!(store.range(Table::Chain, b"", 2), Ok(all[..2].to_vec()));
    assert_eq!(
        store.range(Table::Chain, &[0, 0], 10),
        Ok(all[2..].to_vec())
    );
    assert_eq!(
        store.range(Table::Chain, &[0, 1], 1),
        Ok(all[3..4].to_vec())
    );
    assert_eq!(
        store.range(Table::Chain, &[0xff, 0xff, 0], 10),
        Ok(Vec::new())
    );
    assert_eq!(store.range(Table::Chain, b"", 0), Ok(Vec::new()));

    // Within a batch later writes win; deleting nothing is nothing.
    let batch = vec![
        put(Table::Meta, b"a", b"1"),
        put(Table::Meta, b"a", b"2"),
        put(Table::Meta, b"b", b""),
        delete(Table::Meta, b"none"),
        put(Table::Meta, b"c", b"3"),
        delete(Table::Meta, b"c"),
    ];
    assert_eq!(store.write(batch), Ok(()));
    assert_eq!(
        store.range(Table::Meta, b"", 10),
        Ok(vec![entry(b"a", b"2"), entry(b"b", b"")])
    );
    assert_eq!(
        store.get(Table::Meta, b"b"),
        Ok(Some(Vec::new())),
        "an empty value is a value"
    );

    // Loaded entries replace older ones, are replaced by later ones, and stand between others.
    let loaded = vec![entry(&[0, 0], b"new"), entry(&[0, 7], b"loaded")];
    assert_eq!(store.load(Table::Chain, &mut loaded.into_iter()), Ok(()));
    assert_eq!(store.load(Table::Chain, &mut std::iter::empty()), Ok(()));
    assert_eq!(
        store.range(Table::Chain, &[0], 4),
        Ok(vec![
            entry(&[0], &[0]),
            entry(&[0, 0], b"new"),
            entry(&[0, 7], b"loaded"),
            entry(&[1], &[1])
        ])
    );
    assert_eq!(store.write(vec![delete(Table::Chain, &[0, 7])]), Ok(()));
    assert_eq!(
        store.load(Table::Chain, &mut std::iter::once(entry(&[0, 0], b"newer"))),
        Ok(())
    );
    assert_eq!(store.get(Table::Chain, &[0, 7]), Ok(None));
    assert_eq!(
        store.get(Table::Chain, &[0, 0]),
        Ok(Some(b"newer".to_vec()))
    );

    // Large values, and an empty batch, are fine; a sync changes nothing that is visible.
    let large = vec![0xa5; 1 << 20];
    assert_eq!(
        store.write(vec![put(Table::Content, b"large", &large)]),
        Ok(())
    );
    assert_eq!(store.write(Vec::new()), Ok(()));
    assert_eq!(store.sync(), Ok(()));
    assert_eq!(store.get(Table::Content, b"large"), Ok(Some(large)));
}
