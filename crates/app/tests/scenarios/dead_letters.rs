//! The dead-letter desk: what cannot be processed waits there with its cause, is replayed or discarded, and kept.

use serde_json::{Value, json};
use testkit::{Api, Plan, Role, Token, until};

use crate::service_with;

async fn letters(api: &Api, query: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} letters {query}"), async || {
        let letters = api.all(&format!("/api/v1/dlq?{query}")).await;
        (letters.len() == count).then_some(letters)
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_read_ends_at_the_desk_with_its_cause_and_the_rest_goes_through() {
    let service = service_with(&[]).await;
    let api = service.admin();
    let garbage = [
        ("g-1", "campaign.exploded", json!({"campaignId": "c"}), "unknown_event_type"),
        ("g-2", "campaign.created", json!({"campaignId": "c"}), "malformed_event"),
        ("g-3", "campaign.updated", json!({"campaignId": "c", "changes": "many"}), "malformed_event"),
        ("g-4", "campaign.metric.recorded", json!({"campaignId": "c", "engagements": -1}), "malformed_event"),
        ("g-5", "campaign.cancelled", json!({}), "malformed_event"),
    ];
    for (id, kind, data, _) in &garbage {
        api.event(id, kind, data).await.expect(202);
    }
    api.event("fine", "campaign.created", Plan::later("fine").body()).await.expect(202);
    until("the good one goes through", async || (api.get("/api/v1/campaigns/fine").await.status == 200).then_some(()))
        .await;
    let open = letters(&api, "state=open", garbage.len()).await;
    for (id, kind, _, code) in &garbage {
        let letter =
            open.iter().find(|l| l["original"].to_string().contains(id)).unwrap_or_else(|| panic!("{id}: {open:?}"));
        assert_eq!((&letter["eventType"], &letter["code"]), (&json!(kind), &json!(code)), "{letter:#}");
        assert!(letter["error"].as_str().is_some_and(|text| !text.is_empty()), "{letter:#}");
        let one = api.get(&format!("/api/v1/dlq/{}", letter["id"].as_str().expect("an id"))).await.expect(200);
        assert_eq!(one, *letter);
    }
    letters(&api, "code=malformed_event", 4).await;
    letters(&api, "eventType=campaign.exploded", 1).await;
    letters(&api, "kind=timer", 0).await;
    let other = service.caller(&Token::of(&[Role::Admin]).tenant("other"));
    assert!(other.all("/api/v1/dlq").await.is_empty());
    let id = open[0]["id"].as_str().expect("an id");
    other.get(&format!("/api/v1/dlq/{id}")).await.problem(404, "unknown_letter");
    let discard =
        |api: &Api| api.call("DELETE", &format!("/api/v1/dlq/{id}")).json(&json!({"reason": "a typing error"}));
    discard(&other).send().await.problem(404, "unknown_letter");
    api.delete(&format!("/api/v1/dlq/{id}")).await.problem(422, "invalid_field");

    let settled = discard(&api).send().await.expect(200);
    assert_eq!((&settled["state"], &settled["settled"]["reason"]), (&json!("discarded"), &json!("a typing error")));
    discard(&api).send().await.problem(409, "letter_settled");
    api.post(&format!("/api/v1/dlq/{id}/replay"), &json!({})).await.problem(409, "letter_settled");
    letters(&api, "state=discarded", 1).await;
    service.finish().await;
}

#[tokio::test]
async fn an_event_whose_campaign_never_comes_is_replayed_when_it_has() {
    let service = service_with(&[("LIFECYCLE_EVENTS__RETRY_WINDOW", "1s")]).await;
    let api = service.admin();
    for id in ["one", "two", "three"] {
        api.event(&format!("cancel-{id}"), "campaign.cancelled", &json!({"campaignId": id})).await.expect(202);
    }
    let open = letters(&api, "state=open", 3).await;
    assert!(open.iter().all(|letter| letter["code"] == "unknown_campaign"), "{open:#?}");
    let letter_of = |id: &str| {
        let letter = open.iter().find(|l| l["campaignId"] == id).unwrap_or_else(|| panic!("{id}: {open:?}"));
        letter["id"].as_str().expect("an id").to_owned()
    };
    let replay = format!("/api/v1/dlq/{}/replay", letter_of("one"));
    let vain = api.post(&replay, &json!({})).await.expect(200);
    assert!(!matches!(vain["outcome"].as_str(), Some("applied" | "unchanged" | "duplicate")), "{vain}");
    letters(&api, "state=open", 3).await;
    for id in ["one", "two", "three"] {
        api.create(Plan::later(id).body()).await;
    }
    assert_eq!(api.post(&replay, &json!({})).await.expect(200)["outcome"], "applied");
    assert_eq!(api.campaign("one").await["status"], "CANCELLED");
    let filter = json!({"filter": {"code": "unknown_campaign"}, "dryRun": true});
    let dry = api.post("/api/v1/dlq/replay", &filter).await.expect(200);
    let outcomes = |answer: &Value| -> Vec<Value> {
        answer["results"].as_array().expect("results").iter().map(|r| r["outcome"].clone()).collect()
    };
    assert_eq!(outcomes(&dry), ["would_replay", "would_replay"]);
    assert_eq!(api.campaign("two").await["status"], "CREATED");
    let filter = json!({"filter": {"code": "unknown_campaign"}});
    let wet = api.post("/api/v1/dlq/replay", &filter).await.expect(200);
    assert_eq!(outcomes(&wet), ["applied", "applied"], "{wet}");
    for id in ["two", "three"] {
        assert_eq!(api.campaign(id).await["status"], "CANCELLED");
    }
    letters(&api, "state=replayed", 3).await;
    service.finish().await;
}
