//! `kill -9` in the middle of 2,000 campaigns in motion, 20 times at random moments.
//!
//! After every kill the file alone must pass `verify`; after every start the lives go on. In the end every campaign went
//! through exactly its statuses, once, and whatever was late was late by the downtime only.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Api, Plan, Service, millis_of, now_millis, until};

use crate::chance::Chance;
use crate::service_with;

const CAMPAIGNS: usize = 2_000;
const BATCH: usize = 50;
const KILLS: u32 = 20;
/// What a busy machine may add to the downtime, in milliseconds.
const SLACK: i64 = 2_000;

/// Creates the campaigns from batch `next` on, as a producer does who sends again what was not answered.
async fn create_from(api: &Api, bodies: &[Value], next: &mut usize) {
    for chunk in bodies.chunks(BATCH).skip(*next) {
        let call = api.call("POST", "/api/v1/campaigns/batch").header("idempotency-key", format!("batch-{next}"));
        let Ok(answer) = call.json(&json!({ "campaigns": chunk })).try_send().await else { return };
        let answer = answer.expect(200);
        let results = answer["results"].as_array().expect("results");
        let refused = results.iter().find(|r| r["outcome"] != "created" && r["outcome"] != "duplicate");
        assert_eq!(refused, None, "batch {next}");
        *next += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_at_any_moment_loses_or_doubles_anything() {
    let mut service = service_with(&[("LIFECYCLE_LOG__LEVEL", "warn")]).await;
    let mut chance = Chance::new();
    let bodies: Vec<Value> = (0..CAMPAIGNS)
        .map(|n| {
            let starts_in = chance.seconds(1, 31);
            let lasts = chance.seconds(1, 6);
            Plan::quick(&format!("c-{n:04}"), starts_in, lasts)
                .policy("createdExpirySeconds", json!(3_600))
                .policy("runningExpirySeconds", json!(3_600))
                .policy("closedExpirySeconds", json!(3_600))
                .body()
                .clone()
        })
        .collect();
    let mut downtimes = Vec::new();
    let mut next = 0;
    for kill in 0..KILLS {
        let api = service.admin();
        let lively = Instant::now() + Duration::from_millis(100 + chance.below(1_400));
        let work = async {
            create_from(&api, &bodies, &mut next).await;
            tokio::time::sleep_until(lively.into()).await;
        };
        // Also in the middle of a batch.
        let _ = tokio::time::timeout_at(lively.into(), work).await;
        let killed_at = now_millis();
        service.kill().await;
        let known = service.verify().await.is_clean();
        assert!(known >= u64::try_from(next * BATCH).expect("small"), "kill {kill}: an answered create is lost");
        service.launch().await;
        downtimes.push((killed_at, now_millis()));
    }
    let api = service.admin();
    create_from(&api, &bodies, &mut next).await;
    until("all campaigns are over", async || {
        let open = api.get("/api/v1/campaigns?status=CREATED,RUNNING,CLOSED,REWARD_CLAIM&limit=1").await.expect(200);
        tokio::time::sleep(Duration::from_millis(200)).await;
        open["items"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
    check_lives(&service, &bodies, &downtimes).await;
    service.finish().await;
}

async fn check_lives(service: &Service, bodies: &[Value], downtimes: &[(i64, i64)]) {
    let api = service.admin();
    let mut positions = BTreeSet::new();
    let mut worst = 0;
    for body in bodies {
        let id = body["campaignId"].as_str().expect("an id");
        let transitions = api.transitions(id).await;
        let path: Vec<&str> = transitions.iter().filter_map(|t| t["toStatus"].as_str()).collect();
        assert_eq!(path, ["CREATED", "RUNNING", "CLOSED", "REWARD_CLAIM", "EXPIRED"], "{id}");
        for transition in &transitions {
            assert!(positions.insert(transition["position"].as_u64()), "{id}: a position twice: {transition}");
            if transition["scheduledFor"].is_null() {
                continue;
            }
            let (due, at) = (millis_of(&transition["scheduledFor"]), millis_of(&transition["occurredAt"]));
            assert!(at >= due, "{id} was early: {transition}");
            let created = millis_of(&transitions[0]["occurredAt"]);
            let excused: i64 = downtimes.iter().map(|(from, to)| (at.min(*to) - due.max(*from)).max(0)).sum();
            let unexcused = at - due.max(created) - excused;
            worst = worst.max(unexcused);
            assert!(unexcused <= SLACK, "{id} was {unexcused} ms late beyond the downtime: {transition}");
        }
    }
    println!("worst lateness beyond the downtime: {worst} ms");
}

/// One client counts up, each step with a key of its own, and repeats what was not answered; the service is killed again
/// and again. Every step must have happened once.
#[tokio::test]
async fn every_answered_command_survives_and_a_repeated_one_is_not_done_twice() {
    let mut service = service_with(&[("LIFECYCLE_LOG__LEVEL", "warn")]).await;
    let mut chance = Chance::new();
    service.admin().create(Plan::later("counter").body()).await;
    let mut step = 1;
    for _ in 0..8 {
        let api = service.admin();
        let counting = async {
            loop {
                let call =
                    api.call("PATCH", "/api/v1/campaigns/counter").header("idempotency-key", format!("step-{step}"));
                let Ok(answer) = call.json(&json!({"metadata": {"step": step}})).try_send().await else { return };
                assert_eq!(answer.expect(200)["version"], step + 1);
                step += 1;
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(50 + chance.below(400)), counting).await;
        service.kill().await;
        service.launch().await;
    }
    let campaign = service.admin().campaign("counter").await;
    let version = campaign["version"].as_u64().expect("a version");
    // The last step may have been committed and not answered.
    assert!(version == step || version == step + 1, "{version} after {step} steps");
    assert!(step > 10, "only {step} steps");
    service.finish().await;
}
