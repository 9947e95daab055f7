//! The API over a core of its own: one member, a store in memory, no network.

use super::{Api, Limits, router};
use crate::client::fee_of;
use crate::service::logs::RunLogs;
use crate::service::{Alerts, Clock, Core, CoreHandle, Fetcher, Outbound, StatusSource};
use crate::views::{
    ContentView, EntityView, ErrorBody, ErrorView, Finality, OperationView, StatusView,
    SubmittedView,
};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Terms;
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker};
use frith_ledger::hash::Hash;
use frith_ledger::key::{PublicKey, Seed};
use frith_ledger::operation::{Action, Operation, OperationBody, SignedOperation};
use frith_ledger::parameters::Parameters;
use frith_ledger::store::{SharedMemoryStore, Store};
use frith_ledger::units::{Epoch, Nonce};
use frith_ledger::vrf::VrfSecret;
use frith_neighbourhood::{Node, NodeConfig, Priority};
use frith_tasks::Rules;
use futures::StreamExt as _;
use parity_scale_codec::Encode as _;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;
use tower::ServiceExt as _;

mod answers;
mod connections;
mod content;
mod damage;
mod fuzz;
mod operations;
mod pages;
mod proofs;
mod refusals;
mod submissions;

struct Nowhere;

impl Outbound for Nowhere {
    fn send(&self, _to: PublicKey, _priority: Priority, _bytes: Arc<[u8]>) {}
    fn members(&self, _members: BTreeSet<PublicKey>) {}
    fn penalise(&self, _peer: PublicKey) {}
}

struct World {
    api: Api,
    router: Router,
    core: CoreHandle,
    rules: Arc<Rules>,
    user: Seed,
    ending: watch::Sender<bool>,
}

fn genesis(user: &Seed, worker: &Seed) -> Genesis {
    Genesis {
        name: "test".to_owned(),
        time_ms: 0,
        beacon: [1; 32],
        parameters: Parameters {
            epoch_ms: 200,
            ..Parameters::test()
        },
        accounts: vec![GenesisAccount {
            address: user.account().public().address(),
            balance: Credits::whole(10),
        }],
        workers: vec![GenesisWorker {
            key: worker.worker().public().0,
            vrf: VrfSecret::from_seed(&worker.vrf()).public().0,
            account: worker.account().public().address(),
            stake: Credits::whole(1000),
            collateral: Credits::whole(1000),
            terms: Terms {
                engines: 1,
                price: Credits::new(1),
                slots: 4,
            },
        }],
    }
}

fn world() -> World {
    world_with(Limits::default())
}

fn world_with(limits: Limits) -> World {
    world_on(SharedMemoryStore::new(), limits)
}

fn world_on(store: impl Store + 'static, limits: Limits) -> World {
    let (user, worker) = (Seed::from_bytes([1; 32]), Seed::from_bytes([2; 32]));
    let rules = Arc::new(Rules::new(genesis(&user, &worker)).expect("a usable genesis"));
    let clock = Clock::start();
    let config = NodeConfig {
        rules: rules.clone(),
        key: worker.worker(),
        vrf_seed: *worker.vrf(),
        reporter: Address::default(),
        founding: true,
        entropy: [3; 32],
        limits: frith_neighbourhood::Limits::default(),
    };
    let node = Node::open(config, Box::new(store), clock.moment()).expect("opens");
    let (core, handle, _wants) = Core::new(node, rules.clone(), clock, Arc::new(Nowhere), None);
    tokio::spawn(core.run());
    let status = StatusSource {
        core: handle.clone(),
        network: None,
        key: worker.worker().public(),
        clock,
        fault: None,
        alerts: Alerts::default(),
    };
    let (ending, ended) = watch::channel(false);
    let fetcher = Fetcher::new(handle.clone(), None, std::env::temp_dir());
    let api = Api::new(status, fetcher, RunLogs::default(), false, limits, ended);
    World {
        router: router(api.clone()),
        api,
        core: handle,
        rules,
        user,
        ending,
    }
}

impl World {
    async fn ask(&self, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("a router never fails");
        let status = response.status();
        (
            status,
            to_bytes(response.into_body(), 1 << 26)
                .await
                .expect("a bounded body")
                .to_vec(),
        )
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> (StatusCode, T) {
        let request = Request::get(path)
            .header(header::HOST, "127.0.0.1:1")
            .body(Body::empty())
            .expect("is a request");
        let (status, body) = self.ask(request).await;
        (
            status,
            serde_json::from_slice(&body).expect("is JSON of this type"),
        )
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, kind)
            .body(body.into())
            .expect("is a request");
        self.ask(request).await
    }

    async fn refused(&self, kind: &str, body: impl Into<Body>) -> (u16, ErrorBody) {
        let (status, body) = self.send("POST", "/v1/operations", kind, body).await;
        let view: ErrorView = serde_json::from_slice(&body).expect("an error has one form");
        assert!(view.error.advice.is_some(), "what to do: {:?}", view.error);
        (status.as_u16(), view.error)
    }

    fn transfer(&self, change: impl FnOnce(&mut OperationBody)) -> Vec<u8> {
        let action = Action::Transfer {
            to: Address([9; 32]),
            amount: Credits::whole(1),
        };
        let fee = fee_of(&action, self.rules.parameters());
        let account = self.user.account().public().address();
        let mut body = OperationBody {
            genesis: self.rules.hash,
            account,
            nonce: Nonce::ZERO,
            expires: Epoch::new(50),
            fee,
            action,
        };
        change(&mut body);
        Operation::Signed(SignedOperation::sign(body, &self.user.account())).encode()
    }
}

#[tokio::test]
async fn a_transfer_is_committed_and_becomes_final_with_a_proof_that_holds() {
    let world = world();
    let body = format!(
        "{{\"operation\":\"{}\"}}",
        hex::encode(world.transfer(|_| {}))
    );
    let (status, body) = world
        .send("POST", "/v1/operations", "application/json", body)
        .await;
    assert_eq!(
        status,
        StatusCode::ACCEPTED,
        "{}",
        String::from_utf8_lossy(&body)
    );
    let id = serde_json::from_slice::<SubmittedView>(&body)
        .expect("names the operation")
        .id;
    let path = format!("/v1/operations/{id}?wait=final&timeout_ms=20000");
    let (_, fate) = world.get::<OperationView>(&path).await;
    assert_eq!((fate.finality, fate.done), (Finality::Final, Some(true)));

    let address = Address([9; 32]);
    let (_, view) = world
        .get::<EntityView>(&format!("/v1/entities/{address}"))
        .await;
    let proven =
        crate::client::prove(&world.rules.genesis, &address, &view).expect("the proof holds");
    assert_eq!(
        proven.entity.and_then(|entity| entity.credits().ok()),
        Some(Credits::whole(1))
    );
    let other = crate::client::prove(&world.rules.genesis, &Address([8; 32]), &view);
    assert_eq!(
        other.expect_err("is about another address").exit,
        crate::failure::Exit::Proof
    );
    world.core.stop().await;
}

#[tokio::test]
async fn a_name_that_was_rebound_to_this_machine_is_not_served() {
    let world = world();
    for (host, expected) in [
        ("evil.example", 403),
        ("evil.example:4280", 403),
        ("127.0.0.1.evil.example", 403),
        ("10.0.0.1", 403),
        ("localhost:4280", 200),
        ("127.0.0.1", 200),
        ("[::1]:4280", 200),
    ] {
        let request = Request::get("/health/live")
            .header(header::HOST, host)
            .body(Body::empty())
            .expect("is a request");
        assert_eq!(world.ask(request).await.0.as_u16(), expected, "{host}");
    }
    world.core.stop().await;
}

#[tokio::test]
async fn a_page_of_another_site_is_not_served() {
    let world = world();
    for (name, value, expected) in [
        ("origin", "https://evil.example", 403),
        ("origin", "http://127.0.0.1.evil.example", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("origin", "http://localhost:3000", 200),
        ("sec-fetch-site", "none", 200),
    ] {
        let request = Request::get("/health/live")
            .header(header::HOST, "localhost")
            .header(name, value)
            .body(Body::empty())
            .expect("is a request");
        let (status, _) = world.ask(request).await;
        assert_eq!(status.as_u16(), expected, "{name}: {value}");
    }
    world.core.stop().await;
}

#[tokio::test]
async fn content_comes_back_by_its_hash() {
    let world = world();
    let (status, body) = world
        .send(
            "PUT",
            "/v1/content",
            "application/octet-stream",
            "some bytes",
        )
        .await;
    assert_eq!(status, StatusCode::CREATED);
    let view: ContentView = serde_json::from_slice(&body).expect("names the content");
    assert_eq!(view.id, blake3::hash(b"some bytes").to_hex().to_string());
    let (status, body) = world
        .send("GET", &format!("/v1/content/{}", view.id), "", "")
        .await;
    assert_eq!((status, body), (StatusCode::OK, b"some bytes".to_vec()));
    let (status, error) = world
        .get::<ErrorView>(&format!("/v1/content/{}", "00".repeat(32)))
        .await;
    assert_eq!(
        (status.as_u16(), error.error.code.as_str()),
        (404, "content_unavailable")
    );
    world.core.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_and_what_is_no_name_is_malformed() {
    let world = world();
    for (path, expected) in [
        ("/v1/nothing", 404),
        ("/v1/blocks/99999", 404),
        ("/v1/blocks/high", 400),
        ("/v1/roots/99999", 404),
        ("/v1/entities/frith1nothing", 400),
        ("/v1/entities/bitcoin", 400),
        ("/v1/operations/12", 400),
        ("/v1/tasks?acount=x&account=y", 400),
        ("/v1/tasks/frith1x?ended=perhaps", 400),
    ] {
        let (status, error) = world.get::<ErrorView>(path).await;
        assert_eq!(status.as_u16(), expected, "{path}: {}", error.error.message);
        assert!(error.error.advice.is_some(), "{path}: what to do");
    }
    let task = Address([4; 32]);
    assert_eq!(
        world.get::<ErrorView>(&format!("/v1/tasks/{task}")).await.0,
        StatusCode::NOT_FOUND
    );
    let (status, _) = world.send("DELETE", "/v1/status", "", "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    world.core.stop().await;
}

#[tokio::test]
async fn events_are_told_as_they_happen_and_end_with_the_node() {
    let world = world();
    let request = Request::get("/v1/events")
        .header(header::HOST, "localhost")
        .body(Body::empty())
        .expect("is a request");
    let response = world.router.clone().oneshot(request).await;
    let mut stream = response
        .expect("a router never fails")
        .into_body()
        .into_data_stream();
    let mut told = String::new();
    while !told.contains("\"event\":\"root\"") {
        let chunk = stream.next().await.expect("epochs go by").expect("bytes");
        told.push_str(&String::from_utf8_lossy(&chunk));
    }
    world.ending.send_replace(true);
    while stream.next().await.is_some() {}
    world.core.stop().await;
}

/// The names of the figures in an answer of `/metrics`.
fn figures(metrics: &str) -> BTreeSet<&str> {
    metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split([' ', '{']).next())
        .collect()
}

#[tokio::test]
async fn every_figure_that_the_rules_for_prometheus_name_is_served() {
    let world = world();
    let (_, metrics) = world.send("GET", "/metrics", "", "").await;
    let metrics = String::from_utf8(metrics).expect("is text");
    let served = figures(&metrics);
    let rules = include_str!("../../../deploy/alerts.yml");
    let expressions = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "));
    let words =
        expressions.flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')));
    let named: BTreeSet<&str> = words.filter(|word| word.starts_with("frith_")).collect();
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<&&str> = named.difference(&served).collect();
    assert!(
        missing.is_empty(),
        "{missing:?} are in deploy/alerts.yml and not in:\n{metrics}"
    );
}

#[tokio::test]
async fn the_operators_guide_says_what_every_figure_means() {
    let world = world();
    let (_, metrics) = world.send("GET", "/metrics", "", "").await;
    let metrics = String::from_utf8(metrics).expect("is text");
    let guide = include_str!("../../../docs/operators.md");
    let served = figures(&metrics);
    assert!(served.len() > 40, "{served:?}");
    let missing: Vec<&&str> = served
        .iter()
        .filter(|name| !name.starts_with("frith_alert_") && !guide.contains(&format!("`{name}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/operators.md doesn't explain {missing:?}"
    );
}

#[tokio::test]
async fn status_metrics_and_description_answer() {
    let world = world();
    let (status, view) = world.get::<StatusView>("/v1/status").await;
    assert_eq!(
        (status, view.members, view.members_seen),
        (StatusCode::OK, 1, 1)
    );
    assert!(view.readiness.ready, "{:?}", view.readiness.reasons);
    assert_eq!(view.worker.map(|work| work.worker.tasks_paid), Some(0));
    let (_, metrics) = world.send("GET", "/metrics", "", "").await;
    let metrics = String::from_utf8(metrics).expect("is text");
    assert!(
        ["frith_ready 1", "frith_members 1", "frith_syncs_total"]
            .iter()
            .all(|name| metrics.contains(name)),
        "{metrics}"
    );
    let (_, document) = world.get::<serde_json::Value>("/v1/openapi.json").await;
    for path in [
        "/v1/operations",
        "/v1/entities/{address}",
        "/v1/tasks/{address}",
        "/v1/content",
        "/v1/events",
    ] {
        assert!(
            document["paths"][path].is_object(),
            "{path} is not described"
        );
    }
    world.core.stop().await;
}
