//! Frames as text: what clients get, written once for each channel, and the answers to what they send.

use std::sync::Arc;

use domain::Timestamp;
use ports::auth::Principal;
use ports::feed::Channel;
use ports::journal::Record;
use serde::Serialize;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use wire::frames::{AuthenticatedData, Cursor, ErrorData, RecoveredData, ServerFrame, Snapshot, frames_of};

use crate::visibility;

/// A frame ready to be sent.
pub(crate) struct Encoded {
    pub(crate) cursor: Cursor,
    pub(crate) text: Utf8Bytes,
}

/// The frames that tell of `record` on `channel`.
pub(crate) fn frames_for(record: &Record, channel: &Channel) -> Vec<Arc<Encoded>> {
    let name = visibility::name(channel);
    let frames = frames_of(record).into_iter();
    frames.map(|frame| Arc::new(Encoded { cursor: frame.cursor, text: frame.to_text(&name).into() })).collect()
}

/// What an answer answers, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    /// Now.
    pub(crate) at: Timestamp,
    /// The id that the client gave its frame.
    pub(crate) id: Option<u64>,
    /// The channel that it named.
    pub(crate) channel: Option<&'a str>,
}

impl Answer<'_> {
    fn frame<D: Serialize>(self, event: &'static str, cursor: Option<Cursor>, data: Option<D>) -> Utf8Bytes {
        ServerFrame { event, id: self.id, channel: self.channel, cursor, timestamp: self.at, data }.to_text().into()
    }

    pub(crate) fn authenticated(self, principal: &Principal) -> Utf8Bytes {
        self.frame("authenticated", None, Some(AuthenticatedData::from(principal)))
    }

    /// Without a snapshot, what was missed since `cursor` follows.
    pub(crate) fn subscribed(self, cursor: Cursor, snapshot: Option<&Snapshot>) -> Utf8Bytes {
        self.frame("subscribed", Some(cursor), snapshot)
    }

    /// With a snapshot, something was missed.
    pub(crate) fn recovered(self, cursor: Cursor, snapshot: Option<&Snapshot>) -> Utf8Bytes {
        self.frame("recovered", Some(cursor), Some(RecoveredData { recovered: snapshot.is_none(), snapshot }))
    }

    pub(crate) fn unsubscribed(self) -> Utf8Bytes {
        self.frame("unsubscribed", None, None::<()>)
    }

    pub(crate) fn pong(self) -> Utf8Bytes {
        self.frame("pong", None, None::<()>)
    }

    pub(crate) fn error(self, code: &str, message: &str) -> Utf8Bytes {
        self.frame("error", None, Some(ErrorData { code, message }))
    }
}
