//! Events of other services: handled once, in whatever order they come.

use serde_json::{Value, json};
use testkit::{Api, Plan, Role, Token, in_seconds, until};

use crate::service;

#[tokio::test]
async fn a_campaign_lives_by_events_alone() {
    let service = service().await;
    let producer = service.caller(&Token::of(&[Role::Service]).subject("main-api"));
    let plan = Plan::later("evented").with("ownerId", json!(42)).with("unknownField", json!("is ignored"));
    producer.event("e-1", "campaign.created", plan.body()).await.expect(202);
    let created = producer.until_status("evented", "CREATED").await;
    assert_eq!((&created["status"], &created["ownerId"]), (&json!("CREATED"), &json!("42")));
    let end = in_seconds(9_000.0);
    let changes =
        json!({"campaignId": "evented", "changes": {"endTime": end, "metadata": {"a": 1}}, "updatedBy": "ada"});
    producer.event("e-2", "campaign.updated", &changes).await.expect(202);
    let request = json!({"campaignId": "evented", "to": "RUNNING", "reason": "now"});
    producer.event("e-3", "campaign.status.requested", &request).await.expect(202);
    let reminder = json!({"campaignId": "evented", "name": "ring", "at": in_seconds(600.0)});
    producer.event("e-4", "campaign.timer.requested", &reminder).await.expect(202);
    let campaign = producer.until_status("evented", "RUNNING").await;
    assert_eq!((&campaign["endTime"], &campaign["metadata"]), (&json!(end), &json!({"a": 1})));
    until("the reminder is armed", async || {
        let timers = producer.all("/api/v1/campaigns/evented/timers").await;
        timers.iter().any(|t| t["timerType"] == "CUSTOM").then_some(())
    })
    .await;
    let transitions = producer.transitions("evented").await;
    assert!(transitions[1]["actor"].to_string().contains("scenario"), "the source is on record: {}", transitions[1]);
    service.finish().await;
}

#[tokio::test]
async fn an_event_that_comes_twice_has_one_effect() {
    let service = service().await;
    let api = service.admin();
    let plan = Plan::later("c").with("targetEngagements", json!(9));
    for _ in 0..3 {
        api.event("create", "campaign.created", plan.body()).await.expect(202);
        api.event("start", "campaign.status.requested", &json!({"campaignId": "c", "to": "RUNNING"})).await.expect(202);
        api.event("count", "campaign.metric.recorded", &json!({"campaignId": "c", "engagements": 5})).await.expect(202);
    }
    api.event("last", "campaign.metric.recorded", &json!({"campaignId": "c", "engagements": 7})).await.expect(202);
    let campaign = until("all are counted", async || {
        let campaign = api.get("/api/v1/campaigns/c").await.json();
        (campaign["engagements"] == 7).then_some(campaign)
    })
    .await;
    assert_eq!(campaign["version"], 4, "created, started, counted twice: {campaign}");
    let letters = api.all("/api/v1/dlq").await;
    assert_eq!(letters, Vec::<Value>::new());
    let other = plan.with("autoClose", json!(false));
    api.event("create", "campaign.created", other.body()).await.expect(202);
    let letter =
        until("the same id for something else ends at the desk", async || api.all("/api/v1/dlq").await.pop()).await;
    assert_eq!(letter["code"], "key_reused", "{letter}");
    service.finish().await;
}

#[tokio::test]
async fn an_update_that_comes_before_its_create_waits_for_it() {
    let service = service().await;
    let api = service.admin();
    for n in 1..=5 {
        let changes = json!({"campaignId": "c", "changes": {"metadata": {"n": n}}});
        api.event(&format!("update-{n}"), "campaign.updated", &changes).await.expect(202);
    }
    api.event("cancel", "campaign.cancelled", &json!({"campaignId": "d"})).await.expect(202);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    api.event("create-c", "campaign.created", Plan::later("c").body()).await.expect(202);
    api.event("create-d", "campaign.created", Plan::later("d").body()).await.expect(202);
    until("the last word stays the last", async || {
        let campaign = api.get("/api/v1/campaigns/c").await.json();
        (campaign["metadata"]["n"] == 5).then_some(())
    })
    .await;
    until("the cancel is made up for", async || {
        (api.get("/api/v1/campaigns/d").await.json()["status"] == "CANCELLED").then_some(())
    })
    .await;
    assert!(api.all("/api/v1/dlq").await.is_empty());
    service.finish().await;
}

#[tokio::test]
async fn unread_events_survive_a_crash() {
    let mut service = service().await;
    let api = service.admin();
    for n in 0..200 {
        api.event(&format!("e-{n}"), "campaign.created", Plan::later(&format!("c-{n}")).body()).await.expect(202);
    }
    service.kill().await;
    service.verify().await.is_clean();
    service.launch().await;
    let api = service.admin();
    until("all 200 are known", async || (api.all("/api/v1/campaigns?limit=200").await.len() == 200).then_some(()))
        .await;
    assert!(api.all("/api/v1/dlq").await.is_empty());
    service.finish().await;
}

#[tokio::test]
async fn the_same_id_from_two_senders_has_two_effects() {
    let service = service().await;
    let api = service.admin();
    let create = async |api: &Api, source: &str, id: &str| {
        let data = Plan::later(id).body().clone();
        let event = json!({"eventId": "1", "eventType": "campaign.created", "source": source, "data": data});
        api.post("/api/v1/events", &event).await.expect(202);
    };
    let by_call = api.call("POST", "/api/v1/campaigns").header("idempotency-key", "1");
    by_call.json(Plan::later("by-call").body()).send().await.expect(201);
    create(&api, "main-api", "by-main").await;
    create(&api, "billing", "by-billing").await;
    for id in ["by-main", "by-billing"] {
        api.until_status(id, "CREATED").await;
    }
    assert_eq!(api.all("/api/v1/dlq").await, Vec::<Value>::new());
    // One sender's own id still has one effect.
    create(&api, "billing", "by-billing-again").await;
    let letter = until("it ends at the desk", async || api.all("/api/v1/dlq").await.pop()).await;
    assert_eq!(letter["code"], "key_reused", "{letter}");
    service.finish().await;
}
