//! Requests: a line with method and path, headers, an empty line, a body; through the real routes, decisions and store.

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::service::Service as _;
use serde_json::Value;

use super::{Check, ensure};
use crate::rules;
use crate::service::InProcess;

/// The largest problem: what is wrong is told, what came is not sent back.
const MOST_PROBLEM: usize = 4_096;

pub(super) const WORDS: &[&str] = &[
    "GET ",
    "POST ",
    "PATCH ",
    "DELETE ",
    "OPTIONS ",
    "HEAD ",
    "/api/v1/campaigns",
    "/api/v1/campaigns/c-1",
    "/api/v1/campaigns/batch",
    "/lifecycle",
    "/transitions",
    "/timers",
    "/cancel",
    "/status",
    "/api/v1/timers",
    "/api/v1/timers/forecast",
    "/api/v1/events",
    "/api/v1/dead-letters",
    "/replay",
    "/discard",
    "/api/v1/system",
    "?cursor=",
    "&limit=",
    "?status=",
    "?from=",
    "&to=",
    "?q=",
    "?dryRun=true",
    "%2f",
    "%00",
    "%ff",
    "\nauthorization: Bearer acme/viewer",
    "\nauthorization: Bearer acme/admin/o-1",
    "\ncontent-type: application/json",
    "\ncontent-encoding: gzip",
    "\nidempotency-key: k",
    "\nif-match: \"1\"",
    "\nif-none-match: \"1\"",
    "\nx-request-id: r",
    "\nx-correlation-id: c",
    "\n\n",
    "campaignId",
    "ownerId",
    "startTime",
    "endTime",
    "durationHours",
    "autoClose",
    "rewardsEnabled",
    "targetEngagements",
    "metadata",
    "policy",
    "reason",
    "targetStatus",
    "campaigns",
    "name",
    "at",
    "payload",
    "eventType",
    "eventId",
    "source",
    "data",
    "RUNNING",
    "2027-01-01T00:00:00Z",
];

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

pub(super) fn build() -> Check {
    let service = InProcess::open();
    Box::new(move |input| {
        let Some(request) = request(input) else { return Ok("no request".to_owned()) };
        let line = format!("{} {}", request.method(), request.uri());
        let is_whole =
            request.uri().path_and_query().is_some() && request.headers().get_all("host").iter().count() == 1;
        let is_create = line == "POST /api/v1/campaigns";
        let who = request.headers().get("authorization").cloned();
        let mut answer = service.block_on(send(&service, request.clone()));
        if answer.status.is_server_error() && answer.headers.contains_key("retry-after") {
            // Whoever was stopped for a while, with a whole machine, runs into time limits.
            answer = service.block_on(send(&service, request));
        }
        if !is_whole {
            ensure(answer.status == StatusCode::BAD_REQUEST, || format!("{}: {line}", answer.status))?;
            return Ok("no path, or two hosts".to_owned());
        }
        let kind = sound(&line, &answer)?;
        if is_create && answer.status == StatusCode::CREATED {
            let id = serde_json::from_slice::<Value>(&answer.body).map_err(|error| error.to_string())?["campaignId"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            service.block_on(created(&service, &id, who))?;
        }
        Ok(kind)
    })
}

/// Reads a request; who does not say who they are is an admin.
fn request(input: &[u8]) -> Option<Request<Full<Bytes>>> {
    let blank = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = blank.map_or((input, &[][..]), |at| (&input[..at], &input[at + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = std::str::from_utf8(lines.next()?).ok()?;
    let (method, path) = line.split_once(' ')?;
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).ok()?).uri(path);
    for header in lines {
        let at = header.iter().position(|byte| *byte == b':')?;
        request = request.header(&header[..at], header[at + 1..].trim_ascii());
    }
    let mut request = request.body(Full::new(Bytes::copy_from_slice(body))).ok()?;
    if !request.headers().contains_key("host") {
        request.headers_mut().insert("host", http::HeaderValue::from_static("h"));
    }
    if !request.headers().contains_key("authorization") {
        request.headers_mut().insert("authorization", http::HeaderValue::from_static("Bearer acme/admin"));
    }
    Some(request)
}

async fn send(service: &InProcess, request: Request<Full<Bytes>>) -> Answer {
    let routes = adapters_http::routes(std::sync::Arc::clone(&service.api));
    let response = adapters_http::server::service(routes).call(request).await.unwrap_or_else(|never| match never {});
    let (head, body) = response.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Answer { status: head.status, headers: head.headers, body }
}

/// What holds for every answer.
fn sound(line: &str, answer: &Answer) -> Result<String, String> {
    let status = answer.status;
    let shown = || String::from_utf8_lossy(&answer.body).chars().take(300).collect::<String>();
    // Nothing runs here that would give a sign of life.
    let is_unready = status == StatusCode::SERVICE_UNAVAILABLE && line.starts_with("GET /readyz");
    ensure(!status.is_server_error() || is_unready, || format!("{status}: {line}: {}", shown()))?;
    ensure(answer.headers.contains_key("x-request-id"), || "no request id".to_owned())?;
    ensure(answer.headers.contains_key("x-content-type-options"), || "no nosniff".to_owned())?;
    let kind = answer.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if status.is_client_error() {
        ensure(answer.body.len() <= MOST_PROBLEM, || format!("a problem of {} bytes", answer.body.len()))?;
        ensure(kind == "application/problem+json", || format!("a problem as {kind}"))?;
    }
    if !kind.contains("json") {
        return Ok(format!("{status} {kind}"));
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|error| format!("no JSON: {error}: {}", shown()))?;
    if status.is_client_error() {
        ensure(body["status"] == status.as_u16() && body["code"].is_string(), || format!("no problem: {}", shown()))?;
        let detail = body["detail"].as_str().unwrap_or_default();
        let pointer = body["errors"][0]["pointer"].as_str().unwrap_or_default();
        return Ok(format!("{status} {} {} {}", body["code"], pointer.len().min(40), rules::gist(detail)));
    }
    let operation: String =
        line.split(['?', '/']).take(5).filter(|part| part.bytes().all(|b| b.is_ascii_alphabetic())).collect();
    Ok(format!("{status} {operation} {}", body.as_object().map_or(0, serde_json::Map::len)))
}

/// What was created is there for its tenant, and for nobody else.
async fn created(service: &InProcess, id: &str, who: Option<http::HeaderValue>) -> Result<(), String> {
    ensure(rules::is_id(id), || format!("creates {id:?}"))?;
    let get = |who: http::HeaderValue| {
        Request::get(format!("/api/v1/campaigns/{id}"))
            .header("host", "h")
            .header("authorization", who)
            .body(Full::default())
            .map_err(|error| error.to_string())
    };
    let own = send(service, get(who.unwrap_or(http::HeaderValue::from_static("Bearer acme/admin")))?).await;
    ensure(own.status == StatusCode::OK, || format!("{id} is created and answers {}", own.status))?;
    let theirs = send(service, get(http::HeaderValue::from_static("Bearer not-acme/admin"))?).await;
    ensure(theirs.status == StatusCode::NOT_FOUND, || format!("another tenant gets {} for {id}", theirs.status))
}
