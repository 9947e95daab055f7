//! A store that fails under the API.

use super::{Limits, StatusView, SubmittedView, world_on};
use crate::views::{ErrorView, OperationView};
use frith_ledger::store::{Faults, SharedMemoryStore};

#[tokio::test]
async fn a_failed_read_is_no_answer_and_stops_the_node() {
    let store = SharedMemoryStore::new();
    let world = world_on(store.clone(), Limits::default());
    let operation = world.transfer(|_| {});
    let octets = "application/octet-stream";
    let (_, body) = world
        .send("POST", "/v1/operations", octets, operation.clone())
        .await;
    let submitted: SubmittedView = serde_json::from_slice(&body).expect("names the operation");
    let path = format!("/v1/operations/{}", submitted.id);
    let waiting = format!("{path}?wait=final&timeout_ms=20000");
    let (_, fate) = world.get::<OperationView>(&waiting).await;
    assert_eq!(fate.done, Some(true));

    store.set_faults(Faults {
        fail_reads: true,
        ..Faults::default()
    });
    for _ in 0..2 {
        let (status, said) = world.get::<ErrorView>(&path).await;
        let code = said.error.code.as_str();
        assert_eq!((status.as_u16(), code), (503, "store_failed"));
    }
    let (_, status) = world.get::<StatusView>("/v1/status").await;
    let halted = status.halted.expect("it takes no further part");
    assert!(halted.contains("injected read error"), "{halted}");
    assert!(!status.readiness.ready);
    let (status, error) = world.refused(octets, operation).await;
    assert_eq!((status, error.code.as_str()), (503, "halted"));

    store.set_faults(Faults::default());
    let (_, fate) = world.get::<OperationView>(&path).await;
    assert_eq!(fate.done, Some(true), "what can be read again is answered");
    let (_, status) = world.get::<StatusView>("/v1/status").await;
    assert!(status.halted.is_some(), "and it stays halted");
    world.core.stop().await;
}
