//! The same command again: same answer, no effect.

use serde_json::{Value, json};
use testkit::{Answer, Api, Plan, Token};

use crate::service;

async fn keyed(api: &Api, method: &str, path: &str, key: &str, body: &Value) -> Answer {
    api.call(method, path).header("idempotency-key", key).json(body).send().await
}

fn is_replay(first: &Answer, again: &Answer) {
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.header("etag"), again.header("etag"));
}

#[tokio::test]
async fn a_key_seen_again_gets_the_first_answer_whatever_happened_since() {
    let service = service().await;
    let api = service.admin();
    let campaigns = "/api/v1/campaigns";
    let plan = Plan::later("once");
    let first = keyed(&api, "POST", campaigns, "create-1", plan.body()).await;
    first.expect(201);
    let patch = json!({"metadata": {"n": 1}});
    let patched = keyed(&api, "PATCH", "/api/v1/campaigns/once", "patch-1", &patch).await;
    patched.expect(200);
    api.move_to("once", "RUNNING").await.expect(200);

    is_replay(&first, &keyed(&api, "POST", campaigns, "create-1", plan.body()).await);
    is_replay(&patched, &keyed(&api, "PATCH", "/api/v1/campaigns/once", "patch-1", &patch).await);
    assert_eq!(api.campaign("once").await["version"], 3);

    let refused = keyed(&api, "POST", "/api/v1/campaigns/once/status", "move-1", &json!({"to": "REWARD_CLAIM"})).await;
    refused.problem(409, "transition_not_allowed");
    api.move_to("once", "CLOSED").await.expect(200);
    let again = keyed(&api, "POST", "/api/v1/campaigns/once/status", "move-1", &json!({"to": "REWARD_CLAIM"})).await;
    again.problem(409, "transition_not_allowed");
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "a refusal is an answer, too");
    assert_eq!(api.campaign("once").await["status"], "CLOSED");
    service.finish().await;
}

#[tokio::test]
async fn a_key_used_for_something_else_is_refused() {
    let service = service().await;
    let api = service.admin();
    keyed(&api, "POST", "/api/v1/campaigns", "k", Plan::later("a").body()).await.expect(201);
    keyed(&api, "POST", "/api/v1/campaigns", "k", Plan::later("b").body()).await.problem(409, "key_reused");
    keyed(&api, "POST", "/api/v1/campaigns/a/cancel", "k", &json!({})).await.problem(409, "key_reused");
    api.get("/api/v1/campaigns/b").await.problem(404, "unknown_campaign");
    assert_eq!(api.campaign("a").await["status"], "CREATED");
    for key in ["", "with space", "ümlaut", &"k".repeat(256)] {
        keyed(&api, "POST", "/api/v1/campaigns", key, Plan::later("c").body()).await.problem(400, "invalid_header");
    }
    let other = service.caller(&Token::of(&[testkit::Role::Admin]).tenant("other"));
    keyed(&other, "POST", "/api/v1/campaigns", "k", Plan::later("b").body()).await.expect(201);
    service.finish().await;
}

#[tokio::test]
async fn an_equal_campaign_again_is_no_news_and_a_different_one_a_conflict() {
    let service = service().await;
    let api = service.admin();
    let plan = Plan::later("same").with("metadata", json!({"a": 1}));
    let created = api.create(plan.body()).await;
    let again = api.post("/api/v1/campaigns", plan.body()).await;
    assert_eq!(again.expect(200), created);
    api.post("/api/v1/campaigns", plan.clone().with("autoClose", json!(false)).body()).await.problem(409, "conflict");
    // Equal is what it was created as, not what it has become.
    api.patch("/api/v1/campaigns/same", &json!({"metadata": {"a": 2}})).await.expect(200);
    api.move_to("same", "RUNNING").await.expect(200);
    assert_eq!(api.post("/api/v1/campaigns", plan.body()).await.expect(200)["version"], 3);
    let other = service.caller(&Token::of(&[testkit::Role::Admin]).tenant("other"));
    other.create(plan.with("autoClose", json!(false)).body()).await;
    service.finish().await;
}

#[tokio::test]
async fn a_batch_answers_each_and_can_be_repeated() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("taken").body()).await;
    let good: Vec<Value> = (0..5).map(|n| Plan::later(&format!("b-{n}")).body().clone()).collect();
    let mut campaigns = good.clone();
    campaigns.push(Plan::later("taken").with("autoClose", json!(false)).body().clone());
    campaigns.push(json!({"campaignId": "no-window"}));
    campaigns.push(json!("nonsense"));
    let body = json!({ "campaigns": campaigns });
    let outcomes = |answer: &Value| -> Vec<String> {
        let results = answer["results"].as_array().expect("results");
        results.iter().map(|r| r["outcome"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let first = keyed(&api, "POST", "/api/v1/campaigns/batch", "batch-1", &body).await.expect(200);
    let mut expected = vec!["created"; 5];
    expected.extend(["rejected"; 3]);
    assert_eq!(outcomes(&first), expected, "{first:#}");
    assert_eq!(first["results"][5]["problem"]["code"], "conflict", "{first:#}");
    assert_eq!(first["results"][6]["campaignId"], "no-window", "{first:#}");
    let again = keyed(&api, "POST", "/api/v1/campaigns/batch", "batch-1", &body).await.expect(200);
    expected.splice(..5, ["duplicate"; 5]);
    assert_eq!(outcomes(&again), expected, "{again:#}");
    let unkeyed = api.post("/api/v1/campaigns/batch", &json!({ "campaigns": good })).await.expect(200);
    assert_eq!(outcomes(&unkeyed), ["unchanged"; 5], "{unkeyed:#}");
    let many: Vec<Value> = (0..1001).map(|n| Plan::later(&format!("m-{n}")).body().clone()).collect();
    api.post("/api/v1/campaigns/batch", &json!({ "campaigns": many })).await.problem(422, "invalid_field");
    api.post("/api/v1/campaigns/batch", &json!({ "campaigns": [] })).await.problem(422, "invalid_field");
    assert_eq!(api.all("/api/v1/campaigns").await.len(), 6);
    service.finish().await;
}

#[tokio::test]
async fn answers_are_remembered_across_a_crash() {
    let mut service = service().await;
    let plan = Plan::later("durable");
    let first = keyed(&service.admin(), "POST", "/api/v1/campaigns", "k-1", plan.body()).await;
    first.expect(201);
    service.kill().await;
    service.launch().await;
    is_replay(&first, &keyed(&service.admin(), "POST", "/api/v1/campaigns", "k-1", plan.body()).await);
    service.finish().await;
}

#[tokio::test]
async fn fifty_at_once_with_one_key_have_one_effect_and_one_answer() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("c").body()).await;
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let call = api.call("PATCH", "/api/v1/campaigns/c").header("idempotency-key", "all-together");
            tokio::spawn(call.json(&json!({"metadata": {"a": 1}})).send())
        })
        .collect();
    let mut replayed = 0;
    for call in calls {
        let answer = call.await.expect("no panic");
        assert_eq!(answer.expect(200)["version"], 2);
        replayed += u32::from(answer.header("idempotency-replayed") == Some("true"));
    }
    assert_eq!(replayed, 49);
    let calls: Vec<_> = (0..50)
        .map(|_| {
            Plan::later("d")
                .with("startTime", json!("2099-01-01T00:00:00Z"))
                .with("endTime", json!("2099-01-02T00:00:00Z"))
        })
        .map(|plan| tokio::spawn(api.call("POST", "/api/v1/campaigns").json(plan.body()).send()))
        .collect();
    let mut created = 0;
    for call in calls {
        match call.await.expect("no panic").status {
            201 => created += 1,
            status => assert_eq!(status, 200),
        }
    }
    assert_eq!(created, 1);
    service.finish().await;
}
