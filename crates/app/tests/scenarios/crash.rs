//! `kill -9` in the middle of 2,000 campaigns in motion, 10 times at random moments.
//!
//! After every kill the file alone must pass `verify`; after every start the lives go on. In the end every campaign went
//! through exactly its statuses, once, and whatever was late was late by the downtime only.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Api, Plan, Service, millis_of, now_millis};

use crate::chance::Chance;
use crate::{service, service_with};

const CAMPAIGNS: usize = 2_000;
const BATCH: usize = 50;
const KILLS: u32 = 10;
/// What a busy machine may add to the downtime, in milliseconds.
const SLACK: i64 = 2_000;

/// A producer of campaigns that sends again what was not answered, with the same key.
struct Producer {
    chance: Chance,
    /// Everything that was ever sent.
    bodies: Vec<Value>,
    /// How many batches were answered.
    answered: usize,
}

impl Producer {
    /// Sends until all are answered, or the service is gone.
    async fn produce(&mut self, api: &Api) {
        while self.answered * BATCH < CAMPAIGNS {
            let from = self.answered * BATCH;
            if self.bodies.len() == from {
                self.invent();
            }
            let key = format!("batch-{}", self.answered);
            let call = api.call("POST", "/api/v1/campaigns/batch").header("idempotency-key", &key);
            let body = json!({ "campaigns": self.bodies[from..] });
            let Ok(answer) = call.json(&body).try_send().await else { return };
            let answer = answer.expect(200);
            let results = answer["results"].as_array().expect("results");
            let refused = results.iter().find(|r| r["outcome"] != "created" && r["outcome"] != "duplicate");
            assert_eq!(refused, None, "{key}");
            self.answered += 1;
        }
    }

    /// The next batch, its times counted from now.
    fn invent(&mut self) {
        for n in self.bodies.len()..self.bodies.len() + BATCH {
            let plan = Plan::quick(&format!("c-{n:04}"), self.chance.seconds(1, 31), self.chance.seconds(10, 15));
            self.bodies.push(unhurried(plan).body().clone());
        }
    }
}

/// Whose life ends by its claim only, however long an outage lasts.
fn unhurried(plan: Plan) -> Plan {
    let waits = ["createdExpirySeconds", "runningExpirySeconds", "closedExpirySeconds"];
    waits.into_iter().fold(plan, |plan, wait| plan.policy(wait, json!(3_600)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_at_any_moment_loses_or_doubles_anything() {
    let mut service = service().await;
    let mut chance = Chance::new();
    let mut producer = Producer { chance: chance.split(), bodies: Vec::new(), answered: 0 };
    let mut downtimes = Vec::new();
    for kill in 0..KILLS {
        let api = service.admin();
        // Also in the middle of a batch.
        let time = Duration::from_millis(100 + chance.below(1_400));
        let lively = Instant::now() + time;
        let _ = tokio::time::timeout(time, producer.produce(&api)).await;
        tokio::time::sleep_until(lively.into()).await;
        let killed_at = now_millis();
        service.kill().await;
        let known = service.verify().await.is_clean();
        let answered = u64::try_from(producer.answered * BATCH).expect("small");
        assert!(known >= answered, "kill {kill}: {known} of {answered} answered creates are there");
        service.launch().await;
        downtimes.push((killed_at, now_millis()));
    }
    let api = service.admin();
    producer.produce(&api).await;
    assert_eq!(producer.answered * BATCH, CAMPAIGNS);
    let latest = Instant::now() + Duration::from_secs(90);
    loop {
        let open = api.get("/api/v1/campaigns?status=CREATED,RUNNING,CLOSED,REWARD_CLAIM&limit=1").await.expect(200);
        if open["items"].as_array().is_some_and(Vec::is_empty) {
            break;
        }
        assert!(Instant::now() < latest, "these go on for ever: {open}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    check_lives(&service, &producer.bodies, &downtimes).await;
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

/// A start that is killed before it is done, again and again, with hundreds of overdue timers to make up for.
#[tokio::test]
async fn a_recovery_that_is_killed_is_taken_up_again() {
    let mut service = service_with(&[("LIFECYCLE_RECOVERY__RATE", "500")]).await;
    let mut chance = Chance::new();
    let bodies: Vec<Value> =
        (0..500).map(|n| unhurried(Plan::quick(&format!("c-{n:03}"), 0.5, 20.0)).body().clone()).collect();
    service.admin().post("/api/v1/campaigns/batch", &json!({ "campaigns": bodies })).await.expect(200);
    service.kill().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..10 {
        service.spawn();
        tokio::time::sleep(Duration::from_millis(chance.below(400))).await;
        service.kill().await;
        assert_eq!(service.verify().await.is_clean(), 500);
    }
    service.launch().await;
    let api = service.admin();
    for body in &bodies {
        let id = body["campaignId"].as_str().expect("an id");
        api.until_status(id, "EXPIRED").await;
        assert_eq!(api.path_of(id).await, ["CREATED", "RUNNING", "CLOSED", "REWARD_CLAIM", "EXPIRED"], "{id}");
    }
    service.finish().await;
}

/// One client counts up, each step with a key of its own, and repeats what was not answered; the service is killed again
/// and again. Every step must have happened once.
#[tokio::test]
async fn every_answered_command_survives_and_a_repeated_one_is_not_done_twice() {
    let mut service = service().await;
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
