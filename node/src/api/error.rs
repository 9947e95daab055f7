//! Answers that aren't 2xx.

use crate::service::{ContentError, CoreError};
use crate::views::{ErrorBody, ErrorView};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use frith_neighbourhood::SubmitError;
use frith_tasks::Refusal;
use std::fmt::Display;

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// What the body says.
    pub body: ErrorBody,
}

impl ApiError {
    /// An error without advice.
    pub fn new(status: StatusCode, code: &str, message: impl Display) -> Self {
        Self {
            status,
            body: ErrorBody {
                code: code.to_owned(),
                message: message.to_string(),
                advice: None,
            },
        }
    }

    /// 400: the request can't be read.
    pub fn malformed(message: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// 404.
    pub fn not_found(message: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 500: this node's own failure.
    pub fn internal(message: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The same error with what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Display) -> Self {
        self.body.advice = Some(advice.to_string());
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorView { error: self.body })).into_response()
    }
}

impl From<CoreError> for ApiError {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::Gone => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", error)
                .advise("start the node again, or ask another one"),
            CoreError::Store(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_failed", error)
                    .advise("ask another node; this one's disk has to be mended")
            }
        }
    }
}

impl From<ContentError> for ApiError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Unavailable { .. } => {
                Self::new(StatusCode::NOT_FOUND, "content_unavailable", error)
                    .advise("ask again when the workers that hold it are connected")
            }
            ContentError::Store { .. } => Self::internal(error),
            ContentError::Stopped => CoreError::Gone.into(),
        }
    }
}

/// A refusal's code for programs.
#[must_use]
pub fn refusal_code(refusal: &Refusal) -> String {
    // The variant's name: the first word of its `Debug` form.
    let debug = format!("{refusal:?}");
    let name: String = debug
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    snake_case(&name)
}

fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (index, character) in name.chars().enumerate() {
        if character.is_ascii_uppercase() && index > 0 {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

/// A refusal as the API and the CLI show it.
#[must_use]
pub(crate) fn refusal_body(refusal: &Refusal) -> ErrorBody {
    ErrorBody {
        code: refusal_code(refusal),
        message: refusal.to_string(),
        advice: None,
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let message = error.to_string();
        let (status, code) = match error {
            SubmitError::Refused(refusal) => {
                return Self {
                    status: StatusCode::UNPROCESSABLE_ENTITY,
                    body: refusal_body(&refusal),
                };
            }
            SubmitError::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            SubmitError::Signature => (StatusCode::UNPROCESSABLE_ENTITY, "signature"),
            SubmitError::MissingContent { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "missing_content")
            }
            SubmitError::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            SubmitError::Halted { .. } => (StatusCode::SERVICE_UNAVAILABLE, "halted"),
        };
        Self::new(status, code, message)
    }
}
