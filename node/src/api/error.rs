//! Answers that aren't 2xx.

use crate::codes::Code;
use crate::service::{ContentError, CoreError};
use crate::views::{ErrorBody, ErrorView};
use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use frith_neighbourhood::SubmitError;
use frith_tasks::Refusal;
use std::fmt::Display;

/// When whoever was turned away because there was too much at one time may come again.
const RETRY_AFTER_S: &str = "1";

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// What the body says.
    pub body: ErrorBody,
}

impl ApiError {
    /// An error with its code's advice.
    pub fn new(status: StatusCode, code: Code, message: impl Display) -> Self {
        Self {
            status,
            body: ErrorBody::new(code, message),
        }
    }

    /// 400: the request can't be read.
    pub fn malformed(message: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::Malformed, message)
    }

    /// 404.
    pub fn not_found(message: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, message)
    }

    /// 500: this node's own failure.
    pub fn internal(message: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message)
    }

    /// The same error with what to do here, which is more than the code alone can say.
    #[must_use]
    pub fn advise(mut self, advice: impl Display) -> Self {
        self.body.advice = Some(advice.to_string());
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let passes = [Code::Busy, Code::Overloaded].map(Code::name);
        let passes = passes.contains(&self.body.code.as_str());
        let mut response = (self.status, Json(ErrorView { error: self.body })).into_response();
        if passes {
            let seconds = HeaderValue::from_static(RETRY_AFTER_S);
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<CoreError> for ApiError {
    fn from(error: CoreError) -> Self {
        let code = match error {
            CoreError::Gone => Code::Stopping,
            CoreError::Store(_) => Code::StoreFailed,
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, error)
    }
}

impl From<ContentError> for ApiError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Unavailable { .. } => {
                Self::new(StatusCode::NOT_FOUND, Code::ContentUnavailable, error)
            }
            ContentError::NoRoom { .. } => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, Code::Store, error)
            }
            ContentError::Store { .. } => Self::internal(error),
            ContentError::Stopped => CoreError::Gone.into(),
        }
    }
}

/// A refusal as the API and the CLI show it.
#[must_use]
pub(crate) fn refusal_body(refusal: &Refusal) -> ErrorBody {
    ErrorBody::new(refusal.into(), refusal)
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let (status, code) = match &error {
            SubmitError::Refused(refusal) => (StatusCode::UNPROCESSABLE_ENTITY, refusal.into()),
            SubmitError::Malformed(_) => (StatusCode::BAD_REQUEST, Code::Malformed),
            SubmitError::Signature => (StatusCode::UNPROCESSABLE_ENTITY, Code::Signature),
            SubmitError::MissingContent { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, Code::MissingContent)
            }
            SubmitError::ContentLength { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, Code::ContentLength)
            }
            SubmitError::NonceTaken { .. } => (StatusCode::UNPROCESSABLE_ENTITY, Code::NonceTaken),
            SubmitError::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, Code::Overloaded),
            SubmitError::Halted { .. } => (StatusCode::SERVICE_UNAVAILABLE, Code::Halted),
        };
        Self::new(status, code, error)
    }
}
