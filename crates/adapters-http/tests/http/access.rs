//! Tokens, roles, tenants, owners, rate limits.

use std::sync::atomic::Ordering;

use lifecycle_adapters_http::{Access, Effect, Operation};
use ports::auth::Role;
use ports::limits::LimitKey;
use serde_json::json;

use crate::campaigns::definition;
use crate::client::{SERVICE, VIEWER, ask, ask_as, ask_bare};
use crate::world::{World, home};

fn path_of(operation: Operation) -> String {
    let id = "0192f3a0-7c1e-7000-8000-0123456789ab";
    let path = operation.spec().path;
    path.replace("{campaignId}", "none").replace("{timerId}", id).replace("{letterId}", id)
}

#[tokio::test]
async fn every_route_takes_exactly_the_roles_of_the_table() {
    let api = World::new().api();
    for operation in Operation::ALL {
        let spec = operation.spec();
        let Access::Roles(roles) = spec.access else { continue };
        let line = format!("{} {}", spec.method, path_of(*operation));
        for role in Role::ALL {
            let answer = ask_as(&api, &format!("acme/{}", role.as_str()), &line).json(&json!({})).send().await;
            if role == Role::Admin || roles.contains(&role) {
                let status = answer.status.as_u16();
                assert!(![401, 403].contains(&status) && status < 500, "{line} as {role:?}: {answer:?}");
            } else {
                answer.problem(403, "forbidden");
            }
        }
        let answer = ask_bare(&api, &line).json(&json!({})).send().await;
        answer.problem(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"lifecycle\"");
    }
}

#[test]
fn the_table_says_what_the_design_says() {
    let roles = |operation: Operation| match operation.spec().access {
        Access::Public => Vec::new(),
        Access::Roles(roles) => roles.to_vec(),
    };
    for operation in
        [Operation::CreateCampaign, Operation::UpdateCampaign, Operation::CancelCampaign, Operation::ChangeStatus]
    {
        assert_eq!(roles(operation), [Role::Operator, Role::Service]);
    }
    for operation in
        [Operation::ScheduleTimer, Operation::ExecuteTimer, Operation::CancelTimer, Operation::ListDeadLetters]
    {
        assert_eq!(roles(operation), [Role::Operator]);
    }
    assert_eq!(roles(Operation::AppendEvent), [Role::Service]);
    for operation in Operation::ALL.iter().filter(|o| o.spec().effect != Effect::Read) {
        assert!(!roles(*operation).is_empty() && !roles(*operation).contains(&Role::Viewer), "{operation:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_401_with_the_reason() {
    let api = World::new().api();
    for (token, reason) in
        [("garbage", "malformed"), ("expired/viewer", "expired"), ("acme/king", "signature"), ("a b/viewer", "claim")]
    {
        let answer = ask_as(&api, token, "GET /api/v1/campaigns").send().await;
        let problem = answer.problem(401, "unauthenticated");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(reason)), "{problem}");
        assert!(answer.header("www-authenticate").contains("invalid_token"));
    }
}

#[tokio::test]
async fn nothing_of_another_tenant_is_seen() {
    let api = World::new().api();
    ask(&api, "POST /api/v1/campaigns").json(&definition("a")).send().await.ok(201);
    let other = "rival/operator";
    for path in ["", "/lifecycle", "/transitions", "/timers"] {
        ask_as(&api, other, &format!("GET /api/v1/campaigns/a{path}")).send().await.problem(404, "unknown_campaign");
    }
    let list = ask_as(&api, other, "GET /api/v1/campaigns").send().await.ok(200);
    assert_eq!(list["items"], json!([]));
    ask_as(&api, other, "POST /api/v1/campaigns/a/cancel").send().await.problem(404, "unknown_campaign");
    assert_eq!(ask(&api, "GET /api/v1/campaigns/a").send().await.ok(200)["status"], "CREATED");
}

#[tokio::test]
async fn who_is_bound_to_an_owner_sees_only_what_is_theirs() {
    let api = World::new().api();
    for (id, owner) in [("hers", "ann"), ("his", "bob")] {
        let mut campaign = definition(id);
        campaign["ownerId"] = json!(owner);
        ask(&api, "POST /api/v1/campaigns").json(&campaign).send().await.ok(201);
    }
    ask(&api, "POST /api/v1/campaigns").json(&definition("nobodys")).send().await.ok(201);
    let ann = "acme/viewer/ann";
    let absent = ask_as(&api, ann, "GET /api/v1/campaigns/none").send().await.problem(404, "unknown_campaign");
    for id in ["his", "nobodys"] {
        for path in ["", "/lifecycle", "/transitions", "/timers"] {
            let answer = ask_as(&api, ann, &format!("GET /api/v1/campaigns/{id}{path}")).send().await;
            assert_eq!(answer.problem(404, "unknown_campaign")["detail"], absent["detail"], "{id}{path}");
        }
    }
    for path in ["", "/lifecycle", "/transitions", "/timers"] {
        ask_as(&api, ann, &format!("GET /api/v1/campaigns/hers{path}")).send().await.ok(200);
    }
    let ids = |list: serde_json::Value| -> Vec<String> {
        let items = list["items"].as_array().expect("items").clone();
        items.iter().map(|item| item["campaignId"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(ask_as(&api, ann, "GET /api/v1/campaigns").send().await.ok(200)), ["hers"]);
    assert_eq!(ids(ask_as(&api, ann, "GET /api/v1/campaigns?owner=ann").send().await.ok(200)), ["hers"]);
    assert!(ids(ask_as(&api, ann, "GET /api/v1/campaigns?owner=bob").send().await.ok(200)).is_empty());
    ask_as(&api, ann, "GET /api/v1/forecast").send().await.problem(403, "forbidden");
    ask_as(&api, VIEWER, "GET /api/v1/forecast").send().await.ok(200);
}

#[tokio::test]
async fn who_is_bound_to_an_owner_acts_only_on_what_is_theirs_whatever_the_role() {
    let api = World::new().api();
    let of = |id: &str, owner: &str| {
        let mut campaign = definition(id);
        campaign["ownerId"] = json!(owner);
        campaign
    };
    for (id, owner) in [("hers", "ann"), ("his", "bob")] {
        ask(&api, "POST /api/v1/campaigns").json(&of(id, owner)).send().await.ok(201);
    }
    for role in ["operator", "service", "admin"] {
        let ann = format!("acme/{role}/ann");
        let as_ann = |line: &str| ask_as(&api, &ann, line);
        as_ann("GET /api/v1/campaigns/his").send().await.problem(404, "unknown_campaign");
        as_ann("GET /api/v1/campaigns/hers").send().await.ok(200);
        as_ann("POST /api/v1/campaigns/his/cancel").send().await.problem(404, "unknown_campaign");
        as_ann("PATCH /api/v1/campaigns/his").json(&json!({})).send().await.problem(404, "unknown_campaign");
        as_ann("PATCH /api/v1/campaigns/hers").json(&json!({})).send().await.ok(200);
        as_ann("POST /api/v1/campaigns").json(&of("other", "bob")).send().await.problem(403, "forbidden");
        as_ann("POST /api/v1/campaigns").json(&definition("none")).send().await.problem(403, "forbidden");
        as_ann("POST /api/v1/campaigns").json(&of(role, "ann")).send().await.ok(201);
        let batch = json!({ "campaigns": [of("b", "bob"), of(&format!("{role}-2"), "ann")] });
        let results = as_ann("POST /api/v1/campaigns/batch").json(&batch).send().await.ok(200);
        assert_eq!(results["results"][0]["problem"]["code"], "forbidden", "{results}");
        assert_eq!(results["results"][1]["outcome"], "created", "{results}");
    }
    let (operator, service) = ("acme/operator/ann", "acme/service/ann");
    for line in ["GET /api/v1/dlq", "GET /api/v1/system", "POST /api/v1/system/recovery"] {
        ask_as(&api, operator, line).send().await.problem(403, "forbidden");
    }
    ask_as(&api, service, "POST /api/v1/events").json(&json!({})).send().await.problem(403, "forbidden");
    assert_eq!(ask(&api, "GET /api/v1/campaigns/his").send().await.ok(200)["status"], "CREATED");
}

#[tokio::test]
async fn too_many_requests_of_a_token_are_429_with_the_wait() {
    let world = World::new();
    let api = world.api();
    world.calls_left.store(1, Ordering::Relaxed);
    ask_as(&api, SERVICE, "GET /api/v1/campaigns").send().await.ok(200);
    let answer = ask_as(&api, SERVICE, "GET /api/v1/campaigns").send().await;
    answer.problem(429, "rate_limited");
    let headers = ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
    assert_eq!(headers.map(|name| answer.header(name)), ["2", "200", "0", "2"]);
    let key = LimitKey::Token("acme/the-service".to_owned());
    assert_eq!(*world.limited.lock().expect("no panic"), [key.clone(), key]);
    ask_bare(&api, "GET /livez").send().await.ok(200);
}

#[tokio::test]
async fn too_many_bad_tokens_of_an_address_are_429() {
    let world = World::new();
    let api = world.api();
    world.calls_left.store(1, Ordering::Relaxed);
    ask_as(&api, "garbage", "GET /api/v1/campaigns").send().await.problem(401, "unauthenticated");
    let answer = ask_bare(&api, "GET /api/v1/campaigns").send().await;
    answer.problem(429, "rate_limited");
    assert_eq!(answer.header("ratelimit-limit"), "20");
    let key = LimitKey::Address(home());
    assert_eq!(*world.limited.lock().expect("no panic"), [key.clone(), key]);
}
