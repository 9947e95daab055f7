//! Lists, page by page, and totals.

use super::OutcomeView;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A page of a list of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TasksView {
    /// The tasks, newest first.
    pub tasks: Vec<ListedTaskView>,
    /// Say this as `cursor` for what comes after; absent: that was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A task in a list: without its places, its arguments, its input and the bytes of its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListedTaskView {
    /// Its address.
    pub address: String,
    /// Who pays.
    pub account: String,
    /// `submitted`, `assigned`, `revealing`, `disputed`, `arbitrating`, `settled`, `failed` or `cancelled`.
    pub state: String,
    /// In words: what happens next, or why it ended.
    pub explanation: String,
    /// Whether it has ended.
    pub ended: bool,
    /// The last epoch of the present state, or the epoch in which it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Content id of the program.
    pub program: String,
    /// Most fuel of each replica.
    pub fuel_max: u64,
    /// Price for 10⁶ fuel.
    pub price: String,
    /// How many workers run it.
    pub replicas: u8,
    /// Still held for pay.
    pub escrow: String,
    /// Paid to workers.
    pub paid: String,
    /// Epoch whose root records the submission.
    pub recorded: u64,
    /// Epoch whose beacon drew the first places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<u64>,
    /// What came out, without the output itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeView>,
}

/// What the state holds, as the node's neighbourhood has committed it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerView {
    /// All entities.
    pub entities: u64,
    /// Workers, those that leave or were slashed among them.
    pub workers: u64,
    /// Workers that neither leave nor were slashed.
    pub workers_active: u64,
    /// Registrations that wait for their seats.
    pub registrations: u64,
    /// Tasks by their state.
    pub tasks: BTreeMap<String, u64>,
}
