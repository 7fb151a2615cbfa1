//! The desk for dead letters, over HTTP; and the state of the service.

use std::sync::Arc;

use domain::TenantId;
use ports::dead_letters::{Letter, LetterKind, LetterState, NewLetter};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::campaigns::definition;
use crate::client::{ask, ask_as};
use crate::world::{World, now};

/// A letter about a cancel of the campaign `campaign`, which came before its create.
fn add_letter(world: &Arc<World>, number: u128, campaign: &str) -> String {
    let original = json!([
        ["eventId", format!("e-{number}")],
        ["eventType", "campaign.cancelled"],
        ["tenant", "acme"],
        ["data", json!({ "campaignId": campaign }).to_string()],
    ]);
    let letter = NewLetter {
        id: Uuid::from_u128(number),
        tenant: TenantId::parse("acme").expect("a tenant"),
        kind: LetterKind::Event,
        origin: number.to_string(),
        event_type: "campaign.cancelled".to_owned(),
        campaign: None,
        code: "unknown_campaign".to_owned(),
        error: "there is no campaign with this id".to_owned(),
        attempts: 6,
        first_error_at: now(),
        last_error_at: now(),
        original: original.to_string(),
    };
    let id = letter.id.to_string();
    world.letters.lock().expect("no panic").push(Letter { letter, state: LetterState::Open, settled: None });
    id
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().expect("items").iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn a_letter_is_shown_and_replayed_once() {
    let world = World::new();
    let api = world.api();
    let id = add_letter(&world, 1, "a");
    let letter = ask(&api, &format!("GET /api/v1/dlq/{id}")).send().await.ok(200);
    assert_eq!((&letter["state"], &letter["code"]), (&json!("open"), &json!("unknown_campaign")));
    assert!(letter["original"].to_string().contains("e-1"), "{letter}");
    let replay = || ask(&api, &format!("POST /api/v1/dlq/{id}/replay")).send();
    assert_eq!(replay().await.ok(200)["outcome"], "rejected");
    ask(&api, "POST /api/v1/campaigns").json(&definition("a")).send().await.ok(201);
    let replayed = ask(&api, "POST /api/v1/dlq/replay").json(&json!({ "filter": {} })).send().await.ok(200);
    assert_eq!(replayed["results"], json!([{ "id": id, "outcome": "applied", "message": null }]));
    assert_eq!(ask(&api, "GET /api/v1/campaigns/a").send().await.ok(200)["status"], "CANCELLED");
    replay().await.problem(409, "letter_settled");
    ask_as(&api, "rival/operator", &format!("GET /api/v1/dlq/{id}")).send().await.problem(404, "unknown_letter");
    let theirs = ask_as(&api, "rival/operator", &format!("DELETE /api/v1/dlq/{id}?reason=mine")).send().await;
    theirs.problem(404, "unknown_letter");
}

#[tokio::test]
async fn a_letter_is_discarded_once_with_the_reason() {
    let world = World::new();
    let api = world.api();
    let (first, second) = (add_letter(&world, 1, "a"), add_letter(&world, 2, "b"));
    let by_body = ask(&api, &format!("DELETE /api/v1/dlq/{first}")).json(&json!({ "reason": "a test" }));
    let discarded = by_body.send().await.ok(200);
    assert_eq!((&discarded["state"], &discarded["settled"]["reason"]), (&json!("discarded"), &json!("a test")));
    assert_eq!(discarded["settled"]["by"], json!({ "kind": "operator", "subject": "the-operator" }));
    let again = ask(&api, &format!("DELETE /api/v1/dlq/{first}?reason=again")).send().await;
    again.problem(409, "letter_settled");
    ask(&api, &format!("DELETE /api/v1/dlq/{second}")).send().await.problem(422, "invalid_field");
    ask(&api, &format!("POST /api/v1/dlq/{first}/replay")).send().await.problem(409, "letter_settled");
    let by_query = ask(&api, &format!("DELETE /api/v1/dlq/{second}?reason=old%20news")).send().await.ok(200);
    assert_eq!(by_query["settled"]["reason"], "old news");
    assert!(ids(&ask(&api, "GET /api/v1/dlq?state=open").send().await.ok(200)).is_empty());
    assert_eq!(ids(&ask(&api, "GET /api/v1/dlq").send().await.ok(200)), [second, first]);
}

#[tokio::test]
async fn a_dry_run_only_says_which_letters_a_filter_names() {
    let world = World::new();
    let api = world.api();
    let first = add_letter(&world, 1, "a");
    add_letter(&world, 2, "b");
    let body = json!({ "filter": { "code": "unknown_campaign" }, "dryRun": true, "limit": 1 });
    let named = ask(&api, "POST /api/v1/dlq/replay").json(&body).send().await.ok(200);
    assert_eq!(named["results"], json!([{ "id": first, "outcome": "would_replay", "message": null }]));
    assert_eq!(ids(&ask(&api, "GET /api/v1/dlq?state=open").send().await.ok(200)).len(), 2);
    for limit in [0, 1_001] {
        let body = json!({ "filter": {}, "limit": limit });
        ask(&api, "POST /api/v1/dlq/replay").json(&body).send().await.problem(422, "invalid_field");
    }
    ask(&api, "POST /api/v1/dlq/replay").json(&json!({})).send().await.problem(422, "invalid_field");
}

#[tokio::test]
async fn the_service_tells_its_state_and_its_recovery() {
    let api = World::new().api();
    let report = ask(&api, "POST /api/v1/system/recovery").send().await.ok(200);
    assert_eq!(report["overdue"], 0);
    let system = ask(&api, "GET /api/v1/system").send().await.ok(200);
    assert_eq!((&system["instances"][0]["id"], &system["recovery"]), (&json!("test"), &report));
    assert!(system["advice"].as_array().is_some_and(|rows| rows.iter().all(|row| row["crossed"] == false)));
}
