//! A client that does not read: it is let go with 4008, its memory is bounded, and everybody else is served.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Api, Entry, Heard, Live, PATIENCE, Plan, Role, Service, Token, until};

use crate::live::is_move_to;
use crate::service_with;

async fn closed_as_slow(service: &Service) -> bool {
    let metrics = service.anonymous().get("/metrics").await.text;
    metrics.lines().any(|line| line.starts_with("lifecycle_websocket_closes_total") && line.contains("slow"))
}

/// Much for everybody who listens to the tenant: large metadata, changed often.
async fn talk(api: Api, service_is_done: tokio::sync::watch::Receiver<bool>) {
    let filler = "x".repeat(15_000);
    for n in 0.. {
        if *service_is_done.borrow() {
            return;
        }
        let calls: Vec<_> = (0..8)
            .map(|c| {
                let body = json!({"metadata": {"n": n, "filler": filler}});
                tokio::spawn(api.call("PATCH", &format!("/api/v1/campaigns/loud-{c}")).json(&body).send())
            })
            .collect();
        for call in calls {
            call.await.expect("no panic").expect(200);
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_with_4008_and_told_where_to_resume() {
    let service = service_with(&[("LIFECYCLE_WEBSOCKET__QUEUE_BYTES", "65536")]).await;
    let api = service.admin();
    let token = Token::of(&[Role::Admin]).mint();
    for c in 0..8 {
        api.create(Plan::later(&format!("loud-{c}")).body()).await;
    }
    let mut slow = Live::open_narrow(&service, Entry::Header(&token)).await;
    slow.subscribe("tenant", None).await;
    let mut quick = Live::open(&service, Entry::Header(&token)).await;
    quick.subscribe("campaign:loud-0", None).await;
    let (done, is_done) = tokio::sync::watch::channel(false);
    let talker = tokio::spawn(talk(api.clone(), is_done));
    let listener = tokio::spawn(async move { quick.until(|f| is_move_to(f, "RUNNING")).await });

    // It reads, but far too slowly.
    let mut heard: Vec<Value> = Vec::new();
    let started = Instant::now();
    let end = loop {
        assert!(started.elapsed() < 2 * PATIENCE, "never closed");
        tokio::time::sleep(Duration::from_millis(200)).await;
        if closed_as_slow(&service).await {
            done.send_replace(true);
        }
        match slow.hear(Duration::from_millis(100)).await {
            Heard::Frame(frame) => heard.push(frame),
            Heard::Silence => {}
            Heard::Closed(code, reason) => break (code, reason),
        }
        if *done.borrow() {
            break slow.end().await;
        }
    };
    done.send_replace(true);
    talker.await.expect("no panic");
    assert_eq!(end.0, 4008, "{end:?}");
    assert!(end.1.contains("cursor="), "{}", end.1);
    assert!(until("the close is counted", async || closed_as_slow(&service).await.then_some(true)).await);
    api.move_to("loud-0", "RUNNING").await.expect(200);
    let frames = listener.await.expect("the other client heard everything");
    let sequences: Vec<u64> = frames
        .iter()
        .filter(|f| f["event"] == "campaign.updated")
        .filter_map(|f| f["data"]["sequence"].as_u64())
        .collect();
    let expected: Vec<u64> = (2..).take(sequences.len()).collect();
    assert_eq!(sequences, expected, "nothing missed, nothing twice");
    service.finish().await;
}
