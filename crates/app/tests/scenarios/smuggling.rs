//! Requests that two readers could take apart in two ways, byte by byte: what one of them takes for a body and the other
//! for the next request is never answered as a request.

use testkit::{Service, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::service;

/// The request that is smuggled, or follows.
const NEXT: &str = "GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// Sends `bytes`, and no more ever; answers what came until the service closed.
async fn tell(service: &Service, bytes: &str) -> String {
    let mut socket = TcpStream::connect(service.address()).await.expect("it listens");
    // It may close before it has read everything.
    let _ = socket.write_all(bytes.as_bytes()).await;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(testkit::PATIENCE, socket.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "never let go of {bytes:?}");
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.match_indices("HTTP/1.1 ").filter_map(|(at, _)| answer.get(at + 9..at + 12)).collect()
}

fn post(headers: &str, rest: &str) -> String {
    format!("POST /api/v1/campaigns HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{headers}\r\n{rest}")
}

/// Each with [`NEXT`] behind it, which one reader would take for the rest of a body.
fn ambiguous() -> Vec<String> {
    let ended = format!("0\r\n\r\n{NEXT}");
    let length = ended.len();
    let chunked = "transfer-encoding: chunked\r\n";
    let mut all = vec![
        post(&format!("content-length: {length}\r\n{chunked}"), &ended),
        post(&format!("{chunked}content-length: {length}\r\n"), &ended),
        post(&format!("content-length: 0\r\ncontent-length: {length}\r\n"), &ended),
        post(&format!("transfer-encoding:\tchunked\r\ncontent-length: {length}\r\n"), &ended),
        format!("POST /api/v1/campaigns HTTP/1.0\r\nhost: a\r\n{chunked}\r\n{ended}"),
        format!("GET /livez HTTP/1.1\rhost: a\r\r{NEXT}"),
        format!(" GET /livez HTTP/1.1\r\nhost: a\r\n\r\n{NEXT}"),
        format!("GET /livez HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n{NEXT}"),
        format!("GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n{NEXT}"),
        format!("GET /livez HTTP/1.2\r\nhost: a\r\n\r\n{NEXT}"),
        format!("GET /livez\r\n\r\n{NEXT}"),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{NEXT}"),
    ];
    for length in ["+5", "-0", "-5", "0x5", "5, 5", "5,6", "", "18446744073709551616", "5\u{b}", "5 5", "five", "5.0"] {
        all.push(post(&format!("content-length: {length}\r\n"), &format!("12345{NEXT}")));
    }
    for name in ["content-length ", "content\0-length", "content-length\t", " content-length"] {
        all.push(post(&format!("{name}: 5\r\n"), &format!("12345{NEXT}")));
    }
    for encoding in
        ["xchunked", "chunked, identity", "identity", "gzip", "chunkedx", "\u{b}chunked", "\r\n chunked", "chunked\0"]
    {
        all.push(post(&format!("transfer-encoding: {encoding}\r\n"), &ended));
    }
    all.push(post(&format!("{chunked}transfer-encoding: identity\r\n"), &ended));
    for chunk in ["0x0", "+0", "-1", "fffffffffffffffff", "0\n\n", "1\r\nXX0", " 0", "g"] {
        all.push(post(chunked, &format!("{chunk}\r\n\r\n{NEXT}")));
    }
    all.push(post("x-folded: a\r\n b\r\ncontent-length: 0\r\n", NEXT));
    all.push(post("x-nul: a\0b\r\ncontent-length: 0\r\n", NEXT));
    all
}

#[tokio::test]
async fn what_can_be_taken_apart_in_two_ways_is_one_refusal_and_the_end_of_the_connection() {
    let service = service().await;
    let cases = ambiguous();
    assert!(cases.len() >= 40, "{}", cases.len());
    for case in &cases {
        let answer = tell(&service, case).await;
        let told = statuses(&answer);
        // 401 where the length is ignored beside chunks: the request is taken apart in one way, and none follows it.
        assert!(told.is_empty() || told == ["400"] || told == ["401"], "{case:?}: {told:?}");
    }
    let log = service.log();
    assert!(!log.contains("panicked"), "{log}");
    service.finish().await;
}

#[tokio::test]
async fn what_can_be_taken_apart_in_one_way_only_is_one_request_after_the_other() {
    let service = service().await;
    for case in [
        post("content-length: 5\r\n", "12345"),
        post("content-length: 5\r\ncontent-length: 5\r\n", "12345"),
        post("transfer-encoding: chunked\r\n", "5;name=value\r\n12345\r\n0\r\n\r\n"),
        post("transfer-encoding: Chunked\r\n", "0\r\ncontent-length: 50\r\n\r\n"),
        "GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345".to_owned(),
        "GET http://a/livez HTTP/1.1\r\nhost: b\r\n\r\n".to_owned(),
    ] {
        let answer = tell(&service, &format!("{case}{NEXT}")).await;
        let told = statuses(&answer);
        assert!(
            told.len() <= 2 && told.last().is_some_and(|status| ["200", "401"].contains(status)),
            "{case:?}: {told:?}"
        );
    }
    service.finish().await;
}

#[tokio::test]
async fn nobody_is_upgraded_to_another_protocol_than_websocket() {
    let service = service().await;
    let settings = "connection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
    for path in ["/livez", "/ws", "/api/v1/campaigns"] {
        let answer = tell(&service, &format!("GET {path} HTTP/1.1\r\nhost: a\r\n{settings}\r\n")).await;
        assert!(!answer.contains("HTTP/1.1 101") && statuses(&answer).len() == 1, "{path}: {answer}");
    }
    for target in ["CONNECT a:80", "CONNECT 169.254.169.254:80", "GET a:80"] {
        let answer = tell(&service, &format!("{target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
        assert_eq!(statuses(&answer), ["400"], "{target}: {answer}");
    }
    until("nothing panicked", async || (!service.log().contains("panic")).then_some(())).await;
    service.finish().await;
}
