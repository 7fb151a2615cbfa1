//! Many at once: of all who decide on one version exactly one wins, and a reschedule beats a timer or loses to it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use testkit::{Answer, Plan, in_seconds, millis_of};

use crate::service;

#[tokio::test]
async fn of_200_clients_who_saw_the_same_version_exactly_one_wins() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("wanted").body()).await;
    let clients: Vec<_> = (0..200)
        .map(|n| {
            let call = api.call("PATCH", "/api/v1/campaigns/wanted").header("if-match", "\"1\"");
            tokio::spawn(call.json(&json!({"metadata": {"winner": n}})).send())
        })
        .collect();
    let mut winners = Vec::new();
    for (n, client) in clients.into_iter().enumerate() {
        let answer: Answer = client.await.expect("no panic");
        if answer.status == 200 {
            winners.push(n);
        } else {
            let problem = answer.problem(412, "version_mismatch");
            assert!(problem["detail"].as_str().is_some_and(|text| text.contains('2')), "told which one: {problem}");
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let campaign = api.campaign("wanted").await;
    assert_eq!(campaign["version"], 2);
    assert_eq!(campaign["metadata"]["winner"], winners[0]);
    service.finish().await;
}

#[tokio::test]
async fn of_100_closes_at_once_one_closes_and_all_are_answered_alike() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("popular").body()).await;
    api.move_to("popular", "RUNNING").await.expect(200);
    let close = json!({"to": "CLOSED"});
    let clients: Vec<_> = (0..100)
        .map(|_| tokio::spawn(api.call("POST", "/api/v1/campaigns/popular/status").json(&close).send()))
        .collect();
    for client in clients {
        let campaign = client.await.expect("no panic").expect(200);
        assert_eq!((&campaign["status"], &campaign["version"]), (&json!("CLOSED"), &json!(3)));
    }
    assert_eq!(api.path_of("popular").await, ["CREATED", "RUNNING", "CLOSED"]);
    service.finish().await;
}

#[tokio::test]
async fn of_20_who_execute_one_timer_or_replay_one_letter_one_does() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("c").body()).await;
    let body = json!({"name": "ring", "at": in_seconds(600.0)});
    let timer = api.post("/api/v1/campaigns/c/timers", &body).await.expect(201);
    let execute = format!("/api/v1/campaigns/c/timers/{}/execute", timer["timerId"].as_str().expect("an id"));
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(api.call("POST", &execute).json(&json!({})).send())).collect();
    let mut fired = 0;
    for call in calls {
        let answer = call.await.expect("no panic");
        if answer.status == 200 {
            fired += 1;
        } else {
            answer.problem(404, "unknown_timer");
        }
    }
    assert_eq!(fired, 1);
    api.event("bad", "campaign.exploded", &json!({})).await.expect(202);
    let letter = testkit::until("the letter comes", async || api.all("/api/v1/dlq").await.pop()).await;
    let path = format!("/api/v1/dlq/{}", letter["id"].as_str().expect("an id"));
    let calls: Vec<_> =
        (0..20).map(|_| tokio::spawn(api.call("DELETE", &path).json(&json!({"reason": "so"})).send())).collect();
    let mut discarded = 0;
    for call in calls {
        let answer = call.await.expect("no panic");
        if answer.status == 200 {
            discarded += 1;
        } else {
            answer.problem(409, "letter_settled");
        }
    }
    assert_eq!(discarded, 1);
    service.finish().await;
}

/// 60 campaigns start at one instant; around it, clients move each start two seconds on.
#[tokio::test]
async fn a_reschedule_races_the_start_and_either_moves_it_or_is_refused() {
    let service = service().await;
    let api = service.admin();
    let plans: Vec<_> = (0..60).map(|n| Plan::quick(&format!("race-{n}"), 1.0, 20.0)).collect();
    let bodies: Vec<_> = plans.iter().map(|plan| plan.body().clone()).collect();
    api.post("/api/v1/campaigns/batch", &json!({ "campaigns": bodies })).await.expect(200);
    let first_start = millis_of(&bodies[0]["startTime"]);
    let later = in_seconds(3.0);
    let clients: Vec<_> = (0..60_u64)
        .map(|n| {
            let (api, later) = (api.clone(), later.clone());
            tokio::spawn(async move {
                // From 60 ms before the start to 60 ms after it.
                let wait = first_start - testkit::now_millis() - 60 + 2 * i64::try_from(n).expect("small");
                tokio::time::sleep(Duration::from_millis(u64::try_from(wait).unwrap_or(0))).await;
                api.patch(&format!("/api/v1/campaigns/race-{n}"), &json!({"startTime": later})).await
            })
        })
        .collect();
    let mut outcomes = BTreeMap::new();
    for (n, client) in clients.into_iter().enumerate() {
        let answer = client.await.expect("no panic");
        let moved = answer.status == 200;
        if !moved {
            answer.problem(409, "field_is_fixed");
        }
        outcomes.insert(n, moved);
    }
    for (n, moved) in &outcomes {
        let id = format!("race-{n}");
        let campaign = api.until_status(&id, "RUNNING").await;
        let transitions = api.transitions(&id).await;
        assert_eq!(transitions.len(), 2, "{id} started once: {transitions:?}");
        let due = millis_of(&transitions[1]["scheduledFor"]);
        assert_eq!(due, millis_of(&campaign["startTime"]), "{id} started by its last plan");
        let expected = if *moved { json!(later) } else { bodies[*n]["startTime"].clone() };
        assert_eq!(due, millis_of(&expected), "{id}: moved {moved}");
    }
    let moved = outcomes.values().filter(|moved| **moved).count();
    assert!((1..60).contains(&moved), "{moved} of 60 moved: the race was none");
    service.finish().await;
}

/// The end of a running campaign is moved again and again, to and fro, until it closes; it closes once, by its last end.
#[tokio::test]
async fn an_end_moved_often_closes_the_campaign_once_and_at_its_last_end() {
    let service = service().await;
    let api = service.admin();
    let ids: Vec<String> = (0..20).map(|n| format!("moving-{n}")).collect();
    for id in &ids {
        api.create(Plan::quick(id, 0.0, 1.5).body()).await;
    }
    let clients: Vec<_> = ids
        .iter()
        .cloned()
        .map(|id| {
            let api = api.clone();
            tokio::spawn(async move {
                api.until_status(&id, "RUNNING").await;
                for n in 0..40_u32 {
                    let end = in_seconds(if n % 2 == 0 { 0.03 } else { 0.3 });
                    let answer = api.patch(&format!("/api/v1/campaigns/{id}"), &json!({"endTime": end})).await;
                    match answer.status {
                        200 => {}
                        // Closed meanwhile, or so slow that the new end is over already.
                        409 => return drop(answer.problem(409, "field_is_fixed")),
                        _ => drop(answer.problem(422, "invalid_window")),
                    }
                    tokio::time::sleep(Duration::from_millis(u64::from(n % 7) * 5)).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
    for id in &ids {
        api.until_status(id, "EXPIRED").await;
        let transitions = api.transitions(id).await;
        let path: Vec<&str> = transitions.iter().filter_map(|t| t["toStatus"].as_str()).collect();
        assert_eq!(path, ["CREATED", "RUNNING", "CLOSED", "REWARD_CLAIM", "EXPIRED"], "{id}");
        let campaign = api.campaign(id).await;
        assert_eq!(transitions[2]["scheduledFor"], campaign["endTime"], "{id} closed by its last end");
    }
    service.finish().await;
}
