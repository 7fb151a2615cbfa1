//! CUSTOM timers: scheduled, fired, executed early, cancelled, ended with their campaign.

use serde_json::{Value, json};
use testkit::{Api, Plan, in_seconds, until};

use crate::service;

async fn schedule(api: &Api, id: &str, name: &str, seconds: f64) -> Value {
    let body = json!({"name": name, "at": in_seconds(seconds), "payload": {"to": "everybody"}});
    api.post(&format!("/api/v1/campaigns/{id}/timers"), &body).await.expect(201)
}

async fn state(api: &Api, id: &str, timer: &Value) -> Value {
    let timers = api.all(&format!("/api/v1/campaigns/{id}/timers")).await;
    timers.into_iter().find(|t| t["timerId"] == timer["timerId"]).map_or(Value::Null, |t| t["state"].clone())
}

#[tokio::test]
async fn a_reminder_fires_on_time_once_and_is_executed_or_cancelled_on_request() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("c").body()).await;
    let timers = "/api/v1/campaigns/c/timers";
    let due = schedule(&api, "c", "due", 0.7).await;
    let early = schedule(&api, "c", "early", 600.0).await;
    let unwanted = schedule(&api, "c", "unwanted", 600.0).await;
    let left = schedule(&api, "c", "left", 600.0).await;
    assert_eq!(due["payload"], json!({"to": "everybody"}));
    let id = |timer: &Value| timer["timerId"].as_str().expect("an id").to_owned();

    api.post(&format!("{timers}/{}/execute", id(&early)), &json!({})).await.expect(200);
    api.post(&format!("{timers}/{}/execute", id(&early)), &json!({})).await.problem(404, "unknown_timer");
    api.delete(&format!("{timers}/{}", id(&unwanted))).await.expect(200);
    api.delete(&format!("{timers}/{}", id(&unwanted))).await.problem(404, "unknown_timer");
    until("the reminder fires", async || (state(&api, "c", &due).await == "COMPLETED").then_some(())).await;
    assert_eq!(state(&api, "c", &early).await, "COMPLETED");
    assert_eq!(state(&api, "c", &unwanted).await, "CANCELLED");
    assert_eq!(state(&api, "c", &left).await, "PENDING");
    // A name is free again once its timer is done.
    schedule(&api, "c", "due", 600.0).await;
    api.post("/api/v1/campaigns/c/cancel", &json!({})).await.expect(200);
    assert_eq!(state(&api, "c", &left).await, "CANCELLED", "no timer outlives its campaign");
    assert!(api.all("/api/v1/timers").await.is_empty());
    service.finish().await;
}

#[tokio::test]
async fn a_reminder_survives_reschedules_and_status_changes() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("c").body()).await;
    let reminder = schedule(&api, "c", "r", 1.0).await;
    api.patch("/api/v1/campaigns/c", &json!({"endTime": in_seconds(9000.0)})).await.expect(200);
    api.move_to("c", "RUNNING").await.expect(200);
    api.move_to("c", "CLOSED").await.expect(200);
    assert_eq!(state(&api, "c", &reminder).await, "PENDING");
    until("the reminder fires", async || (state(&api, "c", &reminder).await == "COMPLETED").then_some(())).await;
    service.finish().await;
}
