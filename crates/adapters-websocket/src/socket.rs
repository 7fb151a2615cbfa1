//! One WebSocket: little memory, no wait without a limit, and a close that arrives. Knows nothing of what is said.

use std::fmt::Display;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use crate::goodbye::Goodbye;

/// The largest frame, and message, that a client may send, in bytes.
const MAX_RECEIVED: usize = 16 * 1024;
/// The largest answer that is sent, in bytes.
const MAX_SENT: usize = 64 * 1024;

/// What a client sends.
pub(crate) enum Received {
    /// A text frame.
    Text(Utf8Bytes),
    /// A binary frame.
    Binary,
    /// A ping (answered by the protocol itself) or a pong.
    Sign,
    /// Nothing more.
    End(Goodbye),
}

/// What a WebSocket's bytes go over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// A server's end of a WebSocket.
pub(crate) struct Socket<S> {
    stream: WebSocketStream<S>,
    send_limit: Duration,
    /// What is left of encoded frames that could not be sent as a whole.
    rest: Bytes,
    /// Whether the protocol's own answer to a ping may not be out yet.
    owes_pong: bool,
    /// Whether what comes cannot be read as frames any more.
    unreadable: bool,
}

impl<S: Stream> Socket<S> {
    pub(crate) async fn new(stream: S, send_limit: Duration) -> Self {
        // The read buffer is allocated and touched at once for every connection, and grows for the few long frames that
        // clients send; an unbuffered writer keeps nothing.
        let config = WebSocketConfig::default()
            .read_buffer_size(512)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_SENT + 1024)
            .max_message_size(Some(MAX_RECEIVED))
            .max_frame_size(Some(MAX_RECEIVED));
        let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        Self { stream, send_limit, rest: Bytes::new(), owes_pong: false, unreadable: false }
    }

    /// Waits for what the client sends. Safe to drop while waiting.
    pub(crate) async fn receive(&mut self) -> Received {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Received::Text(text),
            Some(Ok(Message::Binary(_))) => Received::Binary,
            Some(Ok(Message::Ping(_))) => {
                self.owes_pong = true;
                Received::Sign
            }
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => Received::Sign,
            Some(Ok(Message::Close(_))) => {
                // Lets the answer to the client's close out.
                let _ = timeout(self.send_limit, self.stream.flush()).await;
                Received::End(Goodbye::Gone)
            }
            None => Received::End(Goodbye::Gone),
            Some(Err(error)) => {
                self.unreadable = true;
                Received::End(match error {
                    Error::Capacity(_) => Goodbye::too_big(),
                    Error::Utf8(_) => Goodbye::not_utf8(),
                    Error::Protocol(
                        tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
                    )
                    | Error::Io(_) => Goodbye::Gone,
                    _ => Goodbye::protocol(),
                })
            }
        }
    }

    /// Sends a text frame.
    ///
    /// # Errors
    /// [`Goodbye::slow`] when that takes too long, [`Goodbye::Gone`] when the socket is broken.
    pub(crate) async fn send(&mut self, text: Utf8Bytes) -> Result<(), Goodbye> {
        self.send_message(Message::Text(text)).await
    }

    /// Sends frames that are encoded already.
    ///
    /// # Errors
    /// As [`Socket::send`].
    pub(crate) async fn send_encoded(&mut self, frames: Bytes) -> Result<(), Goodbye> {
        self.rest = frames;
        // Nearly always there is room for all of it, and nothing to wait for.
        if let Some(sent) = self.send_rest().now_or_never() {
            return sent;
        }
        match timeout(self.send_limit, self.send_rest()).await {
            Ok(sent) => sent,
            Err(_) => Err(Goodbye::slow()),
        }
    }

    /// Sends what is left, past the protocol's own writer, which would copy it for every client. May be dropped and
    /// called again.
    async fn send_rest(&mut self) -> Result<(), Goodbye> {
        if self.owes_pong {
            // It may be half out.
            self.stream.flush().await.map_err(broken)?;
            self.owes_pong = false;
        }
        while !self.rest.is_empty() {
            match self.stream.get_mut().write(&self.rest).await.map_err(broken)? {
                0 => return Err(broken("no more can be written")),
                written => drop(self.rest.split_to(written)),
            }
        }
        Ok(())
    }

    /// Sends a ping.
    ///
    /// # Errors
    /// As [`Socket::send`].
    pub(crate) async fn ping(&mut self) -> Result<(), Goodbye> {
        self.send_message(Message::Ping(Bytes::new())).await
    }

    async fn send_message(&mut self, message: Message) -> Result<(), Goodbye> {
        match timeout(self.send_limit, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(broken(error)),
            Err(_) => Err(Goodbye::slow()),
        }
    }

    /// Tells the client why it is closed and waits, not longer than `limit`, until it has heard it.
    pub(crate) async fn close(mut self, goodbye: &Goodbye, limit: Duration) {
        let Some(frame) = goodbye.frame() else { return };
        let farewell = async {
            // A client that was too slow has half a frame.
            if self.send_rest().await.is_err() || self.stream.send(Message::Close(Some(frame))).await.is_err() {
                return;
            }
            if self.unreadable {
                // Closing a socket with unread bytes resets the connection, and the reason would be lost with it.
                let raw = self.stream.get_mut();
                let mut sink = [0; 1024];
                if raw.shutdown().await.is_ok() {
                    while raw.read(&mut sink).await.is_ok_and(|n| n > 0) {}
                }
            } else {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        let _ = timeout(limit, farewell).await;
    }
}

fn broken(error: impl Display) -> Goodbye {
    tracing::debug!(%error, "a WebSocket frame could not be sent");
    Goodbye::Gone
}
