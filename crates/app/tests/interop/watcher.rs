//! A Node.js client that watches over WebSocket, is cut off, and misses nothing.

use serde_json::{Value, json};
use testkit::{Plan, Role, Service, Token};

use crate::node::{Talk, of_type, summary};
use crate::service;

#[tokio::test]
async fn a_node_watcher_that_is_cut_off_misses_nothing_with_a_token_in_the_header() {
    let service = service().await;
    let mut watcher = watch(&service, "header").await;
    a_busy_campaign(&service, &mut watcher).await;
    // The cancelled campaign is what it waits for.
    let told = watcher.end().await;
    assert_eq!(of_type(&told, "connected")[0]["protocol"], "");
    nothing_is_missed(&told);
    service.finish().await;
}

#[tokio::test]
async fn a_node_watcher_that_is_cut_off_misses_nothing_with_a_token_in_the_subprotocols() {
    let service = service().await;
    let mut watcher = watch(&service, "subprotocol").await;
    a_busy_campaign(&service, &mut watcher).await;
    watcher.hang_up();
    let told = watcher.end().await;
    assert_eq!(of_type(&told, "connected")[0]["protocol"], "bearer");
    nothing_is_missed(&told);
    service.finish().await;
}

async fn watch(service: &Service, entry: &str) -> Talk {
    service.admin().create(Plan::later("watched").body()).await;
    let url = format!("ws://{}/ws", service.address());
    let mut arguments = vec!["--url", &url, "--campaign", "watched", "--entry", entry];
    if entry == "header" {
        arguments.extend(["--until", "event=campaign.status.updated,channel=campaign:watched,toStatus=CANCELLED"]);
    }
    let token = Token::of(&[Role::Viewer]).mint();
    let mut watcher = Talk::start("watcher.mjs", &arguments, &[("TOKEN", &token)]);
    for channel in ["tenant", "campaign:watched"] {
        watcher.until(channel, |line| is_frame(line, "subscribed", channel)).await;
    }
    watcher
}

fn is_frame(line: &Value, event: &str, channel: &str) -> bool {
    line["type"] == "frame" && line["frame"]["event"] == event && line["frame"]["channel"] == channel
}

/// Changes the campaign before and after the client is cut off, also while it is away, and cancels it.
async fn a_busy_campaign(service: &Service, watcher: &mut Talk) {
    let api = service.admin();
    let change = async |n: u32| {
        let changes = json!({ "metadata": { "n": n }, "durationMinutes": 60 + n });
        api.patch("/api/v1/campaigns/watched", &changes).await.expect(200);
    };
    for n in 1..=3 {
        change(n).await;
    }
    let metadata = |line: &Value| line["frame"]["data"]["changes"]["metadata"]["n"].clone();
    watcher.until("the third change", |line| metadata(line) == 3).await;
    watcher.say("cut").await;
    for n in 4..=6 {
        change(n).await;
    }
    for channel in ["tenant", "campaign:watched"] {
        watcher.until("it is resumed", |line| is_frame(line, "recovered", channel)).await;
    }
    change(7).await;
    watcher.until("the seventh change", |line| metadata(line) == 7).await;
    api.post("/api/v1/campaigns/watched/cancel", &json!({})).await.expect(200);
    let cancelled = |line: &Value| is_frame(line, "campaign.status.updated", "campaign:watched");
    watcher.until("the end", |line| cancelled(line) && line["frame"]["data"]["toStatus"] == "CANCELLED").await;
}

fn nothing_is_missed(told: &[Value]) {
    let summary = summary(told);
    assert_eq!(summary["faults"], json!([]), "{summary:#}");
    let told_of = [&summary["connections"], &summary["resumed"], &summary["startedOver"]];
    assert_eq!(told_of, [&json!(2), &json!(2), &json!(0)], "{summary:#}");
    for channel in ["tenant", "campaign:watched"] {
        let updates = told.iter().filter(|line| is_frame(line, "campaign.updated", channel));
        let seen: Vec<&Value> = updates.map(|line| &line["frame"]["data"]["changes"]["metadata"]["n"]).collect();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7], "{channel}");
    }
}
