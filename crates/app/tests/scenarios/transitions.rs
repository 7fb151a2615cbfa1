//! Every row of the transition table happens, and every missing row is refused.

use std::collections::BTreeSet;

use domain::lifecycle::{TRANSITIONS, is_allowed};
use domain::{Status, Trigger};
use serde_json::{Value, json};
use testkit::{Api, Plan, millis_of};

use crate::service;

/// A move as the contract writes it: from (empty for a new campaign), to, trigger.
type Row = (String, String, String);

fn row_of(transition: &Value) -> Row {
    let text = |field: &str| transition[field].as_str().unwrap_or_default().to_owned();
    (text("fromStatus"), text("toStatus"), text("trigger"))
}

#[tokio::test]
async fn every_row_of_the_table_happens() {
    let service = service().await;
    let api = service.admin();
    let ids =
        ["rewards", "by-hand", "unstarted", "dropped", "withdrawn", "stopped", "called-off", "target", "open", "plain"];

    api.create(Plan::quick("rewards", 0.5, 1.0).body()).await;
    api.create(Plan::quick("unstarted", 0.2, 1.0).held().body()).await;
    api.create(Plan::quick("open", 0.5, 1.0).with("autoClose", json!(false)).body()).await;
    let plain = Plan::quick("plain", 0.5, 1.0).with("rewardsEnabled", json!(false));
    api.create(plain.policy("closedExpirySeconds", json!(1)).body()).await;
    for id in ["by-hand", "dropped", "withdrawn", "stopped", "called-off"] {
        api.create(Plan::later(id).body()).await;
    }
    let target = Plan::later("target").with("targetEngagements", json!(100)).with("closeOnTarget", json!(true));
    api.create(target.body()).await;

    for id in ["by-hand", "stopped", "called-off", "target"] {
        api.move_to(id, "RUNNING").await.expect(200);
    }
    for status in ["CLOSED", "REWARD_CLAIM"] {
        api.move_to("by-hand", status).await.expect(200);
    }
    for id in ["withdrawn", "stopped"] {
        api.event(&format!("cancel-{id}"), "campaign.cancelled", &json!({"campaignId": id, "reason": "sold out"}))
            .await
            .expect(202);
    }
    for id in ["dropped", "called-off"] {
        api.post(&format!("/api/v1/campaigns/{id}/cancel"), &json!({"reason": "a mistake"})).await.expect(200);
    }
    for (event, total) in [("m-1", 60), ("m-2", 40), ("m-3", 100)] {
        let data = json!({"campaignId": "target", "engagements": total});
        api.event(event, "campaign.metric.recorded", &data).await.expect(202);
    }

    for id in ["rewards", "unstarted", "open", "plain"] {
        api.until_status(id, "EXPIRED").await;
    }
    for (id, status) in [("withdrawn", "CANCELLED"), ("stopped", "CANCELLED"), ("target", "CLOSED")] {
        api.until_status(id, status).await;
    }

    let mut seen = BTreeSet::new();
    for id in ids {
        let transitions = api.transitions(id).await;
        check_order(id, &transitions);
        seen.extend(transitions.iter().map(row_of));
    }
    let table: BTreeSet<Row> = TRANSITIONS
        .iter()
        .map(|row| {
            let from = row.from.map_or("", Status::as_str);
            (from.to_owned(), row.to.as_str().to_owned(), row.trigger.as_str().to_owned())
        })
        .collect();
    assert_eq!(seen, table);
    service.finish().await;
}

/// Each transition follows the one before, and no timer fired early.
fn check_order(id: &str, transitions: &[Value]) {
    let mut before = (Value::Null, 0, 0);
    for transition in transitions {
        let sequence = transition["sequence"].as_u64().unwrap_or_else(|| panic!("{id}: {transition}"));
        let at = millis_of(&transition["occurredAt"]);
        assert_eq!(transition["fromStatus"], before.0, "{id}: {transition}");
        assert!(sequence > before.1 && at >= before.2, "{id}: {transition}");
        if transition["scheduledFor"].is_string() {
            assert!(at >= millis_of(&transition["scheduledFor"]), "{id} was early: {transition}");
            assert!(transition["lateByMs"].as_u64().is_some(), "{id}: {transition}");
        }
        before = (transition["toStatus"].clone(), sequence, at);
    }
}

#[tokio::test]
async fn claims_and_reminders_count_from_what_really_happened() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("late").hasty().body()).await;
    api.move_to("late", "RUNNING").await.expect(200);
    api.move_to("late", "CLOSED").await.expect(200);
    api.until_status("late", "EXPIRED").await;
    let transitions = api.transitions("late").await;
    let path: Vec<&str> = transitions.iter().filter_map(|t| t["toStatus"].as_str()).collect();
    assert_eq!(path, ["CREATED", "RUNNING", "CLOSED", "REWARD_CLAIM", "EXPIRED"]);
    let at = |index: usize| millis_of(&transitions[index]["occurredAt"]);
    let due = |index: usize| millis_of(&transitions[index]["scheduledFor"]);
    assert_eq!(due(3) - at(2), 1_000, "the claim opens a second after the close");
    assert_eq!(due(4) - at(3), 2_000, "the claim ends two seconds after it opened");
    let timers = api.all("/api/v1/campaigns/late/timers").await;
    let reminder = timers.iter().find(|t| t["timerType"] == "REWARD_REMINDER").expect("people were reminded");
    assert_eq!(reminder["state"], "COMPLETED", "{reminder}");
    service.finish().await;
}

#[tokio::test]
async fn every_missing_row_is_refused_and_changes_nothing() {
    let service = service().await;
    let api = service.admin();
    for from in Status::ALL {
        for to in Status::ALL {
            let id = format!("{from}-to-{to}");
            bring_to(&api, &id, from).await;
            let before = api.campaign(&id).await;
            let answer = api.move_to(&id, to.as_str()).await;
            let is_row = is_allowed(Some(from), to, Trigger::Operator);
            if from == to || is_row {
                answer.expect(200);
            } else {
                answer.problem(409, "transition_not_allowed");
            }
            if !is_row {
                assert_eq!(api.campaign(&id).await, before, "{id}");
            }
        }
    }
    service.finish().await;
}

async fn bring_to(api: &Api, id: &str, status: Status) {
    let plan = Plan::later(id).with("rewardsEnabled", json!(false));
    let plan = if status == Status::Expired { plan.policy("closedExpirySeconds", json!(0)) } else { plan };
    api.create(plan.body()).await;
    let steps: &[&str] = match status {
        Status::Created => &[],
        Status::Running => &["RUNNING"],
        Status::Closed | Status::Expired => &["RUNNING", "CLOSED"],
        Status::RewardClaim => &["RUNNING", "CLOSED", "REWARD_CLAIM"],
        Status::Cancelled => &["CANCELLED"],
    };
    for step in steps {
        api.move_to(id, step).await.expect(200);
    }
    api.until_status(id, status.as_str()).await;
}
