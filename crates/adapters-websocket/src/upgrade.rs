//! From an HTTP request to a WebSocket: the `warp` route, its checks, and where the token is looked for.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

use crate::Hub;

/// How long HTTP may take to hand the socket over.
const UPGRADE_LIMIT: Duration = Duration::from_secs(5);
/// The subprotocol that says: the next one in the list is a token.
const BEARER: &str = "bearer";
/// Query parameters that look like a token in the URL, where proxies and histories keep it.
const TOKEN_PARAMETERS: [&str; 4] = ["token", "access_token", "bearer", "jwt"];

/// `GET /ws`. Other paths and methods are left to other routes. `address` tells the client's address, for limits; with
/// `None` it is not counted by address.
pub fn routes<A>(hub: Arc<Hub>, address: A) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone
where
    A: Filter<Extract = (Option<IpAddr>,), Error = Infallible> + Clone + Send + Sync + 'static,
{
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::path("ws")
        .and(warp::path::end())
        .and(warp::get())
        .and(warp::header::headers_cloned())
        .and(query)
        .and(warp::ext::optional::<OnUpgrade>())
        .and(address)
        .map(move |headers: HeaderMap, query: String, upgrade: Option<OnUpgrade>, address: Option<IpAddr>| {
            match Handshake::check(&headers, &query, upgrade, &hub.settings.origins) {
                Ok(handshake) => answer(&hub, handshake, address),
                Err(problem) => problem.into_response(),
            }
        })
}

/// A request that may become a WebSocket.
struct Handshake {
    accept: String,
    upgrade: OnUpgrade,
    token: Option<String>,
    /// Whether the client speaks the subprotocol `bearer`.
    bearer: bool,
}

/// Why it may not.
struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
}

impl Problem {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut response = warp::reply::with_status(body.to_string(), self.status).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

impl Handshake {
    fn check(
        headers: &HeaderMap,
        query: &str,
        upgrade: Option<OnUpgrade>,
        origins: &[String],
    ) -> Result<Self, Problem> {
        if has_token(query) {
            return Err(Problem {
                status: StatusCode::BAD_REQUEST,
                code: "token_in_url",
                detail: "A token is never sent in the URL. Send it in the Authorization header, in the subprotocol list \
                         (`bearer, <token>`), or as the first frame: {\"action\":\"authenticate\",\"token\":\"…\"}.",
            });
        }
        if !is_allowed_origin(headers, origins) {
            return Err(Problem {
                status: StatusCode::FORBIDDEN,
                code: "origin_not_allowed",
                detail: "Pages of this origin may not connect.",
            });
        }
        let is_websocket = lists(headers, &CONNECTION, "upgrade")
            && lists(headers, &UPGRADE, "websocket")
            && lists(headers, &SEC_WEBSOCKET_VERSION, "13");
        let (Some(key), Some(upgrade), true) = (headers.get(SEC_WEBSOCKET_KEY), upgrade, is_websocket) else {
            return Err(Problem {
                status: StatusCode::UPGRADE_REQUIRED,
                code: "websocket_required",
                detail: "This is a WebSocket (version 13); connect with a WebSocket client.",
            });
        };
        let accept = derive_accept_key(key.as_bytes());
        let mut protocols = items(headers, &SEC_WEBSOCKET_PROTOCOL);
        let bearer = protocols.any(|p| p == BEARER);
        let in_list = if bearer { protocols.next().map(str::to_owned) } else { None };
        let in_header = headers.get(AUTHORIZATION).map(|value| bearer_token(value).unwrap_or_default().to_owned());
        Ok(Self { accept, upgrade, token: in_header.or(in_list), bearer })
    }
}

fn answer(hub: &Arc<Hub>, handshake: Handshake, address: Option<IpAddr>) -> Response {
    let Handshake { accept, upgrade, token, bearer } = handshake;
    let (Ok(accept), false) = (HeaderValue::try_from(accept), hub.is_stopping()) else {
        return Problem {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "stopping",
            detail: "The service is stopping; connect again in a moment.",
        }
        .into_response();
    };
    tokio::spawn(hub.serve(upgraded(upgrade), token, address));
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if bearer {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(BEARER));
    }
    response
}

/// The socket, once HTTP has let go of it.
async fn upgraded(upgrade: OnUpgrade) -> Option<TokioIo<Upgraded>> {
    match timeout(UPGRADE_LIMIT, upgrade).await {
        Ok(Ok(upgraded)) => Some(TokioIo::new(upgraded)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a WebSocket handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a WebSocket handshake took too long");
            None
        }
    }
}

fn has_token(query: &str) -> bool {
    query
        .split('&')
        .filter_map(|pair| pair.split('=').next())
        .any(|name| TOKEN_PARAMETERS.iter().any(|token| name.eq_ignore_ascii_case(token)))
}

/// Browsers send the origin of the page and let it connect anywhere; others send none.
fn is_allowed_origin(headers: &HeaderMap, origins: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let own = headers.get(HOST).and_then(|h| h.to_str().ok());
    let host = origin.split_once("://").map(|(_, host)| host);
    let same = host.zip(own).is_some_and(|(page, here)| page.eq_ignore_ascii_case(here));
    same || origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
}

fn items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(str::trim)
}

fn lists(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    items(headers, name).any(|item| item.eq_ignore_ascii_case(wanted))
}

fn bearer_token(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn tokens_in_the_url_are_seen() {
        for query in ["token=x", "a=1&access_token=x", "Token", "jwt=&b=2"] {
            assert!(has_token(query), "{query}");
        }
        for query in ["", "a=token", "mytoken=x", "v=1&since=5-1"] {
            assert!(!has_token(query), "{query}");
        }
    }

    #[test]
    fn a_page_connects_to_its_own_host_and_where_it_is_allowed() {
        let here = |origin: &str| headers(&[(HOST, "lifecycle.example:8080"), (ORIGIN, origin)]);
        let allowed = ["https://console.example".to_owned()];
        assert!(is_allowed_origin(&headers(&[(HOST, "lifecycle.example")]), &[]));
        assert!(is_allowed_origin(&here("http://lifecycle.example:8080"), &[]));
        assert!(is_allowed_origin(&here("https://console.example"), &allowed));
        assert!(is_allowed_origin(&here("https://any.example"), &["*".to_owned()]));
        for foreign in ["https://console.example.evil", "http://lifecycle.example", "null", "https://evil.example"] {
            assert!(!is_allowed_origin(&here(foreign), &allowed), "{foreign}");
        }
    }

    #[test]
    fn the_scheme_of_the_authorization_header_is_bearer_in_any_case() {
        let token = |value: &'static str| bearer_token(&HeaderValue::from_static(value)).map(str::to_owned);
        assert_eq!(token("Bearer a.b.c"), Some("a.b.c".to_owned()));
        assert_eq!(token("bearer a.b.c"), Some("a.b.c".to_owned()));
        assert_eq!(token("Basic a.b.c"), None);
        assert_eq!(token("a.b.c"), None);
    }
}
