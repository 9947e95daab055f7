//! Answers that nobody takes: how many of their bytes a node holds.

use super::*;
use axum::http::header::RETRY_AFTER;
use axum::response::Response;

/// Tasks of a page: enough that it isn't small.
const TASKS: u64 = 240;
/// More than one page of them, and less than two.
const BYTES_MAX: usize = 150_000;

async fn open(world: &World, path: &str) -> Response {
    let request = Request::get(path)
        .header(header::HOST, "localhost")
        .body(Body::empty())
        .expect("is a request");
    let response = world.router.clone().oneshot(request).await;
    response.expect("a router never fails")
}

#[tokio::test]
async fn forty_readers_that_take_nothing_hold_no_more_than_was_agreed() {
    let world = world_with(Limits {
        answer_bytes_max: BYTES_MAX,
        ..Limits::default()
    });
    world.submit_tasks(0..TASKS, 0).await;
    let page = "/v1/tasks?limit=1000";
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(open(&world, page).await);
        assert!(world.api.answers.under_way() <= BYTES_MAX);
    }
    let served = |response: &&Response| response.status() == StatusCode::OK;
    assert_eq!(held.iter().filter(served).count(), 1);
    let refused = held.pop().expect("forty");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[RETRY_AFTER], "1");
    let said = to_bytes(refused.into_body(), 1 << 16).await.expect("short");
    let said: ErrorView = serde_json::from_slice(&said).expect("an error has one form");
    assert_eq!(said.error.code, "busy");
    // What is small is served meanwhile.
    for small in [
        "/health/live",
        "/metrics",
        "/v1/status",
        "/v1/tasks?limit=1",
    ] {
        let status = open(&world, small).await.status();
        let expected = if small.starts_with("/v1/tasks") {
            503
        } else {
            200
        };
        assert_eq!(status.as_u16(), expected, "{small}");
    }

    // What was handed over counts until the server asks for more: then it has room again.
    let first = held.swap_remove(0);
    let under_way = world.api.answers.under_way();
    assert!(under_way > BYTES_MAX / 2, "{under_way}");
    let mut body = first.into_body().into_data_stream();
    let bytes = body.next().await.expect("a page").expect("bytes");
    assert_eq!(
        (bytes.len(), world.api.answers.under_way()),
        (under_way, under_way)
    );
    assert!(body.next().await.is_none());
    drop(body);
    assert_eq!(world.api.answers.under_way(), 0);
    assert_eq!(open(&world, page).await.status(), StatusCode::OK);
    world.core.stop().await;
}

#[tokio::test]
async fn an_answer_larger_than_all_is_served_when_nothing_else_is_under_way() {
    let world = world_with(Limits {
        answer_bytes_max: 1_000,
        ..Limits::default()
    });
    world.submit_tasks(0..TASKS, 0).await;
    let page = "/v1/tasks?limit=1000";
    let first = open(&world, page).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(open(&world, page).await.status().as_u16(), 503);
    drop(first);
    assert_eq!(open(&world, page).await.status(), StatusCode::OK);
    world.core.stop().await;
}

#[tokio::test]
async fn what_all_readers_share_counts_for_none() {
    let world = world_with(Limits {
        answer_bytes_max: 1,
        ..Limits::default()
    });
    let mut held = Vec::new();
    for path in ["/v1/genesis", "/v1/openapi.json"].repeat(20) {
        held.push(open(&world, path).await);
    }
    assert!(held.iter().all(|held| held.status() == StatusCode::OK));
    assert_eq!(world.api.answers.under_way(), 0);
    world.core.stop().await;
}
