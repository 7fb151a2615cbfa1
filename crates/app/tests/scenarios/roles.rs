//! Who may do what: every route with every role.

use serde_json::json;
use testkit::{Plan, Role, Token};

use crate::service;

const VIEWER: &[Role] = &[Role::Viewer, Role::Operator, Role::Service, Role::Admin];
const ACT: &[Role] = &[Role::Operator, Role::Service, Role::Admin];
const OPERATE: &[Role] = &[Role::Operator, Role::Admin];
const SEND: &[Role] = &[Role::Service, Role::Admin];

/// Method, path below `/api/v1`, who may.
const ROUTES: &[(&str, &str, &[Role])] = &[
    ("POST", "/campaigns", ACT),
    ("POST", "/campaigns/batch", ACT),
    ("GET", "/campaigns", VIEWER),
    ("GET", "/campaigns/c", VIEWER),
    ("GET", "/campaigns/c/lifecycle", VIEWER),
    ("GET", "/campaigns/c/transitions", VIEWER),
    ("GET", "/campaigns/c/timers", VIEWER),
    ("PATCH", "/campaigns/c", ACT),
    ("POST", "/campaigns/c/cancel", ACT),
    ("POST", "/campaigns/c/status", ACT),
    ("POST", "/campaigns/c/timers", OPERATE),
    ("POST", "/campaigns/c/timers/0192f3a0-7c1e-7000-8000-0123456789ab/execute", OPERATE),
    ("DELETE", "/campaigns/c/timers/0192f3a0-7c1e-7000-8000-0123456789ab", OPERATE),
    ("GET", "/timers", VIEWER),
    ("GET", "/forecast", VIEWER),
    ("POST", "/events", SEND),
    ("GET", "/dlq", OPERATE),
    ("GET", "/dlq/0192f3a0-7c1e-7000-8000-0123456789ab", OPERATE),
    ("POST", "/dlq/0192f3a0-7c1e-7000-8000-0123456789ab/replay", OPERATE),
    ("POST", "/dlq/replay", OPERATE),
    ("DELETE", "/dlq/0192f3a0-7c1e-7000-8000-0123456789ab", OPERATE),
    ("GET", "/system", OPERATE),
    ("POST", "/system/recovery", OPERATE),
];

#[tokio::test]
async fn every_route_lets_in_exactly_its_roles() {
    let service = service().await;
    for (method, path, allowed) in ROUTES {
        let path = format!("/api/v1{path}");
        service.anonymous().call(method, &path).json(&json!({})).send().await.problem(401, "unauthenticated");
        for role in Role::ALL {
            let api = service.caller(&Token::of(&[role]));
            let answer = api.call(method, &path).json(&json!({})).send().await;
            if allowed.contains(&role) {
                assert!(
                    !matches!(answer.status, 401 | 403) && answer.status < 500,
                    "{role:?} {method} {path}: {answer:?}"
                );
            } else {
                answer.problem(403, "forbidden");
            }
        }
    }
    service.finish().await;
}

#[tokio::test]
async fn health_and_documents_need_no_token() {
    let service = service().await;
    let api = service.anonymous();
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs"] {
        api.get(path).await.expect(200);
    }
    let document = api.get("/openapi.json").await.json();
    for (method, path, _) in ROUTES {
        let path = path.replace("/campaigns/c", "/campaigns/{campaignId}");
        let path = path.replace("/timers/0192f3a0-7c1e-7000-8000-0123456789ab", "/timers/{timerId}");
        let path = path.replace("/dlq/0192f3a0-7c1e-7000-8000-0123456789ab", "/dlq/{letterId}");
        let operation = &document["paths"][format!("/api/v1{path}")][method.to_lowercase()];
        assert!(operation["operationId"].is_string(), "{method} {path} is not documented");
    }
    service.finish().await;
}

#[tokio::test]
async fn a_viewer_of_one_owner_sees_only_that_owners_campaigns() {
    let service = service().await;
    let admin = service.admin();
    for (id, owner) in [("a-1", "ada"), ("a-2", "ada"), ("e-1", "eve")] {
        admin.create(Plan::later(id).with("ownerId", json!(owner)).body()).await;
    }
    admin.create(Plan::later("nobodys").body()).await;
    let ada = service.caller(&Token::of(&[Role::Viewer]).owner("ada"));
    let ids: Vec<_> = ada.all("/api/v1/campaigns").await.into_iter().map(|c| c["campaignId"].clone()).collect();
    assert_eq!(ids, [json!("a-2"), json!("a-1")]);
    assert!(ada.all("/api/v1/campaigns?owner=eve").await.is_empty());
    for id in ["e-1", "nobodys"] {
        for path in ["", "/lifecycle", "/transitions", "/timers"] {
            ada.get(&format!("/api/v1/campaigns/{id}{path}")).await.problem(404, "unknown_campaign");
        }
    }
    let timers = ada.all("/api/v1/timers").await;
    assert_eq!(timers.len(), 4);
    assert!(timers.iter().all(|t| t["campaignId"].as_str().is_some_and(|id| id.starts_with("a-"))), "{timers:?}");
    ada.get("/api/v1/forecast").await.problem(403, "forbidden");
    service.finish().await;
}
