//! What people see over the WebSocket: who gets in, what a subscription begins with, and what follows.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Entry, Heard, Live, Plan, Role, Token, in_seconds};

use crate::{service, service_with};

fn admin() -> String {
    Token::of(&[Role::Admin]).mint()
}

pub(crate) fn statuses(frames: &[Value]) -> Vec<&str> {
    let updates = frames.iter().filter(|f| f["event"] == "campaign.status.updated");
    updates.filter_map(|f| f["data"]["toStatus"].as_str()).collect()
}

pub(crate) fn is_move_to(frame: &Value, status: &str) -> bool {
    frame["event"] == "campaign.status.updated" && frame["data"]["toStatus"] == status
}

#[tokio::test]
async fn a_token_gets_in_by_each_of_three_ways() {
    let service = service().await;
    let token = admin();
    for entry in [Entry::Header(&token), Entry::Subprotocol(&token)] {
        let mut live = Live::open(&service, entry).await;
        assert_eq!(live.ask(json!({"action": "ping"})).await["event"], "pong", "{entry:?}");
    }
    let mut live = Live::open(&service, Entry::FirstFrame(&token)).await;
    let welcome = live.frame().await;
    assert_eq!((&welcome["event"], &welcome["data"]["tenant"]), (&json!("authenticated"), &json!("default")));
    assert_eq!(live.ask(json!({"action": "ping"})).await["event"], "pong");
    service.finish().await;
}

#[tokio::test]
async fn who_has_no_valid_token_is_closed_with_4401() {
    let service = service_with(&[("LIFECYCLE_WEBSOCKET__AUTH_TIMEOUT", "500ms")]).await;
    let valid = admin();
    let expired = Token::of(&[Role::Admin]).seconds(-60).mint();
    let foreign = Token::of(&[Role::Admin]).secret("another secret of sufficient length").mint();
    for token in [expired.as_str(), foreign.as_str(), "nonsense", ""] {
        for entry in [Entry::Header(token), Entry::FirstFrame(token)] {
            let (code, reason) = Live::open(&service, entry).await.end().await;
            assert_eq!(code, 4401, "{entry:?}: {reason}");
        }
    }
    let mut silent = Live::open(&service, Entry::Nothing).await;
    assert_eq!(silent.end().await.0, 4401, "no token in time");
    let mut rude = Live::open(&service, Entry::Nothing).await;
    rude.say(&json!({"action": "subscribe", "channel": "tenant"})).await;
    assert_eq!(rude.end().await.0, 4401, "something else first");
    let brief = Token::of(&[Role::Admin]).seconds(2).mint();
    let mut live = Live::open(&service, Entry::Header(&brief)).await;
    assert_eq!(live.ask(json!({"action": "ping"})).await["event"], "pong");
    assert_eq!(live.end().await.0, 4401, "a connection does not outlive its token");
    let mut renewed = Live::open(&service, Entry::Header(&Token::of(&[Role::Admin]).seconds(2).mint())).await;
    assert_eq!(renewed.ask(json!({"action": "authenticate", "token": valid})).await["event"], "authenticated");
    assert_eq!(renewed.hear(Duration::from_secs(4)).await, Heard::Silence, "a newer token keeps it open");
    service.finish().await;
}

#[tokio::test]
async fn a_token_never_travels_in_the_url() {
    let service = service().await;
    let api = service.anonymous();
    let answer = api.get(&format!("/ws?token={}", admin())).await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("token_in_url")));
    assert_eq!(api.get("/ws").await.status, 426);
    let upgrade = |origin: &'static str| {
        let call = api.call("GET", "/ws").header("connection", "upgrade").header("upgrade", "websocket");
        let call = call.header("sec-websocket-version", "13").header("sec-websocket-key", "MDEyMzQ1Njc4OWFiY2RlZg==");
        call.header("origin", origin).send()
    };
    let foreign = upgrade("https://evil.example").await;
    assert_eq!((foreign.status, &foreign.json()["code"]), (403, &json!("origin_not_allowed")));
    service.finish().await;
}

#[tokio::test]
async fn what_the_caller_may_not_hear_is_forbidden_or_not_there() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("mine").with("ownerId", json!("ada")).body()).await;
    api.create(Plan::later("hers").with("ownerId", json!("eve")).body()).await;
    let ada = Token::of(&[Role::Viewer]).owner("ada").mint();
    let mut live = Live::open(&service, Entry::Header(&ada)).await;
    let expected = [
        ("campaign:mine", "subscribed", ""),
        ("owner:ada", "subscribed", ""),
        ("campaign:hers", "error", "not_found"),
        ("campaign:nobody", "error", "not_found"),
        ("owner:eve", "error", "forbidden"),
        ("tenant", "error", "forbidden"),
        ("system", "error", "forbidden"),
        ("everything", "error", "unknown_channel"),
        ("campaign:a/b", "error", "unknown_channel"),
    ];
    for (channel, event, code) in expected {
        let answer = live.subscribe(channel, None).await;
        assert_eq!(answer["event"], event, "{channel}: {answer}");
        assert_eq!(answer["data"]["code"].as_str().unwrap_or_default(), code, "{channel}: {answer}");
    }
    api.move_to("hers", "RUNNING").await.expect(200);
    api.move_to("mine", "RUNNING").await.expect(200);
    let frames = live.rest(Duration::from_millis(700)).await;
    assert!(!frames.is_empty());
    assert!(frames.iter().all(|f| f["data"]["campaignId"] == "mine"), "{frames:#?}");
    let other = Token::of(&[Role::Admin]).tenant("other").mint();
    let mut live = Live::open(&service, Entry::Header(&other)).await;
    assert_eq!(live.subscribe("campaign:mine", None).await["data"]["code"], "not_found");
    service.finish().await;
}

#[tokio::test]
async fn a_whole_life_is_seen_live_in_order_and_without_a_repeat() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::quick("life", 1.0, 1.0).with("ownerId", json!("ada")).body()).await;
    let token = admin();
    let mut tabs = Vec::new();
    for channel in ["campaign:life", "campaign:life", "owner:ada", "tenant"] {
        let mut live = Live::open(&service, Entry::Header(&token)).await;
        let subscribed = live.subscribe(channel, None).await;
        assert_eq!((&subscribed["event"], &subscribed["channel"]), (&json!("subscribed"), &json!(channel)));
        assert!(subscribed["cursor"].is_string(), "{subscribed}");
        if channel == "campaign:life" {
            assert!(subscribed["data"].to_string().contains("\"status\":\"CREATED\""), "a snapshot: {subscribed}");
        }
        tabs.push((channel, live));
    }
    let mut seen = Vec::new();
    for (channel, live) in &mut tabs {
        let frames = live.until(|f| is_move_to(f, "EXPIRED")).await;
        assert_eq!(statuses(&frames), ["RUNNING", "CLOSED", "REWARD_CLAIM", "EXPIRED"], "{channel}");
        assert!(frames.iter().all(|f| f["channel"] == *channel), "{frames:#?}");
        let cursors: Vec<(u64, u64)> = frames.iter().map(cursor).collect();
        assert!(cursors.windows(2).all(|pair| pair[0] < pair[1]), "{channel}: {cursors:?}");
        let executed = frames.iter().filter(|f| f["event"] == "timer.executed");
        let kinds: Vec<_> = executed.filter_map(|f| f["data"]["timerType"].as_str()).collect();
        let expected = ["START_CAMPAIGN", "CLOSE_CAMPAIGN", "OPEN_REWARD_CLAIM", "REWARD_REMINDER", "EXPIRE_CAMPAIGN"];
        let frames = if kinds.len() < 5 { live.until(|f| f["event"] == "timer.executed").await } else { Vec::new() };
        assert_eq!(kinds.len() + frames.len(), expected.len(), "{channel}: {kinds:?}");
        seen.push(cursors);
    }
    assert_eq!(seen[0], seen[1], "two tabs see the same");
    service.finish().await;
}

pub(crate) fn cursor(frame: &Value) -> (u64, u64) {
    let text = frame["cursor"].as_str().unwrap_or_else(|| panic!("no cursor: {frame}"));
    let (position, k) = text.split_once('-').unwrap_or_else(|| panic!("no cursor: {text}"));
    (position.parse().expect("a number"), k.parse().expect("a number"))
}

#[tokio::test]
async fn people_see_updates_reminders_and_refusals() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("c").with("targetEngagements", json!(10)).body()).await;
    let token = admin();
    let mut live = Live::open(&service, Entry::Header(&token)).await;
    live.subscribe("campaign:c", None).await;
    api.patch("/api/v1/campaigns/c", &json!({"metadata": {"n": 1}})).await.expect(200);
    let body = json!({"name": "ring", "at": in_seconds(0.3)});
    api.post("/api/v1/campaigns/c/timers", &body).await.expect(201);
    let frames = live.until(|f| f["event"] == "notification").await;
    let events: Vec<&str> = frames.iter().filter_map(|f| f["event"].as_str()).collect();
    assert_eq!(events, ["campaign.updated", "campaign.timer.scheduled", "timer.executed", "notification"]);
    api.move_to("c", "RUNNING").await.expect(200);
    api.event("m", "campaign.metric.recorded", &json!({"campaignId": "c", "engagements": 10})).await.expect(202);
    let target = live.until(|f| f["event"] == "notification").await.pop().expect("the last");
    assert_eq!(target["data"]["code"], "target_reached", "{target}");
    api.move_to("c", "REWARD_CLAIM").await.problem(409, "transition_not_allowed");
    let refused = live.until(|f| f["event"] == "campaign.error").await.pop().expect("the last");
    assert_eq!(refused["data"]["code"], "transition_not_allowed", "{refused}");
    assert_eq!(live.ask(json!({"action": "unsubscribe", "channel": "campaign:c"})).await["event"], "unsubscribed");
    api.move_to("c", "CLOSED").await.expect(200);
    assert_eq!(live.hear(Duration::from_millis(500)).await, Heard::Silence);
    let again = live.ask(json!({"action": "unsubscribe", "channel": "campaign:c"})).await;
    assert_eq!(again["data"]["code"], "not_subscribed");
    service.finish().await;
}

#[tokio::test]
async fn who_hears_a_frame_and_then_asks_gets_at_least_that_version() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("c").body()).await;
    let mut live = Live::open(&service, Entry::Header(&admin())).await;
    live.subscribe("tenant", None).await;
    let writer = {
        let api = api.clone();
        tokio::spawn(async move {
            for n in 0..200 {
                api.patch("/api/v1/campaigns/c", &json!({"metadata": {"n": n}})).await.expect(200);
            }
        })
    };
    let mut heard = 0;
    while heard < 200 {
        let frame = live.until(|f| f["event"] == "campaign.updated").await.pop().expect("the last");
        let told = frame["data"]["sequence"].as_u64().unwrap_or_else(|| panic!("no sequence: {frame}"));
        let read = api.campaign("c").await["version"].as_u64().expect("a version");
        assert!(read >= told, "heard of version {told}, then read {read}");
        heard += 1;
    }
    writer.await.expect("no panic");
    service.finish().await;
}
