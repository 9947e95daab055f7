//! An account's history.

use super::{ErrorBody, Finality};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What touched an account, newest first: this node's word, read from blocks that it committed. Nothing here is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryView {
    /// The account.
    pub account: String,
    /// At most as many as were asked for, newest first.
    pub entries: Vec<HappeningView>,
    /// Say this as `before` for what is older; absent: there is no more here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Height of the oldest block that this node has notes of: what is older it doesn't know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Height of the node's head.
    pub height: u64,
}

/// Something that touched an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HappeningView {
    /// What: `sent`, `received`, `registered`, `staked`, `unstaked`, `terms`, `left`, `submitted`, `cancelled`, `rotated`,
    /// `note`, `reported`; and of tasks and workers `escrow`, `paid`, `rewarded`, `refunded`, `returned`, `evidence`.
    pub what: String,
    /// Height of its block.
    pub height: u64,
    /// Epoch of its block.
    pub epoch: u64,
    /// How sure it is.
    #[schema(inline)]
    pub finality: Option<Finality>,
    /// Credits that it is about, without the fee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Whether they came (`in`), went (`out`) or did both (`self`: a transfer to oneself, after which the account has what
    /// it had). Absent when nothing moved, since it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// The fee that the order named; paid when it was done, and when it was refused for its action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<String>,
    /// The other account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The worker's seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
    /// The operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Why it was refused; absent when it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<ErrorBody>,
}
