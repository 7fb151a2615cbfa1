//! One client: as little as it takes, since there are thousands beside the service on the same machine.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Arguments;
use super::frames::{self, Frame};
use super::tally::Tally;

/// A client that listens.
pub(super) struct Client {
    number: usize,
    stream: TcpStream,
    tally: Rc<RefCell<Tally>>,
    /// The beginning of a frame of which the rest has not come yet.
    begun: Vec<u8>,
}

/// Connects and subscribes.
pub(super) async fn connect(arguments: Rc<Arguments>, number: usize, tally: Rc<RefCell<Tally>>) -> Result<Client> {
    let (host, path) = arguments
        .url
        .strip_prefix("ws://")
        .and_then(|rest| rest.split_once('/'))
        .context("the URL must be as ws://host:port/path")?;
    let mut stream = TcpStream::connect(host).await?;
    let token = arguments.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{token}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut begun = Vec::new();
    let head = loop {
        if let Some(at) = begun.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        ensure!(stream.read_buf(&mut begun).await? > 0, "the connection ended during the handshake");
    };
    ensure!(begun.starts_with(b"HTTP/1.1 101 "), "answered {:.200}", String::from_utf8_lossy(&begun));
    begun.drain(..head);

    let subscribe = if arguments.peer {
        r#"{"type":"subscribe"}"#.to_owned()
    } else {
        let channel = &arguments.channel[number % arguments.channel.len()];
        serde_json::json!({ "action": "subscribe", "channel": channel, "id": 1 }).to_string()
    };
    stream.write_all(&frames::text(&subscribe)).await?;
    if !arguments.peer {
        let length = subscribed(&mut stream, &mut begun).await?;
        begun.drain(..length);
    }
    begun.shrink_to_fit();
    Ok(Client { number, stream, tally, begun })
}

/// Reads until the answer to the subscription is there; gives its length.
async fn subscribed(stream: &mut TcpStream, begun: &mut Vec<u8>) -> Result<usize> {
    loop {
        if let Some((frame, length)) = frames::first(begun) {
            let Frame::Text(text) = frame else { bail!("got {frame:?} in place of an answer") };
            let answer = String::from_utf8_lossy(text);
            ensure!(answer.contains(r#""event":"subscribed""#), "answered {answer:.300}");
            return Ok(length);
        }
        ensure!(stream.read_buf(begun).await? > 0, "the connection ended before the answer");
    }
}

thread_local! {
    /// Where all clients read to, one after the other.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

impl Client {
    /// Listens until the connection ends.
    pub(super) async fn listen(mut self) {
        let reason = loop {
            if let Err(error) = self.stream.readable().await {
                break error.to_string();
            }
            if let Some(end) = BUFFER.with_borrow_mut(|buffer| self.read(buffer)) {
                break end;
            }
        };
        self.tally.borrow_mut().lose(self.number, &reason);
    }

    /// Reads once; tells why the connection ended, if it did.
    fn read(&mut self, buffer: &mut [u8]) -> Option<String> {
        let length = match self.stream.try_read(buffer) {
            Ok(0) => return Some("the connection ended".to_owned()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => return Some(error.to_string()),
        };
        if self.begun.is_empty() {
            let (end, used) = self.take(&buffer[..length]);
            self.begun.extend(&buffer[used..length]);
            return end;
        }
        let mut begun = std::mem::take(&mut self.begun);
        begun.extend(&buffer[..length]);
        let (end, used) = self.take(&begun);
        begun.drain(..used);
        self.begun = begun;
        end
    }

    /// Takes the whole frames in `bytes`; tells how long these are, and why the connection ended, if it did.
    fn take(&self, bytes: &[u8]) -> (Option<String>, usize) {
        let mut used = 0;
        while let Some((frame, length)) = frames::first(&bytes[used..]) {
            used += length;
            match frame {
                Frame::Text(text) => self.tally.borrow_mut().hear(self.number, text),
                Frame::Ping => {
                    // Six bytes always fit; if not, the server misses a sign of life, and will tell.
                    let _ = self.stream.try_write(&frames::PONG);
                }
                Frame::Close(payload) => {
                    return (Some(format!("closed: {}", String::from_utf8_lossy(payload))), used);
                }
                Frame::Other => {}
            }
        }
        (None, used)
    }
}
