//! Clients that are no HTTP clients: slow heads, endless heads, bodies that never end or lie about their length. Each is
//! let go in time, and everybody else is served meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use testkit::{PATIENCE, Plan, Role, Service, Token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{service, service_with};

/// Sends `parts` one by one; answers what came back until the end, and after how long that was.
async fn raw(address: SocketAddr, parts: &[&[u8]]) -> (String, Duration) {
    let started = Instant::now();
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    for part in parts {
        if socket.write_all(part).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let end = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "never let go");
    (String::from_utf8_lossy(&answer).into_owned(), started.elapsed())
}

fn head(service: &Service, more: &str) -> String {
    let token = Token::of(&[Role::Admin]).mint();
    let address = service.address();
    format!(
        "POST /api/v1/campaigns HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\nconnection: close\r\n{more}\r\n"
    )
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_not_waited_for() {
    let service = service_with(&[("LIFECYCLE_HTTP__HEADER_TIMEOUT", "500ms")]).await;
    let head: &[u8] = b"GET /api/v1/campaigns HTTP/1.1\r\nhost: x\r\nx-slow: ";
    let address = service.address();
    let slow: Vec<_> = (0..50).map(|_| tokio::spawn(async move { raw(address, &[head]).await })).collect();
    for _ in 0..20 {
        service.anonymous().get("/readyz").await.expect(200);
    }
    for client in slow {
        let (answer, took) = client.await.expect("no panic");
        assert!(took < Duration::from_secs(5), "{took:?}: {answer}");
    }
    service.finish().await;
}

#[tokio::test]
async fn heads_that_are_too_large_or_none_at_all_are_refused() {
    let service = service().await;
    let many = (0..1_000).map(|n| format!("x-{n}: y\r\n")).collect::<Vec<_>>().concat();
    let huge = format!("x-huge: {}\r\n", "y".repeat(200_000));
    for more in [many, huge] {
        let (answer, _) = raw(service.address(), &[head(&service, &more).as_bytes()]).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
    ] {
        let (answer, _) = raw(service.address(), &[garbage]).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    service.finish().await;
}

#[tokio::test]
async fn bodies_that_lie_about_their_length_are_refused_and_nothing_is_stored() {
    let service = service().await;
    let body = Plan::later("c").body().to_string();
    let chunk = format!("{:x}\r\n{}\r\n", 1024 * 1024, " ".repeat(1024 * 1024));
    let endless: Vec<&[u8]> = vec![chunk.as_bytes(); 12];
    let chunked = head(&service, "transfer-encoding: chunked\r\n");
    let mut parts = vec![chunked.as_bytes()];
    parts.extend(endless);
    parts.push(b"0\r\n\r\n");
    let (answer, _) = raw(service.address(), &parts).await;
    assert!(answer.contains("413") && answer.contains("body_too_large"), "{answer}");

    let announced = head(&service, "content-length: 1073741824\r\n");
    let (answer, took) = raw(service.address(), &[announced.as_bytes(), body.as_bytes()]).await;
    assert!(answer.contains("413") && took < Duration::from_secs(5), "{took:?}: {answer}");

    let both = head(&service, &format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", body.len()));
    let (answer, _) = raw(service.address(), &[both.as_bytes(), body.as_bytes()]).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    let twice = head(&service, &format!("content-length: {}\r\ncontent-length: 5\r\n", body.len()));
    let (answer, _) = raw(service.address(), &[twice.as_bytes(), body.as_bytes()]).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    let short = head(&service, &format!("content-length: {}\r\n", body.len() + 10));
    let mut socket = TcpStream::connect(service.address()).await.expect("it listens");
    socket.write_all(short.as_bytes()).await.expect("sent");
    socket.write_all(body.as_bytes()).await.expect("sent");
    drop(socket);

    service.admin().get("/api/v1/campaigns/c").await.problem(404, "unknown_campaign");
    service.finish().await;
}
