//! Why requests and operations are refused: each in a code of its own, with what to do.

use super::*;
use crate::client::NodeClient;
use crate::failure::Exit;
use frith_ledger::codec::{BoundedBytes, BoundedVec};
use frith_ledger::entity::{Bytes, TaskSpec};
use frith_ledger::units::Fuel;
use frith_neighbourhood::Input;
use std::time::Duration;

const OCTETS: &str = "application/octet-stream";

#[tokio::test]
async fn bodies_that_are_no_operation_are_refused_with_what_is_wrong() {
    let world = world();
    for (kind, body) in [
        ("application/json", "{".to_owned()),
        ("application/json", "{\"operation\": 5}".to_owned()),
        ("application/json", "{\"operation\": \"xyz\"}".to_owned()),
        ("application/json", "{\"operation\": \"00\"}".to_owned()),
        ("application/octet-stream", "not an operation".to_owned()),
        ("application/octet-stream", String::new()),
    ] {
        let (status, error) = world.refused(kind, body.clone()).await;
        assert_eq!((status, error.code.as_str()), (400, "malformed"), "{body}");
    }
    // Cut within the nonce: after kind, genesis and account.
    let cut = world.transfer(|_| {})[..1 + 32 + 32 + 3].to_vec();
    let (_, error) = world.refused("application/octet-stream", cut).await;
    assert!(
        error.message.contains("at byte 65") && error.message.contains("nonce"),
        "it says where: {}",
        error.message
    );
    let (_, error) = world
        .refused("application/json", "{\"operation\": \"00x0\"}")
        .await;
    assert!(error.message.contains("position 2"), "{}", error.message);
    world.core.stop().await;
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused() {
    let world = world();
    let (status, error) = world
        .refused("application/octet-stream", vec![0; 65 * 1024])
        .await;
    assert_eq!((status, error.code.as_str()), (413, "too_large"));
    let (status, error) = world
        .refused("application/json", vec![b' '; 200 * 1024])
        .await;
    assert_eq!((status, error.code.as_str()), (413, "too_large"));
    let (status, _) = world
        .send(
            "PUT",
            "/v1/content",
            "application/octet-stream",
            vec![0; (16 << 20) + 1],
        )
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    world.core.stop().await;
}

#[tokio::test]
async fn a_refused_operation_says_why_in_a_code_of_its_own() {
    let world = world();
    let octets = "application/octet-stream";
    let cases: [(&str, Vec<u8>); 5] = [
        (
            "wrong_network",
            world.transfer(|body| body.genesis = Hash([7; 32])),
        ),
        (
            "nonce_ahead",
            world.transfer(|body| body.nonce = Nonce::new(1 << 40)),
        ),
        (
            "expiry_far",
            world.transfer(|body| body.expires = Epoch::new(1 << 40)),
        ),
        (
            "underfunded",
            world.transfer(|body| {
                body.action = Action::Transfer {
                    to: Address([9; 32]),
                    amount: Credits::whole(11),
                }
            }),
        ),
        ("fee", world.transfer(|body| body.fee = Credits::ZERO)),
    ];
    for (code, operation) in cases {
        let (status, error) = world.refused(octets, operation).await;
        assert_eq!(
            (status, error.code.as_str()),
            (422, code),
            "{}",
            error.message
        );
    }
    let mut forged = world.transfer(|_| {});
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    assert_eq!(world.refused(octets, forged).await.1.code, "signature");
    world.core.stop().await;
}

#[tokio::test]
async fn an_operation_whose_time_is_over_is_refused() {
    let world = world();
    let mut progress = world.core.progress();
    progress
        .wait_for(|progress| progress.roots >= 2)
        .await
        .expect("epochs go by");
    let (status, error) = world
        .refused(
            "application/octet-stream",
            world.transfer(|body| body.expires = Epoch::ZERO),
        )
        .await;
    assert_eq!(
        (status, error.code.as_str()),
        (422, "expired"),
        "{}",
        error.message
    );
    world.core.stop().await;
}

#[tokio::test]
async fn a_nonce_that_was_used_is_refused_with_the_next_one() {
    let world = world();
    let (status, body) = world
        .send("POST", "/v1/operations", OCTETS, world.transfer(|_| {}))
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let id = serde_json::from_slice::<SubmittedView>(&body)
        .expect("names the operation")
        .id;
    let path = format!("/v1/operations/{id}?wait=local&timeout_ms=20000");
    let (_, fate) = world.get::<OperationView>(&path).await;
    assert_eq!(fate.done, Some(true));
    let again = world.transfer(|body| {
        body.action = Action::Transfer {
            to: Address([9; 32]),
            amount: Credits::whole(2),
        }
    });
    let (status, error) = world.refused(OCTETS, again).await;
    assert_eq!((status, error.code.as_str()), (422, "nonce"));
    assert!(
        error.message.contains("nonce 0") && error.message.contains("next is 1"),
        "{}",
        error.message
    );
    world.core.stop().await;
}

#[tokio::test]
async fn a_task_whose_program_nobody_stored_is_refused() {
    let world = world();
    let program = Hash([7; 32]);
    let task = world.transfer(|body| {
        body.action = Action::SubmitTask(Box::new(TaskSpec {
            program,
            program_len: 100,
            input: Bytes::Inline(BoundedBytes::default()),
            arguments: BoundedVec::default(),
            environment: BoundedVec::default(),
            fuel_max: Fuel::new(1000),
            price: Credits::new(1),
            replicas: 1,
            memory_pages: 1,
            result_max: 10,
            deadline: Epoch::new(20),
        }));
        body.fee = fee_of(&body.action, world.rules.parameters());
    });
    let (status, error) = world.refused(OCTETS, task).await;
    assert_eq!(
        (status, error.code.as_str()),
        (422, "missing_content"),
        "{}",
        error.message
    );
    assert!(
        error.message.contains(&program.to_hex()),
        "{}",
        error.message
    );
    world.core.stop().await;
}

#[tokio::test]
async fn a_node_that_has_halted_takes_nothing_and_says_why() {
    let world = world();
    let reason = "no space left on device".to_owned();
    let failed = Input::StorageFailed { reason };
    world.core.input(failed).await.expect("the core runs");
    let (status, error) = world.refused(OCTETS, world.transfer(|_| {})).await;
    assert_eq!((status, error.code.as_str()), (503, "halted"));
    assert!(error.message.contains("no space left"), "{}", error.message);
    // What the command line makes of the status before it asks for a passphrase.
    let (_, view) = world.get::<StatusView>("/v1/status").await;
    let client = NodeClient::new("http://127.0.0.1:1").expect("an address");
    let failure = client.unready(&view).expect("has halted");
    assert_eq!(
        (failure.exit, failure.code.as_str()),
        (Exit::Unreachable, "halted")
    );
    assert!(failure.message.contains("no space left"), "{failure}");
    let (status, ready) = world.get::<crate::views::ReadyView>("/health/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        ready
            .reasons
            .iter()
            .any(|reason| reason.contains("no space left")),
        "{:?}",
        ready.reasons
    );
    world.core.stop().await;
}

#[tokio::test]
async fn a_request_that_takes_longer_than_allowed_is_answered_with_what_to_do() {
    let world = world_with(Limits {
        request_time_max: Duration::ZERO,
        ..Limits::default()
    });
    let path = format!("/v1/operations/{}?wait=final", "00".repeat(32));
    let (status, error) = world.get::<ErrorView>(&path).await;
    assert_eq!(
        (status, error.error.code.as_str()),
        (StatusCode::GATEWAY_TIMEOUT, "timeout")
    );
    assert!(error.error.advice.is_some());
    world.core.stop().await;
}
