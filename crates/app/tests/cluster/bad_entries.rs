//! Entries on the inbound stream that nobody should have sent: each becomes a dead letter with its cause, and those before
//! and behind it are handled.

use serde_json::{Value, json};
use testkit::{Place, Plan, Service, until};

use crate::BINARY;

fn entry(place: &Place, fields: &[(&str, &str)]) {
    let fields: Vec<&str> = fields.iter().flat_map(|(name, value)| [*name, *value]).collect();
    place.redis_command("XADD", "campaign-events", &[&["*"], fields.as_slice()].concat());
}

fn created(place: &Place, event: &str, campaign: &str) {
    let data = Plan::later(campaign).body().to_string();
    let fields = [
        ("eventId", event),
        ("eventType", "campaign.created"),
        ("timestamp", "2026-11-27T00:00:00Z"),
        ("source", "main-api"),
        ("data", &data),
    ];
    entry(place, &fields);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_entry_is_a_dead_letter_with_its_cause_and_stops_nobody() {
    let service = Service::start_on_servers(BINARY, &[]).await;
    let (place, api) = (service.place().clone(), service.admin());
    created(&place, "good-1", "before");
    entry(&place, &[("nonsense", "yes")]);
    entry(&place, &[("eventId", "x-1"), ("eventType", "campaign.exploded"), ("source", "a"), ("data", "{}")]);
    entry(&place, &[("eventId", "x-2"), ("eventType", "campaign.created"), ("source", "a"), ("data", "{")]);
    let tenant =
        [("eventId", "x-3"), ("eventType", "campaign.cancelled"), ("source", "a"), ("tenant", "no such/tenant")];
    entry(&place, &[&tenant[..], &[("data", r#"{"campaignId":"before"}"#)]].concat());
    giant(&place);
    created(&place, "good-2", "behind");
    api.until_status("behind", "CREATED").await;
    api.until_status("before", "CREATED").await;
    let letters = until("the letters are there", async || {
        let letters = api.all("/api/v1/dlq").await;
        (letters.len() == 5).then_some(letters)
    })
    .await;
    let mut codes: Vec<&str> = letters.iter().filter_map(|letter| letter["code"].as_str()).collect();
    codes.sort_unstable();
    let malformed = "malformed_event";
    assert_eq!(codes, [malformed, malformed, malformed, malformed, "unknown_event_type"], "{letters:#?}");
    let told = place.redis_command("XLEN", "campaign-events:dlq", &[]);
    assert_eq!(told, json!(5), "other services are told as well");
    let pending = place.redis_command("XPENDING", "campaign-events", &["lifecycle-service"]);
    assert_eq!(pending[0], json!(0), "{pending}");
    service.finish().await;
}

/// An entry of 10 MiB, by the way that takes it: too long for a command line.
fn giant(place: &Place) {
    let script = "return redis.call('XADD', KEYS[1], '*', 'eventId', 'x-4', 'eventType', 'campaign.created', 'source', 'a', \
                  'data', string.rep('x', 10485760))";
    let id: Value = place.redis_command(&format!("EVAL|{script}|1"), "campaign-events", &[]);
    assert!(id.is_string(), "{id}");
}
