//! Figures for Prometheus, in the OpenMetrics text form.

use super::error::ApiError;
use super::router::Api;
use crate::service::Counters;
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
        &registry(&status, &network, api.status.core.counters()),
    )
    .map_err(ApiError::internal)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

fn registry(status: &StatusView, network: &NetworkMetrics, counts: &Counters) -> Registry {
    let mut registry = Registry::with_prefix("frith");
    let mut gauge = |name: &str, help: &str, value: u64| {
        registry.register(
            name,
            help,
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)),
        );
    };
    gauge(
        "ready",
        "Whether the node is ready",
        u64::from(status.readiness.ready),
    );
    gauge("peers", "Peers connected", status.peers);
    gauge("members", "Members of the committee", status.members);
    gauge(
        "members_seen",
        "Members connected, this node among them",
        status.members_seen,
    );
    gauge("epoch", "Epoch that the node works in", status.epoch);
    gauge("view", "View of the consensus in that epoch", status.view);
    gauge("height", "Height of the committed head", status.height);
    gauge("roots", "Root records known", status.roots);
    gauge(
        "pool_operations",
        "Operations that wait in the pool",
        status.pool,
    );
    gauge(
        "resident_bytes",
        "Resident memory of the process",
        status.resident_bytes,
    );
    gauge("uptime_seconds", "Time since the start", status.uptime_s);
    if let Some(worker) = &status.worker {
        gauge("tasks_running", "Tasks that run now", worker.running);
        gauge(
            "tasks_paid",
            "Tasks paid, by the worker's record in the ledger",
            worker.worker.tasks_paid,
        );
        gauge(
            "tasks_lost",
            "Tasks whose bond was lost",
            worker.worker.tasks_lost,
        );
    }
    gauge(
        "connections_in",
        "Connections that others opened",
        network.connections_in,
    );
    gauge(
        "connections_out",
        "Connections that this node opened",
        network.connections_out,
    );
    let mut counter = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstCounter::new(value))
    };
    counter("blocks_committed", "Blocks committed", counts.blocks.get());
    counter(
        "operations_executed",
        "Operations executed, refused ones among them",
        counts.operations.get(),
    );
    counter("syncs", "Syncs of the store", counts.syncs.get());
    counter(
        "sync_microseconds",
        "Time that they took together",
        counts.sync_us.get(),
    );
    counter(
        "runs",
        "Runs of tasks that gave a result",
        counts.runs.get(),
    );
    counter(
        "runs_failed",
        "Runs of tasks that failed on this machine's side",
        counts.runs_failed.get(),
    );
    counter("bytes_in", "Payload bytes received", network.bytes_in);
    counter("bytes_out", "Payload bytes sent", network.bytes_out);
    counter("messages_in", "Frames received", network.messages_in);
    counter("messages_out", "Frames sent", network.messages_out);
    counter(
        "consensus_dropped",
        "Consensus frames that gave way to newer ones",
        network.consensus_dropped,
    );
    counter(
        "queue_full",
        "Frames refused because a queue was full",
        network.queue_full,
    );
    counter(
        "throttled",
        "Times that a peer had to wait for its budget",
        network.throttled,
    );
    counter(
        "violations",
        "Times that a peer broke the protocol",
        network.violations,
    );
    counter("bans", "Peers banned", network.bans);
    counter("fetches", "Fetches made", network.fetches);
    counter(
        "fetches_failed",
        "Fetches made that brought nothing",
        network.fetches_failed,
    );
    counter("fetches_served", "Fetches served", network.fetches_served);
    registry
}
