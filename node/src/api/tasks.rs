//! Compute tasks, as the neighbourhood has committed them.

use super::cursor::{Cursor, entries};
use super::error::ApiError;
use super::ledger::parse_address;
use super::operations::Wait;
use super::router::Api;
use crate::present;
use crate::views::{ErrorView, ListedTaskView, TaskView, TasksView};
use axum::Json;
use axum::extract::{Path, Query, State};
use frith_ledger::address::Address;
use frith_ledger::entity::Entity;
use frith_neighbourhood::Snapshot;
use frith_tasks::runtime::Listed;
use serde::Deserialize;
use utoipa::IntoParams;

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
        let entity = api.status.core.chain().state().entity(&address);
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

/// Whose tasks, and which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Only this account's.
    account: Option<String>,
    /// What comes after: the `next` of an earlier answer. The newest, unless given.
    cursor: Option<String>,
    /// Most tasks of this answer, at most 1,000 (100 unless given).
    limit: Option<usize>,
}

/// Tasks, newest first, page by page. Reads the tasks that it shows.
#[utoipa::path(get, path = "/v1/tasks", params(Page), responses(
    (status = 200, description = "A page of tasks", body = TasksView),
    (status = 400, description = "Not an address, or not a cursor of this list", body = ErrorView),
    (status = 503, description = "Too many answers wait for their readers", body = ErrorView),
))]
pub(super) async fn list(
    State(api): State<Api>,
    Query(page): Query<Page>,
) -> Result<Json<TasksView>, ApiError> {
    let account = page.account.as_deref().map(parse_address).transpose()?;
    let after = match page.cursor.as_deref().map(Cursor::parse).transpose()? {
        None => None,
        Some(Cursor::Tasks { recorded, address }) => Some(Listed::new(recorded, address)),
        Some(Cursor::History { .. }) => return Err(Cursor::misplaced()),
    };
    let limit = entries(page.limit);
    api.read(move |chain| Ok(page_of(chain, account, after, limit)))
        .await
        .map(Json)
}

fn page_of(
    chain: &Snapshot,
    account: Option<Address>,
    after: Option<Listed>,
    limit: usize,
) -> TasksView {
    let state = chain.state();
    let mut found: Vec<Listed> = state.tasks(account, after).take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(Cursor::after);
    let view = |listed: &Listed| -> Option<ListedTaskView> {
        match state.entity(&listed.address())? {
            Entity::Task(task) => Some(present::listed_task(&listed.address(), &task)),
            _ => None,
        }
    };
    TasksView {
        tasks: found.iter().filter_map(view).collect(),
        next: next.map(Cursor::to_text),
    }
}
