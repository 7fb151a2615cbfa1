//! Who gets in: three ways to bring a token, and every way to fail.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifecycle_adapters_websocket::HubSettings;
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::support::fakes::{NoTokens, World};
use crate::support::{Server, VIEWER};

async fn server() -> Server {
    Server::start(HubSettings { auth_timeout: Duration::from_millis(200), ..HubSettings::default() }).await
}

fn status(error: Error) -> (u16, serde_json::Value) {
    let Error::Http(response) = error else { panic!("not an HTTP answer: {error}") };
    let body = response.body().as_deref().unwrap_or_default();
    (response.status().as_u16(), serde_json::from_slice(body).unwrap_or_default())
}

#[tokio::test]
async fn a_token_in_the_header_lets_in() {
    let server = server().await;
    let mut client = server.connect(VIEWER).await;
    client.send(json!({"action": "ping", "id": 1})).await;
    client.expect("pong").await;
}

#[tokio::test]
async fn a_token_in_the_subprotocol_list_lets_in_and_is_not_echoed() {
    let server = server().await;
    let list = format!("bearer, {VIEWER}");
    let (mut client, headers) = server.connect_with(&[("sec-websocket-protocol", &list)]).await.expect("a handshake");
    assert_eq!(headers["sec-websocket-protocol"], "bearer");
    client.send(json!({"action": "ping", "id": 1})).await;
    client.expect("pong").await;
}

#[tokio::test]
async fn a_token_in_the_first_frame_lets_in() {
    let server = server().await;
    let (mut client, headers) = server.connect_with(&[]).await.expect("a handshake");
    assert!(!headers.contains_key("sec-websocket-protocol"));
    client.send(json!({"action": "authenticate", "token": VIEWER})).await;
    let frame = client.expect("authenticated").await;
    assert_eq!(frame["data"]["tenant"], "acme", "{frame}");
}

#[tokio::test]
async fn where_authentication_is_off_no_token_is_waited_for_and_any_is_welcome() {
    let server = Server::guarded(World::new(100), Arc::new(NoTokens), HubSettings::default()).await;
    let (mut client, _) = server.connect_with(&[]).await.expect("a handshake");
    client.send(json!({"action": "subscribe", "channel": "tenant"})).await;
    client.expect("subscribed").await;
    let (mut client, _) = server.connect_with(&[]).await.expect("a handshake");
    client.send(json!({"action": "authenticate", "token": "whatever"})).await;
    client.expect("authenticated").await;
}

#[tokio::test]
async fn a_bad_token_is_closed_with_4401_however_it_came() {
    let server = server().await;
    assert_eq!(server.connect("nonsense").await.close_code().await, 4401);
    for headers in [("authorization", "Basic YTpi"), ("sec-websocket-protocol", "bearer, nonsense")] {
        let (mut client, _) = server.connect_with(&[headers]).await.expect("a handshake");
        assert_eq!(client.close_code().await, 4401);
    }
    let (mut client, _) = server.connect_with(&[]).await.expect("a handshake");
    client.send(json!({"action": "authenticate", "token": "nonsense"})).await;
    assert_eq!(client.close_code().await, 4401);
}

#[tokio::test]
async fn whoever_says_something_else_first_or_nothing_is_closed_with_4401() {
    let server = server().await;
    let (mut client, _) = server.connect_with(&[]).await.expect("a handshake");
    client.send(json!({"action": "subscribe", "channel": "tenant"})).await;
    assert_eq!(client.close_code().await, 4401);

    let (mut client, _) = server.connect_with(&[]).await.expect("a handshake");
    let began = Instant::now();
    assert_eq!(client.close_code().await, 4401);
    assert!(began.elapsed() >= Duration::from_millis(190));
}

#[tokio::test]
async fn an_expired_token_is_closed_with_4401() {
    let server = server().await;
    assert_eq!(server.connect("anna_acme_viewer__-1").await.close_code().await, 4401);
}

#[tokio::test]
async fn a_token_that_expires_ends_its_connection() {
    let server = server().await;
    let mut client = server.connect("anna_acme_viewer__1").await;
    let began = Instant::now();
    assert_eq!(client.close_code().await, 4401);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_new_token_of_the_same_person_prolongs_a_connection() {
    let server = server().await;
    let mut client = server.connect("anna_acme_viewer__1").await;
    client.send(json!({"action": "authenticate", "token": VIEWER})).await;
    client.expect("authenticated").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    client.send(json!({"action": "ping"})).await;
    client.expect("pong").await;
}

#[tokio::test]
async fn a_connection_never_changes_hands() {
    let server = server().await;
    let mut client = server.connect(VIEWER).await;
    for other in
        ["ben_acme_viewer__3600", "anna_other_viewer__3600", "anna_acme_admin__3600", "anna_acme_viewer_o-1_3600"]
    {
        client.send(json!({"action": "authenticate", "token": other})).await;
        client.expect_error("forbidden").await;
    }
}

#[tokio::test]
async fn a_token_without_a_role_is_closed_with_4403() {
    let server = server().await;
    assert_eq!(server.connect("anna_acme_nobody__3600").await.close_code().await, 4403);
}

#[tokio::test]
async fn a_token_in_the_url_is_refused_with_400_and_told_why() {
    let server = server().await;
    for path in [format!("/ws?token={VIEWER}"), format!("/ws?a=1&access_token={VIEWER}")] {
        let refused = server.connect_to(&path, &[]).await.err().expect("refused");
        let (code, _) = status(refused);
        assert_eq!(code, 400, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_is_refused_with_403() {
    let server = server().await;
    let bearer = format!("Bearer {VIEWER}");
    let headers = [("authorization", bearer.as_str()), ("origin", "https://evil.example")];
    assert_eq!(status(server.connect_with(&headers).await.err().expect("refused")).0, 403);
    let own = format!("http://{}", server.address);
    let headers = [("authorization", bearer.as_str()), ("origin", own.as_str())];
    assert!(server.connect_with(&headers).await.is_ok());
}

#[tokio::test]
async fn a_plain_request_is_told_to_upgrade() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = server().await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.expect("the server listens");
    let request = b"GET /ws HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.contains("\"code\":\"websocket_required\""), "{answer}");
}
