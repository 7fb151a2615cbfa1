//! Timers that come too late: fired, skipped or held, as the policy says, and what an operator can do then.

use serde_json::json;
use testkit::{Plan, in_seconds, until};

use crate::service;

#[tokio::test]
async fn a_held_start_waits_for_an_operator_who_executes_it() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::quick("held", 0.2, 30.0).held().body()).await;
    let start = api.timer("held", "START_CAMPAIGN").await;
    let timer = until("the timer is held", async || {
        let timers = api.all("/api/v1/campaigns/held/timers").await;
        timers.into_iter().find(|t| t["timerId"] == start.as_str() && t["held"] == true)
    })
    .await;
    assert_eq!(timer["state"], "PENDING", "{timer}");
    let overdue = api.all("/api/v1/timers?state=overdue").await;
    assert!(overdue.iter().any(|t| t["timerId"] == start.as_str()), "{overdue:?}");
    assert_eq!(api.campaign("held").await["status"], "CREATED");
    service.anonymous().get("/readyz").await.expect(200);
    let answer = api.post(&format!("/api/v1/campaigns/held/timers/{start}/execute"), &json!({})).await;
    assert_eq!(answer.expect(200)["status"], "RUNNING");
    assert_eq!(api.transitions("held").await[1]["trigger"], "operator");
    service.finish().await;
}

#[tokio::test]
async fn after_an_outage_late_steps_are_made_up_for_and_late_reminders_skipped() {
    let mut service = service().await;
    let api = service.admin();
    // The whole window passes while nobody is there: too late to start.
    api.create(Plan::quick("missed", 0.8, 1.0).policy("createdExpirySeconds", json!(60)).body()).await;
    // The start and the close pass, the window of the first is still open.
    api.create(Plan::quick("late-start", 0.8, 60.0).body()).await;
    api.create(Plan::quick("late-close", 0.0, 1.5).policy("rewardClaimDelaySeconds", json!(60)).body()).await;
    api.until_status("late-close", "RUNNING").await;
    for (id, late) in [("forgiving", 3600), ("strict", 0)] {
        api.create(Plan::later(id).policy("reminderMaxLateSeconds", json!(late)).body()).await;
        let body = json!({"name": "ring", "at": in_seconds(0.8), "payload": {"say": id}});
        api.post(&format!("/api/v1/campaigns/{id}/timers"), &body).await.expect(201);
    }
    service.kill().await;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    service.launch().await;
    let api = service.admin();
    api.until_status("late-start", "RUNNING").await;
    api.until_status("late-close", "CLOSED").await;
    let state_of = async |id: &str, kind: &str| {
        let timers = api.all(&format!("/api/v1/campaigns/{id}/timers")).await;
        let timer = timers.iter().find(|t| t["timerType"] == kind).cloned();
        timer.unwrap_or_else(|| panic!("{id} has no {kind}: {timers:?}"))
    };
    for (id, kind) in [("missed", "START_CAMPAIGN"), ("forgiving", "CUSTOM"), ("strict", "CUSTOM")] {
        until(&format!("the {kind} of {id} is dealt with"), async || {
            (state_of(id, kind).await["state"] == "COMPLETED").then_some(())
        })
        .await;
    }
    assert_eq!(api.campaign("missed").await["status"], "CREATED", "its window is over");
    let lateness = api.transitions("late-start").await[1]["lateByMs"].as_u64().expect("it was late");
    assert!(lateness >= 1_000, "{lateness}");
    service.finish().await;
}

#[tokio::test]
async fn a_campaign_whose_start_is_past_when_it_is_created_is_not_late() {
    let service = service().await;
    let api = service.admin();
    let plan = Plan::later("past")
        .with("startTime", json!(in_seconds(-7200.0)))
        .policy("misfire", json!({"START_CAMPAIGN": "skip"}));
    api.create(plan.body()).await;
    api.until_status("past", "RUNNING").await;
    let start = api.transitions("past").await[1].clone();
    let lateness = start["lateByMs"].as_u64().unwrap_or_default();
    assert!(lateness < 60_000, "nothing was late: {start}");
    service.finish().await;
}
