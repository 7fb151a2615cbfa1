//! Paths, methods, and what every response has.

use std::sync::atomic::Ordering;

use lifecycle_adapters_http::Operation;

use crate::client::{ask, ask_bare};
use crate::world::World;

#[tokio::test]
async fn an_unknown_path_is_404_with_or_without_a_token() {
    let api = World::new().api();
    for path in ["/nothing", "/api/v1", "/api/v1/campaigns/", "/api/v2/campaigns", "/api/v1/campaigns/a/b/c/d", "//"] {
        ask(&api, &format!("GET {path}")).send().await.problem(404, "not_found");
        ask_bare(&api, &format!("POST {path}")).send().await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn another_method_is_405_and_allow_tells_which() {
    let api = World::new().api();
    let answer = ask(&api, "DELETE /api/v1/campaigns").send().await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "POST, GET, HEAD, OPTIONS");
    let answer = ask(&api, "PUT /api/v1/campaigns/a").send().await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, PATCH, HEAD, OPTIONS");
}

#[tokio::test]
async fn options_tells_what_is_allowed() {
    let answer = ask_bare(&World::new().api(), "OPTIONS /api/v1/timers").send().await;
    assert_eq!((answer.status.as_u16(), answer.header("allow"), answer.body.len()), (204, "GET, HEAD, OPTIONS", 0));
}

#[tokio::test]
async fn head_is_what_get_is() {
    let api = World::new().api();
    for path in ["/livez", "/api/v1/campaigns", "/api/v1/campaigns/none"] {
        let get = ask(&api, &format!("GET {path}")).send().await;
        let head = ask(&api, &format!("HEAD {path}")).send().await;
        assert_eq!((get.status, get.header("content-type")), (head.status, head.header("content-type")));
    }
}

#[tokio::test]
async fn a_request_id_is_kept_when_it_is_one_and_made_when_not() {
    let api = World::new().api();
    let with = |id: &str| ask(&api, "GET /api/v1/nothing").header("x-request-id", id).send();
    assert_eq!(with("my-request.1").await.problem(404, "not_found")["requestId"], "my-request.1");
    for bad in ["", "two words", &"x".repeat(129)] {
        let answer = with(bad).await;
        answer.problem(404, "not_found");
        assert_eq!(answer.header("x-request-id").len(), 36, "{bad:?}");
    }
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let api = World::new().api();
    for path in ["/livez", "/docs", "/api/v1/campaigns", "/nothing"] {
        let answer = ask(&api, &format!("GET {path}")).send().await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert!(answer.header("cache-control").contains("no-"), "{path}");
    }
}

#[tokio::test]
async fn unknown_and_repeated_query_parameters_are_refused() {
    let api = World::new().api();
    let cases = [
        ("/api/v1/campaigns?limt=5", "limt"),
        ("/api/v1/campaigns?limit=5&limit=6", "limit"),
        ("/api/v1/campaigns?limit=0", "limit"),
        ("/api/v1/campaigns?limit=201", "limit"),
        ("/api/v1/campaigns?limit=x", "limit"),
        ("/api/v1/campaigns?cursor=", "cursor"),
        ("/api/v1/campaigns?cursor=made-up", "cursor"),
        ("/api/v1/campaigns?status=RUNNING,DONE", "status"),
        ("/api/v1/campaigns?from=today", "from"),
        ("/api/v1/campaigns?owner=a%20b", "owner"),
        ("/api/v1/campaigns?access_token=secret", "access_token"),
        ("/api/v1/timers?state=all", "state"),
        ("/api/v1/forecast?bucket=0", "bucket"),
        ("/api/v1/forecast?bucket=1", "bucket"),
        ("/api/v1/forecast?from=2026-11-23T10:00:00Z&to=2026-11-23T10:00:00Z", "to"),
        ("/api/v1/dlq?state=lost", "state"),
        ("/api/v1/dlq?kind=letter", "kind"),
    ];
    for (path, name) in cases {
        let problem = ask(&api, &format!("GET {path}")).send().await.problem(400, "invalid_parameter");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(name)), "{path}: {problem}");
    }
}

#[tokio::test]
async fn an_id_that_cannot_be_is_like_one_that_is_not() {
    let api = World::new().api();
    let absent = ask(&api, "GET /api/v1/campaigns/none").send().await.problem(404, "unknown_campaign");
    for id in ["%FF", "a%2Fb", "%20", &"x".repeat(65)] {
        let problem = ask(&api, &format!("GET /api/v1/campaigns/{id}")).send().await.problem(404, "unknown_campaign");
        assert_eq!(problem["detail"], absent["detail"]);
    }
    ask(&api, "DELETE /api/v1/campaigns/a/timers/first").send().await.problem(404, "unknown_timer");
    ask(&api, "GET /api/v1/dlq/first").send().await.problem(404, "unknown_letter");
}

#[tokio::test]
async fn a_store_that_is_down_is_503_and_nobody_learns_why() {
    let world = World::new();
    let api = world.api();
    world.store_is_down.store(true, Ordering::Relaxed);
    for path in ["/api/v1/campaigns", "/api/v1/campaigns/a", "/api/v1/system"] {
        let answer = ask(&api, &format!("GET {path}")).send().await;
        answer.problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    }
    let problem = ask_bare(&api, "GET /readyz").send().await.problem(503, "not_ready");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("store")), "{problem}");
    ask_bare(&api, "GET /livez").send().await.ok(200);
}

#[tokio::test]
async fn a_panic_is_500_and_the_next_request_is_served() {
    let world = World::new();
    let api = world.api();
    world.store_panics.store(true, Ordering::Relaxed);
    ask(&api, "GET /api/v1/campaigns/a").send().await.problem(500, "internal");
    world.store_panics.store(false, Ordering::Relaxed);
    ask(&api, "GET /api/v1/campaigns/a").send().await.problem(404, "unknown_campaign");
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_503() {
    let world = World::new();
    let api = world.api();
    world.store_hangs.store(true, Ordering::Relaxed);
    let answer = ask(&api, "GET /api/v1/campaigns/a").send().await;
    answer.problem(503, "timeout");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn health_and_documentation_need_no_token() {
    let api = World::new().api();
    for operation in
        Operation::ALL.iter().filter(|o| matches!(o.spec().access, lifecycle_adapters_http::Access::Public))
    {
        let path = operation.spec().path.replace("{file}", "swagger-ui.css");
        let answer = ask_bare(&api, &format!("GET {path}")).send().await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        assert!(!answer.body.is_empty(), "{path}");
    }
    assert_eq!(ask_bare(&api, "GET /metrics").send().await.body, "some_metric 1\n");
    assert_eq!(ask_bare(&api, "GET /readyz?verbose").send().await.ok(200)["checks"]["store"], "ok");
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let api = World::new().api();
    let page = ask_bare(&api, "GET /docs").send().await;
    let html = String::from_utf8(page.body.to_vec()).expect("UTF-8");
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("//cdn"), "{html}");
    let links = html.split(['"']).filter(|part| part.starts_with("docs/"));
    let mut parts = 0;
    for link in links {
        let answer = ask_bare(&api, &format!("GET /{link}")).send().await;
        assert_eq!(answer.status.as_u16(), 200, "{link}");
        parts += 1;
    }
    assert_eq!(parts, 4);
    ask_bare(&api, "GET /docs/index.html").send().await.problem(404, "not_found");
    ask_bare(&api, "GET /docs/..").send().await.problem(404, "not_found");
}
