//! What stands before every handler.

use super::error::ApiError;
use super::router::Api;
use crate::codes::Code;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Bytes of the framework's own words that are kept.
const WORDS_MAX: usize = 4096;

/// Checks where the request comes from, bounds how many requests are served at once and how long each may take.
pub(super) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    if !api.public && !is_this_machine(&request) {
        return ApiError::new(
            StatusCode::FORBIDDEN,
            Code::Host,
            "the Host header names another machine; this API serves 127.0.0.1, [::1] and localhost only",
        )
        .into_response();
    }
    if !api.public && comes_from_elsewhere(&request) {
        return ApiError::new(
            StatusCode::FORBIDDEN,
            Code::Host,
            "a page of another site asks; this API serves this machine only",
        )
        .into_response();
    }
    let Ok(_permit) = api.requests.try_acquire() else {
        return ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Busy,
            "too many requests at one time",
        )
        .into_response();
    };
    match tokio::time::timeout(api.limits.request_time_max, next.run(request)).await {
        Ok(response) => api.answers.count(as_error_view(response).await),
        Err(_) => ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            Code::Timeout,
            format!(
                "the request took more than {} s",
                api.limits.request_time_max.as_secs()
            ),
        )
        .into_response(),
    }
}

/// Answers that the framework itself gives (a body that is too large, a query that can't be read) get the
/// form of all others, and keep its words.
async fn as_error_view(response: Response) -> Response {
    let status = response.status();
    let is_ours = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::MediaType,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Code::Malformed,
        _ => Code::Http,
    };
    let words = to_bytes(response.into_body(), WORDS_MAX).await;
    let words = words.unwrap_or_default();
    let message = match std::str::from_utf8(&words) {
        Ok(text) if !text.trim().is_empty() => text.trim(),
        _ => "the request was not served",
    };
    ApiError::new(status, code, message).into_response()
}

fn is_this_machine(request: &Request) -> bool {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let name = match host {
        Some(host) => host,
        // HTTP/2 and absolute-form requests name the host in the URI.
        None => match request.uri().authority() {
            Some(authority) => authority.as_str(),
            None => return false,
        },
    };
    is_loopback(name)
}

/// What browsers say of a page that asks: its origin, or, when they name none, that it is of another site.
fn comes_from_elsewhere(request: &Request) -> bool {
    let said = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap_or_default())
    };
    let of_here = |origin: &str| {
        let rest = origin.split_once("://").map(|(_, rest)| rest);
        rest.is_some_and(is_loopback)
    };
    said("origin").is_some_and(|origin| !of_here(origin))
        || said("sec-fetch-site") == Some("cross-site")
}

/// Whether a name, perhaps with a port, is this machine's.
fn is_loopback(name: &str) -> bool {
    let name = if let Some(rest) = name.strip_prefix('[') {
        rest.split(']').next().unwrap_or_default()
    } else {
        name.split(':').next().unwrap_or_default()
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// No such path.
pub(super) async fn unknown(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is no {}", uri.path()))
        .advise("GET /v1/openapi.json lists what there is")
}

/// The path exists, the method doesn't.
pub(super) async fn method(uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Code::Method,
        format!("{} is not asked in this way", uri.path()),
    )
}
