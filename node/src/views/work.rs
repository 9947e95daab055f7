//! How a node's worker is: what it did and earned, and how its keys stand.

use super::WorkerView;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A key that a worker will have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextKeyView {
    /// The key.
    pub key: String,
    /// First epoch in which it is in force. It votes from the second epoch after that on.
    pub since: u64,
}

/// A key that a worker had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetiredKeyView {
    /// The key.
    pub key: String,
    /// The last epoch in which it can be a member; it answers for none that is later.
    pub last: u64,
    /// Last epoch in which it is kept: evidence against it is too old from then on.
    pub until: u64,
}

/// How a key stands at its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It will be in force.
    Next,
    /// It is in force.
    InForce,
    /// Another has replaced it.
    Retired,
}

/// How a node's own key stands at its worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnKeyView {
    /// Which it is.
    pub state: KeyState,
    /// The other key of a rotation: the one that replaces it, has replaced it, or that it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// First epoch of the newer key, while the rotation waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Of a retired key: the last epoch in which it can be a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// Whether it votes now, in the leaf or at the root.
    pub votes: bool,
    /// Open places and arbitrations that are this key's.
    pub open: u64,
    /// The key was replaced, votes no more and has nothing open: the node can be stopped.
    pub may_stop: bool,
}

/// What a worker did and earned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkStatusView {
    /// Its seat.
    pub seat: String,
    /// The entity.
    #[serde(flatten)]
    pub worker: WorkerView,
    /// How this node's own key stands there.
    pub own_key: OwnKeyView,
    /// Places in tasks of the present state.
    pub tasks_seen: u64,
    /// Runs of tasks that gave a result since the node's start.
    pub runs: u64,
    /// Tasks that it runs at this moment.
    pub running: u64,
    /// Sum of pay in tasks of the present state.
    pub earned: String,
    /// Most pay of tasks that aren't settled.
    pub pending: String,
    /// Why something was not paid, newest first; at most 20.
    pub unpaid: Vec<UnpaidView>,
}

/// A place that brought no pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnpaidView {
    /// The task.
    pub task: String,
    /// Why.
    pub reason: String,
    /// What was lost with it.
    pub lost: String,
}
