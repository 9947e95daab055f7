//! What a task wrote to standard error, as a worker tells it.

use super::error::ApiError;
use super::ledger::parse_address;
use super::router::Api;
use crate::codes::Code;
use crate::present;
use crate::service::logs::{KeptLog, Ran, Silent, ask, ran};
use crate::views::{ErrorView, LogView};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use frith_ledger::address::Address;
use frith_ledger::entity::Entity;
use serde::Deserialize;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::IntoParams;

/// Longest that workers are waited for.
const ASK_MAX: Duration = Duration::from_secs(30);

/// Which worker is asked.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// Only the worker at this seat (this node's own, else whichever answers first).
    seat: Option<String>,
}

/// Standard error of a task: the word of one worker, which nothing proves. Workers keep it for an hour.
#[utoipa::path(get, path = "/v1/tasks/{address}/logs", params(("address" = String, Path, description = "The task's address"), Whose), responses(
    (status = 200, description = "The beginning and the end of it", body = LogView),
    (status = 404, description = "No task stands there, or no worker that was asked keeps its log", body = ErrorView),
    (status = 503, description = "Too many logs are asked for at one time", body = ErrorView),
))]
pub(super) async fn of_task(
    State(api): State<Api>,
    Path(address): Path<String>,
    Query(whose): Query<Whose>,
) -> Result<Json<LogView>, ApiError> {
    api.answers.check()?;
    let address = parse_address(&address)?;
    let seat: Option<Address> = whose.seat.as_deref().map(parse_address).transpose()?;
    let own = api.logs.get(&address, Instant::now());
    if let Some(kept) = own.filter(|kept| seat.is_none_or(|seat| seat == kept.log.seat)) {
        return Ok(Json(view(&address, &kept, None)));
    }
    let entity = api
        .status
        .core
        .query(move |node| node.state().entity(&address));
    let Some(Entity::Task(task)) = entity.await? else {
        return Err(ApiError::not_found(format!("no task stands at {address}"))
            .advise("check the address; a task stands there once its submission is committed"));
    };
    let mut workers = ran(&task);
    workers.retain(|worker| {
        seat.is_none_or(|seat| seat == worker.seat) && worker.key != api.status.key
    });
    let Ok(_permit) = api.logs_asked.try_acquire() else {
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Busy,
            "too many logs are asked for at one time",
        ));
    };
    let (worker, kept) = asked(&api, &address, workers)
        .await
        .map_err(|silent| nobody(&address, &silent))?;
    Ok(Json(view(&address, &kept, Some(&worker))))
}

async fn asked(
    api: &Api,
    task: &Address,
    workers: Vec<Ran>,
) -> Result<(Ran, KeptLog), Vec<Silent>> {
    let Some(network) = &api.status.network else {
        return Err(Vec::new());
    };
    let late = |worker: &Ran| Silent {
        seat: worker.seat,
        reason: "it did not answer in time".to_owned(),
    };
    let all: Vec<Silent> = workers.iter().map(late).collect();
    tokio::time::timeout(ASK_MAX, ask(network, task, workers))
        .await
        .unwrap_or(Err(all))
}

/// Who was asked, and what each said.
fn nobody(task: &Address, silent: &[Silent]) -> ApiError {
    let mut message = format!("no worker that is known here keeps the log of task {task}");
    for Silent { seat, reason } in silent {
        let _infallible = write!(message, "; seat {seat}: {reason}");
    }
    ApiError::new(StatusCode::NOT_FOUND, Code::NoLog, message)
}

/// A log as the API shows it; `by` is who told it, unless it is this node's own.
fn view(task: &Address, kept: &KeptLog, by: Option<&Ran>) -> LogView {
    let log = &kept.log;
    LogView {
        task: task.to_string(),
        seat: log.seat.to_string(),
        key: by.map(|worker| worker.key.to_string()),
        engine: present::engine_name(log.engine),
        status: frith_tasks::outcome::describe(log.status),
        fuel: log.fuel.get(),
        age_s: kept.age_s,
        stderr: present::excerpt(&log.stderr),
    }
}
