//! What clients get: records as WebSocket frames, written once for each channel and shared by all who listen to it, and
//! the answers to what clients send.

use std::sync::Arc;

use domain::Timestamp;
use ports::auth::Principal;
use ports::feed::Channel;
use ports::journal::Record;
use serde::Serialize;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};
use wire::frames::{AuthenticatedData, Cursor, ErrorData, RecoveredData, ServerFrame, Snapshot, frames_of};

use crate::subscriptions::Reached;
use crate::visibility;

/// Frames are put together up to about this size: what is sent in one piece is still sent in time over a thin line.
const PIECE: usize = 8 * 1024;

/// Frames of one channel that follow each other, as they go over the wire: whoever listens gets these very bytes.
#[derive(Default)]
pub(crate) struct Encoded {
    bytes: Bytes,
    /// The cursor of each frame, and where it ends.
    ends: Vec<(Cursor, usize)>,
}

#[cfg(test)]
impl Encoded {
    pub(crate) fn of_bytes(length: usize) -> Self {
        Self { bytes: vec![0; length].into(), ends: vec![(Cursor::default(), length)] }
    }
}

/// What is to be sent of some frames.
pub(crate) struct Unsent {
    pub(crate) bytes: Bytes,
    /// How many frames that are.
    pub(crate) frames: usize,
    /// What the client has seen with them.
    pub(crate) reached: Reached,
}

impl Encoded {
    /// How much memory it takes, nearly.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + self.ends.len() * size_of::<(Cursor, usize)>()
    }

    /// The frames that somebody who has `reached` something does not know yet, if there are any.
    pub(crate) fn after(&self, reached: Reached) -> Option<Unsent> {
        let (last, _) = self.ends.last()?;
        let known = self.ends.iter().take_while(|(cursor, _)| reached.has(*cursor)).count();
        let frames = self.ends.len() - known;
        let begin = known.checked_sub(1).map_or(0, |known| self.ends[known].1);
        (frames > 0).then(|| Unsent { bytes: self.bytes.slice(begin..), frames, reached: Reached::at(*last) })
    }
}

/// The frames that tell of `records`, which follow each other, on `channel`: in few pieces.
pub(crate) fn frames_for<'r>(records: impl IntoIterator<Item = &'r Record>, channel: &Channel) -> Vec<Arc<Encoded>> {
    let name = visibility::name(channel);
    let mut pieces = Vec::new();
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for frame in records.into_iter().flat_map(frames_of) {
        let text = Frame::message(frame.to_text(&name), OpCode::Data(Data::Text), true);
        if !bytes.is_empty() && bytes.len() + text.len() > PIECE {
            pieces.push(piece(&mut bytes, &mut ends));
        }
        // Writing to memory cannot fail.
        let _ = text.format(&mut bytes);
        ends.push((frame.cursor, bytes.len()));
    }
    if !ends.is_empty() {
        pieces.push(piece(&mut bytes, &mut ends));
    }
    pieces
}

fn piece(bytes: &mut Vec<u8>, ends: &mut Vec<(Cursor, usize)>) -> Arc<Encoded> {
    Arc::new(Encoded { bytes: std::mem::take(bytes).into(), ends: std::mem::take(ends) })
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
