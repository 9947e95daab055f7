//! Content is read beside the core.

use super::{Limits, StatusView, world_on};
use frith_ledger::store::{Entry, ReadStore, SharedMemoryStore, Store, StoreError, Table, Write};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// A store whose contents can be read beside its owner only; there each read waits until the test lets it go on.
struct Beside {
    inner: SharedMemoryStore,
    gate: Arc<Gate>,
}

struct Gate {
    inner: SharedMemoryStore,
    reading: SyncSender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl ReadStore for Gate {
    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _test_ended = self.reading.send(());
        let go_on = self.go_on.lock().unwrap_or_else(PoisonError::into_inner);
        let _let_go = go_on.recv();
        self.inner.get(table, key)
    }
}

impl Store for Beside {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if table == Table::Content {
            return Err(StoreError {
                action: "read",
                reason: "content was read on the core's thread".to_owned(),
            });
        }
        self.inner.get(table, key)
    }

    fn reader(&self) -> Option<Arc<dyn ReadStore>> {
        Some(self.gate.clone())
    }

    fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.inner.range(table, from, limit)
    }

    fn write(&mut self, batch: Vec<Write>) -> Result<(), StoreError> {
        self.inner.write(batch)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.inner.sync()
    }
}

#[tokio::test]
async fn while_content_is_read_blocks_are_committed() {
    let inner = SharedMemoryStore::new();
    let (reading, reads) = sync_channel(1);
    let (open, go_on) = channel();
    let gate = Arc::new(Gate {
        inner: inner.clone(),
        reading,
        go_on: Mutex::new(go_on),
    });
    let world = Arc::new(world_on(Beside { inner, gate }, Limits::default()));
    let octets = "application/octet-stream";
    world.send("PUT", "/v1/content", octets, "some bytes").await;
    let path = format!("/v1/content/{}", blake3::hash(b"some bytes").to_hex());
    let asking = world.clone();
    let asked = tokio::spawn(async move { asking.send("GET", &path, "", "").await });
    tokio::task::spawn_blocking(move || reads.recv())
        .await
        .expect("ends")
        .expect("the content is being read");

    let mut progress = world.core.progress();
    let height = progress.borrow().height;
    let risen = progress.wait_for(|now| now.height > height + 1).await;
    assert!(risen.is_ok(), "the core goes on");
    let (_, status) = world.get::<StatusView>("/v1/status").await;
    assert_eq!(status.halted, None);

    drop(open);
    let (status, body) = asked.await.expect("ends");
    assert_eq!((status.as_u16(), body), (200, b"some bytes".to_vec()));
    world.core.stop().await;
}
