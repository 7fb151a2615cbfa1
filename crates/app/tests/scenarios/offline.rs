//! The commands that read the data file: verify, audit verify, replay, dlq; and a file that somebody changed.

use serde_json::{Value, json};
use testkit::{Api, Plan, Service, until};

use crate::service;

/// A handful of lives, one of each kind of record.
async fn live_a_little(api: &Api) {
    for n in 0..20 {
        let plan = Plan::quick(&format!("c-{n}"), 0.2, 1.0).with("metadata", json!({"mark": "untouched-00"}));
        api.create(plan.body()).await;
    }
    api.move_to("c-0", "REWARD_CLAIM").await.problem(409, "transition_not_allowed");
    api.event("bad", "campaign.exploded", &json!({"campaignId": "c-0"})).await.expect(202);
    for n in 0..20 {
        api.until_status(&format!("c-{n}"), "EXPIRED").await;
    }
    until("the letter is there", async || (!api.all("/api/v1/dlq").await.is_empty()).then_some(())).await;
}

async fn states(api: &Api) -> Vec<Value> {
    api.all("/api/v1/campaigns").await
}

#[tokio::test]
async fn the_log_is_the_truth_and_proves_it() {
    let mut service = service().await;
    live_a_little(&service.admin()).await;
    assert_eq!(service.verify().await.is_clean(), 20, "beside a running service");
    let before = states(&service.admin()).await;
    service.stop().await;
    assert_eq!(service.verify().await.is_clean(), 20);
    let audit = service.run("audit", &["verify", "--output", "json"]).await;
    assert_eq!(audit.code, Some(0), "{audit:?}");
    let audit = audit.json();
    let head = format!("{}:{}", audit["head"], audit["hash"].as_str().expect("a hash"));
    let again = service.run("audit", &["verify", "--expect", &head, "--output", "json"]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    let letters = service.run("dlq", &["list", "--output", "json"]).await;
    assert!(letters.code == Some(0) && letters.text.contains("unknown_event_type"), "{letters:?}");
    let replay = service.run("replay", &["--output", "json"]).await;
    assert_eq!((replay.code, &replay.json()["repaired"]), (Some(0), &json!(0)), "{replay:?}");
    service.verify().await.is_clean();
    service.launch().await;
    assert_eq!(states(&service.admin()).await, before, "a replay changes nothing that was right");
    service.finish().await;
}

#[tokio::test]
async fn a_changed_record_is_found() {
    let mut service = service().await;
    live_a_little(&service.admin()).await;
    service.stop().await;
    assert!(tamper(&service, b"untouched-00", b"untouched-99") > 0, "nothing to change in the file");
    let verify = service.verify().await;
    assert_eq!(verify.code, Some(1), "{verify:?}");
    assert!(!verify.json()["violations"].as_array().expect("violations").is_empty());
    let audit = service.run("audit", &["verify"]).await;
    assert_eq!(audit.code, Some(1), "{audit:?}");
}

/// The payload of the reminder as it stands in the timer table, and nowhere else: before the timer's state.
const PAYLOAD: &[u8] = b"{\"mark\":\"untouched-00\"}PENDING";
const SPOILED: &[u8] = b"{\"mark\":\"untouched-99\"}PENDING";

#[tokio::test]
async fn a_timer_that_differs_from_the_log_is_found_told_and_mended_and_the_repair_is_in_the_log() {
    let mut service = crate::service_with(&[("LIFECYCLE_VERIFICATION__EVERY", "1s")]).await;
    let api = service.admin();
    api.create(Plan::later("c").body()).await;
    let reminder = json!({"name": "call", "at": testkit::in_seconds(3_600.0), "payload": {"mark": "untouched-00"}});
    api.post("/api/v1/campaigns/c/timers", &reminder).await.expect(201);
    service.stop().await;
    let records = service.verify().await.json()["chain"]["records"].as_u64().expect("a count");
    assert!(tamper(&service, PAYLOAD, SPOILED) > 0, "nothing to change in the file");

    // Beside a running service it is found, and told, and stops nothing.
    service.launch().await;
    until("the proof comes by", async || {
        let system = service.admin().get("/api/v1/system").await.expect(200);
        (system["verification"]["violations"][0]["invariant"] == "INV-3").then_some(())
    })
    .await;
    service.anonymous().get("/readyz").await.expect(200);
    let refused = service.run("verify", &["--repair"]).await;
    assert_eq!(refused.code, Some(69), "the file is in use: {refused:?}");
    service.stop().await;

    let found = service.verify().await;
    assert_eq!((found.code, &found.json()["repairable"]), (Some(1), &json!(1)), "{found:?}");
    let repaired = service.run("verify", &["--repair", "--reason", "a hand slipped", "--output", "json"]).await;
    assert_eq!(repaired.is_clean(), 1);
    let report = repaired.json();
    assert_eq!(report["repaired"]["campaigns"], json!(["default/c"]));
    assert!(report["chain"]["records"].as_u64() > Some(records), "{report:#}");
    assert!(contains(&service, b"a hand slipped"), "the reason is in the log");
    let again = service.run("verify", &["--repair", "--output", "json"]).await;
    assert_eq!((again.is_clean(), &again.json()["repaired"]), (1, &Value::Null));
    service.launch().await;
    let timers = service.admin().all("/api/v1/campaigns/c/timers").await;
    assert!(timers.iter().any(|timer| timer["payload"] == json!({"mark": "untouched-00"})), "{timers:#?}");
    service.stop().await;
    service.verify().await.is_clean();
}

fn contains(service: &Service, wanted: &[u8]) -> bool {
    let bytes = std::fs::read(service.folder().join("data").join("lifecycle.db")).expect("the data file");
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// Overwrites `old` in the data file wherever it stands; answers how often that was.
fn tamper(service: &Service, old: &[u8], new: &[u8]) -> usize {
    let path = service.folder().join("data").join("lifecycle.db");
    let mut bytes = std::fs::read(&path).expect("the data file");
    let places: Vec<usize> =
        bytes.windows(old.len()).enumerate().filter(|(_, w)| *w == old).map(|(at, _)| at).collect();
    for at in &places {
        bytes[*at..*at + new.len()].copy_from_slice(new);
    }
    std::fs::write(&path, bytes).expect("written");
    places.len()
}

#[tokio::test]
async fn a_second_service_on_the_same_file_is_refused_and_the_first_goes_on() {
    let service = service().await;
    let mut command = service.command("serve");
    command.env("LIFECYCLE_HTTP__LISTEN", "127.0.0.1:0").kill_on_drop(true);
    let status = tokio::time::timeout(testkit::PATIENCE, command.status()).await.expect("it ends").expect("it runs");
    assert!(!status.success());
    service.admin().create(Plan::later("c").with("metadata", json!({})).body()).await;
    service.finish().await;
}
