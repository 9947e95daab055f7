//! Figures for Prometheus, in the OpenMetrics text form.

use super::error::ApiError;
use super::router::Api;
use crate::service::{Code, Counters};
use crate::views::StatusView;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use frith_network::NetworkMetrics;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// All figures of this node.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "OpenMetrics text")))]
pub(super) async fn scrape(State(api): State<Api>) -> Result<Response, ApiError> {
    let status = api.status.status().await?;
    let network = api
        .status
        .network
        .as_ref()
        .map(frith_network::Network::metrics)
        .unwrap_or_default();
    let mut text = String::new();
    encode(
        &mut text,
        &registry(
            &status,
            &network,
            api.status.core.counters(),
            api.answers.under_way(),
        ),
    )
    .map_err(ApiError::internal)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

type Figure = (&'static str, &'static str, u64);

fn registry(
    status: &StatusView,
    network: &NetworkMetrics,
    counts: &Counters,
    answer_bytes: usize,
) -> Registry {
    let mut registry = Registry::with_prefix("frith");
    for (name, help, value) in node_gauges(status)
        .into_iter()
        .chain(network_gauges(network))
    {
        registry.register(name, help, gauge(value));
    }
    for (name, count) in &status.ledger.tasks {
        let help = "Tasks of the neighbourhood's state in this state";
        registry.register(format!("ledger_tasks_{name}"), help, gauge(*count));
    }
    registry.register(
        "answer_bytes",
        "Bytes of large answers that their readers haven't taken",
        gauge(answer_bytes as u64),
    );
    for code in Code::ALL {
        let stands = status.alerts.iter().any(|alert| alert.code == code.name());
        registry.register(
            format!("alert_{}", code.name()),
            "Whether this alert of the node stands",
            ConstGauge::new(i64::from(stands)),
        );
    }
    for (name, help, value) in node_counters(counts)
        .into_iter()
        .chain(network_counters(network))
    {
        registry.register(name, help, ConstCounter::new(value));
    }
    registry
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

fn node_gauges(status: &StatusView) -> Vec<Figure> {
    let ready = u64::from(status.readiness.ready);
    let mut figures = vec![
        ("ready", "Whether the node is ready", ready),
        ("peers", "Peers connected", status.peers),
        ("members", "Members of the committee", status.members),
        (
            "members_seen",
            "Members connected, this node among them",
            status.members_seen,
        ),
        ("epoch", "Epoch that the node works in", status.epoch),
        ("view", "View of the consensus in that epoch", status.view),
        ("height", "Height of the committed head", status.height),
        ("roots", "Root records known", status.roots),
        (
            "record_age_seconds",
            "How old the newest root record is by this machine's clock",
            status.record_age_ms / 1000,
        ),
        (
            "pool_operations",
            "Operations that wait in the pool",
            status.pool,
        ),
        (
            "resident_bytes",
            "Resident memory of the process",
            status.resident_bytes,
        ),
        ("uptime_seconds", "Time since the start", status.uptime_s),
        (
            "ledger_entities",
            "Entities of the neighbourhood's state",
            status.ledger.entities,
        ),
        (
            "ledger_workers_active",
            "Workers that neither leave nor were slashed",
            status.ledger.workers_active,
        ),
        (
            "ledger_registrations",
            "Registrations that wait for their seats",
            status.ledger.registrations,
        ),
    ];
    if let Some(work) = &status.worker {
        let worker = &work.worker;
        figures.extend([
            ("tasks_running", "Tasks that run now", work.running),
            (
                "tasks_paid",
                "Tasks paid, by the worker's record in the ledger",
                worker.tasks_paid,
            ),
            ("tasks_lost", "Tasks whose bond was lost", worker.tasks_lost),
        ]);
    }
    figures
}

fn network_gauges(network: &NetworkMetrics) -> Vec<Figure> {
    vec![
        (
            "connections_in",
            "Connections that others opened",
            network.connections_in,
        ),
        (
            "connections_out",
            "Connections that this node opened",
            network.connections_out,
        ),
    ]
}

fn node_counters(counts: &Counters) -> Vec<Figure> {
    vec![
        ("blocks_committed", "Blocks committed", counts.blocks.get()),
        (
            "operations_executed",
            "Operations executed, refused ones too",
            counts.operations.get(),
        ),
        (
            "operations_overloaded",
            "Operations told to come back later, because too many waited",
            counts.overloaded.get(),
        ),
        ("syncs", "Syncs of the store", counts.syncs.get()),
        (
            "sync_microseconds",
            "Time that they took together",
            counts.sync_us.get(),
        ),
        (
            "runs",
            "Runs of tasks that gave a result",
            counts.runs.get(),
        ),
        (
            "runs_failed",
            "Runs that failed on this machine's side",
            counts.runs_failed.get(),
        ),
    ]
}

fn network_counters(network: &NetworkMetrics) -> Vec<Figure> {
    vec![
        ("bytes_in", "Payload bytes received", network.bytes_in),
        ("bytes_out", "Payload bytes sent", network.bytes_out),
        ("messages_in", "Frames received", network.messages_in),
        ("messages_out", "Frames sent", network.messages_out),
        (
            "consensus_dropped",
            "Frames that gave way to newer ones",
            network.consensus_dropped,
        ),
        (
            "queue_full",
            "Frames refused because a queue was full",
            network.queue_full,
        ),
        (
            "throttled",
            "Times that a peer waited for its budget",
            network.throttled,
        ),
        (
            "violations",
            "Times that a peer broke the protocol",
            network.violations,
        ),
        ("bans", "Peers banned", network.bans),
        ("fetches", "Fetches made", network.fetches),
        (
            "fetches_failed",
            "Fetches made that brought nothing",
            network.fetches_failed,
        ),
        ("fetches_served", "Fetches served", network.fetches_served),
    ]
}
