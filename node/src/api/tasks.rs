//! Compute tasks, as the neighbourhood has committed them.

use super::error::ApiError;
use super::ledger::parse_address;
use super::operations::Wait;
use super::router::Api;
use crate::present;
use crate::views::{ErrorView, TaskView, TasksView};
use axum::Json;
use axum::extract::{Path, Query, State};
use frith_ledger::address::Address;
use frith_ledger::entity::Entity;
use serde::Deserialize;
use utoipa::IntoParams;

/// Tasks that one answer lists.
const TASKS_MAX: usize = 1000;

/// What to wait for before answering.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitEnd {
    /// `true`: answer when the task has ended, or the time is over.
    #[serde(default)]
    ended: bool,
    /// How long to wait in ms, at most 60,000 (10,000 unless given).
    timeout_ms: Option<u64>,
}

/// A task: where it is in its life, who runs it, what it paid.
#[utoipa::path(get, path = "/v1/tasks/{address}", params(("address" = String, Path, description = "The task's address, or the id of its submission"), WaitEnd), responses(
    (status = 200, description = "The task (`local`: ask /v1/entities for the proof)", body = TaskView),
    (status = 404, description = "No task stands there", body = ErrorView),
))]
pub(super) async fn status(
    State(api): State<Api>,
    Path(address): Path<String>,
    Query(wait): Query<WaitEnd>,
) -> Result<Json<TaskView>, ApiError> {
    let address = parse_address(&address)?;
    let deadline = Wait::deadline(wait.timeout_ms);
    let mut progress = api.status.core.progress();
    loop {
        progress.borrow_and_update();
        let entity = api
            .status
            .core
            .query(move |node| node.state().entity(&address))
            .await?;
        let Some(Entity::Task(task)) = entity else {
            return Err(
                ApiError::not_found(format!("no task stands at {address}")).advise(
                    "check the address; a task stands there once its submission is committed",
                ),
            );
        };
        let view = present::task(&address, &task);
        if view.ended || !wait.ended {
            return Ok(Json(view));
        }
        match tokio::time::timeout_at(deadline, progress.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Ok(Json(view)),
        }
    }
}

/// Whose tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Owner {
    /// Only this account's.
    account: Option<String>,
}

/// Tasks, newest first. Linear in the entities of the leaf.
#[utoipa::path(get, path = "/v1/tasks", params(Owner), responses(
    (status = 200, description = "At most 1,000 tasks", body = TasksView),
    (status = 400, description = "Not an address", body = ErrorView),
))]
pub(super) async fn list(
    State(api): State<Api>,
    Query(owner): Query<Owner>,
) -> Result<Json<TasksView>, ApiError> {
    let account: Option<Address> = owner.account.as_deref().map(parse_address).transpose()?;
    let state = api.status.core.query(|node| node.state().clone()).await?;
    let found = tokio::task::spawn_blocking(move || {
        let mut found: Vec<(u64, TaskView)> = state
            .tree()
            .iter()
            .filter_map(|(address, leaf)| match Entity::from_bytes(&leaf.bytes) {
                Ok(Entity::Task(task)) if account.is_none_or(|account| account == task.account) => {
                    Some((task.recorded.get(), present::task(&address, &task)))
                }
                _ => None,
            })
            .collect();
        found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.address.cmp(&b.1.address)));
        found
    })
    .await
    .map_err(ApiError::internal)?;
    let truncated = found.len() > TASKS_MAX;
    Ok(Json(TasksView {
        tasks: found
            .into_iter()
            .take(TASKS_MAX)
            .map(|(_, view)| view)
            .collect(),
        truncated,
    }))
}
