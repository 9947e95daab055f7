//! What programs write to standard error.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The beginning and the end of a text. Bytes that are no UTF-8 are replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExcerptView {
    /// Its beginning; all of it when nothing was left out.
    pub head: String,
    /// Bytes that were left out after the beginning.
    pub left_out_bytes: u64,
    /// Its end, when something was left out.
    pub tail: String,
}

/// Standard error of one run of a task. Only the worker's word says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogView {
    /// The task.
    pub task: String,
    /// The seat of the worker that ran it.
    pub seat: String,
    /// The key of the node that told it; none when it is the node that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The engine that it ran on.
    pub engine: String,
    /// How that run ended.
    pub status: String,
    /// Fuel that it burned.
    pub fuel: u64,
    /// Seconds since then.
    pub age_s: u32,
    /// What it wrote.
    pub stderr: ExcerptView,
}
