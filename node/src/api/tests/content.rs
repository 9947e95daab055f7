//! Content is read beside the core.

use super::pages::PROGRAM;
use super::{Limits, StatusView, world_on};
use crate::views::{HistoryView, OperationView, SubmittedView};
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use frith_ledger::address::Address;
use frith_ledger::hash::Hash;
use frith_ledger::store::{Entry, ReadStore, SharedMemoryStore, Store, StoreError, Table, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tower::ServiceExt as _;

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
        self.wait();
        self.inner.get(table, key)
    }

    fn read_range(
        &self,
        table: Table,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.wait();
        self.inner.range(table, from, limit)
    }
}

impl Gate {
    /// Says that it reads, and waits until the test lets it go on.
    fn wait(&self) {
        let _test_ended = self.reading.send(());
        let go_on = self.go_on.lock().unwrap_or_else(PoisonError::into_inner);
        let _let_go = go_on.recv();
    }
}

/// A store whose reads beside its owner say so, and wait until the sender is dropped.
fn gated(inner: &SharedMemoryStore) -> (Beside, Receiver<()>, Sender<()>) {
    let (reading, reads) = sync_channel(1);
    let (open, go_on) = channel();
    let gate = Arc::new(Gate {
        inner: inner.clone(),
        reading,
        go_on: Mutex::new(go_on),
    });
    let inner = inner.clone();
    (Beside { inner, gate }, reads, open)
}

/// Asks for something that is read beside the core, and checks that the core goes on until the test lets it be read.
async fn check_beside(
    store: Beside,
    reads: Receiver<()>,
    open: Sender<()>,
    path: String,
) -> Vec<u8> {
    let world = Arc::new(world_on(store, Limits::default()));
    let asking = world.clone();
    let mut asked = tokio::spawn(async move { asking.send("GET", &path, "", "").await });
    let is_read = tokio::task::spawn_blocking(move || reads.recv());
    tokio::select! {
        is_read = is_read => assert_eq!(is_read.expect("ends"), Ok(())),
        answered = &mut asked => panic!("it was not read beside the core: {answered:?}"),
    }

    let mut progress = world.core.progress();
    let height = progress.borrow().height;
    let risen = progress.wait_for(|now| now.height > height + 1).await;
    assert!(risen.is_ok(), "the core goes on");
    let (_, status) = world.get::<StatusView>("/v1/status").await;
    assert_eq!(status.halted, None);

    drop(open);
    let (status, body) = asked.await.expect("ends");
    assert_eq!(status.as_u16(), 200);
    world.core.stop().await;
    body
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
    let id = blake3::hash(b"some bytes");
    let stored = inner.clone().write(vec![Write::Put {
        table: Table::Content,
        key: id.as_bytes().to_vec(),
        value: b"some bytes".to_vec(),
    }]);
    assert_eq!(stored, Ok(()));
    let (store, reads, open) = gated(&inner);
    let path = format!("/v1/content/{}", id.to_hex());
    let body = check_beside(store, reads, open, path).await;
    assert_eq!(body, b"some bytes");
}

#[tokio::test]
async fn the_length_of_a_content_is_known_without_reading_it() {
    let inner = SharedMemoryStore::new();
    // The second is a node that finds the content in its store.
    for nonce in 0..2 {
        let (store, reads, open) = gated(&inner);
        drop(open);
        drop(reads);
        let world = world_on(store, Limits::default());
        let id = Hash(*blake3::hash(PROGRAM).as_bytes());
        if nonce == 0 {
            let stored = world.core.put_content(id, PROGRAM.to_vec()).await;
            assert_eq!(stored, Ok(Ok(())));
        }
        let octets = "application/octet-stream";
        let task = world.task(nonce, 0);
        let (status, said) = world.send("POST", "/v1/operations", octets, task).await;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(status.as_u16(), 202, "{said}");
        let taken: SubmittedView = serde_json::from_str(&said).expect("an id");
        let path = format!("/v1/operations/{}?wait=local&timeout_ms=60000", taken.id);
        let (_, fate) = world.get::<OperationView>(&path).await;
        assert_eq!(fate.done, Some(true));
        let (_, status) = world.get::<StatusView>("/v1/status").await;
        assert_eq!(status.halted, None);
        world.core.stop().await;
        let mut progress = world.core.progress();
        while progress.changed().await.is_ok() {}
    }
}

#[tokio::test]
async fn while_a_history_is_read_blocks_are_committed() {
    let (store, reads, open) = gated(&SharedMemoryStore::new());
    let path = format!("/v1/accounts/{}/history", Address([7; 32]));
    let body = check_beside(store, reads, open, path).await;
    let history: HistoryView = serde_json::from_slice(&body).expect("a history");
    assert!(history.entries.is_empty());
}

#[tokio::test]
async fn while_the_fate_of_an_operation_is_read_blocks_are_committed() {
    let (store, reads, open) = gated(&SharedMemoryStore::new());
    let id = Hash([5; 32]);
    let body = check_beside(store, reads, open, format!("/v1/operations/{id}")).await;
    let fate: OperationView = serde_json::from_slice(&body).expect("a fate");
    assert_eq!((fate.id, fate.done, fate.waits), (id.to_hex(), None, false));
}

#[tokio::test]
async fn contents_on_their_way_are_bounded_before_their_bytes_are_taken() {
    let limits = Limits {
        contents_max: 1,
        ..Limits::default()
    };
    let world = world_on(SharedMemoryStore::new(), limits);
    let octets = "application/octet-stream";
    let put = || world.send("PUT", "/v1/content", octets, "some bytes");
    assert_eq!(put().await.0.as_u16(), 201);
    let path = format!("/v1/content/{}", blake3::hash(b"some bytes").to_hex());
    let request = Request::get(&path)
        .header(header::HOST, "localhost")
        .body(Body::empty())
        .expect("is a request");
    let response = world.router.clone().oneshot(request).await;
    let response = response.expect("a router never fails");
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "10");
    // Its reader hasn't taken it yet.
    let (status, body) = put().await;
    assert_eq!(status.as_u16(), 503, "{}", String::from_utf8_lossy(&body));
    assert_eq!(world.send("GET", &path, "", "").await.0.as_u16(), 503);
    let body = to_bytes(response.into_body(), 1 << 10).await;
    assert_eq!(body.expect("a body"), "some bytes");
    assert_eq!(put().await.0.as_u16(), 201, "the place is free again");
    world.core.stop().await;
}

#[tokio::test]
async fn an_upload_that_nobody_waits_for_any_more_is_stored_and_told() {
    let world = world_on(SharedMemoryStore::new(), Limits::default());
    let contents = [b"one", b"two"].map(|bytes| (Hash(*blake3::hash(bytes).as_bytes()), bytes));
    let (first, bytes) = contents[0];
    let mut given_up = Box::pin(world.core.put_content(first, bytes.to_vec()));
    assert!(futures::poll!(&mut given_up).is_pending());
    drop(given_up);
    let (second, bytes) = contents[1];
    let stored = world.core.put_content(second, bytes.to_vec()).await;
    assert_eq!(stored, Ok(Ok(())));
    let held = world
        .core
        .query(move |node| node.content(&first))
        .await
        .expect("the core runs");
    assert_eq!(held, Ok(Some(b"one".to_vec())), "its turn was before");
    world.core.stop().await;
}

#[tokio::test]
async fn an_upload_that_nobody_waits_for_any_more_keeps_its_place() {
    let limits = Limits {
        contents_max: 1,
        ..Limits::default()
    };
    let world = world_on(SharedMemoryStore::new(), limits);
    let octets = "application/octet-stream";
    let put = || world.send("PUT", "/v1/content", octets, "some bytes");
    let mut given_up = Box::pin(put());
    assert!(futures::poll!(&mut given_up).is_pending());
    drop(given_up);
    assert_eq!(put().await.0.as_u16(), 503, "it isn't stored yet");
    world.core.stop().await;
}
