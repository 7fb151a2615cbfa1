//! Calls routes without a socket.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use lifecycle_adapters_http::{Api, Client, routes};
use serde_json::Value;

use crate::world::home;

pub(crate) const OPERATOR: &str = "acme/operator";
pub(crate) const SERVICE: &str = "acme/service";
pub(crate) const VIEWER: &str = "acme/viewer";

/// A request in the making.
pub(crate) struct Ask {
    api: Arc<Api>,
    request: http::request::Builder,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// `method path`, as an operator.
pub(crate) fn ask(api: &Arc<Api>, line: &str) -> Ask {
    ask_as(api, OPERATOR, line)
}

/// `method path`, with a token.
pub(crate) fn ask_as(api: &Arc<Api>, token: &str, line: &str) -> Ask {
    let mut ask = ask_bare(api, line);
    ask.request = ask.request.header("authorization", format!("Bearer {token}"));
    ask
}

/// `method path`, without a token.
pub(crate) fn ask_bare(api: &Arc<Api>, line: &str) -> Ask {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let request = Request::builder().method(method).uri(path).extension(Client(home()));
    Ask { api: Arc::clone(api), request, body: Vec::new() }
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text(&body.to_string())
    }

    pub(crate) fn text(self, body: &str) -> Self {
        self.header("content-type", "application/json").bytes(body.as_bytes())
    }

    pub(crate) fn bytes(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub(crate) async fn send(mut self) -> Answer {
        let body = Full::new(Bytes::from(std::mem::take(&mut self.body)));
        self.send_body(body).await
    }

    pub(crate) async fn send_body<B>(self, body: B) -> Answer
    where
        B: hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Sync + 'static,
    {
        let request = self.request.body(body).expect("a request");
        let service = TowerToHyperService::new(warp::service(routes(self.api)));
        let (head, body) = service.call(request).await.expect("routes never fail").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that it is a problem with this status and code; gives it.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["requestId"], self.header("x-request-id"));
        assert!(problem["title"].is_string() && problem["type"].is_string() && problem["detail"].is_string());
        problem
    }

    /// Checks the status; gives the body.
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self.json()
    }
}
