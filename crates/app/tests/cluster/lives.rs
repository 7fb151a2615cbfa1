//! Campaigns that live their whole life while things happen, and what must be true of each of them at the end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Api, Place, Plan, millis_of};

/// The statuses of a whole life.
const LIFE: [&str; 5] = ["CREATED", "RUNNING", "CLOSED", "REWARD_CLAIM", "EXPIRED"];

/// How long all lives may take together to end.
const ALL_ENDED: Duration = Duration::from_mins(2);

/// Campaigns being made, some with every call.
pub(crate) struct Lives {
    /// How many come with one call.
    pub(crate) batch: usize,
    bodies: Vec<Value>,
    /// How many calls were answered.
    answered: usize,
}

impl Lives {
    /// None yet.
    pub(crate) fn new(batch: usize) -> Self {
        Self { batch, bodies: Vec::new(), answered: 0 }
    }

    /// How many were answered.
    pub(crate) fn count(&self) -> usize {
        self.answered * self.batch
    }

    /// Makes one more batch by `api`; answers whether it was answered. What was not is sent again the next time.
    pub(crate) async fn produce(&mut self, api: &Api) -> bool {
        let from = self.count();
        for n in self.bodies.len()..from + self.batch {
            // Long enough to be met by what happens, and that a start comes in time after the longest outage.
            let tenths = |of: usize| f64::from(u32::try_from(n % of).unwrap_or_default()) / 10.0;
            let plan = Plan::quick(&format!("c-{n:05}"), 0.5 + tenths(40), 10.0 + tenths(30));
            let waits = ["createdExpirySeconds", "runningExpirySeconds", "closedExpirySeconds"];
            let plan = waits.into_iter().fold(plan, |plan, wait| plan.policy(wait, json!(3_600)));
            self.bodies.push(plan.body().clone());
        }
        let call =
            api.call("POST", "/api/v1/campaigns/batch").header("idempotency-key", format!("b-{}", self.answered));
        let body = json!({ "campaigns": self.bodies[from..] });
        let Ok(answer) = call.json(&body).try_send().await else { return false };
        if answer.status == 503 {
            return false;
        }
        let answer = answer.expect(200);
        let results = answer["results"].as_array().expect("results");
        let known = |r: &&Value| r["outcome"] != "created" && r["outcome"] != "duplicate";
        let refused: Vec<_> = results.iter().filter(known).collect();
        // A batch that was cut by an outage says so for each of its campaigns; it is sent again.
        let cut = |r: &&Value| r["problem"]["status"] == 503;
        assert!(refused.iter().all(cut), "refused: {refused:?}");
        if !refused.is_empty() {
            return false;
        }
        self.answered += 1;
        true
    }

    /// Waits until all lives have ended, and checks each: all statuses, each once, none early. Answers the worst lateness in
    /// milliseconds.
    pub(crate) async fn check(&self, api: &Api) -> i64 {
        let latest = Instant::now() + ALL_ENDED;
        loop {
            let open = api.get("/api/v1/campaigns?status=CREATED,RUNNING,CLOSED,REWARD_CLAIM&limit=1").await;
            if open.status == 200 && open.json()["items"].as_array().is_some_and(Vec::is_empty) {
                break;
            }
            assert!(Instant::now() < latest, "these go on for ever: {}", open.text);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut positions = BTreeSet::new();
        let mut worst = 0;
        for body in &self.bodies[..self.count()] {
            let id = body["campaignId"].as_str().expect("an id");
            let transitions = api.transitions(id).await;
            let path: Vec<&str> = transitions.iter().filter_map(|t| t["toStatus"].as_str()).collect();
            assert_eq!(path, LIFE, "{id}");
            for transition in &transitions {
                assert!(positions.insert(transition["position"].as_u64()), "{id}: a position twice: {transition}");
                if !transition["scheduledFor"].is_null() {
                    let late = millis_of(&transition["occurredAt"]) - millis_of(&transition["scheduledFor"]);
                    assert!(late >= 0, "{id} was early: {transition}");
                    worst = worst.max(late);
                }
            }
        }
        worst
    }
}

/// Checks that the outbound streams hold every position of the log exactly once, in order, and none that is not there.
pub(crate) async fn check_streams(place: &Place) {
    let head: u64 = place.psql("SELECT position FROM journal_head").trim().parse().expect("a position");
    let told = testkit::until("everything is published", async || {
        let mut told: Vec<(u64, u64)> = Vec::new();
        for stream in ["lifecycle-events", "timer-events", "system-events"] {
            let ids = place.entry_ids(stream);
            assert!(ids.is_sorted(), "{stream} is not in order");
            told.extend(ids);
        }
        told.sort_unstable();
        (told.last().is_some_and(|(position, _)| *position >= head)).then_some(told)
    })
    .await;
    let mut expected = (1, 0);
    for (position, k) in told {
        let next = (position, k) == expected || (position, k) == (expected.0 + 1, 0) && expected.1 > 0;
        assert!(next, "after {expected:?} comes {position}-{k}: something is missing, or there twice");
        expected = (position, k + 1);
    }
}
