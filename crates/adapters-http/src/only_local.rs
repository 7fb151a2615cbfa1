//! The guard of a service that asks for no token: what other web pages send, by whatever trick, is refused.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode};
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::reply::Response;

use crate::Api;
use crate::problem::ApiError;
use crate::reply::respond;
use crate::routes::fresh_request_id;

/// Answers what may not pass, with 403, and leaves everything else to the routes after it. A page of another origin may not
/// call; nor may a page whose own name was made to lead here (DNS rebinding): the `Host` must be a name of this machine.
/// The origins of `/ws` are checked there.
pub fn only_local(api: Arc<Api>) -> BoxedFilter<(Response,)> {
    warp::path::full()
        .and(warp::header::headers_cloned())
        .and_then(move |path: FullPath, headers: HeaderMap| {
            let refused = refusal(path.as_str(), &headers).map(|error| {
                metrics::counter!("lifecycle_http_foreign_requests_total").increment(1);
                respond(Err(error), &fresh_request_id(&api))
            });
            std::future::ready(refused.ok_or_else(warp::reject::not_found))
        })
        .boxed()
}

fn refusal(path: &str, headers: &HeaderMap) -> Option<ApiError> {
    let forbidden = |detail| Some(ApiError::new(StatusCode::FORBIDDEN, "origin_not_allowed", detail));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_this_machine) {
        return forbidden("authentication is off: call this service by a name of this machine, such as localhost");
    }
    let origin = headers.get(ORIGIN).filter(|_| path != "/ws");
    let own = |origin: &HeaderValue| {
        let page = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, page)| page);
        page.zip(host).is_some_and(|(page, host)| page.eq_ignore_ascii_case(host))
    };
    if origin.is_some_and(|origin| !own(origin)) {
        return forbidden("authentication is off: pages of other origins may not call this service");
    }
    None
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|a| a.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(path: &str, host: &'static str, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
        refusal(path, &headers).is_some()
    }

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        for host in ["localhost", "LOCALHOST:8080", "app.localhost:1", "127.0.0.1:8080", "127.8.9.1", "[::1]:8080"] {
            assert!(!is_refused("/", host, None), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1:8080", "[::2]", "127.0.0.1.evil.example", ""] {
            assert!(is_refused("/", host, None), "{host}");
        }
        assert!(refusal("/", &HeaderMap::new()).is_some());
    }

    #[test]
    fn a_page_calls_only_its_own_origin() {
        let host = "localhost:8080";
        assert!(!is_refused("/api/v1/campaigns", host, Some("http://localhost:8080")));
        for origin in ["http://evil.example", "http://localhost:3000", "null", "http://127.0.0.1:8080"] {
            assert!(is_refused("/api/v1/campaigns", host, Some(origin)), "{origin}");
            assert!(!is_refused("/ws", host, Some(origin)), "checked there: {origin}");
        }
    }
}
