//! From a request to its response: one warp filter that takes everything, one order of checks for every route.

use std::sync::Arc;
use std::time::Instant;

use bytes::Buf;
use futures_util::Stream;
use futures_util::future::Either;
use http::header::{ALLOW, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::reply::Response;

use crate::operation::{Effect, Found, Operation, allowed, find};
use crate::problem::ApiError;
use crate::reply::{REQUEST_ID, Reply, respond};
use crate::request::{Call, Query, take_body};
use crate::server::Client;
use crate::{Api, gate, handlers};

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const MAX_REQUEST_ID: usize = 128;
const MAX_CORRELATION_ID: usize = 255;

/// All routes. The filter answers every request, unknown paths included: other filters go before it.
pub fn routes(api: Arc<Api>) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Client>())
        .and(warp::body::stream())
        .then(move |method, path: FullPath, query, headers, client, body| {
            let request = Request { method, path: path.as_str().to_owned(), query, headers, client };
            let api = Arc::clone(&api);
            async move { answer(api, request, body).await }
        })
        .boxed()
}

/// A request as it came, but for its body.
struct Request {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    client: Option<Client>,
}

impl Request {
    /// A header that names something, if it is a name.
    fn name(&self, header: &HeaderName, max: usize) -> Option<&HeaderValue> {
        let is_name = |value: &&HeaderValue| {
            (1..=max).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        self.headers.get(header).filter(is_name)
    }
}

/// What an answer is found by in the log, where its sender gave nothing.
pub(crate) fn fresh_request_id(api: &Api) -> HeaderValue {
    HeaderValue::try_from(api.ids.next().to_string()).expect("a UUID is a header value")
}

async fn answer<S, B, E>(api: Arc<Api>, request: Request, body: S) -> Response
where
    S: Stream<Item = Result<B, E>> + Send,
    B: Buf + Send,
    E: Send,
{
    let started = Instant::now();
    let request_id = request.name(&REQUEST_ID, MAX_REQUEST_ID).cloned().unwrap_or_else(|| fresh_request_id(&api));
    let id = String::from_utf8_lossy(request_id.as_bytes()).into_owned();
    let (operation, answer) = match find(&request.method, &request.path) {
        Found::NoSuchPath => ("none", Err(ApiError::no_such_path())),
        Found::OtherMethods(others) => {
            let allowed = allowed(&others);
            let answer = if request.method == Method::OPTIONS {
                HeaderValue::from_str(&allowed)
                    .map(|value| Reply::empty(StatusCode::NO_CONTENT).with(ALLOW, value))
                    .map_err(|error| ApiError::internal(&error))
            } else {
                Err(ApiError::method_not_allowed(&allowed))
            };
            ("none", answer)
        }
        Found::Operation(operation, parameters) => {
            let parameters = parameters.into_iter().map(str::to_owned).collect();
            let name = operation.spec().id;
            let span = tracing::info_span!("http", operation = name, request_id = %id);
            (name, run(api, operation, parameters, request, id, body).instrument(span).await)
        }
    };
    let response = respond(answer, &request_id);
    tracing::debug!(
        operation,
        request_id = ?request_id,
        status = response.status().as_u16(),
        elapsed = ?started.elapsed(),
        "answered"
    );
    let status = match response.status().as_u16() / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("lifecycle_http_requests_total", "operation" => operation, "status" => status).increment(1);
    metrics::histogram!("lifecycle_http_request_duration_seconds", "operation" => operation, "status" => status)
        .record(started.elapsed());
    response
}

async fn run<S, B, E>(
    api: Arc<Api>,
    operation: Operation,
    parameters: Vec<String>,
    request: Request,
    request_id: String,
    body: S,
) -> Result<Reply, ApiError>
where
    S: Stream<Item = Result<B, E>>,
    B: Buf,
{
    let spec = operation.spec();
    let address = request.client.map(|client| client.0);
    let caller = gate::admit(&api, operation, &request.headers, address).await?;
    let query = Query::read(&request.query, operation)?;
    let (body, share) = take_body(body, &request.headers, operation).await?;
    let correlation = match request.name(&CORRELATION_ID, MAX_CORRELATION_ID) {
        Some(value) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        None => request_id,
    };
    let Request { path, headers, .. } = request;
    let call = Call { operation, path, parameters, query, headers, body, _share: share, caller, correlation };
    // In a task of its own: what acts is carried out to its end also when its caller goes away or is sent away, and a
    // panic is an answer. What only reads ends with its caller.
    let task = tokio::spawn(async move { handlers::run(&api, &call).await }.in_current_span());
    let task = match spec.effect {
        Effect::Read => Either::Left(AbortOnDropHandle::new(task)),
        Effect::Command { .. } | Effect::Action => Either::Right(task),
    };
    match tokio::time::timeout(spec.time_limit, task).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => Err(ApiError::internal(&panic)),
        Err(_) => Err(ApiError::timed_out()),
    }
}
