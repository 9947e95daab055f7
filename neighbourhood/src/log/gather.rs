//! A store that gathers what one input writes, and writes it at once.
//!
//! A block that ends a view commits another one and brings about a vote; each used to be a write of its own. What is gathered
//! is seen by whoever reads, and is written as one batch before any output of the input leaves. So the store still holds
//! a prefix of what was written, in steps of whole inputs.

use frith_ledger::store::{Entry, Store, StoreError, Table, Write};
use std::collections::BTreeMap;

pub(super) struct Gathered {
    store: Box<dyn Store>,
    /// One write for a key, the last; in the order in which the keys were first written.
    pending: Vec<Write>,
}

const fn place(write: &Write) -> (Table, &[u8]) {
    match write {
        Write::Put { table, key, .. } | Write::Delete { table, key } => (*table, key.as_slice()),
    }
}

impl Gathered {
    pub(super) const fn new(store: Box<dyn Store>) -> Self {
        Self {
            store,
            pending: Vec::new(),
        }
    }

    /// Writes what was gathered, all or nothing.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.store.write(std::mem::take(&mut self.pending))
    }
}

impl Store for Gathered {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let pending = self
            .pending
            .iter()
            .find(|write| place(write) == (table, key));
        match pending {
            Some(Write::Put { value, .. }) => Ok(Some(value.clone())),
            Some(Write::Delete { .. }) => Ok(None),
            None => self.store.get(table, key),
        }
    }

    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let pending = self.pending.iter().filter(|write| {
            let (of, key) = place(write);
            of == table && key >= from
        });
        let (mut over, mut deletes) = (Vec::new(), 0_usize);
        for write in pending {
            deletes += usize::from(matches!(write, Write::Delete { .. }));
            over.push(write);
        }
        let stored = self
            .store
            .range(table, from, limit.saturating_add(deletes))?;
        if over.is_empty() {
            return Ok(stored);
        }
        let mut all: BTreeMap<Vec<u8>, Vec<u8>> = stored.into_iter().collect();
        for write in over {
            match write {
                Write::Put { key, value, .. } => {
                    all.insert(key.clone(), value.clone());
                }
                Write::Delete { key, .. } => {
                    all.remove(key);
                }
            }
        }
        Ok(all.into_iter().take(limit).collect())
    }

    fn write(&mut self, batch: Vec<Write>) -> Result<(), StoreError> {
        for write in batch {
            let before = self
                .pending
                .iter_mut()
                .find(|before| place(before) == place(&write));
            match before {
                Some(before) => *before = write,
                None => self.pending.push(write),
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.flush()?;
        self.store.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_ledger::store::MemoryStore;
    use proptest::prelude::*;

    fn write() -> impl Strategy<Value = Write> {
        let tables = prop_oneof![Just(Table::Meta), Just(Table::Safety)];
        (tables, 0_u8..6, proptest::option::of(0_u8..3)).prop_map(|(table, key, value)| {
            let key = vec![key];
            match value {
                Some(value) => Write::Put {
                    table,
                    key,
                    value: vec![value],
                },
                None => Write::Delete { table, key },
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_gathered_reads_like_what_is_written(
            steps in proptest::collection::vec((proptest::collection::vec(write(), 0..4), any::<bool>()), 0..12),
        ) {
            let mut gathered = Gathered::new(Box::new(MemoryStore::new()));
            let mut direct = MemoryStore::new();
            for (writes, flush) in steps {
                gathered.write(writes.clone()).expect("gathers");
                direct.write(writes).expect("writes");
                if flush {
                    gathered.flush().expect("writes");
                }
                for table in [Table::Meta, Table::Safety] {
                    for key in 0..6 {
                        prop_assert_eq!(gathered.get(table, &[key]), direct.get(table, &[key]));
                        for limit in 0..4 {
                            let range = gathered.range(table, &[key], limit);
                            prop_assert_eq!(range, direct.range(table, &[key], limit));
                        }
                    }
                }
            }
            gathered.sync().expect("syncs");
            for table in [Table::Meta, Table::Safety] {
                prop_assert_eq!(gathered.store.range(table, &[], 99), direct.range(table, &[], 99));
            }
        }
    }
}
