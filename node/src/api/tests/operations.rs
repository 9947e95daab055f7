//! What became of operations that share a nonce, or were never executed.

use super::*;

const OCTETS: &str = "application/octet-stream";

fn id(operation: &[u8]) -> String {
    let operation = frith_ledger::codec::decode::<Operation>(operation, operation.len());
    operation.expect("is an operation").id().to_hex()
}

fn paying(world: &World, nonce: u64, credits: u64) -> Vec<u8> {
    world.transfer(|body| {
        body.nonce = Nonce::new(nonce);
        body.action = Action::Transfer {
            to: Address([9; 32]),
            amount: Credits::whole(credits),
        };
    })
}

async fn take(world: &World, operation: Vec<u8>) {
    let (status, body) = world
        .send("POST", "/v1/operations", OCTETS, operation)
        .await;
    let said = String::from_utf8_lossy(&body);
    assert_eq!(status, StatusCode::ACCEPTED, "{said}");
}

#[tokio::test]
async fn a_nonce_that_an_operation_waits_with_is_refused_and_the_free_one_is_named() {
    let world = world();
    let account = world.user.account().public().address();
    let path = format!("/v1/entities/{account}?proof=false");
    // Nonce 0 never came, so the first one waits.
    let (first, second) = (paying(&world, 1, 1), paying(&world, 1, 2));
    take(&world, first.clone()).await;
    let (status, error) = world.refused(OCTETS, second.clone()).await;
    assert_eq!((status, error.code.as_str()), (422, "nonce_taken"));
    assert!(error.message.contains(&id(&first)), "{}", error.message);
    let (_, view) = world.get::<EntityView>(&path).await;
    assert_eq!(view.free_nonce, Some(0));
    let waiting = format!("/v1/operations/{}", id(&first));
    let (_, fate) = world.get::<OperationView>(&waiting).await;
    assert!(fate.waits && fate.finality == Finality::Pending, "{fate:?}");

    // With the one between both go, and the second never.
    take(&world, paying(&world, 0, 3)).await;
    let path_of_first = format!("{waiting}?wait=local&timeout_ms=20000");
    let (_, fate) = world.get::<OperationView>(&path_of_first).await;
    assert_eq!((fate.done, fate.waits), (Some(true), false), "{fate:?}");
    let (_, view) = world.get::<EntityView>(&path).await;
    assert_eq!(view.free_nonce, Some(2));
    world.core.stop().await;
}

#[tokio::test]
async fn what_was_never_executed_is_done_and_is_told_with_the_reason() {
    let world = world();
    let account = world.user.account().public().address();
    let lost = paying(&world, 0, 2);
    let unknown = format!("/v1/operations/{}", id(&lost));
    let known = format!("{unknown}?account={account}&nonce=0&since=0&expires=50");
    let (_, fate) = world.get::<OperationView>(&known).await;
    assert!(
        fate.done.is_none() && !fate.waits,
        "it may still come: {fate:?}"
    );
    take(&world, paying(&world, 0, 1)).await;
    // The answer comes when it is known, not at the end of the time.
    let waits = format!("{known}&wait=local&timeout_ms=60000");
    let (_, fate) = world.get::<OperationView>(&waits).await;
    assert!(fate.never_executed && fate.done == Some(false), "{fate:?}");
    assert_eq!(
        fate.refusal.map(|refusal| refusal.code).as_deref(),
        Some("nonce")
    );
    let (_, fate) = world.get::<OperationView>(&unknown).await;
    assert_eq!(
        (fate.done, fate.never_executed),
        (None, false),
        "nothing is known of it"
    );

    // One whose time is over, at the node that took it: nothing more has to be said of it.
    let expires = world.core.progress().borrow().roots + 2;
    let late = world.transfer(|body| {
        body.nonce = Nonce::new(5);
        body.expires = Epoch::new(expires);
    });
    take(&world, late.clone()).await;
    let path = format!("/v1/operations/{}?wait=final&timeout_ms=60000", id(&late));
    let (_, fate) = world.get::<OperationView>(&path).await;
    assert!(fate.never_executed && fate.done == Some(false), "{fate:?}");
    assert_eq!(
        fate.refusal.map(|refusal| refusal.code).as_deref(),
        Some("expired")
    );

    let (status, error) = world.get::<ErrorView>(&format!("{unknown}?nonce=0")).await;
    assert_eq!(
        (status.as_u16(), error.error.code.as_str()),
        (400, "malformed")
    );
    world.core.stop().await;
}
