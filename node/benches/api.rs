//! What a scrape of `/metrics` costs beside a state of 1,000 and of 1,000,000 entities.
//!
//! A whole core with its API in one process, asked without sockets: the time is that of the handler, the question to the
//! core included. Epochs last an hour, so nothing else happens. Both states stand at the same time and are asked in
//! turn, so that the ratio doesn't hang on the moment. Run with `cargo bench --profile dev -p frith --bench api`; prints, and
//! writes `bench-api.json` into the target folder.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use frith::api::{Api, Limits, router};
use frith::service::logs::RunLogs;
use frith::service::{Alerts, Clock, Core, Fetcher, Outbound, StatusSource};
use frith_ledger::address::Address;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Terms;
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker};
use frith_ledger::hash::{Domain, Hash};
use frith_ledger::key::{PublicKey, Seed};
use frith_ledger::parameters::Parameters;
use frith_ledger::store::SharedMemoryStore;
use frith_ledger::vrf::VrfSecret;
use frith_neighbourhood::{Node, NodeConfig, Priority};
use frith_tasks::Rules;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use tower::ServiceExt as _;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Scrapes of each state.
const ROUNDS: usize = 201;
/// What an answer has at the most.
const ANSWER_BYTES_MAX: usize = 1 << 20;

struct Nowhere;

impl Outbound for Nowhere {
    fn send(&self, _to: PublicKey, _priority: Priority, _bytes: Arc<[u8]>) {}
    fn members(&self, _members: BTreeSet<PublicKey>) {}
    fn penalise(&self, _peer: PublicKey) {}
}

fn genesis(worker: &Seed, entities: u64) -> Genesis {
    let account = |number: u64| GenesisAccount {
        address: Address(Hash::of(Domain::Address, &number).0),
        balance: Credits::whole(1),
    };
    Genesis {
        name: "bench".to_owned(),
        time_ms: 0,
        beacon: [1; 32],
        parameters: Parameters {
            epoch_ms: 3_600_000,
            ..Parameters::test()
        },
        // The worker and its account are two more.
        accounts: (0..entities.saturating_sub(2)).map(account).collect(),
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

/// A node with so many entities, and what ends it.
fn serve(entities: u64) -> Outcome<(Router, watch::Sender<bool>)> {
    let worker = Seed::from_bytes([2; 32]);
    let rules = Arc::new(Rules::new(genesis(&worker, entities))?);
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
    let node = Node::open(config, Box::new(SharedMemoryStore::new()), clock.moment())?;
    let (core, handle, _wants) = Core::new(node, rules, clock, Arc::new(Nowhere), None);
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
    let fetcher = Fetcher::new(handle, None, std::env::temp_dir());
    let api = Api::new(
        status,
        fetcher,
        RunLogs::default(),
        false,
        Limits::default(),
        ended,
    );
    Ok((router(api), ending))
}

async fn scrape_ms(router: &Router, entities: u64) -> Outcome<f64> {
    let request = Request::get("/metrics")
        .header(header::HOST, "localhost")
        .body(Body::empty())?;
    let start = Instant::now();
    let response = router.clone().oneshot(request).await?;
    let body = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await?;
    let took = start.elapsed().as_secs_f64() * 1_000.0;
    let said = format!("frith_ledger_entities {entities}\n");
    if !String::from_utf8_lossy(&body).contains(&said) {
        return Err(format!("the scrape doesn't say {said:?}").into());
    }
    Ok(took)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome {
    let sizes = [1_000, 1_000_000];
    let (few, _few_end) = serve(sizes[0])?;
    let (many, _many_end) = serve(sizes[1])?;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for ((router, entities), times) in [&few, &many].into_iter().zip(sizes).zip(&mut times) {
            times.push(scrape_ms(router, entities).await?);
        }
    }
    let [few, many] = times.map(median);
    println!(
        "a scrape beside 1,000 entities: {few:.3} ms; beside 1,000,000: {many:.3} ms; {:.2} times as long",
        many / few
    );
    let figures = serde_json::json!({"api.metrics_ms_1k": few, "api.metrics_ms_1m": many});
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    std::fs::write(
        target.join("bench-api.json"),
        serde_json::to_vec_pretty(&figures)?,
    )?;
    Ok(())
}
