//! What comes over a live connection: lines, each sent as a text frame; or, after the line `raw`, bytes as they are.

use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use warp::Filter as _;

use super::{Check, ensure};
use crate::service::InProcess;

pub(super) const WORDS: &[&str] = &[
    "raw\n",
    "{\"action\":\"ping\",\"id\":1}",
    "{\"action\":\"subscribe\",\"channel\":\"tenant\"}",
    "\n",
    "action",
    "subscribe",
    "unsubscribe",
    "ping",
    "authenticate",
    "channel",
    "since",
    "id",
    "token",
    "tenant",
    "system",
    "campaign:c-1",
    "owner:o-1",
    "0-0",
    "18446744073709551615-4294967295",
    "acme/viewer",
    "acme/admin",
];

const HELLO: &[u8] = b"GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nauthorization: Bearer acme/operator\r\n\r\n";

/// The reasons to close that the contract knows.
const CODES: [u16; 12] = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1013, 4008, 4401, 4403, 4429];

pub(super) fn build() -> Check {
    let service = InProcess::open();
    Box::new(move |input| service.block_on(talk(&service, input)))
}

async fn talk(service: &InProcess, input: &[u8]) -> Result<String, String> {
    let (client, server) = duplex(1 << 20);
    let nobody = warp::any().map(|| None);
    let routes = adapters_websocket::routes(std::sync::Arc::clone(&service.hub), nobody);
    let routes = TowerToHyperService::new(warp::service(routes));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(server), routes).with_upgrades();
    let serving = tokio::spawn(connection);
    let heard = tokio::time::timeout(Duration::from_secs(20), exchange(client, input)).await;
    serving.abort();
    let heard = heard.map_err(|_| "never lets go".to_owned())?;
    if heard.is_empty() {
        // It went before it was answered.
        return Ok("gone".to_owned());
    }
    let body = heard.strip_prefix(b"HTTP/1.1 101 ").and_then(|rest| {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
        rest.get(end + 4..)
    });
    read_frames(body.ok_or_else(|| format!("no upgrade: {}", String::from_utf8_lossy(&heard)))?)
}

/// Sends all, and reads to the end.
async fn exchange(mut client: DuplexStream, input: &[u8]) -> Vec<u8> {
    let mut sent = HELLO.to_vec();
    if let Some(bytes) = input.strip_prefix(b"raw\n") {
        sent.extend_from_slice(bytes);
    } else {
        for line in input.split(|byte| *byte == b'\n') {
            frame(&mut sent, 0x81, line);
        }
        frame(&mut sent, 0x88, &[]);
    }
    let mut heard = Vec::new();
    // What the server does not want any more need not arrive.
    let _ = client.write_all(&sent).await;
    let _ = client.shutdown().await;
    let _ = client.read_to_end(&mut heard).await;
    heard
}

/// A client's frame, masked with nothing.
fn frame(sent: &mut Vec<u8>, first: u8, text: &[u8]) {
    sent.push(first);
    match (u8::try_from(text.len()), u16::try_from(text.len())) {
        (Ok(short @ 0..126), _) => sent.push(0x80 + short),
        (_, Ok(long)) => {
            sent.push(0x80 + 126);
            sent.extend_from_slice(&long.to_be_bytes());
        }
        _ => {
            sent.push(0x80 + 127);
            sent.extend_from_slice(&(text.len() as u64).to_be_bytes());
        }
    }
    sent.extend_from_slice(&[0; 4]);
    sent.extend_from_slice(text);
}

/// Every frame of the server is whole, not masked, and says what the contract knows.
fn read_frames(mut bytes: &[u8]) -> Result<String, String> {
    let mut told: Vec<String> = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (length, rest) = match (second, rest) {
            (0..=125, rest) => (usize::from(*second), rest),
            (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            _ => return Err(format!("a frame that is masked or without end: {second}")),
        };
        let payload = rest.get(..length).ok_or("half a frame")?;
        bytes = &rest[length..];
        let kind = match first {
            0x81 => text_frame(payload)?,
            0x88 => close_frame(payload)?,
            0x89 | 0x8a => "sign".to_owned(),
            other => return Err(format!("a frame of kind {other:#x}")),
        };
        if !told.contains(&kind) {
            told.push(kind);
        }
    }
    ensure(bytes.is_empty(), || "half a head".to_owned())?;
    told.sort();
    Ok(told.join(" "))
}

fn text_frame(payload: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(payload).map_err(|_| "a text that is none")?;
    let frame: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}: {text}"))?;
    let event = frame["event"].as_str().ok_or_else(|| format!("no event: {text}"))?;
    if event != "error" {
        return Ok(event.to_owned());
    }
    let (code, message) = (frame["data"]["code"].as_str(), frame["data"]["message"].as_str());
    let (Some(code), Some(message)) = (code, message) else { return Err(format!("no error: {text}")) };
    ensure(message.len() <= 1_024, || format!("an error of {} bytes", message.len()))?;
    Ok(code.to_owned())
}

fn close_frame(payload: &[u8]) -> Result<String, String> {
    let [a, b, reason @ ..] = payload else { return Ok("close".to_owned()) };
    let code = u16::from_be_bytes([*a, *b]);
    ensure(std::str::from_utf8(reason).is_ok(), || "a reason that is no text".to_owned())?;
    Ok(format!("close {code}{}", if CODES.contains(&code) { "" } else { " of the client's" }))
}
