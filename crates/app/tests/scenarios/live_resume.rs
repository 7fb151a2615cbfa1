//! Coming back with a cursor: no hole and no repeat, across disconnects and crashes; and an honest word when the log
//! no longer reaches back.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Api, Entry, Live, Plan, Role, Service, Token};

use crate::live::{cursor, statuses};
use crate::{service, service_with};

async fn tab(service: &Service) -> Live {
    Live::open(service, Entry::Header(&Token::of(&[Role::Admin]).mint())).await
}

fn last_cursor(frames: &[Value]) -> String {
    frames.last().and_then(|f| f["cursor"].as_str()).expect("a cursor").to_owned()
}

/// Everything on `channel` after `since`, and whether nothing was missed.
async fn resume(live: &mut Live, channel: &str, since: &str) -> (bool, Vec<Value>) {
    let mut frames = Vec::new();
    let subscribed = live.subscribe(channel, Some(since)).await;
    assert_eq!(subscribed["event"], "subscribed", "{subscribed}");
    frames.extend(live.until(|f| f["event"] == "recovered").await);
    let recovered = frames.pop().expect("the last");
    (recovered["data"]["recovered"] == true, frames)
}

async fn update(api: &Api, id: &str, n: usize) {
    api.patch(&format!("/api/v1/campaigns/{id}"), &json!({"metadata": {"n": n}})).await.expect(200);
}

fn numbers(frames: &[Value]) -> Vec<u64> {
    let updates = frames.iter().filter(|f| f["event"] == "campaign.updated");
    updates.map(|f| f["data"]["sequence"].as_u64().expect("a sequence")).collect()
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing_and_sees_nothing_twice() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("c").body()).await;
    let mut live = tab(&service).await;
    live.subscribe("campaign:c", None).await;
    let writer = {
        let api = api.clone();
        tokio::spawn(async move {
            for n in 0..300 {
                update(&api, "c", n).await;
            }
        })
    };
    let mut seen = Vec::new();
    for _ in 0..8 {
        let frames = live.until(|_| true).await;
        seen.extend(frames);
        seen.extend(live.rest(Duration::from_millis(5)).await);
        let since = last_cursor(&seen);
        drop(live);
        tokio::time::sleep(Duration::from_millis(30)).await;
        live = tab(&service).await;
        let (whole, missed) = resume(&mut live, "campaign:c", &since).await;
        assert!(whole);
        seen.extend(missed);
        if writer.is_finished() {
            break;
        }
    }
    writer.await.expect("no panic");
    seen.extend(live.rest(Duration::from_millis(700)).await);
    let expected: Vec<u64> = (2..302).collect();
    assert_eq!(numbers(&seen), expected);
    service.finish().await;
}

#[tokio::test]
async fn a_cursor_outlives_the_process() {
    let mut service = service().await;
    let api = service.admin();
    for id in ["a", "b"] {
        api.create(Plan::later(id).body()).await;
    }
    let mut live = tab(&service).await;
    let since = live.subscribe("tenant", None).await["cursor"].as_str().expect("a cursor").to_owned();
    api.move_to("a", "RUNNING").await.expect(200);
    let first = live.until(|f| f["event"] == "campaign.status.updated").await;
    service.kill().await;
    service.launch().await;
    let api = service.admin();
    api.move_to("b", "RUNNING").await.expect(200);
    let mut live = tab(&service).await;
    let (whole, mut frames) = resume(&mut live, "tenant", &since).await;
    // On servers the process that was killed holds the relay's lease for a moment longer.
    while statuses(&frames).len() < 2 {
        frames.push(live.frame().await);
    }
    frames.extend(live.rest(Duration::from_millis(500)).await);
    assert!(whole);
    assert_eq!(statuses(&frames), ["RUNNING", "RUNNING"]);
    assert_eq!(frames[0], first[0], "the same frame with the same cursor");
    service.finish().await;
}

#[tokio::test]
async fn a_client_that_missed_too_much_is_told_and_gets_the_present_state() {
    let service = service_with(&[("LIFECYCLE_WEBSOCKET__RESUME_LIMIT", "20")]).await;
    let api = service.admin();
    api.create(Plan::later("c").body()).await;
    let mut live = tab(&service).await;
    let since = live.subscribe("campaign:c", None).await["cursor"].as_str().expect("a cursor").to_owned();
    drop(live);
    for n in 0..50 {
        update(&api, "c", n).await;
    }
    let mut live = tab(&service).await;
    live.subscribe("campaign:c", Some(&since)).await;
    let recovered = live.until(|f| f["event"] == "recovered").await.pop().expect("the last");
    assert_eq!(recovered["data"]["recovered"], false, "{recovered}");
    let snapshot = &recovered["data"]["snapshot"];
    assert_eq!((&snapshot["campaign"]["version"], &snapshot["campaign"]["metadata"]["n"]), (&json!(51), &json!(49)));
    update(&api, "c", 50).await;
    let next = live.until(|f| f["event"] == "campaign.updated").await.pop().expect("the last");
    assert_eq!(next["data"]["sequence"], 52, "and goes on from there");
    assert!(cursor(&next) > cursor(&recovered));
    service.finish().await;
}

#[tokio::test]
async fn a_cursor_of_another_life_is_answered_with_a_snapshot_and_nonsense_with_an_error() {
    let service = service().await;
    service.admin().create(Plan::later("c").body()).await;
    let mut live = tab(&service).await;
    live.subscribe("campaign:c", Some("999999999-0")).await;
    let recovered = live.until(|f| f["event"] == "recovered").await.pop().expect("the last");
    assert_eq!(recovered["data"]["recovered"], false, "{recovered}");
    for nonsense in ["", "5", "a-b", "-1-0", "1-0; drop", "99999999999999999999-0"] {
        let answer = live.subscribe("campaign:c", Some(nonsense)).await;
        assert_eq!(answer["data"]["code"], "invalid_cursor", "{nonsense}: {answer}");
    }
    service.finish().await;
}

#[tokio::test]
async fn a_cursor_older_than_the_log_is_kept_gets_the_present_state() {
    let service = service_with(&[("LIFECYCLE_WEBSOCKET__RESUME_RETENTION", "1s")]).await;
    let api = service.admin();
    api.create(Plan::later("c").body()).await;
    let mut live = tab(&service).await;
    let old = live.subscribe("campaign:c", None).await["cursor"].as_str().expect("a cursor").to_owned();
    api.move_to("c", "RUNNING").await.expect(200);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    api.move_to("c", "CLOSED").await.expect(200);
    live.subscribe("campaign:c", Some(&old)).await;
    let recovered = live.until(|f| f["event"] == "recovered").await.pop().expect("the last");
    assert_eq!(recovered["data"]["recovered"], false, "{recovered}");
    assert_eq!(recovered["data"]["snapshot"]["campaign"]["status"], "CLOSED", "{recovered}");
    service.finish().await;
}
