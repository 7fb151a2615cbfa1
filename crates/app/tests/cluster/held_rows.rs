//! A row that somebody else sits on, as a hand in the database does: only what is about that campaign waits.

use std::thread;

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{Place, Plan, Service, until};

use crate::BINARY;

fn event(place: &Place, id: &str, kind: &str, data: &Value) {
    let data = data.to_string();
    let fields = ["eventId", id, "eventType", kind, "source", "main-api", "timestamp", "2026-11-27T00:00:00Z"];
    place.redis_command("XADD", "campaign-events", &[&["*"], &fields[..], &["data", &data]].concat());
}

/// Holds the row until there is a table `let_go`.
const SIT: &str = "BEGIN; SELECT FROM campaigns WHERE id = 'held' FOR UPDATE; \
    DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_class WHERE relname = 'let_go') LOOP PERFORM pg_sleep(0.02); END LOOP; END $$; COMMIT";
const FREE: &str = "SELECT count(*) FROM (SELECT FROM campaigns WHERE id = 'held' FOR UPDATE SKIP LOCKED) AS free";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_somebody_sits_on_a_campaign_others_go_on_and_its_own_events_keep_their_order() {
    let service = Service::start_on_servers(BINARY, &[]).await;
    let (place, api) = (service.place().clone(), service.admin());
    api.create(Plan::later("held").body()).await;
    let sitter = thread::spawn({
        let place = place.clone();
        move || place.psql(SIT)
    });
    until("the row is held", async || (place.psql(FREE).trim() == "0").then_some(())).await;

    for (id, name) in [("e-1", "first"), ("e-2", "last")] {
        let data = json!({ "campaignId": "held", "changes": { "metadata": { "name": name } } });
        event(&place, id, "campaign.updated", &data);
    }
    event(&place, "e-3", "campaign.created", Plan::later("event").body());
    api.until_status("event", "CREATED").await;
    let refused = api.move_to("held", "RUNNING").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
    api.create(Plan::later("call").body()).await;
    assert!(!sitter.is_finished(), "the row was free too early");
    assert_eq!(api.campaign("held").await["version"], json!(1));

    place.psql("CREATE TABLE let_go ()");
    until("the events are dealt with", async || (api.campaign("held").await["version"] == json!(3)).then_some(()))
        .await;
    assert_eq!(api.campaign("held").await["metadata"]["name"], json!("last"));
    sitter.join().expect("it let go");
    assert_eq!(api.all("/api/v1/dlq").await.len(), 0);
    service.finish().await;
}
