//! Answers that say why not.

use crate::codes::Code;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorView {
    /// The error.
    pub error: ErrorBody,
}

/// What was wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// Stable, for programs: `malformed`, `too_large`, `underfunded`, `nonce`, `not_ready`, …
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do about it. Every node of this version says so; one of another may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl ErrorBody {
    /// An error with its code's advice.
    pub fn new(code: Code, message: impl std::fmt::Display) -> Self {
        Self {
            code: code.name().to_owned(),
            message: message.to_string(),
            advice: Some(code.advice().to_owned()),
        }
    }
}
