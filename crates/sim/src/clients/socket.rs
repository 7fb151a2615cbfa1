//! A client's end of a WebSocket: what is said goes out as frames, what comes in is taken apart. Knows nothing of what a
//! client wants.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::DuplexStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use wire::frames::Cursor;

/// After so long a client gives up sending.
const PATIENCE: Duration = Duration::from_secs(10);

/// What comes in.
pub(super) enum Heard {
    Text(Utf8Bytes),
    /// The server closes, and says why.
    Goodbye {
        code: u16,
        reason: Utf8Bytes,
    },
    /// The line is dead.
    Nothing,
}

/// A connection.
pub(super) struct Socket(WebSocketStream<DuplexStream>);

impl Socket {
    pub(super) async fn over(line: DuplexStream) -> Self {
        let config = WebSocketConfig::default().read_buffer_size(1_024).write_buffer_size(0);
        Self(WebSocketStream::from_raw_socket(line, Role::Client, Some(config)).await)
    }

    /// What comes next; waits for it. Safe to drop while waiting.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            return match self.0.next().await {
                Some(Ok(Message::Text(text))) => Heard::Text(text),
                Some(Ok(Message::Close(Some(frame)))) => {
                    // The answer goes out.
                    let _ = timeout(PATIENCE, self.0.flush()).await;
                    Heard::Goodbye { code: frame.code.into(), reason: frame.reason }
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => Heard::Nothing,
                Some(Ok(_)) => continue,
            };
        }
    }

    /// Says something; false when it does not get through.
    pub(super) async fn say(&mut self, text: String) -> bool {
        timeout(PATIENCE, self.0.send(Message::text(text))).await.is_ok_and(|sent| sent.is_ok())
    }

    /// Goes in order.
    pub(super) async fn close(mut self) {
        let _ = timeout(PATIENCE, self.0.close(None)).await;
    }
}

/// A frame of the server.
#[derive(Debug, Deserialize)]
pub(super) struct ServerSays<'f> {
    pub(super) event: &'f str,
    pub(super) id: Option<u64>,
    pub(super) channel: Option<&'f str>,
    cursor: Option<&'f str>,
    #[serde(borrow)]
    data: Option<&'f RawValue>,
}

/// What a snapshot tells that can be compared with the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct State {
    campaign: Option<Version>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Version {
    version: u64,
}

impl State {
    /// The campaign's version, where it is of a campaign.
    pub(super) fn version(self) -> Option<u64> {
        self.campaign.map(|campaign| campaign.version)
    }
}

/// What `recovered` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// Nothing was missed.
    Whole,
    /// Something was, and this is the present.
    Anew(State),
}

#[derive(Deserialize)]
struct Recovered {
    recovered: bool,
    snapshot: Option<State>,
}

#[derive(Deserialize)]
struct Refusal<'f> {
    code: &'f str,
}

impl<'f> ServerSays<'f> {
    pub(super) fn read(text: &'f str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.cursor?.parse().ok()
    }

    fn data<T: Deserialize<'f>>(&self) -> Option<T> {
        serde_json::from_str(self.data?.get()).ok()
    }

    /// The snapshot of `subscribed`.
    pub(super) fn state(&self) -> Option<State> {
        self.data()
    }

    /// How it has recovered.
    pub(super) fn recovery(&self) -> Option<Recovery> {
        let Recovered { recovered, snapshot } = self.data()?;
        match snapshot {
            None if recovered => Some(Recovery::Whole),
            Some(state) if !recovered => Some(Recovery::Anew(state)),
            _ => None,
        }
    }

    /// The code of an error.
    pub(super) fn code(&self) -> &'f str {
        self.data().map_or("", |Refusal { code }| code)
    }
}

/// What stands in a goodbye, where it says from where to resume.
pub(super) fn resumable_from(reason: &str) -> Option<Cursor> {
    reason.rsplit_once("; cursor=")?.1.parse().ok()
}
