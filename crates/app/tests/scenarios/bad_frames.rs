//! Garbage over the WebSocket: each piece gets its documented answer, and nobody else notices.

use serde_json::json;
use testkit::{Entry, Live, Plan, Role, Service, Token};

use crate::service;

async fn tab(service: &Service) -> Live {
    Live::open(service, Entry::Header(&Token::of(&[Role::Admin]).mint())).await
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_is_answered_and_the_connection_goes_on() {
    let service = service().await;
    let mut live = tab(&service).await;
    let garbage = [
        "",
        "{",
        "null",
        "[]",
        "42",
        "\"subscribe\"",
        "{}",
        r#"{"action":"fly"}"#,
        r#"{"action":7}"#,
        r#"{"action":"subscribe"}"#,
        r#"{"action":"subscribe","channel":7}"#,
        r#"{"action":"subscribe","channel":"tenant","extra":1}"#,
        r#"{"action":"ping","id":"one"}"#,
        r#"{"action":"ping","id":-1}"#,
        r#"{"action":"subscribe","channel":"tenant","since":5}"#,
    ];
    for (n, text) in garbage.iter().enumerate() {
        live.say_text(text).await;
        let answer = live.frame().await;
        assert_eq!((&answer["event"], &answer["data"]["code"]), (&json!("error"), &json!("malformed_frame")), "{text}");
        // Ten refusals in a row would end it.
        if n % 5 == 4 {
            assert_eq!(live.ask(json!({"action": "ping"})).await["event"], "pong");
        }
    }
    let deep = format!("{{\"action\":{}{}}}", "[".repeat(200), "]".repeat(200));
    live.say_text(&deep).await;
    assert_eq!(live.frame().await["data"]["code"], "malformed_frame");
    assert_eq!(live.ask(json!({"action": "ping"})).await["event"], "pong");
    service.finish().await;
}

#[tokio::test]
async fn who_does_not_stop_or_sends_what_is_no_text_is_closed() {
    let service = service().await;
    let api = service.admin();
    api.create(Plan::later("c").body()).await;
    let mut witness = tab(&service).await;
    witness.subscribe("campaign:c", None).await;

    let mut stubborn = tab(&service).await;
    for _ in 0..10 {
        stubborn.say_text("garbage").await;
    }
    assert_eq!(stubborn.end().await.0, 1008, "refused frames in a row");
    let mut binary = tab(&service).await;
    binary.say_bytes(&[0, 159, 146, 150]).await;
    assert_eq!(binary.end().await.0, 1003, "bytes");
    let mut foreign = tab(&service).await;
    foreign.say_raw_text(b"{\"action\":\"\xff\xfe\"}").await;
    assert_eq!(foreign.end().await.0, 1007, "no UTF-8");
    let mut huge = tab(&service).await;
    huge.say_text(&"x".repeat(100_000)).await;
    assert!(matches!(huge.end().await.0, 1009 | 0), "too big");
    let mut fast = tab(&service).await;
    for _ in 0..1_000 {
        fast.say_text(r#"{"action":"ping"}"#).await;
    }
    assert!(matches!(fast.end().await.0, 4429 | 0), "too many");
    let mut crowd = tab(&service).await;
    for n in 0..100 {
        assert_eq!(crowd.subscribe(&format!("owner:o-{n}"), None).await["event"], "subscribed");
    }
    assert_eq!(crowd.subscribe("tenant", None).await["data"]["code"], "too_many_subscriptions");

    api.move_to("c", "RUNNING").await.expect(200);
    assert_eq!(witness.frame().await["event"], "campaign.status.updated", "others are not disturbed");
    service.finish().await;
}
