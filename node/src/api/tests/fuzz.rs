//! Requests of any form: an answer of the one form, never a failure of the server, and the node goes on.

use super::submissions::form;
use super::{World, world};
use crate::client::prove;
use crate::views::{
    BlockView, ContentView, EntityView, ErrorView, EventView, OperationRequest, OperationView,
    ReadyView, RootView, StatusView, SubmittedView, TaskView, TasksView,
};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use frith_fuzz::{damage_text, harness, json, mutate, value};
use frith_ledger::address::Address;
use frith_ledger::genesis::Genesis;
use frith_ledger::operation::Operation;
use parity_scale_codec::Encode as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::LazyLock;

/// A core that runs while the harness does, and answers that it gave.
struct Served {
    runtime: tokio::runtime::Runtime,
    world: World,
    address: String,
    answers: Vec<String>,
}

/// The paths of everything that is answered with JSON.
const ANSWERED: [&str; 9] = [
    "/v1/status",
    "/v1/genesis",
    "/v1/tasks",
    "/v1/blocks/latest",
    "/v1/roots/latest",
    "/health/ready",
    "/v1/nothing",
    "/v1/entities/frith1",
    "/v1/operations/00",
];

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("threads can be started");
    let world = runtime.block_on(async { world() });
    let address = world.user.account().public().address().to_string();
    let entity = format!("/v1/entities/{address}");
    let paths = ANSWERED.iter().copied().chain([entity.as_str()]);
    let ask = |request: Result<Request<Body>, axum::http::Error>| {
        let mut request = request.expect("is a request");
        let host = header::HeaderValue::from_static("localhost");
        request.headers_mut().insert(header::HOST, host);
        let (_, body) = runtime.block_on(world.ask(request));
        String::from_utf8(body).expect("JSON is text")
    };
    let answer = |path: &str| ask(Request::get(path).body(Body::empty()));
    // Once something is final, there are proofs to damage.
    let post =
        Request::post("/v1/operations").header(header::CONTENT_TYPE, "application/octet-stream");
    let submitted = ask(post.body(world.transfer(|_| {}).into()));
    let SubmittedView { id } = serde_json::from_str(&submitted).expect("names the operation");
    answer(&format!("/v1/operations/{id}?wait=final&timeout_ms=20000"));
    let mut answers: Vec<String> = paths.map(answer).collect();
    answers.extend(
        [
            r#"{"id":"00ff"}"#,
            r#"{"operation":"00ff"}"#,
            r#"{"event":"task","what":"paid","task":"frith1","amount":"0.5","height":7}"#,
            r#"{"event":"ready","ready":true}"#,
            r#"{"id":"00","finality":"root","height":3,"done":true}"#,
        ]
        .map(String::from),
    );
    Served {
        runtime,
        world,
        address,
        answers,
    }
});

fn request(input: &[u8]) -> Option<Request<Body>> {
    let ([kind, place, extra], rest) = input.split_first_chunk::<3>().map(|(a, b)| (*a, b))?;
    let operation = || value::<Operation>(rest).map_or(rest.to_vec(), |o| o.encode());
    let text = |material: &[u8]| {
        let shown = damage_text(&SERVED.address, material);
        shown
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect::<String>()
    };
    let named = |base: &str| match place % 4 {
        0 => format!("{base}/{}", text(rest)),
        1 => format!("{base}/{}", SERVED.address),
        2 => format!("{base}/{}", u64::from(extra) << (place % 60)),
        _ => format!("{base}/{}", hex::encode([extra; 32])),
    };
    let get = |path: String| Request::get(path).body(Body::empty());
    let post = |kind: &str, body: Vec<u8>| {
        Request::post("/v1/operations")
            .header(header::CONTENT_TYPE, kind)
            .body(body.into())
    };
    let built = match kind % 14 {
        0 => post("application/octet-stream", rest.to_vec()),
        1 => post("application/octet-stream", operation()),
        2 => post("application/json", rest.to_vec()),
        3 => {
            let whole = format!("{{\"operation\":\"{}\"}}", hex::encode(operation()));
            post("application/json", damage_text(&whole, rest).into_bytes())
        }
        4 => get(named("/v1/entities")),
        5 => get(named("/v1/tasks")),
        6 => get(named("/v1/roots")),
        7 => get(named("/v1/blocks")),
        8 => get(named("/v1/content")),
        9 => get(format!(
            "{}?wait={}&timeout_ms=1",
            named("/v1/operations"),
            text(rest)
        )),
        10 => get(format!("/v1/tasks?account={}&limit={}", text(rest), extra)),
        11 => match place % 2 {
            0 => get(format!("/v1/tasks?cursor={}", hex::encode(rest))),
            _ => get(format!(
                "/v1/accounts/{}/history?cursor={}",
                SERVED.address,
                hex::encode(rest)
            )),
        },
        12 => {
            let (kind, whole) = form(&[("operation", &operation()), ("content", &[extra])]);
            // Cut off somewhere, as often as not.
            let end = match place % 2 {
                0 => whole.len(),
                _ => usize::from(place) * whole.len() / 256,
            };
            post(&kind, whole.get(..end).unwrap_or_default().to_vec())
        }
        // Few different contents, so that a long run doesn't fill the memory.
        _ => Request::put("/v1/content").body(Body::from(vec![extra])),
    };
    let mut request = built.ok()?;
    let host = if extra == 7 {
        "elsewhere.example"
    } else {
        "localhost"
    };
    request
        .headers_mut()
        .insert(header::HOST, header::HeaderValue::from_static(host));
    Some(request)
}

#[test]
fn fuzz_requests_are_answered() {
    LazyLock::force(&SERVED);
    harness!(|input: &[u8]| {
        let Some(request) = request(input) else {
            return;
        };
        let what = format!("{} {}", request.method(), request.uri());
        let (status, body) = SERVED.runtime.block_on(SERVED.world.ask(request));
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{what}");
        if status.is_client_error() || status.is_server_error() {
            let told = serde_json::from_slice::<ErrorView>(&body);
            assert!(told.is_ok(), "{what}: {}", String::from_utf8_lossy(&body));
        }
    });
}

/// What a client makes of a node's answer.
fn answers<T: Serialize + DeserializeOwned>(input: &[u8]) {
    json(input, &SERVED.answers, |text| {
        serde_json::from_str::<T>(text)
    });
}

#[test]
fn fuzz_answers_of_nodes_are_read_by_clients() {
    LazyLock::force(&SERVED);
    harness!(|input: &[u8]| {
        answers::<ErrorView>(input);
        answers::<SubmittedView>(input);
        answers::<OperationRequest>(input);
        answers::<OperationView>(input);
        answers::<EntityView>(input);
        answers::<TaskView>(input);
        answers::<TasksView>(input);
        answers::<RootView>(input);
        answers::<BlockView>(input);
        answers::<ContentView>(input);
        answers::<ReadyView>(input);
        answers::<StatusView>(input);
        answers::<EventView>(input);
        answers::<Genesis>(input);
    });
}

/// Whatever a node's answer about an entity holds, a client believes what the proof shows, and that is the truth.
#[test]
fn fuzz_answers_about_entities_need_a_proof() {
    let asked: Address = SERVED.address.parse().expect("is an address");
    let genesis = &SERVED.world.rules.genesis;
    let read = |text: &str| serde_json::from_str::<EntityView>(text);
    let honest = SERVED.answers.iter().find_map(|text| read(text).ok());
    let honest = honest.expect("an entity was asked for");
    let truth = prove(genesis, &asked, &honest).expect("its proof holds");
    let proof = honest.proof.clone().expect("it has a proof");
    let proof = hex::decode(proof).expect("is hexadecimal");
    harness!(|input: &[u8]| {
        let mut damaged = proof.clone();
        mutate(&mut damaged, input);
        let forged = EntityView {
            free_nonce: None,
            proof: Some(hex::encode(damaged)),
            ..honest.clone()
        };
        for view in json(input, &SERVED.answers, read).iter().chain([&forged]) {
            if let Ok(proven) = prove(genesis, &asked, view) {
                assert_eq!(proven.entity, truth.entity);
            }
        }
    });
}
