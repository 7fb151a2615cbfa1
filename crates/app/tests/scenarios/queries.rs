//! What can be asked: lists that stay stable while they grow, the timeline before and after, the forecast, the system.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::{Plan, in_seconds};

use crate::service;

#[tokio::test]
async fn pages_neither_hide_nor_repeat_what_was_there_before() {
    let service = service().await;
    let api = service.admin();
    let bodies: Vec<Value> = (0..120).map(|n| Plan::later(&format!("old-{n:03}")).body().clone()).collect();
    api.post("/api/v1/campaigns/batch", &json!({ "campaigns": bodies })).await.expect(200);
    let mut ids = Vec::new();
    let mut path = "/api/v1/campaigns?limit=7".to_owned();
    for round in 0.. {
        let page = api.get(&path).await.expect(200);
        ids.extend(page["items"].as_array().expect("items").iter().map(|c| c["campaignId"].to_string()));
        api.create(Plan::later(&format!("new-{round}")).body()).await;
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/campaigns?limit=7&cursor={cursor}"),
            None => break,
        }
    }
    let old: Vec<&String> = ids.iter().filter(|id| id.contains("old-")).collect();
    assert_eq!(old.len(), 120, "none hidden");
    assert_eq!(old.iter().collect::<BTreeSet<_>>().len(), 120, "none repeated");
    assert!(old.is_sorted_by(|a, b| a > b), "newest first");
    service.finish().await;
}

#[tokio::test]
async fn lists_filter_by_status_owner_time_and_id() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("soon-1").with("ownerId", json!("ada")).body()).await;
    api.create(Plan::later("soon-2").body()).await;
    let (start, end) = (in_seconds(1e6), in_seconds(2e6));
    api.create(Plan::later("far-1").with("startTime", json!(start)).with("endTime", json!(end)).body()).await;
    api.move_to("soon-2", "RUNNING").await.expect(200);
    let ids = async |query: &str| -> Vec<String> {
        let items = api.all(&format!("/api/v1/campaigns?{query}")).await;
        items.iter().map(|c| c["campaignId"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(ids("status=RUNNING").await, ["soon-2"]);
    assert_eq!(ids("status=RUNNING,CREATED").await, ["far-1", "soon-2", "soon-1"]);
    assert_eq!(ids("owner=ada").await, ["soon-1"]);
    assert_eq!(ids("q=soon-").await, ["soon-2", "soon-1"]);
    assert_eq!(ids(&format!("from={}", in_seconds(5e5))).await, ["far-1"]);
    assert_eq!(ids(&format!("to={}", in_seconds(5e5))).await, ["soon-2", "soon-1"]);
    assert_eq!(ids("q=%5f").await, Vec::<String>::new(), "an underscore is itself");
    api.get("/api/v1/campaigns?q=50%25").await.problem(400, "invalid_parameter");
    service.finish().await;
}

#[tokio::test]
async fn a_dry_run_tells_the_timeline_and_stores_nothing() {
    let service = service().await;
    let api = service.admin();
    let plan = Plan::later("imagined");
    let dry = api.post("/api/v1/campaigns?dryRun=true", plan.body()).await.expect(200);
    let steps: Vec<_> =
        dry["nextEvents"].as_array().expect("a timeline").iter().map(|e| e["toStatus"].clone()).collect();
    assert_eq!(steps.iter().filter(|s| !s.is_null()).count(), 4, "{dry:#}");
    assert_eq!(dry["campaign"]["status"], "CREATED");
    api.get("/api/v1/campaigns/imagined").await.problem(404, "unknown_campaign");
    let wrong = plan.with("closeOnTarget", json!(true));
    api.post("/api/v1/campaigns?dryRun=true", wrong.body()).await.problem(422, "invalid_campaign");
    service.finish().await;
}

#[tokio::test]
async fn the_lifecycle_tells_past_present_and_future() {
    let service = service().await;
    let api = service.admin();
    let created = api.create(Plan::later("c").with("metadata", json!({"b": 1, "a": [1.50, "ü"]})).body()).await;
    assert_eq!(created["metadata"], json!({"b": 1, "a": [1.5, "ü"]}));
    assert_eq!(created["nextTimer"]["timerType"], "START_CAMPAIGN");
    api.move_to("c", "RUNNING").await.expect(200);
    let life = api.get("/api/v1/campaigns/c/lifecycle").await.expect(200);
    assert_eq!(life["campaign"]["status"], "RUNNING");
    assert_eq!(life["history"].as_array().map(Vec::len), Some(2));
    let pending: Vec<_> =
        life["timers"].as_array().expect("timers").iter().filter(|t| t["state"] == "PENDING").collect();
    assert_eq!(pending.len(), 2, "{life:#}");
    let next: Vec<_> =
        life["nextEvents"].as_array().expect("a future").iter().map(|e| e["timerType"].clone()).collect();
    assert_eq!(next, ["CLOSE_CAMPAIGN", "OPEN_REWARD_CLAIM", "REWARD_REMINDER", "EXPIRE_CAMPAIGN"]);
    let tagged = api.get("/api/v1/campaigns/c").await;
    let tag = tagged.header("etag").expect("an etag").to_owned();
    assert_eq!(tag, "\"2\"");
    assert_eq!(api.call("GET", "/api/v1/campaigns/c").header("if-none-match", &tag).send().await.status, 304);
    service.finish().await;
}

#[tokio::test]
async fn the_forecast_counts_what_is_planned_and_the_system_tells_how_it_is() {
    let service = service().await;
    let api = service.admin();
    let bodies: Vec<Value> = (0..30).map(|n| Plan::later(&format!("c-{n}")).body().clone()).collect();
    api.post("/api/v1/campaigns/batch", &json!({ "campaigns": bodies })).await.expect(200);
    let forecast = api.get(&format!("/api/v1/forecast?bucket=hour&to={}", in_seconds(20_000.0))).await.expect(200);
    assert!(forecast.to_string().contains("START_CAMPAIGN"), "{forecast:#}");
    assert!(forecast.to_string().contains("30"), "{forecast:#}");
    let system = api.get("/api/v1/system").await.expect(200);
    assert!(system.is_object(), "{system}");
    let recovery = api.post("/api/v1/system/recovery", &json!({})).await.expect(200);
    assert!(recovery.is_object(), "{recovery}");
    let metrics = service.anonymous().get("/metrics").await.text;
    assert!(metrics.contains("lifecycle_"), "{metrics}");
    service.finish().await;
}
