//! Every reason for which a command is refused, each with its status and stable code, and without any effect.

use serde_json::{Value, json};
use testkit::{Answer, Api, Plan, in_seconds};

use crate::service;

const NO_SUCH_TIMER: &str = "0192f3a0-7c1e-7000-8000-0123456789ab";

async fn patch(api: &Api, id: &str, body: Value) -> Answer {
    api.patch(&format!("/api/v1/campaigns/{id}"), &body).await
}

async fn remind(api: &Api, id: &str, name: &str, seconds: f64) -> Answer {
    api.post(&format!("/api/v1/campaigns/{id}/timers"), &json!({"name": name, "at": in_seconds(seconds)})).await
}

#[tokio::test]
async fn commands_to_a_campaign_that_is_not_there_are_refused() {
    let service = service().await;
    let api = service.admin();
    for path in ["", "/lifecycle", "/transitions", "/timers"] {
        api.get(&format!("/api/v1/campaigns/nobody{path}")).await.problem(404, "unknown_campaign");
    }
    patch(&api, "nobody", json!({"autoClose": false})).await.problem(404, "unknown_campaign");
    api.move_to("nobody", "RUNNING").await.problem(404, "unknown_campaign");
    api.post("/api/v1/campaigns/nobody/cancel", &json!({})).await.problem(404, "unknown_campaign");
    remind(&api, "nobody", "x", 60.0).await.problem(404, "unknown_campaign");
    api.get("/api/v1/campaigns/no%2Fbody").await.problem(404, "unknown_campaign");
    service.finish().await;
}

#[tokio::test]
async fn definitions_that_break_a_rule_are_refused_and_nothing_is_stored() {
    let service = service().await;
    let api = service.admin();
    let create = async |plan: Plan| api.post("/api/v1/campaigns", plan.body()).await;
    let plan = || Plan::later("wrong");
    create(plan().with("endTime", json!(in_seconds(-60.0))).with("startTime", json!(in_seconds(-120.0))))
        .await
        .problem(422, "invalid_campaign");
    create(plan().with("closeOnTarget", json!(true))).await.problem(422, "invalid_campaign");
    create(plan().with("targetEngagements", json!(0))).await.problem(422, "invalid_campaign");
    create(plan().policy("rewardClaimSeconds", json!(366 * 86_400 + 1))).await.problem(422, "invalid_campaign");
    let in_body = [
        plan().with("endTime", json!(in_seconds(3599.0))),
        plan().with("endTime", json!(in_seconds(3600.5))),
        plan().with("endTime", json!(in_seconds(400.0 * 86_400.0))),
        plan().with("endTime", Value::Null),
        plan().with("durationMinutes", json!(7)),
        plan().with("endTime", Value::Null).with("durationHours", json!(1)).with("durationMinutes", json!(61)),
        plan().with("startTime", json!("tomorrow")),
        plan().with("startTime", json!("9999-12-31T23:59:59Z")).with("endTime", json!("+10000-01-01T00:00:00Z")),
        plan().with("campaignId", json!("a/b")),
        plan().with("campaignId", json!("x".repeat(65))),
        plan().with("campaignId", json!("")),
        plan().with("ownerId", json!("an owner")),
        plan().with("metadata", json!([])),
        plan().with("metadata", json!("text")),
        plan().with("metadata", json!({"large": "x".repeat(17_000)})),
        plan().with("policy", json!({"misfire": {"START_CAMPAIGN": "perhaps"}})),
        plan().with("policy", json!({"unheardOf": 1})),
        plan().with("status", json!("RUNNING")),
        plan().with("tenant", json!("other")),
    ];
    for wrong in in_body {
        let problem = create(wrong.clone()).await.problem(422, "invalid_field");
        assert!(problem["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{wrong:?}: {problem}");
    }
    assert_eq!(api.all("/api/v1/campaigns").await, Vec::<Value>::new());
    service.finish().await;
}

#[tokio::test]
async fn changes_that_do_not_fit_the_status_are_refused() {
    let service = service().await;
    let api = service.admin();
    for id in ["created", "running", "closed", "claim", "over"] {
        api.create(Plan::later(id).body()).await;
    }
    for (id, steps) in [
        ("running", &["RUNNING"][..]),
        ("closed", &["RUNNING", "CLOSED"]),
        ("claim", &["RUNNING", "CLOSED", "REWARD_CLAIM"]),
        ("over", &["CANCELLED"]),
    ] {
        for step in steps {
            api.move_to(id, step).await.expect(200);
        }
    }
    let start = json!({"startTime": in_seconds(1800.0)});
    patch(&api, "created", start.clone()).await.expect(200);
    patch(&api, "running", start.clone()).await.problem(409, "field_is_fixed");
    patch(&api, "running", json!({"endTime": in_seconds(7200.0)})).await.expect(200);
    patch(&api, "closed", json!({"endTime": in_seconds(7200.0)})).await.problem(409, "field_is_fixed");
    patch(&api, "closed", json!({"autoClose": false})).await.problem(409, "field_is_fixed");
    patch(&api, "closed", json!({"rewardsEnabled": false})).await.expect(200);
    patch(&api, "claim", json!({"rewardsEnabled": false})).await.problem(409, "field_is_fixed");
    patch(&api, "claim", json!({"metadata": {"note": 1}})).await.expect(200);
    patch(&api, "over", json!({"metadata": {"note": 1}})).await.problem(409, "wrong_status");
    remind(&api, "over", "x", 60.0).await.problem(409, "wrong_status");
    patch(&api, "created", json!({"endTime": in_seconds(60.0)})).await.problem(422, "invalid_window");
    patch(&api, "running", json!({"durationMinutes": 5, "durationHours": 5})).await.problem(422, "invalid_window");
    for id in ["closed", "claim", "over"] {
        let answer = api.post(&format!("/api/v1/campaigns/{id}/cancel"), &json!({})).await;
        if id == "over" {
            answer.expect(200);
        } else {
            answer.problem(409, "transition_not_allowed");
        }
    }
    service.finish().await;
}

#[tokio::test]
async fn a_decision_on_another_version_is_refused() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("v").body()).await;
    let path = "/api/v1/campaigns/v";
    let change =
        |tag: &'static str| api.call("PATCH", path).header("if-match", tag).json(&json!({"metadata": {"a": tag}}));
    change("\"7\"").send().await.problem(412, "version_mismatch");
    let answer = change("\"1\"").send().await;
    answer.expect(200);
    assert_eq!(answer.header("etag"), Some("\"2\""));
    change("\"1\"").send().await.problem(412, "version_mismatch");
    change("*").send().await.expect(200);
    for nonsense in ["1", "\"one\"", "W/\"3\"", "\"3\", \"4\"", ""] {
        change(nonsense).send().await.problem(400, "invalid_header");
    }
    let cancel = api.call("POST", &format!("{path}/cancel")).header("if-match", "\"1\"").json(&json!({}));
    cancel.send().await.problem(412, "version_mismatch");
    service.finish().await;
}

#[tokio::test]
async fn timers_that_may_not_fire_or_go_are_kept() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("t").body()).await;
    let timers = "/api/v1/campaigns/t/timers";
    for id in [NO_SUCH_TIMER, "not-a-uuid"] {
        api.post(&format!("{timers}/{id}/execute"), &json!({})).await.problem(404, "unknown_timer");
        api.delete(&format!("{timers}/{id}")).await.problem(404, "unknown_timer");
    }
    let expire = api.timer("t", "EXPIRE_CAMPAIGN").await;
    api.post(&format!("{timers}/{expire}/execute"), &json!({})).await.problem(409, "timer_not_due");
    let start = api.timer("t", "START_CAMPAIGN").await;
    api.delete(&format!("{timers}/{start}")).await.problem(409, "timer_is_planned");
    remind(&api, "t", "past", -1.0).await.problem(422, "timer_out_of_range");
    remind(&api, "t", "far", 367.0 * 86_400.0).await.problem(422, "timer_out_of_range");
    remind(&api, "t", "a name", 60.0).await.problem(422, "invalid_field");
    remind(&api, "t", "r-0", 60.0).await.expect(201);
    remind(&api, "t", "r-0", 61.0).await.problem(409, "timer_name_taken");
    for n in 1..domain::MAX_REMINDERS {
        remind(&api, "t", &format!("r-{n}"), 60.0).await.expect(201);
    }
    remind(&api, "t", "one-more", 60.0).await.problem(409, "too_many_timers");
    // The timer of another campaign is not ours to touch.
    api.create(Plan::later("u").body()).await;
    api.delete(&format!("/api/v1/campaigns/u/timers/{start}")).await.problem(404, "unknown_timer");
    service.finish().await;
}

#[tokio::test]
async fn a_window_that_is_over_cannot_be_started_by_hand() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::quick("missed", 0.1, 1.0).held().policy("createdExpirySeconds", json!(60)).body()).await;
    let start = api.timer("missed", "START_CAMPAIGN").await;
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    api.move_to("missed", "RUNNING").await.problem(409, "window_is_over");
    let execute = format!("/api/v1/campaigns/missed/timers/{start}/execute");
    api.post(&execute, &json!({})).await.problem(409, "window_is_over");
    assert_eq!(api.campaign("missed").await["status"], "CREATED");
    service.finish().await;
}
