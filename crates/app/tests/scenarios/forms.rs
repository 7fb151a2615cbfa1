//! The many forms in which good requests come: ids, times, metadata, absent and null fields; and what goes back.

use serde_json::{Value, json};
use testkit::Plan;

use crate::service;

#[tokio::test]
async fn ids_are_text_or_integers_and_any_of_the_allowed_characters() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("x").with("campaignId", json!(42)).body()).await;
    assert_eq!(api.campaign("42").await["campaignId"], "42");
    api.post("/api/v1/campaigns", Plan::later("42").with("autoClose", json!(false)).body())
        .await
        .problem(409, "conflict");
    for id in ["a:b.c-d_E", "batch", "0192f3a0-7c1e-7000-8000-0123456789ab", &"x".repeat(64), "-", "a..b"] {
        api.create(Plan::later(id).body()).await;
        assert_eq!(api.campaign(id).await["campaignId"], id);
        let encoded = id.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        assert_eq!(api.campaign(&encoded).await["campaignId"], id, "percent-encoded");
        api.post(&format!("/api/v1/campaigns/{id}/cancel"), &json!({})).await.expect(200);
    }
    service.finish().await;
}

#[tokio::test]
async fn times_may_have_any_offset_and_come_back_in_utc() {
    let service = service().await;
    let api = service.admin();
    let plan = |id: &str, start: &str, end: &str| json!({"campaignId": id, "startTime": start, "endTime": end});
    let utc = api.create(&plan("utc", "2098-12-31T22:00:00Z", "2099-01-02T00:00:00.5Z")).await;
    assert_eq!(
        (&utc["startTime"], &utc["endTime"]),
        (&json!("2098-12-31T22:00:00Z"), &json!("2099-01-02T00:00:00.500Z"))
    );
    for (start, end) in [
        ("2099-01-01T00:00:00+02:00", "2099-01-02T02:00:00.500000+02:00"),
        ("2098-12-31T16:30:00-05:30", "2099-01-02T00:00:00.50Z"),
        ("2098-12-31t22:00:00z", "2099-01-02T00:00:00.5000009Z"),
    ] {
        let answer = api.post("/api/v1/campaigns", &plan("utc", start, end)).await;
        assert_eq!(answer.expect(200)["version"], 1, "{start} is the same instant");
    }
    for wrong in ["2099-01-01", "2099-01-01T00:00:00", "2099-13-01T00:00:00Z", "2099-01-01 00:00:00Z ", "now", ""] {
        api.post("/api/v1/campaigns", &plan("w", wrong, "2099-01-02T00:00:00Z")).await.problem(422, "invalid_field");
    }
    for (field, value) in [("durationHours", 2), ("durationMinutes", 120)] {
        let body = json!({"campaignId": field, "startTime": "2099-01-01T00:00:00Z", field: value});
        assert_eq!(api.create(&body).await["endTime"], "2099-01-01T02:00:00Z");
    }
    let agreeing = json!({
        "campaignId": "all", "startTime": "2099-01-01T00:00:00Z", "endTime": "2099-01-01T03:00:00+01:00",
        "durationHours": 2, "durationMinutes": 120,
    });
    api.create(&agreeing).await;
    service.finish().await;
}

#[tokio::test]
async fn metadata_is_returned_as_given_up_to_16_kib() {
    let service = service().await;
    let api = service.admin();
    let start = r#""startTime":"2099-01-01T00:00:00Z","durationHours":1"#;
    let given = r#"{"b":1.50,"a":[1e2,"ü","\u0041"],"c":12345678901234567890,"":{}}"#;
    let body = format!(r#"{{"campaignId":"m",{start},"metadata":{given}}}"#);
    let created = api.call("POST", "/api/v1/campaigns").body("application/json", body).send().await;
    created.expect(201);
    assert!(created.text.contains(given), "{}", created.text);
    let read = api.get("/api/v1/campaigns/m").await;
    assert!(read.text.contains(given), "{}", read.text);
    let of = |bytes: usize| json!({"k": "x".repeat(bytes - r#"{"k":""}"#.len())});
    let plan = Plan::later("full").with("metadata", of(16 * 1024));
    api.create(plan.body()).await;
    let over = Plan::later("over").with("metadata", of(16 * 1024 + 1));
    api.post("/api/v1/campaigns", over.body()).await.problem(422, "invalid_field");
    service.finish().await;
}

#[tokio::test]
async fn a_change_of_nothing_is_none_and_an_unknown_field_is_not_lost() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("c").with("metadata", json!({"a": 1})).body()).await;
    for nothing in [
        json!({}),
        json!({"endTime": null, "metadata": null, "autoClose": null}),
        json!({"metadata": {"a": 1}}),
        json!({"autoClose": true, "rewardsEnabled": true}),
        json!({"reason": "just so"}),
    ] {
        let answer = api.patch("/api/v1/campaigns/c", &nothing).await;
        assert_eq!(answer.expect(200)["version"], 1, "{nothing}");
    }
    for unknown in
        [json!({"status": "RUNNING"}), json!({"ownerId": "eve"}), json!({"policy": {}}), json!({"version": 9})]
    {
        api.patch("/api/v1/campaigns/c", &unknown).await.problem(422, "invalid_field");
    }
    api.post("/api/v1/campaigns/c/status", &json!({"to": "RUNNING", "by": "me"})).await.problem(422, "invalid_field");
    api.post("/api/v1/campaigns/c/status", &json!({"to": "running"})).await.problem(422, "invalid_field");
    api.post("/api/v1/campaigns/c/cancel", &json!({"reason": ""})).await.problem(422, "invalid_field");
    api.post("/api/v1/campaigns/c/cancel", &json!({"reason": "a\nb"})).await.problem(422, "invalid_field");
    api.post("/api/v1/campaigns/c/cancel", &json!({"reason": "x".repeat(501)})).await.problem(422, "invalid_field");
    api.patch("/api/v1/campaigns/c", &json!({"autoClose": false, "reason": "ü".repeat(250)})).await.expect(200);
    let cancelled = api.call("POST", "/api/v1/campaigns/c/cancel").send().await;
    assert_eq!(cancelled.expect(200)["status"], "CANCELLED", "a cancel needs no body");
    service.finish().await;
}

#[tokio::test]
async fn an_event_that_is_none_is_refused_at_the_door() {
    let service = service().await;
    let api = service.admin();
    let good = json!({"eventId": "e", "eventType": "campaign.cancelled", "data": {"campaignId": "c"}});
    let with = |field: &str, value: Value| {
        let mut event = good.clone();
        event[field] = value;
        event
    };
    for wrong in [
        json!({}),
        with("eventId", json!("")),
        with("eventId", json!("with space")),
        with("eventId", Value::Null),
        with("eventType", json!(7)),
        with("data", json!([])),
        with("data", json!("text")),
        with("data", Value::Null),
        with("timestamp", json!("today")),
        with("tenant", json!("other")),
        with("data", json!({"campaignId": "c", "pad": "x".repeat(70_000)})),
    ] {
        api.post("/api/v1/events", &wrong).await.problem(422, "invalid_field");
    }
    assert!(api.all("/api/v1/dlq").await.is_empty());
    service.finish().await;
}
