//! The one place that makes HTTP responses: an operation's answer or problem, with the headers that all have.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use warp::reply::Response;

use crate::problem::{ApiError, REPLAYED};

/// The header that names a request, in and out.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What an operation answers.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    body: Bytes,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Reply {
    /// Nothing but a status.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, body: Bytes::new(), headers: Vec::new() }
    }

    /// JSON.
    ///
    /// # Errors
    /// When `body` cannot be written, which is a mistake of ours.
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(body).map_err(|error| ApiError::internal(&error))?;
        Ok(Self { status, body: body.into(), headers: vec![(CONTENT_TYPE, JSON)] })
    }

    /// Any other content.
    pub(crate) fn content(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        Self { status: StatusCode::OK, body: body.into(), headers }
    }

    /// With a header; one that was there before is replaced.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    /// With the version as its tag; it may be kept, but must be asked for again.
    pub(crate) fn with_version(self, version: u64) -> Self {
        let tag = HeaderValue::try_from(format!("\"{version}\"")).expect("digits and quotes are a header value");
        self.with(ETAG, tag).with(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))
    }

    /// Marked as the answer of a command that came again, if it is.
    pub(crate) fn with_replayed(self, replayed: bool) -> Self {
        if replayed { self.with(REPLAYED, HeaderValue::from_static("true")) } else { self }
    }
}

/// Makes the response to the request `request_id`.
pub(crate) fn respond(answer: Result<Reply, ApiError>, request_id: &HeaderValue) -> Response {
    let reply = answer.unwrap_or_else(|error| of_problem(error, request_id));
    let mut response = Response::new(reply.body.into());
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    for (name, value) in reply.headers {
        headers.insert(name, value);
    }
    headers.insert(REQUEST_ID, request_id.clone());
    response
}

fn of_problem(error: ApiError, request_id: &HeaderValue) -> Reply {
    let request_id = String::from_utf8_lossy(request_id.as_bytes()).into_owned();
    let status = error.status();
    let (problem, headers) = error.into_problem(Some(request_id));
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut reply = Reply { status, body: body.into(), headers };
    reply.headers.push((CONTENT_TYPE, PROBLEM));
    reply
}
