//! A WebSocket client.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::PATIENCE;
use crate::service::Service;

/// How the token gets there.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// In the `Authorization` header.
    Header(&'a str),
    /// In the list of subprotocols.
    Subprotocol(&'a str),
    /// In the first frame.
    FirstFrame(&'a str),
    /// Not at all.
    Nothing,
}

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A frame.
    Frame(Value),
    /// The end, with code and reason; code 0 where none was given.
    Closed(u16, String),
    /// Nothing, in the time given.
    Silence,
}

/// A connection.
pub struct Live {
    stream: WebSocketStream<TcpStream>,
    asked: u64,
}

impl Live {
    /// Connects.
    ///
    /// # Panics
    /// When the handshake fails.
    pub async fn open(service: &Service, entry: Entry<'_>) -> Self {
        Self::try_open(service, entry, None).await.unwrap_or_else(|error| panic!("no WebSocket: {error}"))
    }

    /// Connects with a receive buffer as small as the system allows.
    ///
    /// # Panics
    /// When the handshake fails.
    pub async fn open_narrow(service: &Service, entry: Entry<'_>) -> Self {
        Self::try_open(service, entry, Some(2048)).await.unwrap_or_else(|error| panic!("no WebSocket: {error}"))
    }

    /// Connects, or tells why not.
    ///
    /// # Errors
    /// What the handshake said.
    ///
    /// # Panics
    /// When the service cannot be reached at all.
    pub async fn try_open(service: &Service, entry: Entry<'_>, buffer: Option<u32>) -> Result<Self, Box<Error>> {
        Self::try_open_at(service.address(), entry, buffer).await
    }

    /// Connects to whatever listens at `address`, or tells why not.
    ///
    /// # Errors
    /// What the handshake said.
    ///
    /// # Panics
    /// When nobody listens.
    pub async fn try_open_at(address: SocketAddr, entry: Entry<'_>, buffer: Option<u32>) -> Result<Self, Box<Error>> {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes).expect("a buffer size");
        }
        let tcp = socket.connect(address).await.expect("the service listens");
        let mut request = format!("ws://{address}/ws").into_client_request().expect("a request");
        let headers = request.headers_mut();
        match entry {
            Entry::Header(token) => {
                headers.insert("authorization", format!("Bearer {token}").parse().expect("a header"));
            }
            Entry::Subprotocol(token) => {
                headers.insert("sec-websocket-protocol", format!("bearer, {token}").parse().expect("a header"));
            }
            Entry::FirstFrame(_) | Entry::Nothing => {}
        }
        let (stream, _) = tokio_tungstenite::client_async(request, tcp).await.map_err(Box::new)?;
        let mut live = Self { stream, asked: 0 };
        if let Entry::FirstFrame(token) = entry {
            live.say(&json!({ "action": "authenticate", "token": token })).await;
        }
        Ok(live)
    }

    /// Sends a frame.
    pub async fn say(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    /// Sends text, JSON or not.
    pub async fn say_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends bytes.
    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        self.send(Message::binary(bytes.to_vec())).await;
    }

    /// Sends a text frame that need not be UTF-8.
    pub async fn say_raw_text(&mut self, bytes: &[u8]) {
        let frame = Frame::message(bytes.to_vec(), OpCode::Data(Data::Text), true);
        self.send(Message::Frame(frame)).await;
    }

    async fn send(&mut self, message: Message) {
        // A service that has hung up is heard of by `hear`.
        let _ = self.stream.send(message).await;
    }

    /// What comes next, within `limit`.
    ///
    /// # Panics
    /// When a frame is no JSON object.
    pub async fn hear(&mut self, limit: Duration) -> Heard {
        loop {
            match timeout(limit, self.stream.next()).await {
                Err(_) => return Heard::Silence,
                Ok(Some(Ok(Message::Text(text)))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
                    return Heard::Frame(frame);
                }
                Ok(Some(Ok(Message::Close(Some(close))))) => {
                    return Heard::Closed(close.code.into(), close.reason.to_string());
                }
                Ok(Some(Ok(Message::Close(None)) | Err(_)) | None) => return Heard::Closed(0, String::new()),
                Ok(Some(Ok(_))) => {}
            }
        }
    }

    /// The next frame.
    ///
    /// # Panics
    /// When none comes.
    pub async fn frame(&mut self) -> Value {
        match self.hear(PATIENCE).await {
            Heard::Frame(frame) => frame,
            other => panic!("no frame, but {other:?}"),
        }
    }

    /// All frames up to the first that is as wanted.
    ///
    /// # Panics
    /// When it never comes.
    pub async fn until(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            match self.hear(PATIENCE).await {
                Heard::Frame(frame) => {
                    let done = wanted(&frame);
                    frames.push(frame);
                    if done {
                        return frames;
                    }
                }
                other => panic!("{other:?} after {frames:#?}"),
            }
        }
    }

    /// All frames that come until nothing comes for `quiet`.
    pub async fn rest(&mut self, quiet: Duration) -> Vec<Value> {
        let mut frames = Vec::new();
        while let Heard::Frame(frame) = self.hear(quiet).await {
            frames.push(frame);
        }
        frames
    }

    /// Asks for something and waits for the frame that answers it; what came before the answer is lost.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn ask(&mut self, mut frame: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        frame["id"] = json!(id);
        self.say(&frame).await;
        self.until(|answer| answer["id"] == id).await.pop().expect("the answer is the last")
    }

    /// Subscribes; answers what the service says to it.
    pub async fn subscribe(&mut self, channel: &str, since: Option<&str>) -> Value {
        let mut frame = json!({ "action": "subscribe", "channel": channel });
        if let Some(since) = since {
            frame["since"] = json!(since);
        }
        self.ask(frame).await
    }

    /// Subscribes; answers whether that was possible, or the connection had ended.
    pub async fn subscribe_or_end(&mut self, channel: &str) -> bool {
        self.say(&json!({ "action": "subscribe", "channel": channel })).await;
        matches!(self.hear(PATIENCE).await, Heard::Frame(frame) if frame["event"] == "subscribed")
    }

    /// How the connection ends; what comes before is thrown away.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn end(&mut self) -> (u16, String) {
        loop {
            match self.hear(PATIENCE).await {
                Heard::Frame(_) => {}
                Heard::Closed(code, reason) => return (code, reason),
                Heard::Silence => panic!("the connection does not end"),
            }
        }
    }
}
