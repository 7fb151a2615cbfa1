//! Commands and questions, through the real application.

use serde_json::{Value, json};

use crate::client::{SERVICE, ask, ask_as};
use crate::world::World;

/// A campaign that starts in an hour.
pub(crate) fn definition(id: &str) -> Value {
    json!({ "campaignId": id, "startTime": "2026-11-23T11:00:00Z", "endTime": "2026-11-23T12:00:00Z" })
}

#[tokio::test]
async fn a_campaign_is_created_once() {
    let api = World::new().api();
    let first = ask_as(&api, SERVICE, "POST /api/v1/campaigns").json(&definition("a:1")).send().await;
    let campaign = first.ok(201);
    assert_eq!(first.header("etag"), "\"1\"");
    assert_eq!(campaign["campaignId"], "a:1");
    assert_eq!((&campaign["status"], &campaign["version"]), (&json!("CREATED"), &json!(1)));
    let location = first.header("location").to_owned();
    let found = ask(&api, &format!("GET {location}")).send().await;
    assert_eq!((found.ok(200), found.header("etag")), (campaign.clone(), "\"1\""));
    let again = ask(&api, "POST /api/v1/campaigns").json(&definition("a:1")).send().await;
    assert_eq!(again.ok(200), campaign);
    let mut other = definition("a:1");
    other["autoClose"] = json!(false);
    ask(&api, "POST /api/v1/campaigns").json(&other).send().await.problem(409, "conflict");
}

#[tokio::test]
async fn a_dry_run_tells_the_life_and_stores_nothing() {
    let api = World::new().api();
    let timeline = ask(&api, "POST /api/v1/campaigns?dryRun=true").json(&definition("a")).send().await.ok(200);
    assert!(timeline.to_string().contains("REWARD_CLAIM"), "{timeline}");
    ask(&api, "GET /api/v1/campaigns/a").send().await.problem(404, "unknown_campaign");
    let mut past = definition("a");
    past["startTime"] = json!("2020-01-01T00:00:00Z");
    past["endTime"] = json!("2020-01-01T01:00:00Z");
    ask(&api, "POST /api/v1/campaigns?dryRun=true").json(&past).send().await.problem(422, "invalid_campaign");
    ask(&api, "POST /api/v1/campaigns?dryRun=maybe").json(&past).send().await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn the_same_key_has_its_effect_once_and_the_same_answer() {
    let api = World::new().api();
    let create =
        |key: &str, body: Value| ask(&api, "POST /api/v1/campaigns").header("idempotency-key", key).json(&body).send();
    let first = create("k-1", definition("a")).await;
    let cancelled = ask(&api, "POST /api/v1/campaigns/a/cancel").send().await.ok(200);
    assert_eq!(cancelled["status"], "CANCELLED");
    let again = create("k-1", definition("a")).await;
    assert_eq!((again.ok(201), again.header("etag")), (first.ok(201), "\"1\""));
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    create("k-1", definition("b")).await.problem(409, "key_reused");
    for key in ["", "two words", &"k".repeat(256)] {
        create(key, definition("c")).await.problem(400, "invalid_header");
    }
}

#[tokio::test]
async fn a_refusal_is_replayed_too() {
    let api = World::new().api();
    ask(&api, "POST /api/v1/campaigns").json(&definition("a")).send().await.ok(201);
    let close = || {
        let body = json!({ "to": "CLOSED" });
        ask(&api, "POST /api/v1/campaigns/a/status").header("idempotency-key", "k").json(&body).send()
    };
    close().await.problem(409, "transition_not_allowed");
    ask(&api, "POST /api/v1/campaigns/a/status").json(&json!({ "to": "RUNNING" })).send().await.ok(200);
    let again = close().await;
    again.problem(409, "transition_not_allowed");
    assert_eq!(again.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn if_match_lets_one_version_through() {
    let api = World::new().api();
    ask(&api, "POST /api/v1/campaigns").json(&definition("a")).send().await.ok(201);
    let update = |tag: &str, auto_close: bool| {
        let body = json!({ "autoClose": auto_close });
        ask(&api, "PATCH /api/v1/campaigns/a").header("if-match", tag).json(&body).send()
    };
    let updated = update("\"1\"", false).await;
    assert_eq!((updated.ok(200)["autoClose"].clone(), updated.header("etag")), (json!(false), "\"2\""));
    update("\"1\"", true).await.problem(412, "version_mismatch");
    update("*", true).await.ok(200);
    for bad in ["1", "\"one\"", "W/\"3\"", "\"3\", \"4\"", "\"03\""] {
        update(bad, false).await.problem(400, "invalid_header");
    }
    let cancel = ask(&api, "POST /api/v1/campaigns/a/cancel").header("if-match", "\"2\"");
    cancel.send().await.problem(412, "version_mismatch");
    let start =
        ask(&api, "POST /api/v1/campaigns/a/status").header("if-match", "\"2\"").json(&json!({ "to": "RUNNING" }));
    start.send().await.problem(412, "version_mismatch");
}

#[tokio::test]
async fn if_none_match_spares_the_body() {
    let api = World::new().api();
    ask(&api, "POST /api/v1/campaigns").json(&definition("a")).send().await.ok(201);
    let get = |tag: &str| ask(&api, "GET /api/v1/campaigns/a").header("if-none-match", tag).send();
    for same in ["\"1\"", "W/\"1\"", "\"9\", \"1\"", "*"] {
        let answer = get(same).await;
        assert_eq!((answer.status.as_u16(), answer.body.len(), answer.header("etag")), (304, 0, "\"1\""), "{same}");
    }
    get("\"2\"").await.ok(200);
}

#[tokio::test]
async fn a_batch_gives_one_answer_each() {
    let api = World::new().api();
    ask(&api, "POST /api/v1/campaigns").json(&definition("old")).send().await.ok(201);
    let mut different = definition("old");
    different["rewardsEnabled"] = json!(false);
    let mut wrong = definition("wrong");
    wrong["endTime"] = json!("soon");
    let batch = json!({ "campaigns": [definition("new"), definition("old"), different, wrong, 5] });
    let post = || ask(&api, "POST /api/v1/campaigns/batch").header("idempotency-key", "b").json(&batch).send();
    let results = post().await.ok(200)["results"].as_array().expect("results").clone();
    let outcomes: Vec<_> = results.iter().map(|result| result["outcome"].as_str().expect("an outcome")).collect();
    assert_eq!(outcomes, ["created", "unchanged", "rejected", "rejected", "rejected"]);
    assert_eq!((&results[0]["campaignId"], &results[3]["campaignId"]), (&json!("new"), &json!("wrong")));
    let codes = [2, 3, 4].map(|index: usize| results[index]["problem"]["code"].clone());
    assert_eq!(codes, ["conflict", "invalid_field", "invalid_field"]);
    let again = post().await.ok(200);
    assert_eq!(
        (&again["results"][0]["outcome"], &again["results"][2]["outcome"]),
        (&json!("duplicate"), &json!("rejected"))
    );
    for count in [0, 1_001] {
        let batch = json!({ "campaigns": vec![json!({}); count] });
        ask(&api, "POST /api/v1/campaigns/batch").json(&batch).send().await.problem(422, "invalid_field");
    }
    let long = "k".repeat(255);
    let ask = ask(&api, "POST /api/v1/campaigns/batch").header("idempotency-key", &long).json(&batch);
    ask.send().await.problem(400, "invalid_header");
}

#[tokio::test]
async fn campaigns_are_listed_page_by_page() {
    let api = World::new().api();
    for id in ["a1", "a2", "b1"] {
        ask(&api, "POST /api/v1/campaigns").json(&definition(id)).send().await.ok(201);
    }
    let page = ask(&api, "GET /api/v1/campaigns?limit=2&status=CREATED,RUNNING").send().await.ok(200);
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2));
    let cursor = page["nextCursor"].as_str().expect("a cursor");
    let rest = ask(&api, &format!("GET /api/v1/campaigns?limit=2&cursor={cursor}")).send().await.ok(200);
    assert_eq!((rest["items"].as_array().map(Vec::len), &rest["nextCursor"]), (Some(1), &Value::Null));
    let found = ask(&api, "GET /api/v1/campaigns?q=a").send().await.ok(200);
    assert_eq!(found["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_timer_is_scheduled_executed_and_cancelled() {
    let api = World::new().api();
    ask(&api, "POST /api/v1/campaigns").json(&definition("a")).send().await.ok(201);
    let schedule = |name: &str| {
        let body = json!({ "name": name, "at": "2026-11-23T11:30:00Z", "payload": { "n": 1 } });
        ask(&api, "POST /api/v1/campaigns/a/timers").json(&body).send()
    };
    let timer = schedule("ping").await.ok(201);
    assert_eq!(
        (&timer["timerType"], &timer["name"], &timer["payload"]),
        (&json!("CUSTOM"), &json!("ping"), &json!({ "n": 1 }))
    );
    assert_eq!(schedule("ping").await.ok(200)["timerId"], timer["timerId"]);
    let id = timer["timerId"].as_str().expect("an id");
    ask(&api, &format!("POST /api/v1/campaigns/a/timers/{id}/execute")).send().await.ok(200);
    ask(&api, &format!("DELETE /api/v1/campaigns/a/timers/{id}")).send().await.problem(404, "unknown_timer");
    let other = schedule("pong").await.ok(201);
    let id = other["timerId"].as_str().expect("an id");
    ask(&api, &format!("DELETE /api/v1/campaigns/a/timers/{id}")).send().await.ok(200);
    let timers = ask(&api, "GET /api/v1/campaigns/a/timers").send().await.ok(200);
    let start = timers["items"].as_array().expect("items").iter().find(|t| t["timerType"] == "START_CAMPAIGN");
    let id = start.expect("a start timer")["timerId"].as_str().expect("an id");
    ask(&api, &format!("DELETE /api/v1/campaigns/a/timers/{id}")).send().await.problem(409, "timer_is_planned");
}

#[tokio::test]
async fn a_campaign_tells_its_history_and_its_future() {
    let api = World::new().api();
    ask(&api, "POST /api/v1/campaigns").json(&definition("a")).send().await.ok(201);
    let body = json!({ "to": "RUNNING", "reason": "now" });
    ask(&api, "POST /api/v1/campaigns/a/status").json(&body).send().await.ok(200);
    let page = ask(&api, "GET /api/v1/campaigns/a/transitions?limit=1").send().await.ok(200);
    assert_eq!((&page["items"][0]["fromStatus"], &page["items"][0]["toStatus"]), (&Value::Null, &json!("CREATED")));
    let cursor = page["nextCursor"].as_str().expect("a cursor");
    let page = ask(&api, &format!("GET /api/v1/campaigns/a/transitions?cursor={cursor}")).send().await.ok(200);
    assert_eq!((&page["items"][0]["toStatus"], &page["items"][0]["reason"]), (&json!("RUNNING"), &json!("now")));
    let bad = ask(&api, "GET /api/v1/campaigns/a/transitions?cursor=x").send().await;
    bad.problem(400, "invalid_parameter");
    let life = ask(&api, "GET /api/v1/campaigns/a/lifecycle").send().await.ok(200);
    assert_eq!(life["campaign"]["status"], "RUNNING");
    assert!(life.to_string().contains("REWARD_CLAIM"), "{life}");
}
