//! Bad input and too much of anything: each gets its documented answer, and nobody else notices.

use futures_util::SinkExt;
use lifecycle_adapters_websocket::HubSettings;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader, Utf8Bytes};

use crate::support::{Server, VIEWER, position};

async fn server() -> Server {
    Server::start(HubSettings::default()).await
}

#[tokio::test]
async fn garbage_is_answered_and_the_connection_stays() {
    let server = server().await;
    let mut client = server.connect(VIEWER).await;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for text in [
        "",
        "hello",
        "{",
        "[]",
        "null",
        "{\"action\":\"dance\"}",
        "{\"action\":\"subscribe\"}",
        "{\"action\":\"ping\",\"extra\":1}",
        &deep,
    ] {
        client.send_text(text).await;
        client.expect_error("malformed_frame").await;
        client.send(json!({"action": "ping", "id": 1})).await;
        client.expect("pong").await;
    }
    client.send(json!({"action": "subscribe", "channel": "weather"})).await;
    client.expect_error("unknown_channel").await;
}

#[tokio::test]
async fn nothing_but_garbage_is_closed_with_1008() {
    let server = Server::start(HubSettings { max_errors: 3, ..HubSettings::default() }).await;
    let mut client = server.connect(VIEWER).await;
    for _ in 0..3 {
        client.send_text("garbage").await;
    }
    let (frames, code, _) = client.until_closed().await;
    assert_eq!((frames.len(), code), (3, 1008));
}

#[tokio::test]
async fn bytes_are_closed_with_1003_and_broken_text_with_1007() {
    let server = server().await;
    let mut client = server.connect(VIEWER).await;
    client.socket().send(Message::binary(vec![1, 2, 3])).await.expect("sent");
    assert_eq!(client.close_code().await, 1003);

    let mut client = server.connect(VIEWER).await;
    let frame = Frame::message(vec![b'"', 0xff, b'"'], OpCode::Data(Data::Text), true);
    client.socket().send(Message::Frame(frame)).await.expect("sent");
    assert_eq!(client.close_code().await, 1007);
}

#[tokio::test]
async fn frames_over_16_kib_are_closed_with_1009_whole_or_in_pieces() {
    let server = server().await;
    let mut client = server.connect(VIEWER).await;
    client.send_text(&format!("\"{}\"", "x".repeat(16 * 1024))).await;
    assert_eq!(client.close_code().await, 1009);

    let mut client = server.connect(VIEWER).await;
    let piece = |opcode, last| {
        let header = FrameHeader { is_final: last, opcode: OpCode::Data(opcode), ..FrameHeader::default() };
        Message::Frame(Frame::from_payload(header, Utf8Bytes::from("x".repeat(10_000)).into()))
    };
    client.socket().send(piece(Data::Text, false)).await.expect("sent");
    client.socket().send(piece(Data::Continue, true)).await.expect("sent");
    assert_eq!(client.close_code().await, 1009);
}

#[tokio::test]
async fn one_connection_too_many_is_closed_with_4429() {
    let server = Server::start(HubSettings { max_connections: 2, ..HubSettings::default() }).await;
    let mut first = server.connect(VIEWER).await;
    let _second = server.connect(VIEWER).await;
    assert_eq!(server.connect(VIEWER).await.close_code().await, 4429);
    first.expect_silence().await;
}

#[tokio::test]
async fn one_connection_too_many_of_a_subject_is_closed_with_4429() {
    let server = Server::start(HubSettings { max_per_subject: 1, ..HubSettings::default() }).await;
    let mut first = server.connect(VIEWER).await;
    first.expect_silence().await;
    assert_eq!(server.connect(VIEWER).await.close_code().await, 4429);
    server.connect("ben_acme_viewer__3600").await.expect_silence().await;
}

#[tokio::test]
async fn one_subscription_too_many_is_refused_and_the_others_stay() {
    let server = Server::start(HubSettings { max_subscriptions: 2, ..HubSettings::default() }).await;
    let key = server.world.add_campaign("acme", "c-1", None);
    let (mut client, _) = server.subscribed(VIEWER, "campaign:c-1").await;
    client.send(json!({"action": "subscribe", "channel": "owner:o-1"})).await;
    client.expect("subscribed").await;
    client.send(json!({"action": "subscribe", "channel": "tenant", "id": 9})).await;
    assert_eq!(client.expect_error("too_many_subscriptions").await["id"], 9);
    client.send(json!({"action": "subscribe", "channel": "campaign:c-1"})).await;
    client.expect("subscribed").await;
    server.world.change(&key);
    assert_eq!(position(&client.next().await), 1);
}

#[tokio::test]
async fn a_flood_of_frames_is_closed_with_4429() {
    let settings = HubSettings { frames_per_second: 1, frames_burst: 5, ..HubSettings::default() };
    let server = Server::start(settings).await;
    let mut client = server.connect(VIEWER).await;
    for _ in 0..6 {
        client.send(json!({"action": "ping"})).await;
    }
    let (frames, code, _) = client.until_closed().await;
    assert_eq!((frames.len(), code), (5, 4429));
}
